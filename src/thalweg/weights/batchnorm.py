"""Running statistics at points where nobody trained. They are estimated here and nowhere else."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from thalweg.meter import Meter
from thalweg.seeds import Rewind
from thalweg.trees import Inputs, moved, rows
from thalweg.weights.behaviour import Behaviour, eager
from thalweg.weights.point import Tensors, Weights
from thalweg.weights.spectral import follow
from thalweg.weights.statistics import Averaged

BatchNorm = nn.modules.batchnorm._BatchNorm


def refresh(
    network: nn.Module,
    points: Sequence[Weights],
    batches: Iterable[Any],
    meter: Meter,
    behaviour: Behaviour,
) -> list[Weights]:
    """The same parameters with valid buffers, for all points in one pass over the data.

    Running means and variances are the averages over all batches, each weighted with its examples
    (a short last batch counts for less), with dropout as in training, as
    `torch.optim.swa_utils.update_bn` does (Izmailov et al. 2018, arXiv 1803.05407). Where a layer
    is used several times, they are averages over all uses. Statistics that the network does not
    move in training stay as they are. The singular vectors of spectral norms are those of the
    weights. Other buffers are the stale ones of these weights or, where there are none, the
    network's. Without running statistics nothing is evaluated.

    Args:
        network: The architecture; it is left as it was.
        points: The points.
        batches: Training batches (inputs, targets). Give the same ones at every point, or their
            noise looks like spread.
        meter: Counts the forward evaluations.
        behaviour: What the network was seen to do.

    Raises:
        InputError: The network changes buffers in training that can't be estimated here.
    """
    behaviour.check_new_points()
    originals = dict(network.named_buffers())
    device = next(network.parameters()).device
    states, refreshed = [], []
    for point in points:
        buffers = point.stale or point.buffers
        buffers = originals if buffers is None else buffers
        state = Weights(point.params, buffers).placed(network)
        follow(state, behaviour.follows)
        states.append(state)
        refreshed.append(
            Weights(point.params, {name: state[name] for name in originals}, masks=point.masks)
        )
    if not behaviour.refreshed:
        return refreshed
    for state in states:
        for name in behaviour.refreshed:
            counter = state.get(f"{name}.num_batches_tracked" if name else "num_batches_tracked")
            if counter is not None:
                counter.zero_()
    averaged = Averaged()
    modes = [(module, module.training) for module in network.modules()]
    network.train()
    try:
        with torch.no_grad(), eager():
            for x, state in _evaluations(batches, states, device, one_by_one=behaviour.uneven):
                with averaged.weighted(rows(x)):
                    outputs = functional_call(network, state, (x,))
                meter.forward(outputs)
    finally:
        for module, mode in modes:
            module.training = mode
    return refreshed


def _evaluations(
    batches: Iterable[Any], states: Sequence[Tensors], device: torch.device, *, one_by_one: bool
) -> Iterator[tuple[Inputs, Tensors]]:
    """Yields the inputs of each batch with each state, with the same dropout for every state.

    Args:
        batches: Batches (inputs, targets).
        states: The states of the points.
        device: Where inputs go.
        one_by_one: All batches for one state after the other, as a network that counts its
            evaluations needs it; the batches are kept in memory then. Otherwise all states for one
            batch after the other.
    """
    if one_by_one:
        kept, rewind = list(batches), Rewind()
        for state in states:
            rewind()
            for x, _ in kept:
                yield moved(x, device), state
        return
    for x, _ in batches:
        x = moved(x, device)
        rewind = Rewind()
        for state in states:
            rewind()
            yield x, state
