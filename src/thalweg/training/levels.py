"""Levels: trainings of a design, in which each source of randomness has a number of its own.

Of anchors all sources have the number of the anchor. In a design some share their initialisation,
say, and differ in the order of their batches. The source `s` at the level `l` draws what it draws
in the l-th anchor, so that a training whose sources are all at one level is that anchor.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Combination = Mapping[str, int]


@dataclass(eq=False)
class Levels:
    """The numbers of trainings, by the levels of their sources; it grows as it is asked.

    Example:
        >>> levels = Levels()
        >>> levels.number({"init": 1, "order": 0}), levels.number({"init": 1, "order": 0}, again=1)
        (0, 1)
        >>> levels.of(0, "init"), levels.of(0, "data")
        (1, 0)
    """

    _found: list[tuple[dict[str, int], int]] = field(default_factory=list)
    _numbers: dict[tuple[frozenset[tuple[str, int]], int], int] = field(default_factory=dict)

    def number(self, levels: Combination, again: int = 0) -> int:
        """Returns the number of a training.

        Args:
            levels: The level of each source; of others it is 0.
            again: 0 for the first training with these levels, 1 for its first repetition.
        """
        moved = {source: level for source, level in levels.items() if level}
        key = frozenset(moved.items()), again
        if key not in self._numbers:
            self._numbers[key] = len(self._found)
            self._found.append((moved, again))
        return self._numbers[key]

    def of(self, k: int, source: str) -> int:
        """Returns the level of a source in the k-th training."""
        return self._found[k][0].get(source, 0)

    def anchor(self, k: int, sources: tuple[str, ...]) -> int | None:
        """Returns the number of the anchor that the k-th training is; None where it is none."""
        (own, *others) = {self.of(k, source) for source in sources}
        return None if others or self._found[k][1] else own

    def name(self, k: int, sources: tuple[str, ...]) -> int | list[object]:
        """Returns what tells the k-th training from others of the same seed: the number of the
        anchor that it is, or all levels.
        """
        anchor = self.anchor(k, sources)
        if anchor is not None:
            return anchor
        levels = {source: self.of(k, source) for source in sorted(sources)}
        return [*levels.items(), self._found[k][1]]
