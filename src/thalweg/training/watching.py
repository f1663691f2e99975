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
    """Counts the evaluations of a module inside a block, by the first axis of its outputs
    `[batch, ...]`, or of its inputs where it gives a loss alone.

    A wrapper around it (automatic mixed precision, a compiler, a trainer), or a copy of it
    (`copy.deepcopy`), counts with it. Where nobody calls the module itself, but its `forward` or
    its parts, as a `LightningModule` may do in its `training_step`, the last of its parts that was
    evaluated counts. Each evaluation with gradients counts as one with a backward pass: evaluate a
    validation set under `torch.no_grad()`. A batch inside of `torch.vmap` counts as its examples
    look there, one each.

    Example:
        >>> network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> with watched(network) as evaluations:
        ...     outputs = network(torch.zeros(5, 3))
        ...     with torch.no_grad():
        ...         outputs = network(torch.zeros(2, 3))
        >>> evaluations
        Evaluations(with_graph=5, without=2)
    """
    whole, counts = Evaluations(), list[Tensor]()
    handles = []
    for part in [module, *module.children()]:
        # tensors, and no numbers: a compiler takes a number that changes for another program
        counts.append(torch.zeros(2, dtype=torch.long))
        handles.append(part.register_forward_hook(_counting(counts[-1]), with_kwargs=True))
    try:
        yield whole
    finally:
        for handle in handles:
            handle.remove()
        found = [(int(count[0]), int(count[1])) for count in counts]
        whole.with_graph, whole.without = next(
            (found[k] for k in [0, *range(len(found) - 1, 0, -1)] if found[k][0]), found[0]
        )


def _counting(counts: Tensor) -> Any:
    """A hook that adds to the numbers of examples with and without a graph `[2]`."""

    # a function, and no object: copies of the module share it
    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        given = [t for t in _tensors([outputs]) if t.dim()]
        rows = next(
            (t.shape[0] for t in [*given, *_tensors([*args, *kwargs.values()])] if t.dim()), 0
        )
        graph = torch.is_grad_enabled() and any(t.requires_grad for t in _tensors([outputs]))
        counts[0 if graph else 1].add_(rows)

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
