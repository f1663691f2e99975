"""A look at a user's loader and network before anything is trained: mistakes are found in seconds, not after a day."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.seeds import seeded, seeded_loader
from thalweg.training.batches import Batches, Loader
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.observing import check_complete, observe


@dataclass(frozen=True)
class Inspection:
    """What a look at a training set found.

    Attributes:
        examples: Examples in one epoch.
        classes: Classes of the network's outputs.
        behaviour: Which of its statistics move, what is random and what is recomputed.
        channels_last: The network has two-dimensional convolutions and works with channels-last weights (which is faster).
    """

    examples: int
    classes: int
    behaviour: Behaviour
    channels_last: bool = False


def inspect(model: Callable[[], nn.Module], train: Loader, device: str) -> Inspection:
    """Reads the training set once and evaluates one batch on a network that is thrown away. Nothing is trained.

    Raises:
        InputError: The loader is empty or has no length, a batch is no pair, inputs have NaN, labels are out of range, or the
            network's output is not `[batch, classes]`, or it can't be trained on a last batch of one example (batch norm).
    """
    if isinstance(model, nn.Module):
        raise InputError(f"model got a {type(model).__name__} module, needs a function that makes a new one (retrainings start "
                         f"afresh): lambda: {type(model).__name__}(...); give a trained one's state_dict() as start=")
    if not callable(model):
        raise InputError(f"model got {type(model).__name__}, needs a function that makes a new network")
    if not _length(train):
        raise InputError("the training loader is empty: it has no batches")
    classes, examples, channels_last, behaviour = 0, 0, False, Behaviour()
    sizes = {len(train.inputs) % train.size} if isinstance(train, Batches) else set()
    with seeded(0, "inspection"), seeded_loader(train, 0, "inspection"):
        for number, batch in enumerate(_whole(train)):
            x, y = _pair(batch, number)
            if number == 0:
                classes = _classes(model, x, device)
                channels_last = _works_channels_last(model, x[:2], device)
                behaviour = _observed(model, x[:16], y[:16], device)
            _check_values(x, y, classes, number)
            examples += len(y)
            if not isinstance(train, Batches):
                sizes.add(len(y))
        if not examples:
            raise InputError("the training loader is empty: it gave no batch")
        if 1 in sizes:
            _check_one_example(model, x[:1], device)
    return Inspection(examples, classes, behaviour, channels_last)


def _observed(model: Callable[[], nn.Module], x: Tensor, y: Tensor, device: str) -> Behaviour:
    """What a new network does in training and in evaluation. One batch of one example, which is refused later, is taken twice."""
    x, y = (t.to(device) if len(t) > 1 else torch.cat([t, t]).to(device) for t in (x, y))
    network = model().to(device)
    found = observe(network, x, y, lambda outputs, _: outputs.square().mean())
    check_complete(network, model().to(device), x)
    return found


def in_channels_last(network: nn.Module) -> nn.Module:
    """The same network with its convolutions' weights in channels-last order; what they put out then is so, too."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _works_channels_last(model: Callable[[], nn.Module], x: Tensor, device: str) -> bool:
    """Whether the network gives the same outputs so: one that uses `view` on a convolution's output, for one, gives none."""
    network = model().to(device).eval()
    if not any(isinstance(module, nn.Conv2d) for module in network.modules()):
        return False
    x = x.to(device)
    with torch.no_grad():
        expected = network(x)
        try:
            found = in_channels_last(network)(x)
            same = bool((found - expected).abs().max() <= 0.01 * expected.abs().max())  # GPUs may round to ten bits
            network.train()(x)  # it may do something else there
            return same
        except Exception:  # a user's network may raise anything
            return False


def _check_values(x: Tensor, y: Tensor, classes: int, number: int) -> None:
    if x.is_floating_point() and not torch.isfinite(x).all():
        raise InputError(f"batch {number} of the training loader has NaN or infinite inputs: clean the data")
    if y.min() < 0 or y.max() >= classes:
        wrong = int(y.min() if y.min() < 0 else y.max())
        raise InputError(f"batch {number} of the training loader has label {wrong}, needs 0 to {classes - 1}: the network has "
                         f"{classes} outputs")


def _check_one_example(model: Callable[[], nn.Module], x: Tensor, device: str) -> None:
    """Batch norm of vectors has no variance in a batch of one example."""
    try:
        with torch.no_grad():
            model().to(device).train()(x.to(device))
    except ValueError as error:
        raise InputError(f"a batch of the training loader has one example, on which this network can't be trained ({error}): "
                         "choose another batch size, or drop_last=True") from None


def check_device(device: str, name: str = "device") -> None:
    """Puts one number on a device.

    Raises:
        InputError: There is no such device.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(f"{name} got {device!r}: {str(error).splitlines()[0]}") from None


def _length(train: Any) -> int:
    if not isinstance(train, Loader):
        raise InputError(f"train got {type(train).__name__}, needs a loader with a length: a DataLoader, Batches, or a list of "
                         "batches")
    try:
        return len(train)
    except TypeError:  # a DataLoader of an iterable data set
        raise InputError(f"train got a {type(train).__name__} that has no length (steps could not be planned): give a DataLoader "
                         "of a data set with a length, Batches, or a list of batches") from None


def _whole(train: Loader) -> Any:
    """All examples in one batch per 4,096 where they are in memory: the look costs no augmentation."""
    if not isinstance(train, Batches):
        return train
    x, y = train.inputs, train.targets
    prepared = ((x[i : i + 4096], y[i : i + 4096]) for i in range(0, len(x), 4096))
    return ((train.prepare(a) if train.prepare else a, b) for a, b in prepared)


def _pair(batch: Any, number: int) -> tuple[Tensor, Tensor]:
    if isinstance(batch, dict):
        raise InputError(f"batch {number} is a dictionary with keys {sorted(map(str, batch))}, needs a pair (inputs, labels): "
                         "wrap the loader, thalweg.pairs(loader, lambda batch: (batch['...'], batch['...']))")
    if not isinstance(batch, list | tuple) or len(batch) != 2 or not all(isinstance(part, Tensor) for part in batch):
        size = len(batch) if hasattr(batch, "__len__") else "?"
        raise InputError(f"batch {number} is {type(batch).__name__} of {size}, needs a pair of tensors (inputs, labels): wrap "
                         "the loader with thalweg.pairs")
    x, y = batch
    if y.dim() != 1 or len(x) != len(y) or y.is_floating_point() or not len(y):
        raise InputError(f"batch {number} has inputs {tuple(x.shape)} and labels {tuple(y.shape)} of {y.dtype}, needs "
                         "[batch, ...] and whole numbers [batch]")
    return x, y


def _classes(model: Callable[[], nn.Module], x: Tensor, device: str) -> int:
    network = model()
    if not isinstance(network, nn.Module):
        raise InputError(f"model() gave a {type(network).__name__}, needs a torch.nn.Module")
    if model() is network:
        raise InputError(f"model() gave the same module twice: retrainings start afresh, so it must make a new "
                         f"{type(network).__name__} each time; give a trained one's state_dict() as start=")
    network = network.to(device).eval()
    x = x[:2].to(device)
    try:
        with torch.no_grad():
            outputs = network(x)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        message = " ".join(str(error).split())[:200]
        raise InputError(f"the network can't evaluate inputs of shape {tuple(x.shape)} and {x.dtype}: {message}") from None
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(x) or outputs.shape[1] < 2:
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise InputError(f"the network's output is {got} for {len(x)} inputs, needs [batch, classes] with two classes or more")
    return outputs.shape[1]
