"""Ensembles: members in processes of one thread each, and stacked as one module, against one plain
training after the other.
"""

import statistics
from dataclasses import replace

import torch

from research.bench.cases import CASES, QUICK, Case
from research.bench.measure import Settings, interleaved, ratios, timed
from thalweg.processes.crew import dismiss
from thalweg.training.anchors import train_anchors
from thalweg.training.execution import Execution

# of the epochs: four members take four times as long
SHARES = {"mnist-mlp": 1 / 2, "mnist-cnn": 1 / 2, "cifar-resnet20": 1 / 4, "cifar-wrn16-4": 1 / 2}
PLAIN = {"plain, 1 thread": 1, "plain, 2 threads": 2}


def ensembles(settings: Settings) -> list[dict]:
    """Four members on two cores against four plain trainings, at the better of one and two threads
    (0.6 for MLPs, else 1.0).
    """
    rows, better = [], {}
    for name, case in (QUICK if settings.quick else CASES).items():
        case = replace(case, epochs=case.epochs * SHARES.get(name, 1))
        alternatives = _alternatives(case, 4)
        if name not in ("digits", "mnist-cnn"):
            del alternatives["stack = 4"]
        _leave_out_the_slower(alternatives, _alternatives(case, 1))
        seconds = interleaved(alternatives, settings)
        better[name] = min(
            PLAIN.keys() & seconds.keys(), key=lambda plain: statistics.median(seconds[plain])
        )
        rows += ratios(
            f"{name}, 4 members", seconds, better[name], {"jobs = 2": 0.6 if case.mlp else 1.0}
        )
        if name == "digits":
            floor = seconds[better[name]][:3]
            cold = [
                timed(lambda work=alternatives["jobs = 2"]: _without_workers(work)) for _ in floor
            ]
            both = {better[name]: floor, "jobs = 2, workers start first": cold}
            rows += ratios(f"{name}, 4 members", both, better[name], {})[1:]
    for members, rounds in () if settings.quick else ((16, 2), (64, 1)):
        alternatives = _alternatives(CASES["digits"], members)
        seconds = interleaved(
            {name: alternatives[name] for name in (better["digits"], "jobs = 2")},
            settings,
            rounds=rounds,
        )
        rows += ratios(f"digits, {members} members", seconds, better["digits"], {})
    return rows


def _alternatives(case: Case, members: int) -> dict:
    plain, problem = case.plain(), case.problem()
    seeds = iter(range(1, 10**6))

    def sequential(threads: int) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        for _ in range(members):
            plain()
        torch.set_num_threads(before)

    def together(**how) -> None:
        train_anchors(
            replace(problem, seed=next(seeds), execution=Execution(**how)), members
        )  # another seed, or they would be in memory

    found = {name: lambda threads=threads: sequential(threads) for name, threads in PLAIN.items()}
    return found | {
        "jobs = 2": lambda: together(jobs=2),
        f"stack = {members}": lambda: together(stack=members),
    }


def _leave_out_the_slower(alternatives: dict, single: dict) -> None:
    """The plain loop that is clearly not the better one: where other work is on the cores, two
    threads can wait long.
    """
    once = {}
    for name in PLAIN:
        single[name]()
        once[name] = timed(single[name])
    for name, own in once.items():
        if own > 2 * min(once.values()):
            del alternatives[name]


def _without_workers(work) -> None:
    dismiss()
    work()
