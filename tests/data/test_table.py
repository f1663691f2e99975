"""Tables: regressions that scikit-learn ships, and a small study of one."""

import math

import numpy as np
import pytest
import sklearn.datasets
import torch

import tiny
from thalweg.data import DATASETS, Table, load, load_ood, splits
from thalweg.errors import InputError
from thalweg.report import write
from thalweg.report.results import load as load_results
from thalweg.study import looking
from thalweg.study.compare import compare
from thalweg.study.context import StudyContext


def test_friedman_s_rows_follow_friedman_s_formula():
    table = load("friedman1")
    x, y = table.train.double(), table.train_labels.double()[:, 0]
    exact = (
        10 * torch.sin(math.pi * x[:, 0] * x[:, 1])
        + 20 * (x[:, 2] - 0.5) ** 2
        + 10 * x[:, 3]
        + 5 * x[:, 4]
    )
    assert float((y - exact).std()) == pytest.approx(1, abs=0.05)
    assert float((y - exact).mean()) == pytest.approx(0, abs=0.1)


def test_diabetes_is_scikit_learn_s():
    table, bunch = load("diabetes"), sklearn.datasets.load_diabetes(scaled=False)
    ours = torch.cat([table.train, table.test]).double().numpy()
    assert np.allclose(np.sort(ours, 0), np.sort(bunch.data, 0), rtol=1e-6)
    assert float(torch.cat([table.train_labels, table.test_labels]).sum()) == bunch.target.sum()


@pytest.mark.parametrize("name", ["friedman1", "diabetes"])
def test_facts_of_a_table_are_those_of_its_entry(name):
    table, entry = load(name), DATASETS[name]
    assert (len(table.train), len(table.test)) == (entry.train, entry.test)
    assert table.shape == entry.shape and table.columns == 1


def test_rows_and_targets_are_standardised_by_the_training_part():
    table = load("diabetes")
    parts = splits(table, train=100, validation=50)
    rows = table.preparing(parts.train)(parts.train)
    assert torch.allclose(rows.mean(0), torch.zeros(10), atol=1e-5)
    assert torch.allclose(rows.std(0, correction=0), torch.ones(10), atol=1e-5)
    outputs = table.outputs(parts.train_labels)
    assert outputs.units == "points"
    assert outputs.mean[0] == pytest.approx(float(parts.train_labels.double().mean()))
    constant = table.preparing(torch.zeros(5, 10))(torch.ones(1, 10))
    assert constant.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": torch.zeros(4, 3).double()}, "float64.*needs float32"),
        ({"train": torch.zeros(5, 3)}, "5 rows and 4 targets"),
        ({"train": torch.full((4, 3), math.nan)}, "not finite"),
        ({"test": torch.zeros(4, 2)}, "differ in their columns"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    x, y = torch.zeros(4, 3), torch.zeros(4, 1)
    given = {"train": x, "train_labels": y, "test": x, "test_labels": y} | change
    with pytest.raises(InputError, match=message):
        Table("mine", "", **given)


REGRESSION = {
    "data": {
        "name": "friedman1",
        "train": 60,
        "validation": 40,
        "test": 30,
        "ood": None,
        "ood_images": None,
    },
    "methods": [
        {"explorer": "deep-ensemble", "members": [1, 2]},
        {"explorer": "last-layer-laplace"},
        {"explorer": "deep-ensemble", "members": 2, "emulator": "forest"},
    ],
}


def test_a_study_of_a_regression_is_run_judged_and_reported(tmp_path):
    assert not tiny.study(tmp_path, **REGRESSION)
    table = compare(tmp_path)
    judged = set(table["metric"])
    assert {"k_eq", "k_u", "crps", "interval_score", "squared_error", "coverage"} <= judged
    assert not judged & {"accuracy", "ece", "brier", "partial_correlation", "disagreement_ratio"}
    results = load_results(tmp_path)
    assert results.reliability is None and results.uncertain is None
    assert "nll" not in results.facts and "gaussian_nll" in results.facts
    assert write(tmp_path)
    # targets are of order 15: so are predictions, in the units of the targets
    square = table[(table["metric"] == "squared_error")]["value"]
    assert (square > 1).all() and (square < 400).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": {"landscape": "learned-curve"}}, "protocol.landscape.*give 'none'"),
        ({"data": REGRESSION["data"] | {"ood": "rotated"}}, "data.ood.*has no images"),
        ({"model": {"name": "cnn", "hidden": None}}, "cnn got images of 1 x 1"),
        (
            {"methods": [{"explorer": "deep-ensemble", "members": 2, "emulator": "engression"}]},
            "engression on deep-ensemble.*learns from probabilities only",
        ),
    ],
)
def test_what_is_about_images_is_refused_before_anything_is_trained(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        StudyContext(tiny.plan(**(REGRESSION | changes))).check()
    assert "\n" not in str(caught.value)


def test_a_picture_of_its_landscape_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    opened = StudyContext(tiny.plan(**REGRESSION)), tmp_path
    monkeypatch.setattr(looking, "opened", lambda *_, **__: opened)
    with pytest.raises(InputError, match="landscape got a plan with values") as caught:
        looking.look(tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_table_is_no_set_of_images():
    with pytest.raises(InputError, match="unknown out-of-distribution set"):
        load_ood("friedman1", load("digits"), count=3)
