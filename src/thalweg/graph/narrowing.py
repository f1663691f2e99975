"""Narrowing: a network of the same architecture with fewer hidden channels.

It does not need the settings of the network's author: the network is watched at work
(`graph.watching`), which tells the axes of parameters along which channels are.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from thalweg.errors import InputError, check_range
from thalweg.graph.axes import Axes, lengths
from thalweg.graph.choosing import hidden, kept, resized
from thalweg.graph.configured import by_config
from thalweg.graph.initial import scales
from thalweg.graph.labels import Array
from thalweg.graph.literals import graph_of, rewrite
from thalweg.graph.resizing import renumber, renumbered, resize
from thalweg.graph.watching import Work, watched_work
from thalweg.weights.copying import copied

_FEWEST = 16  # channels: smaller numbers are often something else


@dataclass(frozen=True)
class _Attempt:
    """A way to narrow a network.

    Attributes:
        make: Makes what is cut: a copy of the network, or its graph.
        numbers: Changes numbers of channels that modules keep, or that the graph names.
        whole_rows: How axes that are two in one are cut (`Axes.resolve`).
        even: Keeps exactly the same fraction of all layers, of which widths allow few; otherwise
            each is rounded by itself.
    """

    make: Callable[[nn.Module], nn.Module]
    numbers: bool
    whole_rows: bool
    even: bool


_ATTEMPTS = tuple(
    _Attempt(make, numbers, whole_rows, even)
    for even in (False, True)
    for make, numbers in ((copied, False), (copied, True), (graph_of, True))
    for whole_rows in (False, True)
)


class _Misfit(Exception):
    """The narrower network does not do what it should."""


def narrowed(
    network: nn.Module, width_ratio: float, example: Any, stored: Sequence[str] = ()
) -> nn.Module:
    """A network with a fraction of the hidden channels; the others are removed at even distances.

    Hidden channels are what a weight makes of others. Inputs and outputs stay, and so does what an
    operation sees that is not understood. Of attention, heads stay and are smaller, unless there
    are more heads than channels in each; of convolutions with groups likewise. What is left of a
    layer's weights is scaled so that it is what the author's rule would have drawn
    (`graph.initial`). Group normalisation keeps as many groups as divide the channels.

    Args:
        network: A newly initialised network. It is left as it is.
        width_ratio: The fraction of the channels of every hidden layer that is kept, rounded to a
            whole number of at least one.
        example: Two inputs or more, as the network's one argument.
        stored: Names of parameters that are the same in all new networks. Weights among them are
            pre-trained, and are never cut.

    Returns:
        A copy of the network with smaller parameters. Where the network's code names its numbers of
        channels, it is a `torch.fx.GraphModule` that does what the network does. In both cases all
        its operations were seen to have the shapes that they should have, in training and in
        evaluation.

    Raises:
        InputError: The network can't be evaluated on the example, nothing of it can be narrowed,
            its code names its numbers of channels where they can't be changed, or its weights are
            pre-trained.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> narrow = narrowed(network, 0.5, torch.zeros(2, 4))
        >>> {name: tuple(p.shape) for name, p in narrow.named_parameters()}
        {'0.weight': (4, 4), '0.bias': (4,), '2.weight': (2, 4), '2.bias': (2,)}
    """
    check_range("width_ratio", width_ratio, 1e-9, 1)
    made = by_config(network, width_ratio, example)
    if made is not None:
        for name in stored:
            _refuse(name)
        return made
    problems: dict[Any, str] = {}
    for attempt in _ATTEMPTS:
        try:
            whole = attempt.make(network)
        except InputError as error:
            if attempt.make is copied:
                raise
            problems[attempt.make] = str(error).split(": ")[0]
            continue
        try:
            return _narrow(whole, width_ratio, example, attempt, stored)
        except _Misfit as error:
            problems.setdefault((attempt.make, attempt.numbers), str(error))
    told = "; ".join(dict.fromkeys(problems.values()))
    raise InputError(
        f"{type(network).__name__} can't be narrowed ({told[:300]}): its code names "
        "numbers of channels where they can't be changed: take them from x.shape[1], say, or keep "
        "them as attributes of its modules"
    )


def least_share(network: nn.Module, example: Any) -> float:
    """The smallest possible width ratio, at which each layer keeps one channel.

    It raises the same errors as `narrowed`.
    """
    axes = watched_work(copied(network), example).axes
    axes.resolve(whole_rows=False)
    widths = [len(labels) for labels in hidden(axes)]
    return len(widths) / max(sum(widths), 1)


def narrow_model(
    model: Callable[[], nn.Module], width_ratio: float, example: Any, stored: Sequence[str] = ()
) -> nn.Module:
    """A newly initialised network, narrowed; the arguments are those of `narrowed`.

    With `functools.partial` it is a factory that can be sent to other processes.
    """
    return narrowed(model(), width_ratio, example, stored)


def _narrow(
    network: nn.Module, width_ratio: float, example: Any, attempt: _Attempt, stored: Sequence[str]
) -> nn.Module:
    """Narrows a network that nobody else has.

    Raises:
        InputError: There is nothing to narrow, or it is pre-trained.
        _Misfit: The result does other things than it should.
    """
    known: dict[fx.Node, Any] = {}
    twin = copied(network)  # whose buffers and attributes change
    work = watched_work(twin, example, known)
    multiples = work.axes.resolve(whole_rows=attempt.whole_rows)
    groups = hidden(work.axes)
    several = sum(p.dim() > 1 for p in network.parameters()) > 1
    if not groups and (several or work.axes.unknown):  # one layer alone has nothing between
        why = (
            f"what {work.axes.unknown[0]} sees stays whole, as this operation is not understood"
            if work.axes.unknown
            else "all of them are told apart by their place, or are inputs and outputs"
        )
        raise InputError(
            f"{type(network).__name__} has no hidden channels that could be fewer: {why}"
        )
    if attempt.even:
        common = math.gcd(*(len(labels) for labels in groups))
        multiples, width_ratio = {}, max(1, math.floor(common * width_ratio + 0.5)) / common
        if width_ratio == 1:
            raise _Misfit("its widths have no common divisor")
    stays = kept(work.axes, groups, multiples, width_ratio)

    def left(labels: Array) -> int:
        return int(stays[labels].sum())

    _check_stored(work.axes, left, stored)
    sizes = resized(work.axes, left)
    _cut(network, work.axes, stays, scales(network, work.axes, stays))
    resize(network, work, left)
    if isinstance(network, fx.GraphModule) and isinstance(twin, fx.GraphModule):
        rewrite(twin.graph, known, left, sizes)
        network.graph = twin.graph
    elif attempt.numbers:
        renumber(network, sizes)
    _check(network, example, work, left, sizes)
    return network


def _check_stored(axes: Axes, left: Callable[[Array], int], stored: Sequence[str]) -> None:
    """Checks that no weight, which is summed over or looked up, is both stored and cut.

    Raises:
        InputError: One is.
    """
    for name in stored:
        cut = any(left(labels) < len(labels) for labels in axes.named.get(name, ()))
        if cut and (name in axes.fans or name in axes.tables):
            _refuse(name)


def _check_factors(name: str, numbers: Sequence[float], sizes: Mapping[int, int]) -> None:
    """Checks that no factor or divisor is a number of channels that changes, or one less: nobody
    can tell whether it means that number, and would change with it, or is a constant.

    Raises:
        InputError: One is.
    """
    for number in numbers:
        whole = number if abs(number) >= 1 else 1 / number if number else 0.0
        for old, new in sizes.items():
            meant = any(math.isclose(whole, count) for count in (old, old - 1))
            if meant and new != old and old >= _FEWEST:
                raise InputError(
                    f"{name} can't be narrowed: it multiplies or divides by {number:g}, and has "
                    f"{old} channels that would be {new}; nobody can tell whether that is their "
                    "number: take it from x.shape, or write mean(), where it is"
                )


def _refuse(name: str) -> NoReturn:
    raise InputError(
        f"'{name}' is the same in all new networks (pre-trained?), and pre-trained weights are "
        "never cut: do without narrow copies, by two or more whole trainings"
    )


def _cut(
    network: nn.Module, axes: Axes, stays: NDArray[np.bool_], factors: dict[str, float]
) -> None:
    """Removes channels from all parameters and buffers."""
    new: dict[int, Tensor] = {}
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        value = tensor.detach()
        for axis, labels in enumerate(axes.named[name]):
            where = np.flatnonzero(stays[labels])
            if len(where) < len(labels):
                value = value.index_select(axis, torch.from_numpy(where).to(value.device))
        if factors.get(name, 1.0) != 1:
            value = value * factors[name]
        is_parameter = isinstance(tensor, nn.Parameter)
        new[id(tensor)] = nn.Parameter(value, tensor.requires_grad) if is_parameter else value
    for module in network.modules():
        for key, old in [*module._parameters.items(), *module._buffers.items()]:
            if old is not None:  # a tied one comes several times
                setattr(module, key, new[id(old)])


def _check(
    network: nn.Module,
    example: Any,
    work: Work,
    left: Callable[[Array], int],
    sizes: dict[int, int],
) -> None:
    """Watches the narrower network: all its operations must have the shapes that follow.

    Raises:
        _Misfit: Some have not.
    """
    try:
        found = watched_work(copied(network), example).steps
    except InputError as error:
        raise _Misfit(str(error).rpartition(": ")[2].rstrip(")")) from None
    for step, own in zip(work.steps, found, strict=False):
        shapes = [tuple(left(labels) for labels in along) for along in step.results]
        got = [lengths(along) for along in own.results]
        if own.name != step.name or got != shapes:
            raise _Misfit(f"{own.name} gives {got}, needs {step.name} with {shapes}")
        if step.name in ("mul", "div") and step.root is None:
            _check_factors(type(network).__name__, step.numbers, sizes)
        for i, (number, used) in enumerate(zip(step.numbers, own.numbers, strict=True), 1):
            expected = [number, renumbered(number, sizes), sizes.get(number)]  # type: ignore[call-overload]
            if step.root is not None and i == len(step.numbers):
                labels, power = step.root
                expected = [left(labels) ** power]
            if used not in expected and not math.isclose(used, expected[0]):
                raise _Misfit(f"{own.name} has the number {used:g}, needs {expected[0]:g}")
    if len(work.steps) != len(found):
        raise _Misfit("it does other things each time it is evaluated")
