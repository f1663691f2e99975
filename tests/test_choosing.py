"""Choosing what to buy next: worlds of Gaussians whose variances and biases are known."""

import math

import pytest
import torch
from torch import Tensor

from research.choosing import page
from research.choosing.priors import fitted
from research.choosing.worth import State
from research.skeleton import stored
from thalweg.choosing import PRIOR, Prior, Spending, Witnesses, choose, foreseen, witnesses, worth
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group
from thalweg.errors import InputError
from thalweg.narrow.width import feared_error
from thalweg.predictions import Predictions
from thalweg.seeds import generator

INPUTS, OUTPUTS = 3000, 4


def world(
    whole: int, copies: int, *, variance: float, bias: float, ratio: float = 0.5, seed: int = 0
) -> Observations:
    """Networks of unit variance, and copies with another variance and a fixed bias."""
    random = generator(seed, "world")

    def drawn(count: int) -> Tensor:
        return torch.randn(count, INPUTS, OUTPUTS, generator=random, dtype=torch.float64)

    centre = 10 * drawn(1)
    own = centre + drawn(whole) / math.sqrt(OUTPUTS)
    away = math.sqrt(bias / OUTPUTS) * drawn(1)
    theirs = centre + away + math.sqrt(variance / OUTPUTS) * drawn(copies)
    said = (Predictions.from_values(own), Predictions.from_values(theirs) if copies else None)
    return Observations(*said, width_ratio=ratio)


@pytest.mark.parametrize("variance", [1.0, 1.26, 1.6])
@pytest.mark.parametrize("bias", [0.1, 0.5, 2.0])
def test_two_trainings_and_copies_tell_variance_and_bias(variance: float, bias: float) -> None:
    found = witnesses(Group.of(world(3, 6, variance=variance, bias=bias)))
    assert found.variance == pytest.approx(variance, rel=0.15)
    assert found.bias == pytest.approx(bias, rel=0.4, abs=0.08)


def test_one_training_and_two_copies_tell_a_large_bias_from_a_small_one() -> None:
    """They are three numbers for three unknowns, of which the prior knows something."""
    found = [
        witnesses(Group.of(world(1, 2, variance=1.3, bias=bias))).bias for bias in (0.0, 0.5, 2, 8)
    ]
    assert found == sorted(found)
    assert found[0] < 0.25
    assert found[3] > 4


def test_nothing_seen_leaves_the_prior() -> None:
    same = Predictions.from_values(torch.ones(1, 50, 2))
    found = witnesses(Group.of(Observations(same, same, width_ratio=0.5)))
    alone = witnesses(Group.of(world(1, 1, variance=9.0, bias=50.0)))  # one number for two unknowns
    assert found == alone


def test_the_estimate_has_no_units() -> None:
    known = world(1, 2, variance=1.3, bias=0.4)
    anchors, proxies = (
        Predictions.from_values(1e6 * own.values().double())
        for own in (known.anchors, known.proxies)
    )
    scaled = Observations(anchors, proxies, width_ratio=0.5)
    first, second = (witnesses(Group.of(own)) for own in (known, scaled))
    assert second.variance == pytest.approx(first.variance)
    assert second.bias == pytest.approx(first.bias)


@pytest.mark.parametrize("seed", range(5))
def test_a_large_bias_buys_a_full_training_and_none_buys_copies(seed: int) -> None:
    blind = world(1, 2, variance=1.3, bias=8.0, seed=seed)
    bought = choose(blind, budget=1.05, copy_cost=0.1)
    assert (bought.whole, bought.copies) == (1, 0)
    assert "full training" in bought.reason
    good = world(1, 2, variance=1.3, bias=0.0, seed=seed)
    bought = choose(good, budget=1.05, copy_cost=0.1)
    assert (bought.whole, bought.copies) == (0, 10)
    assert bought.expected_error < 0.3


def test_copies_that_know_nothing_are_not_bought() -> None:
    bought = choose(world(1, 2, variance=1.3, bias=20.0), budget=0.9, copy_cost=0.3)
    assert bought.nothing
    assert "not worth its cost" in bought.reason
    assert 0.85 < bought.expected_error < 1


def test_what_is_not_affordable_is_not_bought() -> None:
    known = world(1, 2, variance=1.3, bias=3.0)
    for budget in (0.0, 0.2, 0.5, 1.0, 1.3, 2.7):
        bought = choose(known, budget, copy_cost=0.3)
        assert bought.whole + 0.3 * bought.copies <= budget * (1 + 1e-6)
    assert "affordable" in choose(known, 0.2, copy_cost=0.3).reason


def test_without_copies_that_learned_a_full_training_is_bought() -> None:
    known = world(1, 0, variance=1.0, bias=0.0)
    assert choose(known, 2.4, copy_cost=0.3).whole == 1
    assert choose(known, 0.9, copy_cost=0.3).nothing


def test_the_expected_error_is_that_of_the_best_weights() -> None:
    made = Witnesses(variance=1.5, bias=0.25)
    weights = torch.linspace(0, 1, 100001, dtype=torch.float64)
    mixed = (1 - weights) ** 2 / 2 + weights**2 * (1.5 / 3 + 0.25)
    assert made.error(2, 3) == pytest.approx(float(mixed.min()), rel=1e-6)
    assert made.error(2, 0) == 0.5
    assert worth(1.0) == pytest.approx(1 / (math.sqrt(2) - 1))


def test_what_is_foreseen_is_the_least_expected_error() -> None:
    costs = {0.7: 0.55, 0.5: 0.3, 0.35: 0.16, 0.25: 0.09}
    for budget in (0.3, 0.5, 1.0, 1.7, 2.0, 4.0):
        best = min(
            (1 / (1 + k + 1 / feared_error(ratio, n)), Spending(ratio, k, n))
            for ratio, cost in costs.items()
            for k in range(5)
            for n in range(2, 50)
            if k + n * cost <= budget + 1e-9
        )[1]
        assert foreseen(costs, budget) == best
    with pytest.raises(InputError, match=r"needs 0\.18 or more for 2 narrow copies"):
        foreseen(costs, 0.1)


def test_bad_input_is_one_line() -> None:
    known = world(1, 2, variance=1.3, bias=0.2)
    with pytest.raises(InputError, match="budget"):
        choose(known, -1.0, copy_cost=0.3)
    with pytest.raises(InputError, match="copy_cost"):
        choose(known, 1.0, copy_cost=0.0)
    with pytest.raises(InputError, match="no narrow copy"):
        witnesses(Group.of(world(2, 0, variance=1.0, bias=0.0)))


def test_a_prior_is_fitted_to_the_facts_of_tasks() -> None:
    known = Prior(0.5, 0.2, 0.3, 1.2, 0.8, 0.1)
    random = generator(1, "tasks")
    tasks = []
    for _ in range(400):
        deviations = torch.randn(2, 4, generator=random).tolist()
        narrow = {
            str(ratio): (
                ratio**-known.variance * math.exp(known.variance_deviation * x),
                known.bias
                * (1 / ratio - 1) ** known.bias_power
                * math.exp(known.bias_deviation * y),
            )
            for ratio, x, y in zip((0.7, 0.5, 0.35, 0.25), *deviations, strict=True)
        }
        tasks.append({"narrow": narrow, "noise": 0.1})
    found = fitted(tasks)
    for name, value in vars(known).items():
        assert getattr(found, name) == pytest.approx(value, rel=0.12), name


def test_the_prior_is_that_of_the_committed_tasks() -> None:
    found = fitted(stored(page.RESULTS))
    for name, value in vars(PRIOR).items():
        assert value == round(getattr(found, name), 2), name


def test_the_page_is_made_of_the_committed_results() -> None:
    assert not page.stale(), "python -m research.choosing page"


@pytest.mark.parametrize("state", [State(1), State(3), State(2, 0.35, 12)])
def test_a_state_is_read_from_its_text(state: State) -> None:
    assert State.of(str(state)) == state
