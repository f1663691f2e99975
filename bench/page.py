"""docs/performance.md, made of the JSON files of bench/results. No number there is written by hand."""

import json
from pathlib import Path
from typing import Any

from bench import scaling
from bench.measure import RESULTS

PAGE = RESULTS.parent.parent / "docs" / "performance.md"

SECTIONS = [
    ("training", "One training", "`Problem.fit` with a network built for it, data as bytes that are normalised batch by batch, against "
     "a plain loop over tensors that are normalised already. thalweg takes torch's fused optimiser, gathers several small batches at "
     "once, and keeps convolutions channels-last; the rows below say what the plain loop gains from the first and the last."),
    ("ensembles", "Ensembles", "`anchors(problem, n)` of a `Problem(jobs=2)`: processes of one thread each that stay for the next call. "
     "The floor is the sequential plain loop at the better of one and two threads. Stacks are for GPUs: on a CPU convolutions lose."),
    ("simplex", "Learned subspaces", "Three vertices trained at once. They are rows of a matrix: a step mixes them by one product into "
     "the network's own parameters and hands gradients back by another. Networks of linear layers at small batches are bound by "
     "memory, and three vertices are three times the parameters for the optimiser: the MLP with 118,282 parameters shows it."),
    ("spro", "SPRO", "A vertex, five draws a step, against five forward and backward passes of the plain network. The reward for volume "
     "takes inner products in double precision."),
    ("swag", "SWAG", "Against plain training of the same epochs: the difference is the moments of 20 iterates."),
    ("draws", "Predictions with many draws", "One pass over the inputs for all draws, against as many plain passes."),
    ("refreshing", "Batch norm at new points", "A draw that nobody trained needs batch-norm statistics of its own. All draws are "
     "refreshed in one pass over 2,048 training images (`Problem.refreshed`)."),
    ("refresh", "How many images a refresh needs", "The same draws, their statistics from fewer images. `moved` is the root mean square "
     "distance of their predictions from those with all 5,000 images, `of spread` the same over the draws' mean standard uncertainty."),
    ("k_eq", "K_eq and its bootstrap", "Distances, and 1,000 bootstrap replicates over inputs, retrainings and bases; the memory is the "
     "whole process's, predictions (0.8 GB) included."),
    ("imports", "Import", "In fresh processes."),
    ("memory", "Memory", "Largest memory of the process beyond what it had before."),
    ("scaling", "Cost grows linearly", "Exponents are slopes between the third largest size and the largest; 1 is linear. Memory is the "
     "whole process's. A network's parameters also set its speed on the cache, so that exponent is the least certain."),
    ("stack", "On a GPU", "Retrainings as one stacked module."),
    ("peers", "Peers", "Other libraries' training loops, in an environment of their own."),
]

NO_GPU = """No GPU could be reached when these numbers were made: none of the GPU code has been timed, and stacks, half precision and
`torch.compile` were tested on a CPU in small only. The commands for a machine with one:

```
python -m bench stack page --device cuda     # 64 retrainings, stacked by 1, 4, 16 and 64; samples a second, share of the matrix peak
thalweg study studies/cifar10-fast.toml      # reference of 64, pool of 24, 5 bases, every explorer
```
"""

PEERS = """Not measured: `bench/peers.py` is ready for an environment with lightning; torch-uncertainty needs torchvision, whose
compiled part did not load beside this CPU build of torch.
"""


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """A table in Markdown."""
    if not rows:
        return []
    columns = [c for c in ("case", "what", "ratio", "target", "seconds", "bytes", "bytes_target", "accuracy", "moved", "moved_by_spread",
                           "u_ratio", "exponent", "samples_per_second", "share_of_peak") if any(row.get(c) is not None for row in rows)]
    names = {"case": "", "what": "", "ratio": "ratio to the floor", "bytes": "memory", "bytes_target": "memory target",
             "moved_by_spread": "of spread", "u_ratio": "u over u with all", "samples_per_second": "samples a second",
             "share_of_peak": "of matrix peak"}
    table = ["| " + " | ".join(names.get(c, c) for c in columns) + " |", "|" + "---|" * len(columns)]
    return table + ["| " + " | ".join(_cell(row, c) for c in columns) + " |" for row in rows]


def text() -> str:
    """The page."""
    stored = {name: json.loads((RESULTS / f"{name}.json").read_text()) for name, _, _ in SECTIONS if (RESULTS / f"{name}.json").exists()}
    first = next(iter(stored.values()))["machine"]
    parts = ["# Performance", "",
             "Made by `make bench` from `bench/results`; every ratio is measured side by side in one run: alternatives in turn, "
             f"{first['repeats']} timed rounds, the median of the rounds' ratios with their quartiles in brackets. Below 1 is faster than "
             "the floor.", "",
             f"Machine: {first['processor']}, {first['cores']} cores (shared with others), torch {first['torch']}, {first['threads']} "
             f"thread where nothing else is said, {first['date']}.", "",
             *_verdicts(stored)]
    for name, title, words in SECTIONS:
        parts += ["", f"## {title}", ""]
        if name not in stored:
            parts.append({"stack": NO_GPU, "peers": PEERS}.get(name, "Not measured.\n").rstrip())
            continue
        parts += [words, ""]
        if name == "scaling":
            parts += ["![Time and memory against size](figures/scaling.svg)", ""]
            parts += lines([{"case": r["case"], "what": "", "exponent": r["exponent"]} for r in _lasts(stored[name]["rows"])])
        else:
            parts += lines(stored[name]["rows"])
    cases = "\n".join(f"- `{name}`: {case.about}" for name, case in _cases().items())
    return "\n".join([*parts, "", "## Cases", "", cases, "", "Pixels are random bytes: the work is the same for any.", ""])


def write() -> None:
    """Writes the page, and the figure of the scaling."""
    if (RESULTS / "scaling.json").exists():
        scaling.figure(json.loads((RESULTS / "scaling.json").read_text())["rows"])
    PAGE.write_text(text())
    print(f"written: {PAGE.relative_to(PAGE.parent.parent)}")


def is_up_to_date(page: Path = PAGE) -> bool:
    """Whether the page says what the results say."""
    return page.exists() and page.read_text() == text()


def _verdicts(stored: dict[str, Any]) -> list[str]:
    """Each target with what was found."""
    found = []
    for name, title, _ in SECTIONS:
        for row in stored.get(name, {"rows": []})["rows"]:
            value = row.get("ratio", row.get("seconds"))
            if row.get("target") is not None:
                met = value <= row["target"] and row.get("bytes", 0) <= row.get("bytes_target", float("inf"))
                found.append((title, row, value, met))
    missed = [f"{title}, {row['case']}, {row['what']}: {value:.2f} (target {row['target']:g})" for title, row, value, met in found
              if not met]
    say = f"Targets met: {sum(met for *_, met in found)} of {len(found)}."
    return [say + (" Not met: " + "; ".join(missed) + "." if missed else "")]


def _cell(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if value is None:
        return ""
    if column == "ratio" and "low" in row:
        return f"{value:.2f} ({row['low']:.2f} to {row['high']:.2f})"
    if column in ("bytes", "bytes_target"):
        return f"{value / 1e6:,.0f} MB"
    if column == "accuracy":
        return f"{value:.4f}"
    if column == "share_of_peak":
        return f"{value:.0%}"
    if column == "samples_per_second":
        return f"{value:,.0f}"
    return value if isinstance(value, str) else f"{value:.3g}"


def _lasts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({row["case"]: row for row in rows}.values())


def _cases() -> dict[str, Any]:
    from bench.cases import CASES

    return CASES
