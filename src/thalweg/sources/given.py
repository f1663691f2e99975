"""The design of trainings that were done elsewhere, recognised by their levels."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from math import prod
from typing import Any

from thalweg.errors import InputError
from thalweg.sources.design import Design, Kind, check_factors


def design_of(levels: Mapping[str, Sequence[Any]] | Any) -> Design:
    """The design that trainings have, where it is one that can be analysed.

    Args:
        levels: For each source, its level (a seed, say) in every training, in the order of the
            predictions: a mapping or a table with a column for each source. Trainings with the
            levels of the first one are its repetitions, and come last.

    Raises:
        InputError: The levels are of no balanced design.

    Example:
        >>> design_of({"init": [7, 7, 8, 8], "order": [1, 2, 1, 2]}).kind
        'crossed'
    """
    names = [str(name) for name in levels]
    columns = [list(levels[name]) for name in levels]
    check_factors(names)
    lengths = {len(column) for column in columns}
    if len(lengths) > 1 or lengths == {0}:
        raise InputError(
            f"levels got columns of {', '.join(map(str, sorted(lengths)))} trainings, needs a "
            "level of each source for every training"
        )
    found = [_numbered(column) for column in columns]
    rows = [tuple(row) for row in zip(*found, strict=True)]
    first = rows[0]
    own = [row for row in rows if row != first]
    repeats = len(rows) - len(own) - 1
    if any(row != first for row in rows[len(own) + 1 :]):
        raise InputError(
            "levels got repetitions of the first training among the others: give them last"
        )
    kind = _kind([first, *own])
    return Design(tuple(names), kind, (first, *own), repeats)


def _numbered(column: Sequence[Hashable]) -> list[int]:
    """Levels as numbers from 0, in the order in which they appear."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(level, len(numbers)) for level in column]


def _kind(rows: list[tuple[int, ...]]) -> Kind:
    if len(set(rows)) < len(rows):
        raise InputError(
            "levels got two trainings with the same levels, beside those of the first: repeat the "
            "first one only, or leave one of both out"
        )
    counts = [len(set(column)) for column in zip(*rows, strict=True)]
    if min(counts) < 2:
        raise InputError("levels got a source with one level, needs two or more: leave it out")
    if len(rows) == prod(counts):
        return "crossed"
    if all(sum(map(bool, row)) <= 1 for row in rows):  # the first row is (0, 0, ...)
        return "one-factor"
    if len(counts) <= counts[0] and all(
        len(rows) == counts[i] * counts[j] == len({(row[i], row[j]) for row in rows})
        for i, j in combinations(range(len(counts)), 2)
    ):
        return "latin"
    raise InputError(
        f"levels got {len(rows)} trainings of {', '.join(map(str, counts))} levels, which are no "
        "balanced design: needs every combination of levels once (crossed), every two sources "
        "crossed once and no fewer levels than sources (latin), or one source varied at a time "
        "(one-factor)"
    )
