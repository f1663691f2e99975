"""SWAG: which iterates it takes, and what its Gaussian is."""

import pytest
import torch

import cases
import contract
from thalweg.errors import InputError
from thalweg.explorers.swag import SWAG
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights


class Watched(Problem):
    """Notes the weights after every step, and the recipes."""

    def fit(self, module, recipe, *name, on_step=None, **settings):
        self.notes.append((recipe, []))

        def both(tick):
            self.notes[-1][1].append(Weights.of(module))
            if on_step is not None:
                on_step(tick)

        super().fit(module, recipe, *name, on_step=both, **settings)


def watched(**settings) -> Problem:
    problem = Watched(cases.no_norm, cases.batches(), cases.RECIPE, **settings)
    object.__setattr__(problem, "notes", [])
    return problem


def test_mean_variance_and_deviations_are_those_of_the_iterates():
    problem = watched()
    found = SWAG(share=0.4, collect=4, rank=3).explore(problem)
    (first, _), (second, steps) = problem.notes
    assert len(steps) == 12 and first.epochs == 3 and second.epochs == 2
    taken = torch.stack(
        [w.params["1.weight"] for w in steps[2::3]]
    ).double()  # after steps 3, 6, 9, 12
    assert torch.allclose(found.mean.params["1.weight"].double(), taken.mean(0), atol=1e-6)
    assert torch.allclose(
        found.variance["1.weight"].double(), taken.var(0, correction=0), atol=1e-7
    )
    running = torch.stack([taken[: i + 1].mean(0) for i in range(4)])
    assert torch.allclose(found.deviations["1.weight"].double(), (taken - running)[1:], atol=1e-6)
    assert found.scale == 0.5


def test_the_first_part_ends_at_the_rate_that_the_second_keeps():
    problem = watched()
    SWAG().explore(problem)
    first, second = (recipe for recipe, _ in problem.notes)
    assert first.lr == cases.RECIPE.lr and first.final_lr == second.lr == pytest.approx(
        0.2 * cases.RECIPE.lr
    )
    assert (
        second.schedule == "constant"
        and second.learning_rate(0, 14) == second.learning_rate(13, 14) == second.lr
    )


@pytest.mark.parametrize(
    ("share", "start", "cost"), [(0.4, "scratch", 1.0), (1.0, "scratch", 1.0), (0.4, "anchor", 1.4)]
)
def test_cost(share, start, cost):
    problem = cases.problem()
    explorer = SWAG(share=share, start=start)
    explorer.explore(problem)
    assert problem.cost.trainings == pytest.approx(cost) == pytest.approx(
        explorer.trainings
    ) and explorer.anchors == (start == "anchor")


def test_from_an_anchor_the_anchor_is_left_alone():
    problem = cases.problem("conv-batchnorm")
    anchor = problem.anchor(0)
    kept = {name: p.clone() for name, p in {**anchor.params, **anchor.buffers}.items()}
    SWAG(start="anchor").explore(problem)
    assert all(
        torch.equal({**anchor.params, **anchor.buffers}[name], p) for name, p in kept.items()
    )


def test_no_scale_draws_the_mean():
    found = SWAG(scale=0.0).explore(cases.problem())
    for w in found.draw(2, seed=0):
        contract.assert_same([w], [Weights(found.mean.params, stale=found.mean.stale)])


def test_too_short_a_training_says_so():
    with pytest.raises(
        InputError,
        match="got 1 step to collect iterates in, needs 2 or more: raise epochs or share",
    ):
        SWAG(share=1 / 30).explore(cases.problem())
