"""Cells: intervals and open ends; tables: what is not known is left out."""

import math
from dataclasses import replace

from synthetic import write_results

from thalweg.metrics.info import FACTS
from thalweg.report.results import load
from thalweg.report.tables import Cell, cell, cost_table, metric_table, number


def test_an_interval_without_an_upper_end_prints_its_lower_one():
    assert cell(12.0, 7.26, math.inf, ".1f") == Cell("> 7.3", order=7.26)
    assert cell(math.inf, 7.26, math.inf, ".1f").text == "> 7.3"
    assert cell(0.5, -math.inf, 1.0, ".1f").text == "< 1.0"


def test_an_undefined_number_is_a_dash():
    assert cell(math.nan, math.nan, math.nan, ".2f") == Cell("–")


def test_intervals_have_true_minus_signs_and_the_facts_digits():
    assert cell(-0.0071, -0.012, 0.003, ".3f").interval == "[−0.012, 0.003]"
    assert number(-0.0001, ".2f") == "0.00"


def test_columns_and_rows_of_which_nothing_is_known_are_left_out(tmp_path):
    results = load(write_results(tmp_path, failures=False))
    table = metric_table(results, "main", "", [FACTS["coverage"], FACTS["fair_gap"]])
    labels = [row.label for row in table.rows]
    assert "deep ensemble of 1" not in labels and "deep ensemble of 2" in labels
    assert any("have no row" in note for note in table.notes)
    unknown = results.comparison["metric"] == "fair_gap"
    nothing = results.comparison.assign(value=results.comparison["value"].where(~unknown))
    table = metric_table(
        replace(results, comparison=nothing), "main", "", [FACTS["accuracy"], FACTS["fair_gap"]]
    )
    assert [head[0] for head in table.head] == ["cost", "total", "acc"]


def test_a_cost_that_an_earlier_version_did_not_measure_has_no_column(tmp_path):
    results = load(write_results(tmp_path, failures=False))
    heads = [head[0] for head in cost_table(results, "").head]
    older = results.methods.assign(emulator_seconds=math.nan)
    fewer = [head[0] for head in cost_table(replace(results, methods=older), "").head]
    assert [head for head in heads if head not in fewer] == ["emulator"]
