"""Restarts: where they start, what is drawn anew, and how their strength is calibrated."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import cases
import contract
import reference
from thalweg.errors import Diverged, InputError
from thalweg.explorers import restarts
from thalweg.explorers._parts.calibration import matching
from thalweg.explorers.restarts import Restarts, layers, restart, shake
from thalweg.meter import Meter
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.point import Weights


class Watched(Problem):
    """Notes every training but those of anchors: its recipe, and the weights that it starts
    from.
    """

    def fit(self, module, recipe, *name, **settings):
        if name[0] != "anchor":
            self.notes.append((recipe, Weights.of(module)))
        super().fit(module, recipe, *name, **settings)


def watched(network: str = "no-norm", **settings) -> Watched:
    problem = Watched(cases.NETWORKS[network], cases.batches(), cases.RECIPE, **settings)
    object.__setattr__(problem, "notes", [])
    return problem


def test_a_restart_is_a_short_warm_up_and_a_cosine():
    problem = watched()
    Restarts(members=2, share=2.0).explore(problem)
    for recipe, _ in problem.notes:
        rates = [recipe.learning_rate(step, 60) for step in range(recipe.steps(6))]
        assert rates == pytest.approx(
            [reference.learning_rate(step, 60, 0.2, 0.0, "cosine", 0.05) for step in range(60)]
        )
        assert rates[0] < rates[2] < rates[3] == 0.2


def test_restarts_of_a_star_all_start_at_the_anchor():
    problem = watched("conv-batchnorm")
    found = Restarts(members=3).explore(problem)
    contract.assert_same([start for _, start in problem.notes], [problem.anchor(0)] * 3)
    assert found.size == 3 and not torch.equal(
        found.points[0].params["0.weight"], found.points[1].params["0.weight"]
    )


def test_members_of_a_star_know_nothing_of_each_other():
    explorer = Restarts(members=3, reinit=1)
    found = explorer.explore(cases.problem("conv-batchnorm")).points
    problem = cases.problem("conv-batchnorm")
    backwards = [restart(problem, problem.anchor(0), explorer, k) for k in (2, 1, 0)]
    contract.assert_same(list(found), backwards[::-1])
    contract.assert_same(
        list(found[:2]),
        list(replace(explorer, members=2).explore(cases.problem("conv-batchnorm")).points),
    )


def test_each_restart_of_a_chain_starts_where_the_last_one_ended():
    problem = watched("conv-batchnorm")
    found = Restarts(members=3, form="chain").explore(problem)
    contract.assert_same(
        [start for _, start in problem.notes], [problem.anchor(0), *found.points[:2]]
    )


def test_the_anchor_is_a_member_when_it_is_kept():
    problem = cases.problem()
    kept, others = (
        Restarts(members=2, keep_anchor=keep).explore(problem).points for keep in (True, False)
    )
    contract.assert_same(list(kept), [problem.anchor(0), *others])


NAMES = [
    (
        "conv-batchnorm",
        [
            ["0.weight", "0.bias", "1.weight", "1.bias"],
            ["4.weight", "4.bias", "5.weight", "5.bias"],
            ["8.weight", "8.bias"],
        ],
    ),
    ("layernorm", [["1.weight", "1.bias", "2.weight", "2.bias"], ["4.weight", "4.bias"]]),
    ("frozen", [["5.weight", "5.bias"]]),
    (
        "tied",
        [
            ["first.weight", "first.bias"],
            ["second.weight", "second.bias"],
            ["head.weight", "head.bias"],
        ],
    ),
]


@pytest.mark.parametrize(("network", "names"), NAMES)
def test_a_layer_has_its_biases_and_the_norm_that_follows(network, names):
    found = layers(cases.NETWORKS[network]())
    assert found == names  # the norm after a frozen layer belongs to none


def test_a_module_with_several_matrices_is_one_layer():
    found = layers(nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 2)))
    assert [len(own) for own in found] == [4, 2]


@pytest.mark.parametrize("reinit", [0, 1, 2, 3])
def test_the_last_layers_are_drawn_anew_and_the_others_stay(reinit):
    problem = watched("conv-batchnorm")
    anchor = problem.anchor(0)
    Restarts(members=2, reinit=reinit).explore(problem)
    (_, first), (_, second) = problem.notes
    drawn = {name for own in NAMES[0][1][3 - reinit :] for name in own}
    assert set(first.params) >= drawn and len(drawn) == [0, 2, 6, 10][reinit]
    for name, p in first.params.items():
        if name not in drawn:
            assert torch.equal(p, anchor.params[name])
        elif name in ("1.weight", "5.weight"):
            assert (p == 1).all() and not torch.equal(p, anchor.params[name])  # a new norm layer
        elif name in ("1.bias", "5.bias"):
            assert (p == 0).all()
        else:
            assert (
                not torch.isclose(p, anchor.params[name]).any()
                and not torch.isclose(p, second.params[name]).any()
            )
            inputs = {"8": 36, "4": 36, "0": 9}[name[0]]
            assert p.abs().max() <= inputs**-0.5  # the bound of torch's initialisation
    contract.assert_same([Weights({}, first.buffers)], [Weights({}, anchor.buffers)])


def test_shrink_and_perturb():
    torch.manual_seed(0)
    network, fresh = cases.no_norm(), cases.no_norm()
    before = Weights.of(network).params
    shake(network, fresh, 1, 0.6, 0.01)
    after, new = Weights.of(network).params, Weights.of(fresh).params
    for name in ("1.weight", "1.bias"):
        assert torch.allclose(after[name], 0.6 * before[name] + 0.01 * new[name], rtol=1e-6)
    for name in ("3.weight", "3.bias"):
        assert torch.equal(after[name], new[name])


def test_frozen_parameters_are_not_shaken():
    network, fresh = cases.frozen(), cases.frozen()
    before = Weights.of(network).params
    shake(network, fresh, 1, 0.5, 0.5)
    assert torch.equal(network[0].weight, before["0.weight"]) and not torch.equal(
        network[5].weight, before["5.weight"]
    )


def test_more_new_layers_than_there_are():
    problem = cases.problem()
    with pytest.raises(InputError, match=r"restarts.reinit got 3, but the network has 2 layers"):
        Restarts(reinit=3).explore(problem)
    assert problem.cost.trainings == 0
    with pytest.raises(InputError, match=r"restarts.reinit got 3, but the network has 2 layers"):
        restart(problem, problem.anchor(0), Restarts(reinit=3), 0)


@pytest.mark.parametrize(
    ("settings", "cost"),
    [
        ({}, 2.0),
        ({"members": 2, "share": 0.4}, 1.8),
        ({"form": "chain", "members": 1, "reinit": 2}, 1.2),
        ({"calibrate": True, "members": 3}, 4.2),
    ],
)
def test_cost(settings, cost):
    problem, explorer = (
        cases.problem(unlabelled=cases.held_out()[0]),
        Restarts(tolerance=100.0, **settings),
    )
    explorer.explore(problem)
    assert problem.cost.trainings == pytest.approx(cost) == pytest.approx(explorer.trainings)
    assert (
        problem.cost.forward_examples > 0
    ) == explorer.calibrate and explorer.anchors == 1 + explorer.calibrate


TOLERANCE = 0.05

# A linear classifier whose points can be put where they are wanted: weights `[3, 36]`, no training.


def linear() -> Problem:
    return Problem(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3)),
        cases.batches(),
        Recipe(epochs=1),
        unlabelled=cases.held_out()[0],
    )


def point(matrix: np.ndarray) -> Weights:
    return Weights(
        {"1.weight": torch.tensor(matrix, dtype=torch.float32), "1.bias": torch.zeros(3)}, {}
    )


def probs(matrix: np.ndarray, x: torch.Tensor) -> np.ndarray:
    return reference.softmax(x.flatten(1).double().numpy() @ matrix.T)


def loss(matrix: np.ndarray) -> float:
    x, y = cases.task()
    return float(-np.log(probs(matrix, x)[np.arange(len(y)), y.numpy()]).mean())


def apart(one: np.ndarray, other: np.ndarray) -> float:
    x, _ = cases.held_out()
    return float(np.abs(probs(one, x) - probs(other, x)).sum(-1).mean() / 2)


def constructed() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """An anchor that separates the classes, a retraining, and trials that are further and further
    off.
    """
    random = np.random.default_rng(0)
    base = np.zeros((3, 6, 6))
    for c in range(3):
        base[c, 2 * c] = 0.2
    base = base.reshape(3, 36)
    directions = random.normal(size=(2, 3, 36)) / 6
    return (
        base,
        base + 0.75 * directions[0],
        [base + size * directions[1] for size in (0.05, 0.2, 0.5, 1.0, 2.0)],
    )


def test_the_trial_that_is_as_far_away_as_the_retraining_is_chosen():
    base, other, trials = constructed()
    misses = [abs(apart(base, trial) - apart(base, other)) for trial in trials]
    assert np.argmin(misses) == 2 and sorted(misses)[1] > 3 * min(misses)
    for order in ((0, 1, 2, 3, 4), (2, 4, 0, 1, 3), (4, 3, 1, 0, 2)):
        found, accepted = matching(
            linear(), point(base), point(other), [point(trials[k]) for k in order], 100.0
        )
        assert order[found] == 2 and accepted


def test_a_trial_of_high_loss_is_rejected_however_well_it_matches():
    base, other, trials = constructed()
    # as far away as the retraining, and without what tells the classes apart
    worse = min(
        (base * (1 - s) for s in np.linspace(0, 1, 201)),
        key=lambda m: abs(apart(base, m) - apart(base, other)),
    )
    above = loss(worse) - max(loss(base), loss(other))
    assert above > 0.01 and loss(trials[1]) < loss(worse) - 0.01
    points = [point(trials[1]), point(worse)]
    assert matching(linear(), point(base), point(other), points, above + 1e-3) == (1, True)
    assert matching(linear(), point(base), point(other), points, above - 1e-3) == (0, True)


def test_where_all_trials_are_rejected_the_one_of_lowest_loss_is_taken():
    base, other, _ = constructed()
    bad = [0 * base, 0.1 * base, -base]
    assert [loss(m) > max(loss(base), loss(other)) + 0.1 for m in bad] == [True] * 3
    assert matching(linear(), point(base), point(other), [point(m) for m in bad], 0.1) == (1, False)


def test_a_loss_that_is_many_times_that_of_anchors_that_interpolate_is_accepted():
    base, other, trials = constructed()
    one, two = other - base, trials[3] - base
    base, other, weak, strong = 8 * base, 8 * base + 3.3 * one, 8 * base + two, 8 * base + 3.5 * two
    assert loss(other) < 3e-4 and 2 * loss(other) < loss(strong) < 0.01
    assert 10 * apart(base, weak) < apart(base, other) < 1.5 * apart(base, strong)
    assert matching(
        linear(), point(base), point(other), [point(weak), point(strong)], Restarts().tolerance
    ) == (1, True)


def test_calibrated_restarts_are_those_of_the_chosen_strength():
    """And the choice is the one that can be made by hand, from nine explorations of one restart
    each.
    """
    problem = cases.problem(unlabelled=cases.held_out()[0])
    explorer = Restarts(calibrate=True, members=3, tolerance=TOLERANCE, keep_anchor=True)
    found = explorer.explore(problem)
    contract.assert_same(list(found.points[:2]), [problem.anchor(0), problem.anchor(1)])
    x, y = cases.task()
    networks = {name: problem.network(weights) for name, weights in enumerate(found.points[:2])}
    settings = [
        Restarts(members=1, lr_ratio=lr, reinit=reinit)
        for lr in (1.0, 2.0, 4.0)
        for reinit in (0, 1, 2)
    ]
    for own in settings:
        networks[own] = problem.network(own.explore(replace(problem, meter=Meter())).points[0])
    with torch.no_grad():
        loss = {
            name: float(nn.functional.cross_entropy(network.eval()(x), y))
            for name, network in networks.items()
        }
        probs = {
            name: network(cases.held_out()[0]).softmax(-1) for name, network in networks.items()
        }
    distance = {name: float((p - probs[0]).abs().sum(-1).mean() / 2) for name, p in probs.items()}
    accepted = [own for own in settings if loss[own] <= max(loss[0], loss[1]) + TOLERANCE]
    assert 1 < len(accepted) < 9
    best = min(accepted, key=lambda own: abs(distance[own] - distance[1]))
    same = replace(best, members=3).explore(replace(problem, meter=Meter()))
    contract.assert_same(list(found.points[2:]), list(same.points))

    again = replace(problem, meter=Meter())
    chosen, trained, first = explorer.calibrated(again)
    assert chosen == replace(explorer, calibrate=False, lr_ratio=best.lr_ratio, reinit=best.reinit)
    contract.assert_same([*trained, first], list(found.points[:3]))
    assert again.cost.trainings == pytest.approx(2 + 9 * 0.2)


def test_calibration_needs_inputs_that_were_not_trained_on():
    problem = cases.problem()
    for calibrated in (Restarts(calibrate=True).explore, Restarts().calibrated):
        with pytest.raises(
            InputError,
            match=r"restarts.calibrate got a problem without unlabelled inputs, .* "
            r"give Problem\(unlabelled=\.\.\.\), inputs that were not trained on",
        ) as caught:
            calibrated(problem)
        assert "\n" not in str(caught.value)
    assert problem.cost.trainings == 0


def test_a_strength_that_was_not_accepted_is_said():
    """The losses of restarts that are nearly no training are above those of trainings."""
    problem = cases.problem(unlabelled=cases.held_out()[0])
    explorer = Restarts(calibrate=True, members=1, share=1 / 30, noise=3.0, tolerance=0.0)
    with pytest.warns(
        UserWarning, match=r"restarts.calibrate: none of 9 trials .* within 0 of .* lr_ratio="
    ) as caught:
        chosen, _, _ = explorer.calibrated(problem)
    assert f"lr_ratio={chosen.lr_ratio:g}, reinit={chosen.reinit}" in str(caught[0].message)


def test_the_tried_restart_is_the_first_of_a_calibrated_chain(monkeypatch):
    starts = []

    def seen(problem, start, settings, k):
        starts.append((k, start))
        return restart(problem, start, settings, k)

    monkeypatch.setattr(restarts, "restart", seen)
    problem = cases.problem(unlabelled=cases.held_out()[0])
    found = Restarts(calibrate=True, members=3, form="chain", tolerance=100.0).explore(problem)
    assert [k for k, _ in starts] == [0] * 9 + [1, 2] and found.size == 4
    contract.assert_same(
        [start for _, start in starts], [problem.anchor(0)] * 9 + list(found.points[1:3])
    )


def test_a_trial_that_diverges_is_rejected(monkeypatch):
    def fails(problem, start, settings, k):
        if settings.lr_ratio > limit:
            raise Diverged("the loss is nan")
        return restart(problem, start, settings, k)

    monkeypatch.setattr(restarts, "restart", fails)
    limit = 1.0
    problem = watched(unlabelled=cases.held_out()[0])
    assert Restarts(calibrate=True, members=2, tolerance=100.0).explore(problem).size == 3
    assert (
        all(recipe.lr == cases.RECIPE.lr for recipe, _ in problem.notes) and len(problem.notes) == 4
    )
    limit = 0.5
    with pytest.raises(Diverged, match="all 9 trial restarts diverged"):
        Restarts(calibrate=True).explore(problem)


def test_a_network_of_one_layer_is_calibrated_too():
    problem = cases.problem("frozen", unlabelled=cases.held_out()[0])
    explorer = Restarts(calibrate=True, members=2, tolerance=100.0)
    assert explorer.explore(problem).size == 3
    assert (
        problem.cost.trainings == pytest.approx(2 + (2 + 5) * 0.2)
        and problem.cost.trainings < explorer.trainings
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": 0}, "restarts.members got 0, needs a whole number"),
        ({"reinit": -1}, "restarts.reinit got -1, needs a whole number, 0 or more"),
        ({"share": 0}, "restarts.share got 0, needs"),
        ({"lr_ratio": -1}, "restarts.lr_ratio got -1, needs"),
        ({"shrink": -1}, "restarts.shrink got -1, needs"),
        ({"noise": -1}, "restarts.noise got -1, needs"),
        ({"tolerance": -1}, "restarts.tolerance got -1, needs"),
        ({"form": "stars"}, "restarts.form got 'stars', needs 'star' or 'chain'"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        Restarts(**settings)


def test_batches_and_augmentation_of_restarts_differ():
    seen = []

    def noisy(x, random):
        seen.append(float(torch.randn((), generator=random)))
        return x

    problem = Problem(cases.no_norm, Batches(*cases.task(), size=16, augment=noisy), cases.RECIPE)
    seen.clear()  # of the look at it
    Restarts(members=2).explore(problem)
    assert len(seen) == 42 and len(set(seen[30:])) == 12
