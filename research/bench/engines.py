"""What thalweg adds to Ray: `python -m research.bench.engines` times 1,000 tasks of 10 ms beside
Ray alone, with one worker and more, up to the cores of this machine.

Both have the same Ray, its workers have started, and take turns. The overhead of a task is what a
worker's time has beyond the 10 ms that the task sleeps; a part of it is the machine's other work.
"""

import argparse
import os
import statistics
import time

from research.bench.measure import Settings, interleaved, store
from research.skeleton import ROOT
from thalweg.engines import Ray, cluster

LASTS = 0.01  # seconds


def sleep(_: None, item: int) -> int:
    time.sleep(LASTS)
    return item


def measure(workers: int, tasks: int, rounds: int) -> list[dict]:
    """Rows: Ray alone, and by thalweg, with so many workers."""
    import ray

    cluster._cores = lambda: workers
    cluster.connect(None, None)
    engine, alone = Ray(memory=0), ray.remote(sleep)
    work = {
        "Ray alone": lambda: ray.get([alone.remote(None, k) for k in range(tasks)]),
        "thalweg": lambda: list(engine.map(sleep, None, [range(tasks)])),
    }
    for begin in work.values():
        begin()  # workers start, and import what they need
    seconds = interleaved(work, Settings(), rounds=rounds)
    ray.shutdown()
    return [
        {
            "case": f"{workers} worker{'s' * (workers > 1)}",
            "what": name,
            "seconds": statistics.median(own),
            "slowest": max(own),
            "rounds": len(own),
            "tasks": tasks,
            "tasks a second": tasks / statistics.median(own),
            "overhead, ms a task": 1000 * (statistics.median(own) * workers / tasks - LASTS),
        }
        for name, own in seconds.items()
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m research.bench.engines", description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--quick", action="store_true", help="30 tasks, one worker; nothing is written"
    )
    given = parser.parse_args(arguments)
    cores = len(os.sched_getaffinity(0))
    counts = [1] if given.quick else [n for n in (1, 2, 4, 8, 16, 32, cores) if n <= cores]
    tasks, rounds = (30, 1) if given.quick else (given.tasks, given.rounds)
    rows = []
    for workers in sorted(set(counts)):
        rows += measure(workers, tasks, rounds)
        for row in rows[-2:]:
            print(
                f"{row['case']}, {row['what']}: {row['seconds']:.2f} s, "
                f"{row['overhead, ms a task']:.2f} ms a task beyond its 10 ms",
                flush=True,
            )
    if not given.quick:
        print(f"written to {store('engines', rows, Settings(repeats=rounds)).relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
