"""Draws of retrainings about a mean, with a given standard uncertainty.

Of probabilities they are logit-normal: normal noise on the logits, more of it for classes that are
less probable, of a size for each input such that the draws have its u, and shifted so that their
mean is the one that was given. On the tasks of the atlas such draws, with the true u and mean, are
worth as many retrainings as the pool that u and mean were taken from. Of values they are normal.
"""

import torch
from torch import Tensor

from thalweg.outputs import Outputs, log_softmax, multinomial, softmax
from thalweg.seeds import generator

PROFILE = 0.3  # noise grows by this power of the first class' probability over a class' own
_MOST = 3.0  # times
_LEAST = 1e-7  # probabilities below count as this
_STEPS, _SHIFTS, _FASTEST = 8, 3, 3.0
_BLOCK = 2**22  # numbers at a time
_SIZES = (1e-4, 12.0)  # of noise on logits


def draw(
    outputs: Outputs, mean: Tensor, u: Tensor, scatter: Tensor, draws: int, seed: int
) -> Tensor:
    """Draws about mean values.

    Args:
        outputs: What is predicted.
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
    `[inputs, classes]` and standard deviations `[inputs]`, as far as there are any such.
    """
    wanted = mean.clamp_min(_LEAST).log()
    below = wanted.amax(1, keepdim=True) - wanted
    shaped = noise * (PROFILE * below).exp().clamp(max=_MOST)
    low, high = (torch.full_like(u, size) for size in _SIZES)
    size = (u / multinomial(mean)[1].sqrt().clamp_min(1e-9)).clamp(_SIZES[0], _SIZES[1] / 2)
    base = wanted.clone()
    for step in range(_STEPS + 1):
        for _ in range(_SHIFTS):
            found = softmax(base + size[:, None] * shaped)
            base = base + wanted - found.mean(0).clamp_min(_LEAST).log()
        if step < _STEPS:
            spread = found.var(0).sum(-1).sqrt().clamp_min(1e-12)
            low, high = torch.where(spread < u, size, low), torch.where(spread < u, high, size)
            nearer = size * (u / spread).clamp(1 / _FASTEST, _FASTEST)
            inside = (nearer > low) & (nearer < high)
            size = torch.where(inside, nearer, (low * high).sqrt())
    return log_softmax(base + size[:, None] * shaped)
