"""The tables of docs/paths.md that tell which part falls short, made from the files of
research/paths/results.

They are between `<!-- parts NAME -->` and `<!-- end -->`.
"""

import json
import re
from pathlib import Path

from research.skeleton import DOCS, ROOT, table
from thalweg.metrics.intervals import Estimate

RESULTS = ROOT / "research" / "paths" / "results"
SHOWN = (
    "thalweg",
    "restarts (members 10, share 0.05, lr_ratio 2.0)",
    "deep-ensemble (members 3)",
)
MARK = re.compile(r"(<!-- parts (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def stale(results: Path = RESULTS, docs: Path = DOCS) -> dict[Path, str]:
    """Returns the page if its tables are out of date, with its new text."""
    path = docs / "paths.md"
    text = path.read_text()
    new = MARK.sub(lambda mark: mark[1] + text_of(results / f"{mark[2]}.json") + mark[3], text)
    return {path: new} if new != text else {}


def text_of(file: Path) -> str:
    """Returns the table of a study."""
    found = json.loads(file.read_text())
    methods = {label: parts for label, parts in found["methods"].items() if label in SHOWN}
    rows, names = [], list(next(iter(methods.values())))
    for name in names:
        if name == "centre":
            continue
        cells = [
            Estimate(*parts[name][metric]).text(".1f")
            for parts in methods.values()
            for metric in ("k_eq", "k_u")
        ]
        rows.append([name, *cells])
    head = ["members", *(f"{label}: {symbol}" for label in methods for symbol in ("K_eq", "K_u"))]
    errors = ", ".join(
        f"{label} {parts['centre']['error'][0]:.2f}" for label, parts in methods.items()
    )
    command = f"`python -m research.paths {found['plan']} page`"
    return (
        f"{found['title']} ({command}). Squared error of the members' mean, over a retraining's "
        f"variance: {errors}.\n\n" + table(head, rows)
    )
