"""Restarts: short trainings that start from a finished one, each of them a member.
Sadrtdinov et al. 2023, arXiv 2303.03374.

A restart is one cosine cycle from a peak learning rate to zero, after a warm-up in a twentieth of
its steps, with a new optimiser, batch order and augmentation. `form="star"` starts all of them at
the anchor (StarSSE), `form="chain"` each where the last one ended (SSE). Deviations: the paper
fine-tunes networks that were pre-trained on other data; here the anchor is a full training, and the
cycles are short. The warm-up is thalweg's own.

There are two ways to perturb the network first: its last layers are initialised anew (`reinit`),
and all others are shrunk and perturbed with a new network's weights (Ash and Adams 2020, arXiv
1910.08475). A layer is a module with a trained parameter of two axes or more; layers count in the
order of registration, and a layer includes everything trained that is registered after it and
before the next one: its biases, and norm layers that follow it. Batch-norm statistics stay, and
adapt while the restart trains.

`calibrate` chooses how strongly to perturb, by a method of thalweg's own: see
`explorers._parts.calibration`. One restart is tried at each of nine strengths, from 1, 2 and 4
times the recipe's peak with 0, 1 and 2 layers initialised anew; that of the chosen strength is kept
as a member, as is the retraining that it was chosen by: an unbiased sample. `Restarts.calibrated`
returns the choice.

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
from thalweg.explorers._parts.cycles import one_cycle
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.anchors import train_anchors
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

LR_RATIOS = (1.0, 2.0, 4.0)
DEPTHS = (0, 1, 2)


@register_explorer("restarts")
@dataclass(frozen=True)
class Restarts(Explorer):
    """Members from short trainings that start at an anchor.

    The cost is 1 + members x share; calibrated, it is 2 + (members + 8) x share, less where a trial
    diverges or the network has one layer.

    Attributes:
        members: The number of restarts that are kept.
        share: The epochs of a restart over those of a training. Below a tenth they are another
            function than a training.
        form: `star` or `chain`.
        lr_ratio: The peak learning rate over the recipe's; `calibrate` chooses it.
        reinit: The number of layers, counted from the output, that are initialised anew;
            `calibrate` chooses it.
        shrink: The factor of all other parameters at the start; 1 leaves them.
        noise: The factor of a new network's parameters, which are added to them.
        keep_anchor: Whether the anchor is a member too.
        calibrate: Whether lr_ratio and reinit are chosen by one more retraining, on inputs that
            were not trained on (`Problem(unlabelled=...)`).
        tolerance: When calibrating, how far the training loss of an accepted restart may be above
            the higher one of the two trainings, in nats where it is the cross-entropy.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=5))
        >>> Restarts(members=2, share=0.2).explore(problem).size
        2
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
        # all trials but the one that is kept
        trials = len(LR_RATIOS) * len(DEPTHS) - 1 if self.calibrate else 0
        return self.anchors + (self.members + trials) * self.share

    @property
    def size(self) -> int:
        return self.members + self.anchors - (not self.keep_anchor)

    def explore(self, problem: Problem) -> Members:
        problem.check_batches(self)
        if self.calibrate:
            chosen, trained, first = self.calibrated(problem)
            members = [first]
        else:
            # raises before a training where there are fewer
            last_layers(problem.build("network"), self.reinit)
            chosen, trained, members = self, train_anchors(problem, 1), []
        while len(members) < self.members:
            start = members[-1] if members and self.form == "chain" else trained[0]
            members.append(restart(problem, start, chosen, len(members)))
        return Members((*trained[0 if self.keep_anchor else 1 :], *members))

    def calibrated(self, problem: Problem) -> tuple["Restarts", tuple[Weights, ...], Weights]:
        """Chooses lr_ratio and reinit.

        With `calibrate`, `explore` does this first, and makes the other members afterwards. Where
        no trial comes back to low loss, a warning says so, and which one is taken.

        Returns:
            These settings with the chosen strength (and `calibrate` off), the anchor and the
            retraining, and the first restart.

        Raises:
            InputError: The problem has no unlabelled inputs.
            Diverged: All trials diverged.
        """
        if problem.unlabelled is None:
            raise InputError(
                "restarts.calibrate got a problem without unlabelled inputs, and needs some, as "
                "networks agree on their training inputs: give Problem(unlabelled=...), "
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
        trials = [(strength, _trial(problem, anchor, strength)) for strength in settings]
        tried = [(strength, trial) for strength, trial in trials if trial is not None]
        if not tried:
            raise Diverged(
                f"all {len(settings)} trial restarts diverged: lower the recipe's learning rate"
            )
        ends = [trial for _, trial in tried]
        number, accepted = matching(problem, anchor, retraining, ends, self.tolerance)
        chosen, first = tried[number]
        if not accepted:
            warnings.warn(
                f"restarts.calibrate: none of {len(tried)} trials has a training loss within "
                f"{self.tolerance:g} of the trainings', so the one of lowest loss is taken, "
                f"lr_ratio={chosen.lr_ratio:g}, reinit={chosen.reinit}: raise share or tolerance",
                stacklevel=2,
            )
        return chosen, (anchor, retraining), first


def restart(problem: Problem, start: Weights, settings: Restarts, k: int) -> Weights:
    """The k-th restart, from given weights.

    Raises:
        InputError: The network has fewer layers than the number to initialise anew.
        Diverged: Its loss became infinite.
    """
    network = problem.network(start)
    shake(network, problem.build("restarts", k), settings.reinit, settings.shrink, settings.noise)
    lr = problem.recipe.lr * settings.lr_ratio
    recipe = one_cycle(problem.recipe, settings.share, lr, warmup=0.05)
    problem.fit(network, recipe, "restarts", k)
    return Weights.of(network)


def shake(network: nn.Module, fresh: nn.Module, reinit: int, shrink: float, noise: float) -> None:
    """Gives the last layers a new network's parameters, and perturbs all others.

    The others become shrink x their own + noise x the new network's.
    """
    drawn = {name for layer in last_layers(network, reinit) for name in layer}
    new = dict(fresh.named_parameters())
    with torch.no_grad():
        for name, p in _trained(network):
            if name in drawn:
                p.copy_(new[name])
            else:
                p.mul_(shrink).add_(new[name], alpha=noise)


def last_layers(network: nn.Module, reinit: int) -> list[list[str]]:
    """The last `reinit` layers, as `layers` gives them.

    Raises:
        InputError: The network has fewer.
    """
    names = layers(network)
    if reinit > len(names):
        raise InputError(
            f"restarts.reinit got {reinit}, but the network has {len(names)} layers: needs at "
            "most as many"
        )
    return names[len(names) - reinit :]


def layers(network: nn.Module) -> list[list[str]]:
    """The names of each layer's trained parameters.

    They include those that are registered after a layer and before the next one.
    """
    matrices = {name.rpartition(".")[0] for name, p in _trained(network) if p.dim() > 1}
    names: list[list[str]] = []
    last = None
    for name, _ in _trained(network):
        owner = name.rpartition(".")[0]
        if owner in matrices and owner != last:
            names.append([])
        last = owner
        if names:
            names[-1].append(name)
    return names


def _trained(network: nn.Module) -> Sequence[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in network.named_parameters() if p.requires_grad]


def _trial(problem: Problem, anchor: Weights, settings: Restarts) -> Weights | None:
    try:
        return restart(problem, anchor, settings, 0)
    except Diverged:
        return None
