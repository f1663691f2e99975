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
RESULTS = json.loads((ROOT / "docs/zoo.json").read_text())


def told(line: str) -> str:
    """A line without what it quotes of torch's own errors, which other versions word in another way."""
    return re.sub(r"\(.*\)", "(...)", line)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_method_works_or_says_why_not(name):
    """Works means right: `cells` says how that is looked at."""
    expected = RESULTS["networks"][name]["refused"]
    wrong = {}
    for method in cells.METHODS:
        line, way_out = expected.get(method, ("", ""))
        try:
            found = cells.outcome(name, method)
        except AssertionError as error:
            wrong[method] = str(error)
        else:
            if (told(found.refusal), found.way_out) != (told(line), way_out):
                wrong[method] = f"{found}, docs/zoo.json has {line or 'works'} {way_out}"
    assert not wrong, "\n".join(f"{method}: {error}" for method, error in wrong.items())
    assert cells.look(name).warning == RESULTS["networks"][name]["warning"]


def test_the_zoo_is_large_and_its_networks_small():
    assert len(NETWORKS) >= 40 and set(RESULTS["networks"]) == set(NETWORKS) and RESULTS["methods"] == list(cells.METHODS)
    for name in NETWORKS:
        if name not in ("Lazy layers", "Linear"):
            assert 30 <= sum(p.numel() for p in NETWORKS[name].make().parameters()) <= 4000, name


def test_the_page_is_that_of_the_results():
    done = subprocess.run([sys.executable, ROOT / "docs/zoo.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
