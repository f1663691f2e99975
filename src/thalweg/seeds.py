"""Randomness: every random number of thalweg is drawn inside `seeded(seed, *purpose)` or from
`generator(...)`.

A purpose is a name, not an offset: `seed + 1` collides with the next seed, `derive(seed, "order")`
does not.
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
"""Held by whatever uses the process's random states: several threads take turns, and get the
numbers of one after the other.
"""


def derive(seed: int, *purpose: str | int) -> int:
    """A new seed for a purpose, in 0 .. 2**63 - 1: SHA-256 of the seed and the names.

    Raises:
        InputError: The seed is no whole number.
    """
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise InputError(f"seed got {seed!r}, needs a whole number")
    text = "/".join([str(seed), *(str(name).replace("/", "//") for name in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Seeds torch, numpy and random for a purpose; the caller's own random states come back
    afterwards.

    These states are the whole process's: another thread that comes here waits until this one has
    left.
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
    """As `torch.manual_seed`, for devices that are there: that one queues a call (with its stack's
    text) for each that is not.
    """
    torch.default_generator.manual_seed(number)
    for device in (torch.cuda, torch.xpu, torch.mps):
        if device.is_available():
            (device.manual_seed if device is torch.mps else device.manual_seed_all)(number)


class Rewind:
    """Torch's random state when this is made; a call brings it back, so that what follows meets the
    same random numbers again.
    """

    def __init__(self) -> None:
        self._cpu = torch.random.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []

    def __call__(self) -> None:
        torch.random.set_rng_state(self._cpu)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)


def position() -> tuple[object, ...]:
    """Where torch's and Python's random states are: it has changed where something was drawn
    without a generator of its own.
    """
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return tuple(
        state.numpy().tobytes() for state in (torch.random.get_rng_state(), *devices)
    ), random.getstate()


def numpy_position() -> tuple[object, ...]:
    """The same of NumPy's, which takes longer to ask."""
    state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return state["key"].tobytes(), state["pos"]


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A torch generator (on the CPU, so that every device draws the same numbers) for a purpose."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


def parts(loader: Any) -> list[Any]:
    """A loader, the loaders that it wraps, and their samplers."""
    found = [loader]
    for part in found:  # grows while it is read
        inner = (getattr(part, name, None) for name in ("loader", "sampler", "batch_sampler"))
        found += [p for p in inner if p is not None and all(p is not known for known in found)]
    return found


@contextmanager
def seeded_loader(loader: Any, seed: int, *purpose: str | int) -> Iterator[None]:
    """Seeds the generators that a loader has of its own for a purpose; their states come back.

    They are looked for in the loader, what it wraps, samplers, data sets and transforms: torch's,
    NumPy's and Python's. A sampler whose order follows from a `seed` and `set_epoch`, such as
    `DistributedSampler`, gets a seed for the purpose. Workers that persist are ended first: their
    random states would hold what ran before.
    """
    number = derive(seed, *purpose)
    held: list[tuple[Any, Any]] = []
    numbered = [
        part
        for part in parts(loader)
        if hasattr(part, "set_epoch") and isinstance(getattr(part, "seed", None), int)
    ]
    for own in _generators(loader):
        held.append((own, _state(own)))
        _set_state(own, _new_state(own, number))
    seeds = [part.seed for part in numbered]
    for part in numbered:
        part.seed = number % 2**31
    _end_workers(loader)
    try:
        yield
    finally:
        _end_workers(loader)
        for own, state in held:
            _set_state(own, state)
        for part, before in zip(numbered, seeds, strict=True):
            part.seed = before


def set_epoch(loader: Any, number: int) -> None:
    """Tells the samplers that ask for it which pass over the data comes next."""
    for part in parts(loader):
        if callable(tell := getattr(part, "set_epoch", None)):
            tell(number)


def _end_workers(loader: Any) -> None:
    for part in parts(loader):
        if (
            getattr(part, "persistent_workers", False)
            and getattr(part, "_iterator", None) is not None
        ):
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
    """All generators that are reached from a loader by the attributes of objects, list items and
    closures.
    """
    found: list[Any] = []
    seen: set[int] = set()
    level = parts(loader)
    for _ in range(depth):
        following: list[Any] = []
        for thing in level:
            if id(thing) in seen or isinstance(thing, _LEAVES):
                continue
            seen.add(id(thing))
            if isinstance(thing, _Generator):
                found.append(thing)
            else:
                following += _inside(thing)
        level = following
    return found


def _inside(thing: Any) -> list[Any]:
    if isinstance(thing, list | tuple | set | frozenset):
        return list(thing)[:64]  # of data set's items, a look at some
    if isinstance(thing, dict):
        return list(thing.values())[:64]
    inner = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    for cell in getattr(thing, "__closure__", None) or ():
        with suppress(ValueError):  # a cell that is still empty
            inner.append(cell.cell_contents)
    own = [
        getattr(thing, name, None) for name in ("__self__", "func", "args", "keywords")
    ]  # of bound methods and partials
    return inner + [part for part in own if part is not None]


def _new_state(own: Any, number: int) -> Any:
    """The state that a seed gives a generator of this kind."""
    if isinstance(own, torch.Generator):
        return torch.Generator(own.device).manual_seed(number).get_state()
    if isinstance(own, np.random.Generator):
        return type(own.bit_generator)(number).state
    if isinstance(own, np.random.RandomState):
        return np.random.RandomState(number % 2**32).get_state()
    return random.Random(number).getstate()


def _state(own: Any) -> Any:
    if isinstance(own, np.random.Generator):
        return own.bit_generator.state
    return own.getstate() if isinstance(own, random.Random) else own.get_state()


def _set_state(own: Any, state: Any) -> None:
    if isinstance(own, np.random.Generator):
        own.bit_generator.state = state
    elif isinstance(own, random.Random):
        own.setstate(state)
    else:
        own.set_state(state)
