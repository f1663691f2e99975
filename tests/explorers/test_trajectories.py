"""SWA and MultiSWAG: what they make of the iterates that they share with SWAG."""

from dataclasses import replace

import pytest
import torch

import cases
from thalweg.errors import InputError
from thalweg.explorers.fge import FGE
from thalweg.explorers.multiswag import MultiSWAG
from thalweg.explorers.subspace_inference import SubspaceInference
from thalweg.explorers.swa import SWA
from thalweg.explorers.swag import SWAG
from thalweg.predicting import predict
from thalweg.training.loop import StepInfo
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.gaussian import LowRankGaussian
from thalweg.weights.point import Weights


class Scripted(Problem):
    """A training that goes where it is told: every parameter is 1, 2, 4, 9 after four steps."""

    def fit(self, module, recipe, *name, on_step=None, **settings):
        for step, value in enumerate((1.0, 2.0, 4.0, 9.0)):
            with torch.no_grad():
                for p in module.parameters():
                    p.fill_(value)
            if on_step is not None:
                on_step(StepInfo(step + 1, 4, False, torch.zeros(())))


def test_the_swa_mean_of_1_2_4_9_is_4():
    (point,) = SWA(collect=4).explore(Scripted(cases.no_norm, cases.batches(), cases.RECIPE)).points
    assert all(torch.equal(p, torch.full_like(p, 4.0)) for p in point.params.values())


class Watched(Problem):
    """Notes the weights after every step of every training, and the recipe."""

    def fit(self, module, recipe, *name, on_step=None, **settings):
        self.notes.append((recipe, []))

        def both(tick):
            self.notes[-1][1].append(Weights.of(module))
            if on_step is not None:
                on_step(tick)

        super().fit(module, recipe, *name, on_step=both, **settings)


def watched(network: str = "no-norm", recipe: Recipe = cases.RECIPE) -> Problem:
    problem = Watched(cases.NETWORKS[network], cases.batches(), recipe)
    object.__setattr__(problem, "notes", [])
    return problem


def mean_of(steps: list[Weights]) -> dict[str, torch.Tensor]:
    return {
        name: torch.stack([w.params[name] for w in steps]).double().mean(0)
        for name in steps[0].params
    }


def test_swa_is_the_mean_of_the_iterates_at_a_constant_rate():
    problem = watched()
    found = SWA(share=0.4, collect=4).explore(problem)
    (first, _), (second, steps) = problem.notes
    assert (first.epochs, second.epochs) == (3, 2) and len(steps) == 12
    assert (
        first.final_lr == second.lr == pytest.approx(0.2 * cases.RECIPE.lr)
        and second.schedule == "constant"
    )
    for name, expected in mean_of(steps[2::3]).items():
        assert torch.allclose(found.points[0].params[name].double(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "constant"},
        {"schedule": "triangle"},
        {"schedule": "triangle", "cycles": 3},
        {"schedule": "linear"},
        {},
        {"cycles": 2},
        {"schedule": "constant", "warmup": 0.2},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("explorer", "ratio"), [(SWA(), 0.2), (FGE(lr_ratio=0.3), 0.3)], ids=["swa", "fge"]
)
def test_the_first_part_ends_at_the_rate_of_the_last(explorer, ratio, settings):
    """The next step would have it, whatever the recipe's schedule."""
    recipe = replace(cases.RECIPE, epochs=50, **settings)
    problem = watched(recipe=recipe)
    explorer.explore(problem)
    (first, steps), (last, _) = problem.notes
    rates = [first.learning_rate(step, len(steps)) for step in range(len(steps))]
    assert last.lr == pytest.approx(ratio * recipe.lr) and max(rates) == pytest.approx(
        recipe.lr, rel=0.02
    )
    assert rates[-1] == pytest.approx(last.lr, rel=0.05)
    assert (first.schedule, first.cycles, first.warmup) == {
        "constant": ("cosine", 1, recipe.warmup),
        "triangle": ("cosine", 1, 0.0),
    }.get(recipe.schedule, (recipe.schedule, recipe.cycles, 0.0))


@pytest.mark.parametrize(
    "explorer",
    [
        SWA(share=0.03),
        MultiSWAG(share=0.03),
        SubspaceInference(share=0.03),
        SWAG(share=0.03),
        SWAG(share=0.03, start="anchor"),
    ],
    ids=lambda explorer: type(explorer).__name__,
)
def test_a_last_part_of_one_step_is_refused_before_a_training(explorer):
    problem = cases.problem()
    with pytest.raises(
        InputError,
        match="got 1 step to collect iterates in, needs 2 or more: raise epochs or share",
    ) as caught:
        explorer.explore(problem)
    assert problem.cost.trainings == 0 and "\n" not in str(caught.value)


def test_swa_is_refreshed_where_it_predicts():
    problem = watched("conv-batchnorm")
    found = SWA().explore(problem)
    last = problem.notes[-1][1][-1]
    assert found.points[0].buffers is None
    assert all(torch.equal(found.points[0].stale[name], b) for name, b in last.buffers.items())
    (refreshed,) = problem.refresh(problem.build("network"), found.points)
    x = cases.held_out()[0]
    assert torch.equal(
        predict(problem, found, x).log_probs, predict(problem, refreshed, x).log_probs
    )


def test_multiswag_has_a_gaussian_for_each_training():
    problem = watched()
    found = MultiSWAG(members=2, share=0.4, collect=4, rank=3, scale=0.7).explore(problem)
    assert problem.cost.trainings == 2.0 and len(problem.notes) == 4
    assert not torch.equal(
        problem.notes[0][1][0].params["1.weight"], problem.notes[2][1][0].params["1.weight"]
    )
    for part, (_, steps) in zip(found.parts, problem.notes[1::2], strict=True):
        assert (
            isinstance(part, LowRankGaussian)
            and part.scale == 0.7
            and part.deviations["1.weight"].shape == (3, 8, 36)
        )
        for name, expected in mean_of(steps[2::3]).items():
            assert torch.allclose(part.mean.params[name].double(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (SWA, {"share": 1.5}),
        (SWA, {"collect": 1}),
        (SWA, {"lr_ratio": -1}),
        (MultiSWAG, {"members": 0}),
        (MultiSWAG, {"share": 0}),
        (MultiSWAG, {"rank": -1}),
        (MultiSWAG, {"scale": -1}),
    ],
    ids=str,
)
def test_settings_out_of_range(cls, settings):
    ((key, value),) = settings.items()
    with pytest.raises(InputError, match=rf"swag?\.{key} got {value}, needs") as caught:
        cls(**settings)
    assert "\n" not in str(caught.value)
