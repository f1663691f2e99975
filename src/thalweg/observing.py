"""Observing: what networks say of sets of inputs, one network after the other, and where that is
kept between runs.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from thalweg import trees
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import untrained
from thalweg.features import InputFeatures, training_neighbours
from thalweg.meter import Cost
from thalweg.narrow.training import NarrowCopies
from thalweg.outputs import Outputs
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.training.batches import Loader
from thalweg.training.nearest import Nearest
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

Inputs = Mapping[str, Loader | trees.Inputs]


@dataclass(frozen=True)
class NetworkRecord:
    """What one network says of several sets of inputs.

    Attributes:
        log_probs: By set, log-probabilities or values `[inputs, columns]`, as predictions store
            them.
        features: Features by set, `[inputs, features]`; empty where nobody asked for them.
        cost: The work behind the predictions.
        features_cost: The work behind the features, beyond that.
    """

    log_probs: dict[str, Tensor]
    features: dict[str, Tensor]
    cost: Cost
    features_cost: Cost

    def costs(self, *, features: bool) -> list[tuple[str, Cost]]:
        """Returns what using the record costs, by what is used: its predictions, and its features
        where they are asked for.
        """
        return [("predictions", self.cost)] + ([("features", self.features_cost)] * features)


class RecordStore(Protocol):
    """Where the records of networks are kept between runs."""

    def recorded(self, name: str, *, features: bool) -> NetworkRecord | None:
        """The record of the network of that name, with features where they are asked for, or
        None.
        """

    def keep(self, name: str, record: NetworkRecord) -> None:
        """Keeps the record of a network."""


def observe(
    problem: Problem,
    networks: Members,
    inputs: Inputs,
    narrow: NarrowCopies | None = None,
    *,
    features: bool,
    layer: str | None = None,
    store: RecordStore | None = None,
    names: tuple[str, ...] = (),
) -> dict[str, Observations]:
    """Returns what networks, and narrow copies beside them, say of several sets of inputs.

    Forward work is metered in the problem, in evaluations of its network. Narrow copies that did
    not learn the task are left out, with a warning.

    Args:
        problem: The problem of the networks.
        networks: Weights of the problem's network, ready to predict.
        inputs: Sets of inputs by name, each as `predict` takes them.
        narrow: Narrow copies of the network, or None.
        features: Whether features of the inputs are needed.
        layer: The layer whose output are the features; the last linear layer reads it if None.
        store: Where the records of networks are kept, or None.
        names: Names of the networks in the store, narrow copies last; networks beyond them are not
            kept.

    Returns:
        Observations by set of inputs.

    Raises:
        InputError: Inputs can't be evaluated, or the network has no layer for features.
    """
    everyone = [(problem, weights, 1.0) for weights in networks.points]
    if narrow is not None:
        everyone += [
            (narrow.problem, weights, narrow.cost_ratio) for weights in narrow.members.points
        ]
    near: dict[str, Nearest] = {}
    records = []
    for number, (solved, weights, ratio) in enumerate(everyone):
        name = names[number] if store is not None and number < len(names) else None
        kept = None if store is None or name is None else store.recorded(name, features=features)
        if kept is None and features and not near:
            near = {part: training_neighbours(problem, given) for part, given in inputs.items()}
        record = _record(solved, weights, inputs, near, layer) if kept is None else kept
        if kept is None and store is not None and name is not None:
            store.keep(name, record)
        for what, cost in record.costs(features=features):
            key = None if name is None else (what, name)
            problem.meter.charge(cost.of_network(ratio), key, done=kept is None)
        records.append(record)
    whole = len(networks.points)
    learned = learned_the_task(
        [next(iter(record.log_probs.values())) for record in records], whole, problem.outputs
    )
    records = [*records[:whole], *(records[whole + number] for number in learned)]
    width_ratio = 1.0 if narrow is None else narrow.width_ratio
    return {
        part: together(
            [record.log_probs[part] for record in records],
            [record.features[part] for record in records] if features else None,
            learned,
            width_ratio,
            problem.outputs,
        )
        for part in inputs
    }


def learned_the_task(log_probs: list[Tensor], whole: int, outputs: Outputs) -> tuple[int, ...]:
    """Returns the numbers of the narrow copies that learned the task, and warns of the others.

    Args:
        log_probs: What whole networks, then narrow copies, say of some inputs, each `[inputs,
            columns]`.
        whole: How many are whole networks.
        outputs: What the networks' outputs mean.
    """
    failed = untrained(outputs.values(torch.stack(log_probs).double()), whole)
    if failed:
        warnings.warn(
            f"{len(failed)} of {len(log_probs) - whole} narrow networks did not learn the task, "
            "and are left out: give a larger width_ratio, or a recipe that trains narrow networks "
            "reliably",
            stacklevel=3,
        )
    return tuple(k - whole for k in range(whole, len(log_probs)) if k not in failed)


def together(
    log_probs: list[Tensor],
    features: list[Tensor] | None,
    learned: tuple[int, ...],
    width_ratio: float,
    outputs: Outputs,
) -> Observations:
    """Joins what whole networks, then narrow copies that learned the task, say of some inputs.

    Args:
        log_probs: What is stored of their predictions, each `[inputs, columns]`.
        features: Their features, each `[inputs, features]`, or None.
        learned: The numbers of these narrow copies among all.
        width_ratio: The hidden channels of a narrow copy over those of a whole network.
        outputs: What the networks' outputs mean.
    """
    predictions, whole = torch.stack(log_probs), len(log_probs) - len(learned)
    return Observations(
        Predictions(predictions[:whole], outputs=outputs),
        Predictions(predictions[whole:], outputs=outputs) if learned else None,
        width_ratio if learned else 1.0,
        None if features is None else torch.stack(features),
        learned or None,
    )


def _record(
    problem: Problem,
    weights: Weights,
    inputs: Inputs,
    near: Mapping[str, Nearest],
    layer: str | None,
) -> NetworkRecord:
    """Records what a network predicts, and its features where neighbours are given; one evaluation
    of the inputs serves both.
    """
    log_probs: dict[str, Tensor] = {}
    rows: dict[str, Tensor] = {}

    def look() -> None:
        if not near:
            for part, given in inputs.items():
                log_probs[part] = predict(problem, weights, given).stored[0]
            return
        features = InputFeatures(problem, weights, layer)
        for part, given in inputs.items():
            log_probs[part], rows[part] = features.look(given, near[part])

    spent = problem.meter.apart(look)
    if not near:
        return NetworkRecord(log_probs, rows, spent, Cost())
    evaluated = sum(map(len, log_probs.values()))
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
