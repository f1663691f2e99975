"""Checking inputs that networks will be asked about, before anything is trained: mistakes are found
in seconds.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.predicting import check_order, in_batches, outputs_of
from thalweg.seeds import Rewind, seeded, seeded_loader
from thalweg.training.batches import Loader
from thalweg.training.problem import Problem
from thalweg.training.unlabelled import are_inputs, inputs_of
from thalweg.trees import (
    Inputs,
    described,
    flattened,
    gathered,
    is_space,
    moved,
    rows,
    shapes,
    taken,
    tensors,
)


@dataclass(frozen=True)
class CheckedInputs:
    """Inputs that can be predicted on.

    Attributes:
        inputs: As `predict` takes them; a NumPy array has become a tensor of the training inputs'
            type.
        count: How many inputs there are.
        classes: How many outputs the network has for each.
    """

    inputs: Loader | Inputs
    count: int
    classes: int


def check_inputs(problem: Problem, given: Any, name: str, *, alike: bool) -> CheckedInputs:
    """Reads inputs once and evaluates two of them on a network that nobody trained; none of it is
    metered.

    Args:
        problem: The network and the training set.
        given: Inputs `[inputs, ...]` (a tensor or a NumPy array, or what training inputs are made
            of), or a loader in fixed order.
        name: What errors call them.
        alike: Whether they must all have one shape, with as many numbers as a training input, as
            where distances are taken between them. Inputs of whole numbers need not: there are no
            distances.

    Raises:
        InputError: They are no inputs, there are none, they are not finite, the network can't read
            them, they are not alike, or the loader shuffles, augments, or can be read once only.
    """
    example = taken(problem.example, slice(1))
    loader = as_loader(given, name, example)
    first: Inputs | None = None
    count = 0
    for x in checked_batches(loader, name, example, alike=alike):
        first = x if first is None and rows(x) else first
        count += rows(x)
    seen = example if first is None else first  # which is never None here
    return CheckedInputs(loader, count, _classes(problem, taken(seen, slice(2)), name))


def checked_batches(
    loader: Loader | Inputs, name: str, example: Inputs, *, alike: bool
) -> Generator[Inputs, None, None]:
    """Batches of inputs, each checked when it is read.

    Args:
        loader: What `as_loader` gave.
        name: What errors call it.
        example: A training input `[1, ...]`.
        alike: As in `check_inputs`.

    Raises:
        InputError: There are none, or they are not finite or not alike.
    """
    alike, whole = alike and is_space(example), are_inputs(loader, example)
    first: Inputs | None = None
    with seeded(0, "asked"), seeded_loader(loader, 0, "asked"):
        # inputs are one batch here, and cut when it is known that they can be
        for number, batch in enumerate(cast(Any, [loader] if whole else loader)):
            x = inputs_of(batch, example)
            _check_batch(x, first, name, number, alike=alike)
            if first is None and rows(x):
                first = x
                one = flattened(taken(first, slice(1)))
                if alike and one.numel() != flattened(example).numel():
                    raise InputError(
                        f"{name} got inputs of shape {_shapes(first)}, needs as many numbers as "
                        f"those of the training set, {_shapes(example)}: give the inputs prepared "
                        "as it is"
                    )
            yield from in_batches(x, example) if whole else (x,)
    if first is None:
        raise InputError(
            f"{name} is empty, needs inputs: give a tensor [inputs, ...] or a loader that gives "
            "some"
        )


def _shapes(x: Inputs) -> str:
    return ", ".join(str(tuple(shape)) for shape in shapes(x))


def as_loader(given: Any, name: str, example: Inputs) -> Loader | Inputs:
    """A loader as it is; inputs as tensors, of the training inputs' type where they are one.

    Args:
        given: Inputs, or a loader.
        name: What errors call them.
        example: A training input `[1, ...]`.

    Raises:
        InputError: They are no inputs, or the loader shuffles, augments, or can be read once only.
    """
    if isinstance(given, np.ndarray):
        if given.dtype.kind not in "fiub":
            raise InputError(
                f"{name} got an array of {given.dtype}, needs numbers: give a float array "
                "[inputs, ...]"
            )
        given = torch.from_numpy(np.ascontiguousarray(given))
    if isinstance(given, Tensor):
        if given.dim() < 1 or not len(given):
            raise InputError(
                f"{name} got a tensor of shape {tuple(given.shape)}, needs one input or more, "
                "[inputs, ...]"
            )
        return gathered(_typed, [given, example]) if isinstance(example, Tensor) else given
    if are_inputs(given, example) and not isinstance(example, Tensor):
        found = inputs_of(given, example)
        if not rows(found):
            raise InputError(f"{name} got {described(found)}, needs one input or more")
        return gathered(_typed, [found, example])
    if given is None or isinstance(given, str | bytes | dict) or not hasattr(given, "__iter__"):
        raise InputError(
            f"{name} got a {type(given).__name__}, needs inputs: give a tensor [inputs, ...] or "
            "a loader"
        )
    if hasattr(given, "__next__"):
        raise InputError(
            f"{name} got a {type(given).__name__}, which can be read once only, and each network "
            "reads it: give a tensor, a DataLoader or a list of batches"
        )
    check_order(given, example)
    loader: Loader = given
    return loader


def _typed(parts: list[Tensor]) -> Tensor:
    """Real numbers in the type of those of the training set."""
    x, like = parts
    return x.to(like.dtype) if x.is_floating_point() and like.is_floating_point() else x


def _check_batch(x: Inputs, first: Inputs | None, name: str, number: int, *, alike: bool) -> None:
    where = name if number == 0 else f"batch {number} of {name}"
    for part in tensors(x):
        _check_tensor(part, where)
    if alike and first is not None and shapes(x) != shapes(first):
        raise InputError(
            f"{where} has inputs of shape {_shapes(x)}, those before it have "
            f"{_shapes(first)}: pad them to one shape"
        )


def _check_tensor(x: Tensor, where: str) -> None:
    if x.is_meta or x.layout != torch.strided:
        raise InputError(
            f"{where} got a tensor {'without data' if x.is_meta else f'of {x.layout}'}, needs a "
            "dense one: give x.to_dense()"
        )
    if x.dim() < 1:
        raise InputError(f"{where} is a single number, needs inputs [batch, ...]: give batches")
    if (x.is_floating_point() or x.is_complex()) and not torch.isfinite(x).all():
        raise InputError(
            f"{where} has NaN or infinite inputs: clean the data, or leave these inputs out"
        )


def _classes(problem: Problem, x: Inputs, name: str) -> int:
    network = problem.build("network").eval()
    with torch.no_grad(), seeded(0, "asked"):
        try:
            outputs = outputs_of(network, {}, moved(x, problem.device), Rewind(), None, 0)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != rows(x):
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise InputError(
            f"{name}: the network's output is {got} for {rows(x)} inputs, needs [inputs, outputs]"
        )
    return problem.outputs.columns(outputs.shape[1])
