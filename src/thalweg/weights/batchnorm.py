"""Batch-norm statistics at points where nobody trained. Estimated here and nowhere else."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from thalweg.meter import Meter
from thalweg.seeds import Rewind
from thalweg.weights.point import Weights

BatchNorm = nn.modules.batchnorm._BatchNorm


def refresh(network: nn.Module, points: Sequence[Weights], batches: Iterable[Any], meter: Meter) -> list[Weights]:
    """The same parameters with valid buffers, of all points in one pass over the data.

    Running means and variances are the averages over all batches, each weighted with its examples (a short last batch counts
    for less), with dropout as in training, as `torch.optim.swa_utils.update_bn` does (Izmailov et al. 2018, arXiv 1803.05407).
    Other buffers are the stale ones of these weights or, where there are none, the network's. Without batch norm nothing is
    evaluated.

    Args:
        network: The architecture; it is left as it was.
        points: The points.
        batches: Training batches (inputs, targets). Give the same ones at every point, or their noise poses as spread.
        meter: Counts the forward evaluations.
    """
    network = copy.deepcopy(network)
    own = dict(network.named_buffers())
    device = next(network.parameters()).device
    states, found = [], []
    for point in points:
        buffers = point.stale or (own if point.buffers is None else point.buffers)
        state = Weights(point.params, buffers).placed(network)
        states.append(state)
        found.append(Weights(point.params, {name: state[name] for name in own}, masks=point.masks))
    layers = list(_running(network))
    if not layers:
        return found
    statistics = [name for name, module in network.named_modules() if module in layers]
    for state in states:
        for name in statistics:
            state[f"{name}.running_mean"].zero_()
            state[f"{name}.running_var"].fill_(1)
            state[f"{name}.num_batches_tracked"].zero_()
    seen = 0
    network.train()
    with torch.no_grad():
        for x, _ in batches:
            seen += len(x)
            for layer in layers:
                layer.momentum = len(x) / seen  # momentum=None would forget that the last batch is shorter
            x = x.to(device)
            rewind = Rewind()
            for state in states:
                rewind()  # the same dropout at every point
                meter.forward(functional_call(network, state, (x,)))
    return found


def _running(network: nn.Module) -> Iterable[Any]:
    return (m for m in network.modules() if isinstance(m, BatchNorm) and m.track_running_stats and m.running_mean is not None)
