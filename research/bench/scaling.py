"""Cost grows linearly: time and memory against members, draws, inputs and parameters."""

import math
import statistics
from collections.abc import Callable

from research.bench.measure import Settings, in_fresh_process
from research.skeleton import DOCS

START = """
import json, time, torch
from research.bench.measure import peak
torch.set_num_threads(1)
from thalweg import Batches, Problem, Recipe, predict
from thalweg.models.mlp import mlp
from thalweg.training.anchors import train_anchors
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights
def problem(hidden=(64, 64), examples=512, seed=0):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(examples, 1, 16, 16, generator=random)
    y = torch.randint(0, 10, (examples,), generator=random)

    def model():
        return mlp((1, 16, 16), 10, hidden=hidden)

    return Problem(model, Batches(x, y, 64), Recipe(epochs=2), seed=seed)
before = peak()
def timed(work):
    kept = work()
    found = []
    for _ in range(3):
        kept = None
        begin = time.perf_counter()
        kept = work()
        found.append(time.perf_counter() - begin)
    return min(found), peak() - before
"""
TRAIN = """
n = {n}
seeds = iter(range(99))
print(json.dumps(timed(lambda: train_anchors(problem(seed=next(seeds)), n))))
"""
DRAWS = """
p = problem()
points = Members(tuple(Weights.of(p.build(k)) for k in range({n})))
x = torch.randn(5000, 1, 16, 16)
print(json.dumps(timed(lambda: predict(p, points, x))))
"""
INPUTS = """
p = problem()
points = Members(tuple(Weights.of(p.build(k)) for k in range(8)))
x = torch.randn({n}, 1, 16, 16)
print(json.dumps(timed(lambda: predict(p, points, x))))
"""
PARAMETERS = """
n = {n}
problems = iter([problem((n, n), 256, s) for s in range(4)])
print(json.dumps(timed(lambda: next(problems).anchor(0))))
"""
K_EQ = """
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.retraining import distances, retraining_equivalents, spacing
from thalweg.predictions import Predictions
n = {n}
method, reference = (Predictions(torch.log_softmax(torch.randn(30, n, 10), -1)) for _ in range(2))
def work():
    resamples = Resamples.of(n, 30, 1000, 0)
    own, truth = [distances(method, reference)], spacing(reference, resamples)
    return retraining_equivalents(own, truth, resamples)
print(json.dumps(timed(work)))
"""

SWEEPS: dict[str, tuple[str, list[int], Callable[[int], float], str]] = {
    "train members": (TRAIN, [4, 8, 16, 32], float, "members"),
    "predict draws": (DRAWS, [16, 32, 64, 128], float, "draws"),
    "predict inputs": (INPUTS, [10_000, 20_000, 40_000, 80_000], float, "inputs"),
    "K_eq inputs": (K_EQ, [5000, 10_000, 20_000, 40_000], float, "inputs"),
    "train parameters": (
        PARAMETERS,
        [256, 512, 1024, 1536],
        lambda n: n * n + 268.0 * n + 10,
        "parameters",
    ),
}


def scaling(settings: Settings) -> list[dict]:
    """Time and memory against members, draws, inputs and parameters, with the exponents of power
    laws.
    """
    rows = []
    for name, (code, sizes, amount, unit) in SWEEPS.items():
        found = [
            (amount(n), *in_fresh_process(START + code.format(n=n)))
            for n in (sizes[:2] if settings.quick else sizes)
        ]
        exponent, memory_exponent = (
            _slope([(size, row[k]) for size, *row in found]) for k in range(2)
        )
        rows += [
            {
                "case": name,
                "what": f"{size:.0f} {unit}",
                "size": size,
                "seconds": seconds,
                "bytes": memory,
                "exponent": exponent,
                "memory_exponent": memory_exponent,
            }
            for size, seconds, memory in found
        ]
    return rows


def _slope(points: list[tuple[float, float]]) -> float:
    """Exponent of a power law, by least squares of the logarithms."""
    x, y = ([math.log(max(p[k], 1e-9)) for p in points] for k in range(2))
    return statistics.linear_regression(x, y).slope


def figure(rows: list[dict]) -> None:
    """Writes docs/figures/scaling.svg."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    spines = {"axes.spines.top": False, "axes.spines.right": False}
    with mpl.rc_context(
        {"font.size": 9, "svg.hashsalt": "thalweg", "svg.fonttype": "none", **spines}
    ):
        drawn = Figure(figsize=(8.4, 4.4), layout="constrained")
        panels = zip(
            drawn.subplots(1, 2),
            (("seconds", 1.0, "exponent"), ("bytes", 1e6, "memory_exponent")),
            strict=True,
        )
        for axes, (column, unit, exponent) in panels:
            for name, marker in zip(
                dict.fromkeys(row["case"] for row in rows), "os^Dv", strict=False
            ):
                own = [row for row in rows if row["case"] == name]
                x, y = (
                    [row["size"] / own[0]["size"] for row in own],
                    [row[column] / unit for row in own],
                )
                (line,) = axes.loglog(
                    x,
                    y,
                    marker=marker,
                    markersize=5,
                    linewidth=1.4,
                    label=f"{name}: {own[0][exponent]:.2f} (from {own[0]['size']:,.0f})",
                )
                axes.loglog(
                    [1, x[-1]],
                    [y[0], y[0] * x[-1]],
                    color=line.get_color(),
                    linewidth=0.7,
                    linestyle=":",
                )
            axes.set_xlabel("size, in units of the smallest")
            title = {"seconds": "Time, s", "bytes": "Peak memory beyond that of importing, MB"}[
                column
            ]
            axes.set_title(title, loc="left", fontsize=9)
            axes.legend(
                title="exponent",
                loc="upper center",
                bbox_to_anchor=(0.5, -0.16),
                fontsize=8,
                frameon=False,
            )
        drawn.supxlabel("dotted: linear from the smallest size", fontsize=8, color="0.4")
        path = DOCS / "figures" / "scaling.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, metadata={"Date": None})
