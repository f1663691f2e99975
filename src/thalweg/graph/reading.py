"""Reading a network's graph: which channels of which parameters and buffers are the same.

Its inputs and outputs are fixed. Layers that are used twice, or share a parameter, have the same
labels both times, so that their channels are permuted together. A convolution with groups fixes its
channels (except with one group per channel); group normalisation lets them be permuted within a
group only. What is not understood is an error, never a guess. Linear layers are assumed to read
`[batch, features]`.
"""

from typing import Any

from torch import Tensor, fx, nn

from thalweg.errors import InputError
from thalweg.graph.channels import Channels, Value, refuse
from thalweg.graph.layers import LAYERS
from thalweg.graph.operations import OPERATIONS
from thalweg.graph.tracing import Traced, traced


def read(network: nn.Module) -> Channels:
    """The channels of a network, from its graphs in evaluation and in training.

    Raises:
        InputError: The network can't be traced, or does something that is not understood.
    """
    channels = Channels()
    for training in (False, True):
        _read(channels, traced(network, training=training))
    channels.check()
    return channels


def _read(channels: Channels, network: Traced) -> None:
    tensors = [*network.owner.named_parameters(), *network.owner.named_buffers()]
    channels.names = {id(tensor): name.partition(".")[2] for name, tensor in tensors}
    results: dict[fx.Node, Any] = {}
    for node in network.graph.nodes:
        args, kwargs = (
            fx.node.map_arg(given, results.__getitem__) for given in (node.args, node.kwargs)
        )
        results[node] = result = _result(channels, network.owner, node, args, kwargs)
        if isinstance(result, Value) and result.labels is not None:
            channels.arrays.append(result.labels)


def _result(
    channels: Channels,
    owner: nn.Module,
    node: fx.Node,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """What is known of a node's result."""
    if node.op == "placeholder":
        return Value()
    if node.op == "output":
        fx.node.map_aggregate(args, lambda part: _fix(channels, part))
        return None
    if node.op == "call_module":
        return _layer(channels, node, owner.get_submodule(str(node.target)), args, kwargs)
    if node.op == "get_attr":
        return _constant(owner, node)
    name, module = str(node.target), "torch"  # a method
    if node.op == "call_function":
        name = str(getattr(node.target, "__name__", node.target))
        module = getattr(node.target, "__module__", None) or "torch"
    operation = OPERATIONS.get(name.rstrip("_"))
    if operation is None or module.split(".")[0] not in ("torch", "_operator", "builtins"):
        refuse(node, f"calls {name}")
    try:
        return operation(channels, node, args, kwargs)
    except InputError:
        raise
    except Exception as error:  # the arguments are not of the kinds that it knows
        refuse(node, f"calls {name} in an unknown way ({type(error).__name__})")


def _layer(
    channels: Channels,
    node: fx.Node,
    layer: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Value:
    name = type(layer).__name__
    known = name in LAYERS and type(layer).__module__.startswith("torch.nn.modules.")
    if not known or len(args) != 1 or kwargs or not isinstance(args[0], Value):
        refuse(node, f"calls a {name}")
    if layer._forward_hooks or layer._forward_pre_hooks:
        refuse(node, f"calls a {name} that has hooks")
    return LAYERS[name](channels, node, layer, args[0])


def _constant(owner: nn.Module, node: fx.Node) -> None:
    """A number that the network keeps is the same for all channels."""
    path, _, name = str(node.target).rpartition(".")
    kept = getattr(owner.get_submodule(path), name)
    if not isinstance(kept, Tensor) or kept.numel() != 1:
        refuse(node, "uses a parameter or buffer outside of a layer")


def _fix(channels: Channels, part: Any) -> Any:
    if isinstance(part, Value) and part.labels is not None:
        channels.labels.fix(part.labels)
    return part
