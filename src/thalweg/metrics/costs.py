"""Costs in the tables of results: what results of earlier versions lack, and efficiencies, which
rest on the total cost.
"""

from typing import TYPE_CHECKING

from thalweg.meter import total_cost

if TYPE_CHECKING:
    from pandas import DataFrame

EFFICIENCIES = {"efficiency": "k_eq", "u_efficiency": "k_u"}
"""Each is the other, divided by the total cost."""


def completed(methods: "DataFrame") -> "DataFrame":
    """A table of methods, one row each, with the columns of cost that earlier versions did not
    write.

    `total` follows from `cost` and `forward`. `emulator_seconds` and `relative_time` are nan:
    nobody measured them.
    """
    import pandas as pd  # here: it takes half a second

    methods = methods.copy()
    if "total" not in methods:
        methods["total"] = total_cost(methods["cost"], methods["forward"])
    for name in ("total", "emulator_seconds", "relative_time"):
        methods[name] = (
            pd.to_numeric(methods[name], errors="coerce") if name in methods else float("nan")
        )
    return methods


def with_efficiencies(comparison: "DataFrame", methods: "DataFrame") -> "DataFrame":
    """A comparison, one row a method and metric, with efficiencies by the total cost in the place
    of any that it has.
    """
    import pandas as pd

    total = dict(zip(methods["method"], methods["total"].replace(0, float("nan")), strict=True))
    kept = comparison[~comparison["metric"].isin(list(EFFICIENCIES))]
    parts = [kept]
    for name, worth in EFFICIENCIES.items():
        worths = kept[kept["metric"] == worth]
        spent = worths["method"].map(total).astype(float)  # of no rows, it would be text
        parts.append(
            worths.assign(
                metric=name,
                value=worths["value"] / spent,
                low=worths["low"] / spent,
                high=worths["high"] / spent,
            )
        )
    return pd.concat(parts, ignore_index=True)
