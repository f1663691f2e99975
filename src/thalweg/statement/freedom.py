"""Degrees of freedom and coverage factors: how well u is known, and what U makes of it.

JCGM 100:2008 (GUM), annex G: the Welch-Satterthwaite formula (G.4.1), degrees of freedom from a
relative uncertainty of u (G.4.2), and Student's factors (G.3.2). Effective degrees of freedom are
not truncated to whole numbers: Student's distribution is evaluated at the number itself, which
G.4.1, note 1, calls interpolation.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from thalweg.errors import InputError, check_range


def welch_satterthwaite(variances: Sequence[Tensor], freedoms: Sequence[float]) -> Tensor:
    """Effective degrees of freedom of a sum of independent variances (GUM G.4.1).

    Args:
        variances: Each of any shape, all of the same.
        freedoms: The degrees of freedom of each; infinite where it is known exactly.

    Returns:
        Of that shape; infinite where nothing with finite degrees of freedom is above 0.

    Example:
        The example of GUM G.4.1: 0.25 %, 0.57 % and 0.82 % from 10, 5 and 15 observations.

        >>> parts = [torch.tensor(u**2) for u in (0.25, 0.57, 0.82)]
        >>> round(float(welch_satterthwaite(parts, (9, 4, 14))), 1)
        19.0
    """
    total = torch.stack(list(variances)).sum(0)
    below = torch.zeros_like(total)
    for variance, freedom in zip(variances, freedoms, strict=True):
        below = below + (variance / total.clamp_min(1e-300)).square() / freedom
    return torch.where(below > 0, 1 / below.clamp_min(1e-300), torch.full_like(total, math.inf))


def freedom_of(relative: float) -> float:
    """Degrees of freedom of a standard uncertainty that is itself known within a relative standard
    uncertainty (GUM G.4.2): 1 / (2 relative^2).

    Raises:
        InputError: It is not above 0.

    Example:
        >>> freedom_of(0.25)
        8.0
    """
    check_range("relative uncertainty of u", relative, 0)
    if relative == 0:
        raise InputError("relative uncertainty of u got 0, needs more: leave it out for exact")
    return 1 / (2 * relative**2)


def coverage_factor(level: float, freedom: Tensor) -> Tensor:
    """Student's factor of a coverage probability (GUM G.3.2), of the shape of `freedom`.

    Example:
        >>> coverage_factor(0.95, torch.tensor([2.0, math.inf]))
        tensor([4.3027, 1.9600])
    """
    return student_quantile((1 + level) / 2, freedom)


def student_quantile(probability: float, freedom: Tensor) -> Tensor:
    """Quantiles of Student's distribution, normal where degrees of freedom are infinite."""
    from scipy.special import ndtri, stdtrit  # here: importing thalweg brings in no scipy

    finite = freedom.isfinite()
    given = torch.where(finite, freedom, torch.ones_like(freedom)).numpy()
    found = torch.as_tensor(stdtrit(given, probability)).to(freedom.dtype)
    return torch.where(finite, found, torch.full_like(found, float(ndtri(probability))))


def student_probability(at: Tensor, freedom: Tensor) -> Tensor:
    """The probability that a Student's variable is at most `at`, of the common shape."""
    from scipy.special import ndtr, stdtr

    at, freedom = torch.broadcast_tensors(at, freedom)
    finite = freedom.isfinite()
    given = torch.where(finite, freedom, torch.ones_like(freedom)).numpy()
    found = torch.as_tensor(stdtr(given, at.numpy()))
    return torch.where(finite, found, torch.as_tensor(ndtr(at.numpy()))).to(at.dtype)


def coverage_of(k: float, freedom: Tensor) -> Tensor:
    """The coverage probability of a chosen factor k, as k = 2 (GUM G.3.2).

    Example:
        >>> coverage_of(2.0, torch.tensor([math.inf], dtype=torch.float64))
        tensor([0.9545], dtype=torch.float64)
    """
    return 2 * student_probability(torch.full_like(freedom, k), freedom) - 1
