"""Designs: which trainings share what, so that the sources of retraining uncertainty can be told
apart.

Fisher 1935 (The Design of Experiments); Searle, Casella and McCulloch 1992 (Variance Components).
All levels are drawn at random, so that the model is one of random effects.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Literal, get_args

from thalweg.errors import InputError, unknown, whole
from thalweg.sources.orthogonal import SIZES, orthogonal_array
from thalweg.training.sources import Source

Kind = Literal["latin", "crossed", "one-factor"]
JOINT = "+"
LARGEST = 50  # levels of a source in a crossed design


@dataclass(frozen=True)
class Design:
    """The trainings of a budget of sources.

    Attributes:
        factors: What is varied: sources, or several that vary together, as `order+augmentation`.
        kind: `crossed` has every combination of levels once (a full factorial design): it tells
            each source and each interaction. `latin` has some of them, so that every two sources
            are crossed (an orthogonal array of strength 2; a Latin square of three): it tells each
            source, and all interactions together. `one-factor` varies one source at a time, and
            holds the others at level 0: it tells what each source changes with its interactions
            (its total effect), and not what interactions are.
        levels: The level of each factor in each training `[trainings][factors]`.
        repeats: How often the first training is done again, with the same seeds.

    Example:
        >>> design = Design.of(("init", "order", "data"), trainings=30, kind="latin")
        >>> print(design)
        latin square design of init (5 levels), order (5 levels) and data (5 levels): 25 trainings \
and 1 repetition
        >>> design.levels[6]
        (1, 1, 2)
    """

    factors: tuple[str, ...]
    kind: Kind
    levels: tuple[tuple[int, ...], ...]
    repeats: int = 1

    @staticmethod
    def of(
        factors: Sequence[str],
        trainings: int,
        kind: Kind = "latin",
        levels: Mapping[str, int] | None = None,
        repeats: int = 1,
    ) -> "Design":
        """The largest balanced design of so many trainings.

        Args:
            factors: What is varied, each once.
            trainings: How many trainings at most, repetitions among them.
            kind: The kind of design.
            levels: The number of levels of each factor, instead of a choice; of a latin design one
                number, the same for all.
            repeats: How often one training is done again with the same seeds.

        Raises:
            InputError: A factor is no source, or named twice; or the trainings are too few, in
                which case it says how many are needed.
        """
        if kind not in get_args(Kind):
            raise unknown("design", kind, get_args(Kind))
        check_factors(factors)
        factors = tuple(factors)
        whole("trainings", trainings, 1)
        whole("repeats", repeats, 0)
        counts = _given(factors, levels) if levels else _chosen(factors, trainings - repeats, kind)
        design = Design(factors, kind, tuple(_rows(counts, kind)), repeats)
        if design.trainings > trainings:
            raise InputError(
                f"trainings got {trainings}, and this {kind} design needs {design.trainings} "
                f"({repeats} of them repeated): give trainings={design.trainings}, or fewer levels"
            )
        return design

    @property
    def trainings(self) -> int:
        """How many trainings it has, repetitions among them."""
        return len(self.levels) + self.repeats

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """The number of levels of each factor."""
        return tuple(len(set(column)) for column in zip(*self.levels, strict=True))

    @property
    def sources(self) -> tuple[str, ...]:
        """All sources that are varied, alone or together with others."""
        return tuple(source for factor in self.factors for source in factor.split(JOINT))

    def combinations(self) -> Iterator[tuple[dict[str, int], int]]:
        """Each training: the level of every source, and whether it is the first (0), or the n-th
        repetition of the first training.
        """
        for row in self.levels:
            yield self._by_source(row), 0
        for again in range(1, self.repeats + 1):
            yield self._by_source(self.levels[0]), again

    def _by_source(self, row: tuple[int, ...]) -> dict[str, int]:
        return {
            source: level
            for factor, level in zip(self.factors, row, strict=True)
            for source in factor.split(JOINT)
        }

    def __str__(self) -> str:
        title = {"latin": "latin square", "crossed": "crossed", "one-factor": "one-factor"}
        told = [f"{f} ({n} levels)" for f, n in zip(self.factors, self.counts, strict=True)]
        listed = told[0] if len(told) == 1 else ", ".join(told[:-1]) + " and " + told[-1]
        repeated = f" and {self.repeats} repetition{'s' * (self.repeats > 1)}"
        return (
            f"{title[self.kind]} design of {listed}: {len(self.levels)} trainings"
            f"{repeated if self.repeats else ''}"
        )


def check_factors(factors: Sequence[str]) -> None:
    """Checks that factors are sources, each named once.

    Raises:
        InputError: They are not, or there are none.
    """
    sources = [source for factor in factors for source in str(factor).split(JOINT)]
    if isinstance(factors, str) or not sources:
        raise InputError(f"sources got {factors!r}, needs names, such as ('init', 'order')")
    for source in sources:
        if source not in get_args(Source):
            raise unknown("source", source, get_args(Source))
    twice = sorted({source for source in sources if sources.count(source) > 1})
    if twice:
        raise InputError(f"sources got {', '.join(twice)} twice: name each once")


def _given(factors: tuple[str, ...], levels: Mapping[str, int]) -> tuple[int, ...]:
    """The numbers of levels that a user gave."""
    if set(levels) != set(factors):
        raise InputError(
            f"levels got {', '.join(map(str, levels)) or 'nothing'}, needs a number for each of "
            f"{', '.join(factors)}"
        )
    for factor in factors:
        whole(f"levels[{factor!r}]", levels[factor], 2)
    return tuple(levels[factor] for factor in factors)


def _chosen(factors: tuple[str, ...], trainings: int, kind: Kind) -> tuple[int, ...]:
    """The numbers of levels of the largest design of so many trainings."""
    count, most = len(factors), max(trainings, 0)
    if kind == "one-factor":
        extra, more = divmod(max(most - 1, 0), count)
        counts = tuple(1 + extra + (place < more) for place in range(count))
        return counts if extra else (2,) * count
    if kind == "latin":
        sizes = [size for size in SIZES if size >= max(count, 2)]
        return (max([s for s in sizes if s * s <= most], default=sizes[0]),) * count
    return _most_crossed(count, most)


def _most_crossed(count: int, most: int) -> tuple[int, ...]:
    """Levels with the most degrees of freedom for the smallest mean square, and then as equal as
    can be; the first factors have more where they differ.
    """
    best, worth = (2,) * count, -1.0

    def extend(done: tuple[int, ...], left: int) -> None:
        nonlocal best, worth
        if len(done) == count:
            value = prod(n - 1 for n in done) - 1e-3 * (max(done) - min(done))
            if value > worth:
                best, worth = done, value
            return
        highest = min(done[-1] if done else LARGEST, left // 2 ** (count - len(done) - 1))
        for levels in range(2, highest + 1):
            extend((*done, levels), left // levels)

    extend((), most)
    return best


def _rows(counts: tuple[int, ...], kind: Kind) -> Iterable[tuple[int, ...]]:
    if kind == "crossed":
        return product(*(range(count) for count in counts))
    if kind == "latin":
        _check_latin(counts)
        return orthogonal_array(counts[0], len(counts))
    moved = (
        tuple(level * (place == moving) for place in range(len(counts)))
        for moving, count in enumerate(counts)
        for level in range(1, count)
    )
    return ((0,) * len(counts), *moved)


def _check_latin(counts: tuple[int, ...]) -> None:
    if len(counts) < 2:
        raise InputError("a latin design got one source, needs two or more: use 'one-factor'")
    fits = [size for size in SIZES if size >= len(counts)]
    if len(set(counts)) > 1 or counts[0] not in fits:
        raise InputError(
            f"a latin design of {len(counts)} sources got {', '.join(map(str, counts))} levels, "
            f"needs one number for all, of {', '.join(map(str, fits))}"
        )
