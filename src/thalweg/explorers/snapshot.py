"""Snapshot ensemble: one training in cycles, a member at the end of each (Huang et al. 2017, arXiv 1704.00109).

Each cycle anneals the learning rate from its peak to zero by a cosine and the next starts at the peak again. Deviations: the
momentum buffer starts anew at each cycle; a recipe's warm-up is kept in the first cycle only.
"""

from dataclasses import dataclass, replace

from thalweg.errors import in_range, whole
from thalweg.explorers.base import Explorer, explorer
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights


@explorer("snapshot")
@dataclass(frozen=True)
class Snapshot(Explorer):
    """Members at the ends of cycles. Cost: 1.

    Attributes:
        cycles: How many, and as many members.
        lr_ratio: Peak learning rate over the recipe's; the paper's 0.2 over the usual 0.1.
    """

    cycles: int = 5
    lr_ratio: float = 2.0

    def __post_init__(self) -> None:
        whole("snapshot.cycles", self.cycles, 1)
        in_range("snapshot.lr_ratio", self.lr_ratio, 0)

    @property
    def anchors(self) -> int:
        return 0

    @property
    def trainings(self) -> float:
        return 1.0

    def explore(self, problem: Problem) -> Members:
        recipe = problem.recipe
        cycle = replace(recipe, epochs=recipe.epochs / self.cycles, lr=recipe.lr * self.lr_ratio, final_lr=0.0, schedule="cosine")
        network = problem.build("snapshot")
        found = []
        for k in range(self.cycles):
            problem.fit(network, cycle if k == 0 else replace(cycle, warmup=0.0), "snapshot", k)
            found.append(Weights.of(network))
        return Members(tuple(found))
