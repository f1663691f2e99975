"""The identity of a user's function: a short text that changes when its code, or anything that it
holds, does.
"""

import functools
import hashlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_DEEPEST = 40
_PLAIN = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    type(...),
    torch.dtype,
    torch.device,
    np.generic,
)
_CONTAINERS = (list, tuple, set, frozenset, dict)
_LIBRARIES = {"torch", "numpy", "thalweg", *sys.stdlib_module_names}
_CODE = (types.FunctionType, staticmethod, classmethod, property)
_OF_MODULES = vars(nn.Module()).keys()  # what torch keeps in each


class Unknown(Exception):
    """Something is held that has no text of its own."""


def identity_of(thing: Any) -> str | None:
    """SHA-256 of a function, module or object: its code, settings, tensors, and what its closures
    hold.

    Returns:
        None where it holds something that can't be told from another of its kind (an open file,
        say).
    """
    digest = hashlib.sha256()
    try:
        _add(digest, thing, 0, {})
    except Exception:  # a user's objects may raise anything
        return None
    return digest.hexdigest()


def _add(digest: Any, thing: Any, depth: int, met: dict[int, Any]) -> None:
    if depth > _DEEPEST:
        raise Unknown
    if id(thing) in met:  # what refers to itself, or is used again
        digest.update(f"<{list(met).index(id(thing))}>".encode())
        return
    if not isinstance(
        thing, (*_PLAIN, *_CONTAINERS)
    ):  # equal numbers and lists may be one or several
        met[id(thing)] = thing
    digest.update(f"<{type(thing).__module__}.{type(thing).__qualname__}".encode())
    for part in _parts(digest, thing):
        _add(digest, part, depth + 1, met)
    digest.update(b">")


def _parts(digest: Any, thing: Any) -> list[Any]:
    """Adds what is plain in a thing, and gives what is in it beside."""
    if isinstance(thing, _PLAIN):
        digest.update(repr(thing).encode())
        return []
    if isinstance(thing, Tensor | np.ndarray):
        digest.update(f"{thing.dtype}{tuple(thing.shape)}".encode() + _bytes(thing))
        return []
    return _of_container(thing) if type(thing) in _CONTAINERS else _of_code(digest, thing)


def _bytes(thing: Tensor | np.ndarray) -> bytes:
    if isinstance(thing, Tensor):
        thing = thing.detach().cpu().to_dense().contiguous().reshape(-1).view(torch.uint8).numpy()
    if thing.dtype.hasobject:
        raise Unknown
    return thing.tobytes()


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
    if isinstance(thing, types.MethodType | staticmethod | classmethod):
        return [thing.__func__, getattr(thing, "__self__", None)]
    if isinstance(thing, property):
        return [thing.fget]
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, type | types.ModuleType | types.BuiltinFunctionType):
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
    names = _names(function.__code__)
    used = {name: function.__globals__[name] for name in names if name in function.__globals__}
    # of modules of the user's, what is named here too
    modules = [
        part
        for part in [*cells, *(used[name] for name in sorted(used))]
        if isinstance(part, types.ModuleType)
    ]
    inner = [
        {name: vars(module)[name] for name in sorted(names) if name in vars(module)}
        for module in modules
        if not _is_library(module.__name__)
    ]
    return [function.__code__, function.__defaults__, function.__kwdefaults__, cells, used, inner]


def _names(code: types.CodeType) -> set[str]:
    """All global names that code uses, in inner functions too."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _of_name(digest: Any, thing: Any) -> list[Any]:
    """A class or function by its name and, where it is a user's class, by its methods and
    attributes.
    """
    module, name = (
        getattr(thing, "__module__", "") or "",
        getattr(thing, "__qualname__", getattr(thing, "__name__", "")),
    )
    if not name:
        raise Unknown
    digest.update(f"{module}.{name}".encode())
    if not isinstance(thing, type) or _is_library(module):
        return []
    attributes = {
        key: value
        for key, value in vars(thing).items()
        if isinstance(value, _CODE) or not key.startswith(("__", "_abc_"))
    }
    return [attributes, list(thing.__bases__)]


def _of_object(thing: Any) -> list[Any]:
    if isinstance(thing, nn.Module) and not isinstance(thing, torch.jit.ScriptModule):
        settings = {key: value for key, value in vars(thing).items() if key not in _OF_MODULES}
        hooks = [list(h.values()) for h in (thing._forward_pre_hooks, thing._forward_hooks)]
        return [
            type(thing),
            settings,
            dict(thing._parameters),
            dict(thing._buffers),
            dict(thing._modules),
            hooks,
        ]
    reduced = thing.__reduce_ex__(2)  # all that pickle would keep; raises where there is more
    held = (
        [reduced]
        if isinstance(reduced, str)
        else [list(part) if isinstance(part, Iterator) else part for part in reduced]
    )
    return [type(thing), *held, getattr(thing, "__wrapped__", None)]


def _is_library(module: str | None) -> bool:
    return (module or "").split(".")[0] in _LIBRARIES
