"""The recipe says how one training goes.

It holds everything that can change the result, except the data, the network and the seed.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from numbers import Rational
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from thalweg.errors import InputError, check_range, unknown, whole

Optimizer = torch.optim.Optimizer


@dataclass(frozen=True)
class Recipe:
    """The settings of a training.

    Example:
        >>> recipe = Recipe(epochs=2, lr=0.1)
        >>> steps = recipe.steps(batches=50)
        >>> steps, recipe.learning_rate(0, steps), recipe.learning_rate(50, steps)
        (100, 0.1, 0.05)

    Attributes:
        epochs: The number of passes over the training set. It may be a fraction: the number of
            steps is rounded.
        lr: The peak learning rate.
        final_lr: The learning rate at the end of a cosine or linear schedule.
        optimizer: `sgd` (with momentum) or `adamw` (decoupled weight decay).
        momentum: The momentum of SGD, or the first beta of AdamW.
        nesterov: Whether SGD looks ahead along its momentum.
        weight_decay: The weight decay of all parameters, except those that a method says have none
            (`optimizer_for`).
        schedule: `constant`, `cosine` (half a period) or `linear`, from `lr` to `final_lr`;
            `triangle` goes there linearly and back.
        cycles: How often the schedule is repeated, one time after the other. The optimiser keeps
            its momentum.
        warmup: The share of all steps in which the learning rate rises linearly from 0, before the
            first cycle.
        label_smoothing: The label smoothing of cross-entropy, 0 to 1.
        clip: The largest norm of a gradient; None does not clip.
        precision: The precision in which the network is evaluated while it trains. `bfloat16` is
            torch's autocast: weights, statistics, loss and optimiser stay in single precision.
    """

    epochs: float = 10.0
    lr: float = 0.05
    final_lr: float = 0.0
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: Literal["constant", "cosine", "linear", "triangle"] = "cosine"
    cycles: int = 1
    warmup: float = 0.0
    label_smoothing: float = 0.0
    clip: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for setting in fields(self):
            object.__setattr__(self, setting.name, _plain(getattr(self, setting.name)))
        for name, known in (
            ("optimizer", ("sgd", "adamw")),
            ("schedule", ("constant", "cosine", "linear", "triangle")),
            ("precision", ("float32", "bfloat16")),
        ):
            if getattr(self, name) not in known:
                raise unknown(f"recipe.{name}", getattr(self, name), known)
        check_range("recipe.epochs", self.epochs, 1e-9)
        whole("recipe.cycles", self.cycles, 1)
        for name in ("lr", "final_lr", "weight_decay"):
            check_range(f"recipe.{name}", getattr(self, name), 0)
        for name in ("momentum", "warmup", "label_smoothing"):
            check_range(f"recipe.{name}", getattr(self, name), 0, 1)
        if self.momentum == 1:
            raise InputError("recipe.momentum got 1, needs less: steps would never fade")
        if self.nesterov not in (True, False):
            raise InputError(f"recipe.nesterov got {self.nesterov!r}, needs true or false")
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise InputError(
                "recipe.nesterov got true, needs optimizer 'sgd' and a momentum above 0"
            )
        if self.clip is not None:
            check_range("recipe.clip", self.clip, 1e-12)

    def steps(self, batches: int) -> int:
        """How many steps a training takes with so many batches per epoch: at least one."""
        return max(1, round(self.epochs * batches))

    def learning_rate(self, step: int, steps: int) -> float:
        """The learning rate at a step, counted from 0."""
        rising = self.warmup * steps
        if step < rising:
            return self.lr * (step + 1) / (rising + 1)
        span = max(1.0, steps - rising)
        done = (step - rising) * self.cycles % span / span
        left = {
            "constant": 1.0,
            "linear": 1 - done,
            "cosine": 0.5 * (1 + math.cos(math.pi * done)),
            "triangle": abs(1 - 2 * done),
        }[self.schedule]
        return self.final_lr + (self.lr - self.final_lr) * left


def _plain(given: Any) -> Any:
    """NumPy's numbers and fractions as Python's own, which JSON can hold."""
    if isinstance(given, np.generic):
        return given.item()
    return float(given) if isinstance(given, Rational) and not isinstance(given, int) else given


def optimizer_for(recipe: Recipe, params: Iterable[nn.Parameter]) -> Optimizer:
    """A new optimiser (its momentum starts at 0) for a recipe.

    Parameters with an attribute `undecayed = True` have no weight decay: they are a parameter group
    of their own.

    It is torch's fused one, a single kernel for all parameters, where they are real numbers on a
    device that has it, without gaps in their memory (which the fused kernels would step on
    instead).
    """
    params = list(params)
    fused = (
        all(
            p.is_floating_point()
            and p.device.type in ("cpu", "cuda")
            and torch.empty_like(p).stride() == p.stride()
            for p in params
        )
        or None
    )
    parts = (
        ([p for p in params if bool(getattr(p, "undecayed", False)) == free], decay)
        for free, decay in ((False, recipe.weight_decay), (True, 0.0))
    )
    groups = [{"params": part, "weight_decay": decay} for part, decay in parts if part]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(
            groups,
            recipe.lr,
            (recipe.momentum, 0.999),
            weight_decay=recipe.weight_decay,
            fused=fused,
        )
    made = torch.optim.SGD(
        groups,
        recipe.lr,
        recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
        fused=fused,
    )
    if fused and recipe.momentum:
        # the fused kernel fails where some parameters get their first gradient later than others
        for p in params:
            made.state[p]["momentum_buffer"] = torch.zeros_like(p)
    return made
