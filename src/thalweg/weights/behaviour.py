"""How a network behaves: which statistics move, what is random and what is recomputed, seen by evaluating it on a small batch."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from thalweg.errors import InputError
from thalweg.seeds import Rewind, numpy_position, position, seeded
from thalweg.weights.spectral import Spectral, spectral_norms
from thalweg.weights.statistics import Seen, tracked

Objective = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Behaviour:
    """What a network was seen to do. Modules and tensors are given by their names in it.

    Attributes:
        refreshed: Modules whose running statistics are averages over the data, which can be taken again at any weights.
        uneven: Some of them are not used in every training evaluation.
        follows: Spectral norms, whose buffers follow from the weights.
        unknown: Numbers that the network changes while it trains, and that nobody can take again at other weights: buffers and
            parameters that need no gradient. Whole numbers, such as counts of steps, are not among them.
        random: Modules that draw random numbers in training mode only. The network itself is named "".
        always_random: Modules that draw some in evaluation mode, too.
        switchable: The network drops in evaluation mode where these modules alone are in training mode, and does nothing else.
        recomputed: Modules that are evaluated again in the backward pass (`torch.utils.checkpoint`).
    """

    refreshed: tuple[str, ...] = ()
    uneven: bool = False
    follows: tuple[Spectral, ...] = ()
    unknown: tuple[str, ...] = ()
    random: tuple[str, ...] = ()
    always_random: tuple[str, ...] = ()
    switchable: bool = True
    recomputed: tuple[str, ...] = ()

    def check_new_points(self) -> None:
        """Checks that the network can be evaluated at weights that nobody trained.

        Raises:
            InputError: It changes numbers while it trains that can't be taken again there.
        """
        if self.unknown:
            raise InputError(f"the network changes {_some(self.unknown)} while it trains, in a way that can't be repeated at "
                             "weights between trained ones: use torch's batch or instance norm for running statistics, or a "
                             "method all of whose members are trained (deep-ensemble, restarts, snapshot, fge)")

    def dropping(self) -> tuple[str, ...]:
        """The modules to be put in training mode for a network that drops when it predicts.

        Raises:
            InputError: Nothing in it drops, or not without doing something else.
        """
        if not self.random and not self.always_random:
            raise InputError("the network got no dropout layer and draws no random numbers in training, needs to: give a rate, and dropout "
                             "is inserted")
        if not self.switchable:
            raise InputError(f"the network draws random numbers in {_some(self.random)}, which can't be put in training mode "
                             "alone (its outputs or statistics change, or it does not ask its own mode): use nn.Dropout there, "
                             "or give a rate, and dropout is inserted")
        return self.random

    def check_recomputed(self, what: str) -> None:
        """Checks that nothing is evaluated again in the backward pass, when other weights may be in place.

        Raises:
            InputError: Something is.
        """
        if self.recomputed:
            raise InputError(f"{what} got a network that evaluates {_some(self.recomputed)} again in the backward pass "
                             "(torch.utils.checkpoint), where the weights are other ones: make it without checkpointing")


def observe(network: nn.Module, x: Tensor, y: Tensor, objective: Objective) -> Behaviour:
    """Looks at a network in three or four evaluations and one backward pass.

    Args:
        network: It is changed: give one that is thrown away.
        x: A few inputs `[batch, ...]`, four or more if possible: with two different halves, statistics of a batch are told
            from numbers that are made once and kept.
        y: Their targets.
        objective: From outputs and targets to the scalar that is trained.

    Raises:
        Exception: Whatever the network raises.
    """
    half = len(x) // 2 if len(x) > 3 else len(x)
    watch = _Watch(network)
    with eager(), torch.enable_grad(), seeded(0, "behaviour"):
        rewind = Rewind()
        network.train()
        with watch.running():
            watch.backward(objective(network(x[:half]), y[:half]))
        before, uses = _numbers(network), watch.uses()
        rewind()
        with torch.no_grad(), watch.running():
            network(x[-half:])
        in_training, moved, idle, after = watch.drew(), watch.moved(), watch.idle(), _numbers(network)
        uneven = bool(idle) or watch.uses() != uses
        network.eval()
        with torch.no_grad(), watch.running():
            outputs = network(x[:half])
        always = watch.drew()
        random = tuple(name for name in in_training if name not in always)
        switchable = not random or _switchable(network, random, x[:half], outputs, watch)
    follows = spectral_norms(network)
    known = {*moved, *(name for one in follows for name in (one.u, one.v))}
    return Behaviour(
        refreshed=tuple(dict.fromkeys([*(name.rpartition(".")[0] for name in moved), *idle])),
        uneven=uneven,
        follows=follows,
        unknown=tuple(name for name in after if name not in known and not _same(before.get(name), after[name])),
        random=random,
        always_random=tuple(always),
        switchable=switchable,
        recomputed=tuple(dict.fromkeys(watch.recomputed)),
    )


@contextmanager
def eager() -> Iterator[None]:
    """Compiled parts of a network are evaluated as they were written: what is compiled shows nobody what it does."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and importing it takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def switched(network: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """A network of which some modules, and not what is in them, are in training mode."""
    modules = [network.get_submodule(name) for name in names]
    modes = [module.training for module in modules]
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        for module in modules:
            module.training = True  # not train(), which also switches what is in it
        # torch's fast path of transformers skips dropout where the block that holds it is in evaluation mode
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


class _Watch:
    """Notes, as a network is evaluated, which of its modules runs, and what it does.

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
        """The network is evaluated inside."""
        hooks = [hook for module in self.network.modules()
                 for hook in (module.register_forward_pre_hook(self._enter), module.register_forward_hook(self._leave))]
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
        """The backward pass of a scalar, where it has any."""
        if not total.requires_grad:
            return
        self._is_backward = True
        with torch.no_grad(), _Recorded() as found:
            torch.autograd.backward(total)
        if found.operations and not self.recomputed:  # functions that no module was called for
            self.recomputed.append("")
        self._is_backward = False

    def drew(self) -> list[str]:
        """Modules that drew random numbers since this was asked last."""
        found = list(self._drew)
        self._drew.clear()
        return found

    def uses(self) -> list[int]:
        """Which running statistics were used in the last evaluation, by identity, once a use."""
        return [id(tensor) for tensor in self._last.used]

    def moved(self) -> list[str]:
        """Buffers that normalisations moved so far."""
        names = {id(buffer): name for name, buffer in self.network.named_buffers()}
        return [names[id(tensor)] for tensor in self._all.moved if id(tensor) in names]

    def idle(self) -> list[str]:
        """Norm layers with running statistics that were not used so far."""
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
        """Whatever was drawn since the last look was drawn by the module that runs."""
        now = position()
        if now != self._at and not self._is_backward:
            self._drew[self._stack[-1] if self._stack else ""] = None
        self._at = now


class _Recorded(TorchDispatchMode):
    """Counts operations that are recorded for gradients. In a backward pass only a part of the network that is evaluated again has any."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler first, for seconds, to keep it away from here

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += torch.is_grad_enabled()
        return func(*args, **(kwargs or {}))


def _switchable(network: nn.Module, names: Sequence[str], x: Tensor, expected: Any, watch: _Watch) -> bool:
    """Whether a network in evaluation mode, some modules of which are not, draws in them all, and gives outputs of the same form."""
    before = _numbers(network)
    try:
        with torch.no_grad(), switched(network, names), watch.running():
            outputs = network(x)
    except Exception:  # a user's network may raise anything
        return False
    if type(outputs) is not type(expected) or getattr(outputs, "shape", None) != getattr(expected, "shape", None):
        return False
    after = _numbers(network)
    return {*names} <= {*watch.drew()} and all(_same(before.get(name), after[name]) for name in after)


def _numbers(network: nn.Module) -> dict[str, Tensor]:
    """Copies of all numbers that are not trained, but whole ones."""
    kept = [*network.named_buffers(), *((name, p) for name, p in network.named_parameters() if not p.requires_grad)]
    return {name: t.detach().clone() for name, t in kept if t.is_floating_point() or t.is_complex()}


def _same(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())


def _some(names: Sequence[str]) -> str:
    told = [f"'{name}'" if name else "its own forward" for name in names[:3]]
    return ", ".join(told) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
