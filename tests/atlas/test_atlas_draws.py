"""Draws of retrainings have the mean and the standard uncertainty that were asked for."""

import math

import pytest
import torch
from scipy import stats

import contract
from thalweg.atlas import draws as module
from thalweg.atlas.draws import draw
from thalweg.outputs import Binary, Classes, Values

NOTHING = torch.empty(0)
COUNT = 4000


def probabilities(classes: int, inputs: int = 40, sharp: float = 2.0) -> torch.Tensor:
    random = torch.Generator().manual_seed(classes)
    return (sharp * torch.randn(inputs, classes, generator=random, dtype=torch.float64)).softmax(1)


def moments(mean, u, outputs=None, draws=COUNT, seed=0):
    found = draw(outputs or Classes(), mean, u, NOTHING, draws, seed)
    p = found.exp()
    assert found.shape == (draws, *mean.shape) and torch.isfinite(found).all()
    assert torch.allclose(p.sum(-1), torch.ones_like(p[..., 0]))
    return p.mean(0), p.var(0).sum(-1).sqrt()


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
@pytest.mark.parametrize("part", [1e-2, 0.3, 1.0])
def test_draws_have_the_mean_and_u(classes, part):
    """With u a part of the norm of diag(p) - p p', that of a network that answers at random."""
    mean = probabilities(classes, inputs=10)
    u = part * 0.5 * (torch.diag_embed(mean) - mean[:, :, None] * mean[:, None]).norm(dim=(1, 2))
    draws = 1000 if classes == 100 else COUNT
    found, spread = moments(mean, u, draws=draws)
    assert torch.allclose(found, mean, rtol=1e-3, atol=1e-3 * float(u.max()))
    assert torch.allclose(spread, u, rtol=0.01)


def test_fresh_noise_has_them_too():
    """The size is found on the draws themselves: with few of them, others' mean is near."""
    mean = probabilities(4, inputs=2).repeat_interleave(300, 0)
    u = torch.full((600,), 0.1, dtype=torch.float64)
    found = draw(Classes(), mean, u, NOTHING, 20, 0).exp()
    every = found.reshape(20, 2, 300, 4).permute(0, 2, 1, 3).reshape(-1, 2, 4)
    assert torch.allclose(every.mean(0), mean[::300], atol=1e-3)
    assert every.var(0).sum(-1).sqrt().tolist() == pytest.approx([0.1, 0.1], rel=0.04)


@pytest.mark.parametrize("rest", [1e-3, 1e-5])
def test_nearly_certain_ones(rest):
    mean = torch.tensor([[1 - rest, rest * 0.9, rest * 0.1]], dtype=torch.float64)
    u = torch.tensor([rest], dtype=torch.float64)
    found, spread = moments(mean, u)
    assert found[0].tolist() == pytest.approx(mean[0].tolist(), rel=0.02)
    assert float(spread) == pytest.approx(rest, rel=0.02)


def test_of_two_classes_it_is_one_normal_logit():
    mean, u = torch.tensor([[0.3, 0.7]], dtype=torch.float64), torch.tensor([0.2]).double()
    found = draw(Binary(), mean, u, NOTHING, COUNT, 1)[:, 0]
    logit = (found[:, 1] - found[:, 0]).numpy()
    assert stats.kstest((logit - logit.mean()) / logit.std(), "norm").pvalue > 0.01
    assert float(found[:, 1].exp().var().sqrt()) == pytest.approx(0.2 / math.sqrt(2), rel=0.01)


def test_all_classes_have_the_same_noise():
    mean = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64)
    found = draw(Classes(), mean, torch.tensor([0.05]).double(), NOTHING, 40_000, 1)[:, 0]
    covariance = torch.cov((found - found[:, :1])[:, 1:].T)  # log ratios: noise minus the first's
    first = covariance[0, 1]
    for k in range(2):
        assert float((covariance[k, k] - first) / first) ** 0.5 == pytest.approx(1.0, rel=0.05)


def test_no_u_gives_the_mean():
    mean = probabilities(3, inputs=20)
    found, spread = moments(mean, torch.zeros(20, dtype=torch.float64), draws=100)
    assert torch.allclose(found, mean, atol=1e-6) and float(spread.max()) < 2e-4


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("sharp", [2.0, 6.0])
def test_too_much_u_leaves_the_mean(classes, sharp):
    """There is most where all draws are certain; near-certain means have little."""
    mean = probabilities(classes, inputs=100, sharp=sharp)
    found, spread = moments(mean, torch.full((100,), 5.0, dtype=torch.float64), draws=400)
    most = (1 - mean.square().sum(1)).sqrt()
    assert (found - mean).norm(dim=1).max() < 0.01 and (found - mean).norm(dim=1).mean() < 1e-3
    assert (spread < most * 1.05).all()
    assert (spread > 0.6 * most)[most > 0.1].all()


@pytest.mark.parametrize("sharp", [2.0, 6.0])
def test_much_u_where_a_network_is_nearly_sure(sharp):
    """Its logits are far apart, and their noise must be large and lopsided."""
    mean = probabilities(4, inputs=200, sharp=sharp)
    u = 0.4 * (1 - mean.square().sum(1)).sqrt()
    found, spread = moments(mean, u, draws=400)
    assert torch.allclose(found, mean, atol=1e-3)
    assert torch.allclose(spread, u, rtol=0.1, atol=5e-3)
    assert float((spread / u).log().abs().median()) < 0.01


def test_values_have_their_mean_and_share_u_as_they_scatter():
    mean = torch.tensor([[1.0, -5.0], [0.0, 1e6]], dtype=torch.float64)
    u, scatter = torch.tensor([0.5, 100.0]).double(), torch.tensor([3.0, 4.0]).double()
    found = draw(Values(), mean, u, scatter, 20_000, 0)
    spread = found.std(0)
    assert torch.allclose(spread, u[:, None] * scatter / 5, rtol=0.03)
    error = spread / math.sqrt(20_000)
    assert ((found.mean(0) - mean).abs() < 4 * error).all()
    assert abs(float(torch.corrcoef(found[:, 0].T)[0, 1])) < 0.03


@pytest.mark.parametrize("outputs", [Classes(), Values()])
def test_the_same_seed_gives_the_same_draws_and_no_state_moves(outputs):
    mean, u, scatter = probabilities(3), torch.full((40,), 0.1).double(), torch.ones(3).double()
    before = contract.states()
    one, again, other = (draw(outputs, mean, u, scatter, 5, seed) for seed in (3, 3, 4))
    contract.assert_states(before)
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_many_inputs_are_drawn_in_blocks(monkeypatch):
    mean = probabilities(3)
    u = 0.3 * (1 - mean.square().sum(1)).sqrt()
    monkeypatch.setattr(module, "_BLOCK", 10)  # an input at a time
    found = draw(Classes(), mean, u, NOTHING, 50, 0).exp()
    assert torch.allclose(found.mean(0), mean, atol=1e-3)
    apart = (found.var(0).sum(-1).sqrt() / u - 1).abs()
    assert apart.max() < 0.2 and apart[u > 0.05].max() < 0.05  # near certainty it takes long
