"""How much would this network's predictions change if it were trained again?"""

from thalweg.emulators.base import Emulator, emulator
from thalweg.emulators.neighbours import Neighbours
from thalweg.emulators.trivial import Trivial
from thalweg.errors import Diverged, InputError
from thalweg.explorers.base import Explorer, explorer
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.explorers.espro import Espro
from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.learned_simplex import LearnedSimplex
from thalweg.explorers.short_ensemble import ShortEnsemble
from thalweg.explorers.snapshot import Snapshot
from thalweg.explorers.spro import Spro
from thalweg.explorers.swag import Swag
from thalweg.meter import Cost, Meter
from thalweg.prediction import Predictions, predict
from thalweg.training.batches import Batches, pairs
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.training.together import anchors
from thalweg.weights.distribution import Members, Mixture, WeightDistribution, load, save
from thalweg.weights.gaussian import LowRankGaussian
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import Subspace

__all__ = [
    "Batches", "Cost", "DeepEnsemble", "Diverged", "Emulator", "Espro", "Explorer", "InputError", "LearnedCurve",
    "LearnedLine", "LearnedSimplex", "LowRankGaussian", "Members", "Meter", "Mixture", "Neighbours", "Predictions",
    "Problem", "Recipe", "ShortEnsemble", "Snapshot", "Spro", "Subspace", "Swag", "Trivial", "WeightDistribution",
    "Weights", "anchors", "emulator", "explorer", "load", "mix", "pairs", "predict", "save",
]  # fmt: skip
