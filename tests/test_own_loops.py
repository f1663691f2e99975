"""Own loops: how they are measured, on a task of a tenth of a second, and the table that is made of
it, which says what the project claims.
"""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from research.ideas import loops, page, tasks
from research.ideas.loops import LOOPS, TOLD, TRIVIAL
from thalweg.training.recipe import Recipe

TABLE = partial(tasks.table, 200, 2, 0.1)
TINY = loops.OwnLoop(
    "tiny",
    partial(tasks.vector, 20, 2, 16),
    loops.mixup_with_adam,
    Recipe(epochs=2, lr=1e-2, optimizer="adamw"),
)


class Tiny(loops.OwnLoop):
    """A task of a tenth of a second."""

    def parts(self):
        (x, y), (rest, labels) = TABLE()
        return (x, y), rest[:400], (rest[400:500], labels[400:500])


@pytest.fixture
def tiny(monkeypatch):
    own = Tiny(**{name: getattr(TINY, name) for name in TINY.__dataclass_fields__})
    monkeypatch.setitem(LOOPS, "tiny", own)
    for name, value in (("REFERENCE", 6), ("POOL", 4), ("KNOWN", 400), ("EPOCHS", 2)):
        monkeypatch.setattr(loops, name, value)
    return own


def test_a_task_is_measured_once_and_goes_on_where_it_was(tiny, tmp_path, monkeypatch):
    where = tmp_path / "results", tmp_path / "kept"
    loops.measure(*where, ["tiny"], bases=2)
    file = where[0] / "tiny.json"
    found = json.loads(file.read_text())
    assert set(found["rows"]) == {*TOLD, TRIVIAL}
    for told, row in found["rows"].items():
        assert len(row["u"]) == 2 and row["spread_ratio"][0] == pytest.approx(
            sum(row["u"]) / 2, rel=0.2
        )
        assert 1 < row["cost"] <= 2, told
    monkeypatch.setattr(loops, "asked_of", None)
    monkeypatch.setattr(loops, "evaluate", None)
    loops.measure(*where, ["tiny"], bases=2)
    assert json.loads(file.read_text()) == found
    assert loops.filled([found]).count("| tiny |") == len(TOLD) + 1


def test_retrainings_are_the_loops_own_and_differ_by_their_number(tiny, tmp_path):
    """A twin: the loop alone, seeded in the same way."""
    networks = [loops.retrained(tmp_path, "tiny", k) for k in (0, 0, 1)]
    (state, log_probs), (again, _), (other, _) = networks
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert not torch.equal(state["0.weight"], other["0.weight"])
    _, known, (asked, _) = tiny.parts()
    network = tiny.model()
    network.load_state_dict(state)
    expected = network.eval()(torch.cat([known, asked])).log_softmax(-1)
    torch.testing.assert_close(log_probs, expected)


def test_mixup_and_one_cycle_learn(tiny):
    _, _, (asked, labels) = tiny.parts()
    for loop, lr in ((loops.mixup_with_adam, 1e-2), (loops.adamw_with_warmup, 1e-2)):
        own = replace(tiny, loop=loop, nearest=replace(tiny.nearest, lr=lr))
        torch.manual_seed(0)
        network = own.model()
        for _ in range(4):
            own.train(network, 0)
        assert (network.eval()(asked).argmax(1) == labels).float().mean() > 0.6


@pytest.mark.parametrize("name", ["mlp-mixup", "mlp-adamw"])
def test_what_the_committed_results_claim(name):
    """Mean u within 15 % of the retrainings', and K_u above the trivial row's."""
    file = Path(page.RESULTS) / "loops" / f"{name}.json"
    rows = json.loads(file.read_text())["rows"]
    for told in ("the loop", "without loader"):
        assert 0.85 < rows[told]["spread_ratio"][0] < 1.15
        assert rows[told]["k_u"][0] > rows[TRIVIAL]["k_u"][0]
