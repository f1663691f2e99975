"""Made-up results of a study, plausible and in the format of the result files, to build and test
reports without training.
"""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from thalweg import files
from thalweg.metrics.info import FACTS
from thalweg.outputs import Classes
from thalweg.study.compare import seal

COSTS = (
    "cost",
    "forward",
    "total",
    "seconds",
    "emulator_seconds",
    "relative_time",
    "peak_memory",
    "stored_bytes",
    "evaluations_per_input",
)
CLASSES, INPUTS = 10, 400

# label, explorer, emulator, cost, K_eq, K_u, members
METHODS = (
    ("deep ensemble of 1", "deep-ensemble", None, 1.0, 1.01, math.nan, 1),
    ("deep ensemble of 2", "deep-ensemble", None, 2.0, 2.03, 2.1, 2),
    ("deep ensemble of 3", "deep-ensemble", None, 3.0, 3.03, 2.9, 3),
    ("deep ensemble of 5", "deep-ensemble", None, 5.0, 5.05, 5.2, 5),
    ("deep ensemble of 10", "deep-ensemble", None, 10.0, 9.97, 9.6, 10),
    ("short ensemble (members 4)", "short-ensemble", None, 1.0, 1.4, 1.9, 4),
    ("learned curve", "learned-curve", None, 1.0, 1.2, 1.3, 32),
    ("spro (vertices 3)", "spro", None, 1.34, 1.3, 1.4, 32),
    ("swag", "swag", None, 1.0, 1.15, 1.2, 32),
    ("snapshot ensemble", "snapshot", None, 1.0, 1.5, 2.0, 5),
    ("neighbours on deep-ensemble (members 2)", "deep-ensemble", "neighbours", 2.0, 3.61, 6.2, 100),
    ("trivial: 1 − Σp² scaled by two anchors", "deep-ensemble", "trivial", 2.0, math.nan, 3.4, 2),
)


def write_results(folder: Path, methods=METHODS, *, failures=True) -> Path:
    """Writes `folder/results` and returns `folder`."""
    rng = np.random.default_rng(7)
    results = folder / "results"
    results.mkdir(parents=True)
    table = _methods(methods, failures)
    table.to_parquet(results / "methods.parquet")
    _comparison(methods, rng).to_parquet(results / "comparison.parquet")
    _curves().to_parquet(results / "curves.parquet")
    u = _inputs(methods, rng, results)
    _reliability(methods, rng).to_parquet(results / "reliability.parquet")
    _uncertain(methods, rng, results, u)
    _landscape(results)
    seal(results, _study(methods, table, failures), _comparison(methods, rng))
    return folder


def _methods(methods, failures) -> pd.DataFrame:
    rows = []
    for i, (label, explorer, emulator, cost, _, _, members) in enumerate(methods):
        own = (
            {"members": members}
            if emulator is None
            else {"settings": {"members": 2}, "emulator_settings": {"neighbours": 40}}
        )
        rows.append(
            {
                "method": label,
                "explorer": explorer,
                "emulator": emulator,
                "cost": cost,
                "forward": 0.2 * i,
                "total": cost + 0.2 * i / 3,
                "seconds": 31.7 * cost,
                "emulator_seconds": 3.0 if emulator else 0.0,
                "relative_time": 1.1 * cost,
                "peak_memory": 4.1e8 + 1e7 * i,
                "stored_bytes": 930_000 * min(members, 10),
                "evaluations_per_input": members,
                "runs": 5,
                "failed": int(failures and explorer == "swag"),
                "is_retraining": explorer == "deep-ensemble" and emulator is None,
                "settings": json.dumps(own),
            }
        )
    return pd.DataFrame(rows)


def _comparison(methods, rng) -> pd.DataFrame:
    rows = []
    for label, _, emulator, cost, k_eq, k_u, members in methods:
        for name in [n for n, metric in FACTS.items() if issubclass(Classes, metric.of)]:
            if name in COSTS:
                continue
            value = _value(name, cost, k_eq, k_u, members, emulator, rng)
            half = abs(value) * (
                0.09
                if name.startswith(("k_", "dee", "eff", "u_eff"))
                else 0.004
                if name == "accuracy"
                else 0.05
            )
            low, high = value - half, value + half * 1.2
            if name in ("k_eq", "efficiency") and k_eq > 9:
                high = math.inf
            rows.append(
                {
                    "method": label,
                    "metric": name,
                    "value": value,
                    "low": low,
                    "high": high,
                    "bases": 5,
                    "undefined": math.isnan(value),
                }
            )
    return pd.DataFrame(rows)


def _value(name, cost, k_eq, k_u, members, emulator, rng) -> float:
    if emulator == "trivial" and name not in (
        "k_u",
        "u_efficiency",
        "u_error",
        "rank_correlation",
        "accuracy",
        "nll",
        "spread_ratio",
    ):
        return math.nan
    known = {
        "k_eq": k_eq,
        "gap": 1 / k_eq,
        "fair_gap": math.nan if members == 1 else 1 / k_eq - 1 / members,
        "k_u": k_u,
        "efficiency": k_eq / cost,
        "u_efficiency": k_u / cost,
        "accuracy": 0.87 + 0.01 * rng.random(),
        "nll": 0.42 - 0.02 * rng.random(),
        "brier": 0.19,
        "ece": 0.021,
        "spread_ratio": 0.3 + 0.7 * rng.random(),
        "coverage": math.nan if members == 1 else 0.4 + 0.5 * rng.random(),
        "dee_accuracy": 1 + rng.random() * 4,
        "ood_auroc_entropy": 0.9,
        "u_error": 0.9 / math.sqrt(k_u),
    }
    return known.get(name, 0.2 + 0.6 * rng.random())


def _curves() -> pd.DataFrame:
    shapes = {
        "accuracy": lambda k: 0.885 - 0.015 / k,
        "nll": lambda k: 0.39 + 0.05 / k,
        "brier": lambda k: 0.18 + 0.02 / k,
        "u_error": lambda k: 0.9 / math.sqrt(k),
    }
    return pd.DataFrame(
        [
            {"metric": m, "members": k, "value": f(k)}
            for m, f in shapes.items()
            for k in (1, 2, 3, 5, 10, 20)
        ]
    )


def _inputs(methods, rng, results) -> np.ndarray:
    truth = np.exp(rng.normal(-3.2, 1.2, INPUTS)).clip(1e-4, 0.6)
    parts = []
    for label, _, _, _, k_eq, _, members in methods:
        noise = np.exp(rng.normal(0, 1.0 / math.sqrt(k_eq if k_eq > 0 else 2), INPUTS))
        u = truth * noise * (0 if members == 1 else min(1, 0.25 * (1 + (k_eq if k_eq > 0 else 2))))
        parts.append(
            pd.DataFrame(
                {
                    "input": np.arange(INPUTS),
                    "label": rng.integers(0, CLASSES, INPUTS),
                    "method": label,
                    "u": u,
                    "u_reference": truth,
                    "correct": True,
                    "confidence": 1 - truth,
                }
            )
        )
    pd.concat(parts).to_parquet(results / "inputs.parquet")
    return truth


def _reliability(methods, rng) -> pd.DataFrame:
    rows = []
    for label, *_ in methods:
        for b in range(10):
            confidence = 0.35 + 0.065 * b
            rows.append(
                {
                    "method": label,
                    "bin": b,
                    "confidence": confidence,
                    "accuracy": min(1, confidence - 0.03 + 0.04 * rng.normal()),
                    "count": int(20 + 8 * b**1.7),
                }
            )
    return pd.DataFrame(rows)


def _uncertain(methods, rng, results, u) -> None:
    k, side = 12, 28
    y, x = np.mgrid[:side, :side] / side - 0.5
    images = np.stack(
        [255 * np.exp(-20 * (np.hypot(x, y * (1 + i / 9)) - 0.25) ** 2 * 9) for i in range(k)]
    )[:, None].astype(np.uint8)
    mean = rng.dirichlet(np.full(CLASSES, 0.4), k)
    std = 0.9 * np.sqrt(mean * (1 - mean)) * 0.7
    tensors = {
        "images": torch.tensor(images),
        "labels": torch.tensor(rng.integers(0, CLASSES, k)),
        "reference|mean": torch.tensor(mean),
        "reference|std": torch.tensor(std),
    }
    for label, *_, members in methods:
        tensors[f"{label}|mean"] = torch.tensor(mean)
        tensors[f"{label}|std"] = torch.tensor(std * (rng.random((k, 1)) if members > 1 else 0))
    names = [
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ]
    files.write_tensors(results / "uncertain.safetensors", tensors, {"class_names": names})


def _landscape(results) -> None:
    x, y = np.linspace(-4, 14, 25), np.linspace(-4, 12, 21)
    a, b, bend = np.array([0.0, 0.0]), np.array([10.0, 0.0]), np.array([5.0, 8.0])
    t = np.linspace(0, 1, 41)[:, None]
    path = (1 - t) ** 2 * a + 2 * t * (1 - t) * bend + t**2 * b
    grid = np.stack(np.meshgrid(x, y), -1)
    away = np.linalg.norm(grid[:, :, None] - path, axis=-1).min(-1)
    loss = 0.02 + 0.05 * away**2 + 0.002 * away**4
    tensors = {
        "x": x,
        "y": y,
        "train_loss": loss,
        "validation_error": (0.12 + 0.02 * away**1.7).clip(max=0.9),
        "points": np.stack([a, b, bend]),
        "path": path,
    }
    files.write_tensors(
        results / "landscape.safetensors",
        {name: torch.tensor(value) for name, value in tensors.items()},
        {
            "point_names": ["first end", "second end", "bend"],
            "about": "the ends and the bend of a learned Bézier curve (base 0)",
        },
    )


def _study(methods, table, failures) -> dict:
    lost = [
        {
            "run": f"{row.method}, base 3",
            "reason": "training diverged at step 412: the loss is not finite",
        }
        for row in table.itertuples()
        if row.failed
    ]
    return {
        "plan": {
            "name": "fashion-mlp",
            "title": "Fashion-MNIST, MLP",
            "data": {
                "name": "fashion-mnist",
                "train": 5000,
                "validation": 4000,
                "test": 2000,
                "batch_size": 128,
                "augment": False,
                "ood": "mnist",
                "ood_images": 500,
            },
            "model": {"name": "mlp", "hidden": [128, 128]},
            "recipe": {
                "epochs": 10,
                "learning_rate": 0.05,
                "momentum": 0.9,
                "weight_decay": 5e-4,
                "schedule": "cosine",
            },
            "protocol": {
                "seed": 0,
                "reference": 40,
                "pool": 20,
                "bases": 5,
                "sources": ["init", "order", "augmentation"],
                "draws": 32,
                "emulator_draws": 100,
                "replicates": 1000,
                "device": "cpu",
                "landscape": "learned-curve",
            },
            "methods": [],
        },
        "versions": {
            "python": "3.11.7",
            "thalweg": "0.1.0",
            "torch": "2.13.0+cpu",
            "numpy": "2.4.6",
        },
        "hardware": {
            "processor": "Synthetic CPU @ 2.10GHz",
            "cores": 2,
            "memory": 25_000_000_000,
            "accelerators": [],
        },
        "system": "Linux x86_64",
        "dates": {"started": "2025-03-01T08:15:00+00:00", "finished": "2025-03-01T09:47:12+00:00"},
        "failures": lost if failures else [],
        "counts": {
            "train": 5000,
            "validation": 4000,
            "test": 2000,
            "ood": 500,
            "classes": CLASSES,
            "parameters": 118_282,
            "runs": 5 * len(methods) + 60,
            "failed": len(lost) if failures else 0,
        },
        "shape": [1, 28, 28],
        "reproduce": [
            "thalweg study studies/fashion-mlp.toml",
            "thalweg report results/fashion-mlp",
        ],
    }


if __name__ == "__main__":
    import sys

    write_results(Path(sys.argv[1]))
