"""Ctrl-C and SIGTERM end the command line at once, with one line, even while torch is imported.

Nothing has to be tidied up: files appear whole or not at all, and workers end with this process.
Jobs on other machines, which do not, are ended by who sent them (`before_stopping`). No
exception is raised, because networks, libraries and destructors might swallow it or print lines of
their own.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

STOPPED = 130  # exit code after Ctrl-C; 143 after SIGTERM
LINE = "stopped: what is done is stored, the same command goes on from there"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h\n"  # progress bars hide it


_before: list[Callable[[], None]] = []


@contextmanager
def before_stopping(end: Callable[[], None]) -> Iterator[None]:
    """Calls a function before the command line ends at once, as long as the block lasts: it ends
    what would otherwise go on elsewhere.
    """
    _before.append(end)
    try:
        yield
    finally:
        _before.remove(end)


def is_command() -> bool:
    """Whether this process is `thalweg ...` or `python -m thalweg.cli ...`, not a child of it."""
    by_name = Path(sys.argv[0]).stem == "thalweg" if sys.argv else False
    pairs = zip(sys.orig_argv, sys.orig_argv[1:], strict=False)
    by_module = ("-m", "thalweg.cli") in pairs
    return (by_name or by_module) and multiprocessing.parent_process() is None


def stop_at_once() -> None:
    """Makes Ctrl-C and SIGTERM end this process at once.

    A signal that the process ignores stays ignored: a shell's background job ignores Ctrl-C.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _Stop(os.getpid()))


@contextmanager
def stopping_at_once() -> Iterator[None]:
    """Makes Ctrl-C and SIGTERM end this process at once, as long as the block lasts.

    In another thread than the main one it changes nothing, because only the main thread handles
    signals.
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
    """The handler of both signals: it prints one line and ends the process.

    Args:
        process: The process that prints the line. Processes that it forks end silently.
    """

    def __init__(self, process: int) -> None:
        self.process = process

    def __call__(self, number: int, _: Any) -> None:
        if os.getpid() == self.process:
            if os.isatty(1):
                os.write(1, _SHOW_CURSOR)
            os.write(2, f"{LINE}\n".encode())
            for end in _before:
                with suppress(Exception):
                    end()
        os._exit(128 + number)


if is_command():
    stop_at_once()
