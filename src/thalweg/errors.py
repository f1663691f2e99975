"""What can go wrong, as the user is told: one line with what was got, what is needed and what to
do.
"""

import difflib
from collections.abc import Iterable
from numbers import Integral, Real


class InputError(ValueError):
    """Something that the user gave can't be used.

    The command line prints it as one line and ends with exit code 2.

    The line quotes what was given, a stranger's file perhaps: line ends and other characters that a
    terminal would follow become spaces, and it ends after 900 characters.
    """

    def __init__(self, message: str) -> None:
        line = "".join(c if c.isprintable() else " " for c in message)
        super().__init__(line if len(line) <= 900 else f"{line[:899]}…")


class Diverged(RuntimeError):
    """A training whose loss is no longer finite.

    It stops at once; a study records the run as failed and goes on.
    """


class WorkerDied(RuntimeError):
    """A worker process ended without a result, as when memory runs out. What is done is stored."""


def unknown(kind: str, got: str, known: Iterable[str]) -> InputError:
    """An error for a name that isn't known, with the nearest known name.

    Example:
        >>> print(unknown("explorer", "swagg", ["swag", "spro"]))
        unknown explorer 'swagg': did you mean 'swag'? (known: spro, swag)
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(got), names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return InputError(f"unknown {kind} '{got}': {hint}(known: {', '.join(names)})")


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Checks a setting.

    Raises:
        InputError: It is not in low .. high, or no finite number.
    """
    number = isinstance(value, Real) and not isinstance(value, bool)  # NumPy's numbers, too
    if not number or not low <= value <= high or value == float("inf"):
        needs = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
        raise InputError(f"{name} got {value!r}, needs {needs}")


def whole(name: str, value: int, low: int) -> None:
    """Checks a setting that counts something.

    Raises:
        InputError: It is no whole number, or less than low.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
        raise InputError(f"{name} got {value!r}, needs a whole number, {low} or more")
