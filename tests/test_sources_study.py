"""The study of sources: its page follows from its results, and says what they say."""

import pytest
import torch

from research.skeleton import stored
from research.sources import page
from research.sources.__main__ import SIMULATIONS, main
from research.sources.cases import CASES, problem
from research.sources.worlds import compared
from thalweg.sources import Design

FOUND = {result["name"]: result for result in stored(page.RESULTS)}


def budget(case, kind):
    return next(own for own in FOUND[case]["budgets"] if own["kind"] == kind)


def row(case, kind, name):
    return next(own for own in budget(case, kind)["rows"] if own["name"] == name)


def test_everything_is_measured_and_the_page_is_made_of_it(tmp_path):
    assert FOUND.keys() == CASES.keys() | SIMULATIONS.keys()
    assert main(["page", "--check"]) == 0
    copy = tmp_path / "sources.md"
    copy.write_text("<!-- sources time -->\nold\n<!-- end -->\n")
    text = page.pages(page.RESULTS, tmp_path)[copy]
    assert "old" not in text and "3 of 3 cases are done" in text


@pytest.mark.parametrize("name", CASES)
def test_each_case_has_its_designs(name):
    for asked, own in zip(CASES[name].designs, FOUND[name]["budgets"], strict=True):
        design = Design.of(
            asked.sources, asked.trainings, asked.kind, dict.fromkeys(asked.sources, asked.levels)
        )
        assert own["design"] == str(design) and own["trainings"] == design.trainings
        assert sum(r["share"] for r in own["rows"] if r["name"] != "all") == pytest.approx(1)


def test_a_case_can_be_trained():
    own, inputs = problem(CASES["diabetes-mlp"], None)
    assert inputs.shape == (147, 10) and own.outputs.units == "points"
    assert torch.isfinite(own.build("anchor", 0)(inputs)).all()


def test_what_the_page_says_of_fashion_mnist():
    alone = {name: row("fashion-mlp", "one-factor", name)["u"][0] for name in ("init", "order")}
    assert {name: round(u, 1) for name, u in alone.items()} == {"init": 0.1, "order": 0.1}
    main_effects = {name: row("fashion-mlp", "crossed", name) for name in ("init", "order", "data")}
    assert round(main_effects["init"]["u"][0], 2) == 0.04
    assert main_effects["order"]["u"][1] == 0 and main_effects["data"]["share"] > 0.5
    crossed = [r for r in budget("fashion-mlp", "crossed")["rows"] if r["effect"] == "interaction"]
    assert sum(r["share"] for r in crossed) == pytest.approx(1 / 3, abs=0.05)
    assert max(crossed, key=lambda r: r["share"])["name"] == "init x order x data"


def test_what_the_page_says_of_the_regression_and_of_latin_squares():
    assert row("diabetes-mlp", "crossed", "data")["share"] == pytest.approx(2 / 3, abs=0.03)
    for case in ("fashion-mlp", "diabetes-mlp"):
        for name in ("init", "data"):
            (u, low, high), (other, *_) = (
                row(case, kind, name)["u"] for kind in ("crossed", "latin")
            )
            assert low < other < high and other == pytest.approx(u, rel=0.05)


def test_what_the_page_says_of_the_designs():
    for errors in FOUND["designs"]["errors"].values():
        main_errors = {kind: own["main"] for kind, own in errors.items() if "main" in own}
        assert min(main_errors, key=main_errors.get) == "latin"
        total = {kind: own["total"] for kind, own in errors.items() if "total" in own}
        assert total["one-factor"] <= min(total.values()) + 0.01
    for deviations, shares in FOUND["designs"]["coverage"].items():
        least = 0.94 if "Gaussian" in deviations else 0.85
        assert all(share >= least for share in shares.values()), deviations


def test_what_the_page_says_of_stopping():
    rows = FOUND["enough"]["rows"]
    ours = [r for r in rows if r["rule"] == "thalweg's"]
    assert max(r["wrong"] for r in ours if not r["heavy"]) <= 0.05
    assert max(r["wrong"] for r in ours) < 0.15
    assert max(r["wrong"] for r in rows if r["rule"] == "the clause's") > 0.4


def test_the_one_factor_design_of_the_cnn_warns_of_a_training():
    assert "data 3" in budget("mnist-cnn", "one-factor")["warning"]


def test_simulations_have_a_short_form():
    found = compared(True)
    assert found["errors"].keys() == {"small", "large"} and found["worlds"] == 20
    assert main(["nothing"]) == 2
    assert main(["designs", "--quick"]) == 2
