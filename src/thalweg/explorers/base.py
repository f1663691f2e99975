"""The contract of explorers, and the registry that finds them."""

from abc import ABC, abstractmethod
from typing import ClassVar

from thalweg.registry import Registry
from thalweg.training.problem import Problem
from thalweg.weights.distribution import WeightDistribution


class Explorer(ABC):
    """A method that turns a problem into a distribution over weights of the problem's network.

    Subclasses are frozen dataclasses whose fields all have defaults. One file each, registered by
    `@register_explorer("name")`. What a class is, it declares; a baseline declares the same
    (`thalweg.baselines.base`), so that a `Method` takes either.
    """

    family: ClassVar[str] = "other"
    """How reports draw it: a key of `thalweg.report.families.LOOKS`."""

    retrainings: ClassVar[bool] = False
    """Whether its members are the problem's anchors 0, 1, ... themselves, and so real
    retrainings.
    """

    own_network: ClassVar[bool] = True
    """Whether its weights are weights of the problem's own network."""

    looks: ClassVar[int] = 0
    """How many evaluations with a backward pass it needs beyond `trainings`, at most, however long
    a training is.
    """

    revision: ClassVar[int] = 0
    """Raised when a change of thalweg's code changes what the explorer finds: stored runs of
    studies are then done again. An explorer of another package needs none: each change of its file
    does that.
    """

    @property
    @abstractmethod
    def anchors(self) -> int:
        """How many anchors (`problem.anchor(0)`, `anchor(1)`, ...) it starts from."""

    @property
    @abstractmethod
    def trainings(self) -> float:
        """The expected cost of one exploration in trainings, anchors included.

        The meter says what it cost in fact.
        """

    @property
    def size(self) -> int | None:
        """The number of networks that one exploration gives.

        It is None for a distribution to draw from, or where the number is not known beforehand.
        """
        return None

    @abstractmethod
    def explore(self, problem: Problem) -> WeightDistribution:
        """Explores the landscape. All work is metered in `problem.meter`."""

    def run(self, problem: Problem) -> tuple[Problem, WeightDistribution]:
        """Explores, and says what to predict with: the problem as it is, and what was found."""
        return problem, self.explore(problem)


_registry = Registry[Explorer]("explorer", "thalweg.explorers")
register_explorer, explorers, find_explorer = _registry.register, _registry.all, _registry.find
