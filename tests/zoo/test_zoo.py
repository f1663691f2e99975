"""The zoo: every network with every method does what docs/zoo.json says, and docs/zoo.md is made of that."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cells
import pytest
from networks import NETWORKS

ROOT = Path(__file__).parents[2]
STORED = json.loads((ROOT / "docs/zoo.json").read_text())


def told(line: str) -> str:
    """A line without what it quotes of torch's own errors, which other versions word in another way."""
    while line != (line := re.sub(r"\([^()]*\)", "", line)):
        pass
    return line


@pytest.mark.parametrize("name", NETWORKS)
def test_every_method_works_or_says_why_not(name):
    """Works means right: `cells` says how that is looked at."""
    expected = STORED["networks"][name]
    wrong = {}
    for method in cells.METHODS:
        number, way_out = expected["refused"].get(method, (None, ""))
        line = "" if number is None else STORED["lines"][number]
        try:
            found = cells.outcome(name, method)
        except AssertionError as error:
            wrong[method] = str(error)
        else:
            if (told(found.refusal), found.way_out) != (told(line), way_out):
                wrong[method] = f"{found}, docs/zoo.json has {line or 'works'} {way_out}"
    assert not wrong, "\n".join(f"{method}: {error}" for method, error in wrong.items())
    assert cells.look(name).warning == expected["warning"]


def test_the_zoo_is_large_and_its_networks_small():
    assert len(NETWORKS) >= 40 and list(STORED["networks"]) == list(NETWORKS) and STORED["methods"] == list(cells.METHODS)
    for name in NETWORKS:
        if name not in ("Lazy layers", "Linear"):
            assert 30 <= sum(p.numel() for p in NETWORKS[name].make().parameters()) <= 4000, name


def test_the_page_is_that_of_the_results():
    done = subprocess.run([sys.executable, ROOT / "docs/zoo.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
