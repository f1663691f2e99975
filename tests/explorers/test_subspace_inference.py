"""Subspace inference: its sampler against a posterior in closed form, its subspace against a
singular value decomposition.
"""

import math

import pytest
import torch
from torch import Tensor

import cases
import contract
from thalweg.errors import InputError
from thalweg.explorers._parts.elliptical import elliptical_slice
from thalweg.explorers.subspace_inference import SubspaceInference, at, principal
from thalweg.landscape.loss import losses
from thalweg.training.problem import Problem
from thalweg.weights.gaussian import LowRankGaussian, Moments
from thalweg.weights.point import Weights, flatten


def chain(
    samples: int, seed: int = 0, std: float = 1.0, data: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """A chain whose likelihood is N(y; A z, 1), and the posterior's mean and covariance."""
    a = data * torch.tensor([[1.0, 0.5], [0.0, 1.5], [-1.0, 1.0]], dtype=torch.float64)
    y = data * torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
    covariance = torch.linalg.inv(a.T @ a + torch.eye(2, dtype=torch.float64) / std**2)
    random = torch.Generator().manual_seed(seed)
    start = torch.zeros(2, dtype=torch.float64)
    found = elliptical_slice(
        lambda z: -0.5 * float((y - a @ z).square().sum()), start, samples, random, std=std
    )
    return found, covariance @ a.T @ y, covariance


@pytest.mark.parametrize("std", [1.0, 3.0])
def test_the_samples_of_a_gaussian_posterior(std):
    n = 3000
    found, mean, covariance = chain(n, std=std)
    scale = covariance.diag()
    effective = (
        n / 10
    )  # samples of a chain are not independent: here, one in two to five is worth one that is
    assert ((found.mean(0) - mean).abs() < 4 * (scale / effective).sqrt()).all()
    standard_error = ((covariance**2 + scale[:, None] * scale[None, :]) / effective).sqrt()
    assert ((torch.cov(found.T) - covariance).abs() < 4 * standard_error).all()


def test_without_data_the_samples_are_the_priors():
    found, _, covariance = chain(2000, std=0.5, data=0.0)
    assert torch.equal(covariance, 0.25 * torch.eye(2, dtype=torch.float64))
    assert torch.allclose(torch.cov(found.T), covariance, atol=0.04)


def test_points_without_a_likelihood_are_never_samples():
    """A half plane, and one where it is not a number."""

    def half(z: Tensor) -> float:
        return 0.0 if z[0] > 0 else (-math.inf if z[1] > 0 else math.nan)

    found = elliptical_slice(half, torch.tensor([1.0, 0.0]), 300, torch.Generator().manual_seed(0))
    assert (found[:, 0] > 0).all() and found[:, 0].mean().item() == pytest.approx(
        math.sqrt(2 / math.pi), abs=0.15
    )


@pytest.mark.parametrize("height", [math.nan, -math.inf])
def test_a_start_without_a_likelihood(height):
    with pytest.raises(
        InputError, match=rf"where sampling starts got {height}, needs a finite number"
    ):
        elliptical_slice(lambda _: height, torch.zeros(2), 1, torch.Generator())


class Watched(Problem):
    """Notes the weights after every step of the last training."""

    def fit(self, module, recipe, *name, on_step=None, **settings):
        self.notes.clear()

        def both(tick):
            self.notes.append(Weights.of(module))
            if on_step is not None:
                on_step(tick)

        super().fit(module, recipe, *name, on_step=both, **settings)


def watched() -> Problem:
    problem = Watched(cases.no_norm, cases.batches(), cases.RECIPE)
    object.__setattr__(problem, "notes", [])
    return problem


def gaussian_of(steps: list[Weights], rank: int) -> LowRankGaussian:
    moments = Moments(rank)
    for weights in steps:
        moments.add(weights)
    return moments.gaussian(1.0)


def test_principal_components():
    random = torch.Generator().manual_seed(0)
    steps = [
        Weights(
            {
                "a": torch.randn(3, 4, generator=random, dtype=torch.float64),
                "b": torch.randn(5, generator=random, dtype=torch.float64),
            },
            {},
        )
        for _ in range(7)
    ]
    iterates = gaussian_of(steps, 6)
    rows = torch.cat([d.reshape(6, -1) for d in iterates.deviations.values()], 1)
    singular, vectors = torch.linalg.svd(rows, full_matrices=False)[1:]
    mean, *components = principal(iterates, 3)
    assert mean is iterates.mean and len(components) == 3
    for found, length, expected in zip(components, singular / math.sqrt(5), vectors, strict=False):
        along = flatten(found.params) @ expected
        assert (
            along.abs().item()
            == pytest.approx(length.item())
            == pytest.approx(flatten(found.params).norm().item())
        )
    origin = at([mean, *components], torch.zeros(3))
    assert torch.equal(flatten(origin.params), flatten(mean.params)) and origin.buffers is None


def coordinates(points, vertices) -> tuple[Tensor, Tensor]:
    """Least-squares coordinates `[points, rank]` of points along the components, and how far from
    the subspace they are.
    """
    mean, *components = (flatten(v.params) for v in vertices)
    shifts = torch.stack([flatten(p.params) - mean for p in points])
    solved = torch.linalg.lstsq(torch.stack(components, 1), shifts.T).solution.T
    return solved, (shifts - solved @ torch.stack(components)).norm(dim=1)


def test_a_hot_posterior_is_the_prior_about_the_swa_mean():
    problem = watched()
    found = SubspaceInference(
        rank=3, samples=100, temperature=1e9, prior=2.0, share=0.4, collect=4, examples=16
    ).explore(problem)
    vertices = principal(gaussian_of(problem.notes[2::3], 4), 3)
    z, off = coordinates(found.points, vertices)
    assert off.max().item() < 1e-5
    assert ((z.mean(0)).abs() < 5 * 2 / math.sqrt(100)).all()
    assert torch.allclose(z.std(0), torch.full((3,), 2.0, dtype=torch.float64), rtol=0.3)


def test_a_cold_posterior_stays_where_the_loss_is_low():
    hot, cold = (
        SubspaceInference(temperature=t, prior=3.0, samples=10).explore(cases.problem())
        for t in (1e9, 1e-3)
    )
    problem = cases.problem()
    assert losses(problem, cold.points).mean() < losses(problem, hot.points).mean()


def test_the_likelihood_is_metered_as_forward_work():
    problem = cases.problem("conv-batchnorm")
    found = SubspaceInference(samples=4, examples=16).explore(problem)
    assert problem.cost.trainings == pytest.approx(1, rel=0.01)
    assert found.size == 4 and all(p.buffers is None for p in found.points)
    each = 95 + 16  # a refresh on all examples, and a batch to evaluate
    assert problem.cost.forward_examples % each == 0 and problem.cost.forward_examples >= 5 * each


def test_the_same_seed_gives_the_same_samples():
    first, second = (SubspaceInference(samples=3).explore(cases.problem()) for _ in range(2))
    contract.assert_same(list(first.points), list(second.points))


@pytest.mark.parametrize(
    "settings",
    [
        {"rank": 0},
        {"rank": 20},
        {"samples": 0},
        {"temperature": 0},
        {"prior": 0},
        {"examples": 0},
        {"share": 2},
        {"collect": 1},
        {"lr_ratio": -1},
    ],
    ids=str,
)
def test_settings_out_of_range(settings):
    ((key, value),) = settings.items()
    with pytest.raises(
        InputError, match=rf"subspace-inference\.{key} got {value}, needs"
    ) as caught:
        SubspaceInference(**settings)
    assert "\n" not in str(caught.value)
