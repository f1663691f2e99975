"""Ensembles: members in processes of one thread each, and stacked as one module, against one plain training after the other."""

import time

import torch

from bench.cases import CASES, QUICK
from bench.measure import Settings, interleaved, ratios
from thalweg.training.together import anchors


def ensembles(settings: Settings) -> list[dict]:
    """Four members on two cores against four plain trainings, at the better of one and two threads (0.6 for MLPs, else 1.0)."""
    rows, seed = [], 0
    for name, case in (QUICK if settings.quick else CASES).items():
        plain = case.plain()

        def sequential(threads: int, members: int, plain=plain) -> None:
            torch.set_num_threads(threads)
            for _ in range(members):
                plain()
            torch.set_num_threads(1)

        def together(members: int, case=case, **how) -> None:
            nonlocal seed
            seed += 1
            anchors(case.problem(seed=seed, **how), members)

        begin = time.perf_counter()
        if name == "digits":
            together(4, jobs=2)  # the workers start
        cold = time.perf_counter() - begin
        for members in (4, 16, 64) if name == "digits" and not settings.quick else (4,):
            alternatives = {
                "plain, 1 thread": lambda members=members: sequential(1, members),
                "plain, 2 threads": lambda members=members: sequential(2, members),
                "jobs = 2": lambda members=members: together(members, jobs=2),
            }
            if name in ("digits", "mnist-cnn"):
                alternatives[f"stack = {members}"] = lambda members=members: together(members, stack=members)
            own = Settings(max(1, settings.repeats // (3 if members > 4 else 1)), quick=settings.quick)
            seconds = interleaved(alternatives, own)
            seconds["plain, the better"] = [min(a, b) for a, b in zip(seconds["plain, 1 thread"], seconds["plain, 2 threads"],
                                                                       strict=True)]
            if name == "digits" and members == 4:
                seconds["jobs = 2, workers not yet started"] = [cold] * len(seconds["jobs = 2"])
            target = {"jobs = 2": 0.6 if case.mlp else 1.0} if members == 4 else {}
            rows += ratios(f"{name}, {members} members", seconds, "plain, the better", target)
    return rows
