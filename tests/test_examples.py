"""The examples run as they stand, are short, and say what they claim. `make test-adapters` runs
those that other libraries train, which are in no other environment.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
ADAPTERS = {"lightning", "skorch", "transformers"}
OWN_LOOPS = [
    "lightning_trainer",
    "own_loop",
    "regression",
    "skorch_network",
    "timm_like",
    "transformers_classifier",
]


def imported(path: Path) -> set[str]:
    """The packages that a script imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run_and_are_short(example, tmp_path):
    assert len(example.read_text().splitlines()) <= 50
    for package in imported(example) & ADAPTERS:
        pytest.importorskip(
            package, reason=f"{package} is in the environment of make test-adapters"
        )
    done = subprocess.run(
        [sys.executable, example], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "cost:" in done.stdout
    assert ("Warning" in done.stderr) == (example.stem == "fine_tuned"), done.stderr
    if example.stem in OWN_LOOPS:
        check(done.stdout)


def check(said: str) -> None:
    """What an own loop's example says: u of all inputs, what it cost, and the input that is least
    sure.
    """
    u = float(re.search(r"^mean u ([0-9.]+)", said, re.MULTILINE)[1])
    copies, cost = re.search(r"(\d+) narrow copies .* cost: ([0-9.]+) trainings", said).groups()
    most = float(re.search(r"least sure of input \d+: .*\n.*about ([0-9.]+)", said)[1])
    assert 0 < u < most < 5
    assert int(copies) >= 2 and 1.2 < float(cost) <= 2.01, "the network, and up to a training more"
    assert "not checked" not in said


def test_all_that_is_named_is_there():
    assert set(OWN_LOOPS) <= {path.stem for path in EXAMPLES}
    assert {package for path in EXAMPLES for package in imported(path)} >= ADAPTERS
