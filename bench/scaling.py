"""Cost grows linearly: time and memory against members, draws, inputs and parameters."""

import math
from collections.abc import Callable

from bench.measure import RESULTS, Settings, in_fresh_process

START = """
import json, time, torch
from bench.measure import peak
torch.set_num_threads(1)
from thalweg import Batches, Problem, Recipe, predict
from thalweg.models.mlp import mlp
from thalweg.training.together import anchors
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights
def problem(hidden=(64, 64), examples=512, seed=0):
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(examples, 1, 16, 16, generator=random), torch.randint(0, 10, (examples,), generator=random)
    return Problem(lambda: mlp((1, 16, 16), 10, hidden=hidden), Batches(x, y, 64), Recipe(epochs=2), seed=seed)
def timed(work):
    work()
    begin = time.perf_counter()
    kept = work()
    return time.perf_counter() - begin, peak()
"""
TRAIN = """
n = {n}
seeds = iter(range(99))
print(json.dumps(timed(lambda: anchors(problem(seed=next(seeds)), n))))
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
problems = iter([problem((n, n), 256, s) for s in range(3)])
print(json.dumps(timed(lambda: next(problems).anchor(0))))
"""
K_EQ = """
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.retraining import distances, retraining_equivalents, spacing
from thalweg.prediction import Predictions
n = {n}
method, reference = (Predictions(torch.log_softmax(torch.randn(30, n, 10), -1)) for _ in range(2))
def work():
    resamples = Resamples.of(n, 30, 1000, 0)
    return retraining_equivalents([distances(method, reference)], spacing(reference, resamples), resamples)
print(json.dumps(timed(work)))
"""

SWEEPS: dict[str, tuple[str, list[int], Callable[[int], float], str]] = {
    "train members": (TRAIN, [2, 4, 8, 16, 32], float, "members"),
    "predict draws": (DRAWS, [8, 16, 32, 64, 128], float, "draws"),
    "predict inputs": (INPUTS, [5000, 10_000, 20_000, 40_000, 80_000], float, "inputs"),
    "K_eq inputs": (K_EQ, [2500, 5000, 10_000, 20_000, 40_000], float, "inputs"),
    "train parameters": (PARAMETERS, [256, 512, 1024, 1536, 2048], lambda n: n * n + 266.0 * n, "parameters"),
}


def scaling(settings: Settings) -> list[dict]:
    """Time and memory against members, draws, inputs and parameters; the exponents are slopes of the three largest sizes."""
    rows = []
    for name, (code, sizes, amount, unit) in SWEEPS.items():
        measured = []
        for n in sizes[:2] if settings.quick else sizes:
            runs = [in_fresh_process(START + code.format(n=n)) for _ in range(1 if settings.quick else 3)]
            measured.append((amount(n), min(s for s, _ in runs), min(b for _, b in runs)))
        (x0, t0, _), (x1, t1, _) = measured[-3 if len(measured) > 2 else 0], measured[-1]
        exponent = math.log(t1 / t0) / math.log(x1 / x0)
        rows += [{"case": name, "what": f"{x:.0f} {unit}", "size": x, "seconds": t, "bytes": b, "exponent": exponent}
                 for x, t, b in measured]
    return rows


def figure(rows: list[dict]) -> None:
    """Writes docs/figures/scaling.svg."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 8, "svg.hashsalt": "thalweg", "axes.spines.top": False, "axes.spines.right": False}):
        drawn = Figure(figsize=(7.2, 3.1), layout="constrained")
        time_axes, memory_axes = drawn.subplots(1, 2)
        for name, marker in zip(dict.fromkeys(row["case"] for row in rows), "os^Dv", strict=False):
            own = [row for row in rows if row["case"] == name]
            relative = [row["size"] / own[0]["size"] for row in own]
            label = f"{name}, from {own[0]['size']:,.0f}: exponent {own[0]['exponent']:.2f}"
            time_axes.loglog(relative, [row["seconds"] for row in own], marker=marker, markersize=4, linewidth=1, label=label)
            memory_axes.loglog(relative, [row["bytes"] / 1e6 for row in own], marker=marker, markersize=4, linewidth=1)
        for axes, title, level in ((time_axes, "seconds", 0.02), (memory_axes, "peak memory of the process, MB", 150)):
            ends = [1, max(row["size"] for row in rows if row["case"] == "train parameters")
                    / min(row["size"] for row in rows if row["case"] == "train parameters")]
            axes.plot(ends, [level, level * ends[1]], color="0.6", linestyle="--", linewidth=0.8)
            axes.annotate("slope 1", (ends[1], level * ends[1]), color="0.45", fontsize=7, ha="right", va="bottom")
            axes.set_xlabel("size, in units of the smallest")
            axes.set_title(title, fontsize=8, loc="left")
        drawn.legend(loc="outside lower center", ncols=2, fontsize=6.5, frameon=False)
        path = RESULTS.parent.parent / "docs" / "figures" / "scaling.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, metadata={"Date": None})
