"""Batches of inputs put together, also those that their loader padded to lengths of their own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.trees import Inputs, gathered, shapes

MASK = "attention_mask"
"""The name of the tensor `[examples, length]` that is 0 where the others are padded."""


def joined(batches: Sequence[Inputs]) -> Inputs:
    """Batches of inputs as one.

    Batches that were padded to other lengths are padded to the longest, where that is what their
    loader does: they have an `attention_mask`, which is 0 on one side only, and what stands in the
    padded places is always the same.

    Raises:
        InputError: Their examples differ in shape in another way.

    Example:
        >>> short = {"ids": torch.tensor([[5, 9]]), "attention_mask": torch.tensor([[1, 0]])}
        >>> long = {"ids": torch.tensor([[4, 4, 4]]), "attention_mask": torch.tensor([[1, 1, 1]])}
        >>> joined([short, long])["ids"].tolist()
        [[5, 9, 9], [4, 4, 4]]
    """
    found = {shapes(batch) for batch in batches}
    if len(found) > 1:
        batches = _padded(batches)
    return gathered(torch.cat, batches)


def _padded(batches: Sequence[Inputs]) -> Sequence[Inputs]:
    unlike = next(x for x in batches if shapes(x) != shapes(batches[0]))
    refused = (
        f"batches have examples of shapes {_told(batches[0])} and {_told(unlike)}, which can't be "
        "put together: pad all of them to one length"
    )
    named = [x for x in batches if isinstance(x, dict) and MASK in x]
    masks = [x[MASK] for x in named]
    at_end = all(_is_padded(mask) for mask in masks)
    if len(named) < len(batches) or not (at_end or all(_is_padded(m.flip(1)) for m in masks)):
        raise InputError(refused)
    length = max(mask.shape[1] for mask in masks)
    padded: list[dict[str, Tensor]] = [{} for _ in named]
    for key in named[0]:
        parts = [x[key] for x in named]
        if len({part.shape[1:] for part in parts}) > 1:
            fill = _fill(key, parts, masks)
            if fill is None:
                raise InputError(f"{refused} (nothing says how '{key}' is padded)")
            parts = [_longer(part, length, fill, at_end=at_end) for part in parts]
        for x, part in zip(padded, parts, strict=True):
            x[key] = part
    return padded


def _is_padded(mask: Tensor) -> bool:
    """Whether a mask `[examples, length]` is 0 at the end of its rows only."""
    kept = mask != 0
    return mask.dim() == 2 and bool(kept[:, 0].all() and (kept[:, 1:] <= kept[:, :-1]).all())


def _fill(key: str, parts: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor | None:
    """Returns what stands in padded places, where that is one number."""
    if key == MASK:
        return parts[0].new_zeros(())
    lengths = [p.shape[:2] == m.shape for p, m in zip(parts, masks, strict=True)]
    if not all(lengths) or len({part.shape[2:] for part in parts}) > 1:
        return None
    values = torch.cat([p[m == 0].flatten() for p, m in zip(parts, masks, strict=True)])
    return values[0] if len(values) and bool((values == values[0]).all()) else None


def _longer(part: Tensor, length: int, fill: Tensor, *, at_end: bool) -> Tensor:
    more = fill.expand(len(part), length - part.shape[1], *part.shape[2:])
    return torch.cat([part, more] if at_end else [more, part], 1)


def _told(x: Inputs) -> str:
    return ", ".join(str(tuple(shape)) for shape in shapes(x))
