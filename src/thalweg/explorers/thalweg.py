"""Paths that are told where to go: from one anchor to networks that a retraining could have given.
Of thalweg's own.

    copies   narrow copies are trained, if any are asked for
    places   training inputs are mixed and shifted, so that no other inputs are needed
    before   the emulator `atlas` says the centre and u of retrainings there, from anchor and copies
    free     each path begins as a short training from the anchor, one cosine: the first at the
             recipe's rate, and each other one at a rate that shall bring its end `reach` times as
             far from the last one, at typical inputs, as retrainings are apart; a rate above the
             recipe's after which the loss does not come back is a quarter of itself the next time,
             and no later one is above half of it or the recipe's
    targets  the centre is half-way between that of the atlas and the mean of these ends, which is
             brought to the sharpness of the first; each end has a target of its own: the centre,
             and its own deviation from their mean, with a size that is `reach` times the geometric
             mean of u and of the ends' spread
    led      from each end on to its target, at `lr_ratio` of the rate: a step lowers the training
             loss and the distance from the target at some places; the target's pull fades while the
             training loss is above the anchor's by more than `tolerance`
    members  `points` networks along each led part, the last of them the path's end

A network that was taken away by its own training differs from others at inputs that nobody asked
about, too. To lead it corrects how sure it is, which holds for other inputs more than a direction
does: in trials that no command repeats, networks that were led from the anchor to random functions
went about half of the way where they were not shown their targets.

Ideas come from Sadrtdinov et al. 2023 (arXiv 2303.03374), whose members are short trainings from a
finished one; from Lion et al. 2024 (arXiv 2402.03187), who distil deep ensembles into one basin and
find their functions there; and from mixing inputs (Zhang et al. 2018, arXiv 1710.09412). What is
new is that u tells how far to go, and that the functions are not those of networks that were
trained.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.errors import Diverged, InputError, check_range, whole
from thalweg.explorers._parts.cycles import one_cycle
from thalweg.explorers._parts.leading import Pull, distances, shown, unit_of
from thalweg.explorers._parts.targets import expected, targets, typical_inputs
from thalweg.explorers._parts.witnesses import witnesses
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.narrow.training import train_copies
from thalweg.predicting import predict
from thalweg.training.anchors import train_anchors
from thalweg.training.loop import StepInfo
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.trees import Inputs
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

_WARMUP = 0.1
_ONE = math.sqrt(2 / math.pi)  # mean over root mean square of normal numbers
_RATES = (1 / 8, 8.0)  # of the free parts, over the recipe's
_FASTEST = 2.0  # factor from one rate to the next
_POWER, _FARTHEST = 1.5, 1e3  # of how much too near ends are; more counts as this
_LOST = 7  # tolerances above the anchor's loss, chosen on a CNN and a ResNet: such an end is none


@dataclass(frozen=True)
class Led:
    """Paths that were led, ready to predict.

    Attributes:
        anchor: Where they begin.
        free: Networks along the free part of each path, the last one its end.
        led: Networks along the led part of each, the last one its end.
        rates: The peak learning rate of each free part, over the recipe's.
        left: The distance from each target at the places, at the end of the led part, over that at
            its beginning: 1 if it got nowhere, 0 if it is there. It is a Kullback-Leibler
            divergence, or the mean square of values, with batch norm as it is in training.
        places: The inputs at which targets are known.
        targets: What is stored of their predictions there `[paths, inputs, columns]`.
    """

    anchor: Weights
    free: tuple[tuple[Weights, ...], ...]
    led: tuple[tuple[Weights, ...], ...]
    rates: tuple[float, ...]
    left: tuple[float, ...]
    places: Inputs
    targets: Tensor


@register_explorer("thalweg")
@dataclass(frozen=True)
class Thalweg(Explorer):
    """Members along paths that lead to what retrainings would predict.

    The cost is 1 + members x (free + 2 x share), and that of the copies: each step of a led part
    has a batch of training inputs and one of other places. Beyond that it takes forward passes, and
    for the sensitivity of the anchor's predictions (`thalweg.sensitivity`) up to 500 evaluations
    with a backward pass.

    Attributes:
        members: The number of paths, two or more.
        free: The length of a path's free part in trainings.
        share: That of its led part.
        copies: How many narrow copies are trained beside the anchor. They make the centre of the
            targets better, and their scale surer.
        width_ratio: The hidden channels of a copy over those of the network.
        reach: How far apart the ends of free parts shall be, over what the atlas knows of
            retrainings; targets have that times the geometric mean of both.
        lr_ratio: The peak learning rate of a led part over that of its free part.
        strength: The weight of the distance from the target beside the training loss.
        tolerance: How far the training loss may be above the anchor's before the target's pull
            fades, in nats where it is the cross-entropy.
        places: How many inputs targets are known at.
        points: How many networks along each led part are members.

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
    revision: ClassVar[int] = 1

    members: int = 8
    free: float = 0.04
    share: float = 0.015
    copies: int = 0
    width_ratio: float = 0.35
    reach: float = 1.1
    lr_ratio: float = 0.2
    strength: float = 1.0
    tolerance: float = 0.05
    places: int = 2000
    points: int = 1

    def __post_init__(self) -> None:
        whole("thalweg.members", self.members, 2)
        whole("thalweg.copies", self.copies, 0)
        whole("thalweg.places", self.places, 2)
        whole("thalweg.points", self.points, 1)
        for name in ("free", "share", "tolerance", "reach"):
            check_range(f"thalweg.{name}", getattr(self, name), 1e-9)
        check_range("thalweg.width_ratio", self.width_ratio, 1e-9, 1)
        for name in ("lr_ratio", "strength"):
            check_range(f"thalweg.{name}", getattr(self, name), 0)

    @property
    def anchors(self) -> int:
        return 1

    @property
    def trainings(self) -> float:
        paths = self.members * (self.free + 2 * self.share)
        return 1 + paths + self.copies * self.width_ratio**2

    @property
    def size(self) -> int:
        return self.members * self.points

    def steps(self, problem: Problem) -> int:
        """How many steps a led part takes."""
        return self._recipe(problem, self.share, 1.0).steps(len(problem.train_loader))

    def explore(self, problem: Problem) -> Members:
        found = self.led(problem)
        return Members(tuple(point for part in found.led for point in part))

    def led(self, problem: Problem, stops: int = 0) -> Led:
        """The same, with where it all began.

        Args:
            problem: What is trained.
            stops: How many networks along each free part are kept, its end among them; fewer where
                there are fewer steps.

        Raises:
            InputError: Copies are asked for, and the network can't be narrowed; the problem has no
                training set in batches; or a led part has fewer steps than points.
            Diverged: The loss became infinite.
        """
        problem.check_batches(self)
        problem.behaviour.check_new_points()
        if (steps := self.steps(problem)) < self.points:
            raise InputError(
                f"thalweg.points got {self.points}, and the led part of a path has {steps} steps: "
                "needs as many steps or more; raise share, or lower points"
            )
        asked, typical = witnesses(problem, self.places), typical_inputs(problem)
        narrow = None
        if self.copies:  # says so first where there can be none
            narrow = train_copies(problem, self.width_ratio, self.copies)
        (anchor,) = train_anchors(problem, 1)
        usual, before = expected(problem, anchor, narrow, typical, asked)
        wanted = self.reach * float(usual.u.mean())
        if usual.centre.shape[1] - problem.outputs.simplex == 1:
            wanted *= _ONE  # distances are averaged as they are, and u is a root mean square
        free, rates, low = self._freed(problem, anchor, wanted, typical, max(1, stops))
        network = problem.build("network")
        said = predict(problem, Members(tuple(part[-1] for part in free)), asked).stored
        led, left = list[list[Weights]](), list[Tensor]()
        led_to = targets(problem.outputs, before, said, self.reach)
        for k, target in enumerate(led_to):
            rate = rates[k] * self.lr_ratio
            part, remaining = self._led(problem, free[k][-1], asked, target, rate, low, k)
            led.append(problem.refresh(network, part))
            left.append(remaining)
        return Led(
            anchor,
            tuple(map(tuple, free)),
            tuple(map(tuple, led)),
            tuple(rates),
            tuple(torch.stack(left).tolist()),
            asked,
            led_to,
        )

    def _freed(
        self, problem: Problem, anchor: Weights, wanted: float, typical: Inputs, stops: int
    ) -> tuple[list[list[Weights]], list[float], Tensor]:
        """Networks along the free parts, the rates of these parts, and the anchor's training loss:
        the mean of all first steps'.

        Args:
            problem: What was trained.
            anchor: Where they start.
            wanted: How far apart ends shall be, as a standard deviation.
            typical: Where that is measured.
            stops: How many networks along each.
        """
        network = problem.build("network")
        parts, rates, lows = list[list[Weights]](), list[float](), list[Tensor]()
        rate, most = 1.0, _RATES[1]
        values = problem.outputs.predicted.values
        last = values(predict(problem, anchor, typical).stored[0])
        while len(parts) < self.members:
            try:
                part = self._free(problem, anchor, rate, stops, len(parts), lows)
            except Diverged:
                if rate <= 1:
                    raise
                rate, most = rate / _FASTEST**2, max(1.0, rate / _FASTEST)
                continue
            part = problem.refresh(network, part)
            parts.append(part)
            rates.append(rate)
            said = values(predict(problem, part[-1], typical).stored[0])
            apart = float((said - last).norm(dim=-1).mean()) / math.sqrt(2)
            rate, last = min(_next(rates[-2:], wanted / max(apart, 1e-300)), most), said
        return parts, rates, torch.stack(lows).mean()

    def _free(
        self,
        problem: Problem,
        anchor: Weights,
        rate: float,
        stops: int,
        k: int,
        lows: list[Tensor],
    ) -> list[Weights]:
        """Networks along a free part, their batch norm as it was trained.

        Args:
            problem: What was trained.
            anchor: Where it starts.
            rate: The peak learning rate, over the recipe's.
            stops: How many networks.
            k: Which path.
            lows: Training losses of the anchor, each that of a part's first step; the one of this
                part is added.

        Raises:
            Diverged: The loss became infinite, or, at more than the recipe's rate, did not come
                back.
        """
        network, found, losses = problem.network(anchor), list[Weights](), list[Tensor]()

        def on_step(info: StepInfo) -> None:
            losses.append(info.loss)
            if _is_stop(info, stops):
                found.append(Weights.of(network))

        problem.fit(
            network, self._recipe(problem, self.free, rate), "thalweg", "free", k, on_step=on_step
        )
        lows.append(losses[0])
        end = torch.stack(losses[-max(1, len(losses) // 10) :]).mean()
        above = float(end - torch.stack(lows).mean())
        if rate > 1 and above > _LOST * self.tolerance:
            raise Diverged(f"the loss is {float(end):.3g} after a short training from the anchor")
        return found

    def _recipe(self, problem: Problem, share: float, rate: float) -> Recipe:
        return one_cycle(problem.recipe, share, problem.recipe.lr * rate, warmup=_WARMUP)

    def _led(
        self,
        problem: Problem,
        start: Weights,
        asked: Inputs,
        target: Tensor,
        rate: float,
        low: Tensor,
        k: int,
    ) -> tuple[list[Weights], Tensor]:
        """Networks along the path to a target, their batch norm as it was trained, and how much of
        the distance is left at its end. Where it diverges at more than the recipe's rate, it is
        made again at a quarter of that.

        Args:
            problem: What was trained.
            start: Where the led part starts.
            asked: Inputs at which the target is known.
            target: What is stored of its predictions there `[inputs, columns]`.
            rate: The peak learning rate, over the recipe's.
            low: The training loss of the anchor.
            k: Which path.
        """
        network = problem.network(start)
        places = shown(problem, asked, target, "thalweg", "places", k)
        unit = unit_of(problem.outputs, target)
        pull, found, away = Pull(self.strength, self.tolerance, low), list[Weights](), _Away()

        def penalty() -> Tensor:
            x, wanted = next(places)
            outputs = network(x)
            problem.meter.backward(outputs)
            distance = distances(problem.outputs, outputs, wanted, unit).mean()
            away.see(distance)
            return pull.strength * distance

        def on_step(info: StepInfo) -> None:
            pull.see(info)
            if _is_stop(info, self.points):
                found.append(Weights.of(network))

        recipe = self._recipe(problem, self.share, rate)
        try:
            problem.fit(network, recipe, "thalweg", "led", k, penalty=penalty, on_step=on_step)
        except Diverged:
            if rate <= 1:
                raise
            return self._led(problem, start, asked, target, rate / _FASTEST**2, low, k)
        return found, away.left


def _next(rates: list[float], missing: float) -> float:
    """The next rate, after the last two, whose ends were too near to each other by this factor.

    Where a rate does not change much, the distance grows as its root, and elsewhere faster.
    """
    missing = min(max(missing, 1 / _FARTHEST), _FARTHEST)  # ends that are the same are nowhere
    wanted = math.prod(rates) ** (1 / len(rates)) * missing**_POWER
    wanted = min(max(wanted, rates[-1] / _FASTEST), rates[-1] * _FASTEST)
    return min(max(wanted, _RATES[0]), _RATES[1])


def _is_stop(info: StepInfo, stops: int) -> bool:
    """Whether this is one of so many steps that are evenly apart, the last one among them."""
    before, after = (step * stops // info.steps for step in (info.step - 1, info.step))
    return after > before


class _Away:
    """How far a path is from its target, step by step; on its device, so that nobody waits."""

    def __init__(self) -> None:
        self._seen: list[Tensor] = []

    def see(self, distance: Tensor) -> None:
        """Takes the distance of a step."""
        self._seen.append(distance.detach())

    @property
    def left(self) -> Tensor:
        """The mean distance over the last tenth of the steps, over that of the first tenth."""
        some = max(1, len(self._seen) // 10)
        first, last = (torch.stack(part).mean() for part in (self._seen[:some], self._seen[-some:]))
        return last / first.clamp_min(1e-30)
