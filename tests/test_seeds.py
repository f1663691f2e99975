"""Seeds: purposes do not collide, and the caller's states come back."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

import contract
from thalweg.seeds import Rewind, _seed_torch, derive, generator, seeded, seeded_loader
from thalweg.training.batches import map_batches


def numbers() -> tuple:
    return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002


def test_derived_seeds_are_fixed_and_do_not_collide():
    assert derive(0, "order") == 5231958647509549229
    found = {
        derive(seed, name, k) for seed in range(20) for name in ("init", "order") for k in range(50)
    }
    assert len(found) == 20 * 2 * 50 and all(0 <= s < 2**63 for s in found)


def test_names_do_not_run_into_each_other():
    assert derive(0, "a/b") != derive(0, "a", "b")


def test_the_same_purpose_gives_the_same_numbers():
    with seeded(1, "a"):
        first = numbers()
    with seeded(1, "a"):
        second = numbers()
    with seeded(1, "b"):
        third = numbers()
    assert first == second and not set(first) & set(third)


def test_the_callers_states_come_back():
    before = contract.states()
    with seeded(1, "a"):
        numbers()
        with seeded(2):
            numbers()
    contract.assert_states(before)
    with pytest.raises(RuntimeError), seeded(1, "a"):
        numbers()
        raise RuntimeError
    contract.assert_states(before)


def test_generators():
    assert torch.equal(
        torch.rand(3, generator=generator(0, "a")), torch.rand(3, generator=generator(0, "a"))
    )
    assert not torch.equal(
        torch.rand(3, generator=generator(0, "a")), torch.rand(3, generator=generator(0, "b"))
    )


DATA = TensorDataset(torch.arange(40))


def own() -> torch.Generator:
    return torch.Generator().manual_seed(3)


LOADERS = {
    "loader": lambda: DataLoader(DATA, 8, shuffle=True, generator=own()),
    "sampler": lambda: DataLoader(DATA, 8, sampler=RandomSampler(DATA, generator=own())),
    "batch sampler": lambda: DataLoader(
        DATA,
        batch_sampler=torch.utils.data.BatchSampler(RandomSampler(DATA, generator=own()), 8, False),
    ),
    "pairs": lambda: map_batches(
        DataLoader(DATA, 8, shuffle=True, generator=own()), lambda b: (b[0], b[0])
    ),
    "pairs of pairs": lambda: map_batches(
        map_batches(DataLoader(DATA, 8, shuffle=True, generator=own()), lambda b: (b[0], b[0])),
        lambda b: b,
    ),
}


def order(loader) -> list[int]:
    return torch.cat([batch[0] for batch in loader]).tolist()


@pytest.mark.parametrize("kind", LOADERS)
def test_a_loaders_own_generators_are_seeded_and_come_back(kind):
    loader, twin = LOADERS[kind](), LOADERS[kind]()
    with seeded_loader(loader, 1, "a"):
        first = order(loader)
    with seeded_loader(loader, 1, "a"):
        assert order(loader) == first
    with seeded_loader(loader, 2, "a"):
        assert order(loader) != first
    assert order(loader) == order(twin)


def test_torch_is_seeded_as_by_torch():
    before = torch.get_rng_state()
    try:
        for number in (0, 1, derive(3, "a"), 2**63 - 1):
            _seed_torch(number)
            state, drawn = torch.get_rng_state(), torch.randn(5)
            torch.manual_seed(number)
            assert torch.equal(torch.get_rng_state(), state) and torch.equal(torch.randn(5), drawn)
            assert torch.initial_seed() == number
    finally:
        torch.set_rng_state(before)


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.xpu.is_available(),
    reason="needs a machine without accelerators",
)
def test_devices_that_are_not_there_cost_nothing(monkeypatch):
    """`torch.manual_seed` keeps a call for each kind of device that is not there, and writes down
    the whole stack for it.
    """
    queued, written = len(torch.cuda._queued_calls), []
    monkeypatch.setattr("traceback.format_stack", lambda *_, **__: written.append(1) or [])
    for k in range(20):
        with seeded(k, "a"):
            torch.rand(1)
    assert not written and len(torch.cuda._queued_calls) == queued


def test_rewinding():
    with seeded(0, "a"):
        torch.rand(3)
        rewind = Rewind()
        first = torch.rand(3)
        for _ in range(2):
            rewind()
            assert torch.equal(torch.rand(3), first)
        assert not torch.equal(torch.rand(3), first)
