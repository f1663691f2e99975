"""Emulators: from the predictions of a few networks to those of many retrainings."""

from thalweg.emulators.atlas import Atlas
from thalweg.emulators.base import Emulator, _registry
from thalweg.emulators.engression import Engression
from thalweg.emulators.forest import Forest
from thalweg.emulators.neighbours import Neighbours
from thalweg.emulators.observations import Observations
from thalweg.emulators.trivial import Trivial

__all__ = [
    "Atlas",
    "Engression",
    "Forest",
    "Neighbours",
    "Observations",
    "Trivial",
]


def __getattr__(name: str) -> type[Emulator]:
    return _registry.attribute(name)
