"""Elliptical slice sampling of a posterior with a Gaussian prior.

Murray, Adams and MacKay 2010, arXiv 1001.0175. It has no step size, and each step ends at a new
point. There is no burn-in and no thinning.
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
    """A chain of samples from the density N(z; 0, std^2) exp(log_likelihood(z)).

    Args:
        log_likelihood: The log-likelihood of a point `[dimensions]`; points where it is NaN are
            never accepted.
        start: Where the chain starts `[dimensions]`; it is not one of the samples.
        samples: The number of samples.
        random: The generator of random numbers.
        std: The standard deviation of the prior.

    Returns:
        The samples `[samples, dimensions]`.

    Raises:
        InputError: The likelihood at the start is 0 or NaN.
    """
    point, height = start, log_likelihood(start)
    if not math.isfinite(height):
        raise InputError(
            f"the log-likelihood where sampling starts got {height}, needs a finite number: did "
            "the training diverge?"
        )
    chain = []
    for _ in range(samples):
        # with the point, it spans the ellipse
        other = std * torch.randn(start.shape, generator=random, dtype=start.dtype)
        level = height + math.log(1 - _uniform(random))
        angle = 2 * math.pi * _uniform(random)
        low, high = angle - 2 * math.pi, angle
        while True:
            proposal = point * math.cos(angle) + other * math.sin(angle)
            height = log_likelihood(proposal)
            if height >= level:
                break
            # the bracket shrinks towards the point, at angle 0
            low, high = (angle, high) if angle < 0 else (low, angle)
            angle = low + (high - low) * _uniform(random)
        point = proposal
        chain.append(point)
    return torch.stack(chain)


def _uniform(random: torch.Generator) -> float:
    """A random number in 0 .. 1, without 1."""
    return torch.rand((), generator=random, dtype=torch.float64).item()
