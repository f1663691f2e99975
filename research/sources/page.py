"""The tables of docs/sources.md, made from the files of research/sources/results.

No number in them is written by hand. They are between `<!-- sources NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from research.skeleton import DOCS, ROOT, stored, table
from research.sources.cases import CASES
from thalweg.metrics.intervals import Estimate

RESULTS = ROOT / "research" / "sources" / "results"
MARK = re.compile(r"(<!-- sources (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
KINDS = {"crossed": "crossed", "latin": "latin", "one-factor": "one-factor"}
Results = Mapping[str, Any]


def pages(results: Path = RESULTS, docs: Path = DOCS) -> dict[Path, str]:
    """Returns the page with its new text."""
    found = {result["name"]: result for result in stored(results)}
    page = docs / "sources.md"
    text = MARK.sub(lambda mark: mark[1] + TABLES[mark[2]](found) + mark[3], page.read_text())
    return {page: text}


def _case(name: str, results: Results) -> str:
    """The budget of a case by each of its designs."""
    if name not in results:
        return "Not measured yet.\n"
    own = results[name]
    units = f" in {own['units']}" if own["units"] else ""
    parts = []
    for budget in own["budgets"]:
        rows = [
            [
                row["name"],
                "0" if row["type"] == "B" else Estimate(*row["u"]).text(".3g"),
                f"{row['share']:.1%}",
                "infinite" if row["dof"] >= 1e9 else f"{row['dof']:.0f}",
                row["type"],
            ]
            for row in budget["rows"]
        ]
        head = ["source", f"u{units}", "share", "degrees of freedom", "type"]
        design = budget["design"][0].upper() + budget["design"][1:]
        told = budget["warning"]
        warning = f"\n{told[0].upper()}{told[1:]}.\n" if told else ""
        parts.append(f"{design}; {budget['seconds']:.0f} seconds:\n\n{table(head, rows)}{warning}")
    return "\n".join(parts)


def _errors(results: Results) -> str:
    """The errors of designs for about equal trainings."""
    own = results.get("designs")
    if own is None:
        return "Not measured yet.\n"
    head = [
        "design",
        "trainings",
        "sources alone, small interactions",
        "sources alone, large ones",
        "with interactions, small ones",
        "with interactions, large ones",
    ]
    rows = []
    for kind, small in own["errors"]["small"].items():
        large = own["errors"]["large"][kind]
        cells = [
            f"{errors[label]:.2f}" if label in errors else "not told"
            for label in ("main", "total")
            for errors in (small, large)
        ]
        rows.append([kind, small["trainings"], *cells])
    return table(head, rows)


def _coverage(results: Results) -> str:
    """How often intervals hold the truth."""
    own = results.get("designs")
    if own is None:
        return "Not measured yet.\n"
    rows = [
        [kind, ", ".join(f"{name} {share:.1%}" for name, share in shares.items())]
        for kind, shares in own["coverage"].items()
    ]
    head = ["design, deviations", f"share of {own['covered']} worlds"]
    return table(head, rows)


def _enough(results: Results) -> str:
    """Stopping times, and how often a rule is wrong."""
    own = results.get("enough")
    if own is None:
        return "Not measured yet.\n"
    rows = [
        [
            f"{row['u']:g}",
            row["of"],
            "heavy-tailed" if row["heavy"] else "Gaussian",
            row["rule"],
            f"{row['stopped']:.0%}",
            f"{row['wrong']:.1%}",
            "{1} ({0} to {2})".format(*row["networks"]),
        ]
        for row in own["rows"]
    ]
    head = ["u", "of", "deviations", "rule", "stops", "is then wrong", "networks"]
    return table(head, rows)


def _time(results: Results) -> str:
    cases = [results[name] for name in CASES if name in results]
    budgets = [budget for own in cases for budget in own["budgets"]]
    seconds = sum(budget["seconds"] for budget in budgets)
    count = sum(budget["trainings"] for budget in budgets)
    return (
        f"{len(cases)} of {len(CASES)} cases are done: designs of {count} trainings, some of "
        f"which they share, and of {seconds / 60:.0f} minutes if they shared none. Seconds are "
        "wall-clock time in one thread, on a machine whose cores had other work.\n"
    )


TABLES: dict[str, Callable[[Results], str]] = {
    **{name: partial(_case, name) for name in CASES},
    "errors": _errors,
    "coverage": _coverage,
    "enough": _enough,
    "time": _time,
}
