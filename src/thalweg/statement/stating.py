"""State: from networks, draws or a fitted quantifier to an uncertainty statement, in one call."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import torch
from torch import Tensor

from thalweg.arrays import numbers
from thalweg.errors import InputError, check_range, unknown
from thalweg.files import digest
from thalweg.meter import now
from thalweg.outputs import Binary, Outputs, Values
from thalweg.predictions import Kind, Predictions
from thalweg.statement.components import Component, combined
from thalweg.statement.evidence import Evidence, Members, evidence_of, in_use
from thalweg.statement.freedom import coverage_factor, coverage_of
from thalweg.statement.measurand import Measurand, components_of, known_of
from thalweg.statement.nominal import nominal
from thalweg.statement.sources import rows_of
from thalweg.statement.statement import Statement
from thalweg.statement.tolerance import Tolerance


def state(
    source: Any,
    inputs: Any = None,
    *,
    measurand: Measurand = "retraining",
    network: Any = None,
    level: float = 0.95,
    k: float | None = None,
    tolerance: Tolerance | None = None,
    labels: Any = None,
    kind: Kind | None = None,
    outputs: Outputs | None = None,
    members: Members | None = None,
    centre_error: float | None = None,
    u_method: Any = None,
    relative_u: float | None = None,
    sources: Any = None,
    names: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    pictures: Any = None,
) -> Statement:
    """An uncertainty statement: for each input and output an estimate, its standard uncertainty by
    source, expanded uncertainty, coverage intervals and, with a tolerance, a decision.

    The measurand is what one more training by this recipe would predict (`retraining`), or the
    mean of what all trainings by it would (`mean`). u combines what retraining changes (of
    `retraining` only), what the finite number of networks and draws leaves open, what is known of
    the method's own error, and, where the network in use is given, how far it is from the mean
    (JCGM 100:2008, 101:2008, 102:2011 and 106:2012; `docs/statement.md` has the formulas).

    Args:
        source: A fitted `Quantifier`, what `quantify` returned, `Predictions` of two networks or
            more that were trained by one recipe, draws, or an array of either.
        inputs: What a `Quantifier` is asked about.
        measurand: `retraining` or `mean`.
        network: The network in use, whose prediction then is the estimate: its number among the
            networks, its `Predictions`, or its values or probabilities `[inputs, columns]`. None
            for the mean as the estimate.
        level: The coverage probability.
        k: A coverage factor, such as 2; None for Student's at `level`.
        tolerance: What conforms.
        labels: True classes `[inputs]` or values, where they are known; they are used for the risk
            of deferral alone.
        kind: What an array holds, as in `Predictions.of`.
        outputs: What an array is of, as in `Predictions.of`.
        members: Whether members are trained `networks` or `draws`. None for `draws` where
            predictions state their u, as those of an emulator do, and else for `networks`, up to
            50 of them: say `draws` of samples of one posterior.
        centre_error: Of draws: the squared error of their centre from having few networks, in
            variances of one training; 1/K about the mean of K networks. A quantifier knows it.
        u_method: The standard uncertainty of the method, where you know it: a number, or
            `[inputs]` or `[inputs, columns]`, in the units of the values.
        relative_u: Of draws: the relative standard uncertainty of u itself, where you know it; it
            becomes degrees of freedom (GUM G.4.2).
        sources: A budget of sources: rows, or whatever has one as `.table()`.
        names: The names of the inputs; their numbers if None.
        columns: The names of classes or outputs; their numbers if None.
        pictures: The inputs as images `[inputs, channels, height, width]`, for the report.

    Raises:
        InputError: There is one network alone, so that nothing is known of another training; or an
            argument does not fit the others.

    Example:
        >>> p = [[[0.9, 0.1]], [[0.8, 0.2]], [[0.85, 0.15]]]
        >>> found = state(p, kind="probabilities", columns=["yes", "no"])
        >>> found.text(0), round(float(found.k[0, 0]), 2), found.networks
        ('0.850(58)', 4.3, True)
    """
    check_settings(measurand, level, k)
    found = evidence_of(
        source,
        inputs,
        kind=kind,
        outputs=outputs,
        members=members,
        centre_error=centre_error,
    )
    predictions = found.predictions
    mean = predictions.values().double().mean(0)
    titles = _titles("names", names, predictions.inputs, "inputs", str)
    heads = _titles("columns", columns, predictions.columns, "columns", _head(predictions))
    method = None if u_method is None else _spread_out("u_method", u_method, mean)
    true = None if labels is None else _labels(labels, predictions)
    shown = None if pictures is None else _pictures(pictures, predictions.inputs)
    rows = rows_of(sources, predictions.inputs)
    parts = components_of(found, measurand, method=method, relative_u=relative_u)
    known, intervals, how = known_of(found, measurand, parts, float(level))
    own = None if network is None else in_use(network, predictions, networks=found.networks)
    if own is not None:
        freedom = predictions.members - 1.0 if found.networks else torch.inf
        shares = "retraining" if found.networks else "deviation"
        parts += (Component("deviation", (own - mean).abs(), freedom, "A", "network", shares),)
    u, freedoms = combined(parts, mean)
    factor = coverage_factor(level, freedoms) if k is None else torch.full_like(u, k)
    made = Statement(
        outputs=predictions.outputs,
        measurand=measurand,
        corrected=own is None,
        level=float(level),
        networks=found.networks,
        members=predictions.members,
        inputs=titles,
        columns=heads,
        mean=mean,
        estimate=mean if own is None else own,
        components=parts,
        u=u,
        freedom=freedoms,
        k=factor,
        coverage=torch.full_like(u, level) if k is None else coverage_of(k, freedoms),
        symmetric=intervals["symmetric"],
        shortest=intervals["shortest"],
        intervals=how,
        located=known.located,
        wider=known.wider,
        nominal=nominal(predictions.values(), mean) if predictions.outputs.simplex else None,
        outside=predictions.outside,
        checks=tuple(text for text in (found.check, *found.unlike) if text),
        checked=found.checked,
        values=predictions.values().double(),
        labels=true,
        pictures=shown,
        sources=rows,
        identity=_identity(found),
    )
    return made if tolerance is None else made.decide(tolerance)


def check_settings(measurand: str, level: float, k: float | None) -> None:
    """Checks what can be checked of `state`'s settings before there is anything to state.

    Raises:
        InputError: A setting is unknown, or out of its range.
    """
    if measurand not in ("retraining", "mean"):
        raise unknown("measurand", measurand, ("retraining", "mean"))
    check_range("level", level, 0.5, 0.9999)
    if k is not None:
        check_range("k", k, 0.1, 100)


def _head(predictions: Predictions) -> Any:
    if isinstance(predictions.outputs, Binary):
        return ("false", "true").__getitem__
    if predictions.outputs.simplex:
        return str
    return (lambda number: "value") if predictions.columns == 1 else (lambda n: f"output {n}")


def _titles(
    argument: str, given: Sequence[str] | None, count: int, of: str, usual: Any
) -> tuple[str, ...]:
    titles = tuple(map(usual, range(count))) if given is None else tuple(map(str, given))
    if len(titles) != count or len(set(titles)) != count:
        raise InputError(
            f"{argument} got {len(titles)} names, {len(set(titles))} of them different, needs "
            f"{count}, a different one for each of the {of}"
        )
    return titles


def _spread_out(name: str, given: Any, like: Tensor) -> Tensor:
    found = numbers(name, given)[0].double()
    if found.dim() == 1 and len(found) == len(like):
        found = found[:, None]
    if found.dim() > 2 or (found.dim() == 1 and found.numel() != 1):
        raise InputError(f"{name} got shape {tuple(found.shape)}, needs {tuple(like.shape)}")
    try:
        found = found.expand(like.shape)
    except RuntimeError:
        raise InputError(
            f"{name} got shape {tuple(found.shape)}, needs one number, [{len(like)}] or "
            f"{list(like.shape)}"
        ) from None
    if not ((found >= 0) & found.isfinite()).all():
        raise InputError(f"{name} got NaN, infinite or negative numbers, needs 0 or more")
    return found.contiguous()


def _labels(given: Any, predictions: Predictions) -> Tensor:
    found = numbers("labels", given)[0]
    if predictions.outputs.simplex:
        whole = found.reshape(-1).long()
        wrong = found.reshape(-1) != whole
        if len(whole) != predictions.inputs or found.dim() > 2 or bool(wrong.any()):
            raise InputError(
                f"labels got shape {tuple(found.shape)}, needs [{predictions.inputs}] whole numbers"
            )
        if not ((whole >= 0) & (whole < predictions.columns)).all():
            raise InputError(
                f"labels got {int(whole.min())} to {int(whole.max())}, needs 0 to "
                f"{predictions.columns - 1}"
            )
        return whole
    if found.numel() != predictions.inputs * predictions.columns or not found.isfinite().all():
        raise InputError(
            f"labels got shape {tuple(found.shape)}, needs finite values "
            f"[{predictions.inputs}, {predictions.columns}]"
        )
    return found.reshape(predictions.inputs, predictions.columns).double()


def _pictures(given: Any, inputs: int) -> Tensor:
    found = numbers("pictures", given)[0]
    found = found[:, None] if found.dim() == 3 else found
    if found.dim() != 4 or len(found) != inputs or found.shape[1] not in (1, 3):
        raise InputError(
            f"pictures got shape {tuple(found.shape)}, needs [{inputs}, 1 or 3, height, width]"
        )
    if not found.isfinite().all():
        raise InputError("pictures got NaN or infinite numbers, needs finite ones")
    return found.float()


def _identity(found: Evidence) -> dict[str, Any]:
    """What the statement was made with, and of what."""
    versions = {"python": platform.python_version()}
    for package in ("thalweg", "torch", "numpy", "scipy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    predictions = found.predictions
    units = predictions.outputs.units if isinstance(predictions.outputs, Values) else ""
    data = cast("Any", predictions.stored.contiguous().numpy()).tobytes()
    return {
        "software": "thalweg",
        "versions": versions,
        "made": datetime.fromtimestamp(now(), UTC).isoformat(timespec="seconds"),
        "units": units,
        "predictions_sha256": digest(data),
        **dict(found.facts),
    }
