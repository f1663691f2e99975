"""Packed-Ensembles: several narrow networks in the place of one, trained together.
Laurent et al. 2023, arXiv 2210.09184.

It is a method to compare with, trained from scratch in one run; it explores nothing. Each of M
members has alpha / M of the network's hidden channels (`graph.narrowing`; gamma is 1), and all see
the same mini-batches. The paper packs them into one network of grouped convolutions; M narrow
networks side by side are the same function and the same work.

Deviations: the loss is the sum over members, so that each has the gradients, weight decay and
clipping that it would have alone; the published code takes the mean, which divides their learning
rate by M.

`trainings` is alpha^2 / M, what the work would be if all layers were hidden ones. The meter is
charged with measured operations, and these may be far more where the first and last layers
dominate, since each member reads all inputs and gives all outputs: with the defaults 1.8 trainings
for the package's mlp on 28 x 28 pixels, 4.0 for a single layer. Predictions are metered in the
returned problem, in evaluations of a narrow network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from thalweg.baselines.base import Baseline, register_baseline
from thalweg.errors import check_range, whole
from thalweg.meter import Cost, Meter
from thalweg.narrow.flops import flops
from thalweg.narrow.training import narrow_factory
from thalweg.training.loop import Loss
from thalweg.training.problem import Problem
from thalweg.trees import Inputs
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights


@register_baseline("packed-ensemble")
@dataclass(frozen=True)
class PackedEnsemble(Baseline):
    """Narrow members. Cost: alpha^2 / members or more, see the module.

    Attributes:
        members: The number of members; the paper's 4.
        alpha: The hidden channels of all members over those of the network; the paper's 2.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> narrow, members = PackedEnsemble(members=2, alpha=1.0).train(problem)
        >>> members.size
        2
    """

    family: ClassVar[str] = "embedded"

    members: int = 4
    alpha: float = 2.0

    def __post_init__(self) -> None:
        whole("packed-ensemble.members", self.members, 1)
        check_range("packed-ensemble.alpha", self.alpha, 1e-9, self.members)

    @property
    def trainings(self) -> float:
        return self.alpha**2 / self.members

    @property
    def size(self) -> int:
        return self.members

    def train(self, problem: Problem) -> tuple[Problem, Members]:
        problem.check_batches(self)
        model = narrow_factory(problem, self.alpha / self.members)
        narrow = replace(
            problem, model=model, meter=Meter(), networks=None, cache=None, identity=""
        )
        networks = [narrow.build("packed-ensemble", k) for k in range(self.members)]
        narrow.fit(
            SideBySide(networks),
            replace(problem.recipe, clip=None),
            "packed-ensemble",
            loss=_summed(problem.criterion),
            before_step=_clipped(networks, problem.recipe.clip),
        )
        examples = round(narrow.cost.backward_examples * flops(narrow) / flops(problem))
        seconds, memory = narrow.cost.seconds, narrow.cost.peak_memory
        problem.meter.charge(Cost(backward_examples=examples, seconds=seconds, peak_memory=memory))
        return narrow, Members(tuple(Weights.of(network) for network in networks))


class SideBySide(nn.Module):
    """Several networks as one module, `[batch, ...]` to `[members, batch, classes]`."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Inputs) -> Tensor:
        return torch.stack([network(x) for network in self.networks])


def _summed(loss: Loss) -> Loss:
    return lambda outputs, targets: torch.stack([loss(part, targets) for part in outputs]).sum()


def _clipped(networks: Sequence[nn.Module], largest: float | None) -> Callable[[], None] | None:
    """A function that limits the norm of each member's own gradient."""
    if largest is None:
        return None

    def clip() -> None:
        for network in networks:
            nn.utils.clip_grad_norm_(network.parameters(), largest)

    return clip
