"""The simulation of a schedule, against closed forms."""

import math

import numpy as np
import pytest

from research.schedule.__main__ import page, rows
from research.schedule.simulation import Setting, simulate


@pytest.mark.parametrize(("trainings", "workers"), [(1, 1), (10, 4), (64, 64), (65, 64), (3, 9)])
def test_without_trouble_it_is_whole_rounds(trainings, workers):
    found = simulate(Setting(trainings, workers), 0)
    assert found.wall == pytest.approx(math.ceil(trainings / workers))
    assert (found.lost, found.preempted, found.failed) == (0, 0, 0)


@pytest.mark.parametrize("rate", [0.2, 1.0, 2.0])
@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_one_worker_that_is_taken_away_follows_the_renewal_formula(rate, delay):
    """A training of length 1 takes (e^rate - 1) (1 / rate + delay) on average."""
    n = 20_000
    found = simulate(Setting(n, 1, rate=rate, delay=delay), 1)
    mean = math.expm1(rate) * (1 / rate + delay)
    # the variance of the time until the first gap of length 1 in a Poisson process
    tries = math.exp(rate)
    band = 5 * tries * (1 / rate + delay) / math.sqrt(n)
    assert found.wall / n == pytest.approx(mean, abs=band)
    assert found.preempted / n == pytest.approx(tries - 1, abs=5 * tries / math.sqrt(n))
    assert found.lost / n == pytest.approx(math.expm1(rate) / rate - 1, abs=band)


def test_times_are_lognormal_with_mean_one():
    n = 100_000
    found = simulate(Setting(n, 1, spread=0.6), 2)
    assert found.wall == pytest.approx(found.work) == pytest.approx(n, rel=5 * 0.6 / math.sqrt(n))


def test_as_many_workers_as_trainings_wait_for_the_slowest():
    """Its expected time is that of the largest of n lognormal times, drawn here in another way."""
    n, spread = 200, 0.5
    walls = [simulate(Setting(n, n, spread=spread), seed).wall for seed in range(300)]
    sigma = math.sqrt(math.log1p(spread**2))
    draws = np.random.default_rng(99).lognormal(-(sigma**2) / 2, sigma, (20_000, n)).max(1)
    error = 5 * draws.std() * math.sqrt(1 / 300 + 1 / 20_000)
    assert np.mean(walls) == pytest.approx(draws.mean(), abs=error)


def test_no_training_begins_again_before_it_was_broken_off():
    """With many idle workers the last one ends no earlier than lost and own time one after the
    other.
    """
    for seed in range(50):
        found = simulate(Setting(1, 1, rate=2.0), seed)
        many = simulate(Setting(1, 100, rate=2.0), seed)
        assert found == many and found.wall == pytest.approx(found.lost + 1)


def test_retries_end():
    n = 5000
    found = simulate(Setting(n, 7, rate=1.0, retries=1), 3)
    share = (1 - math.exp(-1)) ** 2  # broken off twice
    assert found.failed / n == pytest.approx(share, abs=5 * math.sqrt(share / n))
    assert found.work == n - found.failed


def test_a_seed_gives_the_same_again():
    setting = Setting(500, 20, spread=0.4, rate=0.5)
    assert simulate(setting, 5) == simulate(setting, 5) != simulate(setting, 6)


def test_the_page_has_the_committed_numbers():
    from research.schedule.__main__ import PAGE, RESULTS

    assert page(RESULTS / "schedule.json") == PAGE.read_text()


def test_the_committed_numbers_are_what_the_command_makes():
    import json

    from research.schedule.__main__ import RESULTS

    stored = json.loads((RESULTS / "schedule.json").read_text())
    small = [row for row in stored if row["trainings"] == 64]
    from research.schedule import __main__ as command

    trainings, command.TRAININGS = command.TRAININGS, (64,)
    try:
        again = rows()
    finally:
        command.TRAININGS = trainings
    assert again == small
