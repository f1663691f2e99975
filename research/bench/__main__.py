"""The command: `python -m research.bench` lists the benchmarks, with their names it runs them.

`python -m research.bench all page` is `make bench`.
"""

import argparse
import sys
import time

import torch

from research.bench import (
    ensembles,
    looking,
    metrics,
    page,
    predicting,
    quantifier,
    scaling,
    stack,
    training,
)
from research.bench.measure import Settings, store
from research.skeleton import ROOT

BENCHMARKS = {
    function.__name__: function
    for function in (
        training.training,
        looking.looking,
        ensembles.ensembles,
        training.simplex,
        training.spro,
        training.swag,
        predicting.draws,
        predicting.refreshing,
        predicting.refresh,
        quantifier.quantifier,
        metrics.k_eq,
        metrics.imports,
        metrics.memory,
        scaling.scaling,
        stack.stack,
    )
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m research.bench", description="Speed of thalweg beside plain PyTorch, in one run."
    )
    parser.add_argument(
        "names",
        nargs="*",
        help="benchmarks; 'all' for those of this device; 'page' writes docs/performance.md",
    )
    parser.add_argument("--repeats", type=int, default=7, help="timed rounds, at most")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to try the commands; nothing is written"
    )
    parser.add_argument(
        "--check", action="store_true", help="with page: only say whether it is up to date"
    )
    given = parser.parse_args(arguments)
    if not given.names:
        for name, function in BENCHMARKS.items():
            print(f"{name:12s} {function.__doc__}")
        return 0
    repeats = 1 if given.quick else given.repeats
    settings = Settings(
        repeats=repeats, threads=given.threads, device=given.device, quick=given.quick
    )
    torch.set_num_threads(given.threads)
    applying = (
        ["stack"] if given.device != "cpu" else [name for name in BENCHMARKS if name != "stack"]
    )
    names = [n for name in given.names for n in (applying if name == "all" else [name])]
    unknown = [name for name in names if name not in BENCHMARKS and name != "page"]
    if unknown:
        parser.error(
            f"unknown benchmark '{unknown[0]}' (known: {', '.join(BENCHMARKS)}, all, page)"
        )
    for name in names:
        if name == "page":
            if given.check:
                return 0 if page.is_up_to_date() else 1
            page.write()
            continue
        print(f"{name}: {BENCHMARKS[name].__doc__}", flush=True)
        begin = time.perf_counter()
        rows = BENCHMARKS[name](settings)
        for line in page.lines(rows):
            print(f"  {line}")
        if rows and not given.quick:
            print(f"  written to {store(name, rows, settings).relative_to(ROOT)}")
        print(f"  took {time.perf_counter() - begin:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
