"""What a user's function does, as a short text that changes when it does: by its code and all that it holds."""

import functools
import hashlib
import types
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_DEEPEST = 12
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), torch.dtype, torch.device, np.generic)


class Unknown(Exception):
    """Something is held that has no text of its own."""


def identity_of(thing: Any) -> str | None:
    """SHA-256 of a function, module or object: its code, settings, tensors, and what its closures hold.

    Returns:
        None where it holds something that can't be told from another of its kind (an open file, say).
    """
    digest = hashlib.sha256()
    try:
        _add(digest, thing, 0, [])
    except Unknown:
        return None
    return digest.hexdigest()


def _add(digest: Any, thing: Any, depth: int, above: list[int]) -> None:
    if depth > _DEEPEST:
        raise Unknown
    if id(thing) in above:  # a function that refers to itself
        return
    digest.update(f"<{type(thing).__module__}.{type(thing).__qualname__}".encode())
    for part in _parts(digest, thing):
        _add(digest, part, depth + 1, [*above, id(thing)])
    digest.update(b">")


def _parts(digest: Any, thing: Any) -> list[Any]:
    """Adds what is plain in a thing, and gives what is in it beside."""
    if isinstance(thing, _PLAIN):
        digest.update(repr(thing).encode())
        return []
    if isinstance(thing, Tensor | np.ndarray):
        values = thing.detach().cpu().contiguous() if isinstance(thing, Tensor) else torch.from_numpy(np.ascontiguousarray(thing))
        digest.update(f"{values.dtype}{tuple(values.shape)}".encode() + values.reshape(-1).view(torch.uint8).numpy().tobytes())
        return []
    return _of_container(thing) if isinstance(thing, list | tuple | set | frozenset | dict) else _of_code(digest, thing)


def _of_container(thing: Any) -> list[Any]:
    if isinstance(thing, list | tuple):
        return list(thing)
    if isinstance(thing, dict):
        return [part for key in sorted(thing, key=repr) for part in (key, thing[key])]
    return sorted(thing, key=repr)


def _of_code(digest: Any, thing: Any) -> list[Any]:
    """Functions in all their forms, classes, and objects."""
    if isinstance(thing, types.CodeType):
        names = (thing.co_names, thing.co_varnames[: thing.co_argcount])
        digest.update(thing.co_code + repr(names).encode())
        return list(thing.co_consts)
    if isinstance(thing, types.FunctionType):
        return _of_function(digest, thing)
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, type | types.ModuleType | types.BuiltinFunctionType | type(torch.add)):
        return _of_name(digest, thing)
    return _of_object(thing)


def _of_function(digest: Any, function: types.FunctionType) -> list[Any]:
    if _is_library(function.__module__):
        return _of_name(digest, function)
    digest.update(function.__qualname__.encode())
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # still empty
            cells.append(None)
    used = {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
    return [function.__code__, function.__defaults__, function.__kwdefaults__, cells, used]


def _names(code: types.CodeType) -> set[str]:
    """All global names that code uses, in inner functions too."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _of_name(digest: Any, thing: Any) -> list[Any]:
    """A class or function by its name and, where it is a user's, by the code of its methods."""
    module, name = getattr(thing, "__module__", "") or "", getattr(thing, "__qualname__", getattr(thing, "__name__", ""))
    if not name:
        raise Unknown
    digest.update(f"{module}.{name}".encode())
    if not isinstance(thing, type) or _is_library(module):
        return []
    methods = {key: value for key, value in vars(thing).items() if isinstance(value, types.FunctionType)}
    return [{key: value.__code__ for key, value in methods.items()}, list(thing.__bases__)]


def _of_object(thing: Any) -> list[Any]:
    if isinstance(thing, nn.Module):
        own = {key: value for key, value in vars(thing).items() if not key.startswith("_") and key != "training"}
        return [type(thing), own, dict(thing._parameters), dict(thing._buffers), dict(thing._modules)]
    if not hasattr(thing, "__dict__"):
        raise Unknown
    return [type(thing), vars(thing)]


def _is_library(module: str | None) -> bool:
    return (module or "").split(".")[0] in ("torch", "numpy", "builtins", "math", "functools", "thalweg")
