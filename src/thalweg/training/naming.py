"""Naming a problem: digests of everything that can change its trainings, and what rests on them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.seeds import seeded, seeded_loader
from thalweg.training.batches import Batches
from thalweg.training.given import name_of as weights_name
from thalweg.training.identity import identity_of
from thalweg.training.parts import first_batches
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights

_EXAMPLES = 1024  # of a loader of the user's own


def parts_of(problem: Problem) -> dict[str, str]:
    """Digests of a problem, by what they are of.

    The network is known by its code, settings and numbers after a fixed seed; the training set by
    its tensors and functions, where it is a `Batches`, and else by its length and first batches
    after a fixed seed; unlabelled inputs by all of them.

    Raises:
        InputError: Something holds what can't be told from another of its kind (an open file, say).
    """
    loss = problem.loss
    with seeded(0, "identity"):
        network = problem.factory()
    parts = {
        "network": named("the network", network),
        "training set": _of_training_set(problem) if problem.has_loader else "",
        "recipe": repr(sorted(asdict(problem.recipe).items())),
        "sources": repr(sorted(problem.sources)),
        "seed": repr(problem.seed),
        "outputs": repr(problem.outputs),
        "pick": named("pick", problem.pick),
        "loss": "" if loss is None else named("the loss", loss),
        "device": problem.device.split(":")[0],
        "torch": torch.__version__,
        "bn_examples": repr(problem.bn_examples),
    }
    if problem.train is not None:
        parts["train"] = named("train", problem.train)
    for k in range(problem.given):
        parts[f"networks[{k}]"] = weights_name(cast(Sequence[Weights], problem.networks)[k])
    if problem.unlabelled is not None:
        parts["unlabelled"] = _of_inputs(problem.unlabelled)
    return parts


def name_of(parts: dict[str, str]) -> str:
    """A short name of digests."""
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()[:20]


def named(what: str, thing: Any) -> str:
    """A digest of a user's object.

    Args:
        what: What errors call it.
        thing: A function, module or container of such and tensors.

    Raises:
        InputError: It can't be told from another of its kind.
    """
    found = identity_of(thing)
    if found is None:
        raise InputError(
            f"{what} holds something that can't be told from another of its kind (an open file, "
            "say), so that a folder can't be known to be its: leave folder= out, and call "
            "save(folder) after fit"
        )
    return found


def _of_training_set(problem: Problem) -> str:
    loader = problem.train_loader
    if isinstance(loader, Batches):
        parts = (loader.inputs, loader.targets, loader.size, loader.shuffle)
        return named("the training set", [*parts, loader.prepare, loader.augment])
    with seeded(0, "identity"), seeded_loader(loader, 0, "identity"):
        return named("the training set", [len(loader), *first_batches(loader, _EXAMPLES)])


def _of_inputs(inputs: Any) -> str:
    """A digest of inputs, batch by batch, so that they need not be in memory together."""
    if isinstance(inputs, Tensor | Mapping | tuple):
        return named("unlabelled", inputs)
    digest = hashlib.sha256()
    with seeded(0, "identity"), seeded_loader(inputs, 0, "identity"):
        for batch in inputs:
            digest.update(named("unlabelled", batch).encode())
    return digest.hexdigest()
