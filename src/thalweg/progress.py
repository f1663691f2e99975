"""Progress on a terminal: bars with the time that is left, for what takes longer than two
seconds.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

DELAY = 2.0  # seconds before anything is shown
_EVERY = 0.5


def bars(console: "Console", *, counted: bool) -> "Progress":
    """Progress bars in one look: with counts of what is done, or with a percentage."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn() if counted else TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # what others print stays theirs
    return Progress(*columns, console=console, redirect_stdout=counted, redirect_stderr=counted)


@contextmanager
def shown(title: str, done: Callable[[], float], *, wanted: bool = True) -> Iterator[None]:
    """Shows on a terminal's stderr how far the work inside is, from two seconds on.

    A thread of its own looks twice a second, so that the work need not tell.

    Args:
        title: What is done.
        done: Which share of it is, 0 to 1; called in another thread.
        wanted: Whether to show it.
    """
    if not wanted or not is_terminal():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_show, args=(title, done, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Counter:
    """Counts what is done of a known number.

    Example:
        >>> counter = Counter(4)
        >>> counter.tick()
        >>> counter.share()
        0.25
    """

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0

    def tick(self) -> None:
        """One more is done."""
        self.done += 1

    def share(self) -> float:
        """Which share is done, 0 to 1."""
        return self.done / self.total


def is_terminal() -> bool:
    """Whether somebody looks at stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


def _show(title: str, done: Callable[[], float], ended: threading.Event) -> None:
    if ended.wait(DELAY):
        return
    from rich.console import Console

    with bars(Console(stderr=True), counted=False) as progress:
        bar = progress.add_task(title, total=1.0)
        while not ended.wait(_EVERY):
            progress.update(bar, completed=min(done(), 1.0))
        progress.update(bar, completed=1.0)


def duration(seconds: float) -> str:
    """Returns a duration in words.

    Example:
        >>> duration(40), duration(180), duration(7500)
        ('40 s', '3 min', '2 h 05 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
