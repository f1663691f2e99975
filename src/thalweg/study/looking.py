"""Measuring the landscape of a study's base 0, and storing it as `landscape.json` for a report."""

import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from thalweg import files
from thalweg.errors import InputError
from thalweg.landscape.path import Profile
from thalweg.meter import Meter
from thalweg.places import Place
from thalweg.study.environment import environment
from thalweg.study.landscape import (
    GRID,
    View,
    measured,
    opened,
    profiles,
    trainings,
    view_of,
    view_through,
)
from thalweg.study.mapping import mapped
from thalweg.study.store import Store
from thalweg.study.workers import one_thread
from thalweg.weights.distribution import load


def look(
    source: str | Place,
    *,
    through: str | None = None,
    weights: str | Place | None = None,
    output: str | Place | None = None,
    quick: bool = False,
    data_dir: Path | None = None,
    grid: int = GRID,
    trust: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Place:
    """Measures the landscape of a study's base 0 on a plane and along paths, and stores it.

    Args:
        source: A plan, or a study's folder. Trained networks are kept in the folder's `anchors`.
        through: What the plane goes through; None for the plan's choice.
        weights: The file of a weight distribution that the plane goes through instead.
        output: The folder for `landscape.json`; None for a folder inside the study's.
        quick: Whether the plan's short form is used.
        data_dir: The folder that is searched first for data files.
        grid: The number of points per side of the grid.
        trust: Whether a network that the plan names as `package.module:factory` may be imported.
        say: A function that is told about the progress.

    Returns:
        The folder of `landscape.json`.

    Raises:
        InputError: Something that was given can't be used. It is raised before anything is trained.
    """
    if through is not None and weights is not None:
        raise InputError(f"--through got '{through}' beside --weights {weights}, needs one of them")
    context, folder = opened(files.given(source), quick=quick, data_dir=data_dir, trust=trust)
    plan = context.plan
    asked = plan.protocol.landscape
    through = through or ("random" if asked == "none" else asked)
    stored = None if weights is None else load(weights)
    needed = trainings(plan, through) if stored is None else 0
    context.check()
    context.check_pictures(
        "landscape got a plan", "thalweg.landscape.profile measures paths of a regression"
    )
    name = through if weights is None else files.given(weights).stem
    output = files.given(output or folder / "landscape" / name)
    Store(output).check_writable()
    with one_thread():  # as in a study, to which these networks belong
        meter = Meter(context.problem("base 0", None).training_examples)
        if stored is None:
            say(f"networks: {needed:.2g} trainings, less the anchors that are stored ...")
            view = view_of(context, Store(folder), through, meter)
        else:
            view = view_through(context.problem("base 0", None), stored, f"points of {weights}")
        say(f"measuring {grid} x {grid} points ...")
        tensors, facts = measured(context, view, grid, meter)
        along = profiles(context, view, meter)
    files.write_json(
        output / "landscape.json",
        {
            **facts,
            "plan": plan.facts(),
            "trained_images": len(context.train.targets),
            "made": view.made,
            "unit": view.unit,
            "path_names": list(along),  # in the order of the pictures
            "chance": any(_is_chance(path, context.dataset.columns) for path in along.values()),
            "cost": {
                "trainings": meter.cost.trainings,
                "forward_trainings": meter.cost.forward_trainings,
                "total": meter.cost.total,
            },
            "versions": environment()["versions"],
            "plane": {name: tensor.tolist() for name, tensor in tensors.items()},
            "paths": {name: _numbers(path) for name, path in along.items()},
            "functions": _numbers_of_map(view),
        },
    )
    return output


def _is_chance(profile: Profile, classes: int) -> bool:
    """Whether both ends have a loss above 0.9 log(classes), which is that of random guessing."""
    return bool(profile.loss[[0, -1]].min() > 0.9 * math.log(classes))


def _numbers_of_map(view: View) -> dict[str, Any] | None:
    """Returns the map of a view's functions, for JSON, or None where it has none."""
    found = mapped(view)
    if found is None:
        return None
    return {
        "points": {name: part.tolist() for name, part in found.points.items()},
        "group_names": list(found.points),
        "chained": list(view.chained),
        "shown": found.shown,
        "inputs": found.inputs,
    }


def _numbers(profile: Profile) -> dict[str, Any]:
    """Returns what was measured along a path, for JSON."""
    columns = {f.name: getattr(profile, f.name).tolist() for f in fields(profile)}
    return {"barrier": profile.barrier, "highest_loss": profile.highest, **columns}
