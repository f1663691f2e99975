"""The zoo: every network with every method does what docs/zoo.json says, and docs/zoo.md is made of
that.

A refusal may be worded anew; its reason, as docs/zoo.py tells reasons by their lines, must stay the
same.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import cells
import pytest
from networks import NETWORKS

ROOT = Path(__file__).parents[2]

spec = importlib.util.spec_from_file_location("page", ROOT / "docs/zoo.py")
page = importlib.util.module_from_spec(spec)
spec.loader.exec_module(page)
STORED = page.read()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_method_works_or_says_why_not(name):
    """Works means right: `cells` says how that is looked at."""
    expected = STORED["networks"][name]
    wrong = {}
    for method in cells.METHODS:
        line, way_out = expected["refused"].get(method, ("", ""))
        try:
            found = cells.outcome(name, method)
        except AssertionError as error:
            wrong[method] = str(error)
        else:
            same = bool(found.refusal) == bool(line) and page.words(found.refusal) == page.words(
                line
            )
            if not same or found.way_out != way_out:
                wrong[method] = f"{found}, docs/zoo.json has {line or 'works'} {way_out}"
    assert not wrong, "\n".join(f"{method}: {error}" for method, error in wrong.items())
    assert cells.look(name).warning == expected["warning"]


@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning"
)  # torch's, of old ways to normalise
def test_the_zoo_is_large_and_its_networks_small():
    assert (
        len(NETWORKS) >= 40
        and list(STORED["networks"]) == list(NETWORKS)
        and STORED["methods"] == list(cells.METHODS)
    )
    for name in NETWORKS:
        if name not in ("Lazy layers", "Linear"):
            assert 30 <= sum(p.numel() for p in NETWORKS[name].make().parameters()) <= 4000, name


def test_the_page_is_that_of_the_results():
    done = subprocess.run(
        [sys.executable, ROOT / "docs/zoo.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
