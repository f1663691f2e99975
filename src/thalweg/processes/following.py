"""Processes end with the one that started them, however it ended, kill -9 included.

A worker runs this file before all else.

It is run by its path, so that only the standard library is imported before the process follows its
parent: importing torch takes seconds, in which the parent may be killed.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

LOOK = 0.25  # seconds between looks for the parent


def follow_parent() -> None:
    """From now on this process, and those that it starts by multiprocessing, end within half a
    second of their parent's end.

    A thread waits for the end of the parent's pipe, which the system closes. Processes that the
    parent has forked may hold that pipe open, so the thread looks at the number of the parent, too,
    where the system gives orphans to another one. It ends a process that computes: only code that
    keeps Python's lock for long (no tensor operation does) is waited for.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(
            target=_follow, args=(parent, os.getppid()), name="follow", daemon=True
        ).start()


def _follow(parent: Any, number: int) -> None:
    while os.getppid() == number and not wait([parent.sentinel], LOOK):
        pass
    end(1)


def end(code: int) -> None:
    """Ends this process and those that it started by multiprocessing (loaders' workers), at
    once.
    """
    with suppress(Exception):  # the main thread may be starting one
        for child in multiprocessing.active_children():
            child.kill()
    os._exit(code)


class Following:
    """What a DataLoader's workers run first: they follow their parent, then do what the user wants.

    Args:
        own: The user's `worker_init_fn`.
    """

    def __init__(self, own: Callable[[int], Any] | None) -> None:
        self.own = own

    def __call__(self, number: int) -> None:
        """In worker `number`."""
        follow_parent()
        if self.own is not None:
            self.own(number)


def run(connection: Connection) -> None:
    """What a worker of `processes.crew` does from its start to its end."""
    follow_parent()
    from thalweg.processes.worker import serve

    serve(connection)
    end(0)


if __name__ == "thalweg worker":
    run(globals()["connection"])
