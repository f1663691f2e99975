"""Ctrl-C and SIGTERM, where thalweg is the command: one line, and the end, at any moment, while
torch is imported too.

Nothing has to be tidied up: files appear whole or not at all, and workers end with this process. So
no exception makes its way through networks, libraries and destructors, any of which might swallow
it or add its own lines.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STOPPED = 130  # exit code after Ctrl-C; 143 after SIGTERM
LINE = "stopped: what is done is stored, the same command goes on from there"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h\n"  # progress bars hide it


def is_command() -> bool:
    """Whether this process is the command line, `thalweg ...` or `python -m thalweg.cli ...`, and
    no child of it.
    """
    by_name = Path(sys.argv[0]).stem == "thalweg" if sys.argv else False
    by_module = any(
        pair == ("-m", "thalweg.cli")
        for pair in zip(sys.orig_argv, sys.orig_argv[1:], strict=False)
    )
    return (by_name or by_module) and multiprocessing.parent_process() is None


def stop_at_once() -> None:
    """From now on Ctrl-C and SIGTERM end this process, unless it ignores them, as a shell's
    background job ignores Ctrl-C.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _Stop(os.getpid()))


@contextmanager
def stopping_at_once() -> Iterator[None]:
    """Ctrl-C and SIGTERM end this process while the block lasts.

    In a thread nothing changes: signals are the main thread's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    stop_at_once()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stop:
    """What happens then.

    Args:
        process: Whose; processes that it forks end without a word.
    """

    def __init__(self, process: int) -> None:
        self.process = process

    def __call__(self, number: int, _: Any) -> None:
        if os.getpid() == self.process:
            if os.isatty(1):
                os.write(1, _SHOW_CURSOR)
            os.write(2, f"{LINE}\n".encode())
        os._exit(128 + number)


if is_command():
    stop_at_once()
