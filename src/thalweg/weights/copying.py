"""Deep copies of modules, also of those that keep a tensor with a history.

Old weight norm and pruning keep such tensors.
"""

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from thalweg.errors import InputError

Module = TypeVar("Module", bound=nn.Module)


def copied(module: Module) -> Module:
    """A deep copy of a module.

    A tensor that was computed from parameters and is kept as an attribute is copied as numbers,
    because `copy.deepcopy` refuses it. Torch's own modules that keep such a tensor compute it again
    before they use it.

    Raises:
        InputError: The module holds something that can't be copied.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        _detach(list(vars(part).values()), memo)
    try:
        return copy.deepcopy(module, memo)
    except TypeError as error:  # the module holds a lock, a generator, an open file
        raise InputError(
            f"the network can't be copied ({error}), as stacks and narrower networks need it: "
            "make what can't be copied outside of the module, or give it a __deepcopy__"
        ) from error


def _detach(value: Any, memo: dict[int, Any]) -> None:
    """Puts copies of all tensors with a history, however nested, into the memo of a deep copy."""
    if isinstance(value, Tensor):
        if not value.is_leaf:
            with torch.no_grad():
                memo[id(value)] = value.detach().clone()
    elif isinstance(value, list | tuple):
        for part in value:
            _detach(part, memo)
    elif isinstance(value, dict):
        _detach(list(value.values()), memo)
