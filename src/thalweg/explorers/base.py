"""The contract of explorers, and the registry that finds them."""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TypeVar

from thalweg.errors import unknown
from thalweg.training.problem import Problem
from thalweg.weights.distribution import WeightDistribution


class Explorer(ABC):
    """A method that turns a problem into a distribution over weights.

    Subclasses are frozen dataclasses whose fields all have defaults. One file each, registered by `@explorer("name")`.
    """

    @property
    @abstractmethod
    def anchors(self) -> int:
        """How many anchors (`problem.anchor(0)`, `anchor(1)`, ...) it starts from."""

    @property
    @abstractmethod
    def trainings(self) -> float:
        """What one exploration will cost, in trainings, anchors included. The meter says what it did cost."""

    @abstractmethod
    def explore(self, problem: Problem) -> WeightDistribution:
        """Explores the landscape. All work is metered in `problem.meter`."""


_registry: dict[str, type[Explorer]] = {}
E = TypeVar("E", bound=type[Explorer])


def explorer(name: str) -> Callable[[E], E]:
    """Class decorator: registers an explorer under the name that plans and the command line use."""

    def register(cls: E) -> E:
        _registry[name] = cls
        return cls

    return register


def explorers() -> dict[str, type[Explorer]]:
    """Every known explorer by name: each file in this folder, and the entry points `thalweg.explorers` of other packages."""
    for module in pkgutil.iter_modules(importlib.import_module("thalweg.explorers").__path__):
        importlib.import_module(f"thalweg.explorers.{module.name}")
    for point in entry_points(group="thalweg.explorers"):
        point.load()
    return dict(sorted(_registry.items()))


def find_explorer(name: str) -> type[Explorer]:
    """The explorer of a name.

    Raises:
        InputError: There is none; the error suggests the nearest.
    """
    known = explorers()
    if name not in known:
        raise unknown("explorer", name, known)
    return known[name]
