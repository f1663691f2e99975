"""The meter counts evaluations from the shape of outputs, and time once."""

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
    assert meter.cost.backward_examples == 4


def test_what_was_counted_is_neither_lost_nor_counted_twice():
    """In whatever order one counts, charges, reads and sets."""
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
    meter.backward(torch.zeros(5, 2))
    meter.cost = Cost(training_examples=10)
    assert meter.cost == Cost(training_examples=10)


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


def test_a_clock_stops_where_work_fails(sleep):
    meter = Meter()
    with pytest.raises(RuntimeError), meter.clock():
        raise RuntimeError
    seconds = meter.cost.seconds
    timed(meter, sleep)
    assert meter.cost.seconds > seconds


def test_memory_is_that_of_the_work():
    def peak(size: int) -> int:
        meter = Meter()
        with meter.clock():
            torch.ones(size).sum()
        return meter.cost.peak_memory

    small, large = peak(10), peak(30_000_000)
    assert large - small > 80e6


def test_a_cost_as_a_dictionary():
    assert Cost(5, 3, 10, 1.5, 100).as_dict() == {
        "backward_examples": 5, "forward_examples": 3, "training_examples": 10, "seconds": 1.5, "peak_memory": 100,
        "trainings": 0.5, "forward_trainings": 0.3,
    }  # fmt: skip
    assert Cost().trainings == Cost().forward_trainings == 0.0


def test_now_goes_on():
    assert now() <= now()
