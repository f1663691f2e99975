"""Cyclical SGLD and SGHMC: the law of their samples on a Gaussian, and when there is noise."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import cases
import contract
import reference
from thalweg.errors import InputError
from thalweg.explorers._parts.sgmcmc import langevin
from thalweg.explorers.csghmc import CyclicalSGHMC
from thalweg.explorers.csgld import CyclicalSGLD
from thalweg.meter import Meter
from thalweg.training.batches import Batches
from thalweg.training.loop import train
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.point import Weights

CHAINS = 20_000
X = np.array([[1.0, 0.3], [-0.4, 0.8], [0.9, -0.5], [0.2, 1.1]])
Y = np.array([0.5, -1.0, 0.2, 0.8])


class Chains(nn.Module):
    """Linear regression with two weights, many times over: `[examples, 2]` to `[examples,
    chains]`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(2, CHAINS))

    def forward(self, x):
        return x @ self.theta


def squares(outputs, targets):
    """Of every chain: half the mean squared error over the examples.

    Summed, so that each has its own gradient.
    """
    return (outputs - targets[:, None]).square().mean(0).sum() / 2


def run(recipe: Recipe, temperature: float) -> np.ndarray:
    """Ends of independent chains `[2, chains]`, all of whose steps have noise."""
    torch.manual_seed(0)
    module, batches = Chains(), [(torch.tensor(X).float(), torch.tensor(Y).float())]
    steps = recipe.steps(1)
    before_step = langevin(module, recipe, steps, range(steps), variance=temperature / len(X))
    train(module, batches, recipe, Meter(), loss=squares, before_step=before_step)
    return module.theta.detach().double().numpy()


@pytest.mark.parametrize(("momentum", "lr"), [(0.0, 0.05), (0.1, 0.05), (0.9, 0.005)])
@pytest.mark.parametrize(("temperature", "weight_decay"), [(1.0, 0.0), (0.25, 0.3)])
def test_chains_follow_the_gaussian_posterior(momentum, lr, temperature, weight_decay):
    """Density exp(-N (loss + weight decay / 2 |theta|^2) / T): mean A^-1 X'y / N, covariance T / N
    A^-1.
    """
    recipe = Recipe(
        epochs=400, lr=lr, momentum=momentum, weight_decay=weight_decay, schedule="constant"
    )
    theta = run(recipe, temperature)
    curvature = X.T @ X / len(X) + weight_decay * np.eye(2)
    mean, covariance = (
        np.linalg.solve(curvature, X.T @ Y / len(X)),
        temperature / len(X) * np.linalg.inv(curvature),
    )
    own = reference.sgd_covariance(
        curvature, lr, momentum, 2 * (1 - momentum) * temperature / (len(X) * lr)
    )
    assert np.abs(own / covariance - 1).max() < 0.03, "small steps: nearly the posterior"
    error = np.sqrt(np.diag(own) / CHAINS)
    assert (np.abs(theta.mean(1) - mean) < 5 * error).all()
    largest = np.sqrt(np.outer(np.diag(own), np.diag(own)) * 2 / CHAINS)
    assert (np.abs(np.cov(theta) - own) < 5 * largest).all()


def test_large_steps_widen_the_law_as_the_discretised_chain_says():
    recipe = Recipe(epochs=100, lr=1.0, momentum=0.0, weight_decay=0.0, schedule="constant")
    curvature = X.T @ X / len(X)
    own = reference.sgd_covariance(curvature, 1.0, 0.0, 2 / len(X))
    assert (np.diag(own) > 1.2 * np.diag(np.linalg.inv(curvature) / len(X))).all()
    assert np.cov(run(recipe, 1.0)) == pytest.approx(own, abs=5 * own.max() * math.sqrt(2 / CHAINS))


@pytest.mark.parametrize(("momentum", "lr"), [(0.0, 0.3), (0.4, 0.1)])
def test_the_noise_has_the_variance_of_the_formula(momentum, lr):
    """Where it has noise at all, at the learning rate of the step."""
    torch.manual_seed(0)
    module = nn.Linear(150, 150)
    before_step = langevin(
        module, Recipe(lr=lr, momentum=momentum, schedule="linear"), 10, {3, 8}, variance=0.7
    )
    for step in range(10):
        module.weight.grad, module.bias.grad = torch.ones_like(module.weight), None
        before_step()
        rate = reference.learning_rate(step, 10, lr, 0.0, "linear", 0.0)
        wanted = 2 * (1 - momentum) * 0.7 / rate if step in (3, 8) else 0.0
        assert float(module.weight.grad.double().var()) == pytest.approx(wanted, rel=0.05)
        assert float(module.weight.grad.double().mean()) == pytest.approx(
            1, abs=5 * math.sqrt(wanted / 150**2)
        )
        assert module.bias.grad is None


class Watched(Problem):
    """Notes recipes, weights after every step, and gradients before and after they are adjusted."""

    def fit(self, module, recipe, *name, on_step=None, before_step=None, **settings):
        def seen():
            before = [p.grad.clone() for p in module.parameters()]
            before_step()
            after = [p.grad for p in module.parameters()]
            changed.append(
                math.sqrt(
                    sum(float((a - b).square().sum()) for a, b in zip(after, before, strict=True))
                )
            )

        def both(tick):
            weights.append(Weights.of(module))
            on_step(tick)

        changed, weights = [], []
        super().fit(module, recipe, *name, before_step=seen, on_step=both, **settings)
        self.notes.append((recipe, changed, weights))


def watched(epochs: float = 200, *, batches: int = 1, **settings) -> Watched:
    """With one batch, an epoch is a step."""
    problem = Watched(
        cases.no_norm,
        Batches(*cases.task(16 * batches), size=16),
        Recipe(epochs=epochs, lr=0.1, **settings),
    )
    object.__setattr__(problem, "notes", [])
    return problem


@pytest.mark.parametrize("explorer", [CyclicalSGLD(), CyclicalSGHMC()])
def test_it_goes_as_published(explorer):
    """200 epochs, 4 cycles of 50, noise in the last 5 of each, samples after the last three."""
    problem = watched()
    found = explorer.explore(problem)
    ((recipe, changed, weights),) = problem.notes
    momentum = 0.1 if isinstance(explorer, CyclicalSGHMC) else 0.0
    # the authors' 0.5 of batch 64, in steps of lr / batch; the usual training's 0.1 / (1 - 0.9) of
    # batch 128
    peak = 0.5 / 64 * 128
    rates = [recipe.learning_rate(step, 200) for step in range(200)]
    assert recipe.momentum == pytest.approx(momentum) and not recipe.nesterov
    assert rates == pytest.approx(
        [reference.annealing(step, 50, peak) for step in range(200)], rel=1e-12
    )
    assert [step for step in range(200) if changed[step]] == [
        step for step in range(200) if step % 50 >= 45
    ]
    contract.assert_same(
        list(found.points), [weights[step] for step in range(200) if step % 50 >= 47]
    )
    variances = {
        step: 2 * (1 - momentum) / (16 * 16 * rates[step]) for step in range(200) if changed[step]
    }
    numbers = sum(p.numel() for p in weights[0].params.values())
    for step, variance in variances.items():
        assert changed[step] == pytest.approx(
            math.sqrt(numbers * variance), rel=0.2
        )  # chi with 323 degrees of freedom


def test_the_effective_rate_is_the_recipes():
    """lr / (1 - momentum), whatever the momentum of either."""
    for momentum in (0.0, 0.5):
        problem = watched(60, momentum=0.8)
        CyclicalSGHMC(momentum=momentum, lr_ratio=1.0).explore(problem)
        recipe = problem.notes[0][0]
        assert recipe.lr / (1 - recipe.momentum) == pytest.approx(0.1 / (1 - 0.8))


def test_without_momentum_csghmc_is_csgld():
    law = {"cycles": 3, "lr_ratio": 0.5, "temperature": 0.1, "noise": 0.3}
    one, other = watched(60), watched(60)
    CyclicalSGLD(**law).explore(one)
    CyclicalSGHMC(momentum=0.0, **law).explore(other)
    assert one.notes[0][0] == other.notes[0][0]
    own, others = (
        [step for step, size in enumerate(problem.notes[0][1]) if size] for problem in (one, other)
    )
    assert own == others == [step for step in range(60) if step % 20 >= 14]


def test_without_temperature_it_is_plain_training():
    problem = watched(40)
    found = CyclicalSGLD(temperature=0.0).explore(problem)
    _, changed, _ = problem.notes[0]
    assert not any(changed)
    network = problem.build("csgld")
    optimizer = torch.optim.SGD(network.parameters(), 1.0, 0.0, weight_decay=5e-4)
    loader = problem.batches("csgld")
    for step in range(40):
        ((x, y),) = loader.epoch(step)
        optimizer.param_groups[0]["lr"] = reference.annealing(step, 10, 1.0)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    assert all(
        torch.allclose(found.points[-1].params[name], p, atol=1e-5)
        for name, p in network.named_parameters()
    )


def test_a_short_training_has_samples_and_noise_at_every_step_of_the_end():
    problem = watched(5, batches=6)
    found = CyclicalSGLD().explore(problem)
    _, changed, weights = problem.notes[0]
    ends = [7, 14, 22, 29]  # of four cycles of 7.5 steps
    noisy = sorted(end - k for end in ends for k in range(3))
    assert [step for step, size in enumerate(changed) if size] == noisy
    contract.assert_same(list(found.points), [weights[step] for step in noisy])


@pytest.mark.parametrize(("samples", "part"), [(1, 0.5), (5, 0.5), (5, 1.0), (10, 1.0), (2, 0.0)])
def test_samples_are_spread_over_the_end_of_a_cycle(samples, part):
    problem = watched(20)
    found = CyclicalSGLD(cycles=2, samples=samples, collect=part, noise=0.0).explore(problem)
    weights = problem.notes[0][2]
    distance = max(1, round(part * 10 / samples))
    steps = [end - k * distance for end in (9, 19) for k in reversed(range(samples))]
    contract.assert_same(list(found.points), [weights[step] for step in steps])


def test_a_budget_of_two_trainings_costs_two():
    problem, explorer = cases.problem(), CyclicalSGLD(cycles=8, budget=2.0)
    found = explorer.explore(problem)
    assert problem.cost.trainings == 2.0 == explorer.trainings and found.size == 24


def test_gradients_are_not_clipped_lest_the_noise_be():
    problem = watched(12, clip=1e-6)
    CyclicalSGLD(cycles=1).explore(problem)
    assert problem.notes[0][0].clip is None


def test_an_adaptive_optimiser_has_no_such_law():
    with pytest.raises(
        InputError, match=r"csghmc got a recipe with optimizer 'adamw', needs 'sgd'"
    ):
        CyclicalSGHMC().explore(cases.problem(recipe=replace(cases.RECIPE, optimizer="adamw")))


def test_a_cycle_too_short_for_its_samples_says_so():
    with pytest.raises(
        InputError,
        match=r"csgld.samples got 8, but a cycle has . steps .*raise epochs, or lower cycles",
    ):
        CyclicalSGLD(samples=8).explore(cases.problem())


@pytest.mark.parametrize(("cls", "name"), [(CyclicalSGLD, "csgld"), (CyclicalSGHMC, "csghmc")])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cycles": 0}, "cycles got 0, needs a whole number"),
        ({"samples": 2.5}, "samples got 2.5, needs a whole number"),
        ({"collect": 1.5}, "collect got 1.5, needs 0 to 1"),
        ({"noise": -0.1}, "noise got -0.1, needs 0 to 1"),
        ({"lr_ratio": 0}, "lr_ratio got 0, needs"),
        ({"temperature": -1}, "temperature got -1, needs"),
        ({"budget": 0}, "budget got 0, needs"),
    ],
)
def test_settings_out_of_range(cls, name, settings, message):
    with pytest.raises(InputError, match=f"{name}.{message}"):
        cls(**settings)


def test_momentum_out_of_range():
    with pytest.raises(InputError, match=r"csghmc.momentum got 1, needs 0 to 0.999"):
        CyclicalSGHMC(momentum=1)
