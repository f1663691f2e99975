"""Intervals of variance components: sums and differences of independent mean squares.

Modified large-sample intervals: Graybill and Wang 1980 (JASA 75) of sums; Ting, Burdick, Graybill,
Jeyaratnam and Lu 1990 (J. Statist. Comput. Simul. 35) of differences; Burdick and Graybill 1992
(Confidence Intervals on Variance Components, section 3.3). They are exact where all but one of the
mean squares are 0, or have infinite degrees of freedom. Degrees of freedom of a component are
Satterthwaite's 1946 (Biometrics Bulletin 2), as in GUM G.4.1.

One deviation: of a mean over inputs, mean squares are means of correlated ones. Each has the
degrees of freedom of a chi-square distribution with its variance (`effective_dof`).
"""

from functools import lru_cache

import numpy as np
from torch import Tensor

Array = np.ndarray


def component_interval(weights: Array, squares: Array, dof: Array, level: float = 0.95) -> Array:
    """The interval of a sum of weighted mean squares, ends below 0 brought to 0.

    Args:
        weights: The number by which each mean square is multiplied `[terms]`.
        squares: Mean squares `[terms, ...]`, 0 or more.
        dof: Their degrees of freedom `[terms]`, which need not be whole.
        level: The coverage.

    Returns:
        The lower and upper end `[2, ...]`.

    Example:
        >>> low, high = component_interval(np.ones(1), np.array([2.0]), np.array([9.0]))
        >>> round(float(low), 4), round(float(high), 4)  # 9 * 2 over quantiles of chi-square
        (0.9462, 6.6657)
    """
    tail = (1 - level) / 2
    parts = weights.reshape(-1, *[1] * (squares.ndim - 1)) * squares
    plus, minus = ([(parts[i], dof[i]) for i in np.flatnonzero(s * weights > 0)] for s in (1, -1))
    estimate = parts.sum(0)
    below = _variance(plus, minus, tail, lower=True)
    above = _variance(plus, minus, tail, lower=False)
    low, high = estimate - np.sqrt(below), estimate + np.sqrt(above)
    return np.clip(np.stack([low, high]), 0, None)


def _variance(
    plus: list[tuple[Array, float]], minus: list[tuple[Array, float]], tail: float, *, lower: bool
) -> Array:
    """The square of the distance from the estimate to an end."""
    near, far = (plus, minus) if lower else (minus, plus)
    total = sum((_g(n, tail) * part) ** 2 for part, n in near) + sum(
        (_h(n, tail) * part) ** 2 for part, n in far
    )
    for part, n in plus:
        for other, m in minus:
            total = total + _between(n, m, tail, lower=lower) * part * np.abs(other)
    for i, (part, n) in enumerate(near):
        for other, m in near[i + 1 :]:
            total = total + _same(n, m, tail) / (len(near) - 1) * part * other
    return np.clip(np.asarray(total), 0, None)


@lru_cache(4096)
def _chi2(probability: float, n: float) -> float:
    """A quantile of the chi-square distribution over its degrees of freedom."""
    from scipy import stats  # it takes a second

    return float(stats.chi2.ppf(probability, n)) / n


@lru_cache(4096)
def _f(probability: float, n: float, m: float) -> float:
    from scipy import stats

    return float(stats.f.ppf(probability, n, m))


def _g(n: float, tail: float) -> float:
    return 1 - 1 / _chi2(1 - tail, n)


def _h(n: float, tail: float) -> float:
    return 1 / _chi2(tail, n) - 1


def _between(n: float, m: float, tail: float, *, lower: bool) -> float:
    """The factor of a product of one mean square that is added and one that is taken away."""
    if lower:
        ratio = _f(1 - tail, n, m)
        return ((ratio - 1) ** 2 - _g(n, tail) ** 2 * ratio**2 - _h(m, tail) ** 2) / ratio
    ratio = _f(tail, n, m)
    return ((1 - ratio) ** 2 - _h(n, tail) ** 2 * ratio**2 - _g(m, tail) ** 2) / ratio


def _same(n: float, m: float, tail: float) -> float:
    """The factor of a product of two mean squares of one sign."""
    own = _g(n, tail) ** 2 * n / m + _g(m, tail) ** 2 * m / n
    return _g(n + m, tail) ** 2 * (n + m) ** 2 / (n * m) - own


def component_dof(weights: Array, squares: Array, dof: Array) -> Array:
    """Satterthwaite's degrees of freedom `[...]` of a sum of weighted mean squares.

    They are at least 1: an estimate that is not told from 0 has fewer. Where all mean squares are
    0 they are infinite.
    """
    shape = (-1, *[1] * (squares.ndim - 1))
    parts = weights.reshape(shape) * squares
    below = (parts**2 / dof.reshape(shape)).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = parts.sum(0) ** 2 / below
    return np.where(below > 0, np.clip(found, 1, None), np.inf)


def effective_dof(gram: Tensor) -> float:
    """The degrees of freedom of a mean square that is a mean over inputs and outputs.

    Each contrast is a vector over inputs and outputs with a covariance C, so that the mean square
    has those of a contrast alone times (tr C)^2 / tr C^2: from 1, where all inputs go up and down
    together, to their number (Box 1954, Annals of Mathematical Statistics 25). It is taken from
    the contrasts' own covariance, at most as many times as there are contrasts: too few, and never
    by chance too many, as an estimate without bias (Srivastava 2005) would often be of so few.

    Args:
        gram: Products of contrasts `[dof, dof]`: sums over inputs and outputs.

    Example:
        >>> import torch
        >>> effective_dof(torch.eye(4, dtype=torch.float64))  # nothing in common
        16.0
        >>> effective_dof(torch.ones(4, 4, dtype=torch.float64))  # all inputs alike
        4.0
    """
    trace, squares = float(gram.trace()), float(gram.square().sum())
    return len(gram) * (max(trace**2 / squares, 1.0) if squares > 0 else 1.0)
