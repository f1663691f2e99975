"""The tables of docs/growth.md and its figure, made from the files of research/growth/results.

No number in them is written by hand. They are between `<!-- growth NAME -->` and `<!-- end -->`.
The figure says which results it shows, as its lines depend on the version that drew them.
"""

import hashlib
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from research.growth.answer import SYMBOLS, answer, exponents, of_axis
from research.growth.figure import LINES, METRICS, Results, drawn
from research.growth.prices import prices
from research.growth.tasks import AXES, tasks
from research.skeleton import DOCS, ROOT, stored, table
from thalweg.metrics.intervals import Estimate

RESULTS = ROOT / "research" / "growth" / "results"
MARK = re.compile(r"(<!-- growth (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
ENSEMBLES = "deep-ensemble (members {})"
METHODS = (*map(ENSEMBLES.format, (1, 2, 5)), *LINES)


def pages(results: Path = RESULTS, docs: Path = DOCS) -> dict[Path, str]:
    """Returns the page, and the figure where it shows other results, with their new texts."""
    found = {result["name"]: result for result in stored(results)}
    page, picture = docs / "growth.md", docs / "figures" / "growth.svg"
    text = MARK.sub(lambda mark: mark[1] + TABLES[mark[2]](found) + mark[3], page.read_text())
    shown = f"<!-- {_digest(found)} -->"
    if picture.exists() and shown in picture.read_text():
        return {page: text}
    white = drawn(found).replace("<svg ", '<svg style="background: #fff" ', 1)
    return {page: text, picture: white.replace("</svg>", f"{shown}\n</svg>")}


def _digest(results: Results) -> str:
    shown = {
        name: {metric: {k: p.text() for k, p in prices(own, metric).items()} for metric in METRICS}
        for name, own in results.items()
    }
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:20]


def _tasks(results: Results) -> str:
    """What one network is at each value, and what a training takes."""
    head = ["changed", "value", "accuracy of one network", "mean u", "seconds of a training"]
    rows = []
    for key, axis in AXES.items():
        for task in of_axis(key, results):
            own = results[task.name]
            one = own["methods"][ENSEMBLES.format(1)]
            accuracy = Estimate(*one["accuracy"]).text(".3f")
            cells = [accuracy, f"{own['mean_u']:.3f}", f"{one['seconds']:.1f}"]
            rows.append([axis.title["en"], f"{task.value:,}", *cells])
    return table(head, rows)


def _exponents(results: Results) -> str:
    """How prices go with the value of each axis."""
    head = ["method", "by", *(axis.title["en"] for axis in AXES.values())]
    rows = []
    for label in LINES:
        for metric, symbol in SYMBOLS.items():
            found = [exponents(key, metric, results)[label] for key in AXES]
            cells = ["too few" if own is None else own.text() for own in found]
            rows.append([label, symbol, *cells])
    return table(head, rows)


def _axis(key: str, results: Results) -> str:
    """The prices at each value of an axis, and deep ensembles' as a check of the scale."""
    shown = [*LINES, *METHODS[1:3]]
    parts = []
    for metric, symbol in SYMBOLS.items():
        rows = []
        for task in of_axis(key, results):
            own = prices(results[task.name], metric)
            cells = [own[label].text() if label in own else "" for label in shown]
            rows.append([f"{task.value:,}", *cells])
        head = [AXES[key].title["en"], *shown]
        parts.append(f"Total cost / {symbol}:\n\n" + table(head, rows))
    return "\n".join(parts)


def _worth(results: Results) -> str:
    """Total costs and equivalents, of which prices are the quotients."""
    head = ["task", "method", "cost", "total", "seconds", "time over a training's", "K_eq", "K_u"]
    rows = []
    for name in dict.fromkeys(task.name for task in tasks()):
        methods = results[name]["methods"] if name in results else {}
        for label, own in ((label, methods[label]) for label in METHODS if label in methods):
            worths = [Estimate(*own[metric]).text(".1f") for metric in ("k_eq", "k_u")]
            costs = [f"{own['cost']:.2f}", f"{own['total']:.2f}", f"{own['seconds']:.1f}"]
            rows.append([name, label, *costs, f"{own['relative_time']:.1f}", *worths])
    return table(head, rows)


def _time(results: Results) -> str:
    wall = sum(own["wall"] for own in results.values())
    known = sorted({len(own["atlas"]) for own in results.values()})
    return (
        f"{len(results)} of {len({task.name for task in tasks()})} studies are done. They took "
        f"{wall / 60:.0f} minutes of wall-clock time in one thread, on a machine whose cores had "
        f"other work. The atlas knew {' or '.join(map(str, known))} tasks.\n"
    )


TABLES: dict[str, Callable[[Results], str]] = {
    "answer": answer,
    "tasks": _tasks,
    "exponents": _exponents,
    **{key: partial(_axis, key) for key in AXES},
    "worth": _worth,
    "time": _time,
}
