"""How much would this network's predictions change if it were trained again?"""

from thalweg import stopping as _stopping  # noqa: F401  first: Ctrl-C while the command line imports torch

# isort: split
from thalweg.baselines.base import Baseline, register_baseline
from thalweg.baselines.batch_ensemble import BatchEnsemble
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.baselines.packed_ensemble import PackedEnsemble
from thalweg.emulators.base import Emulator, register_emulator
from thalweg.emulators.engression import Engression
from thalweg.emulators.forest import Forest
from thalweg.emulators.neighbours import Neighbours
from thalweg.emulators.observations import Observations
from thalweg.emulators.trivial import Trivial
from thalweg.errors import Diverged, InputError
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.explorers.connecting_curve import ConnectingCurve
from thalweg.explorers.csghmc import CyclicalSGHMC
from thalweg.explorers.csgld import CyclicalSGLD
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.explorers.espro import ESPRO
from thalweg.explorers.fge import FGE
from thalweg.explorers.laplace import LastLayerLaplace
from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.learned_simplex import LearnedSimplex
from thalweg.explorers.mc_dropout import MCDropout
from thalweg.explorers.multiswag import MultiSWAG
from thalweg.explorers.restarts import Restarts
from thalweg.explorers.short_ensemble import ShortEnsemble
from thalweg.explorers.snapshot import Snapshot
from thalweg.explorers.spro import SPRO
from thalweg.explorers.spro_complex import SPROComplex
from thalweg.explorers.subspace_inference import SubspaceInference
from thalweg.explorers.swa import SWA
from thalweg.explorers.swag import SWAG
from thalweg.features import InputFeatures
from thalweg.graph.alignment import align
from thalweg.meter import Cost, Meter
from thalweg.outputs import Binary, Classes, Outputs, Values
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.quantify import Quantified, quantify
from thalweg.training.batches import Batches, map_batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.training.together import train_anchors
from thalweg.weights.distribution import Members, Mixture, WeightDistribution, load, save
from thalweg.weights.gaussian import LowRankGaussian
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import Subspace

__all__ = [
    "ESPRO",
    "FGE",
    "SPRO",
    "SWA",
    "SWAG",
    "Baseline",
    "BatchEnsemble",
    "Batches",
    "Binary",
    "Classes",
    "ConnectingCurve",
    "Cost",
    "CyclicalSGHMC",
    "CyclicalSGLD",
    "DeepEnsemble",
    "Diverged",
    "Emulator",
    "Engression",
    "Explorer",
    "Forest",
    "InputError",
    "InputFeatures",
    "LastLayerLaplace",
    "LearnedCurve",
    "LearnedLine",
    "LearnedSimplex",
    "LowRankGaussian",
    "MCDropout",
    "Members",
    "Meter",
    "Mixture",
    "MultiSWAG",
    "NarrowEnsemble",
    "Neighbours",
    "Observations",
    "Outputs",
    "PackedEnsemble",
    "Predictions",
    "Problem",
    "Quantified",
    "Recipe",
    "Restarts",
    "SPROComplex",
    "ShortEnsemble",
    "Snapshot",
    "Subspace",
    "SubspaceInference",
    "Trivial",
    "Values",
    "WeightDistribution",
    "Weights",
    "align",
    "load",
    "map_batches",
    "mix",
    "predict",
    "quantify",
    "register_baseline",
    "register_emulator",
    "register_explorer",
    "save",
    "train_anchors",
]
