"""The glossary: every heading of every table that thalweg prints or writes is explained."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from thalweg.glossary import TERMS, told
from thalweg.metrics.info import FACTS, explain
from thalweg.sources.rows import COLUMNS

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/results.md",
)  # columns of statements: tests/statement/test_statement_files.py
DESIGN = ("anchor", "explorer", "emulator", "base", "reference", "pool", "member", "draw", "u")


def headings_of_commands():
    """The texts of all `Table("...", "...")` in the command line."""
    tree = ast.parse((ROOT / "src/thalweg/cli.py").read_text())
    return {
        argument.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Table"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }


def headings_of_pages():
    found = set()
    for page in PAGES:
        lines = (ROOT / page).read_text().splitlines()
        for line, rule in pairwise(lines):
            if line.startswith("|") and re.fullmatch(r"\|[\s:|-]+\|", rule.strip()):
                found |= {head.strip(" `") for head in line.strip("| ").split("|")}
    return found


def test_headings_are_found():
    assert {"path", "what it is", "data set"} <= headings_of_commands()
    assert {"K_eq", "cover", "acc"} <= headings_of_pages()


@pytest.mark.parametrize(
    "word", sorted(headings_of_commands() | headings_of_pages() | {*DESIGN, *COLUMNS})
)
def test_every_heading_is_explained(word):
    assert len(told(word).split()) > 4


@pytest.mark.parametrize("name", FACTS)
def test_figures_of_studies_are_explained_by_name_symbol_and_title(name):
    fact = FACTS[name]
    assert told(name) == explain(name)
    assert len(told(fact.symbol).split()) > 4 and len(told(fact.title).split()) > 4


def test_explain_takes_words_in_any_form(thalweg):
    for word in ("K_u", "k u", "Anchor", "mutual-information", "cover"):
        code, out, _ = thalweg("explain", word)
        assert code == 0 and len(out.split()) > 4, word
    code, _, err = thalweg("explain", "ancor")
    assert code == 2 and "did you mean 'anchor'" in err
    code, out, _ = thalweg("explain", "all")
    assert all(term in out for term in TERMS) and all(name in out for name in FACTS)


def test_definitions_are_sentences():
    for term, meaning in TERMS.items():
        assert meaning.endswith((".", ")")) and len(meaning.split()) >= 5, term
