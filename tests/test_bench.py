"""The benchmarks' commands, in small; nothing here depends on how fast anything is."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench import __main__ as command
from bench import measure, page
from bench.measure import Settings, ratios, store


def test_a_ratio_is_that_of_the_same_round():
    """A machine that is twice as slow in one round is so for all."""
    rows = ratios("case", {"floor": [1.0, 2.0, 1.0], "other": [1.1, 2.2, 1.1]}, "floor", {"other": 1.2})
    assert rows[1]["ratio"] == pytest.approx(1.1) == pytest.approx(rows[1]["low"]) == pytest.approx(rows[1]["high"])
    assert rows[0]["ratio"] == 1 and rows[1]["target"] == 1.2 and rows[0]["target"] is None


def test_alternatives_take_turns():
    order = []
    seconds = measure.interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, Settings(repeats=2))
    assert order == ["a", "b"] * 3 and [len(own) for own in seconds.values()] == [2, 2], "the first round is not timed"


@pytest.mark.parametrize("name", ["training", "simplex", "spro", "swag", "draws", "refreshing", "stack"])
def test_a_benchmark_in_small(name, tmp_path, capsys):
    rows = command.BENCHMARKS[name](Settings(repeats=1, quick=True))
    content = json.loads(store(name, rows, Settings(quick=True), tmp_path).read_text())
    assert content["machine"]["quick"] and content["machine"]["processor"] and len(content["rows"]) == len(rows) >= 2
    assert all(row["seconds"] > 0 for row in content["rows"])
    table = page.lines(rows)
    assert len(table) == len(rows) + 2 and len({line.count("|") for line in table}) == 1


def test_what_runs_in_a_process_of_its_own():
    rows = command.BENCHMARKS["k_eq"](Settings(quick=True))
    assert all(0 < row["seconds"] < 60 and 1e8 < row["bytes"] < 2e9 for row in rows)


def test_the_command_lists_and_refuses(capsys):
    assert command.main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("training", "k_eq", "scaling"))
    with pytest.raises(SystemExit):
        command.main(["simplx"])
    assert "unknown benchmark 'simplx'" in capsys.readouterr().err


def test_the_page_says_what_the_results_say():
    assert page.is_up_to_date(), "run: python -m bench page"
