"""Fills the counts of docs/reliability.md from tests and results: python docs/reliability.py.

With --check it changes nothing, and fails if the page is out of date.
"""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE, RESULTS = ROOT / "docs" / "reliability.md", ROOT / "research" / "bench" / "results"
KINDS = ROOT / "tests" / "kinds"
BLOCK = re.compile(r"(<!-- (kinds|kills) -->\n).*?(<!-- end -->)", re.DOTALL)


def kinds() -> str:
    """Returns a row per file of `tests/kinds`: what the kind is, and how many cases test it."""
    options = ["--collect-only", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, str(KINDS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    cases = Counter(
        line.split("::")[0].rsplit("/", 1)[-1] for line in done.stdout.splitlines() if "::" in line
    )
    lines = [
        f"{len(cases)} kinds, {sum(cases.values())} cases.",
        "",
        "| kind | cases |",
        "|---|---|",
    ]
    for name, count in sorted(cases.items()):
        docstring = ast.get_docstring(ast.parse((KINDS / name).read_text())) or ""
        about = docstring.split("\n\n")[0].replace("\n", " ")
        lines.append(f"| {about.replace('|', chr(92) + '|')} | {count} |")
    return "\n".join(lines) + "\n"


def kills() -> str:
    """Returns a row per kind of kill: its count, the slowest end of all processes, differences."""
    runs = sorted(RESULTS.glob("kills*.json"))
    if not runs:
        command = "python -m research.bench.kills --count 200"
        return f"Not run with this version: `{command}` makes the counts.\n"
    rows = _together([row for path in runs for row in json.loads(path.read_text())["rows"]])
    total, wrong = sum(row["kills"] for row in rows), sum(len(row["differing"]) for row in rows)
    slowest = max(row["slowest"] for row in rows)
    lines = [
        f"Of {total} random kills, {wrong} gave different results. All processes had ended after "
        f"at most {slowest:.2f} s.",
        "",
        "| what ran | jobs | signal | sent to | kills | slowest end, s | later than 2 s | wrong "
        "endings | different results |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            row["case"],
            row["jobs"],
            row["signal"],
            row["target"],
            row["kills"],
            f"{row['slowest']:.2f}",
            row["late"],
            sum(count for _, count in row["wrong_endings"]),
            len(row["differing"]),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _together(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds up the rows of several runs, with one row per kind of kill."""
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    empty = {"kills": 0, "late": 0, "slowest": 0.0, "wrong_endings": [], "differing": []}
    for row in rows:
        key = tuple(row[name] for name in ("case", "jobs", "signal", "target"))
        known = sums.setdefault(key, {**row, **empty})
        for name in ("kills", "late", "wrong_endings", "differing"):
            known[name] = known[name] + row[name]
        known["slowest"] = max(known["slowest"], row["slowest"])
    return [sums[key] for key in sorted(sums)]


def filled(text: str) -> str:
    """Returns the page with its blocks filled."""
    made = {"kinds": kinds, "kills": kills}
    return BLOCK.sub(lambda m: m[1] + made[m[2]]() + m[3], text)


def main() -> int:
    """Writes the page, or checks it."""
    text = PAGE.read_text()
    new = filled(text)
    if new != text and "--check" in sys.argv:
        print("docs/reliability.md is out of date: run python docs/reliability.py")
        return 1
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
