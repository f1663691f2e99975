"""When there are enough: what u may be off by, and when training ends."""

import math

import pytest
import torch
from scipy import stats

import thalweg
from research.sources.stopping import clause, ours
from research.sources.worlds import effects
from thalweg import Batches, Problem, Recipe
from thalweg.errors import InputError
from thalweg.predictions import Predictions
from thalweg.sources import stability, until_stable

WORLDS = 120


def normal(*shape, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=random, dtype=torch.float64)


@pytest.mark.parametrize(
    ("u", "digits", "tolerance"),
    [(0.0312, 1, 0.005), (0.0312, 2, 0.0005), (4.2, 1, 0.5), (0.97, 1, 0.05), (120.0, 2, 5.0)],
)
def test_the_tolerance_is_that_of_the_clause(u, digits, tolerance):
    """JCGM 101:2008, 7.9.2: half a unit of the last significant digit."""
    values = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)[:, None] * u
    found = stability(Predictions.from_values(values), digits)
    assert found.u == pytest.approx(u) and found.tolerance == pytest.approx(tolerance)


def test_u_of_u_is_the_jackknifes_or_that_of_chi_square():
    values = normal(30, 1, 1)
    found = stability(Predictions.from_values(values))
    y = values.flatten()
    left = torch.stack([torch.cat([y[:k], y[k + 1 :]]).std() for k in range(30)])
    jackknife = math.sqrt(29 / 30 * float((left - left.mean()).square().sum()))
    chi = float(y.std()) / math.sqrt(2 * 29)
    assert found.u_of_u == pytest.approx(max(jackknife, chi), rel=0.02)
    assert found.reach == pytest.approx(float(stats.t.ppf(0.975, 29)) * found.u_of_u)


def test_a_mean_over_inputs_is_known_better_than_one_input():
    values = normal(30, 50, 1)
    mean = stability(Predictions.from_values(values))
    each = stability(Predictions.from_values(values), over="each")
    assert mean.u_of_u < 0.3 * each.u_of_u
    assert each.share < 1 and each.needed > 30 and "are needed" in str(each)


def test_networks_that_say_the_same_are_enough():
    found = stability(Predictions.from_values(torch.ones(3, 4, 1)), over="each")
    assert found.is_stable and found.u == 0 and found.share == 1


def test_the_number_that_is_needed_is_about_enough():
    few = stability(Predictions.from_values(normal(40, 1, 1)), relative=0.05)
    assert not few.is_stable
    more = stability(Predictions.from_values(normal(few.needed, 1, 1)), relative=0.05)
    assert more.reach == pytest.approx(more.tolerance, rel=0.3)


def test_the_rule_is_seldom_wrong_where_the_clauses_own_often_is():
    """u = 0.3 of one input is wanted within 0.05: from five networks a block, the clause's rule
    finds some blocks alike by chance.
    """
    values = 0.3 * effects([(k,) for k in range(150)], {(0,): 1.0}, WORLDS, "test of stopping")
    wrong = {}
    for rule in (clause, ours):
        found = [rule(own) for own in values]
        stopped = [own for own in found if own[3]]
        assert len(stopped) >= 0.9 * WORLDS
        wrong[rule] = sum(abs(u - 0.3) > tolerance for _, u, tolerance, _ in stopped) / len(stopped)
    assert wrong[ours] <= 0.05 < 0.15 < wrong[clause]


def test_it_ends_at_the_limit_and_says_so():
    found = until_stable(
        lambda there, wanted: Predictions.from_values(normal(wanted, 1, 1, seed=there)),
        digits=2,
        smallest=5,
        largest=12,
        block=5,
    )
    assert found.limited and found.predictions.members == 12
    assert [own.members for own in found.history] == [5, 10, 12]
    assert str(found).startswith("the limit of 12 came first: ")


def test_it_must_be_stable_twice_in_a_row():
    found = until_stable(
        lambda there, wanted: Predictions.from_values(normal(wanted, 200, 1, seed=there)),
        relative=0.2,
        smallest=10,
        largest=100,
        block=10,
    )
    assert [own.is_stable for own in found.history] == [True, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"digits": 3}, "1 or 2"),
        ({"relative": 0.0}, "relative"),
        ({"over": "all"}, "mean"),
        ({"smallest": 2}, "3 or more"),
        ({"smallest": 20, "largest": 10}, "largest"),
        ({"block": 0}, "block"),
    ],
)
def test_settings_are_looked_at_before_anything_is_drawn(settings, message):
    def never(there, wanted):
        raise AssertionError("nothing may be drawn")

    with pytest.raises(InputError, match=message):
        until_stable(never, **settings)


def test_draws_that_are_missing_are_said():
    with pytest.raises(InputError, match=r"more\(0, 1000\) gave 2 draws"):
        until_stable(lambda there, wanted: Predictions.from_values(torch.zeros(2, 1)))


def test_training_goes_on_where_it_was_stopped(tmp_path):
    x = normal(60, 3).float()
    y = (x[:, 0] > 0).long()

    def made():
        return Problem(lambda: torch.nn.Linear(3, 2), Batches(x, y, 20), Recipe(epochs=1))

    settings = {"relative": 0.5, "smallest": 4, "block": 2, "largest": 40, "folder": tmp_path}
    first = thalweg.train_until_stable(made(), x[:20], **settings)
    assert not first.limited and 6 <= first.last.members < 40
    own = made()
    again = thalweg.train_until_stable(own, x[:20], **settings)
    assert torch.equal(first.predictions.stored, again.predictions.stored)
    assert own.meter.backward_yet == 0
    more = thalweg.train_until_stable(own, x[:20], **{**settings, "relative": 0.3})
    assert torch.equal(more.predictions.stored[: first.last.members], first.predictions.stored)
    assert own.cost.trainings == more.last.members
