"""The answer: what is recommended, and why something is not."""

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import METHODS, write_results
from test_report import change

from thalweg.report.answer import answer
from thalweg.report.fitness import candidates
from thalweg.report.results import load

BEST = "neighbours on deep-ensemble (members 2)"
NEXT = "snapshot ensemble"


def told(folder):
    return " ".join(answer(load(folder))).replace("\x02", "")


def setting(folder, metric, values, half=0.01):
    """Sets a metric of methods, with an interval."""

    def edit(table):
        for method, value in values.items():
            rows = (table["metric"] == metric) & (table["method"] == method)
            table.loc[rows, ["value", "low", "high"]] = value, value - half, value + half
            table.loc[rows, "undefined"] = False
        return table

    change(folder, "comparison.parquet", edit)


@pytest.fixture
def study(tmp_path):
    """The best method by K_u per cost, and the next, are fit."""
    write_results(tmp_path, failures=False)
    names = [m[0] for m in METHODS]
    setting(tmp_path, "accuracy", dict.fromkeys(names, 0.87))
    setting(tmp_path, "coverage", {**dict.fromkeys(names, 0.5), BEST: 0.93, NEXT: 0.9})
    setting(tmp_path, "k_u", {NEXT: 3.5}, half=0.3)
    return tmp_path


def test_the_best_is_recommended_with_what_it_costs_and_gives(study):
    text = told(study)
    assert "costs 2.67 trainings here" in text and f"{BEST} (no. 11), which is recommended" in text
    assert "K_u = 6.2 [5.6, 6.9]" in text and "K_eq = 3.6 [3.3, 4.0]" in text
    assert "costs about 6.2 trainings, 2.3 times as much" in text
    assert "hold 0.930 [0.920, 0.940]" in text and "takes 1 min 03 s" in text
    assert "Within the intervals, 1 other fit one is worth as much per cost: no. 10." in text


@pytest.mark.parametrize(
    ("metric", "value", "reason"),
    [
        ("accuracy", 0.84, "its accuracy of 0.8400 [0.8300, 0.8500] is below that of one network"),
        ("coverage", 0.84, "its 95 % intervals hold only 0.840 [0.830, 0.850] of retrainings"),
    ],
)
def test_what_gives_most_but_is_not_fit_is_not_recommended(study, metric, value, reason):
    setting(study, metric, {BEST: value})
    text = told(study)
    assert f"{NEXT} (no. 10), which is recommended" in text
    assert f"{BEST} (no. 11) gives more per cost" in text and reason in text


@pytest.mark.parametrize("mark", ["control:", "ablation:"])
def test_a_control_is_not_recommended(study, mark):
    results = load(study)
    renamed = results.methods.replace({"method": {BEST: f"{mark} {BEST}"}})
    compared = results.comparison.replace({"method": {BEST: f"{mark} {BEST}"}})
    found = candidates(replace(results, methods=renamed, comparison=compared))
    assert next(own for own in found if own.is_fit).method == NEXT
    assert all(BEST not in own.method for own in found)
    assert any(own.method == BEST and own.is_fit for own in candidates(results))


def test_an_accuracy_that_its_interval_allows_is_fit(study):
    setting(study, "accuracy", {BEST: 0.862})  # up to 0.872
    assert f"{BEST} (no. 11), which is recommended" in told(study)


def test_where_none_is_fit_the_report_says_why(study):
    setting(study, "coverage", {BEST: 0.3, NEXT: 0.3})
    text = told(study)
    assert "No method of this study is fit to be recommended" in text
    assert "which is recommended" not in text
    assert "hold only 0.300" in text and "less than 0.85" in text


def test_a_cheap_method_that_knows_nothing_is_not_fit(study):
    setting(study, "coverage", {"swag": 0.95})
    (swag,) = [c for c in candidates(load(study)) if c.method == "swag"]
    assert swag.reasons == ("its K_u of 1.2 [1.1, 1.3] is below 2",)


def test_what_costs_more_than_a_deep_ensemble_is_not_fit(study):
    setting(study, "k_u", {BEST: 2.4}, half=0.1)  # at a total cost of 2.67
    (best,) = [c for c in candidates(load(study)) if c.method == BEST]
    assert best.reasons == ("a deep ensemble of the same total cost, 2.67, has a higher K_u",)


def test_without_one_network_no_accuracy_can_be_judged(tmp_path):
    write_results(tmp_path, METHODS[1:], failures=False)
    found = candidates(load(tmp_path))
    assert found and all("can't be compared" in c.reasons[0] for c in found)


def test_what_is_not_fit_for_reasons_of_its_own_is_counted(study):
    setting(study, "k_u", {"swag": 9.0, "learned curve": 8.0})
    text = told(study)
    assert "swag (no. 9) gives more per cost" in text
    assert "The same goes, for reasons of their own, for no. 7." in text


def test_an_interval_that_is_not_known_allows_nothing(study):
    setting(study, "accuracy", {BEST: 0.862}, half=float("nan"))
    (best,) = [c for c in candidates(load(study)) if c.method == BEST]
    assert best.reasons == ("the interval of its accuracy is not known",)


def test_where_no_value_is_known_none_is_recommended(study):
    def edit(table):
        rows = table["metric"].isin(["k_u", "k_eq"])
        table.loc[rows, ["value", "low", "high"]] = float("nan")
        table.loc[rows, "undefined"] = True
        return table

    change(study, "comparison.parquet", edit)
    text = told(study)
    assert "K_u of no explorer or emulator is known, so none is recommended" in text


def test_deep_ensembles_alone_are_not_recommended(tmp_path):
    write_results(tmp_path, METHODS[:5], failures=False)
    assert "No explorer or emulator was compared" in told(tmp_path)


def test_an_open_interval_is_a_lower_limit(study):
    setting(study, "k_u", {NEXT: 2.2}, half=0.1)

    def edit(table):
        rows = (table["metric"] == "k_u") & (table["method"] == BEST)
        return table.assign(high=table["high"].where(~rows, float("inf")))

    change(study, "comparison.parquet", edit)
    assert "K_u > 5.6" in told(study) and "costs more than 5.6 trainings, more than" in told(study)


def test_of_a_regression_the_squared_error_counts():
    results = load(Path(__file__).parents[2] / "studies" / "friedman")
    best, *_ = candidates(results)
    assert best.is_fit and "Its squared error is 5.1" in " ".join(answer(results))
    table = results.comparison.copy()
    rows = (table["method"] == best.method) & (table["metric"] == "squared_error")
    table.loc[rows, ["value", "low", "high"]] = 7.0, 6.0, 8.0
    (same,) = [c for c in candidates(replace(results, comparison=table)) if c.number == best.number]
    assert len(same.reasons) == 1 and "is above that of one network, 5.567" in same.reasons[0]
