"""What moves the centre: `python -m ideas studies/fashion-mlp.toml` measures, `python -m ideas
page` fills the tables of docs.

`python -m ideas recipes` measures whether the check of quantify notices a recipe told wrongly
(`ideas.recipes`). Measured numbers go to ideas/results, one JSON file a plan, written as it goes;
the tables of docs are made of them.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ideas import page, recipes
from ideas.centre import Pair, Truth
from ideas.kinds import KINDS, copies
from ideas.tasks import TASKS
from thalweg import files
from thalweg.errors import InputError
from thalweg.meter import now
from thalweg.predicting import predict
from thalweg.study.context import StudyContext, fingerprint_of
from thalweg.study.plan import read_plan
from thalweg.study.store import Store
from thalweg.training.anchors import train_anchors
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members


def measure(
    path: Path,
    bases: int,
    results: Path,
    wanted: Sequence[str],
    *,
    quick: bool,
    data_dir: Path | None,
) -> None:
    """Measures what is not in the results yet."""
    plan = read_plan(path, quick=quick)
    context, store = StudyContext(plan, data_dir), Store(Path("results") / plan.name)
    context.check()
    file = results / f"{plan.name}.json"
    identity = fingerprint_of(
        [context.identity_of_predictions, plan.facts()["recipe"], plan.protocol.reference]
    )
    found = json.loads(file.read_text()) if file.exists() else {}
    if found.get("identity", identity) != identity:
        raise InputError(
            f"{file} was measured with another plan, torch or version of thalweg: move it away "
            "to measure anew"
        )
    missing = [
        name
        for name in wanted
        if len(found.get("kinds", {}).get(name, {}).get("bases", [])) < bases
    ]
    if not missing:
        return
    test = context.loader(context.splits.test)
    held_out = context.problem("reference", store)
    retrainings = predict(held_out, Members(train_anchors(held_out, plan.protocol.reference)), test)
    truth = Truth.of(retrainings.probs().double())
    if not found:
        found = {
            "name": plan.name,
            "title": plan.title,
            "plan": path.name,
            "identity": identity,
            "torch": torch.__version__,
            "reference": truth.size,
            "variance": truth.variance,
            "inputs": len(test.inputs),
            "kinds": {},
        }
    problems = [context.problem(f"base {base}", store) for base in range(bases)]
    for name in missing:
        begin = now()
        found["kinds"][name] = row(name, problems, test, truth)
        files.write_json(file, found)
        print(f"{plan.name}, {name}: {now() - begin:.0f} s", flush=True)


def row(name: str, problems: Sequence[Problem], test: Batches, truth: Truth) -> dict[str, Any]:
    """All that is measured of a kind."""
    made = [copies(name, problem, test) for problem in problems]
    groups = torch.stack([found for found, _ in made])  # [bases, copies, inputs, classes]
    var, bias2 = truth.moments(groups if KINDS[name].anchors else groups.flatten(0, 1)[:, None])
    pairs = []
    for problem, beside in zip(problems, groups.mean(1), strict=True):
        anchor = predict(problem, problem.anchor(0), test).mean().double()
        pairs.append(
            Pair(
                truth.shared(anchor, anchor),
                truth.shared(beside, beside),
                truth.shared(anchor, beside),
            )
        )
    return {
        "cost": sum(cost for _, cost in made) / len(made),
        "copies": groups.shape[1],
        "var": var,
        "bias2": bias2,
        "bases": [asdict(pair) for pair in pairs],
    }


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser("python -m ideas", description="What moves the centre.")
    parser.add_argument(
        "names",
        nargs="+",
        help="plans (TOML); 'recipes' tries recipes told wrongly; 'page' fills the tables of docs",
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        choices=list(TASKS),
        default=list(TASKS),
        help="recipes: some only",
        metavar="TASK",
    )
    parser.add_argument("--bases", type=int, default=10)
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=list(KINDS),
        default=list(KINDS),
        help="some of them only",
        metavar="KIND",
    )
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--results", type=Path, default=page.RESULTS)
    parser.add_argument("--quick", action="store_true", help="the plans' short form")
    parser.add_argument(
        "--check", action="store_true", help="with page: only say whether the tables are up to date"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        return run(given)
    except InputError as error:
        print(f"ideas: {error}", file=sys.stderr)
        return 2


def run(given: argparse.Namespace) -> int:
    """Does what the command line says."""
    if given.bases < 2:
        raise InputError(f"--bases got {given.bases}, needs 2 or more")
    if given.quick and given.results == page.RESULTS:
        raise InputError(
            "--quick got no --results: give another folder, what is measured quickly is not for "
            "the pages"
        )
    for name in given.names:
        if name == "page":
            stale = page.stale(given.results)
            if given.check:
                return 1 if stale else 0
            for path, text in stale.items():
                files.write_bytes(path, text.encode())
        elif name == "recipes":
            recipes.measure(given.results / "recipes", Path("results") / "recipes", given.tasks)
        else:
            measure(
                Path(name),
                given.bases,
                given.results,
                given.kinds,
                quick=given.quick,
                data_dir=given.data_dir,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
