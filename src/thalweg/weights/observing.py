"""Observes a network: what it does is seen on a small batch, not by the kinds of its layers."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from thalweg.errors import InputError
from thalweg.seeds import Rewind, numpy_position, position, seeded
from thalweg.trees import Inputs, rows, taken
from thalweg.weights.behaviour import Behaviour, eager, seedable, some, switched
from thalweg.weights.point import Weights
from thalweg.weights.spectral import spectral_norms
from thalweg.weights.statistics import Seen, tracked

Objective = Callable[[Any, Tensor], Tensor]


def observe(network: nn.Module, x: Inputs, y: Tensor, objective: Objective) -> Behaviour:
    """Observes a network in three or four evaluations and one backward pass.

    Args:
        network: It is changed: give one that is thrown away.
        x: A few inputs `[batch, ...]`, four or more if possible: with two different halves, batch
            statistics can be told from numbers that are made once and kept.
        y: Their targets.
        objective: The scalar that is trained, from outputs and targets.

    Raises:
        Exception: Whatever the network raises.
    """
    half = rows(x) // 2 if rows(x) > 3 else rows(x)
    first, last = taken(x, slice(half)), taken(x, slice(-half, None))
    watch = _Watch(network)
    with (
        eager(),
        seedable(network.modules()),
        torch.enable_grad(),
        seeded(0, "behaviour"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # what the network warns of, it says again when it is used
        rewind = Rewind()
        network.train()
        with watch.running():
            watch.backward(objective(network(first), y[:half]))
        before, uses = _numbers(network), watch.uses()
        rewind()
        with torch.no_grad(), watch.running():
            network(last)
        in_training, moved, idle = watch.drew(), watch.moved(), watch.idle()
        after = _numbers(network)
        uneven, follows = watch.uses() != uses, spectral_norms(network)
        network.eval()
        with torch.no_grad(), watch.running():
            outputs = network(first)
        always = watch.drew()
        random = tuple(name for name in in_training if name not in always)
        switchable = not random or _switchable(network, random, first, outputs, watch)
    known = {*moved, *(name for one in follows for name in (one.u, one.v))}
    return Behaviour(
        refreshed=tuple(dict.fromkeys([*(name.rpartition(".")[0] for name in moved), *idle])),
        uneven=uneven,
        follows=follows,
        unknown=tuple(
            name for name in after if name not in known and not _same(before.get(name), after[name])
        ),
        random=random,
        always_random=tuple(always),
        switchable=switchable,
        recomputed=tuple(dict.fromkeys(watch.recomputed)),
    )


def check_complete(network: nn.Module, other: nn.Module, x: Inputs) -> None:
    """Checks that a network keeps all its state in parameters and buffers, and uses these.

    Args:
        network: One that was evaluated in training mode, such as the one that was observed.
        other: A new one. Its parameters and buffers are replaced.
        x: A few inputs `[batch, ...]`.

    Raises:
        InputError: With the same parameters and buffers they give different outputs.
    """
    name = type(network).__name__
    weights = Weights(
        {key: p.detach() for key, p in network.named_parameters()}, dict(network.named_buffers())
    )
    expected = _outputs(network, {}, x)
    if not _close(_outputs(other, weights.placed(other), x), expected):
        kept = [
            f"{where}.{key}".removeprefix(".")
            for where, module in network.named_modules()
            for key, value in vars(module).items()
            if isinstance(value, Tensor)
        ]
        weights.load_into(other)
        if _close(_outputs(other, {}, x), expected):
            raise InputError(
                f"{name} does not use parameters and buffers that are put in the place of its "
                "own: it also keeps them in a list or another attribute; use self.name, "
                "an nn.ModuleList or an nn.ParameterList"
            )
        raise InputError(
            f"{name} with another one's parameters and buffers gives other outputs, so it keeps "
            f"something else ({some(kept) if kept else 'in its attributes'}): make that a "
            "buffer, register_buffer(name, tensor)"
        )


def _outputs(network: nn.Module, state: dict[str, Tensor], x: Inputs) -> Any:
    """The outputs in evaluation mode, with `state` in the place of parameters and buffers."""
    with eager(), torch.no_grad(), seeded(0, "complete"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return functional_call(network.eval(), state, (x,))


def _close(one: Any, other: Any) -> bool:
    """Whether outputs are equal but for rounding; outputs that are no tensors are not compared."""
    if not isinstance(one, Tensor) or not isinstance(other, Tensor) or one.shape != other.shape:
        return True
    return not bool((one - other).abs().max() > 1e-3 * other.abs().max())


class _Watch:
    """Notes, while a network is evaluated, which of its modules runs and what it does.

    Attributes:
        recomputed: Modules that were evaluated in the backward pass.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.recomputed: list[str] = []
        self._names = {id(module): name for name, module in network.named_modules()}
        self._stack: list[str] = []
        self._is_backward = False
        self._drew: dict[str, None] = {}
        self._at: tuple[object, ...] = ()
        self._all = Seen()  # of all evaluations
        self._last = Seen()  # of the last one

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watches the network, which is evaluated inside."""
        hooks = []
        for module in self.network.modules():
            hooks.append(module.register_forward_pre_hook(self._enter))
            # also called after an exception, by which a checkpoint leaves
            hooks.append(module.register_forward_hook(self._leave, always_call=True))
        self._at, numpy, self._last = position(), numpy_position(), Seen()
        try:
            with self._last:
                yield
        finally:
            for hook in hooks:
                hook.remove()
            self._stack.clear()
        self._all.used += self._last.used
        self._all.moved += self._last.moved
        if numpy_position() != numpy:
            self._drew[""] = None

    def backward(self, total: Tensor) -> None:
        """Runs the backward pass of a scalar, where it has one."""
        if not total.requires_grad:
            return
        self._is_backward = True
        with torch.no_grad(), _Recorded() as recorded:
            torch.autograd.backward(total)
        if recorded.operations and not self.recomputed:  # functions that no module was called for
            self.recomputed.append("")
        self._is_backward = False

    def drew(self) -> list[str]:
        """The modules that drew random numbers since the last call."""
        names = list(self._drew)
        self._drew.clear()
        return names

    def uses(self) -> list[int]:
        """The running statistics used in the last evaluation, by identity, one entry per use."""
        return [id(tensor) for tensor in self._last.used]

    def moved(self) -> list[str]:
        """The buffers that normalisations have moved so far."""
        names = {id(buffer): name for name, buffer in self.network.named_buffers()}
        return [names[id(tensor)] for tensor in self._all.moved if id(tensor) in names]

    def idle(self) -> list[str]:
        """The norm layers with running statistics that have not been used so far."""
        used = {id(tensor) for tensor in self._all.used}
        return [name for name, mean in tracked(self.network).items() if id(mean) not in used]

    def _enter(self, module: nn.Module, _: Any) -> None:
        self._look()
        if self._is_backward and not self._stack:
            self.recomputed.append(self._names[id(module)])
        self._stack.append(self._names[id(module)])

    def _leave(self, *_: Any) -> None:
        self._look()
        self._stack.pop()

    def _look(self) -> None:
        """Notes that whatever was drawn since the last call was drawn by the module that runs."""
        now = position()
        if now != self._at and not self._is_backward:
            self._drew[self._stack[-1] if self._stack else ""] = None
        self._at = now


class _Recorded(TorchDispatchMode):
    """Counts operations recorded for gradients; in a backward pass, those that are recomputed."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True makes torch import its compiler, which takes seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += torch.is_grad_enabled()
        return func(*args, **(kwargs or {}))


def _switchable(
    network: nn.Module, names: Sequence[str], x: Inputs, expected: Any, watch: _Watch
) -> bool:
    """Whether a network with some modules alone in training mode draws in them, and only that."""
    before = _numbers(network)
    try:
        with torch.no_grad(), switched(network, names), watch.running():
            outputs = network(x)
    except Exception:  # a user's network may raise anything
        return False
    shapes = [getattr(value, "shape", None) for value in (outputs, expected)]
    if type(outputs) is not type(expected) or shapes[0] != shapes[1]:
        return False
    after, drew = _numbers(network), watch.drew()
    return {*names} <= {*drew} and all(_same(before.get(name), after[name]) for name in after)


def _numbers(network: nn.Module) -> dict[str, Tensor]:
    """Copies of all real and complex numbers that are not trained."""
    kept = [
        *network.named_buffers(),
        *((name, p) for name, p in network.named_parameters() if not p.requires_grad),
    ]
    return {name: t.detach().clone() for name, t in kept if t.is_floating_point() or t.is_complex()}


def _same(one: Tensor | None, other: Tensor) -> bool:
    return (
        one is not None
        and one.shape == other.shape
        and torch.equal(one.nan_to_num(), other.nan_to_num())
    )
