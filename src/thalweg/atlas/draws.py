"""Draws of retrainings about a mean, with a given standard uncertainty.

Of probabilities they are logit-normal: normal noise on the logits, of a size for each input such
that the draws have its u, and shifted so that their mean is the one that was given. Of
values they are normal.
"""

import torch
from torch import Tensor

from thalweg.outputs import Outputs, log_softmax, multinomial
from thalweg.seeds import generator

_LEAST = 1e-7  # probabilities below count as this
_STEPS, _SHIFTS, _FASTEST = 8, 3, 2.0
_LONGEST, _FARTHEST = 3.0, 20.0  # times a shift; of a logarithm
_MOST_U = 0.8  # of that of draws that are certain: nearly all their noise is in the logits
_BLOCK = 2**22  # numbers at a time
_SIZES, _FIRST = (1e-4, 12.0), 1.0  # of noise on logits
_ENOUGH = 0.005  # mean error of u and mean, over the mean of u


def draw(
    outputs: Outputs, mean: Tensor, u: Tensor, scatter: Tensor, draws: int, seed: int
) -> Tensor:
    """Draws about mean values.

    Args:
        outputs: The kind of predictions.
        mean: Mean values `[inputs, outputs]`, in double precision.
        u: Standard uncertainties of single draws `[inputs]`.
        scatter: How much values vary over inputs `[outputs]`, by which u is shared among them; it
            is not looked at where there are probabilities.
        draws: How many.
        seed: Their seed.

    Returns:
        What is stored `[draws, inputs, outputs]`, in double precision.
    """
    random = generator(seed, "atlas", "draws")
    if not outputs.simplex:
        noise = torch.randn(draws, *mean.shape, generator=random, dtype=torch.float64)
        share = scatter / scatter.norm().clamp_min(1e-300)
        return mean + u[:, None] * share * noise
    made = torch.empty(draws, *mean.shape, dtype=torch.float64)
    for block in torch.arange(len(mean)).split(max(1, _BLOCK // (draws * mean.shape[1]))):
        noise = torch.randn(draws, len(block), mean.shape[1], generator=random, dtype=torch.float64)
        made[:, block] = logit_normal(mean[block], u[block], noise)
    return made


def logit_normal(mean: Tensor, u: Tensor, noise: Tensor) -> Tensor:
    """Log-probabilities `[draws, inputs, classes]` from noise of that shape, with these means
    `[inputs, classes]` and standard deviations `[inputs]`, as far as there are any such: u counts
    up to a part of what draws have that are certain.
    """
    wanted = log_softmax(mean.clamp_min(_LEAST).log())
    impurity, norm = multinomial(wanted.exp())
    u = torch.minimum(u, _MOST_U * impurity.sqrt())
    low, high = (torch.full_like(u, size) for size in _SIZES)
    # noise grows little by little, as the mean is lost where it is suddenly large
    size = (u / norm.sqrt().clamp_min(1e-9)).clamp(_SIZES[0], _FIRST)
    base = wanted.clone()
    for step in range(_STEPS + 1):
        for _ in range(_SHIFTS):
            drawn = log_softmax(base + size[:, None] * noise)
            found = drawn.exp()
            base = base + _shift(wanted, found)
        if step < _STEPS:
            spread = found.var(0).sum(-1).sqrt().clamp_min(1e-12)
            apart = (found.mean(0) - wanted.exp()).norm(dim=1)
            if float((spread - u).abs().mean() + apart.mean()) < _ENOUGH * float(u.mean()):
                return drawn
            low, high = torch.where(spread < u, size, low), torch.where(spread < u, high, size)
            nearer = size * (u / spread).clamp(1 / _FASTEST, _FASTEST)
            inside = (nearer >= low) & (nearer <= high)  # it is at a bound once it is found
            size = torch.where(inside, nearer, (low * high).sqrt())
    return log_softmax(base + size[:, None] * noise)


def _shift(wanted: Tensor, found: Tensor) -> Tensor:
    """The step that brings the mean of draws `[draws, inputs, classes]` nearer to what is wanted, a
    logarithm `[inputs, classes]`: Newton's step of each class. It is longer where draws are nearly
    certain, because these hardly move.
    """
    mean = found.mean(0).clamp_min(1e-300)
    moving = 1 - found.var(0) / (mean * (1 - mean)).clamp_min(1e-12)
    return ((wanted - mean.log()) / moving.clamp(1 / _LONGEST, 1)).clamp(-_FARTHEST, _FARTHEST)
