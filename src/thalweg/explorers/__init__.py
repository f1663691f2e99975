"""Explorers: methods that look around trained networks for further weights to predict with."""

from thalweg.explorers.adversaries import Adversaries
from thalweg.explorers.base import Explorer, _registry
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
from thalweg.explorers.thalweg import Thalweg
from thalweg.explorers.weight_dropout import WeightDropout

__all__ = [
    "ESPRO",
    "FGE",
    "SPRO",
    "SWA",
    "SWAG",
    "Adversaries",
    "ConnectingCurve",
    "CyclicalSGHMC",
    "CyclicalSGLD",
    "DeepEnsemble",
    "LastLayerLaplace",
    "LearnedCurve",
    "LearnedLine",
    "LearnedSimplex",
    "MCDropout",
    "MultiSWAG",
    "Restarts",
    "SPROComplex",
    "ShortEnsemble",
    "Snapshot",
    "SubspaceInference",
    "Thalweg",
    "WeightDropout",
]


def __getattr__(name: str) -> type[Explorer]:
    return _registry.attribute(name)
