"""Ragged batches, padded to the longest of each batch: networks accept them, and code that must
join them says so.
"""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import thalweg
from small import X, Y, problem
from thalweg.errors import InputError

IDS = torch.randint(0, 10, (200, 8), generator=torch.Generator().manual_seed(0))
PARTS = [IDS[i : i + 50, : 4 + k] for k, i in enumerate(range(0, 200, 50))]


def bag() -> nn.Module:
    return nn.Sequential(nn.EmbeddingBag(10, 4), nn.Linear(4, 3))


def listed() -> list:
    return [(x, Y[i * 50 : i * 50 + 50]) for i, x in enumerate(PARTS)]


def collated() -> DataLoader:
    """Pads to the longest of the batch."""
    rows = [(IDS[i, : 2 + i % 6], Y[i]) for i in range(200)]

    def collate(batch):
        return nn.utils.rnn.pad_sequence([x for x, _ in batch], batch_first=True), torch.stack(
            [y for _, y in batch]
        )

    return DataLoader(rows, 3, shuffle=True, collate_fn=collate)


@pytest.mark.parametrize("loader", [listed, collated])
def test_networks_that_take_them_are_trained_and_predict(loader):
    found = problem(bag, train_loader=loader(), recipe=thalweg.Recipe(epochs=2), sources=("init",))
    predictions = thalweg.predict(
        found, thalweg.explorers.SPRO(vertices=1, share=0.5, draws=2).explore(found), PARTS, draws=2
    )
    assert predictions.inputs == 200 and torch.isfinite(predictions.log_probs).all()


def test_what_puts_inputs_together_is_one_line():
    found = problem(
        bag,
        train_loader=listed(),
        recipe=thalweg.Recipe(epochs=1),
        sources=("init",),
        unlabelled=PARTS,
    )
    with pytest.raises(InputError, match=r"shape|pad|as many in both|numbers") as caught:
        found.inputs(200)
    assert "\n" not in str(caught.value) and found.cost.trainings == 0


def test_a_network_that_can_t_take_them_says_which():
    parts = [(X[:, : 6 - k][i : i + 50], Y[i : i + 50]) for k, i in enumerate(range(0, 200, 50))]
    with pytest.raises((InputError, RuntimeError)) as caught:
        problem(train_loader=parts, sources=("init",)).anchor(0)
    assert isinstance(caught.value, InputError) and "shape" in str(caught.value)


def test_nested_tensors_are_one_line():
    nested = torch.nested.nested_tensor(list(X[:50]), layout=torch.jagged)
    with pytest.raises(InputError, match=r"batch 0 has nested tensors, needs plain ones: pad"):
        problem(train_loader=[(nested, Y[:50])])
