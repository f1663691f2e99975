"""The sources of randomness: what a retraining draws anew, and whether it does."""

import warnings
from collections.abc import Sequence
from typing import Literal, get_args

from thalweg.errors import InputError
from thalweg.seeds import derive
from thalweg.training.batches import Batches, Loader
from thalweg.training.function import TrainFunction, check_sources_of, seeds_of
from thalweg.training.inspection import Inspection

Source = Literal["init", "order", "augmentation", "dropout", "data"]


def check_names(
    sources: Sequence[str], loader: Loader, train: TrainFunction | None = None
) -> tuple[str, ...]:
    """Checks that the sources are known, and can be told apart in this loader, or by a user's own
    training function.

    Returns:
        The seeds that the training function takes, by name.

    Raises:
        InputError: A name is unknown, or the loader is not `Batches` and can't be bootstrapped, or
            can't draw the order anew without the augmentation; or the same of a training function.
    """
    others = set(sources) - set(get_args(Source))
    if others:
        raise InputError(
            f"sources got {sorted(others)}, needs some of {', '.join(get_args(Source))}"
        )
    if train is not None:
        named = seeds_of(train)
        check_sources_of(named, sources)
        return named
    if isinstance(loader, Batches):
        return ()
    if "data" in sources:
        raise InputError(
            "sources got 'data' with a loader of your own: give thalweg.Batches, which can "
            "be bootstrapped"
        )
    if "dropout" in sources:
        raise InputError(
            "sources got 'dropout' with a loader of your own, which may draw from the generator "
            "that dropout draws from: leave it out (masks are drawn with the order), or give "
            "thalweg.Batches"
        )
    if ("order" in sources) != ("augmentation" in sources):
        raise InputError(
            "sources got one of order and augmentation with a loader of your own, which "
            "can't tell them apart: name both or none, or give thalweg.Batches"
        )
    return ()


def check_sources(inspection: Inspection | None, sources: Sequence[str]) -> None:
    """Whether a retraining draws anything anew.

    Raises:
        InputError: Of all that it shall draw anew nothing is: all retrainings would be one and the
            same.
    """
    still = _still(inspection, sources)
    masks = inspection is not None and "masks" in inspection.redrawn and "order" in sources
    if sources and len(still) == len(sources) and not masks:
        raise InputError(
            f"sources got {', '.join(sources)}, but {_reasons(still)}: all retrainings would be "
            "one and the same; give shuffle=True, a model that draws its weights, or Batches "
            "with sources=('data',)"
        )


def warn_of_sources(inspection: Inspection, sources: Sequence[str]) -> None:
    """Warns where a part of what a retraining shall draw anew is not drawn anew."""
    still = [
        name for name in _still(inspection, sources) if name != "augmentation"
    ]  # there may be none
    if still:
        warnings.warn(
            f"{_reasons(still)}: that is not drawn anew in a retraining, and u does not hold it; "
            "give shuffle=True or a model that draws its weights, or say so with "
            f"sources={tuple(s for s in sources if s not in still)!r}",
            stacklevel=4,
        )


def _still(inspection: Inspection | None, sources: Sequence[str]) -> list[str]:
    if inspection is None:
        return []
    drawn = (*inspection.redrawn, "data", *["dropout"] * bool(inspection.behaviour.random))
    return [name for name in sources if name not in drawn]


def _reasons(still: Sequence[str]) -> str:
    reasons = {
        "init": "model() gives the same weights after every seed (it loads them?)",
        "order": "the training loader gives the same batches after every seed (it does not "
        "shuffle?)",
        "dropout": "the network draws no masks while it trains",
    }
    return " and ".join(reasons[name] for name in reasons if name in still)


def seed_of(
    source: Source, sources: Sequence[Source], seed: int, name: tuple[str | int, ...]
) -> int:
    """A seed for one source of randomness; the same for all seeds and all retrainings where it is
    not drawn anew.

    A retraining is named `"anchor"` and what tells it from others; every other purpose keeps its
    own numbers, so that the vertices of a subspace start apart.

    Args:
        source: The source of randomness.
        sources: Those that a retraining draws anew.
        seed: The problem's seed.
        name: The purpose that random numbers are drawn for.
    """
    if source in sources:
        return derive(seed, *name, source)
    return derive(0, *(name[:1] if name[:1] == ("anchor",) else name), source)
