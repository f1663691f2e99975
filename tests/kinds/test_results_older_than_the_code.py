"""Results older than the code: a report shows its results' metrics as these describe them."""

import dataclasses
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from stored import as_of_0_1, resealed
from thalweg import files
from thalweg.metrics.info import FACTS
from thalweg.report import figures, images, landscape, write
from thalweg.report.blocks import Pairs, Paragraph
from thalweg.report.content import content
from thalweg.report.results import load
from thalweg.report.tables import Table

sys.path.append(str(Path(__file__).parents[1] / "report"))
from synthetic import METHODS, write_results

STUDIES = sorted(
    folder.parents[0] for folder in (Path(__file__).parents[2] / "studies").glob("*/results")
)
FEW = [
    m
    for m in METHODS
    if m[0] in ("deep ensemble of 2", "deep ensemble of 3", "swag", "spro (vertices 3)")
]


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path, FEW)


def without(folder, *metrics) -> None:
    """Takes metrics out of results, as those of a version that did not have them."""
    path = folder / "results/comparison.parquet"
    table = pd.read_parquet(path)
    table[~table["metric"].isin(metrics)].to_parquet(path)

    def edit(study):
        study["files"]["comparison.parquet"] = files.digest(path.read_bytes())
        study["metrics"] = [m for m in study["metrics"] if m["name"] not in metrics]

    resealed(folder / "results/study.json", edit)


@pytest.fixture(autouse=True)
def _undrawn(request, monkeypatch):
    """Figures take seconds each: here they are made and not drawn, but for the reports of the slow
    test.
    """
    if "slow" not in request.keywords:
        for module in (figures, images, landscape):
            monkeypatch.setattr(module, "styled", lambda width, height, draw: Figure())


def told(folder) -> list[str]:
    """All texts of a report: titles and definitions, cells and their heads, paragraphs."""
    whole = content(load(folder))
    texts = [" ".join(whole.answer)]
    for block in (block for section in whole.sections for block in section.blocks):
        if isinstance(block, Table):
            texts += [text for head in block.head for text in head] + [
                cell.text for row in block.rows for cell in row.cells
            ]
        elif isinstance(block, Pairs):
            texts += [text for row in block.rows for text in row]
        elif isinstance(block, Paragraph):
            texts.append(block.text)
    return texts


def name_of(metric) -> str:
    """As the definitions call it."""
    fact = FACTS[metric]
    return fact.title if fact.symbol == fact.title else f"{fact.title} ({fact.symbol})"


def test_all_committed_studies_are_there():
    assert len(STUDIES) >= 9


@pytest.mark.parametrize("study", [folder.name for folder in STUDIES])
def test_committed_results_are_read(study):
    results = load(next(folder for folder in STUDIES if folder.name == study))
    assert results.has("k_eq") and set(results.facts) >= set(results.comparison["metric"])


@pytest.mark.slow
@pytest.mark.parametrize("study", [folder.name for folder in STUDIES])
def test_committed_results_give_a_report(study, tmp_path):
    folder = shutil.copytree(
        next(folder for folder in STUDIES if folder.name == study), tmp_path / study
    )
    for path in write(folder):
        assert 10_000 < path.stat().st_size < 2_000_000


def test_a_metric_that_is_newer_than_the_results(results, monkeypatch):
    """What closed `thalweg report studies/fashion-mlp`: added to the table of facts after the
    study.
    """
    new = dataclasses.replace(FACTS["nll"], name="luck", title="luck that nobody had")
    monkeypatch.setitem(FACTS, "luck", new)
    texts = told(results)
    assert name_of("nll") in texts and name_of("luck") not in texts


def test_the_same_in_results_of_0_1(results, monkeypatch):
    """They list no metrics."""
    without(results, "outside", "ood_outside")
    as_of_0_1(results / "results/study.json", "version", "metrics", "files")
    texts = told(results)
    assert name_of("outside") not in texts and name_of("coverage") in texts


@pytest.mark.parametrize("listed", [True, False])
def test_a_metric_that_this_version_has_dropped(listed, results, monkeypatch):
    """It is shown as the results tell it, or, where they tell nothing, by its name."""
    if not listed:
        as_of_0_1(results / "results/study.json", "version", "metrics", "files")
    value = load(results).metric("disagreement_ratio")["value"].iloc[0]
    monkeypatch.delitem(FACTS, "disagreement_ratio")
    texts = told(results)
    assert (
        "disagreement ratio (disagr.)" if listed else "disagreement ratio (disagreement_ratio)"
    ) in texts
    assert f"{value:{'.2f' if listed else '.4g'}}" in texts


def test_a_metric_that_is_told_otherwise_today(results):
    """The definition by which the numbers were made stands beside them."""

    def edit(study):
        metric = next(m for m in study["metrics"] if m["name"] == "ece")
        metric.update(
            title="calibration error in ten bins", digits=".1f", direction="none", symbol="E10"
        )

    resealed(results / "results/study.json", edit)
    texts = told(results)
    assert (
        "calibration error in ten bins (E10)" in texts
        and name_of("ece") not in texts
        and "E10" in texts
    )


@pytest.mark.parametrize(
    "gone",
    [
        ("k_eq", "efficiency", "gap"),
        ("k_u", "u_efficiency"),
        ("coverage",),
        ("k_eq", "k_u", "coverage", "accuracy", "nll"),
    ],
)
def test_headline_figures_that_the_results_do_not_have(gone, results):
    without(results, *gone)
    texts = told(results)
    assert not {name_of(name) for name in gone} & set(texts)
    assert name_of("brier") in texts and "1 failed" in texts[0]


def test_what_a_later_version_says_of_each_metric_is_not_asked_of_older_results(results):
    """What closed all nine committed studies: the ends of each metric's range."""

    def edit(study):
        for metric in study["metrics"]:
            del metric["low"], metric["high"]

    resealed(results / "results/study.json", edit)
    assert name_of("nll") in told(results)
