"""The counts of docs/reliability.md, from tests and results: python docs/reliability.py (--check:
fails where out of date).
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
PAGE, RESULTS = ROOT / "docs" / "reliability.md", ROOT / "bench" / "results"
KINDS = ROOT / "tests" / "kinds"
BLOCK = re.compile(r"(<!-- (kinds|kills) -->\n).*?(<!-- end -->)", re.DOTALL)


def kinds() -> str:
    """A row per file of `tests/kinds`: what the kind is, and how many cases try it."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
        str(KINDS),
    ]
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
        said = (
            (ast.get_docstring(ast.parse((KINDS / name).read_text())) or "")
            .split("\n\n")[0]
            .replace("\n", " ")
        )
        lines.append(f"| {said.replace('|', chr(92) + '|')} | {count} |")
    return "\n".join(lines) + "\n"


def kills() -> str:
    """A row per kind of kill: how often, how long until all processes were gone, what differed."""
    runs = sorted(RESULTS.glob("kills*.json"))
    if not runs:
        return "Not run on this version: `python -m bench.kills --count 200` writes the figures.\n"
    rows = _together([row for path in runs for row in json.loads(path.read_text())["rows"]])
    total, wrong = sum(row["kills"] for row in rows), sum(len(row["differing"]) for row in rows)
    slowest = max(row["slowest"] for row in rows)
    lines = [
        f"{total} random kills; {wrong} differing results; all processes were gone after "
        f"{slowest:.2f} s at the latest.",
        "",
        "| what ran | jobs | signal | to | kills | slowest end, s | later than 2 s | wrong "
        "endings | differing |",
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
            len(row["wrong_endings"]),
            len(row["differing"]),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _together(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of several runs, one per kind of kill."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("case", "jobs", "signal", "target"))
        known = found.setdefault(
            key,
            {**row, "kills": 0, "late": 0, "slowest": 0.0, "wrong_endings": [], "differing": []},
        )
        for name in ("kills", "late", "wrong_endings", "differing"):
            known[name] = known[name] + row[name]
        known["slowest"] = max(known["slowest"], row["slowest"])
    return [found[key] for key in sorted(found)]


def filled(text: str) -> str:
    """The page with its blocks filled."""
    made = {"kinds": kinds, "kills": kills}
    return BLOCK.sub(lambda m: m[1] + made[m[2]]() + m[3], text)


def main() -> int:
    """Writes, or checks."""
    text = PAGE.read_text()
    new = filled(text)
    if new != text and "--check" in sys.argv:
        print("docs/reliability.md is out of date: run python docs/reliability.py")
        return 1
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
