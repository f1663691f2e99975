"""The table of facts: what every reported figure is called, means and comes from, and which
direction is good.
"""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from thalweg.errors import unknown
from thalweg.outputs import Outputs, Probabilities, Values

Direction = Literal["higher", "lower", "one", "none"]


@dataclass(frozen=True)
class MetricInfo:
    """What a reader must know of a figure.

    Attributes:
        name: Its key in result tables.
        title: Its name in text and headers.
        symbol: Its symbol, or a short form for narrow columns.
        unit: Its unit; '' for a pure number.
        direction: What is better: higher, lower, closer to one, or none of them (a description).
        definition: One or two sentences, with the formula.
        source: Where it comes from.
        digits: Format specification of its numbers.
        low: The lowest that it can be; no interval goes below.
        high: The highest.
        of: The outputs that it is for, or a tuple of several kinds; it is left out for others.
    """

    name: str
    title: str
    symbol: str
    unit: str
    direction: Direction
    definition: str
    source: str
    digits: str
    low: float = 0.0
    high: float = math.inf
    of: type[Outputs] | tuple[type[Outputs], ...] = Outputs

    def record(self) -> dict[str, Any]:
        """All but what it is for, which a result file's own list of metrics says: for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "of"}


_THALWEG = "thalweg (this project)"
_ASHUKHA = "Ashukha et al. 2020, arXiv 2002.06470"
_METER = "counted by the meter from the shape of the outputs inside the training loop"


def _equivalent(name: str, title: str, symbol: str, of: type[Outputs]) -> MetricInfo:
    text = (
        f"Number of members of the deep ensemble that reaches the method's {title}: the pool's "
        "curve over 1, 2, 3, 5, 10, 20 members (its running best), interpolated linearly in the "
        "number; not below 1, and '> k' beyond the curve."
    )
    return MetricInfo(
        f"dee_{name}",
        f"deep-ensemble equivalent in {title}",
        f"DEE {symbol}",
        "retrainings",
        "higher",
        text,
        _ASHUKHA,
        ".1f",
        low=1.0,
        of=of,
    )


_ALL = (
    MetricInfo(
        "k_eq",
        "retraining equivalents",
        "K_eq",
        "retrainings",
        "higher",
        "How many real retrainings the method's members are worth as a sample of what "
        "retraining would predict: K_eq = 1 / gap, the retraining gap, so a deep ensemble of K "
        "has K_eq = K; '> k' where the gap's interval reaches 0.",
        f"{_THALWEG}; energy score: Gneiting and Raftery 2007, doi 10.1198/016214506000001437",
        ".1f",
    ),
    MetricInfo(
        "gap",
        "retraining gap",
        "gap",
        "",
        "lower",
        "How much worse than the retrainings themselves the members predict one more: gap = (ES "
        "- D/2) / (D/2), with ES = mean |q - p| - 1/2 mean |q - q'| (all pairs) and D = mean |p "
        "- p'| between different retrainings.",
        f"{_THALWEG}; energy score: Gneiting and Raftery 2007, doi 10.1198/016214506000001437",
        ".3f",
        low=-1.0,
    ),
    MetricInfo(
        "fair_gap",
        "fair retraining gap",
        "fair gap",
        "",
        "none",
        "The gap with only pairs of different members in ES: how wrong the distribution is, "
        "whatever the number of members; 0 for real retrainings, not defined for one member.",
        "Ferro 2014, doi 10.1002/qj.2270",
        ".3f",
        low=-math.inf,
    ),
    MetricInfo(
        "k_u",
        "retraining equivalents of the standard uncertainty",
        "K_u",
        "retrainings",
        "higher",
        "Number of retrainings whose standard deviation would know u(x) = sqrt(sum over classes "
        "of the variance over retrainings) as well: where the pool's curve of u's error has the "
        "method's (logarithmic axes); '> k' beyond the curve.",
        _THALWEG,
        ".1f",
        low=1.0,
    ),
    MetricInfo(
        "u_error",
        "error of the standard uncertainty",
        "err u",
        "",
        "lower",
        "Root mean square over inputs of u_method - u_reference, with the reference's own "
        "sampling noise (from halvings) subtracted in squares, divided by the mean of "
        "u_reference; not defined for fewer than 4 reference retrainings.",
        _THALWEG,
        ".3f",
    ),
    MetricInfo(
        "accuracy",
        "accuracy",
        "acc",
        "",
        "higher",
        "Share of inputs whose most probable class (of the members' mean probability) is the "
        "label; ties count their share.",
        "common",
        ".4f",
        high=1.0,
        of=Probabilities,
    ),
    MetricInfo(
        "nll",
        "negative log-likelihood",
        "NLL",
        "nats",
        "lower",
        "Mean of -log p(label), p the members' mean probability.",
        "common; Lakshminarayanan et al. 2017, arXiv 1612.01474",
        ".4f",
        of=Probabilities,
    ),
    MetricInfo(
        "brier",
        "Brier score",
        "Brier",
        "",
        "lower",
        "Mean of the sum over classes of (p - 1[label])^2, p the members' mean probability; "
        "from 0 to 2.",
        "Brier 1950, doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
        ".4f",
        high=2.0,
        of=Probabilities,
    ),
    MetricInfo(
        "calibrated_nll",
        "calibrated negative log-likelihood",
        "cNLL",
        "nats",
        "lower",
        "NLL of p^(1/T), normalised, with the temperature T fitted after averaging, on one half "
        "of the inputs for the other (two-fold cross-fitted, mean over 5 random halvings).",
        f"{_ASHUKHA}; Guo et al. 2017, arXiv 1706.04599",
        ".4f",
        of=Probabilities,
    ),
    MetricInfo(
        "ece",
        "expected calibration error",
        "ECE",
        "",
        "lower",
        "Mean over 15 bins of equal mass of |accuracy - confidence|; inputs of equal confidence "
        "have their mean accuracy. Above 0 by chance for finitely many inputs, and no figure to "
        "rank by.",
        "Nixon et al. 2019, arXiv 1904.01685",
        ".4f",
        high=1.0,
        of=Probabilities,
    ),
    _equivalent("accuracy", "accuracy", "acc", Probabilities),
    _equivalent("nll", "negative log-likelihood", "NLL", Probabilities),
    _equivalent("brier", "Brier score", "Brier", Probabilities),
    _equivalent("calibrated_nll", "calibrated negative log-likelihood", "cNLL", Probabilities),
    MetricInfo(
        "squared_error",
        "squared error",
        "sq. error",
        "units^2",
        "lower",
        "Mean over inputs and outputs of (mean value - target)^2.",
        "common",
        ".4g",
        of=Values,
    ),
    MetricInfo(
        "gaussian_nll",
        "Gaussian negative log-likelihood",
        "NLL",
        "nats",
        "lower",
        "Mean of -log of the Gaussian density with the members' mean and variance at the target; "
        "10,000 at most, as where members agree. The members' variance holds no noise of targets.",
        "common; Lakshminarayanan et al. 2017, arXiv 1612.01474",
        ".4g",
        low=-math.inf,
        of=Values,
    ),
    MetricInfo(
        "calibrated_gaussian_nll",
        "calibrated Gaussian negative log-likelihood",
        "cNLL",
        "nats",
        "lower",
        "The same with one variance added to the members' at all inputs, that of the noise, fitted "
        "on one half of the inputs for the other (two-fold cross-fitted, mean over 5 random "
        "halvings).",
        f"after {_ASHUKHA}",
        ".4g",
        low=-math.inf,
        of=Values,
    ),
    MetricInfo(
        "crps",
        "continuous ranked probability score",
        "CRPS",
        "units",
        "lower",
        "Mean over inputs and outputs of mean |v - y| - 1/2 mean |v - v'|, with the members' "
        "values v and the target y.",
        "Gneiting and Raftery 2007, doi 10.1198/016214506000001437",
        ".4g",
        of=Values,
    ),
    MetricInfo(
        "interval_score",
        "interval score",
        "int. score",
        "units",
        "lower",
        "Mean over inputs and outputs of the width of the members' central 95 % interval, and 40 "
        "times the distance of the target from it where it is outside.",
        "Gneiting and Raftery 2007, doi 10.1198/016214506000001437",
        ".4g",
        of=Values,
    ),
    _equivalent("squared_error", "squared error", "sq. error", Values),
    _equivalent("gaussian_nll", "Gaussian negative log-likelihood", "NLL", Values),
    _equivalent(
        "calibrated_gaussian_nll", "calibrated Gaussian negative log-likelihood", "cNLL", Values
    ),
    _equivalent("crps", "continuous ranked probability score", "CRPS", Values),
    _equivalent("interval_score", "interval score", "int. score", Values),
    MetricInfo(
        "spread_ratio",
        "spread ratio",
        "spread",
        "",
        "one",
        "Mean over inputs of the method's standard uncertainty u, divided by the reference's: "
        "below 1 it is over-confident.",
        _THALWEG,
        ".2f",
    ),
    MetricInfo(
        "disagreement_ratio",
        "disagreement ratio",
        "disagr.",
        "",
        "one",
        "Share of pairs of different members with different most probable classes, divided by "
        "that of reference retrainings.",
        "after Fort et al. 2019, arXiv 1912.02757",
        ".2f",
        of=Probabilities,
    ),
    MetricInfo(
        "coverage",
        "coverage of the 95 % interval",
        "cover",
        "",
        "none",
        "Share of held-out retrainings' probabilities inside the members' central 95 % interval "
        "(ends included), over inputs and the classes whose mean reference probability is above "
        "0.01. It should be 0.95; few members reach less even if they are retrainings.",
        _THALWEG,
        ".3f",
        high=1.0,
    ),
    MetricInfo(
        "rank_correlation",
        "rank correlation with the reference's u",
        "rank corr.",
        "",
        "higher",
        "Spearman's correlation over inputs of the method's u with the reference's. Compare "
        "with the trivial baseline's.",
        "Spearman 1904, doi 10.2307/1412159",
        ".3f",
        low=-1.0,
        high=1.0,
    ),
    MetricInfo(
        "partial_correlation",
        "partial rank correlation",
        "partial",
        "",
        "higher",
        "The rank correlation that is left given the trivial baseline 1 - sum p^2 of one "
        "network: (r_ur - r_ub r_rb) / sqrt((1 - r_ub^2)(1 - r_rb^2)), ranks of u, reference r, "
        "baseline b.",
        f"{_THALWEG}; partial correlation: Kendall 1942, doi 10.1093/biomet/32.3-4.277",
        ".3f",
        low=-1.0,
        high=1.0,
        of=Probabilities,
    ),
    MetricInfo(
        "ood_auroc_mutual_information",
        "out-of-distribution AUROC by mutual information",
        "OOD MI",
        "",
        "higher",
        "Probability that an out-of-distribution input has more mutual information (entropy of "
        "the mean less the members' mean entropy) than a test input; ties count half, 0.5 for "
        "one member.",
        "Depeweg et al. 2018, arXiv 1710.07283; Hendrycks and Gimpel 2017, arXiv 1610.02136",
        ".3f",
        high=1.0,
        of=Probabilities,
    ),
    MetricInfo(
        "ood_auroc_entropy",
        "out-of-distribution AUROC by entropy",
        "OOD H",
        "",
        "higher",
        "Probability that an out-of-distribution input has a higher entropy of the mean "
        "prediction than a test input; ties count half.",
        "Hendrycks and Gimpel 2017, arXiv 1610.02136",
        ".3f",
        high=1.0,
        of=Probabilities,
    ),
    MetricInfo(
        "ood_spread_ratio",
        "out-of-distribution spread ratio",
        "OOD spread",
        "",
        "one",
        "The spread ratio on out-of-distribution inputs.",
        _THALWEG,
        ".2f",
    ),
    MetricInfo(
        "outside",
        "inputs outside of what the method knows",
        "outside",
        "",
        "lower",
        "Share of test inputs that the method calls unlike all its calibration inputs, so that "
        "its u there is a guess; - where a method does not look.",
        _THALWEG,
        ".3f",
        high=1.0,
    ),
    MetricInfo(
        "ood_outside",
        "out-of-distribution inputs outside of what the method knows",
        "OOD outside",
        "",
        "higher",
        "The same share of out-of-distribution inputs.",
        _THALWEG,
        ".2f",
        high=1.0,
    ),
    MetricInfo(
        "cost",
        "training cost",
        "cost",
        "trainings",
        "lower",
        "Network evaluations with a backward pass, divided by those of one full training; "
        "whatever calibrates the method is part of it.",
        _METER,
        ".2f",
    ),
    MetricInfo(
        "total",
        "total cost",
        "total",
        "trainings",
        "lower",
        "All work: network evaluations with a backward pass, and forward-only ones at a third, "
        "divided by those of one full training. Evaluations of test inputs are counted by "
        "'evaluations per test input' instead, an emulator's time, in which no network is "
        "evaluated, by 'emulator time'.",
        _METER,
        ".2f",
    ),
    MetricInfo(
        "forward",
        "forward-only cost",
        "forward",
        "trainings",
        "lower",
        "Network evaluations without a backward pass, divided by the evaluations of one full "
        "training (one costs about a third of the work).",
        _METER,
        ".2f",
    ),
    MetricInfo(
        "seconds",
        "time",
        "time",
        "s",
        "lower",
        "Wall-clock time of the exploration, cached anchors charged with the time they took.",
        "the meter's clock",
        ".1f",
    ),
    MetricInfo(
        "emulator_seconds",
        "emulator time",
        "emulator",
        "s",
        "lower",
        "Of the time, that of the emulator alone.",
        "the meter's clock",
        ".1f",
    ),
    MetricInfo(
        "relative_time",
        "time over that of one training",
        "time/training",
        "",
        "lower",
        "Time of the exploration, divided by the time that one training took in the same study, "
        "in a process with as many threads; mean over bases, each with its own first anchor.",
        "the meter's clock",
        ".1f",
    ),
    MetricInfo(
        "peak_memory",
        "peak memory",
        "memory",
        "bytes",
        "lower",
        "Largest memory of the process while it explored (GPU memory there).",
        "the meter",
        ".3g",
    ),
    MetricInfo(
        "stored_bytes",
        "stored size",
        "stored",
        "bytes",
        "lower",
        "Bytes of what must be kept to predict.",
        "the stored files",
        ".3g",
    ),
    MetricInfo(
        "evaluations_per_input",
        "evaluations per test input",
        "eval./input",
        "networks",
        "lower",
        "Network evaluations that one prediction takes.",
        "the meter",
        ".0f",
    ),
    MetricInfo(
        "efficiency",
        "efficiency",
        "K_eq/total",
        "retrainings per training",
        "higher",
        "K_eq / total cost. A deep ensemble has 1; a method is worth having when it is clearly "
        "above.",
        _THALWEG,
        ".2f",
    ),
    MetricInfo(
        "u_efficiency",
        "efficiency of the standard uncertainty",
        "K_u/total",
        "retrainings per training",
        "higher",
        "K_u / total cost. A deep ensemble has 1.",
        _THALWEG,
        ".2f",
    ),
)

FACTS: dict[str, MetricInfo] = {fact.name: fact for fact in _ALL}

_DIRECTIONS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "one": "closer to 1 is better",
    "none": "a description, no ranking",
}


def find_fact(metric: str) -> MetricInfo:
    """The fact of a metric.

    Raises:
        InputError: There is none; the error suggests the nearest.
    """
    if metric not in FACTS:
        raise unknown("metric", metric, FACTS)
    return FACTS[metric]


def explain(metric: str) -> str:
    """What a metric is, for the command line.

    Raises:
        InputError: There is no such metric; the error suggests the nearest.

    Example:
        >>> print(explain("seconds"))
        seconds: time (time), in s; lower is better
          Wall-clock time of the exploration, cached anchors charged with the time they took.
          Source: the meter's clock
    """
    fact = find_fact(metric)
    unit = f", in {fact.unit}" if fact.unit else ""
    head = f"{fact.name}: {fact.title} ({fact.symbol}){unit}; {_DIRECTIONS[fact.direction]}"
    return f"{head}\n  {fact.definition}\n  Source: {fact.source}"
