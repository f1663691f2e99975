"""Connecting curve: a path of low loss between two anchors.
Garipov et al. 2018, arXiv 1802.10026.

It is a Bezier curve or a polygonal chain from one anchor to the other, whose bends start on the
straight segment and are the only vertices that are trained: each step draws one t, uniform in
0 .. 1, and trains the network there. (Draxler et al. 2018, arXiv 1803.00885, found such paths as
well, as chains of elastic bands.) As published, weight decay acts on the drawn point, 1/2 decay
|w(t)|^2, not on the bends; with AdamW, whose decay is a step of its own, it is in the gradient
here. Deviations: the learning rate falls by a cosine to 1 % of its peak, where the paper's stays at
the peak for half of the time and falls linearly to 1 % until 90 %. The paper's curves take 200
epochs (ResNets, trained in 150 and 200) or 600 (VGG, in 200): here as long as a training.
Batch-norm statistics are refreshed at every draw (paper). `sampling="arc-length"` draws points as
Dold et al. 2025 (arXiv 2503.03382) do.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers._parts.connecting import connectable
from thalweg.explorers._parts.cycles import one_cycle
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import Bezier, Chain
from thalweg.weights.point import mix
from thalweg.weights.subspace import Subspace, SubspaceModule


@register_explorer("connecting-curve")
@dataclass(frozen=True)
class ConnectingCurve(Explorer):
    """A curve between the first two anchors.

    The cost is 2 + share trainings. What anchors must have in common:
    `explorers._parts.connecting`.

    Attributes:
        form: `bezier` or `chain`.
        bends: The number of vertices between the ends; the paper's 1.
        share: The epochs of the curve's training over those of an anchor's; the paper's 1 to 3.
        lr_ratio: The peak learning rate over the recipe's; the paper's 0.015 of 0.05, or 0.03 of
            0.1.
        align: Whether the units of the second anchor are first permuted towards the first anchor's
            (Ainsworth et al. 2023, arXiv 2209.04836).
        sampling: Points are drawn uniformly in the curve's parameter, `uniform`, or in its length,
            `arc-length`.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> len(ConnectingCurve().explore(problem).vertices)
        3
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
        problem.check_batches(self)
        problem.behaviour.check_new_points()
        ends = connectable(problem, 2, align=self.align)
        parts = [k / (self.bends + 1) for k in range(1, self.bends + 1)]
        vertices = [ends[0], *(mix(ends, [1 - part, part]) for part in parts), ends[1]]
        law = Bezier() if self.form == "bezier" else Chain()
        network, ends_held = problem.build("network"), (0, self.bends + 1)
        module = SubspaceModule(
            network, vertices, law, fixed=ends_held, behaviour=problem.behaviour
        )
        lr, decay = problem.recipe.lr * self.lr_ratio, problem.recipe.weight_decay
        recipe = one_cycle(problem.recipe, self.share, lr, final_lr=lr / 100)
        recipe = replace(recipe, weight_decay=0.0)
        before_step = partial(module.carry, decay)
        problem.fit(module, recipe, "connecting-curve", before_step=before_step)
        curve = Subspace(module.vertices(), law)
        return curve.by_length() if self.sampling == "arc-length" else curve
