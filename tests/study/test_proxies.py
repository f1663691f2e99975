"""Rows with narrow networks beside the anchors: through a plan, a study and its folder."""

import json
import shutil

import pytest
import torch

import tiny
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.errors import InputError
from thalweg.predictions import Predictions
from thalweg.study.plan import plan_of

FOREST = {
    "explorer": "deep-ensemble",
    "members": 1,
    "proxies": {"budget": 1.0},
    "emulator": {"name": "forest", "trees": 10},
}
ALONE = {"explorer": "deep-ensemble", "members": 1, "proxies": {"budget": 1.0}}
QUICK = {"protocol": {"bases": 1}, "methods": [ALONE, FOREST]}


def records(folder) -> dict[str, dict]:
    """Of the rows, by label, with what they predicted."""
    found = {}
    for path in (folder / "runs").glob("*/run.json"):
        record = json.loads(path.read_text())
        if record["kind"] == "method":
            found[record["method"]] = record | {
                "predicted": Predictions.load(path.parent / "test.safetensors")
            }
    return found


def test_a_study_with_proxies(tmp_path, monkeypatch):
    """By operations, 64-4-10 costs half of 64-8-10: the budget buys two."""
    assert tiny.study(tmp_path, **QUICK) == []
    table = tiny.table(tmp_path)
    alone, forest = (m.label for m in tiny.plan(**QUICK).methods)
    assert set(table.method) == {alone, forest}
    found = records(tmp_path)
    for label in (alone, forest):
        assert (found[label]["share"], found[label]["proxies_trained"]) == (0.5, 2)
        assert (
            found[label]["cost"]["trainings"] == pytest.approx(2, rel=1e-2)
            and found[label]["evaluations_per_input"] == 3
        )
    assert found[alone]["predicted"].members == 3 and found[alone]["predicted"].stated_u is None
    assert (
        found[forest]["predicted"].members == 8 and found[forest]["predicted"].outside is not None
    )

    # what the networks said is kept, by network, and they are not asked again
    assert len(list((tmp_path / "witnesses").iterdir())) == 3
    shutil.rmtree(tmp_path / "runs")
    monkeypatch.setattr("thalweg.observing._record", None)
    assert tiny.study(tmp_path, **QUICK) == []
    for label, again in records(tmp_path).items():
        assert torch.equal(again["predicted"].log_probs, found[label]["predicted"].log_probs)
        assert again["cost"]["backward_examples"] == found[label]["cost"]["backward_examples"]
    assert (
        records(tmp_path)[forest]["cost"]["forward_examples"]
        == found[forest]["cost"]["forward_examples"]
    )


def test_witnesses_that_are_damaged_are_asked_again(tmp_path):
    changes = QUICK | {"methods": [FOREST]}
    assert tiny.study(tmp_path, **changes) == []
    (before,) = records(tmp_path).values()
    for path in (tmp_path / "witnesses").iterdir():
        path.write_bytes(b"none")
    shutil.rmtree(tmp_path / "runs")
    assert tiny.study(tmp_path, **changes) == []
    (after,) = records(tmp_path).values()
    assert torch.equal(after["predicted"].log_probs, before["predicted"].log_probs)


def test_a_plan_comes_back_from_its_facts():
    methods = [FOREST, ALONE, {**FOREST, "proxies": {"share": 0.5, "members": 3}}]
    plan = tiny.plan(methods=methods)
    assert [row.method.narrow for row in plan.methods] == [
        NarrowEnsemble(),
        NarrowEnsemble(),
        NarrowEnsemble(width_ratio=0.5, members=3),
    ]
    assert [row.method.trainings for row in plan.methods] == [2, 2, 1.75]
    assert plan_of(json.loads(json.dumps(plan.facts()))) == plan
    assert [m.label for m in plan.methods][:2] == [
        "forest (trees 10) on deep-ensemble (members 1) and narrow-ensemble (budget 1.0)",
        "deep-ensemble (members 1) and narrow-ensemble (budget 1.0)",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"emulator": "neighbours", "members": 2},
            r"methods\[0\]: Neighbours learns from full trainings only, and would make nothing of",
        ),
        ({"proxies": 0.5}, r"methods\[0\]\.proxies got 0\.5, needs a table such as"),
        ({"proxies": {"budgt": 1}}, r"methods\[0\]\.proxies\.?.*budgt"),
        ({"proxies": {"budget": -1}}, r"methods\[0\]\.proxies.*budget got -1"),
        (
            {"proxies": None},
            r"methods\[0\]: Forest learns from the differences of 2 networks or more, and Deep",
        ),
    ],
)
def test_mistakes_name_the_key(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        tiny.plan(methods=[FOREST | changes])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("more", [{"proxies": {"budget": 1.0}}, {"emulator": "forest"}])
def test_a_baseline_has_neither_proxies_nor_features(more):
    with pytest.raises(
        InputError,
        match=r"methods\[0\]: PackedEnsemble trains another network than the problem's",
    ):
        tiny.plan(methods=[{"baseline": "packed-ensemble", **more}])


def test_the_field_s_name_is_a_word_of_plans_too():
    """Facts and fingerprints keep the first word."""
    share, width_ratio = (
        tiny.plan(
            methods=[
                {**FOREST, "proxies": {word: 0.5, "members": 3}, "label": "a"},
                {"baseline": "narrow-ensemble", word: 0.5, "members": 3, "label": "b"},
            ]
        )
        for word in ("share", "width_ratio")
    )
    assert share == width_ratio and share.facts() == width_ratio.facts()
    beside, alone = share.facts()["methods"]
    assert beside["proxies"] == alone["settings"] == {"budget": 1.0, "share": 0.5, "members": 3}
    with pytest.raises(InputError, match=r"methods\[0\]\.proxies got share and width_ratio"):
        tiny.plan(methods=[{**FOREST, "proxies": {"share": 0.5, "width_ratio": 0.5}}])
