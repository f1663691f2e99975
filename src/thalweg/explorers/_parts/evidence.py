"""The prior precision with the largest marginal likelihood.

MacKay 1992, as in Daxberger et al. 2021, arXiv 2106.14806. It takes the spectrum of the curvature,
exactly for small matrices, by stochastic Lanczos quadrature for large ones.
"""

import math

import torch
from torch import Tensor

from thalweg.seeds import generator

EXACT = 2048  # the most rows of a matrix whose eigenvalues are computed, which takes seconds


def best_precision(curvature: Tensor, squares: float, seed: int = 0) -> float:
    """The precision t in 1e-6 .. 1e9 with the largest marginal likelihood.

    Its logarithm is, up to a constant, d/2 log t - t/2 |weights|^2 - 1/2 log det(curvature + t).

    Args:
        curvature: The Hessian of minus the log-likelihood at the weights `[d, d]`, symmetric.
        squares: The sum of the squared weights.
        seed: The seed of the quadrature.
    """
    from scipy.optimize import minimize_scalar  # here: it takes half a second

    d = len(curvature)
    if d > EXACT:
        values, counts = lanczos(curvature, seed)
    else:
        values, counts = torch.linalg.eigvalsh(curvature), curvature.new_ones(d)
    values = values.clamp_min(0)

    def loss(log_t: float) -> float:
        t = math.exp(log_t)
        return float(((values + t).log() * counts).sum() + t * squares - d * log_t) / 2

    bounds = (math.log(1e-6), math.log(1e9))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def lanczos(matrix: Tensor, seed: int, probes: int = 4, steps: int = 100) -> tuple[Tensor, Tensor]:
    """The spectrum of a symmetric matrix `[d, d]`, estimated along random directions.

    Args:
        matrix: The matrix.
        seed: The seed of the directions.
        probes: The number of directions.
        steps: The number of products with the matrix. They tell eigenvalues from 0 that are more
            than some (2 / steps)^2 of the largest one, isolated large ones aside.

    Returns:
        Values, and how many eigenvalues each stands for, both `[probes * steps]`; the latter sum to
        d.
    """
    d, steps = len(matrix), min(steps, len(matrix))
    v = torch.randn(d, probes, generator=generator(seed, "lanczos"), dtype=torch.float64).to(matrix)
    v = v / v.norm(dim=0)
    basis, small = v.new_zeros(probes, steps, d), v.new_zeros(probes, steps, steps)
    for k in range(steps):
        basis[:, k] = v.mT
        w = matrix @ v
        small[:, k, k] = (w * v).sum(0)
        # against all before, because rounding brings back the directions that have converged
        for _ in range(2):
            w = w - ((basis[:, : k + 1] @ w.mT[:, :, None]).mT @ basis[:, : k + 1])[:, 0].mT
        length = w.norm(dim=0)
        if k + 1 < steps:
            small[:, k, k + 1] = small[:, k + 1, k] = length
        v = w / length.clamp_min(1e-300)
    values, vectors = torch.linalg.eigh(small)
    return values.flatten(), vectors[:, 0].square().flatten() * (d / probes)
