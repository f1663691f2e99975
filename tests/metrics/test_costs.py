"""Costs in tables of results: those of earlier versions, and efficiencies by the total cost."""

import math

import pandas as pd
import pytest

from thalweg.metrics.costs import completed, with_efficiencies

OLD = pd.DataFrame(
    {"method": ["a", "b", "lost"], "cost": [1.0, 2.0, math.nan], "forward": [0.0, 3.0, math.nan]}
)


def row(method: str, metric: str, value: float, high: float | None = None) -> dict:
    return {
        "method": method,
        "metric": metric,
        "value": value,
        "low": value - 1,
        "high": value + 1 if high is None else high,
        "bases": 5,
        "undefined": math.isnan(value),
    }


COMPARISON = pd.DataFrame(
    [
        row("a", "k_eq", 3.0),
        row("a", "efficiency", 9.0),
        row("b", "k_eq", 6.0, math.inf),
        row("b", "efficiency", 9.0),
        row("a", "k_u", math.nan),
        row("b", "nll", 0.5),
    ]
)


def test_the_total_of_earlier_versions_follows_from_what_they_stored():
    table = completed(OLD)
    assert table["total"].tolist()[:2] == [1, 3] and math.isnan(table["total"][2])
    assert table["relative_time"].isna().all() and table["emulator_seconds"].isna().all(), (
        "nobody measured them"
    )
    assert "total" not in OLD


def test_what_is_stored_is_kept():
    table = completed(
        OLD.assign(
            total=[1.5, 2.5, math.nan], relative_time=[1.0, 7.0, math.nan], emulator_seconds=0.25
        )
    )
    assert table["total"].tolist()[:2] == [1.5, 2.5] and table["relative_time"].tolist()[:2] == [
        1,
        7,
    ]
    assert (table["emulator_seconds"] == 0.25).all()


@pytest.mark.parametrize("total", ["much", None])
def test_a_total_that_is_no_number_is_none(total):
    assert completed(OLD.assign(total=total))["total"].isna().all()


def test_efficiency_is_by_the_total_cost():
    found = with_efficiencies(COMPARISON, completed(OLD))
    values = {(r.method, r.metric): (r.value, r.low, r.high) for r in found.itertuples()}
    assert values["a", "efficiency"] == (3, 2, 4) and values["b", "efficiency"] == (
        2,
        pytest.approx(5 / 3),
        math.inf,
    )
    assert math.isnan(values["a", "u_efficiency"][0]) and ("b", "u_efficiency") not in values
    assert values["b", "nll"][0] == 0.5 and len(found) == 7
    assert found.loc[found["metric"] == "u_efficiency", "undefined"].all()


def test_nothing_is_worth_anything_for_no_cost():
    found = with_efficiencies(COMPARISON, completed(OLD).assign(total=0.0))
    assert found.loc[found["metric"] == "efficiency", "value"].isna().all()
