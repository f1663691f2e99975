"""Asking trained networks: what they say of sets of inputs, and what a method makes of that."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch

from thalweg.averaging import Averaging
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group
from thalweg.emulators.transfer import EXAMPLES, Transfer, portrait, transfer
from thalweg.errors import InputError
from thalweg.meter import Cost
from thalweg.method import Method, Trained
from thalweg.narrow.training import charged, relative_cost
from thalweg.observing import Inputs, RecordStore, observe
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.sensitivity import sensitivity_if_any
from thalweg.weights.distribution import WeightDistribution

CALIBRATION = "calibration"
Observed = Observations | Predictions


@dataclass(frozen=True)
class Computed:
    """The result of computing a method: its predictions, and what these rest on.

    Attributes:
        predictions: Predictions by set of inputs: draws of an emulator, or the networks' own
            `[members, inputs, columns]`.
        cost: All work behind them, anchors included, whenever they were trained.
        evaluations: How many of the cost's forward evaluations are of the inputs asked about, in
            evaluations of the whole network.
        seconds_exploring: Wall-clock time of all trainings.
        evaluations_per_input: How many networks are evaluated on an input that is asked about, and
            on its random changes where predictions are averaged over these.
        stored_bytes: The bytes that must be kept to predict on other inputs.
        width_ratio: The hidden channels of a narrow copy over those of the network; 1 without any.
        narrow_trained: How many narrow copies were trained.
        narrow_copies: How many of them learned the task, and are used.
        check: Whether networks and narrow copies are alike, where that was asked for and there are
            narrow copies; else None.
    """

    predictions: dict[str, Predictions]
    cost: Cost
    evaluations: float
    seconds_exploring: float
    evaluations_per_input: int
    stored_bytes: int
    width_ratio: float = 1.0
    narrow_trained: int = 0
    narrow_copies: int = 0
    check: Transfer | None = None

    @property
    def cost_of_knowing(self) -> Cost:
        """The cost without the evaluations of the inputs that are asked about."""
        return replace(self.cost, forward_examples=self.cost.forward_examples - self.evaluations)


def ask(
    method: Method,
    trained: Trained,
    inputs: Inputs,
    *,
    calibration: str = CALIBRATION,
    draws: int = 100,
    seed: int = 0,
    layer: str | None = None,
    check: bool = False,
    store: RecordStore | None = None,
) -> Computed:
    """Shows inputs to trained networks, and makes of what they say what the method makes of it.

    Args:
        method: The method that trained the networks.
        trained: The networks.
        inputs: As in `compute`.
        calibration: As in `compute`.
        draws: How many retrainings an emulator draws.
        seed: Seed of these draws, and of random changes of inputs.
        layer: As in `compute`.
        check: As in `compute`.
        store: As in `compute`.

    Returns:
        Predictions by set that is asked about. The cost is that of the networks: `compute` adds
        what is spent here.
    """
    check_sets(method, inputs, calibration)
    if method.one_by_one:
        observed = _one_by_one(method, trained, inputs, layer, store)
    else:
        observed = _together(method, trained, inputs, calibration)
    averaging = method.averaging(trained.problem, seed)
    if averaging is not None:
        observed = _with_averages(averaging, trained, observed, inputs)
    known = observed.pop(calibration, None)
    if trained.path > 1 and known is not None:
        known = replace(Observations.of(known), path=trained.path)
    if method.uses_sensitivity and known is not None:
        known = _with_sensitivity(trained, Observations.of(known), inputs[calibration])
    predictions = {
        part: Predictions(said.stored, outputs=said.outputs) for part, said in observed.items()
    }
    if method.emulator is not None and known is not None:
        with trained.problem.meter.emulating():
            predictions = method.emulator.emulate_parts(known, observed, draws=draws, seed=seed)
    narrow = trained.narrow
    members = next(iter(observed.values())).members
    return Computed(
        predictions,
        trained.cost,
        (1 + method.averages) * _evaluations(trained, observed),
        trained.cost.seconds,
        (1 + method.averages) * members,
        _stored_bytes(method, trained, known),
        1.0 if narrow is None else narrow.width_ratio,
        0 if narrow is None else len(narrow.members.points),
        members - len(trained.members.points),
        _check(trained, Observations.of(known)) if check and known is not None else None,
    )


def check_sets(method: Method, inputs: Inputs, calibration: str) -> None:
    """Checks that there is a set of inputs to ask about, and one to learn from where a method needs
    it.

    Raises:
        InputError: There is none.
    """
    if not set(inputs) - {calibration}:
        raise InputError(f"got inputs {sorted(inputs)}, needs some that are asked about")
    if method.emulator is not None and calibration not in inputs:
        raise InputError(
            f"{type(method.emulator).__name__} got no inputs '{calibration}' to learn from: give "
            "some thousand that were not trained on under that name"
        )


def _together(
    method: Method, trained: Trained, inputs: Inputs, calibration: str
) -> dict[str, Observed]:
    """Returns what all networks predict, in one pass over each set of inputs; the set to learn from
    is evaluated for an emulator only.
    """
    predicting, members = trained.predicting, trained.members
    observed: dict[str, Observed] = {
        part: predict(predicting, members, given)
        for part, given in inputs.items()
        if part != calibration
    }
    if method.emulator is not None:
        with _metered(trained):
            observed[calibration] = predict(predicting, members, inputs[calibration])
    return observed


def _with_averages(
    averaging: Averaging, trained: Trained, observed: Mapping[str, Observed], inputs: Inputs
) -> dict[str, Observed]:
    """The same observations with each network's mean predictions over random changes of inputs."""
    found: dict[str, Observed] = {}
    for part, given in observed.items():
        said, narrow = Observations.of(given), trained.narrow
        with _metered(trained):
            means = [
                averaging.said(trained.predicting, weights, inputs[part])
                for weights in trained.members.points
            ]
        if narrow is not None:
            with charged(trained.problem, narrow.problem, narrow.cost_ratio):
                means += [
                    averaging.said(narrow.problem, narrow.members.points[number], inputs[part])
                    for number in said.learned or ()
                ]
        found[part] = replace(said, averaged=torch.stack(means))
    return found


def _with_sensitivity(trained: Trained, known: Observations, inputs: Any) -> Observations:
    """The same observations of the inputs to learn from, with the first network's sensitivity,
    where that is of use.
    """
    with _metered(trained):
        found = sensitivity_if_any(trained.predicting, trained.members.points[0], inputs)
    return replace(known, sensitivity=found)


def _metered(trained: Trained) -> AbstractContextManager[None]:
    """Work with the networks inside counts in the problem, in evaluations of its network."""
    problem, predicting = trained.problem, trained.predicting
    if trained.metered_together:
        return nullcontext()
    return charged(problem, predicting, relative_cost(problem, predicting))


def _one_by_one(
    method: Method, trained: Trained, inputs: Inputs, layer: str | None, store: RecordStore | None
) -> dict[str, Observed]:
    """Returns what each network says. The problem's anchors and narrow copies have names, under
    which that is kept for other methods with the same networks.
    """
    narrow, names = trained.narrow, list[str]()
    if store is not None and method.explorer.retrainings and method.repeat == 1:
        names = [trained.problem.fingerprint(k) for k in range(len(trained.members.points))]
        if narrow is not None:
            names += [narrow.problem.fingerprint(k) for k in range(len(narrow.members.points))]
    observed = observe(
        trained.problem,
        trained.members,
        inputs,
        narrow,
        features=method.uses_features,
        layer=layer,
        store=store,
        names=tuple(names),
    )
    return dict(observed)


def _evaluations(trained: Trained, observed: Mapping[str, Observed]) -> float:
    """Returns how many forward evaluations of the inputs asked about were metered in the
    problem.
    """
    whole, narrow = len(trained.members.points), trained.narrow
    if not trained.metered_together:
        return 0
    ratio = 0 if narrow is None else narrow.cost_ratio
    return sum(said.inputs * (whole + ratio * (said.members - whole)) for said in observed.values())


def _stored_bytes(method: Method, trained: Trained, known: Observed | None) -> int:
    """Returns the stored size of the networks, and of what an emulator learns from."""
    distributions: list[WeightDistribution] = [trained.distribution]
    if method.one_by_one:
        distributions = [trained.members, *([trained.narrow.members] if trained.narrow else [])]
    tensors = [t for stored in distributions for t in stored.tensors()[0].values()]
    if known is not None:
        seen = Observations.of(known)
        beside = [own for own in (seen.features, seen.averaged) if own is not None]
        tensors += [known.stored, *beside]
    return sum(t.numel() * t.element_size() for t in tensors)


def _check(trained: Trained, known: Observations) -> Transfer | None:
    """Checks whether networks and narrow copies are alike; None without narrow copies."""
    problem, narrow = trained.problem, trained.narrow
    if narrow is None:
        return None
    part = problem.training_part(EXAMPLES) if problem.has_loader else []
    portraits = [portrait(problem, weights, part) for weights in trained.members.points]
    with charged(problem, narrow.problem, narrow.cost_ratio):
        copies = [narrow.members.points[number] for number in known.learned or ()]
        portraits += [portrait(narrow.problem, weights, part) for weights in copies]
    return transfer(Group.of(known), portraits)
