"""Checking inputs that networks will be asked about, before anything is trained: mistakes are found
in seconds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.predicting import check_order, inputs_of, outputs_of
from thalweg.seeds import Rewind, seeded, seeded_loader
from thalweg.training.batches import Loader
from thalweg.training.problem import Problem


@dataclass(frozen=True)
class CheckedInputs:
    """Inputs that can be predicted on.

    Attributes:
        inputs: As `predict` takes them; a NumPy array has become a tensor of the training inputs'
            type.
        count: How many inputs there are.
        classes: How many outputs the network has for each.
    """

    inputs: Loader | Tensor
    count: int
    classes: int


def check_inputs(problem: Problem, given: Any, name: str, *, alike: bool) -> CheckedInputs:
    """Reads inputs once and evaluates two of them on a network that nobody trained; none of it is
    metered.

    Args:
        problem: The network and the training set.
        given: Inputs `[inputs, ...]` (a tensor or a NumPy array), or a loader in fixed order.
        name: What errors call them.
        alike: Whether they must all have one shape, with as many numbers as a training input, as
            where distances are taken between them.

    Raises:
        InputError: They are no inputs, there are none, they are not finite, the network can't read
            them, they are not alike, or the loader shuffles, augments, or can be read once only.
    """
    example = problem.example[0]
    loader = _loader(given, name, example)
    check_order(loader)
    first: Tensor | None = None
    count = 0
    for number, batch in enumerate(_read(loader, name)):
        x = inputs_of(batch)
        _check_batch(x, first, name, number, alike=alike)
        if first is None and len(x):
            first = x
        count += len(x)
    if first is None:
        raise InputError(
            f"{name} is empty, needs inputs: give a tensor [inputs, ...] or a loader that gives "
            "some"
        )
    if alike and first[0].numel() != example.numel():
        raise InputError(
            f"{name} got inputs of shape {tuple(first.shape[1:])}, needs as many numbers as "
            f"those of the training set, {tuple(example.shape)}: give the inputs prepared as it "
            "is"
        )
    return CheckedInputs(loader, count, _classes(problem, first[:2], name))


def _loader(given: Any, name: str, example: Tensor) -> Loader | Tensor:
    """A loader or a tensor as it is; a tensor of an array."""
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
        return (
            given.to(example.dtype)
            if given.is_floating_point() and example.is_floating_point()
            else given
        )
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
    loader: Loader = given
    return loader


def _read(loader: Any, name: str) -> Any:
    with seeded(0, "asked"), seeded_loader(loader, 0, "asked"):
        yield from [loader] if isinstance(loader, Tensor) else loader


def _check_batch(x: Tensor, first: Tensor | None, name: str, number: int, *, alike: bool) -> None:
    where = name if number == 0 else f"batch {number} of {name}"
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
    if alike and first is not None and x.shape[1:] != first.shape[1:]:
        raise InputError(
            f"{where} has inputs of shape {tuple(x.shape[1:])}, those before it have "
            f"{tuple(first.shape[1:])}: pad them to one shape"
        )


def _classes(problem: Problem, x: Tensor, name: str) -> int:
    network = problem.build("network").eval()
    with torch.no_grad(), seeded(0, "asked"):
        try:
            outputs = outputs_of(network, {}, x.to(problem.device), Rewind(), None, 0)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(x):
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise InputError(
            f"{name}: the network's output is {got} for {len(x)} inputs, needs [inputs, outputs]"
        )
    return problem.outputs.columns(outputs.shape[1])
