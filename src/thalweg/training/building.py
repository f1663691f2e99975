"""Building networks: what a user's factory gives is unwrapped, brought to its device, and has its
weights in a memory order that is safe.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.seeds import seeded
from thalweg.training.calling import Call, Derived
from thalweg.trees import Inputs, described, moved

Model = Callable[[], nn.Module]
_BLOCK = 16  # channels that the widest vector instructions of a CPU take at once


def built(
    model: Model,
    device: str,
    example: Inputs | None = None,
    call: Call = Call(),  # noqa: B008  frozen
) -> nn.Module:
    """A new network, as the factory gives it, without the wrappers that belong to one way of
    running it, as a function of one argument.

    `nn.DataParallel` and `torch.compile` are taken off: how trainings run is said with
    `Execution(device=..., compile=...)`.

    Args:
        model: The factory.
        device: Where the network goes.
        example: A batch of inputs `[batch, ...]`, with which lazy layers get their sizes.
        call: How the network is called.

    Raises:
        InputError: The factory raises, or gives something else than a module that can be evaluated
            with other weights.
    """
    with torch.enable_grad():  # a user may have switched gradients off
        try:
            network: Any = model()
        except InputError:
            raise
        except Exception as error:  # a user's factory may raise anything
            raise InputError(
                f"model() raised {type(error).__name__} ({_line(error)}): it must make a new "
                "network each time it is called, without arguments"
            ) from error
        network = unwrapped(network)
        if not isinstance(network, nn.Module):
            raise InputError(f"model() gave a {type(network).__name__}, needs a torch.nn.Module")
        if isinstance(network, torch.jit.ScriptModule):
            raise InputError(
                "model() gave a ScriptModule, whose weights can't be exchanged while it is "
                "evaluated: give the Python module that it was made from"
            )
        name = next((name for name, p in network.named_parameters() if p.is_meta), None)
        if name is not None:
            raise InputError(
                f"the network's parameter '{name}' is on the device 'meta', without numbers: "
                "make the network on the CPU"
            )
        network = network.to(device)
        if not isinstance(model, Derived):
            call.prepare(network)
        if example is not None and is_lazy(network):
            _materialise(network, moved(example, device))
    # the user's own factory may have ordered them
    return in_plain_order(network) if unsafe_channels_last(network, device) is not None else network


def unwrapped(network: Any) -> Any:
    """A network without `nn.DataParallel`, `torch.compile` and the like around it."""
    while isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(
        network, "_orig_mod"
    ):
        network = network._orig_mod if hasattr(network, "_orig_mod") else network.module
    return network


def is_lazy(network: nn.Module) -> bool:
    """Whether a network has layers that get their sizes from their first inputs."""
    tensors = [*network.parameters(), *network.buffers()]
    return any(nn.parameter.is_lazy(tensor) for tensor in tensors)


def in_channels_last(network: nn.Module) -> nn.Module:
    """The same network with its convolutions' weights in channels-last order; what they put out
    then is so, too.
    """
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def in_plain_order(network: nn.Module) -> nn.Module:
    """The same network with contiguous weights."""
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def unsafe_channels_last(network: nn.Module, device: str) -> str | None:
    """The name of a layer that must not be evaluated with channels-last weights on this device, or
    None.

    On CPUs, torch's backward pass of strided 1x1 convolutions writes outside of its memory where
    channels don't fill the processor's vectors (seen with torch 2.13 on processors with AVX2: fewer
    than eight input channels). It needs no error to be wrong, and no vectors of this processor to
    be so on another one, so that every such layer counts; and every weight of that shape outside of
    torch's convolutions, whose stride is not known.
    """
    if torch.device(device).type != "cpu":
        return None
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d) and max(layer.kernel_size) == 1 and max(layer.stride) > 1:
            per_group = (layer.in_channels // layer.groups, layer.out_channels // layer.groups)
            if any(channels % _BLOCK for channels in per_group):
                return name
        if not isinstance(
            layer, nn.modules.conv._ConvNd | nn.utils.parametrize.ParametrizationList
        ):  # a function may stride
            for key, p in layer.named_parameters(recurse=False):
                if (
                    p.dim() == 4
                    and p.shape[2:] == (1, 1)
                    and min(p.shape[:2]) > 1
                    and any(n % _BLOCK for n in p.shape[:2])
                ):
                    return f"{name}.{key}".removeprefix(".")
    return None


def ordered(network: nn.Module, device: str, *, channels_last: bool) -> nn.Module:
    """The network with channels-last weights, where that is asked for and safe: as it is
    elsewhere.
    """
    return (
        in_channels_last(network)
        if channels_last and unsafe_channels_last(network, device) is None
        else network
    )


@dataclass(frozen=True)
class Builds:
    """What two builds of a network showed.

    Attributes:
        networks: Both networks, which may be used up.
        differ: Whether their initialisations differ.
        constants: The names of what is not trained and differs all the same: frozen parameters and
            buffers of real numbers.
        stored: The names of weights with two axes or more that do not differ, and are not all one
            number: they come from a file, say.
    """

    networks: tuple[nn.Module, nn.Module]
    differ: bool
    constants: tuple[str, ...]
    stored: tuple[str, ...]


def check_factory(
    model: Model,
    device: str,
    example: Inputs,
    call: Call = Call(),  # noqa: B008  frozen
) -> Builds:
    """Builds three networks and compares them: the first two for different purposes, the third for
    the first one's.

    Args:
        model: The factory.
        device: Where networks go.
        example: A batch of inputs, as in `built`.
        call: How networks are called.

    Raises:
        InputError: It is no factory, gives one network twice, networks that share tensors, or
            networks whose initialisation does not follow from torch's, NumPy's and Python's seeds.
    """
    if isinstance(model, nn.Module):
        raise InputError(
            f"model got a {type(model).__name__} module, needs a function that makes a new one "
            f"(retrainings start afresh): lambda: {type(model).__name__}(...); give a trained "
            "one as networks="
        )
    if not callable(model):
        raise InputError(
            f"model got {type(model).__name__}, needs a function that makes a new network"
        )
    networks, after = [], []
    for purpose in ("first", "other", "first"):
        with seeded(0, "inspection", purpose):
            networks.append(built(model, device, example, call))
            after.append(torch.get_rng_state())
    first, other, again = networks
    if len({id(network) for network in networks}) < 3:
        raise InputError(
            "model() gave the same module twice: retrainings start afresh, so it must make a "
            f"new {type(first).__name__} each time; give a trained one as networks="
        )
    _check_usable(first)
    _check_storage(first, other)
    _check_storage(first, again)
    same, repeated = _equal(first, other), _equal(first, again)
    if not repeated:
        raise InputError(
            "model() gave other weights after the same seed: it draws from a generator of its "
            "own, so that no training could be done again; let it draw from torch's global "
            "generator, as torch.nn.init does"
        )
    if (
        same
        and torch.equal(after[0], after[1])
        and any(p.requires_grad for p in first.parameters())
    ):
        raise InputError(
            "model() seeds torch itself, so that all retrainings would start alike: take "
            "torch.manual_seed out of it (thalweg seeds before each call)"
        )
    trained = {name for name, p in again.named_parameters() if p.requires_grad}
    one, two = _tensors(again), _tensors(other)
    constants = tuple(
        name
        for name, t in one.items()
        if name not in trained and t.is_floating_point() and not torch.equal(t, two[name])
    )
    stored = tuple(
        name
        for name, p in again.named_parameters()
        if p.dim() > 1 and torch.equal(p, two[name]) and bool((p != p.flatten()[0]).any())
    )
    return Builds((again, other), not same, constants, stored)


def _check_usable(network: nn.Module) -> None:
    """Whether a network, whose modes are lost, has real weights and both modes."""
    name = next((name for name, p in network.named_parameters() if p.is_complex()), None)
    if name is not None:
        raise InputError(
            f"the network's parameter '{name}' is complex, needs real numbers: keep two real "
            "ones in its place (torch.view_as_complex)"
        )
    try:
        network.eval().train()
    except Exception as error:  # exported graphs have one mode, for one
        raise InputError(
            f"model() gave a {type(network).__name__} that can't be put in training and in "
            f"evaluation mode ({_line(error)}): give the module that it was made from"
        ) from error


def _check_storage(first: nn.Module, other: nn.Module) -> None:
    places = {
        t.untyped_storage().data_ptr(): name for name, t in _tensors(first).items() if t.numel()
    }
    for name, tensor in _tensors(other).items():
        if tensor.numel() and tensor.untyped_storage().data_ptr() in places:
            raise InputError(
                f"model() gave two networks that share '{name}': training one would change the "
                "other; make every layer inside of the factory, or copy it there (copy.deepcopy)"
            )


def _equal(first: nn.Module, other: nn.Module) -> bool:
    one, two = _tensors(first), _tensors(other)
    if one.keys() != two.keys() or any(one[name].shape != two[name].shape for name in one):
        raise InputError(
            "model() gave two networks that differ in the names or shapes of their weights: it "
            "must make the same architecture each time"
        )
    return all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach() for name, t in [*network.named_parameters(), *network.named_buffers()]}


def _materialise(network: nn.Module, example: Inputs) -> None:
    """Evaluates lazy layers once.

    Batch-norm statistics are not touched: it is in evaluation mode.
    """
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(example)
    except Exception as error:
        raise InputError(
            f"the network's lazy layers can't take inputs of shape {described(example)} "
            f"({_line(error)})"
        ) from error
    network.train(was_training)
    if is_lazy(network):
        left = next(
            name
            for name, t in [*network.named_parameters(), *network.named_buffers()]
            if nn.parameter.is_lazy(t)
        )
        raise InputError(
            f"the network has a lazy layer that an evaluation does not use ('{left}'): take it "
            "out, or give its size"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
