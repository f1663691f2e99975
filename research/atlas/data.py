"""Data of the atlas' tasks: images, tables, sequences, tokens, and values to predict.

A set is a training part and other inputs of the same kind, with their targets. It is a fixed one:
all retrainings of a task share it.
"""

from functools import cache
from typing import cast

import numpy as np
import torch
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    make_classification,
    make_friedman1,
    make_friedman2,
    make_friedman3,
    make_moons,
)
from torch import Tensor, nn

from thalweg.data.dataset import Dataset
from thalweg.data.datasets import load
from thalweg.seeds import generator

MORE = 1700  # inputs beside the training set, at most
Part = tuple[Tensor, Tensor]  # inputs and targets
Parts = tuple[Part, Part]

# the coarse classes of CIFAR-100 (Krizhevsky 2009), by fine class
COARSE = (
    *(4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7),
    *(6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10),
    *(16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16),
    *(12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13),
)


@cache
def images(
    name: str,
    train: int,
    pooled: int = 1,
    classes: tuple[int, ...] = (),
    noise: float = 0.0,
    rare: float = 1.0,
    *,
    coarse: bool = False,
) -> Parts:
    """Random images of a data set, normalised.

    Args:
        name: The data set.
        train: How many training images.
        pooled: So many pixels in each direction are averaged to one.
        classes: Those that are kept, which are numbered anew; all of them if empty.
        noise: The share of training labels that are random.
        rare: The share of images of each odd class that is kept.
        coarse: Whether the classes are the twenty coarse ones of CIFAR-100.
    """
    data = cast(Dataset, load(name, None))
    x, y = torch.cat([data.train, data.test]), torch.cat([data.train_labels, data.test_labels])
    random = generator(0, "atlas", name)
    order = torch.randperm(len(x), generator=random)
    if classes:
        order = order[torch.isin(y[order], torch.tensor(classes))]
    if rare < 1:
        odd = y[order] % 2 == 1
        order = order[~odd | (torch.rand(len(order), generator=random) < rare)]
    chosen = order[: train + MORE]
    labels = y[chosen].long()
    if coarse:
        labels = torch.tensor(COARSE)[labels]
    if classes:
        labels = torch.searchsorted(torch.tensor(sorted(classes)), labels)
    pixels = nn.functional.avg_pool2d(x[chosen].float() / 255, pooled)
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    return _divided((pixels - mean) / std, _noisy(labels, train, noise), train)


@cache
def table(
    train: int,
    classes: int,
    noise: float = 0.0,
    features: int = 20,
    weights: tuple[float, ...] | None = None,
    seed: int = 3,
) -> Parts:
    """Points in clusters (scikit-learn's generator), some with a random label."""
    x, y = make_classification(
        train + MORE,
        features,
        n_informative=min(8 if classes < 9 else 16, features),
        n_redundant=min(4, max(0, features - 16))
        if classes > 8
        else min(4, features - min(8, features)),
        n_classes=classes,
        n_clusters_per_class=3,
        weights=None if weights is None else list(weights),
        flip_y=noise,
        class_sep=1.2,
        random_state=seed,
    )
    return _divided(torch.from_numpy(x).float(), torch.from_numpy(y).long(), train)


@cache
def moons(train: int, noise: float) -> Parts:
    """Two crescents in a plane."""
    x, y = make_moons(train + MORE, noise=noise, random_state=2)
    return _divided(torch.from_numpy(x).float(), torch.from_numpy(y).long(), train)


@cache
def cancer(train: int) -> Parts:
    """Thirty numbers of 569 tumours (scikit-learn's copy)."""
    x, y = load_breast_cancer(return_X_y=True)
    return _shuffled(x, y, train, values=False)


@cache
def diabetes(train: int) -> Parts:
    """Ten numbers of 442 patients, and the progress of a disease (Efron et al. 2004)."""
    x, y = load_diabetes(return_X_y=True)
    return _shuffled(x, y, train, values=True)


@cache
def friedman(train: int, number: int = 1, noise: float = 1.0) -> Parts:
    """Rows of numbers and a noisy function of them (Friedman 1991)."""
    if number == 1:
        x, y = make_friedman1(train + MORE, 10, noise=noise, random_state=1)
    else:
        make = make_friedman2 if number == 2 else make_friedman3
        x, y = make(train + MORE, noise=noise, random_state=1)
    return _standard(x, y, train)


@cache
def angles(train: int) -> Parts:
    """Handwritten digits of 14 x 14 pixels, turned by up to 60 degrees, and the sine of that."""
    (x, _), (more, _) = images("mnist", train, 2)
    every = torch.cat([x, more])
    angle = (torch.rand(len(every), generator=generator(0, "atlas", "angles")) * 2 - 1) * 1.05
    zero = torch.zeros_like(angle)
    turn = torch.stack([angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero], 1)
    grid = nn.functional.affine_grid(turn.view(-1, 2, 3), list(every.shape), align_corners=False)
    turned = nn.functional.grid_sample(every, grid, padding_mode="border", align_corners=False)
    return _divided(turned, angle.sin()[:, None] / 0.5, train)


@cache
def rates(train: int) -> Parts:
    """Noisy chirps `[signals, 2, 32]`, and two values: their rate, and where they are loudest."""
    random = generator(0, "atlas", "rates")
    count = train + MORE
    rate, place, phase = torch.rand(3, count, 1, generator=random)
    t = torch.linspace(0, 1, 32)[None]
    angle = 6.283 * ((2 + 5 * rate) * t + 1.5 * t**2 + phase)
    window = torch.exp(-((t - 0.25 - 0.5 * place) ** 2) / 0.06)
    clean = torch.stack([angle.sin() * window, angle.cos() * window], 1)
    x = clean + 0.3 * torch.randn(clean.shape, generator=random)
    return _divided(x, torch.cat([rate, place], 1) * 3.46 - 1.73, train)


@cache
def waves(train: int, length: int = 32, classes: int = 5) -> Parts:
    """Noisy signals of two channels `[signals, 2, length]`: chirps of several rates, of random
    phase and place.
    """
    random = generator(0, "atlas", "waves")
    count = train + MORE
    y = torch.randint(classes, (count,), generator=random)
    place, phase = torch.rand(2, count, 1, generator=random)
    t = torch.linspace(0, 1, length)[None]
    rate = 2 + 1.2 * y[:, None] + 0.5 * torch.randn(count, 1, generator=random)
    angle = 6.283 * (rate * t + 1.5 * t**2 + phase)
    window = torch.exp(-((t - 0.25 - 0.5 * place) ** 2) / 0.06)
    clean = torch.stack([angle.sin() * window, angle.cos() * window], 1)
    return _divided(clean + 0.3 * torch.randn(clean.shape, generator=random), y, train)


@cache
def tokens(
    train: int, classes: int, noise: float = 0.0, length: int = 16, words: int = 40
) -> Parts:
    """Sequences of words `[sequences, length]`, each class a Markov chain of its own that shares
    two fifths of its transitions with the others.
    """
    random = np.random.default_rng(5)
    shared = random.dirichlet(np.full(words, 0.3), words)
    chains = [
        0.4 * shared + 0.6 * random.dirichlet(np.full(words, 0.3), words) for _ in range(classes)
    ]
    y = random.integers(classes, size=train + MORE)
    x = np.empty((len(y), length), dtype=np.int64)
    x[:, 0] = random.integers(words, size=len(y))
    summed = np.cumsum(np.stack(chains), 2)
    for place in range(1, length):
        drawn = random.random(len(y))[:, None]
        x[:, place] = (summed[y, x[:, place - 1]] < drawn).sum(1).clip(max=words - 1)
    return _divided(torch.from_numpy(x), _noisy(torch.from_numpy(y), train, noise), train)


def _noisy(labels: Tensor, train: int, share: float) -> Tensor:
    """The labels, of which a share in the training part is random."""
    if not share:
        return labels
    random, classes = generator(0, "atlas", "noise"), int(labels.max()) + 1
    drawn = torch.randint(classes, labels.shape, generator=random)
    noisy = torch.rand(len(labels), generator=random) < share
    noisy[train:] = False
    return torch.where(noisy, drawn, labels)


def _shuffled(x: np.ndarray, y: np.ndarray, train: int, *, values: bool) -> Parts:
    order = torch.randperm(len(x), generator=generator(0, "atlas", "rows")).numpy()
    rows = (x - x.mean(0)) / x.std(0)
    if values:
        return _standard(rows[order], y[order], train)
    return _divided(torch.from_numpy(rows[order]).float(), torch.from_numpy(y[order]).long(), train)


def _standard(x: np.ndarray, y: np.ndarray, train: int) -> Parts:
    rows, values = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
    targets = torch.from_numpy(values).float()[:, None]
    return _divided(torch.from_numpy(rows).float(), targets, train)


def _divided(x: Tensor, y: Tensor, train: int) -> Parts:
    return (x[:train], y[:train]), (x[train:], y[train:])
