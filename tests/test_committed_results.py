"""What the project claims of its headline figures, asked of the committed results (a command
reproduces each: thalweg study).
"""

import json
from pathlib import Path

import pandas as pd
import pytest

STUDIES = Path(__file__).parents[1] / "studies"


def value(study, method, metric):
    table = pd.read_parquet(STUDIES / study / "results" / "comparison.parquet").set_index(
        ["method", "metric"]
    )
    return float(table.loc[(method, metric), "value"])


@pytest.mark.parametrize("members", [1, 2, 3, 5, 10])
def test_on_digits_a_deep_ensemble_is_worth_its_members(members):
    assert value("digits", f"deep-ensemble (members {members})", "k_eq") == pytest.approx(
        members, rel=0.1
    )


@pytest.mark.parametrize("members", [2, 3, 5, 10])
def test_on_digits_the_u_of_other_retrainings_is_worth_their_number(members):
    assert value("digits", f"deep-ensemble (members {members})", "k_u") == pytest.approx(
        members, rel=0.2
    )


@pytest.mark.parametrize("members", [1, 2, 3, 5])
def test_on_a_regression_a_deep_ensemble_is_worth_its_members(members):
    table = pd.read_parquet(STUDIES / "friedman" / "results" / "comparison.parquet")
    row = table.set_index(["method", "metric"]).loc[(f"deep-ensemble (members {members})", "k_eq")]
    assert row["low"] <= members <= row["high"] and row["high"] < 1.25 * members


def test_on_fashion_mnist_the_neighbours_of_two_anchors_pass_the_trivial_row():
    neighbours, trivial = (
        "neighbours on deep-ensemble (members 2)",
        "trivial on deep-ensemble (members 2)",
    )
    assert value("fashion-mlp", neighbours, "k_eq") >= 3
    assert value("fashion-mlp", neighbours, "k_u") >= 4
    assert value("fashion-mlp", neighbours, "k_u") > value("fashion-mlp", trivial, "k_u")


@pytest.mark.parametrize("members", [1, 2, 3, 5])
def test_beside_all_methods_a_deep_ensemble_is_worth_its_members(members):
    assert value("explorers", f"deep-ensemble (members {members})", "k_eq") == pytest.approx(
        members, rel=0.1
    )


@pytest.mark.parametrize(
    ("method", "metric", "told"),
    [
        ("packed-ensemble (repeat 1)", "k_eq", "K_eq 2.8"),
        ("mc-dropout (repeat 1)", "k_eq", "(2.1 at 1.0)"),
        ("last-layer-laplace (repeat 1)", "k_eq", "Laplace (1.8)"),
        ("fge (repeat 1)", "k_eq", "FGE (1.7)"),
        ("neighbours on deep-ensemble (members 2)", "k_eq", "K_eq 3.5"),
        ("neighbours on deep-ensemble (members 2)", "k_u", "K_u 6.3"),
    ],
)
def test_the_readme_quotes_the_study_of_all_methods(method, metric, told):
    readme = " ".join((STUDIES.parent / "README.md").read_text().split())
    paragraph = readme[readme.index("compares all published methods side by side") :][:900]
    assert told in paragraph and f"{value('explorers', method, metric):.1f}" in told


PAPERS = {
    file.stem: json.loads(file.read_text())["bases"]
    for file in (STUDIES.parent / "research/papers/results").glob("*.json")
}


@pytest.mark.parametrize("plan", ["mnist-cnn", "fashion-cnn"])
def test_what_papers_claim_and_we_found(plan):
    """Of each base: a curve three trainings long is ten times lower, aligned anchors are, and five
    draws a step cost five.
    """
    bases = PAPERS[plan].values()
    assert len(bases) >= 3
    for base in bases:
        assert (
            base["connected_longer"]["barrier"]
            > 10 * base["connected_longer"]["barrier of the curve"]
        )
        assert base["aligned"]["barrier"] < base["connected"]["barrier"] / 2
        assert base["simplex"]["cost of a vertex over that with one draw a step"] == 5


FROM_ONE = ("fge (share 0.5, start anchor)", "swag (share 0.5, start anchor)")
RESTARTS = "restarts (members 10, share 0.05, lr_ratio 2.0)"  # at their default rate
LED = {
    "paths-fashion-mlp": (*FROM_ONE, RESTARTS, "snapshot", "spro", "learned-line"),
    "paths-fashion-vit": (*FROM_ONE, RESTARTS, "snapshot", "spro", "learned-line"),
    "paths-mnist-cnn": (*FROM_ONE, RESTARTS),
    "paths-fashion-cnn": (*FROM_ONE, "restarts (members 10, share 0.05, lr_ratio 1.0)"),
}


@pytest.mark.parametrize("study", LED)
@pytest.mark.parametrize("metric", ["k_eq", "k_u"])
def test_led_paths_are_worth_more_than_other_local_explorers(study, metric):
    for other in LED[study]:
        assert value(study, "thalweg", metric) > 1.15 * value(study, other, metric)


CONTROLS = (
    "adversaries (members 10, share 0.03, form loss)",
    "adversaries (members 10, share 0.03, form outputs)",
    "weight-dropout (members 10)",
    "linearised (members 10, share 0.03)",
)


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_of_equal_cost_know_less_of_u(control):
    study = "paths-fashion-cnn"
    assert value(study, control, "k_u") < 0.75 * value(study, "thalweg", "k_u")
    assert value(study, control, "k_eq") < value(study, "thalweg", "k_eq")
    costs = pd.read_parquet(STUDIES / study / "results" / "methods.parquet").set_index("method")
    assert costs["total"][control] > 0.9 * costs["total"]["thalweg"]


@pytest.mark.parametrize("study", LED)
def test_what_u_of_retrainings_is_led_paths_know_as_networks(study):
    spread = value(study, "thalweg", "spread_ratio")
    if study == "paths-fashion-cnn":  # short of it, as the page says
        assert 0.75 < spread < 0.85
    else:
        assert spread == pytest.approx(1, abs=0.15)
    assert value(study, "thalweg", "k_u") > 2
