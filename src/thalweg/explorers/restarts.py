"""Restarts: short trainings that start from a finished one, each of them a member (Sadrtdinov et
al. 2023, arXiv 2303.03374).

A restart is one cosine cycle from a peak learning rate to zero, after a warm-up in a twentieth of
its steps, with a new optimiser, batch order and augmentation. `form="star"` starts all of them at
the anchor (StarSSE), `form="chain"` each where the last one ended (SSE). Deviations: the paper
fine-tunes networks that were pre-trained on other data; here the anchor is a full training, and the
cycles are short. The warm-up is ours.

Two ways to shake the network first: its last layers are drawn anew (`reinit`), and all others are
shrunk and perturbed with a new network's weights (Ash and Adams 2020, arXiv 1910.08475). A layer is
a module with a trained parameter of two axes or more; layers count in the order of registration,
and with one goes everything trained that is registered after it: its biases, and norm layers that
follow it. Batch-norm statistics stay, and adapt while the restart trains.

`calibrate` chooses how hard to shake, of our own: see `explorers._parts.calibration`. One restart
is tried at each of nine strengths, from 1, 2 and 4 times the recipe's peak with 0, 1 and 2 layers
drawn anew; that of the chosen strength is kept as a member, as is the retraining that it was chosen
by: an unbiased sample. `Restarts.calibrated` says what was chosen.

The default strength, twice the recipe's peak, is the one whose members were as far apart as
retrainings on digits (an MLP). It was not tuned elsewhere; a recipe whose peak is high already may
need less.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import nn

from thalweg.errors import Diverged, InputError, check_range, whole
from thalweg.explorers._parts.calibration import matching
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.training.together import train_anchors
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

LR_RATIOS = (1.0, 2.0, 4.0)
DEPTHS = (0, 1, 2)


@register_explorer("restarts")
@dataclass(frozen=True)
class Restarts(Explorer):
    """Members from short trainings that start at an anchor.

    Cost: 1 + members x share. Calibrated: 2 + (members + 8) x share, less where a trial diverges or
    the network has one layer.

    Attributes:
        members: How many restarts are kept.
        share: Epochs of one over those of a training. Below a tenth they are another function than
            a training.
        form: `star` or `chain`.
        lr_ratio: Peak learning rate over the recipe's; chosen where `calibrate` says so.
        reinit: How many layers, counted from the output, are drawn anew; chosen where `calibrate`
            says so.
        shrink: Factor of all other parameters at the start; 1 leaves them.
        noise: How much of a new network's parameters is added to them.
        keep_anchor: The anchor is a member too.
        calibrate: Choose lr_ratio and reinit by one more retraining, and inputs that were not
            trained on (`Problem(unlabelled=...)`).
        tolerance: When calibrating, how far the training loss of an accepted restart may be above
            the higher one of the two trainings, in nats where it is the cross-entropy.
    """

    family: ClassVar[str] = "short"

    members: int = 5
    share: float = 0.2
    form: Literal["star", "chain"] = "star"
    lr_ratio: float = 2.0
    reinit: int = 0
    shrink: float = 1.0
    noise: float = 0.0
    keep_anchor: bool = False
    calibrate: bool = False
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        whole("restarts.members", self.members, 1)
        whole("restarts.reinit", self.reinit, 0)
        check_range("restarts.share", self.share, 1e-9)
        for name in ("lr_ratio", "shrink", "noise", "tolerance"):
            check_range(f"restarts.{name}", getattr(self, name), 0)
        if self.form not in ("star", "chain"):
            raise InputError(f"restarts.form got '{self.form}', needs 'star' or 'chain'")

    @property
    def anchors(self) -> int:
        return 2 if self.calibrate else 1

    @property
    def trainings(self) -> float:
        trials = (
            len(LR_RATIOS) * len(DEPTHS) - 1 if self.calibrate else 0
        )  # beside the one that is kept
        return self.anchors + (self.members + trials) * self.share

    @property
    def size(self) -> int:
        return self.members + self.anchors - (not self.keep_anchor)

    def explore(self, problem: Problem) -> Members:
        if self.calibrate:
            chosen, trained, first = self.calibrated(problem)
            found = [first]
        else:
            last_layers(
                problem.build("network"), self.reinit
            )  # says so before a training where there are fewer
            chosen, trained, found = self, train_anchors(problem, 1), []
        while len(found) < self.members:
            start = found[-1] if found and self.form == "chain" else trained[0]
            found.append(restart(problem, start, chosen, len(found)))
        return Members((*trained[0 if self.keep_anchor else 1 :], *found))

    def calibrated(self, problem: Problem) -> tuple["Restarts", tuple[Weights, ...], Weights]:
        """Chooses lr_ratio and reinit.

        `explore` does this first where `calibrate` says so, and makes the other members then.

        Where no trial comes back to low loss, a warning says so, and which is taken.

        Returns:
            These settings with the chosen strength (and `calibrate` off), the anchor and the
            retraining, and the first restart.

        Raises:
            InputError: The problem has no unlabelled inputs.
            Diverged: All trials did.
        """
        if problem.unlabelled is None:
            raise InputError(
                "restarts.calibrate got a problem without unlabelled inputs, and needs some, as "
                "networks agree on what they were trained on: give Problem(unlabelled=...), "
                "inputs that were not trained on"
            )
        anchor, retraining = train_anchors(problem, 2)
        depth = len(layers(problem.build("network")))
        settings = [
            replace(self, calibrate=False, lr_ratio=lr_ratio, reinit=reinit)
            for reinit in DEPTHS
            if reinit <= depth
            for lr_ratio in LR_RATIOS
        ]
        tried = [
            (own, trial) for own in settings if (trial := _trial(problem, anchor, own)) is not None
        ]
        if not tried:
            raise Diverged(
                f"all {len(settings)} trial restarts diverged: lower the recipe's learning rate"
            )
        number, accepted = matching(
            problem, anchor, retraining, [trial for _, trial in tried], self.tolerance
        )
        chosen, first = tried[number]
        if not accepted:
            warnings.warn(
                f"restarts.calibrate: none of {len(tried)} trials has a training loss within "
                f"{self.tolerance:g} of the trainings', so that of lowest loss is taken, "
                f"lr_ratio={chosen.lr_ratio:g}, reinit={chosen.reinit}: raise share or tolerance",
                stacklevel=2,
            )
        return chosen, (anchor, retraining), first


def restart(problem: Problem, start: Weights, settings: Restarts, k: int) -> Weights:
    """The k-th restart, from given weights.

    Raises:
        InputError: The network has fewer layers than are to be drawn anew.
        Diverged: Its loss became infinite.
    """
    network = problem.network(start)
    shake(network, problem.build("restarts", k), settings.reinit, settings.shrink, settings.noise)
    recipe = replace(
        problem.recipe,
        epochs=problem.recipe.epochs * settings.share,
        lr=problem.recipe.lr * settings.lr_ratio,
        final_lr=0.0,
        schedule="cosine",
        cycles=1,
        warmup=0.05,
    )
    problem.fit(network, recipe, "restarts", k)
    return Weights.of(network)


def shake(network: nn.Module, fresh: nn.Module, reinit: int, shrink: float, noise: float) -> None:
    """Gives the last layers a new network's parameters; all others become shrink x their own +
    noise x the new one's.
    """
    drawn = {name for own in last_layers(network, reinit) for name in own}
    new = dict(fresh.named_parameters())
    with torch.no_grad():
        for name, p in _trained(network):
            if name in drawn:
                p.copy_(new[name])
            else:
                p.mul_(shrink).add_(new[name], alpha=noise)


def last_layers(network: nn.Module, reinit: int) -> list[list[str]]:
    """So many layers, counted from the output, as `layers` gives them.

    Raises:
        InputError: The network has fewer.
    """
    found = layers(network)
    if reinit > len(found):
        raise InputError(
            f"restarts.reinit got {reinit}, but the network has {len(found)} layers: needs at "
            "most as many"
        )
    return found[len(found) - reinit :]


def layers(network: nn.Module) -> list[list[str]]:
    """Names of the trained parameters of each layer, with those that are registered after it and
    before the next.
    """
    matrices = {name.rpartition(".")[0] for name, p in _trained(network) if p.dim() > 1}
    found: list[list[str]] = []
    last = None
    for name, _ in _trained(network):
        owner = name.rpartition(".")[0]
        if owner in matrices and owner != last:
            found.append([])
        last = owner
        if found:
            found[-1].append(name)
    return found


def _trained(network: nn.Module) -> Sequence[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in network.named_parameters() if p.requires_grad]


def _trial(problem: Problem, anchor: Weights, settings: Restarts) -> Weights | None:
    try:
        return restart(problem, anchor, settings, 0)
    except Diverged:
        return None
