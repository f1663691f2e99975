"""The pages of docs/methods: one for every method, whose snippets run, and an index with the true
costs.
"""

import inspect
import re
import tomllib
from pathlib import Path

import pytest
import torch

import thalweg
import tiny
from cases import CLASSES, held_out, problem, task
from thalweg.baselines.base import baselines
from thalweg.emulators.base import emulators
from thalweg.explorers.base import explorers

FOLDER = Path(__file__).parents[1] / "docs/methods"
TRAINED = {**explorers(), **baselines()}
METHODS = {**TRAINED, **emulators()}
PARTS = (
    "What it does",
    "When to use it",
    "Cost",
    "How to use it",
    "Results",
    "Deviations from the paper",
)
MARK = re.compile(r"(<!-- table .* -->\n).*?(<!-- end -->)", re.DOTALL)


def page(name):
    """The text of a page, its table empty."""
    return MARK.sub(r"\1\2", (FOLDER / f"{name}.md").read_text())


def snippet(name, language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", page(name), re.DOTALL)
    return found


def index():
    """The cells of each row of the index, by name."""
    rows = [
        row.strip("|").split(" | ")
        for row in (FOLDER / "README.md").read_text().splitlines()
        if row.startswith("| [")
    ]
    return {re.search(r"`(.*)`", name)[1]: [name, *cells] for name, *cells in rows}


def words(text):
    return " ".join(text.split())


def test_there_is_a_page_for_every_method_and_no_other():
    assert {path.stem for path in FOLDER.glob("*.md")} == {*METHODS, "README"}


@pytest.mark.parametrize("name", METHODS)
def test_a_page_has_all_parts_in_order_and_is_short(name):
    lines = page(name).splitlines()
    assert lines[0].startswith(f"# `{name}`: ")
    assert tuple(re.findall(r"^\*\*(.*?)\*\*", page(name), re.MULTILINE)) == PARTS
    assert 30 <= len(lines) <= 80
    assert max(map(len, lines)) <= 160
    assert 3 <= len([line for line in snippet(name, "python").splitlines() if line]) <= 8


@pytest.mark.parametrize("name", TRAINED)
def test_a_page_has_the_mark_of_its_own_table(name):
    studies = re.findall(rf"<!-- table ([a-z-]+) of {name} -->\n<!-- end -->\n", page(name))
    assert len(studies) == len(MARK.findall(page(name))) == 1
    assert any(f"studies/{study}.toml" in page(name) for study in (*studies, "explorers"))
    assert "beside deep ensembles of the same study" in words(page(name))


@pytest.mark.parametrize("name", emulators())
def test_emulators_point_to_the_results(name):
    assert not MARK.search(page(name))
    assert "(../results.md)" in page(name)


@pytest.mark.parametrize("name", METHODS)
def test_a_page_names_the_source_that_the_module_names(name):
    said = re.findall(
        r"\[arXiv (\d{4}\.\d{5})\]\(https://arxiv.org/abs/\1\)", page(name).splitlines()[0]
    )
    assert len(said) == (name not in ("short-ensemble", *emulators()))
    for number in said:
        assert number in inspect.getmodule(METHODS[name]).__doc__
        assert f"arXiv {number}" in index()[name][2]


@pytest.mark.parametrize("name", METHODS)
def test_python_runs(name):
    torch.manual_seed(0)
    own = problem("conv-batchnorm", unlabelled=task(40, seed=2)[0])
    test = held_out(20)[0]
    space = {"thalweg": thalweg, "torch": torch, "problem": own, "test": test}
    exec(snippet(name, "python"), space)
    assert space["predictions"].log_probs.shape[1:] == (20, CLASSES)
    assert own.cost.trainings >= 1


@pytest.mark.parametrize("name", METHODS)
def test_toml_gives_rows_of_the_method(name):
    rows = tiny.plan(methods=tomllib.loads(snippet(name, "toml"))["methods"]).methods
    assert {row.emulator_name if name in emulators() else row.explorer_name for row in rows} == {
        name
    }


def test_the_index_lists_every_method_once_with_its_page():
    text = (FOLDER / "README.md").read_text()
    assert sorted(index()) == sorted(METHODS)
    assert text.count("\n| [") == len(METHODS)
    for name, cells in index().items():
        assert cells[0].strip("| ") == f"[`{name}`]({name}.md)"


@pytest.mark.parametrize("name", METHODS)
def test_the_index_has_the_cost_of_the_defaults(name):
    cost = METHODS[name].least_members if name in emulators() else METHODS[name]().trainings
    assert index()[name][3] == f"{cost:.2f}".rstrip("0").rstrip(".")


@pytest.mark.parametrize("name", explorers())
def test_the_index_says_where_an_explorer_starts(name):
    start = index()[name][4].strip("| ")
    assert start.startswith(("scratch", "one anchor", "several")[min(METHODS[name]().anchors, 2)])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.md")), ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), target
