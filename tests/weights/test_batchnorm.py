"""Batch-norm statistics against numpy."""

import numpy as np
import pytest
import torch
from torch import nn

import cases
import reference
from thalweg.errors import InputError
from thalweg.meter import Meter
from thalweg.weights.batchnorm import refresh
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.point import Weights, mix


def network() -> nn.Module:
    """Batch norm at the input (its statistics are the data's), and behind a layer."""
    return nn.Sequential(
        nn.BatchNorm1d(5), nn.Linear(5, 4), nn.BatchNorm1d(4, momentum=0.3), nn.Linear(4, 3)
    ).double()


def data(*sizes: int) -> list:
    random = torch.Generator().manual_seed(0)
    return [
        (3 + 2 * torch.randn(n, 5, generator=random, dtype=torch.float64), torch.zeros(n))
        for n in sizes
    ]


def refresh_one(module: nn.Module, weights: Weights, batches, meter: Meter) -> Weights:
    first = next(iter(batches))[0]
    return refresh(module, [weights], batches, meter, cases.behaviour(module, first))[0]


def nowhere(module: nn.Module) -> Weights:
    return mix([Weights.of(module)], [1.0])


@pytest.mark.parametrize("sizes", [(8, 8, 3), (8, 8, 8), (7,), (2, 30)])
def test_statistics_of_all_data(sizes):
    module, batches, meter = network(), data(*sizes), Meter(100)
    found = refresh_one(module, nowhere(module), batches, meter)
    mean, variance = reference.batchnorm_statistics([x.numpy() for x, _ in batches])
    assert np.allclose(found.buffers["0.running_mean"], mean, rtol=0, atol=1e-12)
    assert np.allclose(found.buffers["0.running_var"], variance, rtol=0, atol=1e-12)
    assert np.allclose(mean, np.concatenate([x.numpy() for x, _ in batches]).mean(0))
    assert found.buffers["0.num_batches_tracked"] == len(sizes)
    assert meter.cost.forward_examples == sum(sizes) and meter.cost.backward_examples == 0


def test_one_batch_gives_its_own_statistics_in_deeper_layers_too():
    module, batches = network(), data(16)
    found = refresh_one(module, nowhere(module), batches, Meter())
    with torch.no_grad():
        hidden = module[1](module.train()[0](batches[0][0]))
    assert torch.allclose(found.buffers["2.running_mean"], hidden.mean(0), rtol=0, atol=1e-12)
    assert torch.allclose(found.buffers["2.running_var"], hidden.var(0), rtol=0, atol=1e-12)


def test_the_network_and_the_weights_are_left_alone():
    module = network()
    weights = nowhere(module)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    stale = {key: value.clone() for key, value in weights.stale.items()}
    module.eval()
    found = refresh_one(module, weights, data(8, 8), Meter())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert all(torch.equal(value, stale[key]) for key, value in weights.stale.items())
    assert not module.training and module[2].momentum == 0.3 and found.params is weights.params
    assert weights.buffers is None


def test_old_statistics_are_forgotten():
    module, batches = network(), data(8, 8)
    first = refresh_one(module, nowhere(module), batches, Meter())
    for _ in range(5):
        module(100 + batches[0][0])
    stale = Weights.of(module).buffers
    overflown = {
        name: b.clone().fill_(torch.inf) if b.is_floating_point() else b
        for name, b in stale.items()
    }
    for old in (stale, overflown):  # nothing times infinity is no number
        again = refresh_one(module, Weights(first.params, stale=old), batches, Meter())
        assert all(torch.equal(b, again.buffers[name]) for name, b in first.buffers.items())


def test_it_agrees_with_update_bn_where_batches_are_equal():
    module, batches = network(), data(8, 8, 8)
    found = refresh_one(module, nowhere(module), batches, Meter())
    torch.optim.swa_utils.update_bn([x for x, _ in batches], module)
    assert all(
        torch.allclose(b, found.buffers[name], rtol=0, atol=1e-12)
        for name, b in module.named_buffers()
    )


@pytest.mark.parametrize("name", cases.NETWORKS)
def test_other_buffers_are_those_of_the_point(name):
    point, module = Weights.of(cases.NETWORKS[name]()), cases.NETWORKS[name]()
    meter = Meter()
    found = refresh_one(module, mix([point], [1.0]), cases.batches(), meter)
    assert set(found.buffers) == set(point.buffers)
    if "frequencies" in found.buffers:
        assert torch.equal(found.buffers["frequencies"], point.buffers["frequencies"])
    assert ("batchnorm" in name or name == "frozen") == bool(meter.cost.forward_examples)


def test_a_layer_without_running_statistics_needs_none():
    module = nn.Sequential(nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 3)).double()
    meter = Meter()
    refresh_one(module, nowhere(module), data(8), meter)
    assert meter.cost.forward_examples == 0


def test_several_points_in_one_pass_equal_one_by_one():
    """With dropout: it is the same at every point."""
    made = [cases.conv_batchnorm() for _ in range(3)]
    points, meter = [nowhere(m) for m in made], Meter()
    torch.manual_seed(5)
    together = refresh(made[0], points, Once(cases.batches()), meter, cases.behaviour(made[0]))
    assert meter.cost.forward_examples == 3 * cases.EXAMPLES
    for point, found in zip(points, together, strict=True):
        torch.manual_seed(5)
        alone = refresh_one(made[0], point, cases.batches(), Meter())
        assert all(torch.equal(found.buffers[n], b) for n, b in alone.buffers.items())


class Once:
    """A loader that can be read once only."""

    def __init__(self, batches) -> None:
        self.batches = iter(list(batches))

    def __iter__(self):
        return self.batches


def test_what_does_not_fit_is_said():
    with pytest.raises(InputError, match="does not fit the model"):
        refresh(network(), [nowhere(cases.no_norm())], data(8), Meter(), Behaviour())
