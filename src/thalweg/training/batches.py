"""What a training reads: batches.

Any sized iterable of (inputs, targets) will do; `Batches` is the fast one for tensors in memory.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SubsetRandomSampler, WeightedRandomSampler

from thalweg.errors import InputError, whole
from thalweg.processes.following import Following
from thalweg.seeds import generator, parts
from thalweg.trees import (
    Inputs,
    as_inputs,
    as_tensor,
    moved,
    rows,
    split,
    taken,
    tensors,
)

LABELS = "labels"  # what targets are called in batches that are one dictionary
Transform = Callable[[Any, torch.Generator], Any]  # of one tensor


@runtime_checkable
class Loader(Protocol):
    """A sized iterable of (inputs `[batch, ...]`, targets `[batch]`), such as a `DataLoader`.

    Several inputs are a tuple or a dictionary of tensors. Batches may be dictionaries that hold the
    targets, too, as `labels`.
    """

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


class NoBatches:
    """What stands for a training set where none was given: whatever reads it says so."""

    def __len__(self) -> int:
        raise InputError(
            "this reads the training set in batches, and the problem has no train_loader: give "
            "train_loader=, a loader of (inputs, targets)"
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
        inputs: The inputs `[examples, ...]`, a tensor or a NumPy array, or a tuple or dictionary of
            these; uint8 where `prepare` makes floating-point numbers of them.
        targets: The labels `[examples]`, a tensor, a NumPy array or a list.
        size: The number of examples per batch; the last batch may be shorter.
        shuffle: Whether each epoch has a new order.
        prepare: It maps raw examples to what the network reads (scale, normalise), each example by
            itself, alike in training and test.
        augment: It changes a prepared batch, one tensor, at random, drawn from a generator; None
            changes nothing.
        order_seed: The seed of the order of the examples.
        augmentation_seed: The seed of the augmentation.
    """

    inputs: Inputs
    targets: Tensor
    size: int = 128
    shuffle: bool = True
    prepare: Callable[[Any], Any] | None = None
    augment: Transform | None = None
    order_seed: int = 0
    augmentation_seed: int = 0

    def __post_init__(self) -> None:
        inputs: Inputs = as_inputs(self.inputs, "Batches.inputs")
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "targets", as_tensor(self.targets, "Batches.targets"))
        if (
            isinstance(inputs, Tensor)
            and inputs.dim() == 4
            and inputs.device.type == "cpu"
            and not inputs.is_contiguous()
        ):
            # images as [height, width, channels], permuted: convolutions would work in
            # channels-last order, which not all can
            object.__setattr__(self, "inputs", inputs.contiguous())
        if not tensors(inputs)[0].dim() or not self.targets.dim():
            raise InputError(
                f"Batches got inputs of shape {tuple(tensors(inputs)[0].shape)} and targets of "
                f"shape {tuple(self.targets.shape)}, needs [examples, ...] and [examples]"
            )
        if rows(inputs) != len(self.targets) or not rows(inputs):
            raise InputError(
                f"Batches got {rows(inputs)} inputs and {len(self.targets)} targets: needs "
                "as many of both"
            )
        if self.augment is not None and not isinstance(inputs, Tensor):
            raise InputError(
                "Batches got augment beside inputs of several tensors, needs one tensor there: "
                "augment in a data set of your own"
            )
        whole("Batches.size", self.size, 1)
        object.__setattr__(self, "size", int(self.size))

    def __len__(self) -> int:
        return -(-len(self.targets) // self.size)

    def __iter__(self) -> Iterator[tuple[Any, Tensor]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[tuple[Any, Tensor]]:
        """One pass over the data. Each epoch number has its own order and augmentation."""
        augmenting = self.augmenting(number)
        order = self.order(number).to(self.targets.device)
        for chosen in order.split(self.size * self._together):
            x, y = taken(self.inputs, chosen), self.targets[chosen]
            if self.prepare is not None:
                x = self.prepare(x)
            for part, labels in zip(split(x, self.size), y.split(self.size), strict=True):
                yield part if self.augment is None else self.augment(part, augmenting), labels

    def order(self, number: int) -> Tensor:
        """The order of the examples in an epoch `[examples]`."""
        if not self.shuffle:
            return torch.arange(len(self.targets))
        return torch.randperm(
            len(self.targets), generator=generator(self.order_seed, "epoch", number)
        )

    def augmenting(self, number: int) -> torch.Generator:
        """The generator that the augmentation of an epoch is drawn from."""
        return generator(self.augmentation_seed, "epoch", number)

    def to(self, device: str | torch.device) -> "Batches":
        """The same data on a device."""
        return replace(self, inputs=moved(self.inputs, device), targets=self.targets.to(device))

    @property
    def _together(self) -> int:
        """Batches that are gathered and prepared at once: some ten small ones, which would cost
        more one by one.
        """
        row = tensors(taken(self.inputs, slice(1)))
        return max(
            1, 2**20 // (self.size * sum(part.numel() * part.element_size() for part in row))
        )

    def reseeded(self, order: int, augmentation: int) -> "Batches":
        """The same data in another order, with other augmentation."""
        return replace(self, order_seed=order, augmentation_seed=augmentation)

    def chosen(self, index: Tensor) -> "Batches":
        """Some of the examples, in the order of the index `[examples]`."""
        return replace(self, inputs=taken(self.inputs, index), targets=self.targets[index])


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
    pick: Callable[[Any], tuple[Any, Tensor]]

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Any, Tensor]]:
        return (self.pick(batch) for batch in self.loader)


def map_batches(loader: Loader, pick: Callable[[Any], tuple[Any, Tensor]]) -> Loader:
    """A loader whose batches are something else than (inputs, targets), such as dictionaries.

    Example:
        >>> loader = [{"image": torch.zeros(4, 2), "label": torch.zeros(4).long(), "file": "a"}]
        >>> x, y = next(iter(map_batches(loader, lambda batch: (batch["image"], batch["label"]))))
        >>> tuple(x.shape)
        (4, 2)
    """
    return _Pairs(loader, pick)


def in_pairs(loader: Loader) -> Loader:
    """A loader whose batches may be dictionaries with their targets, as one of pairs."""
    paired = isinstance(loader, Batches) or (isinstance(loader, _Pairs) and loader.pick is as_pair)
    return loader if paired else _Pairs(loader, as_pair)


def as_pair(batch: Any) -> Any:
    """A batch as a pair, where it is a dictionary that holds its targets; any other as it is."""
    if not isinstance(batch, Mapping) or LABELS not in batch:
        return batch
    return {key: part for key, part in batch.items() if key != LABELS}, batch[LABELS]
