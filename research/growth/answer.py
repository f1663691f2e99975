"""What the results say of each axis, in sentences that follow the numbers."""

import math
from collections.abc import Sequence

from research.growth.figure import LINES, Results
from research.growth.prices import Exponent, exponent, prices
from research.growth.tasks import AXES, Task, tasks

SYMBOLS = {"k_u": "K_u", "k_eq": "K_eq"}
LEAST = 4  # values of an axis, for a sentence


def of_axis(key: str, results: Results) -> list[Task]:
    """Returns the tasks of an axis that have a result, ascending."""
    return [task for task in tasks() if task.axis == key and task.name in results]


def exponents(key: str, metric: str, results: Results) -> dict[str, Exponent | None]:
    """Returns the exponent of every method's price on an axis, None where too few are known."""
    known = [(task.value, prices(results[task.name], metric)) for task in of_axis(key, results)]
    return {label: exponent([(x, p[label]) for x, p in known if label in p]) for label in LINES}


def answer(results: Results) -> str:
    """Returns an item for each axis: what rises with it, what falls, and what shows no trend."""
    return "".join(f"- **{key.capitalize()}**{_item(key, results)}\n" for key in AXES)


def _item(key: str, results: Results) -> str:
    own, values = of_axis(key, results), AXES[key].values
    if len(own) < LEAST:
        return f": {len(own)} of {len(values)} values are measured, too few for a sentence."
    trends = ". ".join(
        f"By {symbol}, the price {_trends(exponents(key, metric, results))}"
        for metric, symbol in SYMBOLS.items()
    )
    return f" ({own[0].value:,} to {own[-1].value:,}). {trends}. {_lowest(own, results)}"


def _trends(found: dict[str, Exponent | None]) -> str:
    """The methods whose price rises, falls, or does neither beyond its interval."""
    known = {label: e for label, e in found.items() if e is not None}
    groups = {
        "rises for": [f"*{label}* ({e.plain()})" for label, e in known.items() if e.low > 0],
        "falls for": [f"*{label}* ({e.plain()})" for label, e in known.items() if e.high < 0],
        "has no trend beyond its interval for": [
            f"*{label}*" for label, e in known.items() if e.low <= 0 <= e.high
        ],
    }
    told = [f"{how} {_listed(labels)}" for how, labels in groups.items() if labels]
    few = [f"*{label}*" for label in found if label not in known]
    if few:
        told.append(f"is a bound, or missing, at too many values for {_listed(few)}")
    return "; ".join(told)


def _lowest(own: Sequence[Task], results: Results) -> str:
    """The lowest price by K_u at both ends of an axis, where it is no bound."""
    ends = []
    for task in (own[0], own[-1]):
        found = prices(results[task.name], "k_u")
        low = {k: p.value for k, p in found.items() if k in LINES and p.side != "<"}
        label = min(low, key=lambda k: low[k] if math.isfinite(low[k]) else math.inf)
        ends.append(f"{low[label]:.2f} at {task.value:,} (*{label}*)")
    return f"The lowest price by K_u is {ends[0]} and {ends[1]}."


def _listed(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else ", ".join(labels[:-1]) + " and " + labels[-1]
