"""BatchEnsemble against the paper's formula, and its training against a plain loop."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

import cases
from thalweg.baselines.batch_ensemble import BatchEnsemble, RankOne
from thalweg.errors import InputError
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.point import Weights


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


@pytest.mark.parametrize(
    ("batch", "sizes"), [(16, [4, 4, 4, 4]), (15, [4, 4, 4, 3]), (7, [3, 2, 2]), (3, [3]), (1, [1])]
)
def test_a_batch_is_divided_among_members(batch, sizes):
    """Every output is that of one member; a part has two examples at least; over many steps all
    members see as much.
    """
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
        assert (of.sum(0) == 1).all() and sorted(of.sum(1).tolist(), reverse=True)[
            : len(sizes)
        ] == sizes
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


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("settings", [{}, {"nesterov": True}, {"optimizer": "adamw"}])
def test_factors_have_no_weight_decay(settings, clip):
    """The run equals a plain loop with two optimisers, of which the factors' has none; both share
    the clipped norm.
    """
    recipe = Recipe(epochs=2, lr=0.02, weight_decay=0.1, clip=clip, **settings)
    x, y = cases.task()
    problem = Problem(lambda: cases.no_norm().double(), Batches(x.double(), y, size=16), recipe)
    made = replace(problem, model=partial(RankOne, problem.model, 1))
    start = Weights.of(made.build("batch-ensemble"))
    (found,) = BatchEnsemble(members=1).train(problem)[1].points

    def plain(decay):
        twin = made.network(start)
        fast = {id(p) for p in twin.fast}
        params = [p for p in twin.parameters() if p.requires_grad]
        make = torch.optim.SGD if recipe.optimizer == "sgd" else torch.optim.AdamW
        more = {"momentum": 0.9, "nesterov": recipe.nesterov} if recipe.optimizer == "sgd" else {}
        slow, own = (
            make(
                [p for p in params if (id(p) in fast) is side],
                recipe.lr,
                weight_decay=weight_decay,
                **more,
            )
            for side, weight_decay in ((False, recipe.weight_decay), (True, decay))
        )
        batches, step = problem.batches("batch-ensemble"), 0
        for epoch in range(2):
            for inner, labels in batches.epoch(epoch):
                for optimizer in (slow, own):
                    optimizer.param_groups[0]["lr"] = recipe.learning_rate(step, 12)
                    optimizer.zero_grad()
                functional.cross_entropy(twin(inner), labels).backward()
                if clip is not None:
                    nn.utils.clip_grad_norm_(params, clip)
                slow.step()
                own.step()
                step += 1
        return twin.members()[0].params

    expected, decayed = plain(0.0), plain(recipe.weight_decay)
    assert all(
        torch.allclose(found.params[name], p, rtol=0, atol=1e-10) for name, p in expected.items()
    )
    assert max(float((decayed[name] - p).abs().max()) for name, p in expected.items()) > 1e-3


@pytest.mark.parametrize(("budget", "epochs"), [(1.0, 5.0), (2.0, 10.0), (0.2, 1.0)])
def test_a_budget_is_the_length_of_the_run(budget, epochs):
    problem = Seen(cases.no_norm, cases.batches(), cases.RECIPE)
    method = BatchEnsemble(members=2, budget=budget)
    method.train(problem)
    assert problem._kept.networks[-1] == replace(cases.RECIPE, epochs=epochs)
    assert problem.cost.trainings == pytest.approx(budget) == pytest.approx(method.trainings)


class Seen(Problem):
    """Keeps the recipe that it trained with."""

    def fit(self, module, recipe, *name, **settings):
        super().fit(module, recipe, *name, **settings)
        self._kept.networks[-1] = recipe


def test_layers_that_are_not_trained_get_no_factors():
    ensemble = RankOne(cases.frozen, 2)
    assert [tuple(p.shape) for p in ensemble.fast] == [(2, 54), (2, 3)]
    first, second = ensemble.members()
    assert torch.equal(first.params["0.weight"], second.params["0.weight"])


def weight_norm() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(36, 8)), nn.Linear(8, 3)
    )


def test_a_weight_that_is_made_by_a_parametrisation_is_refused_before_anything_is_trained():
    problem = Problem(weight_norm, cases.batches(), cases.RECIPE)
    with pytest.raises(
        InputError, match=r"layer '1' whose weight is made by a parametrisation.*remove_para"
    ) as caught:
        BatchEnsemble().train(problem)
    assert "\n" not in str(caught.value) and problem.cost.backward_examples == 0
    frozen = weight_norm()
    frozen[1].requires_grad_(False)
    assert len(RankOne(lambda: frozen, 2).fast) == 2, "layers that are not trained get no factors"


def test_bad_input():
    with pytest.raises(
        InputError, match=r"batch-ensemble.members got 0, needs a whole number, 1 or more"
    ):
        BatchEnsemble(members=0)
    with pytest.raises(InputError, match=r"batch-ensemble.budget got 0, needs 1e-09 or more"):
        BatchEnsemble(budget=0)
    with pytest.raises(InputError, match="without a linear layer or convolution"):
        RankOne(lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(36)), 2)
