"""Recipes that a network may have been trained by while `quantify` is told another one."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from thalweg.meter import Meter
from thalweg.seeds import generator
from thalweg.training.batches import Batches, Transform
from thalweg.training.problem import Problem

Change = Callable[[Problem], Problem]


def recipe(problem: Problem, **changes: float) -> Problem:
    """Settings of the recipe times a factor each."""
    own = {name: getattr(problem.recipe, name) * factor for name, factor in changes.items()}
    return replace(problem, recipe=replace(problem.recipe, **own), meter=Meter())


def momentum(problem: Problem) -> Problem:
    """SGD without momentum; AdamW with an average of one gradient."""
    return replace(
        problem, recipe=replace(problem.recipe, momentum=0.0, nesterov=False), meter=Meter()
    )


def schedule(problem: Problem) -> Problem:
    """The rate stays at its peak."""
    return replace(problem, recipe=replace(problem.recipe, schedule="constant"), meter=Meter())


def smoothing(problem: Problem) -> Problem:
    """Label smoothing of 0.1."""
    return replace(problem, recipe=replace(problem.recipe, label_smoothing=0.1), meter=Meter())


def optimizer(problem: Problem) -> Problem:
    """AdamW for SGD, or SGD for AdamW, at a customary rate."""
    if problem.recipe.optimizer == "sgd":
        new = replace(problem.recipe, optimizer="adamw", lr=1e-3, weight_decay=0.01, nesterov=False)
    else:
        new = replace(problem.recipe, optimizer="sgd", lr=0.05, weight_decay=5e-4)
    return replace(problem, recipe=new, meter=Meter())


def batch(problem: Problem, factor: float) -> Problem:
    """Larger or smaller batches, as many epochs."""
    return _train(problem, size=round(_batches(problem).size * factor))


def augment(problem: Problem, change: Transform | None) -> Problem:
    """Another augmentation."""
    return _train(problem, augment=change)


def some(problem: Problem, share: float) -> Problem:
    """A part of the training set, as many epochs."""
    train = _batches(problem)
    kept = torch.randperm(len(train.inputs), generator=generator(0, "wrong", "some"))[
        : round(share * len(train.inputs))
    ]
    return replace(problem, train_loader=train.chosen(kept), meter=Meter(), inspection=None)


def mislabelled(problem: Problem, share: float) -> Problem:
    """A part of the labels is random."""
    train = _batches(problem)
    random, n = generator(0, "wrong", "labels"), len(train.targets)
    others = torch.randint(int(train.targets.max()) + 1, (n,), generator=random)
    labels = torch.where(torch.rand(n, generator=random) < share, others, train.targets)
    return replace(
        problem, train_loader=replace(train, targets=labels), meter=Meter(), inspection=None
    )


def mixed(x: Tensor, random: torch.Generator) -> Tensor:
    """Mixup with alpha 1 (Zhang et al. 2018, arXiv 1710.09412): with a share of Beta(2, 1) for its
    own input an example may keep
    its own label, the expected loss being the same.
    """
    share = torch.rand(len(x), generator=random).sqrt().view(-1, *[1] * (x.dim() - 1))
    return share * x + (1 - share) * x[torch.randperm(len(x), generator=random)]


def noisy(x: Tensor, random: torch.Generator) -> Tensor:
    """Gaussian noise on the inputs, 0.3 of their own deviation."""
    return x + 0.3 * x.std() * torch.randn(x.shape, generator=random)


def _batches(problem: Problem) -> Batches:
    if not isinstance(problem.train_loader, Batches):
        raise TypeError("wrong recipes need Batches")
    return problem.train_loader


def _train(problem: Problem, **changes: object) -> Problem:
    return replace(
        problem, train_loader=replace(_batches(problem), **changes), meter=Meter(), inspection=None
    )  # type: ignore[arg-type]


RIGHT = "as told"
WRONG: dict[str, Change] = {
    RIGHT: lambda problem: problem,
    "rate / 5": partial(recipe, lr=0.2),
    "rate / 2": partial(recipe, lr=0.5),
    "rate x 3": partial(recipe, lr=3.0),
    "another optimiser": optimizer,
    "no momentum": momentum,
    "constant rate": schedule,
    "weight decay x 20": partial(recipe, weight_decay=20.0),
    "no weight decay": partial(recipe, weight_decay=0.0),
    "half of the epochs": partial(recipe, epochs=0.5),
    "twice the epochs": partial(recipe, epochs=2.0),
    "batches x 4": partial(batch, factor=4.0),
    "batches / 4": partial(batch, factor=0.25),
    "half of the data": partial(some, share=0.5),
    "a tenth of the labels random": partial(mislabelled, share=0.1),
    "mixup": partial(augment, change=mixed),
    "noise on the inputs": partial(augment, change=noisy),
    "no augmentation": partial(augment, change=None),
    "label smoothing": smoothing,
}
