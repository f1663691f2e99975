"""Elliptical slice sampling of a posterior with a Gaussian prior (Murray, Adams and MacKay 2010,
arXiv 1001.0175).

It has no step size, and each step ends at a new point. There is no burn-in and no thinning.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from thalweg.errors import InputError


def elliptical_slice(
    log_likelihood: Callable[[Tensor], float],
    start: Tensor,
    samples: int,
    random: torch.Generator,
    *,
    std: float = 1.0,
) -> Tensor:
    """A chain of samples `[samples, dimensions]` from the density N(z; 0, std^2)
    exp(log_likelihood(z)).

    Args:
        log_likelihood: Of a point `[dimensions]`; points where it is no number are never accepted.
        start: Where the chain starts `[dimensions]`; not one of the samples.
        samples: How many.
        random: Where random numbers come from.
        std: Of the prior.

    Raises:
        InputError: The likelihood at the start is 0 or no number.
    """
    point, height = start, log_likelihood(start)
    if not math.isfinite(height):
        raise InputError(
            f"the log-likelihood where sampling starts got {height}, needs a finite number: did "
            "the training diverge?"
        )
    found = []
    for _ in range(samples):
        other = std * torch.randn(
            start.shape, generator=random, dtype=start.dtype
        )  # with the point, it spans the ellipse
        level = height + math.log(1 - _uniform(random))
        angle = 2 * math.pi * _uniform(random)
        low, high = angle - 2 * math.pi, angle
        while True:
            proposal = point * math.cos(angle) + other * math.sin(angle)
            height = log_likelihood(proposal)
            if height >= level:
                break
            low, high = (
                (angle, high) if angle < 0 else (low, angle)
            )  # shrinks towards the point, at angle 0
            angle = low + (high - low) * _uniform(random)
        point = proposal
        found.append(point)
    return torch.stack(found)


def _uniform(random: torch.Generator) -> float:
    """In 0 .. 1, without 1."""
    return torch.rand((), generator=random, dtype=torch.float64).item()
