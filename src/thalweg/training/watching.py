"""Watching a module: how many examples it evaluates, in whatever loop somebody trains it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Evaluations:
    """Evaluations of one module, in examples.

    Attributes:
        with_graph: Those with a graph of gradients, which a backward pass follows.
        without: Those without one.
    """

    with_graph: int = 0
    without: int = 0


@contextmanager
def watched(module: nn.Module) -> Iterator[Evaluations]:
    """Counts the evaluations of a module inside a block, from the first axis of its inputs.

    A wrapper around it (automatic mixed precision, an accelerator, a trainer) or a copy of it
    (`copy.deepcopy`) counts with it. Where nobody calls the module as a whole, but its parts, as a
    `LightningModule` may do in its `training_step`, the part of it that evaluates most examples
    counts.

    Example:
        >>> network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> with watched(network) as evaluations:
        ...     outputs = network(torch.zeros(5, 3))
        ...     with torch.no_grad():
        ...         outputs = network(torch.zeros(2, 3))
        >>> evaluations
        Evaluations(with_graph=5, without=2)
    """
    whole, parts = Evaluations(), list[Evaluations]()
    handles = [module.register_forward_hook(_counting(whole, None), with_kwargs=True)]
    for part in module.modules():
        if part is not module:
            parts.append(Evaluations())
            hook = _counting(parts[-1], whole)
            handles.append(part.register_forward_hook(hook, with_kwargs=True))
    try:
        yield whole
    finally:
        for handle in handles:
            handle.remove()
    if not whole.with_graph and parts:
        most = max(parts, key=lambda part: part.with_graph)
        whole.with_graph, whole.without = most.with_graph, max(whole.without, most.without)


def _counting(counts: Evaluations, whole: Evaluations | None) -> Any:
    """A hook that counts; of a part, as long as the whole was not called."""

    # a function, and no object: copies of the module share it
    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        if whole is not None and whole.with_graph:
            return
        rows = next((x.shape[0] for x in _tensors([*args, *kwargs.values()]) if x.dim()), 0)
        if torch.is_grad_enabled() and any(y.requires_grad for y in _tensors([outputs])):
            counts.with_graph += rows
        else:
            counts.without += rows

    return hook


def _tensors(things: list[Any]) -> Iterator[Tensor]:
    for thing in things:
        if isinstance(thing, Tensor):
            yield thing
        elif isinstance(thing, Mapping):
            yield from _tensors(list(thing.values()))
        elif isinstance(thing, list | tuple):
            yield from _tensors(list(thing))
        elif hasattr(thing, "__dict__") and not isinstance(thing, nn.Module):
            yield from (value for value in vars(thing).values() if isinstance(value, Tensor))
