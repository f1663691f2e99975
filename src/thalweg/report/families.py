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
        symbol: The marker's name in plotly.
        title: What the family is called in legends.
        is_scale: Whether its rows are the scale that the others are read on.
        has_members: Whether its rows have draws, and not u alone.
    """

    colour: str
    marker: str
    symbol: str
    title: str
    is_scale: bool = False
    has_members: bool = True


LOOKS = {
    "deep ensemble": Look(MUTED, "o", "circle", "deep ensembles (real retrainings)", is_scale=True),
    "short": Look("#56B4E9", "v", "triangle-down", "shortened trainings"),
    "subspace": Look("#0072B2", "s", "square", "subspaces: lines, curves, simplexes"),
    "trajectory": Look("#009E73", "D", "diamond", "along one trajectory"),
    "emulator": Look("#D55E00", "^", "triangle-up", "emulators"),
    "embedded": Look("#7A5195", "p", "pentagon", "ensembles inside one network"),
    "trivial": Look("#CC79A7", "X", "x", "trivial baseline", has_members=False),
    "other": Look("#B8860B", "P", "cross", "other explorers"),
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
"""Explorers and baselines of the versions whose result files do not say a method's family."""


def is_scale(methods: DataFrame) -> Series:
    """Whether each row is one of the scale that the others are read on, real retrainings."""
    return methods["family"].map(lambda name: LOOKS[name].is_scale).astype(bool)


def has_members(methods: DataFrame) -> Series:
    """Whether each row has draws, and not u alone."""
    return methods["family"].map(lambda name: LOOKS[name].has_members).astype(bool)


def described(methods: DataFrame) -> DataFrame:
    """A table of methods with `family`, a key of `LOOKS`, and `is_retraining`, as the methods' own
    classes said.

    Tables of earlier versions lack the family, and call anchors with narrow networks beside them
    retrainings: there an explorer's whole name tells the family, and the cost that some networks
    were no full trainings.

    Args:
        methods: One row a method: explorer, emulator, cost, evaluations_per_input, is_retraining,
            and family from 0.2 on.

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
    real = methods["is_retraining"].astype(bool) & ~(
        methods["evaluations_per_input"] > 1.001 * methods["cost"]
    )
    return methods.assign(
        is_retraining=real,
        family=[
            _family(explorer, emulator, real=bool(retraining))
            for explorer, emulator, retraining in zip(
                methods["explorer"], methods["emulator"], real, strict=True
            )
        ],
    )


def _family(explorer: str, emulator: Any, *, real: bool) -> str:
    if isinstance(emulator, str) and emulator:
        return "trivial" if emulator == "trivial" else "emulator"
    return "other" if explorer == "deep-ensemble" and not real else _NAMED.get(explorer, "other")
