"""Trainings in cycles: learning rates are those of the papers, and members are taken where they are
lowest.
"""

from dataclasses import replace

import pytest
import torch

import cases
import contract
import reference
from thalweg.errors import InputError
from thalweg.explorers._parts.cycles import cycles
from thalweg.explorers.fge import FGE
from thalweg.explorers.snapshot import Snapshot
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.point import Weights


class Watched(Problem):
    """Notes every training: its recipe, its learning rates and the weights after every step."""

    def fit(self, module, recipe, *name, on_step=None, **settings):
        rates, weights = [], []
        self.notes.append((recipe, rates, weights))

        def both(tick):
            rates.append(recipe.learning_rate(tick.step - 1, tick.steps))
            weights.append(Weights.of(module))
            if on_step is not None:
                on_step(tick)

        super().fit(module, recipe, *name, on_step=both, **settings)


def watched(epochs: float = 5, *, network=cases.no_norm, batches: int = 6, **settings) -> Watched:
    """A training of so many epochs; with one batch, an epoch is a step."""
    problem = Watched(
        network,
        Batches(*cases.task(16 * batches), size=16),
        Recipe(epochs=epochs, lr=0.1, **settings),
    )
    object.__setattr__(problem, "notes", [])
    return problem


def test_fge_goes_as_published():
    """200 epochs, of which 160 come first, then cycles of 4 between 0.05 and 0.0005, a member in
    the middle of each.
    """
    problem = watched(200, batches=1)
    found = FGE().explore(problem)
    (_, first, _), (_, second, weights) = problem.notes
    assert len(first) == 160 and first[0] == 0.1 and first[-1] == pytest.approx(0.05, rel=1e-3)
    assert second == pytest.approx(
        [reference.triangle(step, 4, 0.05, 0.0005) for step in range(40)], rel=1e-12
    )
    assert min(second) == pytest.approx(0.0005)
    contract.assert_same(list(found.points), weights[2::4])


@pytest.mark.parametrize("cycle", [7, 8])
def test_fge_members_are_where_the_rate_is_lowest(cycle):
    problem = watched(cycle, batches=5)  # the cyclic part is one epoch a cycle
    found = FGE(share=1.0, cycles=5).explore(problem)
    ((_, rates, weights),) = problem.notes
    lowest = [
        min(range(start, start + cycle), key=rates.__getitem__)
        for start in range(0, 5 * cycle, cycle)
    ]
    contract.assert_same(list(found.points), [weights[step] for step in lowest])


def test_fge_of_a_short_training_has_cycles_of_two_steps():
    problem = watched()
    found = FGE().explore(problem)
    _, (recipe, rates, _) = problem.notes
    assert recipe.cycles == 3 == found.size and rates == pytest.approx([0.05, 0.0005] * 3)


def test_fge_from_an_anchor_leaves_it_alone():
    problem = watched(network=cases.conv_batchnorm)
    anchor = problem.anchor(0)
    kept = {name: p.clone() for name, p in {**anchor.params, **anchor.buffers}.items()}
    explorer = FGE(share=0.4, start="anchor")
    with problem.measured() as own:
        explorer.explore(problem)
    assert all(
        torch.equal({**anchor.params, **anchor.buffers}[name], p) for name, p in kept.items()
    )
    assert explorer.anchors == 1 and own.cost.trainings == pytest.approx(1.4) == pytest.approx(
        explorer.trainings
    )


def test_snapshots_go_as_published():
    problem = watched(200, batches=1)
    found = Snapshot().explore(problem)
    ((_, rates, weights),) = problem.notes
    assert rates == pytest.approx(
        [reference.annealing(step, 40, 0.2) for step in range(200)], rel=1e-12
    )
    contract.assert_same(list(found.points), weights[39::40])


def test_weak_restarts_go_as_published():
    problem = watched(300, batches=1)
    explorer = Snapshot(cycles=10, budget=10 * 40 / 300, lr_ratio=0.4)
    found = explorer.explore(problem)
    ((_, rates, weights),) = problem.notes
    assert rates == pytest.approx(
        [reference.annealing(step, 40, 0.04) for step in range(400)], rel=1e-12
    )
    contract.assert_same(list(found.points), weights[39::40])
    assert problem.cost.trainings == pytest.approx(4 / 3) == pytest.approx(explorer.trainings)


def test_the_momentum_goes_on_over_a_restart():
    """Against torch's own SGD, driven by hand."""
    problem = watched(10, batches=1)
    found = Snapshot(2, lr_ratio=0.5).explore(problem)
    network = problem.build("snapshot")
    optimizer = torch.optim.SGD(network.parameters(), 0.05, 0.9, weight_decay=5e-4)
    loader = problem.batches("snapshot")
    for step in range(10):
        ((x, y),) = loader.epoch(step)
        optimizer.param_groups[0]["lr"] = reference.annealing(step, 5, 0.05)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
        if step % 5 == 4:
            member = found.points[step // 5]
            assert all(
                torch.allclose(member.params[name], p, atol=1e-6)
                for name, p in network.named_parameters()
            )


def test_a_warm_up_is_kept_in_the_first_cycle_in_proportion():
    problem = watched(100, batches=1, warmup=0.2)
    found = Snapshot(4).explore(problem)
    ((_, rates, weights),) = problem.notes
    assert rates[:6] == pytest.approx(
        [0.2 * (k + 1) / 6 for k in range(6)]
    )  # 0.2 of a cycle of 25: five steps, then the peak
    rises = [step for step in range(6, 100) if rates[step] > rates[step - 1]]
    assert len(rises) == 3 and all(rates[step] > 0.19 for step in rises)
    contract.assert_same(list(found.points), [weights[step - 1] for step in [*rises, 100]])


@pytest.mark.parametrize("warmup", [0.0, 0.03, 0.2])
@pytest.mark.parametrize("steps", [30, 31, 97])
@pytest.mark.parametrize("number", [1, 3, 4, 7])
def test_cycles_are_cut_where_the_rate_jumps(number, steps, warmup):
    recipe = Recipe(cycles=number, warmup=warmup)
    found = cycles(recipe, steps)
    assert [step for own in found for step in own] == list(range(steps)) and len(found) == number
    rates = [recipe.learning_rate(step, steps) for step in range(steps)]
    jumps = [
        step
        for step in range(1, steps)
        if rates[step] > rates[step - 1] and step > warmup * steps + 1
    ]
    assert [own[0] for own in found[1:]] == jumps


def test_a_training_without_room_for_its_cycles_says_so():
    with pytest.raises(
        InputError,
        match=r"31 cycles got a training of 30 steps, needs one step per cycle.*raise epochs",
    ):
        Snapshot(31).explore(watched())


def test_members_keep_their_own_batchnorm_statistics():
    problem = watched(network=cases.conv_batchnorm)
    for explorer in (FGE(), Snapshot()):
        points = explorer.explore(problem).points
        assert not torch.equal(
            points[0].buffers["1.running_mean"], points[-1].buffers["1.running_mean"]
        )


def test_another_recipe_schedule_does_not_change_the_cycles():
    for explorer in (FGE(), Snapshot()):
        problems = [watched(schedule=schedule, final_lr=0.01) for schedule in ("cosine", "linear")]
        for problem in problems:
            explorer.explore(problem)
        (one, _, _), (other, _, _) = (problem.notes[-1] for problem in problems)
        assert one == other and replace(one, cycles=1) != problems[0].recipe


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cycles": 0}, "fge.cycles got 0, needs a whole number"),
        ({"share": 1.5}, "fge.share got 1.5, needs 1e-09 to 1"),
        ({"lr_ratio": -1}, "fge.lr_ratio got -1, needs"),
        ({"depth": 2}, "fge.depth got 2, needs 0 to 1"),
        ({"start": "anchors"}, "fge.start got 'anchors', needs 'scratch' or 'anchor'"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        FGE(**settings)


def test_from_an_anchor_the_cycles_may_be_longer_than_a_training():
    assert FGE(share=1.5, start="anchor").trainings == 2.5


def test_a_budget_out_of_range():
    with pytest.raises(InputError, match=r"snapshot.budget got 0, needs"):
        Snapshot(budget=0)
