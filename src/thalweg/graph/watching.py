"""Watching a network at work: which channels of its parameters and buffers are the same.

The network is evaluated on examples, in evaluation and in training, and every operation that torch
carries out is seen, whatever the code that asked for it: torch's own layers, attention, recurrent
layers, functions, loops, branches. Its labels are passed on (`graph.shaping`, `graph.computing`).
The channels of an operation that is not understood stay whole.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from thalweg.errors import InputError
from thalweg.graph.axes import Along, Axes, Rule, lengths
from thalweg.graph.computing import ELEMENTWISE, computing, elementwise
from thalweg.graph.labels import Array, fixed
from thalweg.graph.shaping import SAME_NUMBERS, SHAPING
from thalweg.seeds import seeded

_LAYOUT = {"clone", "contiguous", "alias", "detach"}
"""Operations that are called for or not by how numbers lie in memory."""


@dataclass(frozen=True, eq=False)
class Step:
    """An operation that was carried out.

    Attributes:
        name: Its name.
        results: The labels of its results; of a slice those before it, too.
        numbers: All fractions among its arguments, such as a rate, and a factor.
        root: Where it multiplies by a root of a number of channels, as attention does: these, and
            the power.
    """

    name: str
    results: tuple[Along, ...]
    numbers: tuple[float, ...]
    root: tuple[Array, float] | None


@dataclass(frozen=True, eq=False)
class Work:
    """A network's evaluations.

    Attributes:
        axes: What is known of its parameters and buffers.
        steps: All operations, in evaluation and in training.
        layers: The labels of what modules took and gave, by name.
    """

    axes: Axes
    steps: list[Step]
    layers: dict[str, tuple[Along, Along]]


def watched_work(network: nn.Module, example: Any, known: dict[fx.Node, Any] | None = None) -> Work:
    """Watches a network.

    Args:
        network: It is evaluated twice, so that its buffers change.
        example: Two inputs or more, as the network's one argument.
        known: Where the labels of a graph's nodes are put.

    Raises:
        InputError: The network can't be evaluated on the example.
    """
    axes = Axes(network)
    work = Work(axes, [], {})
    hooks = []
    try:
        for name, module in network.named_modules():
            if not any(True for _ in module.children()):
                hooks.append(module.register_forward_hook(_noted(work, name)))
        for training in (False, True):
            network.train(training)
            with seeded(0, "watching"), _plainly(), Watch(work):
                if known is not None and isinstance(network, fx.GraphModule):
                    outputs = Noting(network, axes, known).run(example)
                else:
                    outputs = network(example)
            for output in tensors(outputs):
                axes.fix(*axes.of(output))
    except Exception as error:  # a user's network may raise anything
        message = " ".join(str(error).split())[:200]
        raise InputError(
            f"{type(network).__name__} can't be evaluated on two inputs to see its channels "
            f"({type(error).__name__}: {message})"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    axes.forget()
    return work


def tensors(value: Any) -> list[Tensor]:
    """All tensors in something nested."""
    if isinstance(value, Mapping):
        return [tensor for part in value.values() for tensor in tensors(part)]
    return [part for part in tree_leaves(value) if isinstance(part, Tensor)]


class Noting(fx.Interpreter):
    """Evaluates a graph, and notes the labels of all nodes' results."""

    def __init__(self, module: fx.GraphModule, axes: Axes, known: dict[fx.Node, Any]) -> None:
        super().__init__(module, garbage_collect_values=False)
        self._axes, self._known = axes, known

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self._known[n] = self._axes.of(result)
        elif isinstance(result, tuple | list):
            self._known[n] = [
                self._axes.of(part) if isinstance(part, Tensor) else None for part in result
            ]
        return result


@contextmanager
def _plainly() -> Iterator[None]:
    """No gradients, and no kernel that does several operations in one."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    onednn: Any = torch.backends.mkldnn
    enabled = onednn.enabled
    onednn.enabled = False
    try:
        with torch.inference_mode():
            yield
    finally:
        onednn.enabled = enabled
        torch.backends.mha.set_fastpath_enabled(fast)


def _noted(work: Work, name: str) -> Any:
    def note(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if args and isinstance(args[0], Tensor) and isinstance(output, Tensor):
            work.layers.setdefault(name, (work.axes.of(args[0]), work.axes.of(output)))

    return note


class Watch(TorchDispatchMode):
    """Passes on the labels of every operation."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work, self._axes = work, work.axes

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.split("::")[1]
        name = name.rstrip("_") or name
        rule = SHAPING.get(name) or computing(name)
        pointwise = torch.Tag.pointwise in func.tags or name in ELEMENTWISE
        if rule is None and not pointwise:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        given = {"name": name, **_by_name(func, args), **kwargs}
        inputs = tensors([args, kwargs])
        result = func(*args, **kwargs)
        outputs = tensors(result)
        if rule is None and not pointwise:
            found = self._whole(name, inputs, outputs)
        else:
            found = self._passed_on(given, rule, inputs, result)
        same = inputs[0] if name in SAME_NUMBERS and inputs else None
        for output, along in zip(outputs, found, strict=True):
            if id(output) not in map(id, inputs):
                self._axes.give(output, along, same)
            self._axes.arrays += [labels for labels in along if labels.any()]
        kinds = (int, float) if name in ("mul", "div") else (float,)
        numbers = tuple(
            float(value) for value in tree_leaves([args, kwargs]) if type(value) in kinds
        )
        root = self._root(name, inputs, numbers)
        if name == "slice":
            dim, start = given.get("dim", 0), given.get("start") or 0
            found.append((self._axes.of(inputs[0])[dim][:start],))
        if name not in _LAYOUT:
            name = "view" if name == "_unsafe_view" else name
            self._work.steps.append(Step(name, tuple(found), numbers, root))
        return result

    def _passed_on(
        self, given: dict[str, Any], rule: Rule | None, inputs: list[Tensor], result: Any
    ) -> list[Along]:
        """The labels of an operation's results; without a rule it is one on each number."""
        outputs = tensors(result)
        try:
            if rule is None:
                found = [elementwise(self._axes, inputs, output) for output in outputs]
            else:
                told = rule(self._axes, given, result)
                found = list(told) if isinstance(told, list) else [told]
        except (NotImplementedError, KeyError, IndexError, TypeError, ValueError):
            return self._whole(given["name"], inputs, outputs)
        if [lengths(along) for along in found] != [tuple(out.shape) for out in outputs]:
            return self._whole(given["name"], inputs, outputs)
        return found

    def _root(
        self, name: str, inputs: list[Tensor], numbers: tuple[float, ...]
    ) -> tuple[Array, float] | None:
        """The channels of whose number a factor is a root, the last ones or those summed over."""
        if name not in ("mul", "div", "scaled_dot_product_attention") or not numbers:
            return None
        for labels in (*self._axes.of(inputs[0])[-1:], *self._axes.summed(inputs[0])):
            for power in (0.5, -0.5):
                if labels.any() and math.isclose(len(labels) ** power, numbers[-1]):
                    return labels, power
        return None

    def _whole(self, name: str, inputs: list[Tensor], outputs: list[Tensor]) -> list[Along]:
        """The channels of what is not understood stay."""
        for tensor in inputs:
            along = self._axes.of(tensor)
            if any(labels.any() for labels in along) and name not in self._axes.unknown:
                self._axes.unknown.append(name)
            self._axes.fix(*along)
        return [tuple(fixed(size) for size in out.shape) for out in outputs]


def _by_name(func: Any, args: tuple[Any, ...]) -> dict[str, Any]:
    """Arguments by their names."""
    return {
        argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)
    }
