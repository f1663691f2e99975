"""A look at a training set before anything is trained: pairs, labels, length, and whether a seed
changes what comes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)

from thalweg.errors import InputError
from thalweg.meter import now
from thalweg.outputs import Classes, Outputs
from thalweg.seeds import seeded, seeded_loader
from thalweg.training.batches import LABELS, Batches, Loader, as_pair
from thalweg.trees import Inputs, check_rows, equal, shapes, split, taken, tensors

_TOGETHER = 1024  # examples in memory that are looked at together
_SHAPES = 32  # of examples that are tried, where batches are padded to their own lengths
_EXACT = (SequentialSampler, RandomSampler)


@dataclass(frozen=True)
class Reading:
    """What one pass over a training set found.

    Attributes:
        examples: Examples in one epoch.
        has_single: Some batch has a single example.
    """

    examples: int
    has_single: bool


def check_loader(train: Any) -> None:
    """Whether this can be a training set at all.

    Raises:
        InputError: It is no loader, has no length or no batch.
    """
    if not isinstance(train, Loader):
        raise InputError(
            f"train_loader got {type(train).__name__}, needs a loader with a length: a DataLoader, "
            "Batches, or a list of batches"
        )
    try:
        batches = len(train)
    except TypeError:  # a DataLoader of an iterable data set
        raise InputError(
            f"train_loader got a {type(train).__name__} that has no length (steps could not be "
            "planned): give a DataLoader of a data set with a length, Batches, or a list of "
            "batches"
        ) from None
    if not batches:
        raise InputError("the training loader is empty: it has no batches")


def first_batch(
    train: Loader,
    *purpose: str,
    kind: Outputs = Classes(),  # noqa: B008  frozen
) -> tuple[Inputs, Tensor]:
    """The first batch, as a training reads it, with the random numbers of a purpose.

    Raises:
        InputError: There is none, or it is no pair of inputs and targets of this kind.
    """
    loader = (
        train
        if not isinstance(train, Batches)
        else train.reseeded(*(hash_of(purpose, k) for k in (0, 1)))
    )
    with seeded(0, "inspection", *purpose), seeded_loader(loader, 0, "inspection", *purpose):
        for batch in _iterated(loader):
            return pair(batch, 0, kind)
    raise InputError("the training loader is empty: it gave no batch")


def hash_of(purpose: tuple[str, ...], k: int) -> int:
    """A small seed for a purpose of the look."""
    return sum(map(ord, "".join(purpose))) + k


def read(
    train: Loader,
    outputs: int,
    enough: float,
    evaluate: Callable[[Inputs], object],
    kind: Outputs = Classes(),  # noqa: B008  frozen
) -> Reading:
    """Reads the training set once, and checks every batch of it that is read.

    Everything is read but where the rest is known without reading: a `DataLoader` of a data set
    with a length, read in one of torch's own orders, is left when the time is up. Of examples in
    memory all labels are looked at, and inputs until then.

    Args:
        train: The training set.
        outputs: How many the network has.
        enough: After how many seconds a training set whose length is known is left.
        evaluate: Called with the first batch of each shape of examples that occurs, and raises
            where the network can't take it.
        kind: What the outputs mean.

    Raises:
        InputError: A batch is no pair, inputs have NaN, targets are out of range, or it gives more
            or fewer batches than it says.
    """
    if isinstance(train, Batches):
        return _in_memory(train, outputs, now() + enough, kind)
    known, until = _known_examples(train), now() + enough
    examples, batches, has_single, met = 0, 0, False, set[tuple[torch.Size, ...]]()
    with seeded(0, "inspection"), seeded_loader(train, 0, "inspection"):
        for number, batch in enumerate(_iterated(train)):
            x, y = pair(batch, number, kind)
            check_values(x, y, outputs, number, kind)
            if shapes(x) not in met and len(met) < _SHAPES:
                met.add(shapes(x))
                evaluate(x)
            examples, batches, has_single = (
                examples + len(y),
                batches + 1,
                has_single or len(y) == 1,
            )
            if number > len(train):
                break  # it may never end
            if known is not None and now() > until:
                return Reading(known, has_single or known % _size(train) == 1)
    if not examples:
        raise InputError("the training loader is empty: it gave no batch")
    if batches != len(train):
        more = "more" if batches > len(train) else f"{batches}"
        raise InputError(
            f"the training loader says that it has {len(train)} batches, and gave {more}: steps "
            "and costs would be wrong; give it the right length (each worker of an iterable "
            "data set must read its own part)"
        )
    return Reading(examples, has_single)


def check_values(
    x: Inputs,
    y: Tensor,
    outputs: int,
    number: int,
    kind: Outputs = Classes(),  # noqa: B008  frozen
) -> None:
    """Inputs are finite, and targets in range.

    Raises:
        InputError: They are not.
    """
    for part in tensors(x):
        if (
            part.is_floating_point()
            and not torch.isfinite(part.sum())  # the sum alone is faster
            and not torch.isfinite(part).all()
        ):
            raise InputError(
                f"batch {number} of the training loader has NaN or infinite inputs: clean the data"
            )
    kind.check_targets(y, outputs, number)


def pair(batch: Any, number: int, kind: Outputs = Classes()) -> tuple[Inputs, Tensor]:  # noqa: B008  frozen
    """A batch as inputs `[batch, ...]` and targets `[batch, ...]` of this kind. A batch that is one
    dictionary holds its targets under `labels`.

    Raises:
        InputError: It is something else.
    """
    batch = as_pair(batch)
    if isinstance(batch, Mapping):
        raise InputError(
            f"batch {number} is a dictionary with keys {sorted(map(str, batch))}, needs a pair "
            f"(inputs, labels), or the targets as '{LABELS}': wrap the loader, "
            "thalweg.map_batches(loader, lambda batch: (batch['...'], batch['...']))"
        )
    if (
        not isinstance(batch, list | tuple)
        or len(batch) != 2
        or not isinstance(batch[0], Tensor | Mapping | list | tuple)
        or not isinstance(batch[1], Tensor)
    ):
        size = len(batch) if hasattr(batch, "__len__") else "?"
        raise InputError(
            f"batch {number} is {type(batch).__name__} of {size}, needs a pair of tensors "
            "(inputs, labels), of which inputs may be a tuple or a dictionary of tensors: wrap the "
            "loader with thalweg.map_batches"
        )
    x, y = _parts(batch[0], number), batch[1]
    if any(part.is_nested for part in (*tensors(x), y)):
        raise InputError(
            f"batch {number} has nested tensors, needs plain ones: pad its examples to one length "
            "(torch.nested.to_padded_tensor)"
        )
    if not isinstance(x, Tensor):
        check_rows(x, f"batch {number} of the training loader")
    kind.check_pair(tensors(x)[0], y, number)
    return x, y


def _parts(x: Any, number: int) -> Inputs:
    """Inputs of a batch, of which a list is a tuple.

    Raises:
        InputError: Something in them is no tensor.
    """
    if isinstance(x, Tensor):
        return x
    named = {str(key): part for key, part in x.items()} if isinstance(x, Mapping) else None
    items = list(enumerate(x)) if named is None else list(named.items())
    for key, part in items:
        if not isinstance(part, Tensor):
            raise InputError(
                f"batch {number} has inputs with a {type(part).__name__} at {key!r}, needs a "
                "tuple or a dictionary of tensors: take out what the network does not read "
                "(thalweg.map_batches)"
            )
    return tuple(x) if named is None else named


def redraws(
    train: Loader,
    first: tuple[Inputs, Tensor],
    kind: Outputs = Classes(),  # noqa: B008  frozen
) -> tuple[dict[str, bool], bool]:
    """Which sources another seed changes, and whether the same seed gives the same first batch
    again.

    A user's own loader can't tell order from augmentation: it is seen to change both or neither.

    Args:
        train: The training set.
        first: What `first_batch(train, "first")` gave.
        kind: What the outputs mean.
    """
    if isinstance(train, Batches):
        changes = {
            "order": train.shuffle and len(train.targets) > 1,
            "augmentation": train.augment is not None,
        }
        return changes, train.augment is None or _same(
            first, first_batch(train, "first", kind=kind)
        )
    other = not _same(first, first_batch(train, "other", kind=kind))
    return {"order": other, "augmentation": other}, _same(
        first, first_batch(train, "first", kind=kind)
    )


def _same(one: tuple[Inputs, Tensor], other: tuple[Inputs, Tensor]) -> bool:
    return all(equal(a, b) for a, b in zip(one, other, strict=True))


def _iterated(train: Loader) -> Iterator[Any]:
    """The batches of a loader.

    Raises:
        InputError: It raises anything.
    """
    batches: Iterator[Any] | None = None
    while True:
        try:
            batches = (
                iter(train) if batches is None else batches
            )  # which starts workers, and may fail, too
            batch = next(batches)
        except StopIteration:
            return
        except InputError:
            raise
        except Exception as error:  # a user's loader may raise anything
            raise InputError(
                f"the training loader raised {type(error).__name__} "
                f"({' '.join(str(error).split())[-200:]}): mend it, or its collate_fn"
            ) from error
        yield batch


def _in_memory(train: Batches, outputs: int, until: float, kind: Outputs) -> Reading:
    """Examples are prepared by thousands: the look costs no augmentation."""
    x, y = train.inputs, train.targets
    kind.check_pair(tensors(x)[0], y, 0)
    check_values(taken(x, slice(0)), y, outputs, 0, kind)
    for number, (part, labels) in enumerate(
        zip(split(x, _TOGETHER), y.split(_TOGETHER), strict=True)
    ):
        check_values(
            *pair((train.prepare(part) if train.prepare else part, labels), number, kind),
            outputs,
            number,
            kind,
        )
        if now() > until:
            break
    return Reading(len(y), len(y) % train.size == 1 or train.size == 1)


def _known_examples(train: Any) -> int | None:
    """How many examples a loader gives, where torch's own classes say so."""
    if (
        type(train) is not DataLoader
        or isinstance(train.dataset, IterableDataset)
        or type(train.sampler) not in _EXACT
    ):
        return None
    if train.batch_sampler is None or type(train.batch_sampler) is not BatchSampler:
        return None
    return len(train) * train.batch_sampler.batch_size if train.drop_last else len(train.sampler)  # type: ignore[arg-type]


def _size(train: Any) -> int:
    return train.batch_sampler.batch_size
