"""Errors as the user sees them: one line that says what was got, what is needed and what to do."""

import difflib
from collections.abc import Iterable
from numbers import Integral, Real


class InputError(ValueError):
    """The user gave something that can't be used.

    The command line prints the message as one line and ends with exit code 2. The message may quote
    a file of unknown origin, so line breaks and control characters are replaced by spaces, and it
    is cut after 900 characters.

    Example:
        >>> print(InputError(f"epochs got 0,{chr(10)}needs 1 or more"))
        epochs got 0, needs 1 or more
    """

    def __init__(self, message: str) -> None:
        line = "".join(c if c.isprintable() else " " for c in message)
        super().__init__(line if len(line) <= 900 else f"{line[:899]}…")


class TrainingFailed(RuntimeError):
    """A training came to no network: it diverged, or a user's training function raised.

    What was trained before it is kept. A study records the run as failed and goes on.
    """


class Diverged(TrainingFailed):
    """The loss of a training, or a weight, is no longer finite. The training stops at once."""


class WorkerDied(RuntimeError):
    """A worker process ended without a result, for example because memory ran out.

    The results of the runs that had finished are stored.
    """


def unknown(kind: str, got: str, known: Iterable[str]) -> InputError:
    """Returns the error for an unknown name; it suggests the nearest known one.

    Example:
        >>> print(unknown("explorer", "swagg", ["swag", "spro"]))
        unknown explorer 'swagg': did you mean 'swag'? (known: spro, swag)
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(got), names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return InputError(f"unknown {kind} '{got}': {hint}(known: {', '.join(names)})")


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Checks that a setting is a finite number in the range `low` to `high`, ends included.

    Raises:
        InputError: It is not.

    Example:
        >>> check_range("momentum", 0.9, 0, 1)
        >>> check_range("momentum", 1.5, 0, 1)
        Traceback (most recent call last):
        thalweg.errors.InputError: momentum got 1.5, needs 0 to 1
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)  # NumPy's numbers, too
    if not is_number or not low <= value <= high or value == float("inf"):
        needs = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
        raise InputError(f"{name} got {value!r}, needs {needs}")


def whole(name: str, value: int, low: int) -> None:
    """Checks that a setting is a whole number of at least `low`.

    Raises:
        InputError: It is not.

    Example:
        >>> whole("members", 2.5, 1)
        Traceback (most recent call last):
        thalweg.errors.InputError: members got 2.5, needs a whole number, 1 or more
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
        raise InputError(f"{name} got {value!r}, needs a whole number, {low} or more")
