"""A study that takes a second: digits, 64 training images, two epochs, a network of 610
parameters.
"""

import copy
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from thalweg.study.compare import compare
from thalweg.study.context import StudyContext
from thalweg.study.plan import Plan, make_plan
from thalweg.study.run import run

PLAN = {
    "name": "tiny",
    "data": {
        "name": "digits",
        "train": 64,
        "validation": 40,
        "test": 60,
        "batch_size": 32,
        "ood_images": 20,
    },
    "model": {"name": "mlp", "hidden": [8]},
    "recipe": {"epochs": 2},
    "protocol": {
        "reference": 4,
        "pool": 2,
        "bases": 2,
        "draws": 4,
        "emulator_draws": 8,
        "replicates": 100,
        "landscape": "none",
    },
    "methods": [
        {"explorer": "deep-ensemble", "members": [1, 2]},
        {"explorer": "learned-line"},
        {"explorer": "deep-ensemble", "members": 2, "emulator": "neighbours"},
    ],
}
RUNS = 14  # references, pool, and four methods from two bases
TIMINGS = (
    "seconds",
    "peak_memory",
    "emulator_seconds",
    "relative_time",
)  # the columns that no two studies have in common


def raw(**changes) -> dict:
    """The plan's content; a table is changed key by key (None takes a key out), anything else is
    replaced.
    """
    content = copy.deepcopy(PLAN)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            content[key] = {k: v for k, v in (content[key] | value).items() if v is not None}
        else:
            content[key] = value
    return content


def plan(**changes) -> Plan:
    return make_plan(raw(**changes))


def study(
    folder: Path, *, jobs: int = 1, shard: tuple[int, int] = (1, 1), watch=None, **changes
) -> list[dict]:
    """Runs it and returns the records of failures."""
    return run(StudyContext(plan(**changes)), folder, jobs=jobs, shard=shard, progress=watch)


class Watch:
    """Keeps what a study tells."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def begin(self, preflight) -> None:
        self.preflight = preflight

    def step(self, task, record) -> None:
        self.titles.append(record["title"])


def again(folder: Path, **changes) -> list[str]:
    """Runs it and says what it had to do."""
    watch = Watch()
    study(folder, watch=watch, **changes)
    assert len(watch.titles) == len(watch.preflight.todo)
    return watch.titles


def table(folder: Path) -> pd.DataFrame:
    """The comparison, rebuilt from the runs."""
    compare(folder)
    return pd.read_parquet(folder / "results" / "comparison.parquet")


def predictions(folder: Path) -> dict[str, bytes]:
    """What was predicted, by file."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted((folder / "runs").rglob("*.safetensors"))
    }


def assert_same(first: Path, second: Path) -> None:
    """Bit-identical predictions, and tables that differ in nothing but timings."""
    assert predictions(first) == predictions(second)
    pd.testing.assert_frame_equal(table(first), table(second), check_exact=True)
    for name in ("methods", "curves", "inputs", "reliability"):
        one, two = (pd.read_parquet(f / "results" / f"{name}.parquet") for f in (first, second))
        kept = [c for c in one.columns if c not in TIMINGS]
        pd.testing.assert_frame_equal(one[kept], two[kept], check_exact=True)
    assert (first / "results/uncertain.safetensors").read_bytes() == (
        second / "results/uncertain.safetensors"
    ).read_bytes()


def write_toml(path: Path, content: dict) -> Path:
    """Writes a plan as a file."""
    lines = [
        f"{k} = {json.dumps(v)}"
        for k, v in content.items()
        if not isinstance(v, dict) and k != "methods"
    ]

    def add(name: str, values: dict) -> None:
        lines.append(f"[{name}]")
        lines.extend(f"{k} = {json.dumps(v)}" for k, v in values.items() if not isinstance(v, dict))
        for k, v in values.items():
            if isinstance(v, dict):
                add(f"{name}.{k}", v)

    for key, values in content.items():
        if isinstance(values, dict):
            add(key, values)
    for method in content.get("methods", []):
        lines += ["[[methods]]", *(f"{k} = {json.dumps(v)}" for k, v in method.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


class Killed(BaseException):
    """What kill -9 is to a test in one process."""


def killed_again_and_again(
    patched, seed: str, work: Callable[[], object], spoil=lambda handle: None
) -> int:
    """Does work that ends every few files, as if killed, until it comes to its own end; says how
    often it was killed.

    Args:
        patched: A context of pytest's monkeypatch.
        seed: Of the numbers of files.
        work: What is begun again and again.
        spoil: What happens to the file (its handle) at which it ends.
    """
    draws, real, kills = random.Random(seed), os.fsync, 0

    def limited(allowed: int) -> Callable[[int], None]:
        left = iter(range(allowed))

        def fsync(handle: int) -> None:
            if next(left, None) is None:
                spoil(handle)
                raise Killed
            real(handle)

        return fsync

    while True:
        patched.setattr(os, "fsync", limited(draws.randint(5, 12)))
        try:
            work()
            return kills
        except Killed:
            kills += 1
