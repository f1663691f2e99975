"""Cyclical SGLD: samples with noise at the ends of cosine cycles of one training (Zhang et al.
2020, arXiv 1902.03932).

Algorithm and deviations: `explorers._parts.sgmcmc`. Ashukha et al. (2020, arXiv 2002.06470) have
cycles of 50 of 300 epochs with noise in the last 3: `CyclicalSGLD(cycles=6, noise=0.06)`, and their
strong rows more of them, `CyclicalSGLD(cycles=12, noise=0.06, budget=2.0)`.
"""

from dataclasses import dataclass
from typing import ClassVar

from thalweg.explorers._parts.sgmcmc import Cyclical
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members


@register_explorer("csgld")
@dataclass(frozen=True)
class CyclicalSGLD(Explorer):
    """Samples from the ends of cycles, without momentum. Cost: budget.

    Attributes:
        cycles: How many; the paper's 4.
        samples: A cycle, at even distances; the paper's 3.
        collect: Part of a cycle, at its end, over which they are spread; the paper's 3 of 50
            epochs.
        noise: Part of a cycle, at its end, that has noise; the paper's 5 of 50 epochs.
        lr_ratio: Effective peak learning rate, lr / (1 - momentum), over the recipe's; the paper's
            0.5 over 0.1 / (1 - 0.9), at half the batch.
        temperature: Samples follow exp(-examples x loss / temperature); None for 1 / examples, as
            in the authors' code.
        budget: Length of all cycles together, in trainings.
    """

    family: ClassVar[str] = "trajectory"

    cycles: int = 4
    samples: int = 3
    collect: float = 0.06
    noise: float = 0.1
    lr_ratio: float = 1.0
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

    def _sampler(self, name: str = "csgld", momentum: float = 0.0) -> Cyclical:
        return Cyclical(
            name,
            momentum=momentum,
            cycles=self.cycles,
            samples=self.samples,
            collect=self.collect,
            noise=self.noise,
            lr_ratio=self.lr_ratio,
            temperature=self.temperature,
            budget=self.budget,
        )
