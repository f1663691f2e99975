"""Cyclical SGLD: noisy samples at the ends of the cosine cycles of one training.
Zhang et al. 2020, arXiv 1902.03932.

Algorithm and deviations: `explorers._parts.sgmcmc`. Ashukha et al. (2020, arXiv 2002.06470) have
cycles of 50 of 300 epochs with noise in the last 3: `CyclicalSGLD(cycles=6, noise=0.06)`, and in
their longest runs more of them, `CyclicalSGLD(cycles=12, noise=0.06, budget=2.0)`.
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
        cycles: The number of cycles; the paper's 4.
        samples: Samples per cycle, at even distances; the paper's 3.
        collect: The fraction of a cycle, at its end, over which they are spread; the paper's 3 of
            50 epochs.
        noise: The fraction of a cycle, at its end, that has noise; the paper's 5 of 50 epochs.
        lr_ratio: The effective peak learning rate, lr / (1 - momentum), over the recipe's; the
            paper's 0.5 over 0.1 / (1 - 0.9), at half the batch.
        temperature: Samples follow exp(-examples x loss / temperature); None for 1 / examples, as
            in the authors' code.
        budget: The length of all cycles together, in trainings.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=4))
        >>> CyclicalSGLD(cycles=2, samples=2).explore(problem).size
        4
    """

    family: ClassVar[str] = "trajectory"
    one_training: ClassVar[bool] = True

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
        problem.check_batches(self)
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
