"""Load: what `save` wrote, of a weight distribution a file, of a fitted quantifier a folder."""

from collections.abc import Callable
from typing import overload

from torch import nn

from thalweg import files
from thalweg.errors import InputError
from thalweg.places import Place
from thalweg.quantifier import Quantifier
from thalweg.training.batches import Transform
from thalweg.training.calling import Pick
from thalweg.weights import distribution
from thalweg.weights.distribution import WeightDistribution

MakeNetwork = Callable[[], nn.Module]


@overload
def load(path: str | Place, *, key: str | None = None) -> WeightDistribution: ...


@overload
def load(
    path: str | Place,
    *,
    model: MakeNetwork,
    narrow: MakeNetwork | None = None,
    device: str | None = None,
    pick: Pick = None,
    augment: Transform | None = None,
) -> Quantifier: ...


def load(
    path: str | Place,
    *,
    key: str | None = None,
    model: MakeNetwork | None = None,
    narrow: MakeNetwork | None = None,
    device: str | None = None,
    pick: Pick = None,
    augment: Transform | None = None,
) -> WeightDistribution | Quantifier:
    """Reads what `save` wrote: a weight distribution from a file, a fitted `Quantifier` from a
    folder. Neither needs training data.

    Args:
        path: The file or folder; `~` is the home folder.
        key: What a file must belong to; None for anything.
        model: Makes a new network, as the problem's `model` did: a folder holds numbers, and no
            code. Its predictions with the stored weights are compared with the stored ones.
        narrow: The same of a narrow network, where the quantifier was given one.
        device: Where a quantifier's networks are evaluated; where they were if None.
        pick: What of the network's outputs are the logits, where the problem had a function that
            says so.
        augment: The function that changes training inputs at random, where a quantifier averages
            predictions over such changes (`averages`), and not used elsewhere. Mean predictions
            with it are compared with stored ones.

    Raises:
        InputError: The path is missing, damaged, belongs to something else, or holds something
            else; or `model` is missing, or makes another network; or `augment` is missing where it
            is needed, or is another function.

    Example:
        >>> load("nowhere.safetensors")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        thalweg.errors.InputError: nowhere.safetensors: no such file
    """
    place = files.given(path)
    if not files.is_folder(place):
        if model is not None:
            raise InputError(
                f"load got a model and {path}, which is no folder: give the folder that a "
                "Quantifier was saved in"
            )
        return distribution.load(place, key=key)
    if model is None:
        raise InputError(
            f"load got the folder {path} and no model: give the function that makes the network, "
            "model=Net, as the folder holds numbers and no code"
        )
    return Quantifier.stored(place, model, narrow=narrow, device=device, pick=pick, augment=augment)
