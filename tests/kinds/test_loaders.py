"""Randomness that is not drawn anew, or not seeded by thalweg: a seed reaches it, or a warning
names it.
"""

import random
import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler, TensorDataset

import thalweg
from small import X, Y, linear, problem, same
from thalweg.errors import InputError

RECIPE = thalweg.Recipe(epochs=3)


class Noisy(Dataset):
    """Adds noise from a generator of its own."""

    def __init__(self, rng):
        self.rng = rng

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        if isinstance(self.rng, torch.Generator):
            noise = torch.randn(6, generator=self.rng)
        elif isinstance(self.rng, random.Random):
            noise = torch.tensor([self.rng.gauss(0, 1) for _ in range(6)])
        else:
            noise = torch.from_numpy(self.rng.normal(size=6)).float()
        return X[i] + noise, Y[i]


class Own(Sampler):
    """Shuffles by a generator of its own, made once."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return len(X)

    def __iter__(self):
        return iter(self.rng.permutation(len(X)).tolist())


class Wrapped:
    """A loader around a loader, with noise in a closure."""

    def __init__(self):
        rng = np.random.RandomState(0)
        self.loader = DataLoader(TensorDataset(X, Y), 50, shuffle=True)
        self.change = lambda x: x + torch.from_numpy(rng.randn(*x.shape)).float()

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        return ((self.change(x), y) for x, y in self.loader)


def data(workers: int = 0, **settings) -> DataLoader:
    return DataLoader(TensorDataset(X, Y), 50, num_workers=workers, **settings)


REDRAWN = {
    "a data set with torch's generator": lambda: DataLoader(
        Noisy(torch.Generator().manual_seed(0)), 50, shuffle=True
    ),
    "a data set with NumPy's": lambda: DataLoader(
        Noisy(np.random.default_rng(0)), 50, shuffle=True
    ),
    "a data set with NumPy's old one": lambda: DataLoader(
        Noisy(np.random.RandomState(0)), 50, shuffle=True
    ),
    "a data set with Python's": lambda: DataLoader(Noisy(random.Random(0)), 50, shuffle=True),
    "a sampler with NumPy's": lambda: data(sampler=Own()),
    "a distributed sampler": lambda: data(sampler=DistributedSampler(TensorDataset(X, Y), 1, 0)),
    "a closure in what wraps a loader": Wrapped,
    "persistent workers": lambda: data(1, shuffle=True, persistent_workers=True),
}


@pytest.mark.parametrize("kind", REDRAWN)
def test_anchors_do_not_depend_on_what_ran_before(kind):
    """And every training, and every epoch, has an order and noise of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = REDRAWN[kind]()
        first = problem(
            train_loader=loader, recipe=RECIPE, sources=("order", "augmentation"), seed=1
        )
        one, other = first.anchor(0), first.anchor(1)
        again = problem(
            train_loader=loader, recipe=RECIPE, sources=("order", "augmentation"), seed=1
        )
        assert same(again.anchor(1), other) and same(again.anchor(0), one)
    assert not same(one, other)


def test_a_distributed_sampler_has_another_order_in_each_epoch():
    loader = REDRAWN["a distributed sampler"]()
    found = problem(train_loader=loader, recipe=RECIPE)
    seen = []
    found.fit(_Eyes(seen), RECIPE, "anchor", 0)
    assert len(seen) == 12 and not torch.equal(torch.cat(seen[:4]), torch.cat(seen[4:8]))


class _Eyes(torch.nn.Module):
    def __init__(self, seen):
        super().__init__()
        self.layer, self.seen = linear(), seen

    def forward(self, x):
        self.seen.append(x)
        return self.layer(x)


FIXED = {
    "a DataLoader that does not shuffle": data,
    "a list of batches": lambda: list(data()),
    "a sampler with a fixed seed": lambda: data(sampler=_Seeded()),
    "Batches in order": lambda: thalweg.Batches(X, Y, 50, shuffle=False),
}


class _Seeded(Own):
    def __iter__(self):
        return iter(np.random.default_rng(0).permutation(len(X)).tolist())


@pytest.mark.parametrize("kind", FIXED)
def test_an_order_that_never_changes_is_said(kind):
    with pytest.warns(UserWarning, match=r"gives the same batches after every seed"):
        problem(train_loader=FIXED[kind]())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem(train_loader=FIXED[kind](), sources=("init",))


@pytest.mark.parametrize("kind", FIXED)
def test_retrainings_that_would_be_identical_are_an_error(kind):
    with pytest.raises(InputError, match=r"one and the same"):
        problem(_loaded, train_loader=FIXED[kind]())


def _loaded():
    """A network whose weights come from a file, say."""
    network = linear()
    network.load_state_dict({"weight": torch.ones(3, 6), "bias": torch.zeros(3)})
    return network


def test_weights_that_never_change_are_said():
    with pytest.warns(UserWarning, match=r"gives the same weights after every seed"):
        found = problem(_loaded)
    assert not same(found.anchor(0), found.anchor(1))


def test_randomness_that_no_seed_reaches_is_said():
    class Wild:
        def __len__(self):
            return 4

        def __iter__(self):
            rng = np.random.default_rng()
            return (
                (
                    (X + torch.from_numpy(rng.normal(size=(200, 6))).float())[i * 50 : i * 50 + 50],
                    Y[i * 50 : i * 50 + 50],
                )
                for i in range(4)
            )

    with pytest.warns(UserWarning, match=r"other batches after the same seed"):
        problem(train_loader=Wild())


@pytest.mark.parametrize(
    "loader",
    [
        lambda: data(shuffle=True),
        lambda: data(sampler=Own()),
        lambda: data(sampler=DistributedSampler(TensorDataset(X, Y), 1, 0)),
        Wrapped,
        lambda: DataLoader(Noisy(torch.Generator()), 50),
    ],
)
def test_predictions_in_shuffled_order_are_refused(loader):
    found = problem()
    with pytest.raises(InputError, match=r"the loader to predict on"):
        thalweg.predict(found, found.anchor(0), loader())


def test_the_loader_s_own_states_come_back():
    loader = REDRAWN["a data set with NumPy's"]()
    before = loader.dataset.rng.bit_generator.state
    problem(train_loader=loader, recipe=RECIPE).anchor(0)
    assert loader.dataset.rng.bit_generator.state == before


class Noise(torch.nn.Module):
    """Has a generator of its own, which no seed reaches."""

    def __init__(self, rng):
        super().__init__()
        self.layer, self.rng = linear(), rng

    def forward(self, x):
        if not self.training:
            return self.layer(x)
        if isinstance(self.rng, torch.Generator):
            return self.layer(x) * torch.rand(3, generator=self.rng)
        return self.layer(x) * torch.from_numpy(self.rng.random(3)).float()


@pytest.mark.parametrize(
    "rng", [torch.Generator().manual_seed(0), np.random.default_rng(0)], ids=["torch", "numpy"]
)
def test_a_network_with_a_generator_of_its_own_is_said(rng):
    with pytest.warns(
        UserWarning,
        match=r"other outputs in training mode after the same seed.*generator of its own",
    ):
        problem(lambda: Noise(rng))


def test_networks_whose_randomness_a_seed_reaches_are_not():
    for model in (
        lambda: torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(6), linear()),
        lambda: torch.nn.utils.parametrizations.spectral_norm(linear()),
    ):
        problem(model)  # without a warning, which is an error in tests


@pytest.mark.filterwarnings("ignore:Got pickle error")  # torch's own
def test_a_loader_whose_workers_can_t_be_started_is_one_line():
    loader = data(1, shuffle=True, multiprocessing_context="spawn", collate_fn=lambda batch: batch)
    with pytest.raises(
        InputError, match=r"the training loader raised .*mend it, or its collate_fn"
    ):
        problem(train_loader=loader)
