"""Regression data that come with scikit-learn, without files.

`friedman1` is generated (Friedman 1991, Multivariate adaptive regression splines, Annals of
Statistics 19); `diabetes` is from Efron, Hastie, Johnstone and Tibshirani 2004, Least angle
regression, Annals of Statistics 32.
"""

import numpy as np
import sklearn.datasets
import torch
from torch import Tensor

from thalweg.data.datasets import Entry, register_dataset
from thalweg.data.table import Table
from thalweg.seeds import generator

ROWS, NOISE = 3000, 1.0


def read_friedman1() -> Table:
    """Generates 2,000 training and 1,000 test rows of ten uniform columns, with one target.

    It is y = 10 sin(pi x1 x2) + 20 (x3 - 0.5)^2 + 10 x4 + 5 x5 + noise; five columns have no
    influence.
    """
    rows, targets = sklearn.datasets.make_friedman1(ROWS, 10, noise=NOISE, random_state=0)
    return _divided("friedman1", "", rows, targets, ROWS // 3)


def read_diabetes() -> Table:
    """Reads 295 training and 147 test patients with ten measurements each.

    The target is a score of the disease's progression within a year.
    """
    bunch = sklearn.datasets.load_diabetes(scaled=False)
    return _divided("diabetes", "points", bunch.data, bunch.target, 147)


def _divided(name: str, units: str, rows: np.ndarray, targets: np.ndarray, test: int) -> Table:
    """Divides rows; the test rows are the first ones of a fixed random order."""
    order = torch.randperm(len(rows), generator=generator(0, name, "test"))

    def chosen(index: Tensor) -> tuple[Tensor, Tensor]:
        both = (torch.from_numpy(np.ascontiguousarray(a)).float()[index] for a in (rows, targets))
        x, y = both
        return x, y[:, None]

    return Table(name, units, *chosen(order[test:]), *chosen(order[:test]))


register_dataset(
    "friedman1",
    Entry(
        "a sum of known functions of ten numbers, with noise; generated: needs no file",
        (10, 1, 1),
        0,
        2000,
        1000,
        "Friedman 1991, Annals of Statistics 19, by way of scikit-learn",
        lambda where: read_friedman1(),
        has_files=False,
    ),
)
register_dataset(
    "diabetes",
    Entry(
        "progression of diabetes in a year, from ten measurements; embedded: needs no file",
        (10, 1, 1),
        0,
        295,
        147,
        "Efron et al. 2004, Annals of Statistics 32, by way of scikit-learn",
        lambda where: read_diabetes(),
        has_files=False,
    ),
)
