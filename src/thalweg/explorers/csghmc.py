"""Cyclical SGHMC: as cyclical SGLD, with momentum.
Zhang et al. 2020, arXiv 1902.03932.

Algorithm and deviations: `explorers._parts.sgmcmc`. The authors' code has a friction of 0.9, that
is a momentum of only 0.1.
"""

from dataclasses import dataclass

from thalweg.explorers.base import register_explorer
from thalweg.explorers.csgld import CyclicalSGLD
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members


@register_explorer("csghmc")
@dataclass(frozen=True)
class CyclicalSGHMC(CyclicalSGLD):
    """Samples from the ends of cycles, with momentum. Cost: budget.

    Attributes:
        cycles: As in CyclicalSGLD.
        samples: As in CyclicalSGLD.
        collect: As in CyclicalSGLD.
        noise: As in CyclicalSGLD.
        lr_ratio: As in CyclicalSGLD; the authors' 0.5 / 0.9 over 0.1 / (1 - 0.9), at half the
            batch.
        temperature: As in CyclicalSGLD.
        budget: As in CyclicalSGLD.
        momentum: One minus the friction; the authors' 1 - 0.9.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=4))
        >>> CyclicalSGHMC(cycles=2, samples=2).explore(problem).size
        4
    """

    lr_ratio: float = 1 / 0.9
    momentum: float = 0.1

    def __post_init__(self) -> None:
        self._sampler("csghmc", self.momentum)

    def explore(self, problem: Problem) -> Members:
        problem.check_batches(self)
        return self._sampler("csghmc", self.momentum).sample(problem)
