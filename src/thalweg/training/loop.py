"""The training loop.

It serves every method and knows none of them: nothing here is specific to subspaces or ensembles.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.errors import Diverged, InputError
from thalweg.meter import Meter
from thalweg.outputs import Classes, Loss, Outputs
from thalweg.seeds import set_epoch
from thalweg.training.batches import ByEpoch, Loader
from thalweg.training.recipe import Optimizer, Recipe, optimizer_for
from thalweg.trees import Inputs, mapped


@dataclass(frozen=True)
class StepInfo:
    """What an observer is told after every step.

    Attributes:
        step: Steps done, counted from 1.
        steps: Steps that the training takes.
        epoch_ended: The step was the last one of a pass over the data.
        loss: The data loss of the step, before it, without the penalty: a scalar on the training's
            device (reading it makes a GPU wait).
    """

    step: int
    steps: int
    epoch_ended: bool
    loss: Tensor


def train(
    module: nn.Module,
    batches: Loader,
    recipe: Recipe,
    meter: Meter,
    *,
    loss: Loss | None = None,
    penalty: Callable[[], Tensor] | None = None,
    before_step: Callable[[], None] | None = None,
    on_step: Callable[[StepInfo], None] | None = None,
) -> None:
    """Trains a module in place.

    Args:
        module: Maps inputs `[batch, ...]`, one argument, to outputs `[batch, classes]` or, with
            several draws, `[draws, batch, classes]`. What is trained is its parameters that require
            gradients.
        batches: Yields (inputs, targets); read again each epoch.
        recipe: Epochs, optimiser, schedule.
        meter: Counts every evaluation from the shape of the outputs.
        loss: From outputs and targets `[batch]` to a scalar; cross-entropy, averaged over draws and
            batch, if None.
        penalty: Added to the loss; read from the module's parameters.
        before_step: Called between the backward pass and the step; may change the gradients of the
            module's parameters.
        on_step: Called after every step.

    Raises:
        Diverged: The loss is not finite (the parameters are left as they were before that step; on
            a GPU, which is asked every 50 steps only, as they are by then), or the last step left
            weights that are not.
        InputError: There is nothing to train, no parameter gets a gradient, a label is out of
            range, or the loader gives another number of batches than it says.
    """
    if torch.is_inference_mode_enabled():
        raise InputError(
            "nothing can be trained inside of torch.inference_mode(): leave it (torch.no_grad() "
            "does no harm)"
        )
    with torch.enable_grad():  # a user may have switched gradients off
        _train(
            module,
            batches,
            recipe,
            meter,
            loss or Classes().loss(recipe.label_smoothing),
            penalty,
            before_step,
            on_step,
        )


def _train(
    module: nn.Module,
    batches: Loader,
    recipe: Recipe,
    meter: Meter,
    loss: Loss,
    penalty: Callable[[], Tensor] | None,
    before_step: Callable[[], None] | None,
    on_step: Callable[[StepInfo], None] | None,
) -> None:
    params = [p for p in module.parameters() if p.requires_grad]
    if not params:
        raise InputError(
            "the module has no parameter that requires a gradient: there is nothing to train"
        )
    device = params[0].device
    optimizer = optimizer_for(recipe, params)
    steps = recipe.steps(len(batches))
    patience = 1 if device.type == "cpu" else 50
    losses: list[Tensor] = []  # not looked at yet: a look makes a GPU wait
    module.train()
    for step, (last, (x, y)) in enumerate(_endless(batches)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate(step, steps)
        for p in params:
            p.grad = None
        with _precision(recipe, device):
            outputs = module(mapped(partial(_moved, device=device), x))
        meter.backward(outputs)
        data_loss = _loss_of(
            loss,
            outputs.float() if outputs.dtype == torch.bfloat16 else outputs,
            y.to(device, non_blocking=True),
        )
        total = data_loss if penalty is None else data_loss + penalty()
        losses.append(total.detach())
        if len(losses) == patience or step + 1 == steps:
            _check(losses, step + 1, steps, recipe)
            losses.clear()
        total.backward()
        if before_step is not None:
            before_step()
        _step(optimizer, params, recipe, first=step == 0)
        if on_step is not None:
            on_step(StepInfo(step + 1, steps, last, data_loss.detach()))
        if step + 1 == steps:
            break
    if not all(torch.isfinite(p).all() for p in params):
        raise Diverged(
            f"the weights are not finite after step {steps}, the last: lower the learning rate "
            f"({recipe.lr:g}), or clip gradients"
        )


def _moved(x: Tensor, device: torch.device) -> Tensor:
    """A tensor of inputs on a device.

    On a CPU the weights choose the order of memory, where it is safe (`training.building`), not
    they.
    """
    moved = x.to(device, non_blocking=True)
    return moved.contiguous() if device.type == "cpu" and moved.layout == torch.strided else moved


def _loss_of(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    try:
        return loss(outputs, targets)
    except IndexError as error:
        raise InputError(
            f"a batch of the training loader has labels that are no classes ({error}): needs 0 to "
            f"{outputs.shape[-1] - 1}"
        ) from error


def per_draw(loss: Loss, kind: Outputs = Classes()) -> Loss:  # noqa: B008  frozen
    """A user's loss of outputs `[batch, outputs]`, for outputs `[draws, batch, outputs]` too: its
    mean over the draws.

    It gets targets in the shape and on the scale of this kind of outputs, so that nothing is
    broadcast.
    """

    def averaged(outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.dim() == 2:
            return loss(outputs, kind.aligned(outputs, targets))
        return torch.stack(
            [averaged(outputs[draw], targets) for draw in range(len(outputs))]
        ).mean()

    return averaged


def both_ways(module: nn.Module, x: Inputs) -> None:
    """One evaluation of inputs `[batch, ...]` in training, with its backward pass, for counting
    operations: nothing is kept.
    """
    module.train()(x).sum().backward()


def _step(optimizer: Optimizer, params: list[nn.Parameter], recipe: Recipe, *, first: bool) -> None:
    if first and all(p.grad is None for p in params):
        raise InputError(
            "no parameter got a gradient: do the network's outputs depend on any that is trained?"
        )
    if recipe.clip is not None:
        nn.utils.clip_grad_norm_(params, recipe.clip)
    optimizer.step()


def _precision(recipe: Recipe, device: torch.device) -> AbstractContextManager[Any]:
    if recipe.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _check(losses: list[Tensor], step: int, steps: int, recipe: Recipe) -> None:
    """Looks at the losses of the last steps, of which `step` is the last."""
    for back, value in enumerate(
        torch.stack(losses).tolist() if len(losses) > 1 else [losses[0].item()]
    ):
        if not math.isfinite(value):
            raise Diverged(
                f"the loss is {value} at step {step + 1 - len(losses) + back} of {steps}: lower "
                f"the learning rate ({recipe.lr:g}), or clip gradients"
            )


def _endless(batches: Loader) -> Iterator[tuple[bool, Any]]:
    """Batches of one epoch after the other, each with whether it is its epoch's last."""
    epoch = 0
    while True:
        number, expected = 0, len(batches)
        set_epoch(batches, epoch)
        for batch in batches.epoch(epoch) if isinstance(batches, ByEpoch) else batches:
            number += 1
            yield number == expected, batch
        if not number:
            raise InputError(
                "the training loader gave no batch: is it an iterator that can be read once "
                "only? give a DataLoader"
            )
        if number != expected:
            raise InputError(
                f"the training loader says that it has {expected} batches, and gave {number} in "
                f"epoch {epoch + 1}: steps and costs would be wrong; give it the right length"
            )
        epoch += 1
