"""A network as a graph of operations in which sizes that are written as numbers can be changed.

It serves where a network's code names its channels, as `view(-1, 54)` does: what torch.fx traces
has these numbers in its nodes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import fx, nn
from torch.nn import functional

from thalweg.errors import InputError
from thalweg.graph.labels import Array
from thalweg.graph.resizing import renumbered
from thalweg.graph.tracing import Traced, traced

Left = Callable[[Array], int]
"""How many channels of some labels are kept."""
Known = Mapping[fx.Node, Any]
"""The labels of nodes' results, of each where there are several."""


def graph_of(network: nn.Module) -> fx.GraphModule:
    """A network as one graph for training and evaluation.

    Functional dropout, which has its mode as an argument, becomes a layer. Layers have the names
    that they have in the network; modules that hold layers are there, but are not called.

    Raises:
        InputError: The network can't be traced, or does other things in training than in
            evaluation.
    """
    training, evaluating = (traced(network, training=mode) for mode in (True, False))
    _join_modes(training, evaluating)
    for layer in training.owner.modules():
        # the network's own `train` keeps it in evaluation mode, and that of a graph module would
        # not
        if not layer.training:
            layer.train = partial(_stays, layer)  # type: ignore[method-assign]
    return fx.GraphModule(_root_of_names(training), training.graph, type(network).__name__)


def rewrite(graph: fx.Graph, known: Known, left: Left, sizes: Mapping[int, int]) -> None:
    """Changes the sizes in a graph to those of a narrower network.

    Args:
        graph: The graph.
        known: The labels of nodes' results.
        left: How many channels are kept.
        sizes: What becomes of a number of channels.
    """
    for node in graph.nodes:
        name = node.target if isinstance(node.target, str) else node.target.__name__
        rule = _RULES.get(name)
        if rule is not None and node.op in ("call_function", "call_method") and node in known:
            rule(node, known, left)
        elif name.strip("_") in ("mul", "imul", "truediv", "div"):
            node.args = tuple(renumbered(a, sizes) if type(a) is float else a for a in node.args)


def _sizes(first: int, node: Any, known: Known, left: Left) -> None:
    """`view(x, 5, 6)` or `view(x, (5, 6))`: the sizes of the result."""
    given = node.args[first:]
    listed = len(given) > 0 and isinstance(given[0], tuple | list)
    sizes: Sequence[Any] = given[0] if listed else given
    new = tuple(_size(size, labels, left) for size, labels in zip(sizes, known[node], strict=False))
    node.args = (*node.args[:first], new) if listed else (*node.args[:first], *new)


def _size(size: Any, labels: Array, left: Left) -> Any:
    return left(labels) if isinstance(size, int) and size == len(labels) else size


def _unflatten(node: Any, known: Known, left: Left) -> None:
    dim, sizes = node.args[1], node.args[2]
    if isinstance(dim, int) and isinstance(sizes, tuple | list):
        first = dim % len(known[node.args[0]])
        along = known[node][first:]
        node.update_arg(2, tuple(_size(s, a, left) for s, a in zip(sizes, along, strict=False)))


def _split(node: Any, known: Known, left: Left) -> None:
    dim = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
    sizes = [left(part[dim]) for part in known[node]]
    node.update_arg(1, sizes[0] if isinstance(node.args[1], int) else sizes)


def _slices(node: Any, known: Known, left: Left) -> None:
    """Slices that name where they start and end."""
    along = known.get(node.args[0])
    if not isinstance(along, tuple):
        return
    index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
    new: list[Any] = []
    axis = 0
    for i, part in enumerate(index):
        if part is Ellipsis:
            axis = len(along) - sum(p is not None for p in index[i + 1 :])
        elif isinstance(part, slice):
            start, stop = (_place(end, along[axis], left) for end in (part.start, part.stop))
            part, axis = slice(start, stop, part.step), axis + 1
        elif part is not None:
            axis += 1
        new.append(part)
    node.update_arg(1, tuple(new) if isinstance(node.args[1], tuple) else new[0])


def _place(place: Any, labels: Array, left: Left) -> Any:
    if not isinstance(place, int):
        return place
    return left(labels[:place]) if place >= 0 else -left(labels[place:])


def _pad(node: Any, known: Known, left: Left) -> None:
    widths = node.args[1] if len(node.args) > 1 else node.kwargs["pad"]
    if not all(isinstance(width, int) for width in widths):
        return
    new = list(widths)
    for i in range(len(widths) // 2):
        labels, (before, after) = known[node][-1 - i], widths[2 * i : 2 * i + 2]
        if labels.any() and min(before, after) >= 0:
            new[2 * i], new[2 * i + 1] = left(labels[:before]), left(labels[len(labels) - after :])
    if len(node.args) > 1:
        node.update_arg(1, tuple(new))
    else:
        node.update_kwarg("pad", tuple(new))


def _normalised(node: Any, known: Known, left: Left) -> None:
    sizes = node.args[1]
    if isinstance(sizes, tuple | list):
        along = known[node][len(known[node]) - len(sizes) :]
        node.update_arg(1, tuple(_size(s, a, left) for s, a in zip(sizes, along, strict=True)))


def _stays(layer: nn.Module, mode: bool = True) -> nn.Module:  # noqa: FBT001, FBT002  torch's
    """The `train` of a layer that always stays in evaluation mode."""
    return layer


def _join_modes(training: Traced, evaluating: Traced) -> None:
    """Makes the training graph one for both modes.

    Raises:
        InputError: The graphs differ in something else than functional dropout.
    """
    nodes, twins = list(training.graph.nodes), list(evaluating.graph.nodes)
    if len(nodes) != len(twins):
        raise InputError(
            "the network does other things in training than in evaluation, and its code names "
            "its numbers of channels: use layers that know their mode, such as nn.Dropout"
        )
    texts = [
        [str((node.target, node.args, node.kwargs)) for node in graph] for graph in (nodes, twins)
    ]
    for node, twin, text, twin_text in zip(nodes, twins, *texts, strict=True):
        if text == twin_text:
            continue
        if node.target not in _DROPOUT or node.target is not twin.target:
            raise InputError(
                f"'{node.name}' in the network's graph is not the same in training and in "
                "evaluation: use layers that know their mode, such as nn.Dropout"
            )
        rate = node.args[1] if len(node.args) > 1 else node.kwargs.get("p", 0.5)
        root, name = training.owner.get_submodule(_ROOT), node.name
        while hasattr(root, name):  # the network's own, as the rate of a dropout may be
            name += "_"
        root.add_module(name, _DROPOUT[node.target](rate))
        with training.graph.inserting_after(node):
            layer = training.graph.call_module(f"{_ROOT}.{name}", (node.args[0],))
        node.replace_all_uses_with(layer)
        training.graph.erase_node(node)


def _root_of_names(network: Traced) -> nn.Module:
    """The module that the graph's names start from: the network itself where possible.

    It is the module that holds the network where the network is a single layer, or has a name that
    a `GraphModule` needs for itself, such as `graph`.
    """
    targets: list[Any] = [
        node for node in network.graph.nodes if node.op in ("call_module", "get_attr")
    ]
    for node in targets:
        if "." not in node.target and node.target != _ROOT:  # a tensor that the code made
            constant = getattr(network.owner, node.target)
            setattr(network.owner.get_submodule(_ROOT), node.target, constant)
            node.target = f"{_ROOT}.{node.target}"
    if any(
        node.target == _ROOT or hasattr(fx.GraphModule, node.target.split(".")[1])
        for node in targets
    ):
        return network.owner
    for node in targets:
        node.target = node.target.removeprefix(f"{_ROOT}.")
    return network.owner.get_submodule(_ROOT)


_ROOT = "0"  # the name of the network in the module that holds it while it is traced
_DROPOUT: dict[Any, Any] = {
    functional.dropout: nn.Dropout,
    functional.dropout1d: nn.Dropout1d,
    functional.dropout2d: nn.Dropout2d,
    functional.dropout3d: nn.Dropout3d,
    functional.alpha_dropout: nn.AlphaDropout,
    functional.feature_alpha_dropout: nn.FeatureAlphaDropout,
}
_RULES: dict[str, Callable[[Any, Known, Left], None]] = {
    **dict.fromkeys(
        ("view", "reshape", "expand", "new_zeros", "new_ones", "new_empty", "new_full"),
        partial(_sizes, 1),
    ),
    **dict.fromkeys(("zeros", "ones", "empty", "rand", "randn", "full"), partial(_sizes, 0)),
    "unflatten": _unflatten,
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "getitem": _slices,
    "pad": _pad,
    **dict.fromkeys(("layer_norm", "rms_norm"), _normalised),
}
