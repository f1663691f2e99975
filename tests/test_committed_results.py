"""What the project claims of its headline figures, asked of the committed results (a command reproduces each: thalweg study)."""

from pathlib import Path

import pandas as pd
import pytest

STUDIES = Path(__file__).parents[1] / "studies"


def value(study, method, metric):
    table = pd.read_parquet(STUDIES / study / "results" / "comparison.parquet").set_index(["method", "metric"])
    return float(table.loc[(method, metric), "value"])


@pytest.mark.parametrize("members", [1, 2, 3, 5, 10])
def test_on_digits_a_deep_ensemble_is_worth_its_members(members):
    assert value("digits", f"deep-ensemble (members {members})", "k_eq") == pytest.approx(members, rel=0.1)


@pytest.mark.parametrize("members", [2, 3, 5, 10])
def test_on_digits_the_u_of_other_retrainings_is_worth_their_number(members):
    assert value("digits", f"deep-ensemble (members {members})", "k_u") == pytest.approx(members, rel=0.2)


def test_on_fashion_mnist_the_neighbours_of_two_anchors_pass_the_trivial_row():
    neighbours, trivial = "neighbours on deep-ensemble (members 2)", "trivial on deep-ensemble (members 2)"
    assert value("fashion-mlp", neighbours, "k_eq") >= 3
    assert value("fashion-mlp", neighbours, "k_u") >= 4
    assert value("fashion-mlp", neighbours, "k_u") > value("fashion-mlp", trivial, "k_u")
