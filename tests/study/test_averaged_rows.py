"""Rows whose emulator sees predictions averaged over the recipe's random changes of inputs: through
a plan, a study and its folder.
"""

import json
from dataclasses import replace

import pytest
import torch

import tiny
from thalweg.computing import compute
from thalweg.data.augmentation import Augmentation
from thalweg.data.datasets import load
from thalweg.emulators.atlas import Atlas
from thalweg.errors import InputError
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.method import Method
from thalweg.predictions import Predictions
from thalweg.study import context
from thalweg.study.context import StudyContext
from thalweg.study.plan import plan_of
from thalweg.study.tasks import MethodRun, draw_seed, fingerprint

ROW = {"explorer": "deep-ensemble", "members": 1, "emulator": {"name": "atlas", "trees": 5}}
BOTH = {"protocol": {"bases": 1}, "methods": [ROW | {"averages": [0, 2]}]}


@pytest.fixture
def augmented(monkeypatch):
    """The digits, as if they were customarily shifted."""
    shifted = Augmentation(padding=1, border="zero")
    monkeypatch.setattr(context, "load", lambda *given: replace(load(*given), augment=shifted))


def test_a_plan_comes_back_from_its_facts():
    plan = tiny.plan(**BOTH)
    assert [row.method.averages for row in plan.methods] == [0, 2]
    assert [row.label for row in plan.methods] == [
        "atlas (trees 5, averages 0) on deep-ensemble (members 1)",
        "atlas (trees 5, averages 2) on deep-ensemble (members 1)",
    ]
    assert plan_of(json.loads(json.dumps(plan.facts()))) == plan


def test_names_of_runs_hang_on_it_only_where_there_are_some(augmented):
    plans = [tiny.plan(methods=[ROW | more]) for more in ({}, {"averages": 0}, {"averages": 2})]
    facts = [plan.methods[0].facts() for plan in plans]
    assert facts[0] == facts[1] and "averages" not in facts[0]
    assert facts[2] == facts[0] | {"averages": 2}
    names = [fingerprint(StudyContext(plan), MethodRun(0, 0)) for plan in plans]
    assert names[0] == names[1] != names[2]


def test_a_study_computes_them(augmented, tmp_path):
    assert tiny.study(tmp_path, **BOTH) == []
    own = StudyContext(tiny.plan(**BOTH))
    method = Method(DeepEnsemble(1), emulator=Atlas(trees=5), averages=2)
    inputs = {"calibration": own.loader(own.splits.validation), **own.parts()}
    settings = {"draws": 4, "emulator_draws": 8, "seed": draw_seed(own.plan, 0)}
    expected = compute(method, own.problem("base 0", None), inputs, **settings)
    plain, averaged = [
        tmp_path / "runs" / fingerprint(own, MethodRun(0, number)) for number in range(2)
    ]
    predicted = [Predictions.load(run / "test.safetensors") for run in (plain, averaged)]
    assert torch.equal(predicted[1].stored, expected.predictions["test"].stored)
    assert not torch.equal(predicted[0].stored, predicted[1].stored)
    records = [json.loads((run / "run.json").read_text()) for run in (plain, averaged)]
    costs = [record["cost"]["forward_examples"] for record in records]
    # a training set is looked at once for features, and each validation image 1 + 2 times
    assert costs[1] - costs[0] == 2 * 40
    assert [record["evaluations_per_input"] for record in records] == [1, 3]
    assert [record.get("averages") for record in records] == [None, 2]
    assert len(tiny.table(tmp_path).method.unique()) == 2


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"averages": -1}, r"methods\[0\]\.averages got -1, needs a whole number, 0 or more"),
        ({"averages": [0, 1.5]}, r"methods\[0\]\.averages got 1\.5, needs a whole number"),
        ({"averages": 2, "emulator": "neighbours", "members": 2}, "Neighbours makes nothing of"),
        ({"averages": 2, "emulator": None}, r"methods\[0\]: averages got 2 and no emulator"),
    ],
)
def test_mistakes_name_the_key(changes, line):
    with pytest.raises(InputError, match=line) as caught:
        tiny.plan(methods=[ROW | changes])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("augment", [True, False])
def test_a_recipe_that_changes_nothing_is_refused_before_anything_is_trained(
    augment, tmp_path, request
):
    """The digits have no customary augmentation; where there is one, a plan may leave it out."""
    if not augment:
        request.getfixturevalue("augmented")
    with pytest.raises(InputError, match=r"averages got 2, and no .*averages = 0") as caught:
        tiny.study(tmp_path, methods=[ROW | {"averages": 2}], data={"augment": augment})
    assert str(caught.value).startswith("atlas (trees 5, averages 2) on deep-ensemble")
    assert "\n" not in str(caught.value) and not list(tmp_path.rglob("*.safetensors"))
