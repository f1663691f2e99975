"""How much would this network's predictions change if it were trained again?"""

from thalweg import stopping as _stopping  # noqa: F401  first: Ctrl-C while the command line imports torch

# isort: split
from thalweg.baselines.base import Baseline, baseline
from thalweg.baselines.batch_ensemble import BatchEnsemble
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.baselines.packed_ensemble import PackedEnsemble
from thalweg.emulators.base import Emulator, emulator
from thalweg.emulators.engression import Engression
from thalweg.emulators.evidence import Evidence
from thalweg.emulators.forest import Forest
from thalweg.emulators.neighbours import Neighbours
from thalweg.emulators.trivial import Trivial
from thalweg.errors import Diverged, InputError
from thalweg.explorers.base import Explorer, explorer
from thalweg.explorers.connecting_curve import ConnectingCurve
from thalweg.explorers.csghmc import Csghmc
from thalweg.explorers.csgld import Csgld
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.explorers.espro import Espro
from thalweg.explorers.fge import Fge
from thalweg.explorers.laplace import LastLayerLaplace
from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.learned_simplex import LearnedSimplex
from thalweg.explorers.mc_dropout import McDropout
from thalweg.explorers.multiswag import MultiSwag
from thalweg.explorers.restarts import Restarts
from thalweg.explorers.short_ensemble import ShortEnsemble
from thalweg.explorers.snapshot import Snapshot
from thalweg.explorers.spro import Spro
from thalweg.explorers.spro_complex import SproComplex
from thalweg.explorers.subspace_inference import SubspaceInference
from thalweg.explorers.swa import Swa
from thalweg.explorers.swag import Swag
from thalweg.features import Geometry
from thalweg.meter import Cost, Meter
from thalweg.prediction import Predictions, predict
from thalweg.quantify import Quantified, quantify
from thalweg.training.batches import Batches, pairs
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.training.together import anchors
from thalweg.weights.alignment import align
from thalweg.weights.distribution import Members, Mixture, WeightDistribution, load, save
from thalweg.weights.gaussian import LowRankGaussian
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import Subspace

__all__ = [
    "Baseline",
    "BatchEnsemble",
    "Batches",
    "ConnectingCurve",
    "Cost",
    "Csghmc",
    "Csgld",
    "DeepEnsemble",
    "Diverged",
    "Emulator",
    "Engression",
    "Espro",
    "Evidence",
    "Explorer",
    "Fge",
    "Forest",
    "Geometry",
    "InputError",
    "LastLayerLaplace",
    "LearnedCurve",
    "LearnedLine",
    "LearnedSimplex",
    "LowRankGaussian",
    "McDropout",
    "Members",
    "Meter",
    "Mixture",
    "MultiSwag",
    "NarrowEnsemble",
    "Neighbours",
    "PackedEnsemble",
    "Predictions",
    "Problem",
    "Quantified",
    "Recipe",
    "Restarts",
    "ShortEnsemble",
    "Snapshot",
    "Spro",
    "SproComplex",
    "Subspace",
    "SubspaceInference",
    "Swa",
    "Swag",
    "Trivial",
    "WeightDistribution",
    "Weights",
    "align",
    "anchors",
    "baseline",
    "emulator",
    "explorer",
    "load",
    "mix",
    "pairs",
    "predict",
    "quantify",
    "save",
]
