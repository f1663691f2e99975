"""Adding a metric is adding one file: this one is found, evaluated, stored and reported, and
results from before it still open.
"""

import importlib
import sys
from pathlib import Path

import pytest
import torch

import tiny
from thalweg import Predictions, Truth, evaluate
from thalweg.metrics import added, info
from thalweg.registry import import_files
from thalweg.report.content import content
from thalweg.report.results import load
from thalweg.study.compare import compare

STUDIES = Path(__file__).parents[2] / "studies"
SOURCE = '''"""Mean standard uncertainty over test inputs. A metric of our own, for tests."""
import torch

from thalweg.metrics.added import register_metric
from thalweg.metrics.info import MetricInfo
from thalweg.metrics.intervals import Range


@register_metric(
    MetricInfo("mean_u", "mean standard uncertainty", "mean u", "", "none",
               "Mean of u over test inputs.", "a test", ".3f")
)
def mean_u(truth, methods):
    table = torch.stack([method.u().double() for method in methods], 1)  # [inputs, bases]
    return truth.resamples.mean(table, Range(0.0))
'''


def predictions(probs):
    return Predictions(probs.log())


@pytest.fixture
def mean_u(tmp_path, monkeypatch):
    """The metrics with one file more in their folder."""
    (tmp_path / "mean_u.py").write_text(SOURCE)
    folder = importlib.import_module("thalweg.metrics")
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    import_files("thalweg.metrics")
    yield
    del sys.modules["thalweg.metrics.mean_u"], info.FACTS["mean_u"], added._METRICS["mean_u"]


def test_it_is_evaluated(mean_u):
    probs = torch.rand(9, 20, 3, generator=torch.Generator().manual_seed(0)).softmax(-1)
    truth = Truth.of(predictions(probs[:4]), predictions(probs[4:7]), torch.zeros(20).long())
    method = predictions(probs[7:])
    found = evaluate(truth, [method], [torch.ones(20)])["mean_u"]
    # u^2 sums the variances of the classes' probabilities over members
    assert found.value == pytest.approx(float(probs[7:].double().var(0).sum(-1).sqrt().mean()))
    assert found.low <= found.value <= found.high


def test_a_study_judges_and_reports_it(mean_u, tmp_path):
    tiny.study(tmp_path, methods=[{"explorer": "deep-ensemble", "members": 2}])
    compare(tmp_path)
    found = load(tmp_path)
    assert found.metric("mean_u")["value"].gt(0).all() and found.has("mean_u")
    assert "Mean of u over test inputs" in info.explain("mean_u")
    assert "mean standard uncertainty" in str(content(found))


def test_results_from_before_still_open(mean_u):
    assert not load(STUDIES / "fashion-mlp").has("mean_u")


def test_a_name_has_one_metric():
    with pytest.raises(ValueError, match="'k_eq', which is there"):
        added.register_metric(info.FACTS["k_eq"])


def test_it_is_gone_again():
    assert "mean_u" not in info.FACTS and not added.added(None, [torch.zeros(1)])
