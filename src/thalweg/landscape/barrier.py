"""The barrier along a path: how far its loss rises above the line between its ends' losses.

The definition is that of Entezari et al. 2022 (arXiv 2110.06296). Frankle et al. 2020 (arXiv
1912.05671) subtract the mean of the ends' losses instead, which is the same where these are equal.
Garipov et al. 2018 (arXiv 1802.10026) report the highest loss itself. Both depend on how many
points of the path are evaluated.
"""

from torch import Tensor


def barrier(positions: Tensor, loss: Tensor) -> float:
    """The largest loss(t) - ((1 - t) loss(0) + t loss(1)).

    It is 0 where no point of the path is higher than the line between its ends.

    Args:
        positions: t `[points]`, from 0 to 1.
        loss: The loss (or error) at these positions `[points]`.

    Example:
        >>> import torch
        >>> barrier(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.25, 1.0, 0.75]))
        0.5
    """
    line = (1 - positions) * loss[0] + positions * loss[-1]
    return float((loss - line).max())
