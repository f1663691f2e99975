"""What a user gives a problem beside network and loader, checked before anything is trained."""

import warnings
from typing import Any

import torch
from torch import nn

from thalweg.errors import InputError
from thalweg.meter import Meter
from thalweg.outputs import Classes, Outputs
from thalweg.training.execution import Execution
from thalweg.training.inspection import Inspection
from thalweg.training.recipe import Recipe


def check_surroundings(execution: Any) -> None:
    """Checks that networks can be trained here, and as it is said.

    Raises:
        InputError: torch is in inference mode, or the execution is no `Execution`.
    """
    if torch.is_inference_mode_enabled():
        raise InputError(
            "a problem can't be made inside of torch.inference_mode(), where nothing can be "
            "trained: leave it (torch.no_grad() does no harm)"
        )
    if not isinstance(execution, Execution):
        raise InputError(
            f"execution got a {type(execution).__name__}, needs a thalweg.Execution, such as "
            "Execution(jobs=2)"
        )


def checked_outputs(given: Any) -> Outputs:
    """What the outputs mean; classes of None.

    Raises:
        InputError: They are none.
    """
    if given is None:
        return Classes()
    if not isinstance(given, Outputs):
        a_class = isinstance(given, type)
        got = f"the class {given.__name__}" if a_class else f"a {type(given).__name__}"
        raise InputError(
            f"outputs got {got}, needs thalweg.Classes(), Binary() or Values(units=...)"
        )
    return given


def check_recipe_and_loss(recipe: Any, loss: Any, outputs: Outputs, *, warn: bool) -> None:
    """Checks that the recipe is one, and that a loss of the user's fits it.

    Args:
        recipe: The recipe.
        loss: The loss; None for the usual one of the outputs.
        outputs: What the outputs mean.
        warn: Whether to warn of a loss with parameters that nobody trains.

    Raises:
        InputError: The recipe is no `Recipe`, the loss is no function, or the recipe has label
            smoothing, which a loss of the user's would not have.
    """
    if not isinstance(recipe, Recipe):
        raise InputError(f"recipe got a {type(recipe).__name__}, needs a thalweg.Recipe")
    if loss is None:
        outputs.loss(recipe.label_smoothing)  # says so where there is nothing to smooth
        return
    if not callable(loss):
        raise InputError(
            f"loss got a {type(loss).__name__}, needs a function of outputs and labels"
        )
    trainable = (
        [name for name, p in loss.named_parameters() if p.requires_grad]
        if isinstance(loss, nn.Module)
        else []
    )
    if trainable and warn:
        warnings.warn(
            f"the loss has parameters of its own ('{trainable[0]}'), which nobody trains: put them "
            "into the network, or say so with loss.requires_grad_(False)",
            stacklevel=4,
        )
    if recipe.label_smoothing:
        raise InputError(
            f"recipe.label_smoothing got {recipe.label_smoothing:g} beside a loss, "
            "which would not have it: put it into the loss "
            "(nn.CrossEntropyLoss(label_smoothing=...)), and take it out of the recipe"
        )


def check_execution(execution: Execution, inspection: Inspection, *, own: bool = False) -> None:
    """Checks that the network can be trained as the execution says.

    Args:
        execution: How trainings are run.
        inspection: What was seen of the network.
        own: Whether a training function of the user's trains it.

    Raises:
        InputError: The network can't be stacked, since it computes its activations anew for the
            backward pass; channels-last weights are not safe for one of its layers; or a training
            function should be stacked or compiled.
    """
    if own and (execution.stack > 1 or execution.compile != "no"):
        raise InputError(
            "execution got stack or compile beside a training function of your own, which says "
            "itself how it evaluates the module: leave them out (jobs= and device= work)"
        )
    if execution.channels_last and inspection.unsafe_layer is not None:
        raise InputError(
            f"execution.channels_last got True, and layer '{inspection.unsafe_layer}' is a "
            "strided 1x1 convolution of few channels, whose backward pass torch writes outside of "
            "its memory with channels-last weights on a CPU: leave channels_last out"
        )
    if execution.stack > 1:
        inspection.behaviour.check_recomputed("execution.stack > 1")


def check_cache(cache: Any, identity: str) -> None:
    """Checks that a cache can tell the trainings of two problems apart.

    Raises:
        InputError: There is no name of data and network.
    """
    if cache is not None and not identity:
        raise InputError(
            "a problem with a cache got no identity: name data and network, or two problems "
            "share their anchors"
        )


def check_unit(meter: Meter, examples: int) -> None:
    """Makes a training of so many examples the unit of a meter.

    Raises:
        InputError: The meter has another unit.
    """
    if meter.training_examples not in (0, examples):
        raise InputError(
            f"meter counts in trainings of {meter.training_examples} examples, this "
            f"problem's have {examples}: give the problem, or its copy, a "
            "meter of its own, meter=Meter()"
        )
    meter.training_examples = examples
