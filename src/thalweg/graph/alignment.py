"""Alignment: a network's hidden channels in the order that is nearest to another network's.

Weight matching (Ainsworth et al. 2023, arXiv 2209.04836, algorithm 1): coordinate descent, one
group of channels after the other in random order, each an assignment problem, until no group
improves any more. The function stays the same: aligned copies add no diversity.

Deviations: it starts not from the given order but, where that is nearer, from one that is built
from the inputs to the outputs, each group by the tensors whose other axes are in order already; so
a permuted copy of a network is undone exactly, whatever the random order of groups. A group is
reordered only if that brings the networks measurably nearer (where two axes of a tensor belong to
one group, the assignment alone does not ensure it). All parameters contribute, those of
normalisations included; buffers are permuted and do not contribute. Channels of a frozen parameter
stay where they are.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.graph.symmetry import Group, Place, reordered, reordered_weights, symmetries
from thalweg.seeds import generator
from thalweg.weights.point import Tensors, Weights


def align(network: nn.Module, fixed: Weights, moved: Weights, *, seed: int = 0) -> Weights:
    """Permutes `moved` towards `fixed`, with the same function and never farther than before.

    Groups of channels that have a place in a frozen parameter stay as they are, and so do frozen
    parameters: those that both networks share, such as a pretrained part, are still shared
    afterwards.

    Args:
        network: The architecture of both. Its frozen parameters have no `requires_grad`.
        fixed: The target.
        moved: The weights that are permuted. Their buffers, valid or stale, are permuted too.
        seed: The seed of the order of groups.

    Raises:
        InputError: The network's permutations can't be found, or weights are not this network's, or
            not finite, or have masks.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> weights = Weights.of(network)
        >>> aligned = align(network, weights, permuted(network, weights, seed=0))
        >>> torch.equal(aligned.params["0.weight"], weights.params["0.weight"])
        True
    """
    _check(network, fixed, moved)
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    groups = [
        group
        for group in symmetries(network)
        if not frozen & {place.tensor for place in group.places}
    ]
    names = sorted({place.tensor for group in groups for place in group.places} & set(fixed.params))
    target, start = (
        {name: weights.params[name].detach().cpu().double() for name in names}
        for weights in (fixed, moved)
    )
    given = [torch.arange(group.channels) for group in groups]
    starts = [given, _in_forward_order(groups, target, start)]
    nearer = max(starts, key=lambda orders: _inner(target, reordered(start, groups, orders)))
    return reordered_weights(moved, groups, _descend(groups, target, start, nearer, seed))


def permuted(network: nn.Module, weights: Weights, seed: int) -> Weights:
    """Weights with the same function, whose hidden channels are in a random order.

    It is meant for tests and for users' own checks.

    Raises:
        InputError: The network's permutations can't be found.
    """
    groups = symmetries(network)
    random = generator(seed, "permuted")
    orders = [torch.randperm(group.channels, generator=random) for group in groups]
    return reordered_weights(weights, groups, orders)


def _descend(
    groups: Sequence[Group], target: Tensors, start: Tensors, orders: Sequence[Tensor], seed: int
) -> list[Tensor]:
    """Coordinate descent from given orders, until a whole round improves nothing."""
    orders, random = list(orders), generator(seed, "align")
    tensors = reordered(start, groups, orders)
    rounding = 1e-12 * (_inner(target, target) + _inner(tensors, tensors))
    improved = True
    while improved:
        improved = False
        for number in torch.randperm(len(groups), generator=random).tolist():
            group = groups[number]
            places = [place for place in group.places if place.tensor in tensors]
            parts = {place.tensor: tensors[place.tensor] for place in places}
            order = _assign(group, target, parts, places)
            changed = reordered(parts, [group], [order])
            if _inner(target, changed) > _inner(target, parts) + rounding:
                tensors, orders[number] = tensors | changed, orders[number][order]
                improved = True
    return orders


def _in_forward_order(groups: Sequence[Group], target: Tensors, tensors: Tensors) -> list[Tensor]:
    """Orders from the inputs to the outputs, each by tensors whose other axes are in order."""
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
            if place.tensor in tensors
            and not any(
                (place.tensor, axis) in waiting
                for axis in range(tensors[place.tensor].dim())
                if axis != place.axis
            )
        ]
        orders.append(_assign(group, target, tensors, places))
        tensors = reordered(tensors, [group], orders[-1:])
    return orders


def _assign(group: Group, target: Tensors, tensors: Tensors, places: Sequence[Place]) -> Tensor:
    """The order of a group's channels that brings its tensors nearest to the target's."""
    from scipy.optimize import linear_sum_assignment  # here: it takes half a second

    gains = torch.zeros(group.channels, group.channels, dtype=torch.float64)
    for place in places:
        wanted, current = (
            named[place.tensor].movedim(place.axis, 0)[place.index].flatten(1)
            for named in (target, tensors)
        )
        gains += wanted @ current.T
    return torch.from_numpy(linear_sum_assignment(gains.numpy(), maximize=True)[1])


def _inner(one: Tensors, other: Tensors) -> float:
    """The inner product of two sets of tensors: the larger it is, the nearer they are."""
    return sum(
        float(torch.dot(one[name].flatten(), tensor.flatten())) for name, tensor in other.items()
    )


def _check(network: nn.Module, *given: Weights) -> None:
    shapes = {name: p.shape for name, p in network.named_parameters()}
    for weights in given:
        if {name: p.shape for name, p in weights.params.items()} != shapes:
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
