"""Where networks can be: points in weight space, and distributions over them."""

from thalweg.weights.distribution import Members, Mixture, WeightDistribution, load, save
from thalweg.weights.gaussian import LowRankGaussian
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import Subspace

__all__ = [
    "LowRankGaussian",
    "Members",
    "Mixture",
    "Subspace",
    "WeightDistribution",
    "Weights",
    "load",
    "mix",
    "save",
]
