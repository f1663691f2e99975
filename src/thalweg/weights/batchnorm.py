"""Batch-norm statistics at points where nobody trained. Estimated here and nowhere else."""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from thalweg.meter import Meter
from thalweg.weights.point import Weights

BatchNorm = nn.modules.batchnorm._BatchNorm


def refresh(network: nn.Module, weights: Weights, batches: Iterable[Any], meter: Meter) -> Weights:
    """The same parameters with valid buffers.

    Running means and variances are the averages over all batches, each weighted with its examples (a short last batch counts
    for less), with dropout as in training, as `torch.optim.swa_utils.update_bn` does (Izmailov et al. 2018, arXiv 1803.05407).
    Other buffers are the stale ones of these weights or, where there are none, the network's. Without batch norm nothing is
    evaluated.

    Args:
        network: The architecture; it is left as it was.
        weights: The point.
        batches: Training batches (inputs, targets). Give the same ones at every point, or their noise poses as spread.
        meter: Counts the forward evaluations.
    """
    network = copy.deepcopy(network)
    own = dict(network.named_buffers()) if weights.buffers is None else weights.buffers
    Weights(weights.params, weights.stale or own).load_into(network)
    layers = list(_running(network))
    if layers:
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
        device = next(network.parameters()).device
        seen = 0
        network.train()
        with torch.no_grad():
            for x, _ in batches:
                seen += len(x)
                for layer in layers:
                    layer.momentum = len(x) / seen  # momentum=None would forget that the last batch is shorter
                meter.forward(network(x.to(device)))
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    return Weights(weights.params, Weights.of(network).buffers)


def _running(network: nn.Module) -> Iterable[Any]:
    return (m for m in network.modules() if isinstance(m, BatchNorm) and m.track_running_stats and m.running_mean is not None)
