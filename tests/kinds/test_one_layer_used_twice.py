"""One layer used twice in a forward pass: its running statistics average over all uses, as in
update_bn.
"""

import pytest
import torch
from torch import nn

import vectors


class Twice(nn.Module):
    """Of other numbers each time."""

    def __init__(self, momentum: float | None = 0.1) -> None:
        super().__init__()
        self.bn, self.l = nn.BatchNorm1d(3, momentum=momentum), nn.Linear(3, 3)

    def forward(self, x):
        return self.l(self.bn(x[:, :3]) + self.bn(x[:, 3:] + 10))


class TwoNames(nn.Module):
    """One layer in two places, between other layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.bn, self.second = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 6)
        self.again, self.head = self.bn, nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.again(self.second(self.bn(self.first(x)).relu()) + 3))


class Loop(nn.Module):
    """A recurrent one."""

    def __init__(self) -> None:
        super().__init__()
        self.step, self.bn, self.head = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x):
        for k in range(4):
            x = self.bn(self.step(x) + k)
        return self.head(x)


class Ghost(nn.BatchNorm1d):
    """Each half of a batch by itself, in a layer of one's own."""

    def forward(self, x):
        return torch.cat([super(Ghost, self).forward(half) for half in x.chunk(2)])


class EverySecond(nn.Module):
    """A layer that every second evaluation uses."""

    def __init__(self) -> None:
        super().__init__()
        self.bn, self.head, self.calls = nn.BatchNorm1d(6), nn.Linear(6, 3), 0

    def forward(self, x):
        self.calls += 1
        return self.head(self.bn(x) if self.calls % 2 or not self.training else x)


def by_torch(network: nn.Module, *sizes: int) -> dict[str, torch.Tensor]:
    torch.optim.swa_utils.update_bn(vectors.X[: sum(sizes)].split(sizes), network)
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


def test_the_mean_of_both_uses():
    (found,) = vectors.refreshed(Twice(), 50)
    expected = (vectors.X[:50, :3].mean(0) + vectors.X[:50, 3:].mean(0) + 10) / 2
    assert torch.allclose(found["bn.running_mean"], expected, rtol=0, atol=1e-5)
    assert found["bn.num_batches_tracked"] == 2


@pytest.mark.parametrize("model", [
    Twice, lambda: Twice(None), TwoNames, Loop, lambda: nn.Sequential(Ghost(6), nn.Linear(6, 3)),
])  # fmt: skip
def test_they_are_those_of_update_bn(model):
    torch.manual_seed(0)
    network = model()
    found = vectors.refreshed(network, 40, 40, 40, points=2)
    expected = by_torch(network, 40, 40, 40)
    for buffers in found:
        assert set(buffers) == set(expected)
        assert all(
            torch.allclose(buffers[name], b, rtol=1e-5, atol=1e-5) for name, b in expected.items()
        )


def test_a_short_last_batch_counts_for_less():
    """By its examples, in each use."""
    (found,) = vectors.refreshed(Twice(), 60, 20)
    x = vectors.X[:80]
    expected = torch.cat([x[:, :3], x[:, 3:] + 10]).mean(0)
    assert torch.allclose(found["bn.running_mean"], expected, rtol=0, atol=1e-5)


def test_a_layer_that_every_second_evaluation_uses():
    network = EverySecond()
    found = vectors.refreshed(network, 50, 50, 50, 50, points=2)
    x = vectors.X.split(50)
    possible = [
        (x[0].mean(0) + x[2].mean(0)) / 2,
        (x[1].mean(0) + x[3].mean(0)) / 2,
    ]  # it goes on counting
    for buffers in found:
        assert any(
            torch.allclose(buffers["bn.running_mean"], mean, rtol=0, atol=1e-6) for mean in possible
        )
        assert buffers["bn.num_batches_tracked"] == 2
    assert vectors.behaviour(network).uneven and not vectors.behaviour(Loop()).uneven


class Skipped(nn.Module):
    """Stochastic depth: a block with a batch norm, which a training evaluation leaves out now and
    then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.block, self.head = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(x if self.training and torch.rand(()) < 0.5 else x + self.block(x))


def test_a_layer_that_is_left_out_at_random():
    torch.manual_seed(0)
    network = Skipped()
    sizes = [20] * 10
    found = vectors.refreshed(network, *sizes, points=2)
    assert all(torch.equal(found[0][name], b) for name, b in found[1].items()), (
        "the same batches at both points"
    )
    assert 0 < found[0]["block.1.num_batches_tracked"] < 10
    assert torch.allclose(
        found[0]["block.1.running_mean"], network.block[0](vectors.X).mean(0), rtol=0, atol=0.3
    )
