"""The meter counts evaluations from the shape of outputs, and time once."""

import subprocess
import sys
import time

import pytest
import torch

from thalweg.meter import Cost, Meter, now


def test_every_draw_counts():
    meter = Meter(100)
    meter.backward(torch.zeros(5, 10, 3))
    meter.backward(torch.zeros(10, 3))
    meter.forward(torch.zeros(2, 7, 3))
    assert (meter.cost.backward_examples, meter.cost.forward_examples) == (60, 14)
    assert meter.cost.trainings == 0.6 and meter.cost.forward_trainings == 0.14


def test_charged_work_is_added():
    meter = Meter(10)
    meter.charge(Cost(10, 5, 10, seconds=2.0, peak_memory=7))
    meter.charge(Cost(10, 5, 10, seconds=1.0, peak_memory=3))
    assert meter.cost == Cost(20, 10, 10, 3.0, 7)


def test_work_apart_is_not_added():
    meter = Meter(10)
    meter.backward(torch.zeros(4, 2))
    cost = meter.apart(lambda: meter.backward(torch.zeros(6, 2)))
    assert cost.backward_examples == 6 and meter.cost.backward_examples == 4

    def fails():
        meter.backward(torch.zeros(6, 2))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        meter.apart(fails)
    assert meter.cost.backward_examples == 10, "nobody keeps what failed, so it is added"


NETWORK = Cost(backward_examples=10, seconds=2.0, peak_memory=7)


def test_kept_work_counts_once_in_each_result_and_once_in_all():
    meter = Meter(10)
    with meter.measured() as first:
        meter.charge(NETWORK, "a")
        meter.charge(NETWORK, "a", done=False)
        meter.forward(torch.zeros(5, 2))
    with meter.measured() as second:
        meter.charge(NETWORK, "a", done=False)
        meter.charge(NETWORK, "b", done=False)
        meter.charge(NETWORK, "b", done=False)
    assert first.cost == Cost(10, 5, 10, 2.0, 7) and second.cost == Cost(20, 0, 10, 4.0, 7)
    assert meter.cost == Cost(20, 5, 10, 4.0, 7)


def test_work_without_a_name_always_counts():
    meter = Meter(10)
    for done in (True, False):
        meter.charge(NETWORK, done=done)
    assert meter.cost.trainings == 2


def test_work_that_is_done_again_counts_again():
    meter = Meter(10)
    meter.charge(NETWORK, "a")
    with meter.measured() as own:
        meter.charge(NETWORK, "a")
    assert own.cost.trainings == 1 and meter.cost.trainings == 2


def test_results_inside_of_results():
    meter = Meter(10)
    meter.charge(NETWORK, "a")
    with meter.measured() as outer:
        meter.backward(torch.zeros(1, 2))
        with meter.measured() as inner:
            meter.charge(NETWORK, "a", done=False)
            meter.backward(torch.zeros(2, 2))
            assert meter.cost.backward_examples == 13, "what is open is in it"
        meter.charge(NETWORK, "a", done=False)
        apart = meter.apart(lambda: meter.backward(torch.zeros(5, 2)))
    assert [own.cost.backward_examples for own in (inner, outer)] == [
        12,
        13,
    ] and apart.backward_examples == 5
    assert meter.cost.backward_examples == 13


def test_a_result_that_is_interrupted_costs_what_was_done():
    meter = Meter(10)
    with pytest.raises(KeyboardInterrupt), meter.measured() as own:
        meter.charge(NETWORK, "a")
        meter.backward(torch.zeros(3, 2))
        raise KeyboardInterrupt
    assert own.cost.backward_examples == meter.cost.backward_examples == 13
    with meter.measured() as again:
        meter.charge(NETWORK, "a", done=False)
    assert again.cost.backward_examples == 10 and meter.cost.backward_examples == 13


def test_what_was_counted_is_neither_lost_nor_counted_twice():
    """In whatever order one counts, charges and reads."""
    meter = Meter(10)
    meter.backward(torch.zeros(4, 2))
    meter.charge(Cost(10, 5, 10))
    meter.forward(torch.zeros(3, 2))
    assert (meter.cost.backward_examples, meter.cost.forward_examples) == (14, 8)
    assert meter.cost == meter.cost
    meter.backward(torch.zeros(1, 2))
    with meter.clock():
        meter.backward(torch.zeros(1, 2))
        cost = meter.apart(lambda: meter.forward(torch.zeros(7, 2)))
        meter.forward(torch.zeros(1, 2))
    assert (cost.backward_examples, cost.forward_examples) == (0, 7)
    assert (meter.cost.backward_examples, meter.cost.forward_examples) == (16, 9)


@pytest.fixture
def sleep(monkeypatch):
    """A clock that only sleeping moves, so that a loaded machine can't fail a test."""
    hands = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: hands[0])
    return lambda seconds: hands.__setitem__(0, hands[0] + seconds)


def timed(meter: Meter, sleep) -> None:
    with meter.clock():
        sleep(0.1)


def test_nested_clocks_count_once(sleep):
    meter = Meter()
    with meter.clock():
        timed(meter, sleep)
        sleep(0.05)
    assert meter.cost.seconds == pytest.approx(0.15)


def test_a_clock_stands_still_for_work_apart(sleep):
    """That work is charged by who keeps it, with the time that it took."""
    meter = Meter()
    with meter.clock():
        sleep(0.05)
        cost = meter.apart(lambda: timed(meter, sleep))
        sleep(0.05)
    assert cost.seconds == pytest.approx(0.1) and cost.peak_memory > 0
    assert meter.cost.seconds == pytest.approx(0.1)


def test_a_clock_runs_on_in_a_result(sleep):
    meter = Meter()
    with meter.clock():
        sleep(0.05)
        with meter.measured() as own:
            timed(meter, sleep)
            sleep(0.02)
        sleep(0.05)
    assert own.cost.seconds == pytest.approx(0.12) and meter.cost.seconds == pytest.approx(0.22)


def test_an_emulators_seconds_are_among_all_seconds(sleep):
    meter = Meter()
    with meter.measured() as own:
        timed(meter, sleep)
        with meter.emulating():
            sleep(0.3)
    with meter.clock(), meter.emulating():
        sleep(0.4)
    assert (own.cost.seconds, own.cost.emulator_seconds) == pytest.approx((0.4, 0.3))
    assert (meter.cost.seconds, meter.cost.emulator_seconds) == pytest.approx((0.8, 0.7))


def test_a_clock_stops_where_work_fails(sleep):
    meter = Meter()
    with pytest.raises(RuntimeError), meter.clock():
        raise RuntimeError
    seconds = meter.cost.seconds
    timed(meter, sleep)
    assert meter.cost.seconds > seconds


def test_memory_is_that_of_the_work():
    # In a process of its own: here, freed memory of other tests may be used again.
    script = """
import torch
from thalweg.meter import Meter

for size in (10, 30_000_000):
    meter = Meter()
    with meter.clock():
        torch.ones(size).sum()
    print(meter.cost.peak_memory)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    small, large = map(int, ran.stdout.split())
    assert large - small > 80e6


def test_a_cost_as_a_dictionary():
    assert Cost(5, 3, 10, 1.5, 100, 0.5).as_dict() == {
        "backward_examples": 5,
        "forward_examples": 3,
        "training_examples": 10,
        "seconds": 1.5,
        "peak_memory": 100,
        "emulator_seconds": 0.5,
        "trainings": 0.5,
        "forward_trainings": 0.3,
        "total": 0.6,
    }
    assert Cost().trainings == Cost().forward_trainings == Cost().total == 0.0
    old = {
        "backward_examples": 5,
        "forward_examples": 3,
        "training_examples": 10,
        "seconds": 1.5,
        "peak_memory": 100,
    }
    assert Cost(**old).total == pytest.approx(0.6), "records of earlier versions are read"


def test_the_work_of_a_narrow_network_is_that_of_its_operations():
    cost = Cost(10, 20, 10, 1.5, 100, 0.5).of_network(0.3)
    assert (cost.trainings, cost.total) == pytest.approx((0.3, 0.5)) and (
        cost.seconds,
        cost.peak_memory,
    ) == (1.5, 100)


def test_now_goes_on():
    assert now() <= now()
