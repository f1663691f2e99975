"""Fills the tables of README and docs from committed results: python docs/tables.py.

With --check it changes nothing, and fails if a table is out of date.
"""

import re
import sys
from pathlib import Path

import pandas as pd
from cells import matrix, sections
from frontier import summary

from thalweg.metrics.costs import completed
from thalweg.metrics.info import FACTS
from thalweg.metrics.intervals import Estimate
from thalweg.report.families import described
from thalweg.report.tables import number

ROOT = Path(__file__).parents[1]
COLUMNS = ("k_eq", "k_u", "spread_ratio", "coverage", "accuracy")
CELLS = re.compile(r"(<!-- cells -->\n).*?(<!-- end -->)", re.DOTALL)
EVERY_CELL = re.compile(r"(<!-- every cell -->\n).*?(<!-- every cell end -->)", re.DOTALL)
FRONTIER = re.compile(r"(<!-- frontier -->\n).*?(<!-- end -->)", re.DOTALL)
ELSEWHERE = re.compile(r"(<!-- elsewhere (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
MARK = re.compile(r"(<!-- table (\S+)(?: of (\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def table(name: str, explorer: str | None = None) -> str:
    """Returns the main columns of a study's comparison, in Markdown.

    If an explorer is named, the table has only its rows and the deep ensembles'.
    """
    folder = ROOT / "studies" / name / "results"
    if not folder.exists():
        sys.exit(
            f"no results of {name}: run 'thalweg study studies/{name}.toml', and copy its "
            f"results folder to studies/{name}"
        )
    comparison, methods = (
        pd.read_parquet(folder / f"{part}.parquet") for part in ("comparison", "methods")
    )
    estimates = {
        (r.method, r.metric): Estimate(r.value, r.low, r.high) for r in comparison.itertuples()
    }
    study = pd.read_json(folder / "study.json", typ="series")
    protocol = study["plan"]["protocol"]
    sizes = (
        f"{protocol['reference']} reference retrainings, {protocol['bases']} bases, 95 % intervals"
    )
    lines = [
        f"{study['plan']['title']}; {sizes} (`thalweg study studies/{name}.toml`):",
        "",
        f"| method | cost | total | seconds | {' | '.join(FACTS[c].symbol for c in COLUMNS)} |",
        "|---|---|---|---|" + "---|" * len(COLUMNS),
    ]
    if explorer is not None:
        methods = described(methods)
        named = (methods["explorer"] == explorer) & methods["emulator"].isna()
        methods = methods[named | methods["is_retraining"]]
    for row in completed(methods).itertuples():
        cells = [row.method, *(number(cost, ".2f") for cost in (row.cost, row.total))]
        cells.append(number(row.seconds, ".0f"))
        for column in COLUMNS:
            estimate = estimates.get((row.method, column))
            cells.append("failed" if estimate is None else estimate.text(FACTS[column].digits))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def elsewhere(name: str) -> str:
    """Returns the spread ratio on each set of out-of-distribution inputs, in Markdown."""
    folder = ROOT / "studies" / name / "results"
    found = pd.read_parquet(folder / "elsewhere.parquet")
    fact = FACTS["ood_spread_ratio"]
    found = found[(found["metric"] == fact.name) & (found["value"] > 0)]
    test = pd.read_parquet(folder / "comparison.parquet")
    test = test[test["metric"] == "spread_ratio"].set_index("method")
    sets = list(found["set"].unique())
    lines = ["| method | test | " + " | ".join(sets) + " |", "|---|---|" + "---|" * len(sets)]
    for method, rows in found.groupby("method", sort=False):
        cells = {r.set: Estimate(r.value, r.low, r.high) for r in rows.itertuples()}
        own = test.loc[method]
        row = [Estimate(own["value"], own["low"], own["high"]), *(cells[name] for name in sets)]
        lines.append(f"| {method} | " + " | ".join(e.text(fact.digits) for e in row) + " |")
    return "\n".join(lines) + "\n"


def filled(text: str) -> str:
    """Returns a page with its tables filled."""
    text = EVERY_CELL.sub(lambda m: m[1] + sections() + m[2], text)
    text = CELLS.sub(lambda m: m[1] + matrix() + m[2], text)
    text = ELSEWHERE.sub(lambda m: m[1] + elsewhere(m[2]) + m[3], text)
    text = FRONTIER.sub(lambda m: m[1] + summary() + m[2], text)
    return MARK.sub(lambda m: m[1] + table(m[2], m[3]) + m[4], text)


def main() -> int:
    """Writes the pages, or checks them."""
    stale = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text()
        if filled(text) != text:
            stale.append(page.name)
            if "--check" not in sys.argv:
                page.write_text(filled(text))
    if stale and "--check" in sys.argv:
        print(f"tables out of date in {', '.join(stale)}: run python docs/tables.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
