"""Randomness: all of it comes from `seeded(seed, *purpose)` or from `generator(seed, *purpose)`.

A purpose is a name and not an offset, because `seed + 1` collides with the next seed, and
`derive(seed, "order")` does not.
"""

import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from numbers import Integral
from types import ModuleType
from typing import Any

import numpy as np
import torch

from thalweg.errors import InputError

EXCLUSIVE = threading.RLock()
"""The lock on the process's random states.

Several threads take turns, so each gets the numbers that it would get alone.
"""


def derive(seed: int, *purpose: str | int) -> int:
    """Returns a seed for a purpose, from 0 to 2**63 - 1: the SHA-256 of the seed and the names.

    Raises:
        InputError: The seed is not a whole number.

    Example:
        >>> derive(0, "order") == derive(0, "order"), derive(0, "order") == derive(0, "init")
        (True, False)
    """
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise InputError(f"seed got {seed!r}, needs a whole number")
    text = "/".join([str(seed), *(str(name).replace("/", "//") for name in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Seeds torch, NumPy and Python's random for a purpose, and restores their states at the end.

    The states belong to the whole process, so another thread that enters waits until this one has
    left.

    Example:
        >>> with seeded(0, "example"):
        ...     first = torch.rand(3)
        >>> with seeded(0, "example"):
        ...     again = torch.rand(3)
        >>> bool((first == again).all())
        True
    """
    number = derive(seed, *purpose)
    with EXCLUSIVE, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        state_python, state_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  users' augmentations use it
        _seed_torch(number)
        np.random.seed(number % 2**32)  # noqa: NPY002
        random.seed(number)
        try:
            yield
        finally:
            random.setstate(state_python)
            np.random.set_state(state_numpy)  # noqa: NPY002


def _seed_torch(number: int) -> None:
    """Does what `torch.manual_seed` does, for the devices that are present.

    For each device that is absent, `torch.manual_seed` queues a call with a formatted stack trace,
    which costs time and memory.
    """
    torch.default_generator.manual_seed(number)
    for device in (torch.cuda, torch.xpu, torch.mps):
        if device.is_available():
            (device.manual_seed if device is torch.mps else device.manual_seed_all)(number)


class Rewind:
    """Remembers torch's random state; a call restores it, so that the same numbers follow again."""

    def __init__(self) -> None:
        self._cpu = torch.random.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []

    def __call__(self) -> None:
        torch.random.set_rng_state(self._cpu)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)


def position() -> tuple[object, ...]:
    """Returns torch's and Python's random states.

    They have changed after some code if that code drew numbers without a generator of its own.
    """
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    states = (torch.random.get_rng_state(), *devices)
    return tuple(state.numpy().tobytes() for state in states), random.getstate()


def numpy_position() -> tuple[object, ...]:
    """Returns NumPy's random state, which takes longer to read than the others."""
    state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return state["key"].tobytes(), state["pos"]


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Returns a torch generator for a purpose; on the CPU, so that all devices draw the same."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


def parts(loader: Any) -> list[Any]:
    """Returns a loader, the loaders that it wraps, and their samplers."""
    collected = [loader]
    for part in collected:  # grows while it is read
        inner = (getattr(part, name, None) for name in ("loader", "sampler", "batch_sampler"))
        collected += [p for p in inner if p is not None and all(p is not q for q in collected)]
    return collected


@contextmanager
def seeded_loader(loader: Any, seed: int, *purpose: str | int) -> Iterator[None]:
    """Seeds a loader's own random generators for a purpose, and restores their states at the end.

    Generators of torch, NumPy and Python are looked for in the loader, in the loaders that it
    wraps, and in their samplers, data sets and transforms. A sampler whose order follows from a
    `seed` and `set_epoch`, such as `DistributedSampler`, gets a seed for the purpose. Persistent
    workers are ended first, because their random states would depend on what ran before.
    """
    number = derive(seed, *purpose)
    samplers = [
        part
        for part in parts(loader)
        if hasattr(part, "set_epoch") and isinstance(getattr(part, "seed", None), int)
    ]
    states = []
    for source in _generators(loader):
        states.append((source, _state(source)))
        _set_state(source, _new_state(source, number))
    sampler_seeds = [sampler.seed for sampler in samplers]
    for sampler in samplers:
        sampler.seed = number % 2**31
    _end_workers(loader)
    try:
        yield
    finally:
        _end_workers(loader)
        for source, state in states:
            _set_state(source, state)
        for sampler, before in zip(samplers, sampler_seeds, strict=True):
            sampler.seed = before


def set_epoch(loader: Any, number: int) -> None:
    """Tells the samplers that have a `set_epoch` the number of the next pass over the data."""
    for part in parts(loader):
        if callable(tell := getattr(part, "set_epoch", None)):
            tell(number)


def _end_workers(loader: Any) -> None:
    for part in parts(loader):
        persists = getattr(part, "persistent_workers", False)
        if persists and getattr(part, "_iterator", None) is not None:
            with suppress(AttributeError):
                part._iterator._shutdown_workers()
            part._iterator = None


_LEAVES = (
    torch.Tensor
    | np.ndarray
    | torch.nn.Module
    | str
    | bytes
    | int
    | float
    | type
    | ModuleType
    | None
)
_Generator = torch.Generator | np.random.Generator | np.random.RandomState | random.Random


def _generators(loader: Any, depth: int = 5) -> list[Any]:
    """Returns the generators that a loader reaches by attributes, list items and closures."""
    generators: list[Any] = []
    seen: set[int] = set()
    level = parts(loader)
    for _ in range(depth):
        following: list[Any] = []
        for thing in level:
            if id(thing) in seen or isinstance(thing, _LEAVES):
                continue
            seen.add(id(thing))
            if isinstance(thing, _Generator):
                generators.append(thing)
            else:
                following += _inside(thing)
        level = following
    return generators


def _inside(thing: Any) -> list[Any]:
    if isinstance(thing, list | tuple | set | frozenset):
        return list(thing)[:64]  # a data set may hold very many items: look at some of them
    if isinstance(thing, dict):
        return list(thing.values())[:64]
    inner = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    for cell in getattr(thing, "__closure__", None) or ():
        with suppress(ValueError):  # a cell that is still empty
            inner.append(cell.cell_contents)
    # what bound methods and partial functions hold
    held = [getattr(thing, name, None) for name in ("__self__", "func", "args", "keywords")]
    return inner + [part for part in held if part is not None]


def _new_state(source: Any, number: int) -> Any:
    """Returns the state that a seed gives a generator of this kind."""
    if isinstance(source, torch.Generator):
        return torch.Generator(source.device).manual_seed(number).get_state()
    if isinstance(source, np.random.Generator):
        return type(source.bit_generator)(number).state
    if isinstance(source, np.random.RandomState):
        return np.random.RandomState(number % 2**32).get_state()
    return random.Random(number).getstate()


def _state(source: Any) -> Any:
    if isinstance(source, np.random.Generator):
        return source.bit_generator.state
    return source.getstate() if isinstance(source, random.Random) else source.get_state()


def _set_state(source: Any, state: Any) -> None:
    if isinstance(source, np.random.Generator):
        source.bit_generator.state = state
    elif isinstance(source, random.Random):
        source.setstate(state)
    else:
        source.set_state(state)
