"""A whole report of made-up results: nothing missing, nothing loaded from elsewhere, one-line
errors.
"""

import html
import re
import sys
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest
import typst
from synthetic import METHODS, write_results

from thalweg import files
from thalweg.errors import InputError
from thalweg.metrics.info import FACTS
from thalweg.report import write
from thalweg.report.equations import mathml
from thalweg.report.results import load
from thalweg.report.tables import cost_table, metric_table


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def report(study):
    return write(study)


def change(folder, name, edit):
    """Edits a table, and seals the results again, as a stranger might."""
    path = folder / "results" / name
    edit(pd.read_parquet(path)).to_parquet(path)
    change_study(
        folder, lambda study: study["files"].update({name: files.digest(path.read_bytes())})
    )


def change_study(folder, edit):
    path = folder / "results" / "study.json"
    study = files.read_record(path, dict[str, Any])
    edit(study)
    files.write_record(path, study)


def test_the_page_has_every_number_of_the_tables(study, report):
    results = load(study)
    page = html.unescape(report[1].read_text())
    named = [fact for name, fact in FACTS.items() if name not in results.methods.columns]
    for table in (metric_table(results, "all", "", named), cost_table(results, "")):
        for row in table.rows:
            assert row.label in page
            for own in row.cells:
                assert f">{own.text}<" in page and own.interval in page


def test_the_page_loads_nothing(report):
    loads = []

    class Loads(HTMLParser):
        def handle_starttag(self, tag, attrs):
            own = dict(attrs)
            loads.extend(
                (tag, own[key])
                for key in ("src", "srcset", "data", "poster", "action")
                if own.get(key)
            )
            if tag == "link" or tag == "base":
                loads.append((tag, own.get("href")))

    page = report[1].read_text()
    Loads().feed(page)
    assert not [(tag, url) for tag, url in loads if not url.startswith("data:")]
    assert not re.findall(r"@import|url\(\s*['\"]?http", page.split("</style>")[0])
    assert "plotly" not in page


def test_the_pdf_has_pages(report):
    data = report[0].read_bytes()
    assert data.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) > 4


def test_the_same_results_give_the_same_files(study, report):
    before = [path.read_bytes() for path in report]
    assert [path.read_bytes() for path in write(study)] == before


def test_both_have_the_same_sections(report):
    page = report[1].read_text()
    titles = re.findall(r'<h2><span class="no">\d+</span>(.*?)</h2>', page)
    assert len(titles) == 15
    assert {
        "Comparison",
        "Coverage",
        "Reliability",
        "Failed runs",
        "Definitions",
        "References",
    } <= set(titles)


def test_failures_are_said(report):
    page = report[1].read_text()
    assert "<strong>1 failed</strong>" in page and "training diverged at step 412" in page


def test_figures_tables_and_equations_are_numbered_in_order(report):
    page = report[1].read_text()
    for kind, pattern in (
        ("Figure", r"<figcaption><b>Figure (\d+):"),
        ("Table", r"<caption><b>Table (\d+):"),
        ("eq.", r'<span class="no">eq\. \((\d+)\)'),
    ):
        numbers = [int(number) for number in re.findall(pattern, page)]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 3, kind
    assert "\x03" not in page and page.count("<math") == 6


def test_a_landscape_says_how_its_page_is_made(report):
    assert "thalweg landscape studies/fashion-mlp.toml" in report[1].read_text()


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        (
            "comparison.parquet",
            lambda t: t[(t["metric"] != "nll") | (t["method"] != "swag")],
            "no 'nll' of 'swag'",
        ),
        (
            "comparison.parquet",
            lambda t: t[t["metric"] != "coverage"],
            "no 'coverage' of 'deep ensemble of 1'",
        ),
        (
            "comparison.parquet",
            lambda t: t.assign(undefined=False),
            "no 'fair_gap' of 'deep ensemble of 1'",
        ),
        ("comparison.parquet", lambda t: pd.concat([t, t.tail(1)]), "twice"),
        ("comparison.parquet", lambda t: t.drop(columns="low"), "no column 'low'"),
        ("methods.parquet", lambda t: t.assign(seconds=float("nan")), "no 'seconds' of"),
        ("inputs.parquet", lambda t: t[t["method"] != "swag"], "nothing of 'swag'"),
        ("reliability.parquet", lambda t: t.head(0), "no rows"),
    ],
)
def test_what_is_missing_is_one_line(tmp_path, name, edit, words):
    change(write_results(tmp_path), name, edit)
    with pytest.raises(InputError, match=re.escape(words)) as error:
        write(tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "report.pdf").exists()


@pytest.mark.parametrize(
    "name",
    [
        "comparison.parquet",
        "curves.parquet",
        "study.json",
        "uncertain.safetensors",
        "landscape.safetensors",
        "reliability.parquet",
    ],
)
def test_a_missing_or_damaged_file_is_one_line(tmp_path, name):
    path = write_results(tmp_path) / "results" / name
    path.write_bytes(path.read_bytes()[:40])
    for _ in range(2):
        with pytest.raises(InputError, match=re.escape(name)) as error:
            write(tmp_path)
        assert "\n" not in str(error.value)
        path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "key", ["counts", "versions", "hardware", "dates", "plan", "failures", "shape", "reproduce"]
)
def test_a_missing_key_of_the_study_is_one_line(tmp_path, key):
    change_study(write_results(tmp_path), lambda study: study.pop(key))
    with pytest.raises(InputError, match=key):
        write(tmp_path)


def test_no_results_folder(tmp_path):
    with pytest.raises(InputError, match="thalweg compare"):
        write(tmp_path)


@pytest.mark.parametrize("package", ["typst", "jinja2"])
def test_a_missing_extra_is_one_line(study, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=re.escape("pip install thalweg[report]")):
        write(study)


@pytest.mark.parametrize("page", [b"<p>no formula</p>", RuntimeError("unknown format")])
def test_an_older_typst_is_one_line(page, monkeypatch):
    def compile(*_, **__):
        if isinstance(page, RuntimeError):
            raise page
        return page

    monkeypatch.setattr(typst, "compile", compile)
    with pytest.raises(InputError, match="needs typst"):
        mathml(["a = b"])


def test_many_methods_a_lost_one_and_no_plane(tmp_path):
    more = [
        (
            f"learned curve, seed {i} with a long label",
            "learned-curve",
            None,
            1.0 + i / 9,
            1.5,
            1.5,
            32,
        )
        for i in range(13)
    ]
    write_results(tmp_path, (*METHODS, *more), failures=False)
    change(
        tmp_path,
        "methods.parquet",
        lambda t: t.assign(failed=[5 * (m == "swag") for m in t["method"]]),
    )
    for name in ("comparison.parquet", "inputs.parquet", "reliability.parquet"):
        change(tmp_path, name, lambda t: t[t["method"] != "swag"])

    def without(study):
        study["plan"]["protocol"]["landscape"] = "none"
        study["counts"]["ood"] = 0
        for metric in study["metrics"]:
            metric["judged"] &= not metric["name"].startswith("ood_")

    change_study(tmp_path, without)
    (tmp_path / "results" / "landscape.safetensors").unlink()
    change(tmp_path, "comparison.parquet", lambda t: t[~t["metric"].str.startswith("ood_")])
    paths = write(tmp_path)
    assert all(path.stat().st_size < 1_000_000 for path in paths)  # of 25 methods
    page = paths[1].read_text()
    assert (
        "swag<sup>‡</sup>" in page
        and "All runs of the method failed" in page
        and "The loss landscape" not in page
    )
