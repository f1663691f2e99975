"""Fast geometric ensembling: short cycles of the learning rate at the end of a training.
Garipov et al. 2018, arXiv 1802.10026.

As published, it is one training: its first part, 160 of 200 epochs, ends at the learning rate where
the cycles start; in each cycle the rate falls linearly to a hundredth and rises again, and a member
is taken where it is lowest. The default settings are those of the residual networks (VGG: a fifth
of the peak and a twentieth of that, cycles of 2 epochs). Deviations: the first part follows the
recipe's own schedule down to the rate of the cycles, or a cosine where that does not end low (the
paper cuts its own schedule off, at about half that rate); the momentum buffer starts anew where the
cycles begin; a training so short that a cycle has less than two steps has fewer cycles; with
`start="anchor"` the first part is a finished anchor instead, at extra cost.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers._parts.cycles import collect, cycles
from thalweg.explorers._parts.trajectory import beginning
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members


@register_explorer("fge")
@dataclass(frozen=True)
class FGE(Explorer):
    """Members at the lowest learning rate of each cycle. Cost: 1 (from an anchor: 1 + share).

    Attributes:
        share: The length of all cycles together, in trainings; the paper's 40 of 200 epochs.
        cycles: The number of cycles, and of members; the paper's cycles have 4 epochs each.
        lr_ratio: The learning rate where cycles start and end, over the recipe's peak; the paper's
            0.05 of 0.1.
        depth: The lowest learning rate over that where cycles start; the paper's 0.0005 of 0.05.
        start: `scratch`, as published, or `anchor`.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=10))
        >>> FGE(cycles=2).explore(problem).size
        2
    """

    family: ClassVar[str] = "trajectory"
    one_training: ClassVar[bool] = True

    share: float = 0.2
    cycles: int = 10
    lr_ratio: float = 0.5
    depth: float = 0.01
    start: Literal["scratch", "anchor"] = "scratch"

    def __post_init__(self) -> None:
        whole("fge.cycles", self.cycles, 1)
        if self.start not in ("scratch", "anchor"):
            raise InputError(f"fge.start got '{self.start}', needs 'scratch' or 'anchor'")
        check_range("fge.share", self.share, 1e-9, 1 if self.start == "scratch" else float("inf"))
        check_range("fge.lr_ratio", self.lr_ratio, 0)
        check_range("fge.depth", self.depth, 0, 1)

    @property
    def anchors(self) -> int:
        return int(self.start == "anchor")

    @property
    def trainings(self) -> float:
        return 1 + self.share * self.anchors

    def explore(self, problem: Problem) -> Members:
        problem.check_batches(self)
        lr = problem.recipe.lr * self.lr_ratio
        recipe = replace(
            problem.recipe,
            epochs=problem.recipe.epochs * self.share,
            lr=lr,
            final_lr=lr * self.depth,
            schedule="triangle",
            warmup=0.0,
        )
        steps = recipe.steps(len(problem.train_loader))
        recipe = replace(recipe, cycles=max(1, min(self.cycles, steps // 2)))
        network = beginning(problem, self.start, self.share, lr, "fge")
        return collect(problem, network, recipe, "fge", "cycles", steps=_lowest(recipe, steps))


def _lowest(recipe: Recipe, steps: int) -> set[int]:
    """The step of each cycle that has the lowest learning rate."""
    return {
        min(cycle, key=lambda step: recipe.learning_rate(step, steps))
        for cycle in cycles(recipe, steps)
    }
