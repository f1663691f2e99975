"""Weight distributions: the contract that everything explored fulfils, the finite ones, storage."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from thalweg import files
from thalweg.errors import InputError, unknown
from thalweg.places import Place
from thalweg.seeds import derive, generator
from thalweg.weights.masks import Masks
from thalweg.weights.point import Weights


class WeightDistribution(ABC):
    """A distribution over networks' weights: weights can be drawn from it.

    Subclasses are final and register themselves for `load`.
    """

    kinds: ClassVar[dict[str, type["WeightDistribution"]]] = {}

    def __init_subclass__(cls) -> None:
        WeightDistribution.kinds[cls.__name__] = cls

    @property
    @abstractmethod
    def size(self) -> int | None:
        """The number of different weights; None where there are infinitely many."""

    @abstractmethod
    def draw(self, n: int, *, seed: int) -> Iterator[Weights]:
        """Draws n weights, one after the other. The same seed gives the same weights."""

    @abstractmethod
    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that is stored: tensors by name, and settings that JSON can hold."""

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

    Example:
        >>> from torch import nn
        >>> members = Members(tuple(Weights.of(nn.Linear(2, 1)) for _ in range(3)))
        >>> members.size, len(list(members.draw(6, seed=0)))
        (3, 6)
    """

    points: tuple[Weights, ...]

    def __post_init__(self) -> None:
        if not self.points:
            raise InputError("Members got no weights, needs one or more")

    @property
    def size(self) -> int:
        return len(self.points)

    def draw(self, n: int, *, seed: int) -> Iterator[Weights]:
        """Draws whole rounds of all members in order, and the rest without replacement.

        So every member comes up equally often.
        """
        rounds, rest = divmod(n, len(self.points))
        shuffled = torch.randperm(len(self.points), generator=generator(seed, "members"))
        for i in [*list(range(len(self.points))) * rounds, *sorted(shuffled[:rest].tolist())]:
            yield self.points[i]

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return pack(self.points), {}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "Members":
        return cls(unpack(tensors))


@dataclass(frozen=True)
class Mixture(WeightDistribution):
    """An equal mixture of several distributions, such as an ensemble of simplexes.

    Attributes:
        parts: The distributions. At least one.

    Example:
        >>> from torch import nn
        >>> first, second = (Members((Weights.of(nn.Linear(2, 1)),)) for _ in range(2))
        >>> Mixture((first, second)).size
        2
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
        """Draws n / parts weights per part, one more from the first ones if n leaves a rest."""
        for i, part in enumerate(self.parts):
            share = n // len(self.parts) + (i < n % len(self.parts))
            yield from part.draw(share, seed=derive(seed, "part", i))

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        stored = [part.tensors() for part in self.parts]
        tensors = {
            f"{i}:{name}": t for i, (named, _) in enumerate(stored) for name, t in named.items()
        }
        kinds = [type(part).__name__ for part in self.parts]
        return tensors, {"parts": [[kind, s] for kind, (_, s) in zip(kinds, stored, strict=True)]}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "Mixture":
        parts = []
        for i, (kind, part_settings) in enumerate(settings["parts"]):
            prefix = f"{i}:"
            part_tensors = {
                name.removeprefix(prefix): t
                for name, t in tensors.items()
                if name.startswith(prefix)
            }
            parts.append(WeightDistribution.kinds[kind].from_tensors(part_tensors, part_settings))
        return cls(tuple(parts))


def save(distribution: WeightDistribution, path: str | Place, *, key: str | None = None) -> None:
    """Stores a weight distribution as one safetensors file, whole or not at all.

    Args:
        distribution: What an explorer returned, or Members.
        path: The file; `~` is the home folder.
        key: What the file belongs to, which `load` checks. A study gives each network a key, so
            that none is taken for another.

    Example:
        >>> import tempfile
        >>> from torch import nn
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(Members((Weights.of(nn.Linear(2, 1)),)), f"{folder}/members.safetensors")
        ...     load(f"{folder}/members.safetensors").size
        1
    """
    tensors, settings = distribution.tensors()
    facts = {"kind": type(distribution).__name__, "settings": settings}
    if key is not None:
        facts["key"] = key
    files.write_tensors(files.given(path), tensors, facts)


def load(path: str | Place, *, key: str | None = None) -> WeightDistribution:
    """Reads what `save` wrote.

    Args:
        path: The file; `~` is the home folder.
        key: What the file must belong to; None for anything.

    Raises:
        InputError: The file is missing, damaged, belongs to something else, or holds something
            else; the message names its format.

    Example:
        >>> load("nowhere.safetensors")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        thalweg.errors.InputError: nowhere.safetensors: no such file
    """
    tensors, metadata = files.read_tensors(files.given(path))
    if key is not None and metadata.get("key") != key:
        raise InputError(
            f"{path} belongs to {metadata.get('key') or 'nothing that it names'}, needs {key}"
        )
    kind = metadata.get("kind")
    if kind is None:
        raise InputError(
            f"{path} holds no weight distribution: give a file that thalweg.save wrote, or, of a "
            f"network's weights, Problem(networks='{path}')"
        )
    if not isinstance(kind, str) or kind not in WeightDistribution.kinds:
        raise InputError(
            f"{path}: {unknown('weight distribution', str(kind), WeightDistribution.kinds)}"
        )
    try:
        distribution = WeightDistribution.kinds[kind].from_tensors(tensors, metadata["settings"])
        next(distribution.draw(1, seed=0))  # fails here where parts do not fit together
    except Exception as error:  # a stranger's file may name and lack anything
        raise InputError(
            f"{path} holds no whole {kind} ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:120]}): give a file that thalweg.save wrote"
        ) from None
    return distribution


def pack(points: Sequence[Weights]) -> dict[str, Tensor]:
    """Weights as one flat dictionary, with keys such as `0|params|conv.weight`."""
    packed = {}
    for i, point in enumerate(points):
        parts = {"params": point.params, "buffers": point.buffers, "stale": point.stale}
        for part, tensors in parts.items():
            if tensors is not None:
                packed[f"{i}|{part}|"] = torch.zeros(1)  # the part is there, even if it is empty
                packed |= {f"{i}|{part}|{name}": t for name, t in tensors.items()}
        if point.masks is not None:
            packed[f"{i}|masks|seed"] = torch.tensor(point.masks.seed)
            if point.masks.rate is not None:
                packed[f"{i}|masks|rate"] = torch.tensor(point.masks.rate, dtype=torch.float64)
    return packed


def unpack(packed: Mapping[str, Tensor]) -> tuple[Weights, ...]:
    """The inverse of `pack`."""
    points: dict[int, dict[str, dict[str, Tensor]]] = {}
    for key, tensor in packed.items():
        i, part, name = key.split("|", 2)
        tensors = points.setdefault(int(i), {}).setdefault(part, {})
        if name:
            tensors[name] = tensor
    return tuple(
        Weights(p["params"], p.get("buffers"), p.get("stale"), _masks(p.get("masks")))
        for _, p in sorted(points.items())
    )


def _masks(packed: Mapping[str, Tensor] | None) -> Masks | None:
    if packed is None:
        return None
    return Masks(int(packed["seed"]), float(packed["rate"]) if "rate" in packed else None)
