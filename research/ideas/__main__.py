"""What moves the centre: `python -m research.ideas studies/fashion-mlp.toml` measures, and `python
-m research.ideas page` fills the tables of docs.

`python -m research.ideas recipes` measures whether the check of quantify notices a recipe told
wrongly (`research.ideas.recipes`), `python -m research.ideas loops` whether u is right where the
user's own loop trains (`research.ideas.loops`). Measured numbers go to research/ideas/results, one
JSON file a plan, written as it goes; the tables of docs are made of them.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from research.ideas import loops, page, recipes
from research.ideas.centre import Pair, Truth
from research.ideas.kinds import KINDS, copies
from research.ideas.tasks import TASKS
from research.skeleton import kept, parser, put, run
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
    begun = {"name": plan.name, "title": plan.title, "plan": path.name, "kinds": {}}
    found = kept(file, identity, begun)
    missing = [
        name for name in wanted if len(found["kinds"].get(name, {}).get("bases", [])) < bases
    ]
    if not missing:
        return
    test = context.loader(context.splits.test)
    held_out = context.problem("reference", store)
    retrainings = predict(held_out, Members(train_anchors(held_out, plan.protocol.reference)), test)
    truth = Truth.of(retrainings.probs().double())
    facts = {"reference": truth.size, "variance": truth.variance, "inputs": len(test.inputs)}
    found = {**facts, **found}
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
    names = (
        "plans (TOML); 'recipes' tries recipes told wrongly; 'loops' tries own loops; 'page' fills "
        "the tables of docs"
    )
    options = parser("ideas", "What moves the centre.", names, page.RESULTS)
    options.add_argument("--bases", type=int, default=10)
    for name, known in (("tasks", TASKS), ("kinds", KINDS), ("loops", loops.LOOPS)):
        options.add_argument(
            f"--{name}",
            nargs="+",
            choices=list(known),
            default=list(known),
            help="some of them only",
            metavar=name.upper().removesuffix("S"),
        )
    return run(options, arguments, work)


def work(given: argparse.Namespace) -> int:
    """Does what the command line says."""
    if given.bases < 2:
        raise InputError(f"--bases got {given.bases}, needs 2 or more")
    for name in given.names:
        if name == "page":
            if put(page.stale(given.results), check=given.check):
                return 1
        elif name == "recipes":
            recipes.measure(given.results / "recipes", Path("results") / "recipes", given.tasks)
        elif name == "loops":
            loops.measure(given.results / "loops", Path("results") / "loops", given.loops)
        else:
            own = {"quick": given.quick, "data_dir": given.data_dir}
            measure(Path(name), given.bases, given.results, given.kinds, **own)
    return 0


if __name__ == "__main__":
    sys.exit(main())
