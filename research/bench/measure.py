"""Measuring: alternatives run in turn, again and again, so that what else the machine does meets
all of them alike.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from research.skeleton import ROOT

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        repeats: Timed rounds at most; one more comes before them and is not timed.
        seconds: Time for the timed rounds of one case: fewer of them where they take longer, but
            three at least.
        threads: Of torch.
        device: Where.
        quick: Tiny sizes, to try the commands.
    """

    repeats: int = 7
    seconds: float = 8.0
    threads: int = 1
    device: str = "cpu"
    quick: bool = False


def interleaved(
    alternatives: Mapping[str, Callable[[], Any]], settings: Settings, *, rounds: int | None = None
) -> dict[str, list[float]]:
    """Seconds of each alternative in every round: A B C, A B C, ...

    With `rounds` given just so many, and none before them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}

    def one_round() -> float:
        begin = time.perf_counter()
        for name, work in alternatives.items():
            seconds[name].append(timed(work, settings.device))
        return time.perf_counter() - begin

    if rounds is None:
        taken = one_round()  # what is slow but once: first calls, caches, workers that start
        rounds = min(settings.repeats, max(3, int(settings.seconds / taken)))
        for own in seconds.values():
            own.clear()
    for _ in range(rounds):
        one_round()
    return seconds


def timed(work: Callable[[], Any], device: str = "cpu") -> float:
    """Seconds."""
    begin = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def ratios(
    case: str, seconds: Mapping[str, list[float]], floor: str, targets: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Rows of a table: each alternative over the floor, round by round; median, quartiles, and the
    target where it has one.
    """
    rows = []
    for name, own in seconds.items():
        each = sorted(a / b for a, b in zip(own, seconds[floor], strict=True))
        quartiles = (
            statistics.quantiles(each, n=4, method="inclusive") if len(each) > 1 else [each[0]] * 3
        )
        rows.append(
            {
                "case": case,
                "what": name,
                "ratio": quartiles[1],
                "low": quartiles[0],
                "high": quartiles[2],
                "seconds": statistics.median(own),
                "rounds": len(own),
                "target": targets.get(name),
            }
        )
    print(
        f"  {case}: " + ", ".join(f"{row['what']} {row['ratio']:.2f}" for row in rows),
        file=sys.stderr,
        flush=True,
    )
    return rows


def in_fresh_process(code: str, threads: int = 1) -> dict[str, Any]:
    """What a piece of Python prints as JSON in its last line, run in a process of its own."""
    return json.loads(fresh_process("-c", code, threads=threads).strip().splitlines()[-1])


def fresh_process(*arguments: str, threads: int = 1) -> str:
    """What a process of its own prints: `python` with these arguments."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
    }
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def peak() -> int:
    """Largest memory of this process in bytes. (`getrusage` tells that of the process that started
    it, where it was larger.)
    """
    status = Path("/proc/self/status")
    if status.exists():
        return (
            next(
                int(line.split()[1])
                for line in status.read_text().splitlines()
                if line.startswith("VmHWM")
            )
            * 1024
        )
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def machine(settings: Settings) -> dict[str, Any]:
    """What was measured on."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ]
        model = names[0] if names else model
    gpu = torch.cuda.get_device_name() if settings.device.startswith("cuda") else None
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "gpu": gpu,
        "torch": torch.__version__,
        "threads": settings.threads,
        "device": settings.device,
        "repeats": settings.repeats,
        "quick": settings.quick,
        "date": datetime.now(UTC).date().isoformat(),
    }


def store(
    name: str, rows: list[dict[str, Any]], settings: Settings, folder: Path = RESULTS
) -> Path:
    """Writes a benchmark's rows, rounded to four digits."""

    def rounded(value: Any) -> Any:
        return float(f"{value:.4g}") if isinstance(value, float) else value

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    content = {
        "machine": machine(settings),
        "rows": [{k: rounded(v) for k, v in row.items()} for row in rows],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
