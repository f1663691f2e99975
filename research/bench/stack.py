"""Many retrainings as one stacked module: for a GPU.

The network and recipe are those of studies/cifar10-fast.toml.
"""

import time
from dataclasses import replace
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from research.bench.measure import Settings
from thalweg import Batches, Execution, Problem, Recipe
from thalweg.data.augmentation import Augmentation
from thalweg.data.preparation import Prepare
from thalweg.meter import Meter
from thalweg.models.resnet9 import resnet9
from thalweg.training.anchors import train_anchors


def stack(settings: Settings) -> list[dict]:
    """64 retrainings of a ResNet-9, stacked by 1, 4, 16, 64: samples a second, and the share of the
    measured matrix peak.
    """
    gpu = settings.device.startswith("cuda")
    members, width, examples, epochs, batch = (
        (64, 64, 50_000, 0.5, 512) if gpu else (4, 8, 256, 1.0, 64)
    )
    precision = "bfloat16" if gpu else "float32"
    random = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (examples, 3, 32, 32), dtype=torch.uint8, generator=random)
    batches = Batches(
        x,
        torch.randint(0, 10, (examples,), generator=random),
        batch,
        prepare=Prepare((0.5,) * 3, (0.25,) * 3),
        augment=Augmentation(padding=4),
    )
    recipe = Recipe(
        epochs=epochs,
        lr=0.4,
        nesterov=True,
        schedule="linear",
        warmup=0.2,
        label_smoothing=0.2,
        precision=precision,
    )
    peak, rows = _matrix_peak(settings.device, precision), []
    with FlopCounterMode(display=False) as counted:
        resnet9((3, 32, 32), 10, width=width)(torch.zeros(2, 3, 32, 32)).sum().backward()
    flops = counted.get_total_flops() / 2
    sizes = (1, 4, 16, 64) if gpu else (1, 2, 4)
    for size, mode in [
        *((size, "no") for size in sizes),
        *([(16, "default"), (16, "reduce-overhead")] if gpu else []),
    ]:
        execution = Execution(device=settings.device, stack=size, compile=mode)
        model = partial(resnet9, (3, 32, 32), 10, width=width)
        problem = Problem(model, batches, recipe, seed=size, execution=execution)
        short = replace(recipe, epochs=3 / len(batches))
        train_anchors(
            replace(problem, recipe=short, meter=Meter()), size
        )  # first calls load and choose kernels
        if gpu:
            torch.cuda.synchronize()
        begin = time.perf_counter()
        train_anchors(problem, members)
        if gpu:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - begin
        rate = members * problem.training_examples / seconds
        what = f"stack = {size}" + ("" if mode == "no" else f", compile {mode}")
        rows.append(
            {
                "case": f"{members} retrainings, {epochs:g} epochs",
                "what": what,
                "seconds": seconds,
                "samples_per_second": rate,
                "share_of_peak": rate * flops / peak,
            }
        )
    return rows


def _matrix_peak(device: str, precision: str) -> float:
    """FLOPs a second of a large product."""
    n = 8192 if device.startswith("cuda") else 1024
    a = torch.randn(n, n, device=device, dtype=getattr(torch, precision))
    best = 0.0
    for _ in range(5):
        begin = time.perf_counter()
        a @ a
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        best = max(best, 2 * n**3 / (time.perf_counter() - begin))
    return best
