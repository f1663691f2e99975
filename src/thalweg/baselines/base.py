"""Baselines: ensembles of other networks than the problem's own, which are made of it and trained.

Rows of the comparison, no explorers.

They explore no landscape: they change the network instead, and train that. Most start from scratch;
one that is built about a trained network declares so by its `anchors`.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from thalweg.registry import Registry
from thalweg.training.problem import Problem
from thalweg.weights.distribution import WeightDistribution


class Baseline(ABC):
    """A method that converts a problem's network into an ensemble of its own kind, and trains it.

    Subclasses are frozen dataclasses whose fields all have defaults. One file each, registered by
    `@register_baseline("name")`. What a class is, it declares as an explorer does
    (`thalweg.explorers.base`), so that a `Method` takes either.
    """

    family: ClassVar[str] = "other"
    """How reports draw it: a key of `thalweg.report.families.LOOKS`."""

    retrainings: ClassVar[bool] = False
    """Whether its members are retrainings of the problem's own network: those of a baseline never
    are.
    """

    own_network: ClassVar[bool] = False
    """Whether its weights are weights of the problem's own network."""

    anchors: ClassVar[int] = 0
    """How many of the problem's anchors it starts from."""

    @property
    @abstractmethod
    def trainings(self) -> float:
        """The cost of one run, in trainings of the problem's network.

        The meter says what it did cost.
        """

    @property
    def size(self) -> int | None:
        """How many networks one run gives; None where that is not known before."""
        return None

    @abstractmethod
    def train(self, problem: Problem) -> tuple[Problem, WeightDistribution]:
        """Trains the ensemble. All work is metered in `problem.meter`.

        Returns:
            The problem to predict with, whose network may be another one, and the members:
            `predict(*baseline.train(problem), inputs)`.
        """

    def run(self, problem: Problem) -> tuple[Problem, WeightDistribution]:
        """Trains, and says what to predict with, as `Explorer.run` does."""
        return self.train(problem)


_registry = Registry[Baseline]("baseline", "thalweg.baselines")
register_baseline, baselines, find_baseline = _registry.register, _registry.all, _registry.find
