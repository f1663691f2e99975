"""Each mistake in a network or a loader is one line, before anything is trained."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import cases
from thalweg.errors import InputError
from thalweg.training.batches import Batches
from thalweg.training.inspection import inspect
from thalweg.training.problem import Problem


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(*cases.task(), strict=True))


class Two(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.weight, self.shape = nn.Parameter(torch.zeros(1)), shape

    def forward(self, x):
        return (
            (x.flatten(1).sum() * self.weight).expand(len(x), *self.shape)
            if self.shape is not None
            else (x, x)
        )


class Empty:
    def __len__(self):
        return 3

    def __iter__(self):
        return iter(())


def pair(x=None, y=None):
    good_x, good_y = cases.task(8)
    return [(good_x if x is None else x, good_y if y is None else y)]


X, Y = cases.task(8)
NAN = X.clone().index_fill_(0, torch.tensor([3]), float("nan"))
NETWORK = cases.no_norm()

BAD = {
    "label too large": (
        {"train_loader": pair(y=Y + 1)},
        "label 3, needs 0 to 2: the network has 3 outputs",
    ),
    "negative label": ({"train_loader": pair(y=Y - 1)}, "label -1, needs 0 to 2"),
    "in a later batch": (
        {"train_loader": pair() + pair(y=Y + 5)},
        "batch 1 of the training loader has label 7",
    ),
    "NaN": ({"train_loader": pair(x=NAN)}, "NaN or infinite inputs"),
    "infinite": ({"train_loader": pair() + pair(x=X / 0)}, "batch 1 .* NaN or infinite"),
    "NaN in batches": ({"train_loader": Batches(NAN, Y)}, "NaN or infinite"),
    "label too large in batches": ({"train_loader": Batches(X, Y + 1)}, "label 3, needs 0 to 2"),
    "no batch": ({"train_loader": []}, "loader is empty: it has no batches"),
    "no batch in spite of a length": (
        {"train_loader": Empty()},
        "loader is empty: it gave no batch",
    ),
    "no length": (
        {"train_loader": DataLoader(Stream(), 8)},
        "DataLoader that has no length.*give a DataLoader of a data set",
    ),
    "a generator": (
        {"train_loader": (b for b in pair())},
        "generator.*needs a loader with a length",
    ),
    "a data set": ({"train_loader": TensorDataset(X, Y)}, "got TensorDataset, needs a loader"),
    "a list of examples": (
        {"train_loader": list(zip(X, Y, strict=True))},
        r"labels \(\) of torch.int64, needs \[batch",
    ),
    "dictionaries": (
        {"train_loader": [{"image": X, "label": Y}]},
        r"dictionary with keys \['image', 'label'\].*thalweg.map_batches",
    ),
    "triples": ({"train_loader": [(X, Y, Y)]}, "tuple of 3, needs a pair"),
    "no tensors": ({"train_loader": [(X.numpy(), Y.numpy())]}, "needs a pair of tensors"),
    "label columns": (
        {"train_loader": pair(y=Y[:, None])},
        r"inputs \(8, 1, 6, 6\) and labels \(8, 1\)",
    ),
    "label floats": ({"train_loader": pair(y=Y.float())}, "torch.float32, needs .* whole numbers"),
    "one-hot labels": ({"train_loader": pair(y=nn.functional.one_hot(Y))}, r"labels \(8, 3\)"),
    "fewer labels": ({"train_loader": pair(y=Y[:5])}, r"labels \(5,\)"),
    "a module": (
        {"model": NETWORK},
        "got a Sequential module, needs a function that makes a new one",
    ),
    "always the same module": ({"model": lambda: NETWORK}, "gave the same module twice"),
    "no factory": ({"model": "resnet"}, "model got str, needs a function"),
    "no module": ({"model": lambda: "net"}, "gave a str, needs a torch.nn.Module"),
    "outputs with too many axes": (
        {"model": lambda: Two((3, 2))},
        r"output is \(2, 3, 2\) for 2 inputs, needs \[batch, classes\]",
    ),
    "outputs with too few axes": ({"model": lambda: Two(())}, r"output is \(2,\)"),
    "one output": ({"model": lambda: Two((1,))}, "two classes or more"),
    "two outputs": ({"model": lambda: Two(None)}, "output is tuple"),
    "another shape of inputs": (
        {"model": lambda: nn.Linear(7, 3)},
        r"can't evaluate inputs of shape \(2, 1, 6, 6\) and torch.float32",
    ),
    "raw bytes": (
        {"train_loader": pair(x=X.to(torch.uint8))},
        "can't evaluate inputs of .* torch.uint8",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    settings, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        Problem(**{"model": cases.no_norm, "train_loader": pair(), **settings})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("loader", cases.LOADERS)
def test_good_loaders(loader):
    found = inspect(cases.no_norm, cases.LOADERS[loader](), "cpu")
    assert found.examples == cases.EXAMPLES and found.classes == cases.CLASSES


def test_good_labels_of_other_types_and_frozen_networks():
    assert inspect(cases.frozen, pair(y=Y.int()), "cpu").examples == 8


def test_a_look_leaves_no_trace():
    loader = cases.LOADERS["own-generator"]()
    state, own = torch.get_rng_state(), loader.generator.get_state()
    inspect(cases.no_norm, loader, "cpu")
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(
        loader.generator.get_state(), own
    )


def test_a_last_batch_of_one_example_is_found_where_batch_norm_needs_two():
    x, y = torch.randn(9, 3), torch.randint(0, 2, (9,))

    def normed():
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    for train in (Batches(x, y, size=4), DataLoader(TensorDataset(x, y), batch_size=4)):
        with pytest.raises(InputError, match="one example"):
            inspect(normed, train, "cpu")
        inspect(lambda: nn.Linear(3, 2), train, "cpu")
    inspect(normed, DataLoader(TensorDataset(x, y), batch_size=4, drop_last=True), "cpu")
