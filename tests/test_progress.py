"""What a terminal shows of a fit, and the plan of one; a pipe gets nothing."""

import time

import pytest

import cases
from test_quantifier import SMALL, fitted, problem
from thalweg import planning, progress, quantifier
from thalweg.errors import InputError
from thalweg.meter import Meter
from thalweg.quantifier import Quantifier
from thalweg.training.execution import Execution


@pytest.fixture
def terminal(monkeypatch):
    """Somebody looks, and everything takes long."""
    for place in (progress, quantifier):
        monkeypatch.setattr(place, "is_terminal", lambda: True)
        monkeypatch.setattr(place, "DELAY", 0.0)
    monkeypatch.setattr(progress, "_EVERY", 0.001)


def test_a_pipe_gets_nothing(capsys, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    fitted()
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_told_what_will_be_done_and_shown_what_is(capsys, terminal):
    fitted()
    out, err = capsys.readouterr()
    assert not out
    assert (
        "to fit: 1 network and 2 narrow copies of width ratio 0.5 (0.5 of a training each): " in err
    )
    assert "2.00 trainings to do, about " in err and "GB of memory" in err
    assert all(title in err for title in ("training", "looking at the training set", "100%"))
    fitted(progress=False)
    assert capsys.readouterr() == ("", "")


def test_what_ends_soon_is_not_shown(capsys, terminal, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 60.0)
    with progress.shown("work", float):
        pass
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with pytest.raises(ZeroDivisionError), progress.shown("work", lambda: 0.25):
        time.sleep(0.3)
        raise ZeroDivisionError
    assert "work" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_share_that_is_trained_comes_from_what_is_metered(jobs, monkeypatch):
    given = problem(execution=Execution(jobs=jobs))
    method = Quantifier(budget=2.0, emulator=SMALL).request(given).method(given)
    share = planning.trained_share(method, given, None)
    assert share() == 0
    seen = []
    if jobs == 1:
        backward = Meter.backward
        monkeypatch.setattr(
            Meter, "backward", lambda own, x: (backward(own, x), seen.append(share()))[0]
        )
    method.train(given)
    assert share() == 1.0 and planning.trained_share(method, given, None)() == 1.0
    assert seen == sorted(seen)
    if jobs == 1:
        steps = 3 * given.recipe.steps(len(given.train_loader))
        assert len(seen) == steps and seen[steps // 3 - 1] == pytest.approx(1 / 2, abs=0.02)


def test_a_plan_trains_nothing():
    given = problem()
    plan = Quantifier(budget=2.0, emulator=SMALL).plan(given)
    assert (plan.anchors, plan.copies, plan.width_ratio, plan.kept) == (1, 2, 0.5, 0)
    assert plan.ratio == pytest.approx(0.5) and plan.trainings == pytest.approx(2.0)
    assert 0 < plan.seconds < 60 and plan.memory > 1e7
    assert given.cost.backward_examples == 0 and not given.has(0)
    fitted(given, budget=2.0)
    again = Quantifier(budget=2.0, emulator=SMALL).plan(given)
    assert (again.kept, again.trainings) == (3, 0.0) and again.seconds < plan.seconds
    assert "3 of them trained already: 0.00 trainings to do" in str(again)
    with pytest.raises(InputError, match="without unlabelled inputs"):
        Quantifier().plan(cases.problem())
