"""Snapshot ensemble: one training in cycles, with a member at the end of each.
Huang et al. 2017, arXiv 1704.00109.

Each cycle anneals the learning rate from its peak to zero by a cosine, and the next starts at the
peak again; the momentum is kept. Deviation: a recipe's warm-up is kept, in the first cycle and in
proportion to it.

The weak restarts of Ashukha et al. (2020, arXiv 2002.06470) are the same method with other
settings, cycles of 40 of 300 epochs whose steps lr / ((1 - momentum) batch) are 0.4 of a
training's, for as long as one likes: `Snapshot(cycles=10, budget=10 * 40 / 300, lr_ratio=0.4)`.
Deviation: they have no momentum and batches of 64; here both are the recipe's.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from thalweg.errors import check_range, whole
from thalweg.explorers._parts.cycles import collect, cycles
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members


@register_explorer("snapshot")
@dataclass(frozen=True)
class Snapshot(Explorer):
    """Members at the ends of cycles. Cost: budget.

    Attributes:
        cycles: The number of cycles, and of members.
        lr_ratio: The peak learning rate over the recipe's; the paper's 0.2 over the usual 0.1. (Its
            batches are half as large as usual ones, so that its steps per example are four times a
            training's: `lr_ratio=4`.)
        budget: The length of all cycles together, in trainings.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=4))
        >>> Snapshot(cycles=4).explore(problem).size
        4
    """

    family: ClassVar[str] = "trajectory"
    one_training: ClassVar[bool] = True

    cycles: int = 5
    lr_ratio: float = 2.0
    budget: float = 1.0

    def __post_init__(self) -> None:
        whole("snapshot.cycles", self.cycles, 1)
        check_range("snapshot.lr_ratio", self.lr_ratio, 0)
        check_range("snapshot.budget", self.budget, 1e-9)

    @property
    def anchors(self) -> int:
        return 0

    @property
    def trainings(self) -> float:
        return self.budget

    def explore(self, problem: Problem) -> Members:
        problem.check_batches(self)
        base = problem.recipe
        recipe = replace(
            base,
            epochs=base.epochs * self.budget,
            lr=base.lr * self.lr_ratio,
            final_lr=0.0,
            schedule="cosine",
            cycles=self.cycles,
            warmup=base.warmup / self.cycles,
        )
        ends = {steps[-1] for steps in cycles(recipe, recipe.steps(len(problem.train_loader)))}
        return collect(problem, problem.build("snapshot"), recipe, "snapshot", steps=ends)
