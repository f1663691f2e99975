"""Data sets: read from files or downloaded, split, prepared and augmented."""

from thalweg.data.augmentation import Augmentation
from thalweg.data.dataset import Dataset, fingerprint
from thalweg.data.datasets import DATASETS, load
from thalweg.data.ood import OOD, load_ood
from thalweg.data.preparation import Prepare
from thalweg.data.splits import Splits, splits

__all__ = [
    "DATASETS",
    "OOD",
    "Augmentation",
    "Dataset",
    "Prepare",
    "Splits",
    "fingerprint",
    "load",
    "load_ood",
    "splits",
]
