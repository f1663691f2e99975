"""Quantify: the recommended way from one trained network and a budget to u(x) and draws of its
retrainings.

The network is the anchor; the budget buys narrow retrainings (`baselines.narrow_ensemble`), whose
share of the width is chosen by the law of width; the forest (`emulators.forest`) learns from both
on unlabelled inputs. `docs/ideas.md` shows what it is worth.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.asked import Asked, look
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.emulators.base import Emulator
from thalweg.emulators.forest import Forest
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group, untrained
from thalweg.emulators.transfer import Portrait, Transfer, portrait, transfer
from thalweg.errors import InputError, check_range, whole
from thalweg.features import InputFeatures, check_layer, training_neighbours
from thalweg.graph.narrowing import least_share
from thalweg.meter import Cost, Meter
from thalweg.narrow.training import (
    charged,
    check_narrow,
    narrow_problem,
    relative_cost,
    train_narrow,
)
from thalweg.narrow.width import SHARES
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.training.batches import Loader
from thalweg.training.nearest import Nearest
from thalweg.training.problem import Problem
from thalweg.training.together import train_anchors
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

Parts = Mapping[str, Loader | Tensor]
MOST = 100  # trainings: whoever can pay for more has retrainings enough to look at
LEAST_KNOWN = 10  # unlabelled inputs
FEW_KNOWN = 300
LARGEST = 2**31  # numbers in the draws: 16 GiB


@dataclass(frozen=True)
class NetworkRecord:
    """What one network says of several sets of inputs.

    Attributes:
        log_probs: By part, what is stored of its predictions `[inputs, columns]`.
        features: By part, `[inputs, features]`; empty where nobody asked for them.
        cost: Forward evaluations behind the predictions.
        features_cost: Forward evaluations behind the features.
    """

    log_probs: dict[str, Tensor]
    features: dict[str, Tensor]
    cost: Cost
    features_cost: Cost


class RecordStore(Protocol):
    """Where witnesses are kept between runs, by network."""

    def witness(self, key: str, *, features: bool) -> NetworkRecord | None:
        """What is kept of a network, with features where they are needed, or None."""

    def keep(self, key: str, witness: NetworkRecord) -> None:
        """Keeps it."""


@dataclass(frozen=True)
class Quantified:
    """What retraining would change.

    Attributes:
        predictions: Draws of retrainings `[draws, inputs, columns]`; `u()` is the standard
            uncertainty `[inputs]`, and `outside` says which inputs are unlike all unlabelled ones,
            so that u is a guess there.
        share: Hidden channels of a proxy over those of the network.
        proxies: How many narrow networks it rests on: those that learned the task.
        transfer: The check that proxies and network are alike, as they are by one recipe; None
            where no proxy learned the task.
        cost: All that it rests on, the network's own training included, whenever that was done.
    """

    predictions: Predictions
    share: float
    proxies: int
    transfer: Transfer | None
    cost: Cost

    def __str__(self) -> str:
        outside = (
            0.0
            if self.predictions.outside is None
            else float(self.predictions.outside.float().mean())
        )
        check = (
            "not checked: no proxy learned the task"
            if self.transfer is None
            else str(self.transfer)
        )
        return (
            f"mean u {float(self.predictions.u().mean()):.4f} over {self.predictions.inputs} "
            f"inputs, {outside:.1%} of them outside of what the method knows\n{self.proxies} "
            f"proxies of {self.share:g} of the width; cost: {self.cost.trainings:.2f} trainings, "
            f"the network's own among them, {self.cost.total:.2f} with forward work; the "
            f"emulator took {self.cost.emulator_seconds:.1f} s\n{check}"
        )


def quantify(
    problem: Problem,
    inputs: Loader | Tensor,
    *,
    budget: float = 1.0,
    anchors: int = 1,
    draws: int = 100,
    seed: int = 0,
    emulator: Emulator | None = None,
    narrow: Callable[[], nn.Module] | None = None,
    share: float | None = None,
    layer: str | None = None,
) -> Quantified:
    """How much the network's predictions would change if it were trained again.

    Args:
        problem: Network, training set and recipe; `start` is the network that is trained already
            (it is trained here if there is none), `unlabelled` some thousand inputs like those that
            are asked about, that were not trained on.
        inputs: What is asked about, as `predict` takes them.
        budget: Trainings to spend beyond the anchors.
        anchors: Full trainings to start from, `start` among them.
        draws: How many retrainings to draw.
        seed: Seed of the draws.
        emulator: What learns from the networks; `Forest()` if None.
        narrow: Makes a narrow network, where it can't be made from the graph of the whole one;
            `share` then says how narrow.
        share: Hidden channels of a proxy over those of the network; chosen if None.
        layer: The layer whose output are the features, for networks that don't end with a linear
            layer.

    Returns:
        Draws, u, the check and the cost.

    Raises:
        InputError: There are no unlabelled inputs, the budget is too small, the network can't be
            narrowed, or it has no layer whose output are the features.
        Diverged: A training did.
    """
    if not isinstance(problem, Problem):
        raise InputError(
            f"quantify got a {type(problem).__name__}, needs a thalweg.Problem of network, "
            "training set and recipe"
        )
    given = _Asked(budget, anchors, draws, seed, emulator or Forest(), narrow, share, layer)
    parts, proxies = given.looked_at(problem, inputs), given.proxies(problem)
    if (known := parts["calibration"].count) < FEW_KNOWN:
        warnings.warn(
            f"quantify got {known} unlabelled inputs: u is learned from how networks differ on "
            f"them, and is rough below {FEW_KNOWN}; give some thousand",
            stacklevel=2,
        )
    with problem.measured() as spent:
        found = _quantified(
            problem, given, {name: part.inputs for name, part in parts.items()}, *proxies
        )
    return replace(found, cost=spent.cost)


@dataclass(frozen=True)
class _Asked:
    """What was asked for, as it was given."""

    budget: float
    anchors: int
    draws: int
    seed: int
    emulator: Emulator
    narrow: Callable[[], nn.Module] | None
    share: float | None
    layer: str | None

    def __post_init__(self) -> None:
        whole("draws", self.draws, 1)
        whole("anchors", self.anchors, 1)
        check_range("anchors", self.anchors, 1, MOST)
        check_range("budget", self.budget, 1e-9, MOST)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer):
            raise InputError(f"seed got {self.seed!r}, needs a whole number")
        if self.share is not None:
            check_range("share", self.share, 1e-9, 1)
        if self.narrow is not None and self.share is None:
            raise InputError(
                "quantify got narrow and no share, needs both: give its hidden channels over "
                "those of the network"
            )
        if not isinstance(self.emulator, Emulator):
            raise InputError(
                f"emulator got {self.emulator!r}, needs one such as thalweg.emulators.Forest() or "
                "thalweg.emulators.Engression()"
            )
        if not self.emulator.uses_proxies:
            raise InputError(
                f"quantify got {type(self.emulator).__name__}, which makes nothing of narrow "
                "networks: give Forest() or Engression(), or call its emulate on anchors' "
                "predictions"
            )
        if self.layer is not None and not isinstance(self.layer, str):
            raise InputError(
                f"layer got a {type(self.layer).__name__}, needs the name of a layer of the network"
            )

    def looked_at(self, problem: Problem, inputs: Loader | Tensor) -> dict[str, Asked]:
        """The unlabelled inputs and those that are asked about, looked at."""
        if problem.unlabelled is None:
            raise InputError(
                "quantify got a problem without unlabelled inputs, and needs some thousand, as "
                "networks agree on what they were trained on: give Problem(unlabelled=...), "
                "inputs that were not trained on"
            )
        known, asked = (
            look(problem, given, name, alike=self.emulator.uses_features)
            for given, name in ((problem.unlabelled, "unlabelled"), (inputs, "inputs"))
        )
        if known.count < LEAST_KNOWN:
            raise InputError(
                f"unlabelled got {known.count} inputs, needs {LEAST_KNOWN} or more, and better "
                "some thousand: u is learned from how networks differ on them"
            )
        if self.draws * asked.count * asked.classes > LARGEST:
            raise InputError(
                f"quantify got {self.draws} draws of {asked.count} inputs and {asked.classes} "
                f"classes, needs {LARGEST:.0e} numbers or fewer, to hold them in memory: ask "
                "about fewer inputs at a time, or for fewer draws"
            )
        return {"calibration": known, "asked": asked}

    def proxies(self, problem: Problem) -> tuple[Problem, float, int]:
        """The problem of the narrow networks, their share and their number; all that will be asked
        of them is tried.
        """
        if self.narrow is not None:
            check_narrow(problem, self.narrow)
            cost = relative_cost(problem, narrow_problem(problem, self.share or 1, self.narrow))
            if cost >= 1:
                raise InputError(
                    f"narrow() makes a network whose training costs {cost:.3g} of a whole one's, "
                    f"and share got {self.share:g}: make it narrower, and give the share of the "
                    "hidden channels that it has"
                )
        else:
            _check_narrowing(problem)
            stored = problem.inspection.stored if problem.inspection is not None else ()
            if stored:
                warnings.warn(
                    f"'{stored[0]}' is the same in all new networks (pre-trained?), and narrow "
                    "ones are cut from it: they know less than yours, and may not tell how its "
                    "retrainings differ: give narrow= and share=, or two full trainings "
                    "(DeepEnsemble(members=2)) and Neighbours",
                    stacklevel=5,
                )
            if self.share is not None and self.share < SHARES[-1]:
                least = least_share(problem.build("network"))
                if (
                    self.share < least / 2
                ):  # what is told would be another share than the one that is made
                    raise InputError(
                        f"share got {self.share:g}, but each layer keeps one channel or more, "
                        f"{least:.2g} of all: give that or more"
                    )
        share, members = NarrowEnsemble(budget=self.budget, share=self.share).chosen(
            problem, self.narrow
        )
        narrowed = narrow_problem(problem, share, self.narrow)
        if self.emulator.uses_features:
            for own in (problem, narrowed):
                check_layer(replace(own, meter=Meter()), self.layer)
        return narrowed, share, members


def _check_narrowing(problem: Problem) -> None:
    try:
        narrow_problem(problem, SHARES[0]).build("narrow")
    except InputError as error:
        reason = str(error).split(": ")[0].split(" (")[0]
        raise InputError(
            f"quantify can't make a narrower network of this one ({reason}): give narrow=, a "
            "function that makes one, and share=, its hidden channels over those of the "
            "network; or do without: anchors=2 trained by DeepEnsemble(members=2), and their "
            "predictions given to Neighbours().emulate (docs/guide.md)"
        ) from None


def _quantified(
    problem: Problem, given: _Asked, parts: Parts, narrowed: Problem, share: float, members: int
) -> Quantified:
    networks = Members(train_anchors(problem, given.anchors))
    proxies = train_narrow(problem, narrowed, members)
    try:
        found = gather(
            problem,
            networks,
            narrowed,
            proxies,
            share,
            parts,
            features=given.emulator.uses_features,
            layer=given.layer,
        )
        with problem.meter.emulating():
            predictions = given.emulator.emulate(
                found["calibration"], found["asked"], draws=given.draws, seed=int(given.seed)
            )
        known = found["calibration"]
        check = transfer(Group.of(known), _portraits(problem, networks, narrowed, proxies))
    except ValueError as error:  # of ours, or of an emulator's
        raise InputError(
            f"{error} (nothing is lost: all {given.anchors + members} networks are kept with "
            "this problem, and the next quantify takes them)"
        ) from None
    if check is not None and not check.holds:
        warnings.warn(check.warning(), stacklevel=3)
    return Quantified(predictions, share, known.members - given.anchors, check, problem.cost)


def _portraits(
    problem: Problem, networks: Members, narrowed: Problem, proxies: Members
) -> list[Portrait]:
    """The portraits of all networks, anchors first."""
    found = [portrait(problem, weights) for weights in networks.points]
    with charged(problem, narrowed, relative_cost(problem, narrowed)):
        return found + [portrait(narrowed, weights) for weights in proxies.points]


def gather(
    problem: Problem,
    anchors: Members,
    narrow: Problem | None,
    proxies: Members | None,
    share: float,
    parts: Parts,
    *,
    features: bool,
    layer: str | None = None,
    archive: RecordStore | None = None,
    keys: tuple[str, ...] = (),
) -> dict[str, Observations]:
    """What networks know of several sets of inputs; forward work is metered in the problem, in its
    network's evaluations.

    Args:
        problem: Of the anchors.
        anchors: Full trainings.
        narrow: The problem of the proxies, or None.
        proxies: Narrow trainings, or None.
        share: Of the width, of a proxy.
        parts: Inputs by name.
        features: Whether features are needed.
        layer: As in `quantify`.
        archive: Where witnesses are kept.
        keys: Names of the networks there, anchors first.
    """
    pairs, ratio = [(problem, weights) for weights in anchors.points], 1.0
    if narrow is not None and proxies is not None:
        pairs += [(narrow, weights) for weights in proxies.points]
        ratio = relative_cost(problem, narrow)
    near: dict[str, Nearest] = {}
    witnesses = []
    for number, (own, weights) in enumerate(pairs):
        key = keys[number] if archive is not None and number < len(keys) else None
        found = (
            archive.witness(key, features=features)
            if archive is not None and key is not None
            else None
        )
        done = found is None
        if found is None:
            if features and not near:
                near = {name: training_neighbours(problem, part) for name, part in parts.items()}
            found = _witness(own, weights, parts, near, layer)
            if archive is not None and key is not None:
                archive.keep(key, found)
        for cost, what in ((found.cost, "predictions"), (found.features_cost, "features"))[
            : 2 if features else 1
        ]:
            problem.meter.charge(
                cost.of_network(1.0 if own is problem else ratio), key and (what, key), done=done
            )
        witnesses.append(found)
    first = problem.outputs.values(
        torch.stack([next(iter(w.log_probs.values())) for w in witnesses]).double()
    )
    full = len(anchors.points)
    failed = untrained(first, full)
    if failed:
        warnings.warn(
            f"{len(failed)} of {len(pairs) - full} narrow networks did not learn the task, and "
            "are left out: give a larger share, or a recipe that trains narrow networks reliably",
            stacklevel=2,
        )
        witnesses = [w for k, w in enumerate(witnesses) if k not in failed]
    result = {}
    for name in parts:
        log_probs = torch.stack([w.log_probs[name] for w in witnesses])
        rows = torch.stack([w.features[name] for w in witnesses]) if features else None
        result[name] = Observations(
            Predictions(log_probs[:full], outputs=problem.outputs),
            Predictions(log_probs[full:], outputs=problem.outputs)
            if len(log_probs) > full
            else None,
            share if len(log_probs) > full else 1.0,
            rows,
        )
    return result


def _witness(
    problem: Problem, weights: Weights, parts: Parts, near: Mapping[str, Nearest], layer: str | None
) -> NetworkRecord:
    """What a network predicts, and its features where neighbours are given: one evaluation of the
    inputs serves both.
    """
    log_probs: dict[str, Tensor] = {}
    rows: dict[str, Tensor] = {}

    def look() -> None:
        if not near:
            log_probs.update(
                {name: predict(problem, weights, part).stored[0] for name, part in parts.items()}
            )
            return
        geometry = InputFeatures(problem, weights, layer)
        for name, part in parts.items():
            log_probs[name], rows[name] = geometry.look(part, near[name])

    spent = problem.meter.apart(look)
    if not near:
        return NetworkRecord(log_probs, rows, spent, Cost())
    evaluated = sum(len(own) for own in log_probs.values())
    seconds = spent.seconds * evaluated / spent.forward_examples  # of one clock: by evaluations
    return NetworkRecord(
        log_probs,
        rows,
        replace(spent, forward_examples=evaluated, seconds=seconds),
        replace(
            spent,
            forward_examples=spent.forward_examples - evaluated,
            seconds=spent.seconds - seconds,
        ),
    )
