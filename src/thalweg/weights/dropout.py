"""A network with dropout as a distribution over weights: only the masks differ between draws."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from thalweg.errors import check_range
from thalweg.seeds import derive
from thalweg.weights.distribution import WeightDistribution, pack, unpack
from thalweg.weights.masks import Masks
from thalweg.weights.point import Weights


@dataclass(frozen=True)
class Dropped(WeightDistribution):
    """A trained network whose units are dropped at random.

    Attributes:
        mean: The network. Its buffers are valid at every draw.
        rate: The probability that a unit is dropped, as in `weights.masks`; None for whatever the
            network itself drops when it trains.
    """

    mean: Weights
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.rate is not None:
            check_range("Dropped.rate", self.rate, 0, 1)

    @property
    def size(self) -> None:
        return None

    def draw(self, n: int, *, seed: int) -> Iterator[Weights]:
        for i in range(n):
            yield replace(self.mean, masks=Masks(derive(seed, "dropped", i), self.rate))

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return pack([self.mean]), {"rate": self.rate}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "Dropped":
        return cls(unpack(tensors)[0], settings["rate"])
