"""Facts of the papers, reproduced in kind: `python -m papers studies/fashion-cnn.toml` measures,
`python -m papers page` writes.

Measured numbers go to papers/results, one JSON file a plan, written as it goes; docs/papers.md is
made of them.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from papers import page
from papers.facts import FACTS
from thalweg import files
from thalweg.errors import InputError
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
    found = json.loads(file.read_text()) if file.exists() else {}
    if found.get("identity", identity) != identity:
        raise InputError(
            f"{file} was measured with another plan, torch or version of thalweg: move it away "
            "to measure anew"
        )
    if not found:
        found = {
            "title": plan.title,
            "plan": path.name,
            "identity": identity,
            "torch": torch.__version__,
            "bases": {},
        }
    for base in range(bases):
        own = found["bases"].setdefault(str(base), {})
        for name in [name for name in wanted if name not in own]:
            begin = now()
            own[name] = FACTS[name](context, store, base)
            files.write_json(file, found)
            print(f"{plan.name}, base {base}, {name}: {now() - begin:.0f} s", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m papers", description="Facts of the papers, reproduced in kind."
    )
    parser.add_argument("names", nargs="+", help="plans (TOML); 'page' writes docs/papers.md")
    parser.add_argument("--bases", type=int, default=3)
    parser.add_argument(
        "--facts", nargs="+", choices=list(FACTS), default=list(FACTS), help="some of them only"
    )
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--results", type=Path, default=page.RESULTS)
    parser.add_argument("--quick", action="store_true", help="the plans' short form")
    parser.add_argument(
        "--check", action="store_true", help="with page: only say whether it is up to date"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        return run(given)
    except InputError as error:
        print(f"papers: {error}", file=sys.stderr)
        return 2


def run(given: argparse.Namespace) -> int:
    """Does what the command line says."""
    if given.quick and given.results == page.RESULTS:
        raise InputError(
            "--quick got no --results: give another folder, what is measured quickly is not for "
            "the page"
        )
    for name in given.names:
        if name == "page":
            if given.check:
                return 0 if page.is_up_to_date(given.results) else 1
            page.write(given.results)
        else:
            measure(
                Path(name),
                given.bases,
                given.results,
                given.facts,
                quick=given.quick,
                data_dir=given.data_dir,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
