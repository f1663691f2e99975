"""Cyclical SGHMC: as cyclical SGLD, with momentum (Zhang et al. 2020, arXiv 1902.03932).

Algorithm and deviations: `explorers.sgmcmc`. The authors' code has a friction of 0.9, that is a momentum of 0.1 only.
"""

from dataclasses import dataclass

from thalweg.explorers.base import Explorer, explorer
from thalweg.explorers.sgmcmc import Cyclical
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members


@explorer("csghmc")
@dataclass(frozen=True)
class Csghmc(Explorer):
    """Samples from the ends of cycles, with momentum. Cost: budget.

    Attributes:
        momentum: One minus the friction; the authors' 1 - 0.9.
        cycles: As in cSGLD.
        samples: As in cSGLD.
        collect: As in cSGLD.
        noise: As in cSGLD.
        lr_ratio: As in cSGLD; the authors' 0.5 / 0.9 over 0.1 / (1 - 0.9), at half the batch.
        temperature: As in cSGLD.
        budget: As in cSGLD.
    """

    momentum: float = 0.1
    cycles: int = 4
    samples: int = 3
    collect: float = 0.06
    noise: float = 0.1
    lr_ratio: float = 1 / 0.9
    temperature: float | None = None
    budget: float = 1.0

    def __post_init__(self) -> None:
        self._sampler()

    @property
    def anchors(self) -> int:
        return 0

    @property
    def trainings(self) -> float:
        return self.budget

    def explore(self, problem: Problem) -> Members:
        return self._sampler().sample(problem)

    def _sampler(self) -> Cyclical:
        return Cyclical("csghmc", momentum=self.momentum, cycles=self.cycles, samples=self.samples, collect=self.collect,
                        noise=self.noise, lr_ratio=self.lr_ratio, temperature=self.temperature, budget=self.budget)
