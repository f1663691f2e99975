"""SWAG: a Gaussian fitted to the iterates of SGD at a constant learning rate (Maddox et al. 2019, arXiv 1902.02476).

As published, one training: the first part ends at the SWA learning rate, the second part keeps it and collects iterates.
Deviations: iterates are taken at even distances rather than one an epoch (short trainings have few epochs); the first part
follows the recipe's own schedule down to the SWA rate; with `start="anchor"` it is a finished anchor instead, at extra cost.
The momentum buffer starts anew where the second part begins. Batch-norm statistics are refreshed at every draw (paper).
"""

from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from thalweg.errors import InputError, in_range, whole
from thalweg.explorers.base import Explorer, explorer
from thalweg.training.loop import Tick
from thalweg.training.problem import Problem
from thalweg.weights.gaussian import LowRankGaussian, Moments
from thalweg.weights.point import Weights


@explorer("swag")
@dataclass(frozen=True)
class Swag(Explorer):
    """Low rank plus diagonal Gaussian about the SWA mean. Cost: 1 (from an anchor: 1 + share).

    Attributes:
        share: Part of a training in which iterates are collected; the paper's 140 of 300 epochs.
        collect: How many iterates.
        rank: Of the low-rank part.
        lr_ratio: The constant (SWA) learning rate over the recipe's peak; the paper's 0.01 of 0.05.
        scale: Of the covariance; the paper's 1/2.
        start: `scratch`, as published, or `anchor`.
    """

    share: float = 140 / 300
    collect: int = 20
    rank: int = 20
    lr_ratio: float = 0.2
    scale: float = 0.5
    start: Literal["scratch", "anchor"] = "scratch"

    def __post_init__(self) -> None:
        in_range("swag.share", self.share, 1e-9, 1)
        whole("swag.collect", self.collect, 2)
        whole("swag.rank", self.rank, 0)
        for name in ("lr_ratio", "scale"):
            in_range(f"swag.{name}", getattr(self, name), 0)
        if self.start not in ("scratch", "anchor"):
            raise InputError(f"swag.start got '{self.start}', needs 'scratch' or 'anchor'")

    @property
    def anchors(self) -> int:
        return int(self.start == "anchor")

    @property
    def trainings(self) -> float:
        return 1 + self.share * self.anchors

    def explore(self, problem: Problem) -> LowRankGaussian:
        recipe = problem.recipe
        lr = recipe.lr * self.lr_ratio
        network = self._beginning(problem, lr)
        moments = Moments(self.rank)

        def watch(tick: Tick) -> None:
            # an iterate where the share of steps done passes 1, 2, ... of the shares to collect
            if tick.step * self.collect // tick.steps > (tick.step - 1) * self.collect // tick.steps:
                moments.add(Weights.of(network))

        constant = replace(recipe, epochs=recipe.epochs * self.share, lr=lr, schedule="constant", warmup=0.0)
        problem.fit(network, constant, "swag", "collect", watch=watch)
        return moments.gaussian(self.scale)

    def _beginning(self, problem: Problem, lr: float) -> nn.Module:
        if self.start == "anchor":
            return problem.network(problem.anchor(0))
        network = problem.build("swag")
        if self.share < 1:
            recipe = replace(problem.recipe, epochs=problem.recipe.epochs * (1 - self.share), final_lr=lr)
            problem.fit(network, recipe, "swag", "beginning")
        return network
