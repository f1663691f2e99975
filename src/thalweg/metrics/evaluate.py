"""Every metric of a method, from its predictions and a prepared truth that all methods of a study
share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.metrics.added import added
from thalweg.metrics.calibration import ece
from thalweg.metrics.curve import SIZES, Curve, ensemble_curve, equivalent
from thalweg.metrics.detection import detection, entropy, mutual_information
from thalweg.metrics.info import FACTS
from thalweg.metrics.intervals import (
    NOT_DEFINED,
    RANKED,
    SHARE,
    Estimate,
    Range,
    Resamples,
    shifted,
)
from thalweg.metrics.retraining import PairMean, distances, retraining_equivalents, spacing
from thalweg.metrics.scores import LEAST_LOG
from thalweg.metrics.scoring import scoring_of
from thalweg.metrics.spread import (
    Coverage,
    ReferenceRanks,
    correlations,
    coverage,
    covered,
    disagreement,
    disagreement_ratio,
    reference_disagreement,
    spread_ratio,
)
from thalweg.metrics.uncertainty import (
    ReferenceU,
    left_out_curve,
    u_curve,
    uncertainty_equivalents,
)
from thalweg.outputs import Outputs, Probabilities
from thalweg.predictions import Predictions


@dataclass(frozen=True)
class Truth:
    """What methods are judged against: computed once, shared by all of them, with the same
    bootstrap replicates for all.

    Attributes:
        reference: Held-out retrainings `[retrainings, inputs, columns]`.
        labels: `[inputs]`; of values, targets `[inputs, outputs]`; None where nobody knows them.
        resamples: Bootstrap weights of the inputs and the reference retrainings.
        spacing: D, the mean distance of two retrainings.
        uncertainty: The reference's standard uncertainty.
        ranks: Its ranks.
        classes: Which classes, or outputs, coverage counts.
        curves: The pool's deep-ensemble curves, or those of the reference's own subsets: of the
            scores, where there are labels (of classes `accuracy`, `nll`, `brier`,
            `calibrated_nll`), and `u_error`.
        elsewhere: The reference's standard uncertainty on out-of-distribution inputs; None without
            a reference there.
        seed: Seed of everything that is drawn.
    """

    reference: Predictions
    labels: Tensor | None
    resamples: Resamples
    spacing: PairMean
    uncertainty: ReferenceU
    ranks: ReferenceRanks
    classes: Coverage
    curves: dict[str, Curve]
    elsewhere: ReferenceU | None
    seed: int

    @property
    def outputs(self) -> Outputs:
        """What all predictions are of."""
        return self.reference.outputs

    @cached_property
    def disagreement(self) -> PairMean:
        """Mean disagreement of two retrainings, of classes."""
        return reference_disagreement(self.reference, self.resamples)

    def among(self, ood_reference: Predictions) -> "Truth":
        """The same with other out-of-distribution inputs, at which the reference is this."""
        replicates = len(self.resamples.inputs)
        return replace(self, elsewhere=_uncertain(ood_reference, replicates, self.seed))

    @staticmethod
    def of(
        reference: Predictions,
        pool: Predictions | None = None,
        labels: Any = None,
        ood_reference: Predictions | None = None,
        *,
        seed: int = 0,
        replicates: int = 1000,
        sizes: Sequence[int] = SIZES,
    ) -> "Truth":
        """Prepares the truth.

        Args:
            reference: Held-out retrainings `[retrainings, inputs, classes]`, two or more. With
                fewer than four the error of u is not defined; two are always drawn together, so
                that no interval holds what they differ by chance.
            pool: Other retrainings `[pool, inputs, classes]`, for the deep-ensemble curves; None
                takes subsets of the reference (`metrics.uncertainty` says how).
            labels: Class indices `[inputs]`, or a regression's targets `[inputs]` or `[inputs,
                outputs]`: a tensor, an array or a list. None leaves out what needs them.
            ood_reference: The reference on out-of-distribution inputs `[retrainings, ood inputs,
                classes]`.
            seed: Seed of the replicates, subsets, halvings and temperature folds.
            replicates: How many bootstrap replicates (200 at most are used where a metric sorts).
            sizes: Numbers of members of the curves; those that don't fit in the pool are left out.

        Raises:
            InputError: Shapes don't fit each other, labels are out of range, or the reference is a
                single retraining.
        """
        if reference.members < 2:
            raise InputError(
                "the reference has 1 retraining, needs 2 or more (30 for narrow intervals): "
                "raise the plan's reference size"
            )
        if pool is not None:
            _check(pool, reference, "the pool")
        scoring = scoring_of(reference.outputs)
        labels = None if labels is None else scoring.check(labels, reference)
        resamples = Resamples.of(reference.inputs, reference.members, replicates, seed)
        uncertainty = ReferenceU.of(reference, resamples)
        elsewhere = None
        if ood_reference is not None:
            if ood_reference.members != reference.members:
                raise InputError(
                    f"the reference has {reference.members} retrainings on test inputs and "
                    f"{ood_reference.members} elsewhere: need the same ones"
                )
            elsewhere = _uncertain(ood_reference, replicates, seed)
        curves = {
            "u_error": left_out_curve(reference, uncertainty, sizes)
            if pool is None
            else u_curve(pool, uncertainty, sizes, seed)
        }
        if labels is not None:
            curves |= ensemble_curve(
                pool or reference,
                lambda ensemble: scoring.scores(ensemble, labels, seed),
                resamples,
                sizes,
                seed,
            )
        return Truth(
            reference=reference,
            labels=labels,
            resamples=resamples,
            spacing=spacing(reference, resamples),
            uncertainty=uncertainty,
            ranks=ReferenceRanks.of(uncertainty),
            classes=Coverage.of(reference),
            curves=curves,
            elsewhere=elsewhere,
            seed=seed,
        )


def _uncertain(ood_reference: Predictions, replicates: int, seed: int) -> ReferenceU:
    """The reference's standard uncertainty on out-of-distribution inputs."""
    inputs, members = ood_reference.inputs, ood_reference.members
    return ReferenceU.of(
        ood_reference, Resamples.of(inputs, members, replicates, seed, "ood inputs")
    )


def evaluate(
    truth: Truth,
    methods: Sequence[Predictions],
    trivial: Sequence[Tensor] | None = None,
    ood: Sequence[Predictions] | None = None,
) -> dict[str, Estimate]:
    """Every metric of a method that is made of predictions and is for their kind of outputs; the
    keys are those of `info.FACTS` (costs are not among them).

    Args:
        truth: What it is judged against.
        methods: Its predictions `[members, inputs, columns]` from each base.
        trivial: The baseline 1 - sum p^2 of one network `[inputs]` for each base
            (`predictions.baseline`); without it there is no partial correlation.
        ood: Its predictions on out-of-distribution inputs, from each base.

    Returns:
        Means over bases with 95 % intervals over inputs, reference retrainings, bases and the
        pool's subsets; nan where a metric isn't defined for the method. Without labels there are
        no scores.

    Raises:
        InputError: Shapes or numbers of bases don't fit, or `ood` is given and the truth has no
            reference there.
    """
    if (
        not methods
        or (trivial is not None and len(trivial) != len(methods))
        or (ood is not None and len(ood) != len(methods))
    ):
        raise InputError(
            f"evaluate got predictions from {len(methods)} bases, {len(trivial or ())} trivial "
            f"baselines and {len(ood or ())} out-of-distribution sets: need one of each for "
            "every base"
        )
    for method in methods:
        _check(method, truth.reference, "a method")
    for baseline in trivial or ():
        if tuple(baseline.shape) != (truth.reference.inputs,):
            raise InputError(
                f"a trivial baseline has shape {tuple(baseline.shape)}, needs "
                f"({truth.reference.inputs},): that of one network on the same inputs"
            )
    result: dict[str, Estimate] = {}
    for of, part in _PARTS:
        if isinstance(truth.outputs, of):
            result |= part(truth, methods, trivial)
    result |= added(truth, methods)
    if ood is not None:
        result |= elsewhere(truth, methods, ood)
    return {name: e for name, e in result.items() if isinstance(truth.outputs, FACTS[name].of)}


Methods = Sequence[Predictions]
Baselines = Sequence[Tensor] | None


def _equivalents(truth: Truth, methods: Methods, trivial: Baselines) -> dict[str, Estimate]:
    """Retraining equivalents of the predictions and of u."""
    apart = [distances(method, truth.reference) for method in methods]
    result = retraining_equivalents(apart, truth.spacing, truth.resamples)
    return result | uncertainty_equivalents(_u(methods), truth.uncertainty, truth.curves["u_error"])


def _scored(truth: Truth, methods: Methods, trivial: Baselines) -> dict[str, Estimate]:
    """Scores, and their deep-ensemble equivalents."""
    if truth.labels is None:
        return {}
    scoring = scoring_of(truth.outputs)
    contributions = [scoring.scores(method, truth.labels, truth.seed) for method in methods]
    result = {}
    for name, sign in scoring.signs.items():
        table = torch.stack([contribution[name] for contribution in contributions], 1)
        result[name] = truth.resamples.mean(table, Range(FACTS[name].low, FACTS[name].high))
        curve = truth.curves.get(name, Curve((), torch.empty(0), torch.empty(0, 0)))
        falling = Curve(curve.sizes, sign * curve.values, sign * curve.replicates)
        replicates = truth.resamples.mean_replicates(table)
        result[f"dee_{name}"] = equivalent(sign * result[name].value, sign * replicates, falling)
    return result


def _ece(truth: Truth, methods: Methods, trivial: Baselines) -> dict[str, Estimate]:
    if truth.labels is None:
        return {}
    labels, bases = truth.labels, truth.resamples.groups("bases", len(methods))
    weights = torch.cat(
        [torch.ones_like(truth.resamples.inputs[:1]), truth.resamples.inputs[:RANKED]]
    )
    errors = torch.stack(
        [ece(method.log_mean().clamp(min=LEAST_LOG), labels, weights) for method in methods],
        1,
    )
    replicates = (errors[1:] * bases[: len(errors) - 1]).sum(1)
    return {"ece": shifted(float(errors[0].mean()), replicates, 0, 1)}


def _spread(truth: Truth, methods: Methods, trivial: Baselines) -> dict[str, Estimate]:
    return {"spread_ratio": spread_ratio(_u(methods), truth.uncertainty)}


def _disagreement(truth: Truth, methods: Methods, trivial: Baselines) -> dict[str, Estimate]:
    table = torch.stack([disagreement(method) for method in methods], 1)
    return {"disagreement_ratio": disagreement_ratio(table, truth.disagreement, truth.resamples)}


def _coverage(truth: Truth, methods: Methods, trivial: Baselines) -> dict[str, Estimate]:
    inside = torch.stack([covered(method, truth.reference, truth.classes) for method in methods], 1)
    return {
        "coverage": coverage(inside, truth.classes, truth.resamples),
        "outside": _outside(methods, truth.resamples),
    }


def _correlations(truth: Truth, methods: Methods, trivial: Baselines) -> dict[str, Estimate]:
    """The partial correlation is left out of what values have: their baseline is constant."""
    baselines = None if trivial is None else torch.stack(list(trivial), 1)
    return correlations(_u(methods), baselines, truth.ranks, truth.resamples)


_PARTS: tuple[
    tuple[type[Outputs], Callable[[Truth, Methods, Baselines], dict[str, Estimate]]], ...
] = (
    (Outputs, _equivalents),
    (Outputs, _scored),
    (Probabilities, _ece),
    (Outputs, _spread),
    (Probabilities, _disagreement),
    (Outputs, _coverage),
    (Outputs, _correlations),
)
"""What is judged, in the order of result tables, and of what kind of outputs."""


def _u(methods: Methods) -> Tensor:
    """Standard uncertainties `[inputs, bases]`."""
    return torch.stack([method.u().double() for method in methods], 1)


def elsewhere(
    truth: Truth, methods: Sequence[Predictions], ood: Sequence[Predictions]
) -> dict[str, Estimate]:
    """The metrics that out-of-distribution inputs tell, as `evaluate` returns them.

    Args:
        truth: What the method is judged against, with a reference there.
        methods: Its predictions `[members, inputs, columns]` from each base.
        ood: Those on out-of-distribution inputs.
    """
    if truth.elsewhere is None:
        raise InputError(
            "out-of-distribution predictions were given, but the truth has none of the "
            "reference: give Truth.of an ood_reference"
        )
    away = truth.elsewhere
    for method in ood:
        if (method.inputs, method.columns) != (len(away.u), truth.reference.columns):
            raise InputError(
                f"a method has {method.inputs} out-of-distribution inputs and {method.columns} "
                f"classes, the reference {len(away.u)} and {truth.reference.columns}: need "
                "predictions for the same inputs"
            )
    result = {}
    for name, of, score in _DETECTORS:
        if isinstance(truth.outputs, of):
            result[f"ood_auroc_{name}"] = detection(
                [score(method) for method in methods],
                [score(method) for method in ood],
                truth.resamples,
                away.resamples,
            )
    return result | {
        "ood_spread_ratio": spread_ratio(_u(ood), away),
        "ood_outside": _outside(ood, away.resamples),
    }


_DETECTORS: tuple[tuple[str, type[Outputs], Callable[[Predictions], Tensor]], ...] = (
    ("mutual_information", Probabilities, mutual_information),
    ("entropy", Probabilities, entropy),
)


def _outside(methods: Sequence[Predictions], resamples: Resamples) -> Estimate:
    """Share of inputs that are outside of what the method knows, mean over bases; nan where it
    doesn't look.
    """
    shares = [method.outside.double() for method in methods if method.outside is not None]
    if len(shares) < len(methods):
        return NOT_DEFINED
    return resamples.mean(torch.stack(shares, 1), SHARE)


def _check(predictions: Predictions, reference: Predictions, whose: str) -> None:
    if predictions.outputs != reference.outputs:
        raise InputError(
            f"{whose} has predictions of {predictions.outputs}, the reference of "
            f"{reference.outputs}: need the same of both"
        )
    if predictions.stored.shape[1:] != reference.stored.shape[1:]:
        last = "classes" if reference.outputs.simplex else "outputs"
        raise InputError(
            f"{whose} has {predictions.inputs} inputs and {predictions.columns} {last}, the "
            f"reference {reference.inputs} and {reference.columns}: need predictions for the "
            "same inputs"
        )
