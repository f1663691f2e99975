"""Processes end with the process that started them, however it ended, even by kill -9.

A worker runs this file first. It is run by its path, so that only the standard library is imported
before the worker follows its parent: importing torch takes seconds, in which the parent may be
killed.
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
    """Ends this process, and the ones that it starts, within half a second of its parent's end.

    This concerns processes that are started by multiprocessing. A thread waits until the system
    closes the parent's pipe. Processes that the parent has forked may hold that pipe open, so the
    thread also looks at the parent's process id, which changes on systems that give orphans a new
    parent. The thread ends a process even while it computes, unless the code holds Python's lock
    for long, which no tensor operation does.
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
    """Ends this process and its children of multiprocessing (the loaders' workers) at once."""
    with suppress(Exception):  # the main thread may be starting one
        for child in multiprocessing.active_children():
            child.kill()
    os._exit(code)


class Following:
    """A `worker_init_fn` for a DataLoader, by which its workers follow their parent.

    Args:
        users: The user's own `worker_init_fn`, which is called afterwards; None if there is none.
    """

    def __init__(self, users: Callable[[int], Any] | None) -> None:
        self.users = users

    def __call__(self, number: int) -> None:
        """Runs in worker `number` when it starts."""
        follow_parent()
        if self.users is not None:
            self.users(number)


def run(connection: Connection) -> None:
    """Runs a worker of `processes.crew` from its start to its end."""
    follow_parent()
    from thalweg.processes.worker import serve

    serve(connection)
    end(0)


if __name__ == "thalweg worker":
    run(globals()["connection"])
