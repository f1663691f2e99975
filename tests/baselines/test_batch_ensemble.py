"""BatchEnsemble against the paper's formula, and its optimiser against one without weight decay."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

import cases
from thalweg.baselines.batch_ensemble import BatchEnsemble, RankOne, _undecayed
from thalweg.errors import InputError
from thalweg.training.recipe import Recipe, optimizer_for


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).double()


def test_a_member_is_the_paper_s_formula():
    """Inputs of a layer times r, outputs times s, then the member's bias."""
    torch.manual_seed(0)
    ensemble = RankOne(network, 3)
    for p in ensemble.parameters():
        nn.init.normal_(p)
    conv, linear = ensemble.network[0], ensemble.network[3]
    r1, s1, r2, s2 = ensemble.fast
    x = torch.randn(7, 1, 6, 6, dtype=torch.float64)
    for k, weights in enumerate(ensemble.members()):
        hidden = functional.conv2d(x * r1[k, :, None, None], conv.weight) * s1[k, :, None, None]
        hidden = (hidden + ensemble.biases[0][k, :, None, None]).relu().flatten(1)
        expected = functional.linear(hidden * r2[k], linear.weight) * s2[k] + ensemble.biases[1][k]
        own = network()
        replace(weights, buffers={}).load_into(own)
        assert torch.allclose(own(x), expected, rtol=0, atol=1e-12)


def test_it_starts_from_random_signs():
    ensemble = RankOne(lambda: nn.Sequential(nn.Linear(200, 300), nn.Linear(300, 3)), 4)
    assert [tuple(p.shape) for p in ensemble.fast] == [(4, 200), (4, 300), (4, 300), (4, 3)]
    signs = torch.cat([p.detach().flatten() for p in ensemble.fast])
    assert set(signs.tolist()) == {-1.0, 1.0} and abs(float(signs.mean())) < 0.1
    assert all(torch.equal(bias, bias[:1].expand(4, -1)) for bias in ensemble.biases)


@pytest.mark.parametrize(("batch", "sizes"), [(16, [4, 4, 4, 4]), (15, [4, 4, 4, 3]), (7, [3, 2, 2]), (3, [3]), (1, [1])])
def test_a_batch_is_divided_among_members(batch, sizes):
    """Every output is that of one member; a part has two examples at least; over many steps all members see as much."""
    ensemble = RankOne(network, 4)
    for p in ensemble.parameters():
        nn.init.normal_(p)
    x = torch.randn(batch, 1, 6, 6, dtype=torch.float64)
    each = []
    for weights in ensemble.members():
        own = network()
        replace(weights, buffers={}).load_into(own)
        each.append(own(x))
    seen = torch.zeros(4)
    for _ in range(200):
        out = ensemble(x)
        of = torch.stack([(out - own).abs().amax(1) < 1e-9 for own in each]).int()
        assert (of.sum(0) == 1).all() and sorted(of.sum(1).tolist(), reverse=True)[: len(sizes)] == sizes
        seen += of.sum(1)
    assert (seen - 200 * batch / 4).abs().max() < 30 * sizes[0]


def test_members_differ_by_factors_of_rank_one():
    problem = cases.problem("no-norm")
    _, found = BatchEnsemble(members=3).train(problem)
    first, second, _ = found.points
    for name in ("1.weight", "3.weight"):
        ratio = (second.params[name].double() / first.params[name].double()).T
        assert torch.linalg.matrix_rank(ratio, rtol=1e-3) == 1
        assert not torch.allclose(ratio.abs(), torch.ones_like(ratio)), "the factors were trained"
    assert not torch.equal(first.params["1.bias"], second.params["1.bias"])


@pytest.mark.parametrize("settings", [{}, {"nesterov": True}, {"optimizer": "adamw"}])
def test_factors_have_no_weight_decay(settings):
    """Step by step, they move as under an optimiser without it, while other parameters decay."""
    recipe = Recipe(epochs=2, lr=0.1, weight_decay=0.1, **settings)
    problem = cases.problem("no-norm", recipe=recipe)
    fast, slow, expected = (nn.Parameter(torch.linspace(-1, 2, 5, dtype=torch.float64)) for _ in range(3))
    optimizer, plain = optimizer_for(recipe, [fast, slow]), optimizer_for(replace(recipe, weight_decay=0.0), [expected])
    adjust, random = _undecayed(problem, nn.ParameterList([fast])), torch.Generator().manual_seed(0)
    for step in range(12):
        for o in (optimizer, plain):
            o.param_groups[0]["lr"] = recipe.learning_rate(step, 12)
        gradient = torch.randn(5, generator=random, dtype=torch.float64)
        for p in (fast, slow, expected):
            p.grad = gradient.clone()
        adjust()
        optimizer.step()
        plain.step()
        assert torch.allclose(fast, expected, rtol=0, atol=1e-12)
    assert (slow - expected).abs().max() > 0.01


def test_layers_that_are_not_trained_get_no_factors():
    ensemble = RankOne(cases.frozen, 2)
    assert [tuple(p.shape) for p in ensemble.fast] == [(2, 54), (2, 3)]
    first, second = ensemble.members()
    assert torch.equal(first.params["0.weight"], second.params["0.weight"])


def test_bad_input():
    with pytest.raises(InputError, match=r"batch-ensemble.members got 0, needs a whole number, 1 or more"):
        BatchEnsemble(members=0)
    with pytest.raises(InputError, match="without a linear layer or convolution"):
        RankOne(lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(36)), 2)
