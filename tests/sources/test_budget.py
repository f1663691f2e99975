"""The budget as an object: rows, table, words, figure; what is 0, and what is negative."""

import math

import pytest
import torch

from thalweg.errors import InputError
from thalweg.predictions import Predictions
from thalweg.sources import Design, budget_of


def made(kind="latin", trainings=26, inputs=4, classes=3, repeats=1, noise=0.0):
    design = Design.of(("init", "order", "data"), trainings, kind, repeats=repeats)
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(design.trainings, inputs, classes, generator=random, dtype=torch.float64)
    for again in range(1, repeats + 1):
        change = torch.randn(inputs, classes, generator=random, dtype=torch.float64)
        logits[-again] = logits[0] + noise * change
    return budget_of(Predictions.from_logits(logits), design)


def test_shares_sum_to_one_and_components_to_all():
    budget = made()
    assert sum(row.share for row in budget.rows) == pytest.approx(1)
    assert torch.allclose(sum(row.variances for row in budget.rows), budget.total.variances)
    assert budget.u.shape == (4,) and torch.equal(budget.u, budget.row("all").u)
    assert budget.rows[0].u_outputs.shape == (4, 3)


def test_all_is_the_variance_where_everything_is_drawn_anew():
    """Of independent trainings the sum of components has the mean of their variance."""
    design = Design.of(("init", "order"), 16, "crossed", repeats=0)
    values = torch.randn(16, 20000, 1, generator=torch.Generator().manual_seed(0))
    budget = budget_of(Predictions.from_values(values), design)
    assert budget.total.mean_u.value == pytest.approx(1, abs=0.02)
    assert budget.row("init x order").share == pytest.approx(1, abs=0.02)  # each cell is its own


def test_the_table_has_the_rows_that_the_words_have():
    budget = made()
    table = budget.table()
    assert list(table["source"]) == ["init", "order", "data", "interactions", "repeat", "all"]
    assert list(table["type"]) == ["A", "A", "A", "A", "B", "A"]
    assert table.columns.tolist() == [
        "source", "effect", "u", "low", "high", "variance", "share", "dof", "type"
    ]  # fmt: skip
    lines = str(budget).splitlines()
    assert [line.split()[0] for line in lines[1:7]] == list(table["source"])
    assert len(budget.per_input()) == 6 * 4
    assert (table["low"] <= table["u"]).all() and (table["u"] <= table["high"]).all()


def test_repetitions_with_the_same_bits_are_known_to_be_zero():
    row = made().row("repeat")
    assert row.type == "B" and math.isinf(row.mean_dof) and row.mean_u.high == 0
    other = made(repeats=2, noise=0.1).row("repeat")
    assert other.type == "A" and other.mean_u.value > 0 and other.mean_dof >= 2


def test_a_deterministic_problem_gives_zero():
    design = Design.of(("init", "order"), 10, "latin")
    same = torch.full((10, 5, 1), 3.7)
    budget = budget_of(Predictions.from_values(same), design)
    assert not any(row.u.any() or row.high.any() for row in (*budget.rows, budget.total))
    assert all(row.share == 0 and math.isinf(row.mean_dof) for row in budget.rows)
    assert "u 0" in str(budget)


def test_a_negative_estimate_is_said():
    budget = made(repeats=0, trainings=25)
    row = min(budget.rows, key=lambda row: row.share)
    assert row.share < 0 and row.mean_u.value == 0 and float(row.variances.sum()) < 0
    assert row.mean_u.high > 0 and row.mean_dof == 1
    assert "a negative share" in str(budget)


def test_a_one_factor_design_does_not_tell_all():
    budget = made("one-factor", trainings=10)
    assert budget.total is None and {row.effect for row in budget.rows} >= {"total effect"}
    with pytest.raises(InputError, match="design='latin'"):
        _ = budget.u
    with pytest.raises(InputError, match="needs one of init"):
        budget.row("dropout")
    assert "holds its interactions" in str(budget)


def test_other_predictions_than_trainings_are_refused():
    design = Design.of(("init", "order"), 10, "latin")
    with pytest.raises(InputError, match="10 trainings, and predictions are of 4"):
        budget_of(Predictions.from_values(torch.zeros(4, 2)), design)


def test_the_figure_has_a_bar_for_each_row():
    budget = made()
    axes = budget.plot().axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(axes.patches) == 6 and labels[-1].startswith("all (100%)")


def test_u_of_probabilities_has_an_end():
    """Two levels have one degree of freedom, from which chi-square allows thirty times u."""
    budget = made("crossed", trainings=9)
    assert all(row.mean_u.high <= 1 and float(row.high.max()) <= 1 for row in budget.rows)
    assert max(row.mean_u.high for row in budget.rows) == 1


def test_a_training_that_is_far_from_all_others_is_named():
    design = Design.of(("init", "order"), 9, "crossed", repeats=0)
    values = torch.randn(9, 30, 1, generator=torch.Generator().manual_seed(0))
    assert budget_of(Predictions.from_values(values), design).warning == ""
    values[5] += 20
    assert "training 5 (init 1, order 2)" in str(budget_of(Predictions.from_values(values), design))
