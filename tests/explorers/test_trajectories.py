"""SWA and MultiSWAG: what they make of the iterates that they share with SWAG."""

import pytest
import torch

import cases
from thalweg.errors import InputError
from thalweg.explorers.multiswag import MultiSwag
from thalweg.explorers.swa import Swa
from thalweg.prediction import predict
from thalweg.training.loop import Tick
from thalweg.training.problem import Problem
from thalweg.weights.gaussian import LowRankGaussian
from thalweg.weights.point import Weights


class Scripted(Problem):
    """A training that goes where it is told: every parameter is 1, 2, 4, 9 after four steps."""

    def fit(self, module, recipe, *name, watch=None, **settings):
        for step, value in enumerate((1.0, 2.0, 4.0, 9.0)):
            with torch.no_grad():
                for p in module.parameters():
                    p.fill_(value)
            if watch is not None:
                watch(Tick(step + 1, 4, False, torch.zeros(())))


@pytest.mark.conformance
def test_the_swa_mean_of_1_2_4_9_is_4():
    (point,) = Swa(collect=4).explore(Scripted(cases.no_norm, cases.batches(), cases.RECIPE)).points
    assert all(torch.equal(p, torch.full_like(p, 4.0)) for p in point.params.values())


class Watched(Problem):
    """Notes the weights after every step of every training, and the recipe."""

    def fit(self, module, recipe, *name, watch=None, **settings):
        self.notes.append((recipe, []))

        def both(tick):
            self.notes[-1][1].append(Weights.of(module))
            if watch is not None:
                watch(tick)

        super().fit(module, recipe, *name, watch=both, **settings)


def watched(network: str = "no-norm") -> Problem:
    problem = Watched(cases.NETWORKS[network], cases.batches(), cases.RECIPE)
    object.__setattr__(problem, "notes", [])
    return problem


def mean_of(steps: list[Weights]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([w.params[name] for w in steps]).double().mean(0) for name in steps[0].params}


def test_swa_is_the_mean_of_the_iterates_at_a_constant_rate():
    problem = watched()
    found = Swa(share=0.4, collect=4).explore(problem)
    (first, _), (second, steps) = problem.notes
    assert (first.epochs, second.epochs) == (3, 2) and len(steps) == 12
    assert first.final_lr == second.lr == pytest.approx(0.2 * cases.RECIPE.lr) and second.schedule == "constant"
    for name, expected in mean_of(steps[2::3]).items():
        assert torch.allclose(found.points[0].params[name].double(), expected, atol=1e-6)


def test_swa_is_refreshed_where_it_predicts():
    problem = watched("conv-batchnorm")
    found = Swa().explore(problem)
    last = problem.notes[-1][1][-1]
    assert found.points[0].buffers is None
    assert all(torch.equal(found.points[0].stale[name], b) for name, b in last.buffers.items())
    (refreshed,) = problem.refresh(problem.build("network"), found.points)
    x = cases.held_out()[0]
    assert torch.equal(predict(problem, found, x).log_probs, predict(problem, refreshed, x).log_probs)


def test_multiswag_has_a_gaussian_for_each_training():
    problem = watched()
    found = MultiSwag(members=2, share=0.4, collect=4, rank=3, scale=0.7).explore(problem)
    assert problem.cost.trainings == 2.0 and len(problem.notes) == 4
    assert not torch.equal(problem.notes[0][1][0].params["1.weight"], problem.notes[2][1][0].params["1.weight"])
    for part, (_, steps) in zip(found.parts, problem.notes[1::2], strict=True):
        assert isinstance(part, LowRankGaussian) and part.scale == 0.7 and part.deviations["1.weight"].shape == (3, 8, 36)
        for name, expected in mean_of(steps[2::3]).items():
            assert torch.allclose(part.mean.params[name].double(), expected, atol=1e-6)


@pytest.mark.parametrize(("cls", "settings"), [
    (Swa, {"share": 1.5}), (Swa, {"collect": 1}), (Swa, {"lr_ratio": -1}),
    (MultiSwag, {"members": 0}), (MultiSwag, {"share": 0}), (MultiSwag, {"rank": -1}), (MultiSwag, {"scale": -1}),
], ids=str)  # fmt: skip
def test_settings_out_of_range(cls, settings):
    ((key, value),) = settings.items()
    with pytest.raises(InputError, match=rf"swag?\.{key} got {value}, needs") as caught:
        cls(**settings)
    assert "\n" not in str(caught.value)
