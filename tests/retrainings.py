"""Predictions of retrainings whose law is known."""

import torch

from thalweg.predictions import Predictions


def synthetic(inputs: int, *members: int, classes: int = 4, seed: int = 0) -> list[Predictions]:
    """Retrainings of one law: logits scatter about a mean with a scale that depends on the mean.

    One set a number of members.
    """
    random = torch.Generator().manual_seed(seed)
    mean = 3 * torch.randn(inputs, classes, generator=random, dtype=torch.float64)
    margin = mean.topk(2).values.diff().abs()  # [inputs, 1]
    scale = 0.2 + 0.5 * (-margin).exp()
    return [
        Predictions(
            (
                mean
                + scale * torch.randn(n, inputs, classes, generator=random, dtype=torch.float64)
            ).log_softmax(-1)
        )
        for n in members
    ]
