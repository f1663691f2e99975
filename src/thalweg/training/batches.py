"""What a training reads: batches.

Any sized iterable of (inputs, targets) will do; `Batches` is the fast one for tensors in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SubsetRandomSampler, WeightedRandomSampler

from thalweg.errors import InputError, whole
from thalweg.processes.following import Following
from thalweg.seeds import generator, parts

Transform = Callable[[Tensor, torch.Generator], Tensor]


@runtime_checkable
class Loader(Protocol):
    """A sized iterable of (inputs `[batch, ...]`, targets `[batch]`), such as a `DataLoader`."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


class NoBatches:
    """What stands for a training set where none was given: whatever reads it says so."""

    def __len__(self) -> int:
        raise InputError(
            "this reads the training set in batches, and the problem has a training function and "
            "no train_loader: give train_loader=, a loader of (inputs, targets), beside train="
        )

    def __iter__(self) -> Iterator[Any]:
        return iter(range(len(self)))


@runtime_checkable
class ByEpoch(Protocol):
    """A loader that knows which pass over the data it is asked for."""

    def epoch(self, number: int) -> Iterator[Any]:
        """One pass over the data."""


@dataclass(frozen=True, eq=False)
class Batches:
    """A data set in memory, cut into batches, on any device.

    Example:
        >>> batches = Batches(torch.zeros(10, 3), torch.arange(10) % 2, size=4)
        >>> [tuple(x.shape) for x, y in batches]
        [(4, 3), (4, 3), (2, 3)]

    Attributes:
        inputs: The inputs `[examples, ...]`, a tensor or a NumPy array; uint8 where `prepare` makes
            floating-point numbers of them.
        targets: The labels `[examples]`, a tensor, a NumPy array or a list.
        size: The number of examples per batch; the last batch may be shorter.
        shuffle: Whether each epoch has a new order.
        prepare: It maps raw examples to what the network reads (scale, normalise), each example by
            itself, alike in training and test.
        augment: It changes a prepared batch at random, drawn from a generator; None changes
            nothing.
        order_seed: The seed of the order of the examples.
        augmentation_seed: The seed of the augmentation.
    """

    inputs: Tensor
    targets: Tensor
    size: int = 128
    shuffle: bool = True
    prepare: Callable[[Tensor], Tensor] | None = None
    augment: Transform | None = None
    order_seed: int = 0
    augmentation_seed: int = 0

    def __post_init__(self) -> None:
        for name in ("inputs", "targets"):
            object.__setattr__(self, name, as_tensor(getattr(self, name), f"Batches.{name}"))
        if (
            self.inputs.dim() == 4
            and self.inputs.device.type == "cpu"
            and not self.inputs.is_contiguous()
        ):
            # images as [height, width, channels], permuted: convolutions would work in
            # channels-last order, which not all can
            object.__setattr__(self, "inputs", self.inputs.contiguous())
        if not self.inputs.dim() or not self.targets.dim():
            raise InputError(
                f"Batches got inputs of shape {tuple(self.inputs.shape)} and targets of shape "
                f"{tuple(self.targets.shape)}, needs [examples, ...] and [examples]"
            )
        if len(self.inputs) != len(self.targets) or not len(self.inputs):
            raise InputError(
                f"Batches got {len(self.inputs)} inputs and {len(self.targets)} targets: needs "
                "as many of both"
            )
        whole("Batches.size", self.size, 1)
        object.__setattr__(self, "size", int(self.size))

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over the data. Each epoch number has its own order and augmentation."""
        augmenting = self.augmenting(number)
        order = self.order(number).to(self.inputs.device)
        for chosen in order.split(self.size * self._together):
            x, y = self.inputs[chosen], self.targets[chosen]
            if self.prepare is not None:
                x = self.prepare(x)
            for part, labels in zip(x.split(self.size), y.split(self.size), strict=True):
                yield part if self.augment is None else self.augment(part, augmenting), labels

    def order(self, number: int) -> Tensor:
        """The order of the examples in an epoch `[examples]`."""
        if not self.shuffle:
            return torch.arange(len(self.inputs))
        return torch.randperm(
            len(self.inputs), generator=generator(self.order_seed, "epoch", number)
        )

    def augmenting(self, number: int) -> torch.Generator:
        """The generator that the augmentation of an epoch is drawn from."""
        return generator(self.augmentation_seed, "epoch", number)

    def to(self, device: str | torch.device) -> "Batches":
        """The same data on a device."""
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device))

    @property
    def _together(self) -> int:
        """Batches that are gathered and prepared at once: some ten small ones, which would cost
        more one by one.
        """
        one = self.size * self.inputs[:1].numel() * self.inputs.element_size()
        return max(1, 2**20 // one)

    def reseeded(self, order: int, augmentation: int) -> "Batches":
        """The same data in another order, with other augmentation."""
        return replace(self, order_seed=order, augmentation_seed=augmentation)

    def chosen(self, index: Tensor) -> "Batches":
        """Some of the examples, in the order of the index `[examples]`."""
        return replace(self, inputs=self.inputs[index], targets=self.targets[index])


def as_tensor(given: Any, name: str) -> Tensor:
    """A tensor as it is; a NumPy array or list of numbers as one.

    Args:
        given: What the user gave.
        name: How an error calls it.

    Raises:
        InputError: It holds something else than numbers.
    """
    if isinstance(given, Tensor):
        return given.detach() if given.requires_grad else given
    try:
        array = np.ascontiguousarray(given)  # torch knows no negative strides
        if array.dtype.byteorder == ">":
            array = array.astype(array.dtype.newbyteorder("="))
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} got a {type(given).__name__}, needs a tensor or an array of numbers "
            f"({' '.join(str(error).split())[:80]})"
        ) from None


def joined(batches: Sequence[Tensor]) -> Tensor:
    """Batches of inputs as one tensor.

    Raises:
        InputError: Their examples differ in shape, as with padding to the longest of each batch.
    """
    shapes = sorted({tuple(batch.shape[1:]) for batch in batches})
    if len(shapes) > 1:
        raise InputError(
            f"batches have examples of shapes {shapes[0]} and {shapes[-1]}, which can't be put "
            "together: pad all of them to one length"
        )
    return torch.cat(list(batches))


def shuffles(loader: Any) -> bool:
    """Whether a loader, or one that it wraps, is seen to shuffle."""
    random = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
    return any(
        isinstance(part, random) or getattr(part, "shuffle", None) is True for part in parts(loader)
    )


def end_with_us(loader: Any) -> None:
    """Makes worker processes of DataLoaders end with this process: their own look at it comes every
    five seconds only.
    """
    for part in parts(loader):
        if (
            isinstance(part, DataLoader)
            and part.num_workers
            and not isinstance(part.worker_init_fn, Following)
        ):
            part.worker_init_fn = Following(part.worker_init_fn)


@dataclass(frozen=True, eq=False)
class _Pairs:
    loader: Loader
    pick: Callable[[Any], tuple[Tensor, Tensor]]

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self.pick(batch) for batch in self.loader)


def map_batches(loader: Loader, pick: Callable[[Any], tuple[Tensor, Tensor]]) -> Loader:
    """A loader whose batches are something else than (inputs, targets), such as dictionaries.

    Example:
        >>> loader = [{"image": torch.zeros(4, 2), "label": torch.zeros(4).long(), "file": "a"}]
        >>> x, y = next(iter(map_batches(loader, lambda batch: (batch["image"], batch["label"]))))
        >>> tuple(x.shape)
        (4, 2)
    """
    return _Pairs(loader, pick)
