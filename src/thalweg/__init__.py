"""How much would this network's predictions change if it were trained again?

The names here are the public ones, and those that `thalweg.explorers`, `thalweg.emulators`,
`thalweg.baselines`, `thalweg.engines`, `thalweg.landscape`, `thalweg.weights`, `thalweg.metrics`,
`thalweg.sources`, `thalweg.statement`, `thalweg.data` and `thalweg.models` list. The files behind
them are private and may move.
"""

from importlib.metadata import PackageNotFoundError as _PackageNotFoundError
from importlib.metadata import version as _version

from thalweg import stopping as _stopping  # noqa: F401  first: Ctrl-C while the command line imports torch

# isort: split
from thalweg import (  # noqa: F401
    baselines,
    emulators,
    engines,
    explorers,
    landscape,
    metrics,
    sources,
    statement,
    weights,
)
from thalweg.baselines.base import Baseline, register_baseline
from thalweg.computing import compute
from thalweg.emulators.base import Emulator, register_emulator
from thalweg.errors import Diverged, InputError, TrainingFailed
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.loading import load
from thalweg.meter import Cost
from thalweg.method import Method
from thalweg.metrics.comparison import Comparison, compare
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.outputs import Binary, Classes, Outputs, Values
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.quantifier import Quantifier
from thalweg.quantifying import Quantified, quantify
from thalweg.sources.asking import budget
from thalweg.sources.until import train_until_stable
from thalweg.statement.reading import read_statement
from thalweg.statement.statement import Statement
from thalweg.statement.stating import state
from thalweg.statement.tolerance import Tolerance
from thalweg.training.anchors import train_anchors
from thalweg.training.batches import Batches, map_batches
from thalweg.training.execution import Execution
from thalweg.training.executor import Executor
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members, WeightDistribution, save
from thalweg.weights.point import Weights

try:
    __version__ = _version("thalweg")  # pyproject.toml has it
except _PackageNotFoundError:  # a folder of sources that nobody installed
    __version__ = "unknown"

__all__ = [
    "Baseline",
    "Batches",
    "Binary",
    "Classes",
    "Comparison",
    "Cost",
    "Diverged",
    "Emulator",
    "Execution",
    "Executor",
    "Explorer",
    "InputError",
    "Members",
    "Method",
    "Outputs",
    "Predictions",
    "Problem",
    "Quantified",
    "Quantifier",
    "Recipe",
    "Statement",
    "Tolerance",
    "TrainingFailed",
    "Truth",
    "Values",
    "WeightDistribution",
    "Weights",
    "__version__",
    "budget",
    "compare",
    "compute",
    "evaluate",
    "load",
    "map_batches",
    "predict",
    "quantify",
    "read_statement",
    "register_baseline",
    "register_emulator",
    "register_explorer",
    "save",
    "state",
    "train_anchors",
    "train_until_stable",
]
