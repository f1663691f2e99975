"""The landscape around networks: loss along lines, paths and planes, barriers, extents."""

from thalweg.landscape.barrier import barrier
from thalweg.landscape.directions import RandomPlane, random_plane
from thalweg.landscape.extent import Extent, effective_dimension, extent
from thalweg.landscape.functions import scaled
from thalweg.landscape.loss import losses
from thalweg.landscape.low_loss import LowLoss, low_loss
from thalweg.landscape.path import Profile, profile
from thalweg.landscape.plane import Survey, axes, survey

__all__ = [
    "Extent",
    "LowLoss",
    "Profile",
    "RandomPlane",
    "Survey",
    "axes",
    "barrier",
    "effective_dimension",
    "extent",
    "losses",
    "low_loss",
    "profile",
    "random_plane",
    "scaled",
    "survey",
]
