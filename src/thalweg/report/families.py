"""Families of methods, and the colour and marker that each has in every figure."""

from dataclasses import dataclass
from typing import Any

from pandas import DataFrame, Series

INK = "#1b1b1f"  # text and axes; report.html shows it in the reader's own text colour
MUTED = "#76767f"  # grids, reference lines, intervals: legible on white and on black


@dataclass(frozen=True)
class Look:
    """How a family is drawn.

    Attributes:
        colour: A colour of Okabe and Ito's palette (2008), which colour-blind readers can tell
            apart.
        marker: The marker's name in matplotlib.
        title: The family's name in legends.
        is_scale: Whether its methods are the scale for the others, as deep ensembles are.
        has_members: Whether its methods have draws, and not only u.
    """

    colour: str
    marker: str
    title: str
    is_scale: bool = False
    has_members: bool = True


LOOKS = {
    "deep ensemble": Look(MUTED, "o", "deep ensembles (real retrainings)", is_scale=True),
    "short": Look("#56B4E9", "v", "shortened trainings"),
    "subspace": Look("#0072B2", "s", "subspaces: lines, curves, simplexes"),
    "trajectory": Look("#009E73", "D", "along one trajectory"),
    "emulator": Look("#D55E00", "^", "emulators"),
    "led": Look("#F0E442", "h", "paths led to plausible retrainings"),
    "embedded": Look("#7A5195", "p", "ensembles inside one network"),
    "trivial": Look("#CC79A7", "X", "trivial baseline", has_members=False),
    "other": Look("#B8860B", "P", "other explorers"),
}

_NAMED = {
    "deep-ensemble": "deep ensemble",
    **dict.fromkeys(("short-ensemble", "restarts"), "short"),
    **dict.fromkeys(
        ("swa", "swag", "multiswag", "snapshot", "fge", "csgld", "csghmc", "subspace-inference"),
        "trajectory",
    ),
    **dict.fromkeys(
        (
            "learned-line",
            "learned-curve",
            "learned-simplex",
            "connecting-curve",
            "spro",
            "espro",
            "spro-complex",
        ),
        "subspace",
    ),
    **dict.fromkeys(("batch-ensemble", "packed-ensemble"), "embedded"),
}
"""The families of explorers and baselines, for result files that do not state them."""

CONTROLS = ("control:", "ablation:")
"""How the label of a row begins that is compared, and never recommended."""


def is_scale(methods: DataFrame) -> Series:
    """Whether each method is a part of the scale for the others, that is, real retrainings."""
    return methods["family"].map(lambda name: LOOKS[name].is_scale).astype(bool)


def has_members(methods: DataFrame) -> Series:
    """Whether each method has draws, and not only u."""
    return methods["family"].map(lambda name: LOOKS[name].has_members).astype(bool)


def is_control(methods: DataFrame) -> Series:
    """Whether each method's label says that it only shows what a part of another is worth: it
    begins with `control:` or `ablation:`.
    """
    return methods["method"].str.startswith(CONTROLS)


def described(methods: DataFrame) -> DataFrame:
    """Returns a table of methods with their `family`, a key of `LOOKS`, and `is_retraining`.

    The methods' own classes state both. Tables of earlier versions lack the family, and count
    anchors with additional narrow networks as retrainings. For these, the explorer's name gives the
    family, and the cost shows that some networks were not full trainings.

    Args:
        methods: One row per method: explorer, emulator, cost, evaluations_per_input, is_retraining,
            and, from version 0.2 on, family.

    Example:
        >>> old = DataFrame({"explorer": ["deep-ensemble", "deep-ensemble", "deep-kernel"],
        ...                  "emulator": [None, None, None], "cost": [2.0, 1.5, 1.0],
        ...                  "evaluations_per_input": [2, 4, 8],
        ...                  "is_retraining": [True, True, False]})
        >>> list(described(old)["family"]), list(described(old)["is_retraining"])
        (['deep ensemble', 'other', 'other'], [True, False, False])
    """
    if "family" in methods.columns:
        return methods.assign(
            family=[name if name in LOOKS else "other" for name in methods["family"]]
        )
    has_narrow = methods["evaluations_per_input"] > 1.001 * methods["cost"]
    real = methods["is_retraining"].astype(bool) & ~has_narrow
    rows = zip(methods["explorer"], methods["emulator"], real, strict=True)
    family = [_family(explorer, emulator, real=bool(r)) for explorer, emulator, r in rows]
    return methods.assign(is_retraining=real, family=family)


def _family(explorer: str, emulator: Any, *, real: bool) -> str:
    if isinstance(emulator, str) and emulator:
        return "trivial" if emulator == "trivial" else "emulator"
    return "other" if explorer == "deep-ensemble" and not real else _NAMED.get(explorer, "other")
