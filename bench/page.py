"""docs/performance.md, made of the JSON files of bench/results.

No number there is written by hand.
"""

import json
from pathlib import Path
from typing import Any

from bench import scaling
from bench.cases import CASES
from bench.measure import RESULTS

PAGE = RESULTS.parent.parent / "docs" / "performance.md"

SECTIONS = [
    (
        "training",
        "One training",
        "`Problem.fit` with a network built for it, data as bytes that are normalised batch by "
        "batch, against a plain loop over tensors that are normalised already. thalweg takes "
        "torch's fused optimiser, gathers several small batches at once, and keeps convolutions "
        "channels-last; the rows below say what the plain loop gains from the first, the last "
        "and both.",
    ),
    (
        "looking",
        "The look before",
        "What is looked at when a problem is made: three networks are built and compared, one "
        "trial step is taken, the loader is read. A loader of unknown length is read whole, "
        "whatever that takes; the cases here are in memory.",
    ),
    (
        "ensembles",
        "Ensembles",
        "`train_anchors(problem, n)` with an `Execution(jobs=2)`: processes of one thread each that "
        "stay for the next call; the row `workers start first` is a first call. The floor is the "
        "sequential plain loop at the better of one and two threads; the other is left out "
        "where it takes twice as long. Stacks are for GPUs: on a CPU convolutions lose. All but "
        "the digits train half as many steps here as elsewhere, ResNet-20 a quarter.",
    ),
    (
        "simplex",
        "Learned subspaces",
        "Three vertices trained at once. They are rows of a matrix: a step mixes them by one "
        "product into the network's own parameters and hands gradients back by another. "
        "Networks of linear layers at small batches are bound by memory, and three vertices are "
        "three times the parameters for the optimiser: the MLP with 118,282 parameters shows it.",
    ),
    (
        "spro",
        "SPRO",
        "A vertex, five draws a step, against as many steps of five forward and backward passes "
        "of the plain network. The reward for volume takes inner products in double precision.",
    ),
    (
        "swag",
        "SWAG",
        "Against plain training of the same epochs: the difference is the moments of 20 "
        "iterates, or of every second step where a timed training has few (ResNet-20: 4 steps). "
        "The largest network is left out here and with SPRO, it takes too long.",
    ),
    (
        "draws",
        "Predictions with many draws",
        "One pass over the inputs for all draws, against as many plain passes. The networks with "
        "convolutions have fewer inputs, ResNets fewer draws too, so that a round takes seconds.",
    ),
    (
        "refreshing",
        "Batch norm at new points",
        "A draw that nobody trained needs batch-norm statistics of its own. All draws are "
        "refreshed in one pass over 2,048 training images (`Problem.refreshed`). Ratios are to "
        "a training of the study's size, 5,000 images and 10 epochs, whose seconds are those of "
        "the timed shorter one, scaled.",
    ),
    (
        "refresh",
        "How many images a refresh needs",
        "The same draws, their statistics from fewer images. `moved` is the root mean square "
        "distance of their predictions from those with all 5,000 images, `of spread` the same "
        "over the draws' mean standard uncertainty.",
    ),
    (
        "k_eq",
        "K_eq and its bootstrap",
        "Distances, and 1,000 bootstrap replicates over inputs, retrainings and bases; the "
        "memory is the whole process's, predictions (0.8 GB) included.",
    ),
    ("imports", "Import", "In fresh processes."),
    (
        "memory",
        "Memory",
        "Largest memory of a process beyond what it had before, in fresh processes.",
    ),
    (
        "scaling",
        "Cost grows linearly",
        "Exponents of power laws, fitted over four sizes; 1 is linear, and less is where a "
        "fixed part is left. Memory is the process's largest beyond that after importing. How "
        "fast a network is depends on whether its parameters fit the processor's cache, so that "
        "exponent is the least certain.",
    ),
    ("stack", "On a GPU", "Retrainings as one stacked module."),
    (
        "peers",
        "Peers",
        "lightning's trainer with a DataLoader of tensors, without logger, checkpoints and "
        "progress bar, in an environment of its own (`bench/peers.py`). torch-uncertainty "
        "trains by the same trainer; version 0.13.0 installs, but can't be imported without "
        "torchvision, which it lists only as an extra and which was not installed.",
    ),
]

NO_GPU = """No GPU could be reached when these numbers were made: none of the GPU code has been timed, and stacks, half precision and
`torch.compile` were tested on a CPU in small only. The commands for a machine with one:

```
python -m bench stack page --device cuda     # 64 retrainings, stacked by 1, 4, 16 and 64; samples a second, share of the matrix peak
thalweg study studies/cifar10-fast.toml      # reference of 64, pool of 24, 5 bases, every explorer
```
"""

PEERS = (
    "Not measured: `bench/peers.py` needs an environment with lightning; its first lines say how."
)


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """A table in Markdown."""
    if not rows:
        return []
    shown = (
        "case",
        "what",
        "ratio",
        "target",
        "seconds",
        "bytes",
        "bytes_target",
        "met",
        "accuracy",
        "moved",
        "moved_by_spread",
        "u_ratio",
        "exponent",
        "memory_exponent",
        "samples_per_second",
        "share_of_peak",
    )
    columns = [
        c
        for c in shown
        if any((_met(row) if c == "met" else row.get(c)) is not None for row in rows)
    ]
    names = {
        "case": "",
        "what": "",
        "ratio": "ratio to the floor",
        "bytes": "memory",
        "bytes_target": "memory target",
        "moved_by_spread": "of spread",
        "u_ratio": "u over u with all",
        "samples_per_second": "samples a second",
        "share_of_peak": "of matrix peak",
        "exponent": "exponent of time",
        "memory_exponent": "exponent of memory",
    }
    table = [
        "| " + " | ".join(names.get(c, c) for c in columns) + " |",
        "|" + "---|" * len(columns),
    ]
    return table + ["| " + " | ".join(_cell(row, c) for c in columns) + " |" for row in rows]


def text() -> str:
    """The page."""
    files = {name: RESULTS / f"{name}.json" for name, *_ in SECTIONS}
    stored = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    if "stack" in stored and not stored["stack"]["machine"]["gpu"]:
        del stored["stack"]  # a trial
    parts = [
        "# Performance",
        "",
        "Made by `make bench` from `bench/results`. Every ratio is measured side by side in one "
        "run: alternatives take turns, after a round that is not timed, and the table has the "
        "median of the rounds' ratios to the floor (the row with 1.00), with their quartiles in "
        "brackets; rounds are three to seven, as time allows. Below 1 is faster than the floor: "
        "a loop written by hand in plain PyTorch (`bench/floor.py`), with tensors in memory "
        "that are normalised already, and no DataLoader.",
        "",
        "```",
        "python -m bench                    # what there is",
        "python -m bench training --quick   # tiny sizes, to try the command; nothing is written",
        "python -m bench training page      # one benchmark, and this page",
        "make bench                         # all, and this page",
        "```",
        "",
        *_machines(stored),
        "",
        *_verdicts(stored),
    ]
    for name, title, words in SECTIONS:
        parts += ["", f"## {title}", ""]
        if name not in stored:
            parts.append(
                {"stack": NO_GPU, "peers": PEERS}.get(
                    name, f"Not measured yet: `python -m bench {name} page`."
                ).rstrip()
            )
            continue
        rows = stored[name]["rows"]
        parts += [words, ""]
        if name == "scaling":
            parts += ["![Time and memory against size](figures/scaling.svg)", ""]
            rows = [
                {
                    "case": r["case"],
                    "what": "",
                    "exponent": r["exponent"],
                    "memory_exponent": r["memory_exponent"],
                }
                for r in {row["case"]: row for row in rows}.values()
            ]
        parts += lines(rows)
    cases = [f"- `{name}`: {case.about}" for name, case in CASES.items()]
    return "\n".join(
        [
            *parts,
            "",
            "## Cases",
            "",
            *cases,
            "",
            "Pixels are random bytes: the work is the same for any.",
            "",
        ]
    )


def write() -> None:
    """Writes the page, and the figure of the scaling."""
    if (RESULTS / "scaling.json").exists():
        scaling.figure(json.loads((RESULTS / "scaling.json").read_text())["rows"])
    PAGE.write_text(text())
    print(f"written: {PAGE.relative_to(PAGE.parent.parent)}")


def is_up_to_date(page: Path = PAGE) -> bool:
    """Whether the page says what the results say."""
    return page.exists() and page.read_text() == text()


def _machines(stored: dict[str, Any]) -> list[str]:
    """What was measured on, each machine with its benchmarks where there are several."""
    found: dict[str, list[str]] = {}
    for name, content in stored.items():
        on = content["machine"]
        cores = f"{on['processor']}, {on['cores']} cores" + (f", {on['gpu']}" if on["gpu"] else "")
        threads = f"{on['threads']} thread{'s' * (on['threads'] > 1)} where nothing else is said"
        about = f"{cores}, torch {on['torch']}, {threads}, {on['date']}"
        found.setdefault(about, []).append(name)
    return [
        f"Measured on: {about}" + (f" ({', '.join(names)})." if len(found) > 1 else ".")
        for about, names in found.items()
    ]


def _met(row: dict[str, Any]) -> bool | None:
    """Whether a row meets its target; None where it has none."""
    if row.get("target") is None:
        return None
    return row.get("ratio", row["seconds"]) <= row["target"] and row.get("bytes", 0) <= row.get(
        "bytes_target", float("inf")
    )


def _verdicts(stored: dict[str, Any]) -> list[str]:
    """How many targets are met, and which not."""
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
    say = f"Targets met: {len(rows) - len(missed)} of {len(rows)} that were measured."
    say += " Not met: " + "; ".join(missed) + "." if missed else ""
    return [say + (" Not measured: " + ", ".join(absent) + "." if absent else "")]


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
