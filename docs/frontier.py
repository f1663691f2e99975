"""The frontier of all studies `frontier-*`: python docs/frontier.py draws the figure.

docs/tables.py fills the summary.
"""

import io
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from thalweg import files
from thalweg.metrics.costs import completed
from thalweg.metrics.intervals import Estimate
from thalweg.metrics.retraining import best_possible_k_eq
from thalweg.report.families import described
from thalweg.report.tables import number

ROOT = Path(__file__).parents[1]
STUDIES = {
    "frontier-fashion-mlp": "Fashion-MNIST, MLP",
    "frontier-fashion-cnn": "Fashion-MNIST, CNN",
    "frontier-mnist-cnn": "MNIST, CNN",
    "frontier-cifar10-resnet8": "CIFAR-10, ResNet-8",
}
SHOWN = ("k_eq", "k_u", "spread_ratio", "coverage", "calibrated_nll", "ood_spread_ratio")
KINDS = {
    "auto": ("auto", "C3", "o"),
    "retraining": ("deep ensembles", "0.3", "s"),
    "emulator": ("emulators on retrainings", "C0", "^"),
    "trivial": ("trivial row", "C1", "v"),
    "explorer": ("explorers and baselines", "0.6", "."),
    "ablation": ("ablations", "C2", "x"),
}


def present() -> dict[str, str]:
    """Returns the studies that have results, with their titles."""
    return {
        name: title
        for name, title in STUDIES.items()
        if (ROOT / "studies" / name / "results").exists()
    }


def read(name: str) -> pd.DataFrame:
    """Returns one row per method: costs, kind, and estimates by metric."""
    folder = ROOT / "studies" / name / "results"
    comparison, methods = (
        pd.read_parquet(folder / f"{part}.parquet") for part in ("comparison", "methods")
    )
    estimates = {
        (r.method, r.metric): Estimate(r.value, r.low, r.high) for r in comparison.itertuples()
    }
    rows = []
    for row in completed(described(methods)).itertuples():
        if (row.method, "k_eq") not in estimates:
            continue
        kind = next((k for k in ("auto", "ablation") if row.method.startswith(k)), None)
        if kind is None and pd.isna(row.emulator):
            kind = "retraining" if row.is_retraining else "explorer"
        elif kind is None:
            kind = "trivial" if row.emulator == "trivial" else "emulator"
        costs = {"cost": row.cost, "total": row.total, "time": row.relative_time}
        values = {metric: estimates[row.method, metric] for metric in SHOWN}
        rows.append({"method": row.method, **costs, "kind": kind, **values})
    return pd.DataFrame(rows)


def summary() -> str:
    """Returns what a budget buys on every task, as a table in Markdown."""
    head = (
        "task",
        "method",
        "cost",
        "total",
        "time",
        "K_eq",
        "K_u",
        "spread",
        "coverage",
        "calibrated NLL",
        "spread out of distribution",
    )
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, title in present().items():
        table = read(name)
        for row in table[
            table["kind"].isin(["auto", "retraining", "emulator", "trivial", "ablation"])
        ].itertuples():
            cells = [
                f"{row.cost:.2f}",
                f"{row.total:.2f}",
                number(row.time, ".1f"),
                row.k_eq.text(".1f"),
                row.k_u.text(".1f"),
                f"{row.spread_ratio.value:.2f}",
                f"{row.coverage.value:.3f}",
                f"{row.calibrated_nll.value:.4f}",
                f"{row.ood_spread_ratio.value:.2f}",
            ]
            lines.append(f"| {title} | {row.method} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def figure() -> bytes:
    """Draws K_eq and K_u against total cost, with one column per study."""
    studies = present()
    figure, axes = plt.subplots(
        2, len(studies), figsize=(3.4 * len(studies), 6.2), squeeze=False, layout="constrained"
    )
    for column, (name, title) in enumerate(studies.items()):
        table = read(name)
        for line, metric in enumerate(("k_eq", "k_u")):
            panel = axes[line][column]
            costs = [1 + 0.05 * k for k in range(81)]
            panel.plot(costs, costs, color="0.3", lw=0.8)
            if metric == "k_eq":
                panel.plot(
                    costs, [best_possible_k_eq(c) for c in costs], color="0.3", lw=0.8, ls=":"
                )
            for kind, (label, colour, marker) in reversed(KINDS.items()):
                rows = table[table["kind"] == kind].sort_values("total")
                rows = rows[rows["total"] <= 5.1]
                values = [e.value if e.value < 1e3 else float("nan") for e in rows[metric]]
                style = {"color": colour, "ls": "-" if kind == "auto" else "", "ms": 5}
                panel.plot(rows["total"], values, marker, label=label, zorder=2, **style)
                if kind == "auto":
                    for cost, e in zip(rows["total"], rows[metric], strict=True):
                        panel.plot([cost, cost], [e.low, min(e.high, 60)], color=colour, lw=1)
            panel.set_yscale("log")
            panel.set_ylim(0.8, 40)
            panel.set_yticks([1, 2, 5, 10, 20, 40], ["1", "2", "5", "10", "20", "40"])
            panel.minorticks_off()
            panel.set_xlim(0.8, 5.2)
            if not line:
                panel.set_title(title, fontsize=10)
            else:
                panel.set_xlabel("total cost in trainings")
            if not column:
                panel.set_ylabel("$K_{eq}$" if metric == "k_eq" else "$K_u$")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside lower center", ncol=3, fontsize=9, frameon=False
    )
    memory = io.BytesIO()
    figure.savefig(memory, format="svg", metadata={"Date": None})
    plt.close(figure)
    return memory.getvalue()


if __name__ == "__main__":
    plt.rcParams["svg.hashsalt"] = "thalweg"
    files.write_bytes(ROOT / "docs" / "figures" / "frontier.svg", figure())
