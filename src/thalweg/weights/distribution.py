"""Weight distributions: the contract that everything explored fulfils, the finite ones, and how
they are stored.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from thalweg import files
from thalweg.errors import InputError, unknown
from thalweg.seeds import derive, generator
from thalweg.weights.masks import Masks
from thalweg.weights.point import Weights


class WeightDistribution(ABC):
    """Something that weights can be drawn from.

    Subclasses are final and register themselves for `load`.
    """

    kinds: ClassVar[dict[str, type["WeightDistribution"]]] = {}

    def __init_subclass__(cls) -> None:
        WeightDistribution.kinds[cls.__name__] = cls

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many different weights there are; None where there are infinitely many."""

    @abstractmethod
    def draw(self, n: int, *, seed: int) -> Iterator[Weights]:
        """Draws n weights, one after the other. The same seed gives the same weights."""

    @abstractmethod
    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything to be stored: tensors by name, and settings that JSON can hold."""

    @classmethod
    @abstractmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> "WeightDistribution":
        """The inverse of `tensors`."""


@dataclass(frozen=True)
class Members(WeightDistribution):
    """A finite set of trained networks, all equally likely.

    Attributes:
        points: The members. At least one.
    """

    points: tuple[Weights, ...]

    def __post_init__(self) -> None:
        if not self.points:
            raise InputError("Members got no weights, needs one or more")

    @property
    def size(self) -> int:
        return len(self.points)

    def draw(self, n: int, *, seed: int) -> Iterator[Weights]:
        """Whole rounds of all members in order, then a random part of a round: every member comes
        up equally often.
        """
        rounds, rest = divmod(n, len(self.points))
        chosen = (
            torch.randperm(len(self.points), generator=generator(seed, "members"))[:rest]
            .sort()
            .values.tolist()
        )
        for i in list(range(len(self.points))) * rounds + chosen:
            yield self.points[i]

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return pack(self.points), {}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "Members":
        return cls(unpack(tensors))


@dataclass(frozen=True)
class Mixture(WeightDistribution):
    """Several distributions with equal shares, as an ensemble of simplexes.

    Attributes:
        parts: The distributions. At least one.
    """

    parts: tuple[WeightDistribution, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise InputError("Mixture got no distribution, needs one or more")

    @property
    def size(self) -> int | None:
        sizes = [part.size for part in self.parts]
        return None if None in sizes else sum(s for s in sizes if s is not None)

    def draw(self, n: int, *, seed: int) -> Iterator[Weights]:
        """Each part gives n / parts draws; the first ones give one more where that is no whole
        number.
        """
        for i, part in enumerate(self.parts):
            share = n // len(self.parts) + (i < n % len(self.parts))
            yield from part.draw(share, seed=derive(seed, "part", i))

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        stored = [part.tensors() for part in self.parts]
        tensors = {f"{i}:{name}": t for i, (own, _) in enumerate(stored) for name, t in own.items()}
        return tensors, {
            "parts": [[type(p).__name__, s] for p, (_, s) in zip(self.parts, stored, strict=True)]
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "Mixture":
        parts = []
        for i, (kind, own) in enumerate(settings["parts"]):
            mine = {
                name.split(":", 1)[1]: t
                for name, t in tensors.items()
                if name.split(":", 1)[0] == str(i)
            }
            parts.append(WeightDistribution.kinds[kind].from_tensors(mine, own))
        return cls(tuple(parts))


def save(distribution: WeightDistribution, path: str | Path, *, key: str | None = None) -> None:
    """Stores a weight distribution as one safetensors file, whole or not at all.

    Args:
        distribution: What an explorer returned, or Members.
        path: Of the file; `~` is the home folder.
        key: What it belongs to, for `load`; a study's networks have one each, so that none is taken
            for another.
    """
    tensors, settings = distribution.tensors()
    facts = {"kind": type(distribution).__name__, "settings": settings} | (
        {} if key is None else {"key": key}
    )
    files.write_tensors(files.given(path), tensors, facts)


def load(path: str | Path, *, key: str | None = None) -> WeightDistribution:
    """Reads what `save` wrote.

    Args:
        path: Of the file; `~` is the home folder.
        key: What it must belong to; None for anything.

    Raises:
        InputError: The file is missing, damaged, belongs to something else, or holds something
            else; the line names its format.
    """
    tensors, metadata = files.read_tensors(files.given(path))
    if key is not None and metadata.get("key") != key:
        raise InputError(
            f"{path} belongs to {metadata.get('key') or 'nothing that it names'}, needs {key}"
        )
    kind = metadata.get("kind")
    if kind is None:
        raise InputError(
            f"{path} holds no weight distribution: give a file that thalweg.save wrote, or a "
            "network's weights as Problem(initial_weights=safetensors.torch.load_file(path))"
        )
    if not isinstance(kind, str) or kind not in WeightDistribution.kinds:
        raise InputError(
            f"{path}: {unknown('weight distribution', str(kind), WeightDistribution.kinds)}"
        )
    try:
        found = WeightDistribution.kinds[kind].from_tensors(tensors, metadata["settings"])
        next(found.draw(1, seed=0))  # what does not fit together is found here
    except Exception as error:  # of a stranger's file, which may name and lack anything
        raise InputError(
            f"{path} holds no whole {kind} ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:120]}): give a file that thalweg.save wrote"
        ) from None
    return found


def pack(points: Sequence[Weights]) -> dict[str, Tensor]:
    """Weights as one flat dictionary: `0|params|conv.weight`."""
    packed = {}
    for i, point in enumerate(points):
        for part, tensors in (
            ("params", point.params),
            ("buffers", point.buffers),
            ("stale", point.stale),
        ):
            if tensors is not None:
                packed[f"{i}|{part}|"] = torch.zeros(
                    1
                )  # says that this part is there, even where it is empty
                packed |= {f"{i}|{part}|{name}": t for name, t in tensors.items()}
        if point.masks is not None:
            packed[f"{i}|masks|seed"] = torch.tensor(point.masks.seed)
            if point.masks.rate is not None:
                packed[f"{i}|masks|rate"] = torch.tensor(point.masks.rate, dtype=torch.float64)
    return packed


def unpack(packed: Mapping[str, Tensor]) -> tuple[Weights, ...]:
    """The inverse of `pack`."""
    found: dict[int, dict[str, dict[str, Tensor]]] = {}
    for key, tensor in packed.items():
        i, part, name = key.split("|", 2)
        own = found.setdefault(int(i), {}).setdefault(part, {})
        if name:
            own[name] = tensor
    return tuple(
        Weights(f["params"], f.get("buffers"), f.get("stale"), _masks(f.get("masks")))
        for _, f in sorted(found.items())
    )


def _masks(packed: Mapping[str, Tensor] | None) -> Masks | None:
    if packed is None:
        return None
    return Masks(int(packed["seed"]), float(packed["rate"]) if "rate" in packed else None)
