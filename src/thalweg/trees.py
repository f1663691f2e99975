"""Inputs of any shape: one tensor, several that a network gets one after the other (a tuple), or
several that it gets by name (a dictionary).

Each of these tensors has a row for every example. Whatever is done to inputs elsewhere (count
examples, take some, move, join) is done by the functions here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.errors import InputError

Inputs = Tensor | tuple[Tensor, ...] | dict[str, Tensor]
Form = int | tuple[str, ...] | None
"""How many tensors a tuple has, the names of those of a dictionary by the alphabet, or None for one
tensor.
"""


def as_inputs(given: Any, name: str) -> Inputs:
    """Returns what a user gave as inputs: tensors, or arrays of NumPy, alone, in a tuple or by
    name.

    Args:
        given: What the user gave. A list is one tensor.
        name: How an error calls it.

    Raises:
        InputError: It holds something else than numbers, a part has no axis, or the parts have not
            equally many rows.

    Example:
        >>> x = as_inputs({"ids": np.zeros((5, 7), int), "mask": torch.ones(5, 7)}, "inputs")
        >>> described(x)
        "'ids' (5, 7) and torch.int64, 'mask' (5, 7) and torch.float32"
        >>> rows(x), rows(taken(x, slice(2)))
        (5, 2)
    """
    if isinstance(given, Mapping):
        found: Inputs = {
            str(key): as_tensor(part, f"{name}['{key}']") for key, part in given.items()
        }
    elif isinstance(given, tuple) and given and all(isinstance(p, _ARRAYS) for p in given):
        found = tuple(as_tensor(part, f"{name}[{k}]") for k, part in enumerate(given))
    else:
        return as_tensor(given, name)
    check_rows(found, name)
    right = type(given) is type(found)
    right &= not isinstance(found, dict) or given.keys() == found.keys()  # texts, all of them
    return given if right and _same_parts(given, found) else found  # the same object


def as_tensor(given: Any, name: str) -> Tensor:
    """A tensor as it is; a NumPy array or list of numbers as one.

    Args:
        given: What the user gave.
        name: How an error calls it.

    Raises:
        InputError: It holds something else than numbers.
    """
    if isinstance(given, Tensor):
        return given.detach() if given.requires_grad else given
    try:
        array = np.ascontiguousarray(given)  # torch knows no negative strides
        if array.dtype.byteorder == ">":
            array = array.astype(array.dtype.newbyteorder("="))
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} got a {type(given).__name__}, needs a tensor or an array of numbers "
            f"({' '.join(str(error).split())[:80]})"
        ) from None


def check_rows(x: Inputs, name: str) -> None:
    """Checks that several tensors have equally many rows.

    Raises:
        InputError: They have not, one of them is a single number, or there is none.
    """
    parts = tensors(x)
    if not parts or any(not part.dim() for part in parts) or len({len(p) for p in parts}) > 1:
        raise InputError(
            f"{name} has the parts {described(x) or 'none'}, needs one or more tensors "
            "[examples, ...] with equally many rows"
        )


def check_form(x: Inputs, needed: Form, name: str) -> None:
    """Checks that inputs have the parts that those of the training set have.

    Raises:
        InputError: A part is missing, or there is another one.
    """
    if (given := form(x)) != needed:
        raise InputError(
            f"{name} got {_told(given)}, needs {_told(needed)}, as the training inputs are"
        )


def form(x: Inputs) -> Form:
    """Returns what parts inputs have."""
    if isinstance(x, Tensor):
        return None
    return tuple(sorted(x)) if isinstance(x, Mapping) else len(x)


def tensors(x: Inputs) -> list[Tensor]:
    """The tensors of inputs; those of a dictionary by the alphabet."""
    if isinstance(x, Tensor):
        return [x]
    return [x[key] for key in sorted(x)] if isinstance(x, Mapping) else list(x)


def mapped(function: Callable[[Tensor], Tensor], x: Inputs) -> Inputs:
    """Inputs with a function of each tensor in its place; a list becomes a tuple."""
    if isinstance(x, Tensor):
        return function(x)
    if isinstance(x, Mapping):
        return {key: function(part) for key, part in x.items()}
    return tuple(function(part) for part in x)


def rows(x: Inputs) -> int:
    """The number of examples."""
    return len(x if isinstance(x, Tensor) else tensors(x)[0])


def taken(x: Inputs, index: Any) -> Inputs:
    """Some examples: a slice, or an index `[chosen]`."""
    return mapped(lambda part: part[index], x)


def split(x: Inputs, size: int) -> list[Inputs]:
    """Inputs in parts of so many examples; the last one may have fewer."""
    if isinstance(x, Tensor):
        return list(x.split(size))
    return [taken(x, slice(i, i + size)) for i in range(0, rows(x), size)]


def moved(x: Inputs, device: str | torch.device) -> Inputs:
    """Inputs on a device."""
    there = mapped(lambda part: part.to(device), x)
    return x if _same_parts(x, there) else there


def equal(one: Inputs, other: Inputs) -> bool:
    """Whether inputs are the same numbers of the same types."""
    return form(one) == form(other) and all(
        a.dtype == b.dtype and torch.equal(a, b)
        for a, b in zip(tensors(one), tensors(other), strict=True)
    )


def shapes(x: Inputs) -> tuple[torch.Size, ...]:
    """The shape of an example of each tensor."""
    return tuple(part.shape[1:] for part in tensors(x))


def described(x: Inputs) -> str:
    """The parts' names, shapes and types, for an error."""
    if isinstance(x, Tensor):
        return f"{tuple(x.shape)} and {x.dtype}"
    names = [f"'{key}' " for key in sorted(x)] if isinstance(x, Mapping) else [""] * len(x)
    parts = zip(names, tensors(x), strict=True)
    return ", ".join(f"{name}{tuple(part.shape)} and {part.dtype}" for name, part in parts)


def is_space(x: Inputs) -> bool:
    """Whether distances between inputs mean something: all of them are real numbers, and no names
    or places, as whole numbers are.
    """
    return all(part.is_floating_point() for part in tensors(x))


def flattened(x: Inputs) -> Tensor:
    """All numbers of each example, one tensor after the other `[examples, numbers]`."""
    parts = [part.reshape(len(part), -1) for part in tensors(x)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def gathered(function: Callable[[list[Tensor]], Tensor], batches: Sequence[Inputs]) -> Inputs:
    """Batches of inputs as one, by a function of the tensors of one part of all batches."""
    parts = [function(list(part)) for part in zip(*map(tensors, batches), strict=True)]
    first = batches[0]
    if isinstance(first, Mapping):
        return dict(zip(sorted(first), parts, strict=True))
    return parts[0] if isinstance(first, Tensor) else tuple(parts)


def _told(form: Form) -> str:
    if form is None:
        return "one tensor"
    if isinstance(form, int):
        return f"a tuple of {form} tensors"
    return f"a dictionary of tensors named {', '.join(form)}"


def _same_parts(one: Inputs, other: Inputs) -> bool:
    return all(a is b for a, b in zip(tensors(one), tensors(other), strict=True))


_ARRAYS = (Tensor, np.ndarray)
