"""Baselines: ensembles that are built into one network and trained from scratch in one run."""

from thalweg.baselines.base import Baseline, _registry
from thalweg.baselines.batch_ensemble import BatchEnsemble
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.baselines.packed_ensemble import PackedEnsemble

__all__ = [
    "BatchEnsemble",
    "NarrowEnsemble",
    "PackedEnsemble",
]


def __getattr__(name: str) -> type[Baseline]:
    return _registry.attribute(name)
