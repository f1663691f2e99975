"""What a statement rests on: trained networks, or draws of what one more training would predict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from thalweg.arrays import numbers
from thalweg.errors import InputError, check_range, unknown
from thalweg.files import digest
from thalweg.outputs import Outputs
from thalweg.predictions import Kind, Predictions
from thalweg.quantifier import Quantifier
from thalweg.quantifying import Quantified

Members = Literal["networks", "draws"]
_MANY = 50  # members that nobody says what they are


@dataclass(frozen=True, eq=False)
class Evidence:
    """Predictions, and what is known of them.

    Attributes:
        predictions: Of networks, or draws `[members, inputs, columns]`.
        networks: Whether the members are trained networks; else they are draws.
        centre_error: The squared error of the draws' centre from having few networks, in variances
            of one training; None where nobody knows it, and of networks, which tell it themselves.
        level_deviation: The standard deviation of the logarithm of u, where the emulator says how
            well it knows the level of u; None elsewhere.
        check: What the check of the recipe found wrong; empty where it holds or was not done.
        checked: Whether it was done.
        unlike: In what the task is unlike all tasks that the method knows.
        facts: Further facts for the record: cost, seed, weights.
    """

    predictions: Predictions
    networks: bool
    centre_error: float | None = None
    level_deviation: float | None = None
    check: str = ""
    checked: bool = False
    unlike: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def evidence_of(
    source: Any,
    inputs: Any,
    *,
    kind: Kind | None,
    outputs: Outputs | None,
    members: Members | None,
    centre_error: float | None,
) -> Evidence:
    """What the arguments of `thalweg.state` say that a statement is to rest on.

    Raises:
        InputError: They do not fit each other, or no uncertainty can be told from them.
    """
    if centre_error is not None:
        check_range("centre_error", centre_error, 0)
    if isinstance(source, Quantifier | Quantified):
        if members is not None or kind is not None or outputs is not None:
            raise InputError(
                f"state got a {type(source).__name__} and members, kind or outputs, which it knows "
                "itself: leave them out"
            )
        found = _of_quantifier(source, inputs, centre_error)
    else:
        if inputs is not None:
            raise InputError(
                f"state got a {type(source).__name__} and inputs, needs predictions alone, or a "
                "fitted Quantifier and inputs: names of inputs are given as names=[...]"
            )
        found = _of_predictions(_predictions(source, kind, outputs), members, centre_error)
    _check_enough(found)
    return found


def _predictions(source: Any, kind: Kind | None, outputs: Outputs | None) -> Predictions:
    if isinstance(source, Predictions):
        if kind is not None or (outputs is not None and outputs.predicted != source.outputs):
            raise InputError("state got Predictions and a kind or other outputs: leave them out")
        return source
    if kind is None:
        raise InputError(
            f"state got a {type(source).__name__} and no kind, needs kind='probabilities', "
            "'log_probabilities', 'logits' or 'values' for an array [networks, inputs, columns]"
        )
    return Predictions.of(source, kind, outputs=outputs)


def _of_predictions(
    predictions: Predictions, members: Members | None, centre_error: float | None
) -> Evidence:
    if members not in (None, "networks", "draws"):
        raise unknown("kind of members", members, ("networks", "draws"))
    stated = predictions.stated_u is not None
    if members == "networks" and stated:
        raise InputError(
            "state got members='networks' and predictions that state their u, which are an "
            "emulator's draws: leave members out, or give Predictions(p.stored) of networks"
        )
    if members is None and not stated and predictions.members > _MANY:
        raise InputError(
            f"state got {predictions.members} members and does not guess what they are: say "
            "members='networks' of trained networks, members='draws' of draws"
        )
    networks = members == "networks" or (members is None and not stated)
    if networks and centre_error is not None:
        raise InputError(
            "state got trained networks and centre_error, which their number tells: leave it out, "
            "or say members='draws'"
        )
    return Evidence(predictions, networks, centre_error)


def _of_quantifier(
    source: Quantifier | Quantified, inputs: Any, centre_error: float | None
) -> Evidence:
    if isinstance(source, Quantified):
        if inputs is not None:
            raise InputError("state got a Quantified, which has its inputs, and inputs: give one")
        predictions, check, level = source.predictions, source.transfer, source.level
        own, facts = source.centre_error, dict[str, Any]()
    else:
        if inputs is None:
            raise InputError("state got a Quantifier and no inputs: give what is asked about")
        predictions, check, level = source.predict(inputs), source.check_, source.level_
        own = source.centre_error_
        weights = [_digest(point.params) for point in source.networks_.points]
        facts = {"seed": int(source.seed), "weights_sha256": weights}
        if isinstance(inputs, torch.Tensor | np.ndarray):
            facts["inputs_sha256"] = _digest({"": torch.as_tensor(inputs)})
    cost = source.cost if isinstance(source, Quantified) else source.cost_
    return Evidence(
        predictions,
        networks=False,
        centre_error=own if centre_error is None else centre_error,
        level_deviation=None if level is None else level.deviation,
        check="" if check is None or check.holds else check.warning(),
        checked=check is not None,
        unlike=() if level is None else level.unlike,
        facts={**facts, "trainings": _finite(cost.trainings), "total": _finite(cost.total)},
    )


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of tensors, by name and in the order of their names."""
    parts = [name.encode() + _bytes(tensors[name]) for name in sorted(tensors)]
    return digest(b"".join(parts))


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _check_enough(found: Evidence) -> None:
    if found.predictions.members > 1:
        return
    if found.networks:
        raise InputError(
            "state got the predictions of 1 network, which tell nothing of another training: give "
            "those of 2 or more that were trained by the same recipe, or fit a "
            "thalweg.Quantifier, for which 1 is enough (budget=0 trains no other)"
        )
    raise InputError(
        "state got 1 draw, needs 2 or more, which say how u is shared by the outputs: ask for more "
        "draws"
    )


def in_use(network: Any, predictions: Predictions, *, networks: bool) -> Tensor:
    """The values `[inputs, columns]` of the network in use.

    Args:
        network: Its number among the networks, its `Predictions`, or its values or probabilities.
        predictions: Those that the statement rests on.
        networks: Whether these are of networks.

    Raises:
        InputError: There is no such network, or its values do not fit.
    """
    if isinstance(network, bool | Integral):
        if not networks:
            raise InputError(
                f"network got the number {network}, and the statement rests on draws: give the "
                "network's own predictions, network=thalweg.predict(problem, weights, inputs)"
            )
        if isinstance(network, bool) or not 0 <= int(network) < predictions.members:
            raise InputError(
                f"network got {network!r}, needs 0 to {predictions.members - 1}, its place among "
                "the networks"
            )
        return predictions.values()[int(network)].double()
    if not isinstance(network, Predictions):
        given = numbers("network", network)[0]
        shape = tuple(predictions.stored.shape[1:])
        given = given[:, None] if given.dim() == 1 and shape[1] == 1 else given
        if tuple(given.shape) != shape:
            raise InputError(
                f"network got values of shape {tuple(given.shape)}, needs {shape}: those of one "
                "network for the same inputs"
            )
        kind: Kind = "probabilities" if predictions.outputs.simplex else "values"
        network = Predictions.of(given[None], kind, outputs=predictions.outputs)
    if network.members != 1 or network.stored.shape[1:] != predictions.stored.shape[1:]:
        raise InputError(
            f"network got predictions {list(network.stored.shape)}, needs "
            f"{[1, *predictions.stored.shape[1:]]}: one network's of the same inputs"
        )
    return network.values()[0].double()
