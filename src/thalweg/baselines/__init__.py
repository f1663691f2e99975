"""Baselines: ensembles of other networks than the problem's own, which are made of it."""

from thalweg.baselines.base import Baseline, _registry
from thalweg.baselines.batch_ensemble import BatchEnsemble
from thalweg.baselines.linearised import Linearised
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.baselines.packed_ensemble import PackedEnsemble

__all__ = [
    "BatchEnsemble",
    "Linearised",
    "NarrowEnsemble",
    "PackedEnsemble",
]


def __getattr__(name: str) -> type[Baseline]:
    return _registry.attribute(name)
