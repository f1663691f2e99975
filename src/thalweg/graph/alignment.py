"""Alignment: a network's hidden channels in the order that is nearest to another's (Ainsworth et
al. 2023, arXiv 2209.04836).

Weight matching, the paper's algorithm 1: coordinate descent, one group of channels after the other
in random order, each an assignment problem, until no group gives anything more. The function stays
the same: aligned copies are no diversity.

Deviations: it starts not from the given order but, where that is nearer, from one that is found
from the inputs to the outputs, each group by the tensors whose other axes are in order already; so
a permuted copy of a network is undone exactly, whatever the random order of groups. A group changes
places only if that is seen to bring the networks nearer (where two axes of a tensor belong to one
group, the assignment alone does not ensure it). All parameters contribute, those of normalisations
included; buffers are permuted and don't contribute. Channels that a frozen parameter has stay where
they are.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.graph.symmetry import Group, Place, reordered, reordered_weights, symmetries
from thalweg.seeds import generator
from thalweg.weights.point import Tensors, Weights


def align(network: nn.Module, fixed: Weights, moved: Weights, *, seed: int = 0) -> Weights:
    """Weights with the function of `moved`, permuted towards `fixed`: never further from it than
    they were.

    Groups of channels that have a place in a frozen parameter stay as they are, so that frozen
    parameters do: those that both have in common, as of a pretrained part, are still in common
    afterwards.

    Args:
        network: The architecture of both. What is frozen in it has no `requires_grad`.
        fixed: Where to.
        moved: What is permuted. Its buffers, valid or stale, are permuted too.
        seed: Of the order of groups.

    Raises:
        InputError: The network's permutations can't be found, or weights are not this network's, or
            not finite, or have masks.
    """
    _check(network, fixed, moved)
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    groups = [
        group
        for group in symmetries(network)
        if not frozen & {place.tensor for place in group.places}
    ]
    names = sorted({place.tensor for group in groups for place in group.places} & set(fixed.params))
    target, own = (
        {name: weights.params[name].detach().cpu().double() for name in names}
        for weights in (fixed, moved)
    )
    starts = [[torch.arange(group.channels) for group in groups], _through(groups, target, own)]
    nearer = max(starts, key=lambda orders: _likeness(target, reordered(own, groups, orders)))
    return reordered_weights(moved, groups, _descended(groups, target, own, nearer, seed))


def permuted(network: nn.Module, weights: Weights, seed: int) -> Weights:
    """Weights with the same function, whose hidden channels are in a random order.

    For tests and users' own checks.

    Raises:
        InputError: The network's permutations can't be found.
    """
    groups = symmetries(network)
    random = generator(seed, "permuted")
    return reordered_weights(
        weights, groups, [torch.randperm(group.channels, generator=random) for group in groups]
    )


def _descended(
    groups: Sequence[Group], target: Tensors, start: Tensors, orders: Sequence[Tensor], seed: int
) -> list[Tensor]:
    """Coordinate descent from given orders, until a whole round brings nothing."""
    orders, random = list(orders), generator(seed, "align")
    own = reordered(start, groups, orders)
    least = 1e-12 * (_likeness(target, target) + _likeness(own, own))  # less is rounding
    improved = True
    while improved:
        improved = False
        for number in torch.randperm(len(groups), generator=random).tolist():
            group = groups[number]
            parts = {
                place.tensor: own[place.tensor] for place in group.places if place.tensor in own
            }
            order = _assigned(
                group, target, parts, [place for place in group.places if place.tensor in own]
            )
            changed = reordered(parts, [group], [order])
            if _likeness(target, changed) > _likeness(target, parts) + least:
                own, orders[number], improved = own | changed, orders[number][order], True
    return orders


def _through(groups: Sequence[Group], target: Tensors, own: Tensors) -> list[Tensor]:
    """Orders found from the inputs to the outputs, each by the tensors whose other axes are in
    order already.
    """
    carried = [
        (place.tensor, place.axis, number)
        for number, group in enumerate(groups)
        for place in group.places
    ]
    orders: list[Tensor] = []
    for number, group in enumerate(groups):
        waiting = {(tensor, axis) for tensor, axis, other in carried if other >= number}
        places = [
            place
            for place in group.places
            if place.tensor in own
            and not any(
                (place.tensor, axis) in waiting
                for axis in range(own[place.tensor].dim())
                if axis != place.axis
            )
        ]
        orders.append(_assigned(group, target, own, places))
        own = reordered(own, [group], orders[-1:])
    return orders


def _assigned(group: Group, target: Tensors, own: Tensors, places: Sequence[Place]) -> Tensor:
    """The order of a group's channels that makes its tensors most like the target's, all other
    channels as they are.
    """
    from scipy.optimize import linear_sum_assignment  # here: it takes half a second

    gains = torch.zeros(group.channels, group.channels, dtype=torch.float64)
    for place in places:
        one, other = (
            tensors[place.tensor].movedim(place.axis, 0)[place.index].flatten(1)
            for tensors in (target, own)
        )
        gains += one @ other.T
    return torch.from_numpy(linear_sum_assignment(gains.numpy(), maximize=True)[1])


def _likeness(one: Tensors, other: Tensors) -> float:
    """The sum of products: the larger it is, the nearer they are."""
    return sum(
        float(torch.dot(one[name].flatten(), tensor.flatten())) for name, tensor in other.items()
    )


def _check(network: nn.Module, *given: Weights) -> None:
    own = {name: tuple(p.shape) for name, p in network.named_parameters()}
    for weights in given:
        if {name: tuple(p.shape) for name, p in weights.params.items()} != own:
            raise InputError(
                "align got weights that do not fit the network: give two trainings of this very "
                "network"
            )
        if not all(torch.isfinite(p).all() for p in weights.params.values()):
            raise InputError("align got weights that are not finite: did the training diverge?")
        if weights.masks is not None:
            raise InputError(
                "align got weights with dropout masks, which would drop other channels: give "
                "weights without masks"
            )
