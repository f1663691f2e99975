"""Data sets: read from files or downloaded, split, prepared and augmented."""

from thalweg.data.augmentation import Augmentation
from thalweg.data.dataset import Dataset, fingerprint
from thalweg.data.datasets import DATASETS, Entry, load, register_dataset
from thalweg.data.ood import load_ood, ood_names
from thalweg.data.preparation import Prepare
from thalweg.data.splits import Splits, splits
from thalweg.data.table import Table
from thalweg.registry import import_files

__all__ = [
    "DATASETS",
    "Augmentation",
    "Dataset",
    "Entry",
    "Prepare",
    "Splits",
    "Table",
    "fingerprint",
    "load",
    "load_ood",
    "ood_names",
    "register_dataset",
    "splits",
]

import_files(__name__)  # data sets that have a file of their own register themselves
