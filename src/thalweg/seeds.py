"""Randomness: every random number of thalweg is drawn inside `seeded(seed, *purpose)` or from `generator(...)`.

A purpose is a name, not an offset: `seed + 1` collides with the next seed, `derive(seed, "order")` does not.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A new seed for a purpose, in 0 .. 2**63 - 1: SHA-256 of the seed and the names."""
    text = "/".join([str(seed), *(str(name).replace("/", "//") for name in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Seeds torch, numpy and random for a purpose; the caller's own random states come back afterwards."""
    state_python, state_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  users' augmentations use it
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        number = derive(seed, *purpose)
        _seed_torch(number)
        np.random.seed(number % 2**32)  # noqa: NPY002
        random.seed(number)
        try:
            yield
        finally:
            random.setstate(state_python)
            np.random.set_state(state_numpy)  # noqa: NPY002


def _seed_torch(number: int) -> None:
    """As `torch.manual_seed`, for devices that are there: that one queues a call (with its stack's text) for each that is not."""
    torch.default_generator.manual_seed(number)
    for device in (torch.cuda, torch.xpu, torch.mps):
        if device.is_available():
            (device.manual_seed if device is torch.mps else device.manual_seed_all)(number)


class Rewind:
    """Torch's random state when this is made; a call brings it back, so that what follows meets the same random numbers again."""

    def __init__(self) -> None:
        self._cpu = torch.random.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []

    def __call__(self) -> None:
        torch.random.set_rng_state(self._cpu)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)


def position() -> tuple[object, ...]:
    """Where torch's and Python's random states are: it has changed where something was drawn without a generator of its own."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return tuple(state.numpy().tobytes() for state in (torch.random.get_rng_state(), *devices)), random.getstate()


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
    """Seeds a DataLoader's own generators, where it or what it wraps has any, for a purpose; their states come back."""
    own = {id(g): g for g in (getattr(part, "generator", None) for part in parts(loader)) if isinstance(g, torch.Generator)}
    states = {key: g.get_state() for key, g in own.items()}
    for g in own.values():
        g.manual_seed(derive(seed, *purpose))
    try:
        yield
    finally:
        for key, g in own.items():
            g.set_state(states[key])
