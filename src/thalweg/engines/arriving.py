"""What an engine sends to its workers, once to each of them, and what they do with it.

An engine is an executor on other machines. It brings a `Call` to each of its worker processes by
the engine's own means, and items to `do`.
"""

import builtins
import gc
import itertools
import os
import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from thalweg.engines.versions import compare, found
from thalweg.errors import InputError
from thalweg.meter import highest_memory, now
from thalweg.processes.sending import Flat, flatten, restore
from thalweg.processes.surroundings import Surroundings
from thalweg.processes.worker import answer, opened

_numbers = itertools.count()
_leaving: list[bool] = []  # filled when the engine ends what this process is working on
# the last call that arrived in this process: its key, its function and what is shared
_arrived: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {}


@dataclass(frozen=True)
class Call:
    """A call of `Executor.map`, as it is sent.

    Attributes:
        key: Its name, which no other call has.
        work: The function and what is shared.
        surroundings: The caller's state that workers take over.
        versions: The versions on the caller's machine.
    """

    key: str
    work: Flat
    surroundings: Surroundings
    versions: dict[str, str]


@dataclass(frozen=True)
class Done:
    """What a worker gives back.

    Attributes:
        packed: The result, or the error.
        warned: Warnings, each as its message, the name of its category or of the nearest that
            Python itself has, its file and its line.
        seconds: The item's wall-clock time, without the worker's start.
        memory: The largest main memory of the worker so far, in bytes.
    """

    packed: bytes
    warned: tuple[tuple[str, str, str, int], ...]
    seconds: float
    memory: int

    def result(self) -> Any:
        """Returns the result; warnings are repeated here.

        Raises:
            Exception: What the function raised, as it was.
        """
        for message, category, file, line in self.warned:
            warnings.warn_explicit(message, getattr(builtins, category), file, line)
        _, result, error = opened(self.packed)
        if error is not None:
            raise error
        return result


def call(function: Callable[[Any, Any], Any], shared: Any) -> Call:
    """Packs a call.

    Raises:
        InputError: Something can't be sent.
    """
    return Call(
        f"{platform.node()} {os.getpid()} {next(_numbers)} {now()}",
        sendable((function, shared)),
        Surroundings.here(),
        _versions(),
    )


def sendable(value: Any) -> Flat:
    """Packs a value.

    Raises:
        InputError: It can't be sent.
    """
    try:
        return flatten(value)
    except Exception as error:  # the user's objects may raise anything
        reason = " ".join(str(error).split())[-200:]
        raise InputError(
            f"the problem can't be sent to other machines ({type(error).__name__}: {reason}): "
            "leave the engine out, or make what can't be sent inside the function that builds it"
        ) from error


def do(key: str, fetch: Callable[[], Call], item: Flat) -> Done:
    """Does an item, in a worker.

    Args:
        key: The key of the call that it belongs to.
        fetch: Returns that call; it is asked for only where this process does not have it yet.
        item: The packed item.
    """
    threads, begin = torch.get_num_threads(), now()
    torch.set_num_threads(1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            function, shared = _arrive(key, fetch)
            begin = now()
            packed = answer(0, function(shared, restore(item)))
        except BaseException as error:  # nothing that a user's code raises ends the worker
            if _leaving:
                raise
            packed = answer(0, None, error)
        finally:
            torch.set_num_threads(threads)
    warned = tuple(
        (str(w.message), _named(w.category), w.filename, w.lineno)
        for w in caught
        if not issubclass(w.category, ResourceWarning)
    )
    return Done(packed, warned, now() - begin, highest_memory())


def leave() -> None:
    """Lets what the engine raises through `do`, to end the item that is being done."""
    _leaving.append(True)


def _arrive(key: str, fetch: Callable[[], Call]) -> tuple[Callable[[Any, Any], Any], Any]:
    if key not in _arrived:
        _arrived.clear()
        sent = fetch()
        compare(sent.versions, _versions(), f"the worker on {platform.node()}")
        sent.surroundings.visit()
        _arrived[key] = restore(sent.work)
        gc.collect()
    return _arrived[key]


def _named(category: type[Warning]) -> str:
    """The name of a category that every machine has: the category's own or its nearest parent's."""
    builtin = (kind for kind in category.__mro__ if kind.__module__ == "builtins")
    return next(builtin, Warning).__name__


@cache
def _versions() -> dict[str, str]:
    return found()
