"""One look at a user's network and loader before anything is trained: mistakes are found in
seconds, not after a day.

It builds three networks and compares them, takes one trial step, and reads the loader. What it
finds is kept as one `Inspection`, which everything else asks. It costs less than ten steps of a
training, but for loaders whose length only reading tells.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.outputs import Classes, Loss, Outputs
from thalweg.seeds import seeded
from thalweg.training.batches import Loader
from thalweg.training.building import Builds, check_factory, in_channels_last, unsafe_channels_last
from thalweg.training.calling import Call, Pick, picked
from thalweg.training.reading import check_loader, check_values, first_batch, read, redraws
from thalweg.training.recipe import Recipe
from thalweg.training.trial import (
    attempted,
    check_shapes,
    check_single,
    checked,
    depends_on_batch,
    evaluated,
    repeats,
    shapes,
    trial_step,
    two_or_more,
)
from thalweg.trees import Inputs, form, mapped, moved, rows, taken
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.observing import check_complete, observe

# for so long inputs are looked at, where there is a choice: all looks together take less than ten
# steps
_STEPS = 3


@dataclass(frozen=True)
class Inspection:
    """What a look at network and training set found.

    Attributes:
        examples: Examples in one epoch.
        classes: How many outputs the network has.
        behaviour: Which of its statistics move, what is random and what is recomputed.
        channels_last: The network has two-dimensional convolutions and works with channels-last
            weights (which is faster).
        unsafe_layer: The name of a layer with which channels-last weights are not safe on this
            device, or None.
        example: Two inputs `[2, ...]`, by which lazy layers get their sizes, and by whose parts all
            other inputs are known.
        redrawn: Which of `init`, and `order` with `augmentation`, a new seed was seen to change;
            `masks` where the order stays, but dropout differs.
        constants: Names of frozen parameters and buffers that differ from network to network.
        stored: Names of weights that are the same in all new networks, as those of a pre-trained
            part.
        picks: The network's outputs are something else than one tensor.
    """

    examples: int
    classes: int
    behaviour: Behaviour
    channels_last: bool = False
    unsafe_layer: str | None = None
    example: Inputs | None = None
    redrawn: tuple[str, ...] = ("init", "order", "augmentation")
    constants: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    picks: bool = False

    def call(self, pick: Pick) -> Call:
        """How networks are called, of whose outputs the user says what the logits are."""
        return Call(None if self.example is None else form(self.example), pick, self.picks)


def inspect(
    model: Callable[[], nn.Module],
    train: Loader,
    device: str,
    *,
    recipe: Recipe | None = None,
    loss: Loss | None = None,
    kind: Outputs = Classes(),  # noqa: B008  frozen
    pick: Pick = None,
) -> Inspection:
    """Reads the training set once, and takes one trial step of a network that is thrown away.

    Nothing is trained.

    Args:
        model: Makes a network.
        train: The training set.
        device: Where networks are trained.
        recipe: How; the default one if None.
        loss: With what loss; the usual one of the outputs if None.
        kind: What the outputs mean.
        pick: What of the network's outputs are the logits.

    Raises:
        InputError: With one line: the loader is empty or has another length than it says, a batch
            is no pair, inputs have NaN, targets are out of range or not finite; networks have
            something in common; outputs are not of this kind; a step fails.
    """
    check_loader(train)
    first = first_batch(train, "first", kind=kind)
    x, y = moved(first[0], device), first[1].to(device)
    example = mapped(Tensor.clone, taken(x, slice(2)))
    call = Call(form(x), pick)
    builds = check_factory(model, device, example, call)
    network, spare = builds.networks
    before = shapes(network)
    classes, picks = _evaluation(builds, x, kind, call)
    check_values(x, y, classes, 0, kind)
    if doubt := kind.doubt(y):
        warnings.warn(doubt, stacklevel=4)
    seconds = trial_step(network, x, y, recipe or Recipe(), loss, kind)
    check_shapes(before, shapes(network))
    behaviour = _observed(spare, network, taken(x, slice(16)), y[:16])
    _warn_of_repeating(spare, x)

    def evaluate(x: Inputs) -> None:
        with torch.no_grad(), seeded(0, "inspection", "shape"):
            evaluated(spare.eval(), moved(taken(x, slice(2)), device), kind)

    reading = read(train, classes, _STEPS * seconds, evaluate, kind)
    if reading.has_single:
        check_single(spare, taken(x, slice(1)))
    channels_last = _works_channels_last(
        spare, example, device
    )  # the last thing that is done to it
    sources, again = redraws(train, first, kind)
    if not again:
        warnings.warn(
            "the training loader gives other batches after the same seed: it has randomness "
            "that no seed of torch's, NumPy's or Python's reaches, so that no training can be "
            "done again; let its data set, sampler or transforms draw from a generator that is "
            "one of their attributes, or from the global ones",
            stacklevel=4,
        )
    redrawn = [name for name, does in (("init", builds.differ), *sources.items()) if does]
    if behaviour.random and "order" not in redrawn:
        redrawn.append("masks")  # those of dropout: retrainings are not the same
    return Inspection(
        reading.examples,
        classes,
        behaviour,
        channels_last,
        unsafe_channels_last(network, device),
        moved(example, "cpu"),
        tuple(redrawn),
        _kept_apart(builds, behaviour),
        builds.stored,
        picks,
    )


def inspect_network(
    model: Callable[[], nn.Module],
    x: Inputs,
    device: str,
    *,
    kind: Outputs = Classes(),  # noqa: B008  frozen
    pick: Pick = None,
) -> Inspection:
    """Looks at the network alone, as far as that goes where a user's own function trains it: no
    training set is read, and no step is taken.

    Args:
        model: Makes a network.
        x: Some inputs `[batch, ...]`.
        device: Where networks are trained.
        kind: What the outputs mean.
        pick: What of the network's outputs are the logits.

    Raises:
        InputError: As by `inspect`.
    """
    x = moved(x, device)
    example = mapped(Tensor.clone, taken(x, slice(2)))
    call = Call(form(x), pick)
    builds = check_factory(model, device, example, call)
    network, spare = builds.networks
    classes, picks = _evaluation(builds, x, kind, call)
    few = taken(x, slice(16))
    behaviour = _observed(spare, network, few, torch.zeros(rows(few), device=device))
    _warn_of_repeating(spare, x)
    return Inspection(
        0,
        classes,
        behaviour,
        unsafe_layer=unsafe_channels_last(network, device),
        example=moved(example, "cpu"),
        redrawn=("init",) * builds.differ,
        constants=_kept_apart(builds, behaviour),
        stored=builds.stored,
        picks=picks,
    )


def _evaluation(builds: Builds, x: Inputs, kind: Outputs, call: Call) -> tuple[int, bool]:
    """How many outputs a network has, and whether these are seen to be among others, by one
    evaluation of two inputs in evaluation mode. Both networks are then called alike.
    """
    network, spare = builds.networks
    before, example = shapes(network), mapped(Tensor.clone, taken(x, slice(2)))
    with seeded(0, "inspection", "evaluation"), torch.enable_grad():
        given = attempted(network.eval(), example)
        picks = call.is_plain and not isinstance(given, Tensor)
        if picks:
            given = picked(given, None)
            for one in builds.networks:
                replace(call, picks=True).prepare(one)
        outputs = checked(given, rows(example), kind)
    kind.check_scale(outputs, " in evaluation mode")
    check_shapes(before, shapes(network))
    if depends_on_batch(spare, x, kind):
        warnings.warn(
            "what the network predicts for an input depends on the other inputs of its batch "
            "(batch norm without running statistics?): it is that of batches of 256 inputs, as "
            "thalweg evaluates it",
            stacklevel=5,
        )
    return outputs.shape[1], picks


def _warn_of_repeating(network: nn.Module, x: Inputs) -> None:
    if not repeats(network, taken(x, slice(16))):
        warnings.warn(
            "the network gives other outputs in training mode after the same seed, with the "
            "same weights: it draws from a generator of its own, or counts its evaluations, so "
            "that no training can be done again; let it draw from torch's global generator",
            stacklevel=5,
        )


def _kept_apart(builds: Builds, behaviour: Behaviour) -> tuple[str, ...]:
    """What is not trained and differs between networks, less what is taken again at every point."""
    again = {name for one in behaviour.follows for name in (one.u, one.v)}
    return tuple(
        name
        for name in builds.constants
        if name not in again and name.rpartition(".")[0] not in behaviour.refreshed
    )


def _observed(network: nn.Module, other: nn.Module, x: Inputs, y: Tensor) -> Behaviour:
    """What a network does in training and in evaluation.

    A single example, which is refused later, is taken twice.
    """
    x, y = two_or_more(x), y if len(y) > 1 else torch.cat([y, y])
    try:
        behaviour = observe(network, x, y, lambda outputs, _: outputs.square().mean())
        check_complete(network, other, x)
    except InputError:
        raise
    except Exception as error:  # a user's network may raise anything
        raise InputError(
            "the network can't be evaluated with weights from outside "
            f"(torch.func.functional_call: {type(error).__name__}, "
            f"{' '.join(str(error).split())[:200]}), as everything here does"
        ) from error
    return behaviour


def _works_channels_last(network: nn.Module, x: Inputs, device: str) -> bool:
    """Whether the network gives the same outputs so: one that uses `view` on a convolution's
    output, for one, gives none.
    """
    network.eval()
    images = isinstance(x, Tensor) and any(isinstance(m, nn.Conv2d) for m in network.modules())
    if not images or unsafe_channels_last(network, device):
        return False
    with torch.no_grad(), seeded(0, "inspection", "order of memory"):
        expected = network(x)
        try:
            outputs = in_channels_last(network)(x)
            same = bool(
                (outputs - expected).abs().max() <= 0.01 * expected.abs().max()
            )  # GPUs may round to ten bits
            network.train()(x)  # it may do something else there
            return same
        except Exception:  # a user's network may raise anything
            return False
