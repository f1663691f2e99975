"""Facts of the papers, reproduced in kind: `python -m research.papers studies/fashion-cnn.toml`
measures,
`python -m research.papers page` writes.

Measured numbers go to research/papers/results, one JSON file a plan, written as it goes;
docs/papers.md is made of them.
"""

import argparse
import sys
from pathlib import Path

from research.papers import page
from research.papers.facts import FACTS
from research.skeleton import kept, parser, put, run
from thalweg import files
from thalweg.meter import now
from thalweg.study.context import StudyContext, fingerprint_of
from thalweg.study.plan import read_plan
from thalweg.study.store import Store


def measure(
    path: Path, bases: int, results: Path, wanted: list[str], *, quick: bool, data_dir: Path | None
) -> None:
    """Measures what is not in the results yet."""
    plan = read_plan(path, quick=quick)
    context, store = StudyContext(plan, data_dir), Store(Path("results") / plan.name)
    context.check()
    file = results / f"{plan.name}.json"
    identity = fingerprint_of([context.identity_of_predictions, plan.facts()["recipe"]])
    found = kept(file, identity, {"title": plan.title, "plan": path.name, "bases": {}})
    for base in range(bases):
        own = found["bases"].setdefault(str(base), {})
        for name in [name for name in wanted if name not in own]:
            begin = now()
            own[name] = FACTS[name](context, store, base)
            files.write_json(file, found)
            print(f"{plan.name}, base {base}, {name}: {now() - begin:.0f} s", flush=True)


def main(arguments: list[str] | None = None) -> int:
    about = "Facts of the papers, reproduced in kind."
    options = parser("papers", about, "plans (TOML); 'page' writes docs/papers.md", page.RESULTS)
    options.add_argument("--bases", type=int, default=3)
    options.add_argument(
        "--facts", nargs="+", choices=list(FACTS), default=list(FACTS), help="some of them only"
    )
    return run(options, arguments, work)


def work(given: argparse.Namespace) -> int:
    """Does what the command line says."""
    for name in given.names:
        if name != "page":
            own = {"quick": given.quick, "data_dir": given.data_dir}
            measure(Path(name), given.bases, given.results, given.facts, **own)
        elif put({page.PAGE: page.text(given.results)}, check=given.check):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
