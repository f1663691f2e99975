"""The benchmarks' commands, in small; nothing here depends on how fast anything is."""

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from research.bench import __main__ as command
from research.bench import floor, measure, page, scaling
from research.bench.cases import QUICK
from research.bench.measure import Settings, ratios, store


def test_a_ratio_is_that_of_the_same_round():
    """A machine that is twice as slow in one round is so for all."""
    rows = ratios(
        "case", {"floor": [1.0, 2.0, 1.0], "other": [1.1, 2.2, 1.1]}, "floor", {"other": 1.2}
    )
    assert (
        rows[1]["ratio"]
        == pytest.approx(1.1)
        == pytest.approx(rows[1]["low"])
        == pytest.approx(rows[1]["high"])
    )
    assert rows[0]["ratio"] == 1 and rows[1]["target"] == 1.2 and rows[0]["target"] is None


def test_alternatives_take_turns():
    order = []
    work = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    seconds = measure.interleaved(work, Settings(repeats=2))
    assert order == ["a", "b"] * 3 and [len(own) for own in seconds.values()] == [2, 2], (
        "the first round is not timed"
    )
    order.clear()
    assert (
        len(measure.interleaved(work, Settings(repeats=7, seconds=0))["a"]) == 3
        and len(order) == 2 * 4
    ), "three at least"
    order.clear()
    assert len(measure.interleaved(work, Settings(repeats=7), rounds=1)["b"]) == 1 and order == [
        "a",
        "b",
    ]


def test_the_floor_takes_as_many_steps_as_thalweg():
    """And several evaluations of a step have the gradient of their mean: of one, where the network
    is not random.
    """
    case = QUICK["digits"]
    problem, found = case.problem(), []
    for evaluations in (1, 3):
        torch.manual_seed(0)
        found.append(case.plain(evaluations=evaluations)())
    for one, other in zip(*(network.parameters() for network in found), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    calls = []
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda module, *_: calls.append(module)
    )
    network = case.plain()()
    handle.remove()
    assert sum(module is network for module in calls) == problem.recipe.steps(
        len(problem.train_loader)
    )


def test_the_floor_augments_every_image_by_itself():
    """Each one is a window of its own image, padded by reflection, mirrored or not; and they do not
    all get the same.
    """
    torch.manual_seed(0)
    x = torch.arange(40 * 2 * 36.0).view(40, 2, 6, 6)
    found, padded, places = (
        floor.augment(x, padding=2),
        torch.nn.functional.pad(x, (2,) * 4, mode="reflect"),
        set(),
    )
    for one, image in zip(found, padded, strict=True):
        windows = {
            (i, j, m): w.flip(2) if m else w
            for i in range(5)
            for j in range(5)
            for m in (False, True)
            for w in [image[:, i : i + 6, j : j + 6]]
        }
        hits = [place for place, window in windows.items() if torch.equal(one, window)]
        assert hits
        places.add(hits[0])
    assert len(places) > 10 and {m for *_, m in places} == {False, True} and found.is_contiguous()


@pytest.mark.parametrize(
    "name", ["training", "simplex", "spro", "swag", "draws", "refreshing", "stack", "quantifier"]
)
def test_a_benchmark_in_small(name, tmp_path, capsys):
    rows = command.BENCHMARKS[name](Settings(repeats=1, quick=True))
    content = json.loads(store(name, rows, Settings(quick=True), tmp_path).read_text())
    assert (
        content["machine"]["quick"]
        and content["machine"]["processor"]
        and len(content["rows"]) == len(rows) >= 2
    )
    assert all(row["seconds"] > 0 for row in content["rows"])
    table = page.lines(rows)
    assert len(table) == len(rows) + 2 and len({line.count("|") for line in table}) == 1


def test_what_runs_in_a_process_of_its_own():
    rows = command.BENCHMARKS["k_eq"](Settings(quick=True))
    assert all(row["seconds"] > 0 and 1e8 < row["bytes"] < 2e9 for row in rows)


def test_the_command_lists_and_refuses(capsys):
    assert command.main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("training", "k_eq", "scaling"))
    with pytest.raises(SystemExit):
        command.main(["simplx"])
    assert "unknown benchmark 'simplx'" in capsys.readouterr().err


def test_a_power_law_is_found():
    assert scaling._slope([(n, 3.0 * n**1.5) for n in (10, 20, 40)]) == pytest.approx(1.5)


def test_targets_are_judged_by_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    for words in (
        "Of 0 targets that were measured, 0 are met. Not measured: One training, ",
        "python -m research.bench training page",
    ):
        assert words in page.text()
    seconds = {"plain": [1.0, 1.0], "thalweg": [1.2, 1.2]}
    store("training", ratios("digits", seconds, "plain", {"thalweg": 1.05}), Settings(), tmp_path)
    store("simplex", ratios("digits", seconds, "plain", {"thalweg": 1.25}), Settings(), tmp_path)
    store(
        "k_eq",
        [
            {
                "case": "all",
                "what": "1 thread",
                "seconds": 3.0,
                "bytes": 3e9,
                "target": 20.0,
                "bytes_target": 2e9,
            }
        ],
        Settings(),
        tmp_path,
    )
    text = page.text()
    assert (
        "Of 3 targets that were measured, 1 are met. Not met: One training, digits, thalweg: 1.20 "
        "(target 1.05)" in text
    )
    assert text.count("| **no** |") == 2 and text.count("| yes |") == 1
    page_file = tmp_path / "performance.md"
    assert not page.is_up_to_date(page_file)
    page_file.write_text(text)
    assert page.is_up_to_date(page_file)
    store(
        "training",
        ratios("digits", {**seconds, "thalweg": [1.0, 1.0]}, "plain", {"thalweg": 1.05}),
        Settings(),
        tmp_path,
    )
    assert not page.is_up_to_date(page_file)


def test_the_page_says_what_the_results_say():
    assert page.is_up_to_date(), "run: python -m research.bench page"
