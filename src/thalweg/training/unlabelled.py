"""Inputs without labels: what of a batch they are, and some of them for methods to calibrate
themselves on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from thalweg.errors import InputError
from thalweg.training.batches import LABELS, Loader, end_with_us
from thalweg.training.padding import joined
from thalweg.training.parts import first_batches, fixed_part
from thalweg.trees import Inputs, as_inputs, as_tensor, check_form, form, taken


def are_inputs(given: Any, like: Inputs | None) -> bool:
    """Whether something is inputs, and no loader of them.

    Args:
        given: What the user gave.
        like: Inputs of the training set: a tuple of tensors is inputs where these are a tuple, or
            are not known, and else a sequence of batches.
    """
    if isinstance(given, Tensor | np.ndarray | Mapping):
        return True
    return isinstance(given, tuple) and _are_parts(given, like)


def inputs_of(batch: Any, like: Inputs | None) -> Inputs:
    """The inputs of a batch: inputs, or the first of a pair; of a dictionary all but the labels.

    Args:
        batch: What a loader gave.
        like: Inputs of the training set, whose parts the batch must have; None where they are not
            known.

    Raises:
        InputError: There are none, or they have other parts.
    """
    x = batch
    if isinstance(batch, list | tuple) and batch:
        x = tuple(batch) if isinstance(like, tuple) and _are_parts(batch, like) else batch[0]
        x = tuple(x) if isinstance(x, list) and _are_parts(x, like) else x
    return _checked(x, like)


def as_unlabelled(given: Any) -> Any:
    """Unlabelled inputs as they are read: an array of NumPy's is made a tensor, and the processes
    of a loader end with this one.
    """
    if isinstance(given, np.ndarray):
        return as_tensor(given, "unlabelled")
    end_with_us(given)
    return given


def unlabelled_inputs(
    train: Loader, unlabelled: Inputs | Loader | None, limit: int, like: Inputs | None
) -> Inputs:
    """Up to so many inputs `[inputs, ...]` without labels, those of the training set if None.

    Args:
        train: The training set.
        unlabelled: The inputs without labels.
        limit: How many.
        like: Inputs of the training set.
    """
    if are_inputs(unlabelled, like):
        return taken(_checked(unlabelled, like), slice(limit))
    batches = fixed_part(train, limit) if unlabelled is None else first_batches(unlabelled, limit)
    if like is None and unlabelled is not None:
        batches = list(batches)
        _check_pairs(batches)
    return taken(joined([inputs_of(batch, like) for batch in batches]), slice(limit))


def _check_pairs(batches: Sequence[Any]) -> None:
    """Where nobody has seen a training batch, (a, b) may be two inputs, or inputs and targets."""
    first = batches[0] if batches else None
    if not isinstance(first, tuple | list) or len(first) < 2:
        return
    second = first[1]
    labels = isinstance(second, Tensor) and second.dim() == 1 and not second.is_floating_point()
    if len(first) > 2 or not labels:
        raise InputError(
            f"unlabelled gives batches of {len(first)} parts, and without train_loader= nobody "
            "knows which of them are inputs: give tensors, unlabelled=x, or unlabelled=(a, b) of a "
            "network with several inputs, or a loader of inputs alone"
        )


def _checked(x: Any, like: Inputs | None) -> Inputs:
    name = "a batch to predict on"
    if isinstance(x, Mapping) and isinstance(like, Tensor | tuple):
        raise InputError(
            f"{name} is a dictionary with keys {sorted(map(str, x))}, needs inputs or a pair "
            "(inputs, ...): wrap the loader, thalweg.map_batches(loader, lambda batch: "
            "(batch['...'], batch['...']))"
        )
    if not are_inputs(x, like):
        raise InputError(
            f"{name} is a {type(x).__name__}, needs a tensor or a pair whose first is one"
        )
    if isinstance(x, Mapping):
        x = {key: part for key, part in x.items() if key != LABELS}
    found = as_inputs(x, name)
    if like is not None:
        check_form(found, form(like), name)
    return found


def _are_parts(given: Any, like: Inputs | None) -> bool:
    known = like is None or isinstance(like, tuple)
    return known and all(isinstance(part, Tensor | np.ndarray) for part in given)
