"""Deferral: how the risk of error falls with the share of inputs that a human looks at instead."""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.statement.held import Stated


@dataclass(frozen=True, eq=False)
class Deferral:
    """The curve from deferring none to deferring all but one.

    Attributes:
        order: The inputs from the first that is deferred to the last `[inputs]`.
        share: The share that is deferred `[points]`.
        risk: The mean risk of error of the inputs that are kept `[points]`.
        basis: What an error is: `labels` (the answer is not the label), `labels of conformity` (the
            label conforms and the estimate does not, or the other way round), `conformity` (the
            specific risk of deciding by the estimate), or `draws` (another training answers
            otherwise).
    """

    order: Tensor
    share: Tensor
    risk: Tensor
    basis: str

    def share_for(self, risk: float) -> float | None:
        """The least share that must be deferred for the rest to have this risk or less, with every
        larger share having it, too; None where no share is enough.

        Example:
            >>> curve = curve_of(torch.tensor([0.3, 0.1, 0.2]), torch.tensor([1.0, 0.0, 0.0]), "x")
            >>> round(curve.share_for(0.0), 4)
            0.3333
        """
        above = (self.risk > risk + 1e-12).nonzero()
        first = int(above[-1]) + 1 if len(above) else 0
        return float(self.share[first]) if first < len(self.share) else None


def curve_of(score: Tensor, wrong: Tensor, basis: str) -> Deferral:
    """The curve that defers the largest scores first; inputs of equal scores are kept or deferred
    with the mean of their risks, so that their order makes no difference.

    Args:
        score: What is deferred first `[inputs]`.
        wrong: The risk of error of each input `[inputs]`.
        basis: As in `Deferral`.

    Example:
        >>> curve_of(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]), "labels").risk
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    order = score.argsort(descending=True, stable=True)
    _, place = score[order].unique_consecutive(return_inverse=True)
    ranked = wrong[order].double()
    sums = torch.zeros(int(place.max()) + 1, dtype=torch.float64).index_add_(0, place, ranked)
    counts = torch.bincount(place).double()
    even = (sums / counts)[place]
    left = torch.arange(len(order), 0, -1, dtype=torch.float64)
    risk = even.flip(0).cumsum(0).flip(0) / left
    return Deferral(order, 1 - left / len(order), risk, basis)


def deferral_of(statement: Stated) -> Deferral:
    """The curve of a statement.

    Raises:
        InputError: It has values and no decision, so that nothing can be wrong.
    """
    decision, labels = statement.decision, statement.labels
    if decision is not None:
        score = torch.minimum(decision.conformance, 1 - decision.conformance)
        column = decision.column[:, None]
        at = statement.estimate.gather(1, column)[:, 0]
        low, high = decision.tolerance.limits()
        said = (at >= low) & (at <= high)
        if labels is not None and not statement.simplex:
            true = labels.reshape(len(at), -1).double().gather(1, column)[:, 0]
            wrong = ((true >= low) & (true <= high)) != said
            return curve_of(score, wrong, "labels of conformity")
        p = decision.conformance
        return curve_of(score, torch.where(said, 1 - p, p), "conformity")
    if statement.nominal is None:
        raise InputError(
            "deferral got values and no tolerance, needs to know what an error is: give "
            "state(..., tolerance=thalweg.statement.Tolerance(low=..., high=...))"
        )
    if labels is not None:
        wrong = statement.answers() != labels
        return curve_of(statement.nominal.value["vr"], wrong, "labels")
    apart = statement.nominal.disagreement
    return curve_of(apart + 1e-6 * statement.nominal.value["vr"], apart, "draws")
