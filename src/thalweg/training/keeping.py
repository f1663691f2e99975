"""Trained networks, kept: in memory, and between runs in a cache."""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch

from thalweg.meter import Cost, Meter
from thalweg.training.recipe import Recipe
from thalweg.weights.point import Weights


class Cache(Protocol):
    """Where trained networks are kept between runs."""

    def get(self, key: str) -> tuple[Weights, Cost] | None:
        """The network of a key with what its training cost, or None."""

    def put(self, key: str, weights: Weights, cost: Cost) -> None:
        """Keeps a network."""


@dataclass(eq=False)
class Kept:
    """The trained networks of one problem, by the number of the training.

    Attributes:
        device: The device that networks are brought to; a cache on disk gives them on the CPU.
        networks: The networks in memory, each with what its training cost.
        uncharged: The numbers of those that were trained here and have not been used yet.
        ends: Of trainings by a user's function, the state of torch's random generators afterwards.
    """

    device: str
    networks: dict[int, tuple[Weights, Cost]] = field(default_factory=dict)
    uncharged: set[int] = field(default_factory=set)
    ends: dict[int, str] = field(default_factory=dict)

    def ended(self, k: int, state: object) -> None:
        """Notes the state of torch's random generators after the k-th training by a user's
        function, and warns where it is that after another one: each began with another seed.
        """
        end = hashlib.sha256(repr(state).encode()).hexdigest()
        same = next((other for other, its in self.ends.items() if its == end and other != k), None)
        self.ends[k] = end
        if same is not None:
            warnings.warn(
                f"torch's random generator is in the same state after trainings {same} and {k}: "
                "the training function seeds it with a number of its own, so that what it draws "
                "from it (order, masks, augmentation) is not drawn anew, and u does not hold it; "
                "let it seed with what it is given, or not at all",
                stacklevel=2,
            )

    def find(self, k: int, cache: Cache | None, key: Callable[[int], str]) -> bool:
        """Whether the k-th network is in memory, where it is brought from the cache."""
        if k not in self.networks and cache is not None:
            cached = cache.get(key(k))
            if cached is not None:
                weights, cost = cached
                self.networks[k] = weights.to(self.device), cost
        return k in self.networks

    def put(self, k: int, weights: Weights, cost: Cost) -> None:
        """Keeps the k-th network, trained just now; it is charged when it is used."""
        self.networks[k] = weights.to(self.device), cost
        self.uncharged.add(k)

    def use(self, k: int, meter: Meter, name: Any) -> Weights:
        """The k-th network, charged to a meter under a name: once per result that uses it."""
        weights, cost = self.networks[k]
        meter.charge(cost, name, done=k in self.uncharged)
        self.uncharged.discard(k)
        return weights


def key_of(
    identity: str,
    recipe: Recipe,
    sources: Sequence[str],
    seed: int,
    k: Any,
    device: str,
    loss: list[str | None] | None,
) -> str:
    """A short name of everything that can change a training.

    Args:
        identity: The name of data and network.
        recipe: The recipe.
        sources: What a retraining draws anew.
        seed: The problem's seed.
        k: The number of the training, or the levels of its sources.
        device: The device. Only its kind counts: `cuda:1` trains as `cuda:0` does.
        loss: What identifies a loss of the user's, and whatever else is not usual; or None.
    """
    kind = torch.device(device).type
    facts = [identity, asdict(recipe), sorted(sources), seed, k, kind, *(loss or ())]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]


def warn_not_kept(name: str) -> None:
    """Warns that trained networks are not kept, since something has no identity.

    Args:
        name: What it is.
    """
    warnings.warn(
        f"the {name} holds something that can't be told from another of its kind, so that trained "
        "networks are not kept in the cache: give a function or module of plain settings and "
        "tensors",
        stacklevel=4,
    )
