"""The page docs/performance.md, made from the JSON files of research/bench/results.

No number on it is written by hand.
"""

import json
from pathlib import Path
from typing import Any

from research.bench import scaling
from research.bench.cases import CASES
from research.bench.measure import RESULTS
from research.skeleton import DOCS, ROOT, put

PAGE = DOCS / "performance.md"

SECTIONS = [
    (
        "training",
        "One training",
        "`Problem.fit` trains a newly built network, on data that are stored as bytes and "
        "normalised batch by batch. It is compared with a plain loop over tensors that are "
        "normalised already. thalweg uses torch's fused optimiser, gathers several small batches "
        "at once, and keeps convolutions channels-last. The rows below show what the plain loop "
        "gains from the first, from the last, and from both.",
    ),
    (
        "looking",
        "The checks before a training",
        "These are the checks when a problem is made: three networks are built and compared, a "
        "trial step is taken, and the loader is read. A loader of unknown length is read as a "
        "whole, however long that takes; the cases here are in memory.",
    ),
    (
        "ensembles",
        "Ensembles",
        "`train_anchors(problem, n)` with `Execution(jobs=2)` trains in single-threaded processes "
        "that stay for the next call; the row `workers start first` is a first call. The floor is "
        "the sequential plain loop with one or two threads, whichever is faster; the other is left "
        "out if it takes twice as long. Stacks are for GPUs; on a CPU they slow convolutions "
        "down. All cases except the digits train half as many steps here as elsewhere, ResNet-20 "
        "a quarter.",
    ),
    (
        "simplex",
        "Learned subspaces",
        "Three vertices are trained at once. They are the rows of a matrix: in each step one "
        "product mixes them into the network's parameters, and another distributes the gradients. "
        "Networks of linear layers with small batches are limited by memory, and three vertices "
        "mean three times as many parameters for the optimiser, as the MLP with 118,282 "
        "parameters shows.",
    ),
    (
        "spro",
        "SPRO",
        "One vertex with five draws per step, against as many steps of five forward and backward "
        "passes of the plain network. The reward for volume computes inner products in double "
        "precision.",
    ),
    (
        "swag",
        "SWAG",
        "SWAG is compared with plain training for the same epochs. The difference is the moments "
        "of 20 iterates, or of every second step if a timed training has few (ResNet-20 has 4 "
        "steps). The largest network is left out here and with SPRO, because it takes too long.",
    ),
    (
        "draws",
        "Predictions with many draws",
        "One pass over the inputs for all draws, against as many plain passes. The networks with "
        "convolutions have fewer inputs, and ResNets also fewer draws, so that a round takes "
        "seconds.",
    ),
    (
        "refreshing",
        "Batch norm at new points",
        "A draw that nobody trained needs batch-norm statistics of its own. All draws are "
        "refreshed in one pass over 2,048 training images (`Problem.refreshed`). The ratios are "
        "to a training of the study's size, 5,000 images and 10 epochs, whose time is scaled "
        "from that of a shorter one.",
    ),
    (
        "refresh",
        "How many images a refresh needs",
        "The same draws with statistics from fewer images. `moved` is the root mean square "
        "distance of their predictions from those with all 5,000 images, and `of spread` is this "
        "distance over the draws' mean standard uncertainty.",
    ),
    (
        "k_eq",
        "K_eq and its bootstrap",
        "The distances, and 1,000 bootstrap replicates over inputs, retrainings and bases. The "
        "memory is that of the whole process, including the predictions (0.8 GB).",
    ),
    ("imports", "Import", "Importing the package in fresh processes."),
    (
        "memory",
        "Memory",
        "The largest memory of a process beyond what it had before, in fresh processes.",
    ),
    (
        "scaling",
        "Cost grows linearly",
        "Exponents of power laws, fitted over four sizes. An exponent of 1 is linear; it is "
        "smaller if a fixed part remains. Memory is the process's largest memory beyond that "
        "after importing. The speed of a network depends on whether its parameters fit into the "
        "processor's cache, so that exponent is the least certain.",
    ),
    ("stack", "On a GPU", "Retrainings as one stacked module."),
    (
        "peers",
        "Peers",
        "lightning's trainer with a DataLoader of tensors, without logger, checkpoints and "
        "progress bar, in an environment of its own (`research/bench/peers.py`). torch-uncertainty "
        "uses the same trainer; its version 0.13.0 can be installed, but can't be imported "
        "without torchvision, which it lists only as an extra and which was not installed.",
    ),
]

NO_GPU = """No GPU was available when these numbers were made. None of the GPU code has been timed, and stacks, half precision and
`torch.compile` were only tested on a CPU, at small sizes. These are the commands for a machine with a GPU:

```
python -m research.bench stack page --device cuda     # 64 retrainings, in stacks of 1, 4, 16 and 64; samples per second, fraction of the matrix peak
thalweg study studies/cifar10-fast.toml      # reference of 64, pool of 24, 5 bases, every explorer
```
"""

PEERS = (
    "Not measured: `research/bench/peers.py` needs an environment with lightning; its first lines say how "
    "to make one."
)
NAMES = {
    "case": "",
    "what": "",
    "ratio": "ratio to the floor",
    "target": "target",
    "seconds": "seconds",
    "bytes": "memory",
    "bytes_target": "memory target",
    "met": "met",
    "accuracy": "accuracy",
    "moved": "moved",
    "moved_by_spread": "of spread",
    "u_ratio": "u over u with all",
    "exponent": "exponent of time",
    "memory_exponent": "exponent of memory",
    "samples_per_second": "samples per second",
    "share_of_peak": "of matrix peak",
}
"""The titles of the tables' columns, in order."""


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """Returns a table in Markdown, with the columns that any row has."""
    if not rows:
        return []
    columns = [
        name
        for name in NAMES
        if any((_met(row) if name == "met" else row.get(name)) is not None for row in rows)
    ]
    table = ["| " + " | ".join(NAMES[c] for c in columns) + " |", "|" + "---|" * len(columns)]
    return table + ["| " + " | ".join(_cell(row, c) for c in columns) + " |" for row in rows]


def text() -> str:
    """Returns the page."""
    files = {name: RESULTS / f"{name}.json" for name, *_ in SECTIONS}
    stored = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    if "stack" in stored and not stored["stack"]["machine"]["gpu"]:
        del stored["stack"]  # a trial
    parts = [
        "# Performance",
        "",
        "`make bench` writes this page from `research/bench/results`. The floor is a loop written by hand "
        "in plain PyTorch (`research/bench/floor.py`), with tensors in memory that are normalised already, "
        "and no DataLoader. Every ratio to the floor is measured side by side in one run: the "
        "alternatives take turns, after a round that is not timed. The table has the median of "
        "the rounds' ratios, with their quartiles in brackets; there are three to seven rounds, "
        "as time allows. The row of the floor has 1.00, and a ratio below 1 is faster.",
        "",
        "```",
        "python -m research.bench                    # list the benchmarks",
        "python -m research.bench training --quick   # tiny sizes, to try the command; nothing is written",
        "python -m research.bench training page      # run one benchmark and write this page",
        "make bench                         # run all and write this page",
        "```",
        "",
        *_machines(stored),
        "",
        *_verdicts(stored),
    ]
    for name, title, words in SECTIONS:
        parts += ["", f"## {title}", ""]
        if name not in stored:
            absent = f"Not measured yet; run `python -m research.bench {name} page`."
            parts.append({"stack": NO_GPU, "peers": PEERS}.get(name, absent).rstrip())
            continue
        rows = stored[name]["rows"]
        parts += [words, ""]
        if name == "scaling":
            parts += ["![Time and memory against size](figures/scaling.svg)", ""]
            last = {row["case"]: row for row in rows}.values()
            kept = ("case", "exponent", "memory_exponent")
            rows = [{"what": "", **{name: row[name] for name in kept}} for row in last]
        parts += lines(rows)
    parts += ["", "## Cases", ""]
    parts += [f"- `{name}`: {case.about}" for name, case in CASES.items()]
    parts += [
        "",
        "Pixels are random bytes, because the amount of work does not depend on them.",
        "",
    ]
    return "\n".join(parts)


def write() -> None:
    """Writes the page and the figure of the scaling."""
    if (RESULTS / "scaling.json").exists():
        scaling.figure(json.loads((RESULTS / "scaling.json").read_text())["rows"])
    put({PAGE: text()})
    print(f"written: {PAGE.relative_to(ROOT)}")


def is_up_to_date(page: Path = PAGE) -> bool:
    """Whether the page agrees with the results."""
    return page.exists() and page.read_text() == text()


def _machines(stored: dict[str, Any]) -> list[str]:
    """Returns the machines of the measurements, with their benchmarks if there are several."""
    machines: dict[str, list[str]] = {}
    for name, content in stored.items():
        on = content["machine"]
        cores = f"{on['processor']}, {on['cores']} cores" + (f", {on['gpu']}" if on["gpu"] else "")
        threads = f"{on['threads']} thread{'s' * (on['threads'] > 1)} unless stated otherwise"
        about = f"{cores}, torch {on['torch']}, {threads}, {on['date']}"
        machines.setdefault(about, []).append(name)
    return [
        f"Measured on: {about}" + (f" ({', '.join(names)})." if len(machines) > 1 else ".")
        for about, names in machines.items()
    ]


def _met(row: dict[str, Any]) -> bool | None:
    """Whether a row meets its target; None if it has none."""
    if row.get("target") is None:
        return None
    is_fast = row.get("ratio", row["seconds"]) <= row["target"]
    return is_fast and row.get("bytes", 0) <= row.get("bytes_target", float("inf"))


def _verdicts(stored: dict[str, Any]) -> list[str]:
    """Returns how many targets are met, and which are not."""
    rows = [
        (title, row)
        for name, title, _ in SECTIONS
        for row in stored.get(name, {"rows": []})["rows"]
        if _met(row) is not None
    ]
    missed = [
        f"{title}, {row['case']}, {row['what']}: {row.get('ratio', row['seconds']):.2f} (target "
        f"{row['target']:g})"
        for title, row in rows
        if not _met(row)
    ]
    absent = [title for name, title, _ in SECTIONS if name not in stored]
    told = f"Of {len(rows)} targets that were measured, {len(rows) - len(missed)} are met."
    told += " Not met: " + "; ".join(missed) + "." if missed else ""
    return [told + (" Not measured: " + ", ".join(absent) + "." if absent else "")]


def _cell(row: dict[str, Any], column: str) -> str:
    value = _met(row) if column == "met" else row.get(column)
    if value is None:
        return ""
    if column == "met":
        return "yes" if value else "**no**"
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
