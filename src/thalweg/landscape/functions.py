"""A map of functions: networks as points in a plane, as far apart as what they predict is."""

import torch
from torch import Tensor


def scaled(values: Tensor) -> tuple[Tensor, float]:
    """Points in a plane whose distances are those of functions, as well as a plane can have them.

    Classical multidimensional scaling (Torgerson 1952, doi 10.1007/BF02288916): the two principal
    axes of what functions say. Between retrainings, which differ in more directions than two, it
    shows too small distances.

    Args:
        values: What functions say, such as probabilities `[functions, inputs, columns]`.

    Returns:
        The points `[functions, 2]`, in the unit of values: a distance is the root of the mean over
        inputs of squared distances. And the share of all squared distances that they show.

    Example:
        >>> points, shown = scaled(torch.tensor([[[0.0]], [[3.0]], [[1.0]]]))
        >>> round((points[0] - points[1]).norm().item(), 6), round(shown, 6)
        (3.0, 1.0)
    """
    flat = values.double().flatten(1) / max(1, values.shape[1]) ** 0.5
    flat = flat - flat.mean(0)
    sizes, axes = torch.linalg.eigh(flat @ flat.T)
    sizes = sizes.clamp(min=0)
    points = torch.zeros(len(values), 2, dtype=torch.float64)
    count = min(2, len(values))
    points[:, :count] = (axes * sizes.sqrt())[:, -count:].flip(1)
    total = float(sizes.sum())
    return points, float(sizes[-count:].sum()) / total if total else 1.0
