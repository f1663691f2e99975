"""The comparison of one method with retrainings, from their predictions alone."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from thalweg.errors import InputError, check_range
from thalweg.meter import Cost
from thalweg.metrics.costs import EFFICIENCIES
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.metrics.info import FACTS
from thalweg.metrics.intervals import Estimate
from thalweg.predictions import Predictions

LEAST = 3  # retrainings, of which there are pairs that share none
FEW = 10
_SHOWN = (
    *("k_eq", "k_u", "coverage", "spread_ratio"),
    *("accuracy", "calibrated_nll", "squared_error", "crps"),  # where there are labels
    *EFFICIENCIES,
)


@dataclass(frozen=True)
class Comparison:
    """What a method's predictions are worth beside retrainings. It prints as a small table.

    Attributes:
        estimates: Every metric by its name (`thalweg explain all` lists them), with its 95 %
            interval; nan where one is not defined.
        retrainings: How many retrainings it was compared with.
        inputs: On how many inputs.
    """

    estimates: Mapping[str, Estimate]
    retrainings: int
    inputs: int

    @property
    def k_eq(self) -> Estimate:
        """How many retrainings the predictions are worth."""
        return self.estimates["k_eq"]

    @property
    def k_u(self) -> Estimate:
        """How many retrainings know u as well."""
        return self.estimates["k_u"]

    @property
    def coverage(self) -> Estimate:
        """The share of the retrainings' values inside the method's 95 % interval."""
        return self.estimates["coverage"]

    @property
    def spread_ratio(self) -> Estimate:
        """The method's mean u over that of the retrainings."""
        return self.estimates["spread_ratio"]

    def __str__(self) -> str:
        rows = {
            FACTS[name].symbol: self.estimates[name].text(FACTS[name].digits)
            for name in _SHOWN
            if name in self.estimates
        }
        width = max(map(len, rows))
        lines = [f"{symbol:{width}}  {text}" for symbol, text in rows.items()]
        setting = f"(95 % intervals; {self.retrainings} retrainings, {self.inputs} inputs)"
        return "\n".join([*lines, setting])


def compare(
    reference: Predictions,
    method: Predictions | Sequence[Predictions],
    *,
    labels: Any = None,
    pool: Predictions | None = None,
    cost: Cost | float | None = None,
    seed: int = 0,
) -> Comparison:
    """Returns what a method's predictions are worth beside real retrainings, on the same inputs.

    Args:
        reference: Predictions of retrainings `[retrainings, inputs, columns]`, three at least, and
            ten or more for intervals that tell something. The method must not have seen them.
        method: The method's members or draws `[members, inputs, columns]`; or several of its runs,
            each from another start: intervals then hold what differs between runs, too.
        labels: Class indices or truth values `[inputs]`, or a regression's targets; with them there
            are scores as well, such as accuracy and log-likelihood.
        pool: Further retrainings, from which the curves of deep ensembles are made. Without them
            the reference's own subsets are taken; those whose u is judged are each compared with
            the retrainings that are not in them, so K_u is known up to half of these.
        cost: What the method cost, in trainings; then K_eq and K_u per training are among the
            estimates.
        seed: Seed of the bootstrap.

    Returns:
        K_eq, K_u, coverage, spread ratio and all other metrics, each with a 95 % bootstrap interval
        over inputs and retrainings.

    Raises:
        InputError: There are fewer than three retrainings, or shapes, labels or kinds of outputs do
            not fit each other.

    Example:
        >>> import torch
        >>> logits = torch.randn(14, 200, 3, generator=torch.Generator().manual_seed(0))
        >>> runs = Predictions.of(logits, kind="logits")
        >>> found = compare(runs.among(torch.arange(12)), runs.among(torch.arange(12, 14)))
        >>> found.k_eq.low < 2 < found.k_eq.high
        True
    """
    methods = [method] if isinstance(method, Predictions) else list(method)
    beside = [] if pool is None else [pool]
    for given in (reference, *methods, *beside):
        if not isinstance(given, Predictions):
            raise InputError(
                f"compare got a {type(given).__name__}, needs Predictions: make them with "
                "Predictions.of(array, kind=...)"
            )
    retrainings = reference.members
    if retrainings < LEAST:
        raise InputError(
            f"compare got {retrainings} reference retrainings, needs {LEAST} or more, and better "
            "30: less can't tell how retrainings differ"
        )
    spent = cost.total if isinstance(cost, Cost) else cost
    if spent is not None:
        check_range("cost", spent, 0)
    truth = Truth.of(reference, pool, labels, seed=seed)
    estimates = evaluate(truth, methods)
    if spent is not None:
        estimates |= {name: estimates[worth].per(spent) for name, worth in EFFICIENCIES.items()}
    if retrainings < FEW:
        warnings.warn(
            f"compare got {retrainings} reference retrainings: below {FEW}, intervals are rough "
            "and K_u is hardly known; give more",
            stacklevel=2,
        )
    for given in (*methods, *beside):
        _warn_of_shared(reference, given)
    return Comparison(estimates, retrainings, reference.inputs)


def _warn_of_shared(reference: Predictions, given: Predictions) -> None:
    """Warns of a member that is a retraining of the reference itself."""
    for k, member in enumerate(given.stored):
        for r, retraining in enumerate(reference.stored):
            if torch.equal(member, retraining.to(member.dtype)):
                warnings.warn(
                    f"compare got a member ({k}) that predicts what retraining {r} of the "
                    "reference does, everywhere: what is judged by retrainings must not hold "
                    "them; leave it out of one of both",
                    stacklevel=3,
                )
                return
