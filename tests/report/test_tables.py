"""Cells: intervals, open ends, dashes, and which one is the best."""

import math

import pytest

from thalweg.report.answer import answer
from thalweg.report.tables import Cell, cell, number, with_best


def test_an_interval_without_an_upper_end_prints_its_lower_one():
    assert cell(12.0, 7.26, math.inf, ".1f") == Cell("> 7.3", order=7.26)
    assert cell(math.inf, 7.26, math.inf, ".1f").text == "> 7.3"
    assert cell(0.5, -math.inf, 1.0, ".1f").text == "< 1.0"


def test_an_undefined_number_is_a_dash():
    assert cell(math.nan, math.nan, math.nan, ".2f") == Cell("–")


def test_intervals_have_true_minus_signs_and_the_facts_digits():
    assert cell(-0.0071, -0.012, 0.003, ".3f").interval == "[−0.012, 0.003]"
    assert number(-0.0001, ".2f") == "0.00"


@pytest.mark.parametrize(
    ("direction", "best"), [("higher", "2.0"), ("lower", "0.5"), ("one", "0.9"), ("none", None)]
)
def test_the_best_by_direction(direction, best):
    cells = with_best(
        [Cell("0.5", order=0.5), Cell("0.9", order=0.9), Cell("2.0", order=2.0), Cell("–")],
        direction,
    )
    assert [c.text for c in cells if c.best] == ([best] if best else [])


def test_equal_print_is_equally_good():
    assert (
        sum(
            c.best
            for c in with_best(
                [cell(1.01, 1, 2, ".1f"), cell(1.02, 1, 2, ".1f"), cell(0.2, 0, 1, ".1f")], "higher"
            )
        )
        == 2
    )


def test_the_answer_says_when_nothing_beats_a_deep_ensemble(tmp_path):
    from synthetic import METHODS, write_results

    from thalweg.report.results import load

    weak = [m if m[2] is None else (*m[:4], 1.0, 1.0, m[6]) for m in METHODS]
    own = [m for m in weak if m[1] == "deep-ensemble"]
    text = answer(load(write_results(tmp_path, own, failures=False)))
    assert "less than a deep ensemble at that cost" in text and "none failed" in text
