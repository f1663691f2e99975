"""The public surface: the names, what each says of itself, what importing it brings in, and the
version.
"""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import thalweg
from thalweg.baselines.base import baselines
from thalweg.emulators.base import emulators
from thalweg.explorers.base import explorers

ROOT = Path(__file__).parents[1]
TOP = [
    "Problem",
    "Recipe",
    "Execution",
    "Executor",
    "Batches",
    "map_batches",
    "train_anchors",
    "budget",
    "train_until_stable",
    "predict",
    "quantify",
    "Quantified",
    "Quantifier",
    "Method",
    "compute",
    "compare",
    "Comparison",
    "evaluate",
    "Truth",
    "Outputs",
    "Classes",
    "Binary",
    "Values",
    "Predictions",
    "Cost",
    "Weights",
    "Members",
    "WeightDistribution",
    "save",
    "state",
    "Statement",
    "Tolerance",
    "read_statement",
    "load",
    "Explorer",
    "Emulator",
    "Baseline",
    "register_explorer",
    "register_emulator",
    "register_baseline",
    "InputError",
    "Diverged",
    "TrainingFailed",
    "__version__",
]
METHODS = {
    thalweg.explorers: (explorers, set()),
    thalweg.emulators: (emulators, {"Observations"}),
    thalweg.baselines: (baselines, set()),
}
SPACES = [
    *METHODS,
    thalweg.engines,
    thalweg.landscape,
    thalweg.metrics,
    thalweg.sources,
    thalweg.statement,
    thalweg.weights,
]
HEAVY = ("sklearn", "matplotlib", "pandas", "pyarrow", "scipy", "pydantic", "plotly", "jinja2")


def test_the_names_at_the_top_are_these():
    assert sorted(thalweg.__all__) == sorted(TOP)
    assert all(hasattr(thalweg, name) for name in TOP)
    assert not [
        name for name in vars(thalweg)
        if name not in TOP and not name.startswith("_")
        and not inspect.ismodule(getattr(thalweg, name))
    ]  # fmt: skip


@pytest.mark.parametrize("space", [thalweg, *SPACES], ids=lambda space: space.__name__)
def test_each_name_says_what_it_is(space):
    assert space.__doc__ and list(space.__all__) == sorted(
        space.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    for name in set(space.__all__) - {"__version__"}:
        said = inspect.getdoc(getattr(space, name)) or ""
        own = "" if inspect.isfunction(getattr(space, name)) else f"{name}("
        assert len(said.split()) >= 3 and not (own and said.startswith(own)), name


@pytest.mark.parametrize("space", METHODS, ids=lambda space: space.__name__)
def test_every_registered_method_of_the_package_is_in_its_namespace(space):
    registered, others = METHODS[space]
    own = [cls for cls in registered().values() if cls.__module__.startswith("thalweg.")]
    assert all(getattr(space, cls.__name__) is cls for cls in own)
    assert set(space.__all__) - others <= {cls.__name__ for cls in own}
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = space.Nothing


def test_importing_is_light():
    code = f"import thalweg, sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_that_of_pyproject():
    written = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert thalweg.__version__ == written
    assert f"version: {written}\n" in (ROOT / "CITATION.cff").read_text()
