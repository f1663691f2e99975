"""Late gradients: parameters whose first gradient comes after the first step train as with plain
torch.
"""

import pytest
import torch
from torch import nn

import thalweg
from small import X, Y, problem


class Switching(nn.Module):
    """One of two branches is used, by turns."""

    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList([nn.Linear(6, 3), nn.Linear(6, 3)])
        self.calls = 0

    def forward(self, x):
        if self.training:
            self.calls += 1
        return self.branches[self.calls % 2 if self.calls > 2 else 0](x)


@pytest.mark.filterwarnings("ignore:.*no gradient in a trial step")
@pytest.mark.filterwarnings(
    "ignore:the network gives other outputs in training mode"
)  # it counts its calls, on purpose
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_it_trains_as_with_plain_torch(optimizer, nesterov):
    if nesterov and optimizer != "sgd":
        return
    recipe = thalweg.Recipe(
        epochs=3, lr=0.05, schedule="constant", optimizer=optimizer, nesterov=nesterov
    )
    found = problem(Switching, recipe=recipe, train_loader=thalweg.Batches(X, Y, 50), seed=2)
    weights = found.anchor(0)

    network = found.build("anchor", 0)
    batches = found.batches("anchor", 0)
    plain = (
        torch.optim.SGD(network.parameters(), 0.05, 0.9, weight_decay=5e-4, nesterov=nesterov)
        if optimizer == "sgd"
        else torch.optim.AdamW(network.parameters(), 0.05, weight_decay=5e-4)
    )
    for epoch in range(3):
        for x, y in batches.epoch(epoch):
            plain.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            plain.step()
    for name, p in network.named_parameters():
        assert torch.allclose(p, weights.params[name], atol=1e-6), name


def test_predictions_that_depend_on_their_batch_are_said():
    def model():
        return nn.Sequential(
            nn.Linear(6, 4),
            nn.BatchNorm1d(4, track_running_stats=False),
            nn.ReLU(),
            nn.Linear(4, 3),
        )

    with pytest.warns(UserWarning, match=r"depends on the other inputs of its batch"):
        problem(model)
