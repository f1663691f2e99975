"""The training loop. It serves every method and knows none of them: nothing here is specific to subspaces or ensembles."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.errors import Diverged, InputError
from thalweg.meter import Meter
from thalweg.training.batches import Batches, Loader
from thalweg.training.recipe import Recipe, optimizer_for

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Tick:
    """What an observer is told after every step.

    Attributes:
        step: Steps done, counted from 1.
        steps: Steps that the training takes.
        epoch_ended: The step was the last one of a pass over the data.
        loss: The data loss of the step, before it, without the penalty.
    """

    step: int
    steps: int
    epoch_ended: bool
    loss: float


def train(
    module: nn.Module,
    batches: Loader,
    recipe: Recipe,
    meter: Meter,
    *,
    loss: Loss | None = None,
    penalty: Callable[[], Tensor] | None = None,
    watch: Callable[[Tick], None] | None = None,
) -> None:
    """Trains a module in place.

    Args:
        module: Maps inputs `[batch, ...]` to outputs `[batch, classes]` or, with several draws, `[draws, batch, classes]`.
            What is trained is its parameters that require gradients.
        batches: Yields (inputs, targets); read again each epoch.
        recipe: Epochs, optimiser, schedule.
        meter: Counts every evaluation from the shape of the outputs.
        loss: From outputs and targets `[batch]` to a scalar; cross-entropy, averaged over draws and batch, if None.
        penalty: Added to the loss; read from the module's parameters.
        watch: Called after every step.

    Raises:
        Diverged: The loss is not finite (the parameters are left as they were before that step), or the last step left weights
            that are not.
    """
    loss = loss or cross_entropy(recipe.label_smoothing)
    params = [p for p in module.parameters() if p.requires_grad]
    if not params:
        raise InputError("the module has no parameter that requires a gradient: there is nothing to train")
    device = params[0].device
    optimizer = optimizer_for(recipe, params)
    steps = recipe.steps(len(batches))
    module.train()
    for step, (last, (x, y)) in enumerate(_endless(batches)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate(step, steps)
        outputs = module(x.to(device, non_blocking=True))
        meter.backward(outputs)
        data_loss = loss(outputs, y.to(device, non_blocking=True))
        total = data_loss if penalty is None else data_loss + penalty()
        if not torch.isfinite(total):
            raise Diverged(f"the loss is {total.item()} at step {step + 1} of {steps}: lower the learning rate ({recipe.lr:g}), "
                           "or clip gradients")
        optimizer.zero_grad()
        total.backward()
        if recipe.clip is not None:
            nn.utils.clip_grad_norm_(params, recipe.clip)
        optimizer.step()
        if watch is not None:
            watch(Tick(step + 1, steps, last, float(data_loss.detach())))
        if step + 1 == steps:
            break
    if not all(torch.isfinite(p).all() for p in params):
        raise Diverged(f"the weights are not finite after step {steps}, the last: lower the learning rate ({recipe.lr:g}), "
                       "or clip gradients")


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy of outputs `[batch, classes]` or `[draws, batch, classes]`, averaged over draws and batch."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        draws = outputs.shape[:-2].numel()
        return nn.functional.cross_entropy(outputs.flatten(0, -2), targets.repeat(draws).long(), label_smoothing=label_smoothing)

    return loss


def _endless(batches: Loader) -> Iterator[tuple[bool, Any]]:
    """Batches of one epoch after the other, each with whether it is its epoch's last."""
    epoch = 0
    while True:
        number = 0
        for batch in batches.epoch(epoch) if isinstance(batches, Batches) else batches:
            number += 1
            yield number == len(batches), batch
        if not number:
            raise InputError("the training loader gave no batch: is it an iterator that can be read once only? give a DataLoader")
        epoch += 1
