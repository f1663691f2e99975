"""What CONTRIBUTING.md says of adding things: each of its blocks is one file more, and works;
results from before still open.
"""

import importlib
import re
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

import cases
import contract
import thalweg
import tiny
from thalweg import Predictions, Truth, evaluate
from thalweg.data import DATASETS, load
from thalweg.explorers import base
from thalweg.metrics import added, info
from thalweg.registry import import_files
from thalweg.report.content import content
from thalweg.report.results import load as load_results
from thalweg.study.compare import compare

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)


@pytest.fixture
def one_file_more(tmp_path, monkeypatch):
    """Puts the block that has a text into a package's folder."""

    def put(package: str, marker: str) -> None:
        (block,) = (block for block in BLOCKS if marker in block)
        own = tmp_path / package
        own.mkdir()
        (own / "one_more.py").write_text(block)
        folder = importlib.import_module(package)
        monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(own)])
        importlib.invalidate_caches()
        import_files(package)

    yield put
    for name in [name for name in sys.modules if name.endswith(".one_more")]:
        del sys.modules[name]
    base._registry.registered.pop("jitter", None)
    DATASETS.pop("stripes", None)
    info.FACTS.pop("mean_u", None)
    added._METRICS.pop("mean_u", None)


def test_an_explorer(one_file_more, tmp_path):
    one_file_more("thalweg.explorers", "register_explorer")
    jitter = base.find_explorer("jitter")
    assert thalweg.explorers.Jitter is jitter
    contract.check_class(jitter)
    contract.check(jitter, partial(cases.problem, "conv-batchnorm"), tmp_path)
    contract.check_flops(jitter, cases.problem("conv-batchnorm"))


def test_a_metric_is_evaluated(one_file_more):
    one_file_more("thalweg.metrics", "register_metric")
    probs = torch.rand(9, 20, 3, generator=torch.Generator().manual_seed(0)).softmax(-1)
    reference, pool, method = (Predictions(probs[a:b].log()) for a, b in ((0, 4), (4, 7), (7, 9)))
    truth = Truth.of(reference, pool, torch.zeros(20).long())
    found = evaluate(truth, [method], [torch.ones(20)])["mean_u"]
    # u^2 sums the variances of the classes' probabilities over members
    assert found.value == pytest.approx(float(probs[7:].double().var(0).sum(-1).sqrt().mean()))
    assert found.low <= found.value <= found.high


def test_a_study_judges_by_a_metric_and_reports_it(one_file_more, tmp_path):
    one_file_more("thalweg.metrics", "register_metric")
    tiny.study(tmp_path, methods=[{"explorer": "deep-ensemble", "members": 2}])
    compare(tmp_path)
    found = load_results(tmp_path)
    assert found.metric("mean_u")["value"].gt(0).all() and found.has("mean_u")
    assert "mean of u over test inputs" in info.explain("mean_u")
    assert "mean standard uncertainty" in str(content(found))


def test_results_from_before_a_metric_still_open(one_file_more):
    one_file_more("thalweg.metrics", "register_metric")
    found = load_results(ROOT / "studies/fashion-mlp")
    assert not found.has("mean_u") and found.has("k_eq")


def test_a_name_has_one_metric():
    with pytest.raises(ValueError, match="'k_eq', which is there"):
        added.register_metric(info.FACTS["k_eq"])


def test_a_data_set(one_file_more, tmp_path):
    one_file_more("thalweg.data", "register_dataset")
    entry, dataset = DATASETS["stripes"], load("stripes")
    assert (dataset.shape, dataset.classes) == (entry.shape, entry.classes)
    assert (len(dataset.train), len(dataset.test)) == (entry.train, entry.test)
    tiny.study(tmp_path, data={"name": "stripes"}, methods=[{"explorer": "deep-ensemble"}])
    compare(tmp_path)
    assert load_results(tmp_path).metric("accuracy")["value"].gt(0.9).all()


def test_nothing_of_it_stays():
    assert "jitter" not in base.explorers() and "stripes" not in DATASETS
    assert "mean_u" not in info.FACTS and not added.added(None, [])
