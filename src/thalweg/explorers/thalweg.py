"""A path that is told where to go, and branches: from one anchor to networks that a retraining
could have given. Of thalweg's own.

    copies    narrow copies are trained, if any are asked for
    places    training inputs are mixed and shifted, so that no other inputs are needed
    targets   for each branch a function of the input that a retraining could have had: the centre
              of retrainings, and `reach` standard uncertainties in the direction of a random
              network, as the emulator `atlas` knows both from the anchor and the copies
    path      at `lr_ratio` of the recipe's rate, each step lowers the training loss and the
              distance from a target at some of these places; the pull of the target fades while
              the training loss is above the anchor's by more than `tolerance`
    stem      a path from the anchor to the centre, which all members are in need of
    branches  a path from there to each target
    members   `points` networks along each branch, the last of them its end

In trials that no command repeats, a member went about half of the way to its target where it was
not shown it, hence a reach of 2.

Ideas come from Lion et al. 2024 (arXiv 2402.03187), who distil deep ensembles into one basin and
find their functions there; from randomised prior functions (Osband et al. 2018, arXiv 1806.03335),
for directions; and from mixing inputs (Zhang et al. 2018, arXiv 1710.09412). What is new is that
the functions are not those of networks that were trained: they come from what the atlas knows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers._parts.cycles import one_cycle
from thalweg.explorers._parts.targets import targets, typical_inputs
from thalweg.explorers._parts.witnesses import witnesses
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.narrow.training import train_copies
from thalweg.outputs import Outputs
from thalweg.seeds import generator
from thalweg.training.anchors import train_anchors
from thalweg.training.loop import StepInfo
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.trees import Inputs, moved, rows, taken
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

_WARMUP = 0.1
_MEMORY = 0.8  # of the running mean of the training loss


@dataclass(frozen=True)
class Led:
    """Paths that were led, ready to predict.

    Attributes:
        anchor: Where they begin.
        stem: Networks along the stem.
        branches: Networks along each branch, the last one its end.
    """

    anchor: Weights
    stem: tuple[Weights, ...]
    branches: tuple[tuple[Weights, ...], ...]


@register_explorer("thalweg")
@dataclass(frozen=True)
class Thalweg(Explorer):
    """Members along paths that lead to what retrainings would predict.

    The cost is 1 + 2 x (stem + members x share), and that of the copies: each step has a batch of
    training inputs and one of other places. Beyond that it takes forward passes, and for the
    sensitivity of the anchor's predictions (`thalweg.sensitivity`) up to 500 evaluations with a
    backward pass.

    Attributes:
        members: The number of branches, two or more.
        share: The length of a branch in trainings.
        stem: That of the path to the centre.
        copies: How many narrow copies are trained beside the anchor. They make the centre of the
            targets better, and their scale surer.
        width_ratio: The hidden channels of a copy over those of the network.
        reach: How far targets are from their centre, in standard uncertainties of a retraining.
        lr_ratio: The peak learning rate over the recipe's.
        strength: The weight of the distance from the target beside the training loss.
        tolerance: How far the training loss may rise above the anchor's before the target's pull
            fades, in nats where it is the cross-entropy.
        places: How many inputs targets are known at.
        points: How many networks along each branch are members.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(40, 3), torch.arange(40) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=5))
        >>> Thalweg(members=3, share=0.1).explore(problem).size
        3
    """

    family: ClassVar[str] = "led"
    looks: ClassVar[int] = 500

    members: int = 8
    share: float = 1 / 30
    stem: float = 1 / 15
    copies: int = 0
    width_ratio: float = 0.35
    reach: float = 2.0
    lr_ratio: float = 0.4
    strength: float = 1.0
    tolerance: float = 0.05
    places: int = 4000
    points: int = 1

    def __post_init__(self) -> None:
        whole("thalweg.members", self.members, 2)
        whole("thalweg.copies", self.copies, 0)
        whole("thalweg.places", self.places, 2)
        whole("thalweg.points", self.points, 1)
        check_range("thalweg.share", self.share, 1e-9)
        check_range("thalweg.width_ratio", self.width_ratio, 1e-9, 1)
        check_range("thalweg.tolerance", self.tolerance, 1e-9)
        for name in ("stem", "reach", "lr_ratio", "strength"):
            check_range(f"thalweg.{name}", getattr(self, name), 0)

    @property
    def anchors(self) -> int:
        return 1

    @property
    def trainings(self) -> float:
        return 1 + 2 * (self.stem + self.members * self.share) + self.copies * self.width_ratio**2

    @property
    def size(self) -> int:
        return self.members * self.points

    def steps(self, problem: Problem) -> int:
        """How many steps a branch takes."""
        return self._recipe(problem, self.share).steps(len(problem.train_loader))

    def explore(self, problem: Problem) -> Members:
        led = self.led(problem)
        return Members(tuple(point for branch in led.branches for point in branch))

    def led(self, problem: Problem, stops: int = 0) -> Led:
        """The same, with where it all began.

        Args:
            problem: What is trained.
            stops: How many networks along the stem are kept, too.

        Raises:
            InputError: Copies are asked for, and the network can't be narrowed; the problem has no
                training set in batches; or a branch has fewer steps than points.
            Diverged: The loss became infinite.
        """
        problem.check_batches(self)
        problem.behaviour.check_new_points()
        if (steps := self.steps(problem)) < self.points:
            raise InputError(
                f"thalweg.points got {self.points}, and a branch has {steps} steps: needs as many "
                "steps or more; raise share, or lower points"
            )
        asked, typical = witnesses(problem, self.places), typical_inputs(problem)
        narrow = None
        if self.copies:  # says so first where there can be none
            narrow = train_copies(problem, self.width_ratio, self.copies)
        (anchor,) = train_anchors(problem, 1)
        led_to = targets(problem, anchor, narrow, typical, asked, self.members, self.reach)
        start, low, stem, branches = anchor, None, list[Weights](), []
        if self.stem:
            centre = problem.outputs.predicted.average(led_to)
            if problem.outputs.simplex:
                centre = centre.clamp_min(1e-30).log()
            kept = max(1, stops)
            stem, low = self._path(problem, anchor, asked, centre, self.stem, kept, None, "stem")
            start = stem[-1]
        network = problem.build("network")
        for k, target in enumerate(led_to):
            points, _ = self._path(
                problem, start, asked, target, self.share, self.points, low, "branch", k
            )
            branches.append(tuple(problem.refresh(network, points)))
        shown = tuple(problem.refresh(network, stem)) if stops else ()
        return Led(anchor, shown, tuple(branches))

    def _recipe(self, problem: Problem, share: float) -> Recipe:
        lr = problem.recipe.lr * self.lr_ratio
        return one_cycle(problem.recipe, share, lr, warmup=_WARMUP)

    def _path(
        self,
        problem: Problem,
        start: Weights,
        asked: Inputs,
        target: Tensor,
        share: float,
        points: int,
        low: Tensor | None,
        *name: str | int,
    ) -> tuple[list[Weights], Tensor]:
        """Networks along the path to a target, their batch norm as it was trained, and the training
        loss where it started.

        Args:
            problem: What was trained.
            start: Where the path starts.
            asked: Inputs at which the target is known.
            target: What is stored of its predictions there `[inputs, columns]`.
            share: The path's length in trainings.
            points: How many networks.
            low: The training loss above which `tolerance` counts; that where it starts if None.
            name: The purpose of the random numbers.
        """
        network = problem.network(start)
        shown, unit = _shown(problem, asked, target, *name), _unit(problem.outputs, target)
        pull = _Pull(self.strength, self.tolerance, low)
        found: list[Weights] = []

        def penalty() -> Tensor:
            x, wanted = next(shown)
            outputs = network(x)
            problem.meter.backward(outputs)
            return pull.strength * _distance(problem.outputs, outputs, wanted, unit)

        def on_step(info: StepInfo) -> None:
            pull.see(info)
            before, after = (step * points // info.steps for step in (info.step - 1, info.step))
            if after > before:
                found.append(Weights.of(network))

        recipe = self._recipe(problem, share)
        problem.fit(network, recipe, "thalweg", *name, penalty=penalty, on_step=on_step)
        return found, pull.low


def _shown(
    problem: Problem, asked: Inputs, target: Tensor, *name: str | int
) -> Iterator[tuple[Inputs, Tensor]]:
    """Batches of inputs and of what the target says of them, without end, as large as those of the
    training set.
    """
    size = rows(next(iter(problem.training_part(1)))[0])
    random, count = generator(problem.seed, "thalweg", "places", *name), len(target)
    size = min(size, count)
    target = target.float() if problem.outputs.simplex else target  # values may be far from 0
    while True:
        order = torch.randperm(count, generator=random)
        for chosen in order[: count - count % size].split(size):
            x = moved(taken(asked, chosen), problem.device)
            yield x, target[chosen].to(problem.device)


def _unit(kind: Outputs, target: Tensor) -> float:
    """The unit of distances from a target: how far values are scattered over inputs."""
    return 1.0 if kind.simplex else float(target.std(0).norm()) or 1.0


def _distance(kind: Outputs, outputs: Tensor, wanted: Tensor, unit: float) -> Tensor:
    """The cross-entropy of outputs `[batch, outputs]` where the target's probabilities are the
    truth, or half the squared distance of values.
    """
    stored = kind.store(outputs)
    if kind.simplex:
        return -(wanted.exp() * stored).sum(-1).mean()
    return ((stored - wanted) / unit).square().sum(-1).mean() / 2


class _Pull:
    """How strongly a target pulls: less while the training loss is above that of the anchor.

    Attributes:
        strength: The weight of the distance from the target.
    """

    def __init__(self, most: float, tolerance: float, low: Tensor | None = None) -> None:
        """It pulls with all strength until it has seen a loss that is too high.

        Args:
            most: The strength.
            tolerance: How far the training loss may rise.
            low: The anchor's; None if it is the mean over the steps of the warm-up.
        """
        self._most, self._tolerance, self._low = most, tolerance, low
        self.strength: Tensor | float = most
        self._first: list[Tensor] = []
        self._mean: Tensor | None = None

    @property
    def low(self) -> Tensor:
        """The training loss above which the tolerance counts, a scalar."""
        return torch.stack(self._first).mean() if self._low is None else self._low

    def see(self, info: StepInfo) -> None:
        """Takes the training loss of a step into its running mean; on its device, so that nobody
        waits for it.
        """
        if self._low is None and info.step <= max(1, _WARMUP * info.steps):
            self._first.append(info.loss)
            return
        self._mean = info.loss if self._mean is None else torch.lerp(info.loss, self._mean, _MEMORY)
        above = (self._mean - self.low - self._tolerance).clamp(min=0)
        self.strength = self._most * (-above / self._tolerance).exp()
