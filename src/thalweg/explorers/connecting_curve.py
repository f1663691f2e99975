"""Connecting curve: a path of low loss between two anchors (Garipov et al. 2018, arXiv 1802.10026).

A Bezier curve or a polygonal chain from one anchor to the other, whose bends start on the straight
segment and alone are trained: each step draws one t, uniform in 0 .. 1, and trains the network
there. (Draxler et al. 2018, arXiv 1803.00885, found such paths as well, as chains of elastic
bands.) As published, weight decay acts on the drawn point, 1/2 decay |w(t)|^2, not on the bends;
with AdamW, whose decay is a step of its own, it is in the gradient here. Deviations: the learning
rate falls by a cosine to 1 % of its peak, where the paper's stays at the peak for half of the time
and falls linearly to 1 % until 90 %. The paper's curves take 200 epochs (ResNets, trained in 150
and 200) or 600 (VGG, in 200): here as long as a training. Batch-norm statistics are refreshed at
every draw (paper). `sampling="arc-length"` draws points as Dold et al. 2025 (arXiv 2503.03382) do.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers._parts.connecting import connectable
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Bezier, Chain
from thalweg.weights.point import mix
from thalweg.weights.subspace import Subspace, SubspaceModule


@register_explorer("connecting-curve")
@dataclass(frozen=True)
class ConnectingCurve(Explorer):
    """A curve between the first two anchors.

    Cost: 2 + share trainings. What anchors must have in common: `connecting`.

    Attributes:
        form: `bezier` or `chain`.
        bends: Vertices between the ends; the paper's 1.
        share: Epochs of the curve's training over those of an anchor's; the paper's 1 to 3.
        lr_ratio: Peak learning rate over the recipe's; the paper's 0.015 of 0.05, or 0.03 of 0.1.
        align: Permute the units of the second anchor towards the first before (Ainsworth et al.
            2023, arXiv 2209.04836).
        sampling: Points are drawn uniformly in the curve's parameter, `uniform`, or in its length,
            `arc-length`.
    """

    family: ClassVar[str] = "subspace"

    form: Literal["bezier", "chain"] = "bezier"
    bends: int = 1
    share: float = 1.0
    lr_ratio: float = 0.3
    align: bool = False
    sampling: Literal["uniform", "arc-length"] = "uniform"

    def __post_init__(self) -> None:
        whole("connecting-curve.bends", self.bends, 1)
        check_range("connecting-curve.share", self.share, 1e-9)
        check_range("connecting-curve.lr_ratio", self.lr_ratio, 0)
        if self.form not in ("bezier", "chain"):
            raise InputError(f"connecting-curve.form got '{self.form}', needs 'bezier' or 'chain'")
        if self.sampling not in ("uniform", "arc-length"):
            raise InputError(
                f"connecting-curve.sampling got '{self.sampling}', needs 'uniform' or 'arc-length'"
            )

    @property
    def anchors(self) -> int:
        return 2

    @property
    def trainings(self) -> float:
        return 2 + self.share

    def explore(self, problem: Problem) -> Subspace:
        problem.behaviour.check_new_points()
        ends = connectable(problem, 2, align=self.align)
        parts = [k / (self.bends + 1) for k in range(1, self.bends + 1)]
        vertices = [ends[0], *(mix(ends, [1 - part, part]) for part in parts), ends[1]]
        law = Bezier() if self.form == "bezier" else Chain()
        module = SubspaceModule(
            problem.build("network"),
            vertices,
            law,
            fixed=(0, self.bends + 1),
            behaviour=problem.behaviour,
        )
        lr = problem.recipe.lr * self.lr_ratio
        recipe = replace(
            problem.recipe,
            epochs=problem.recipe.epochs * self.share,
            lr=lr,
            final_lr=lr / 100,
            weight_decay=0.0,
            schedule="cosine",
            cycles=1,
            warmup=0.0,
        )
        problem.fit(
            module,
            recipe,
            "connecting-curve",
            before_step=partial(module.carry, problem.recipe.weight_decay),
        )
        curve = Subspace(module.vertices(), law)
        return curve.by_length() if self.sampling == "arc-length" else curve
