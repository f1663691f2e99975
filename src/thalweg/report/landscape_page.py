"""The pictures of `thalweg landscape`: a plane and the paths on it, as files to print and as a page
to turn them around.
"""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from thalweg import files
from thalweg.errors import InputError
from thalweg.landscape.path import Profile
from thalweg.meter import Cost, Meter
from thalweg.report import landscape, landscape_live
from thalweg.report.blocks import Content, Pairs, Picture, Section, bold
from thalweg.report.extras import extra
from thalweg.report.figures import STYLE, unseen_glyphs
from thalweg.report.html import html
from thalweg.report.results import Landscape
from thalweg.study.context import StudyContext
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
from thalweg.study.store import Store
from thalweg.study.workers import one_thread
from thalweg.weights.distribution import load

CHANCE = (
    "These networks predict no better than by chance, so that their barriers mean nothing: give "
    "them more epochs."
)


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        paths: The files.
        profiles: What was found along paths, by their names.
        cost: Of all of it, stored anchors included.
        chance: Whether both ends of a path are networks that predict no better than by chance.
    """

    paths: tuple[Path, ...]
    profiles: Mapping[str, Profile]
    cost: Cost
    chance: bool


def draw(
    source: Path,
    *,
    through: str | None = None,
    weights: Path | None = None,
    output: Path | None = None,
    quick: bool = False,
    data_dir: Path | None = None,
    grid: int = GRID,
    trust: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Drawn:
    """Draws the landscape of a study's base 0.

    Args:
        source: A plan, or a study's folder. Trained networks are kept in the folder's `anchors`.
        through: What the plane goes through; what the plan asks for if None.
        weights: A stored weight distribution that the plane goes through instead.
        output: Where the pictures go; into the study's folder if None.
        quick: The plan's short form.
        data_dir: Where data files are looked for first.
        grid: Points a side.
        trust: Whether a network that the plan names as `package.module:factory` may be imported.
        say: Told what goes on.

    Raises:
        InputError: Something that was given can't be used; found before anything is trained.
    """
    if through is not None and weights is not None:
        raise InputError(f"--through got '{through}' beside --weights {weights}, needs one of them")
    context, folder = opened(files.given(source), quick=quick, data_dir=data_dir, trust=trust)
    asked = context.plan.protocol.landscape
    through = through or ("random" if asked == "none" else asked)
    found = None if weights is None else load(weights)
    needed = trainings(context.plan, through) if found is None else 0
    extra("plotly.graph_objects")  # said before the work
    context.check()
    output = files.given(
        output or folder / "landscape" / (through if weights is None else weights.stem)
    )
    Store(output).check_writable()
    with one_thread():  # as in a study, whose networks these are
        meter = Meter(context.problem("base 0", None).training_examples)
        if found is None:
            say(f"networks: {needed:.2g} trainings, less the anchors that are stored ...")
            view = view_of(context, Store(folder), through, meter)
        else:
            view = view_through(context.problem("base 0", None), found, f"points of {weights}")
        say(f"looking at {grid} x {grid} points ...")
        tensors, facts = measured(context, view, grid, meter)
        along = profiles(context, view, meter)
    chance = any(_is_chance(own, context.dataset.classes) for own in along.values())
    files.write_json(
        output / "landscape.json",
        {
            **facts,
            "plan": context.plan.facts(),
            "unit": view.unit,
            "chance": chance,
            "cost": {
                "trainings": meter.cost.trainings,
                "forward_trainings": meter.cost.forward_trainings,
                "total": meter.cost.total,
            },
            "plane": {name: tensor.tolist() for name, tensor in tensors.items()},
            "paths": {name: _numbers(own) for name, own in along.items()},
        },
    )
    x, y, loss, error, points, path = (t.double().numpy() for t in tensors.values())
    shown = Landscape(
        x, y, loss, error, "validation error", points, tuple(view.names), path, facts["about"]
    )
    pictures = {"landscape": landscape.plane(shown, view.unit)} | (
        {"paths": landscape.along(along)} if along else {}
    )
    paths = [
        _printed(figure, output / f"{name}.{kind}")
        for name, figure in pictures.items()
        for kind in ("png", "svg")
    ]
    paths += [output / "landscape.html", output / "landscape.json"]
    drawn = Drawn(tuple(paths), along, meter.cost, chance)
    files.write_bytes(
        paths[-2], html(_content(context, shown, view, facts, drawn, pictures)).encode()
    )
    return drawn


def _is_chance(found: Profile, classes: int) -> bool:
    """Whether the path's ends have the loss of networks that know nothing, log(classes), within a
    tenth.
    """
    return bool(found.loss[[0, -1]].min() > 0.9 * math.log(classes))


def _printed(figure: Figure, path: Path) -> Path:
    """Writes a figure on white, which is legible wherever it is put; the same figure gives the same
    file.
    """
    buffer = io.BytesIO()
    kind = path.suffix[1:]
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": path.stem}), unseen_glyphs():
        undated = {"Date": None} if kind == "svg" else None
        figure.savefig(buffer, format=kind, facecolor="white", dpi=200, metadata=undated)
    files.write_bytes(path, buffer.getvalue())
    return path


def _numbers(found: Profile) -> dict[str, Any]:
    """What was found along a path, for JSON."""
    columns = {f.name: getattr(found, f.name).tolist() for f in fields(found)}
    return {"barrier": found.barrier, "highest_loss": found.highest, **columns}


def _content(
    context: StudyContext,
    shown: Landscape,
    view: View,
    facts: Mapping[str, Any],
    drawn: Drawn,
    pictures: Mapping[str, Figure],
) -> Content:
    plan, along, unit = context.plan, drawn.profiles, view.unit
    images = (
        f"Loss: mean cross-entropy on {facts['training_images']} training images, on which "
        "batch-norm statistics are estimated too. Error: share of wrong answers among "
        f"{facts['validation_images']} validation images.")  # fmt: skip
    sections = [Section("The plane", (
        Picture("surface",
            f"Training loss on the plane through {shown.about}, on a logarithmic scale, with "
            "contours: drag to turn, scroll to come nearer, point at the surface for its "
            "numbers.", pictures["landscape"],
                landscape_live.surface(shown, unit)),
        Picture("contours",
            "The same from above, with the validation error. Both on logarithmic scales. "
            f"{images}",
                pictures["landscape"], landscape_live.contours(shown, unit)),
    ))]  # fmt: skip
    if along:
        caption = (
            "Training loss along paths, at even positions, with error and disagreement under "
            "the pointer. The barrier is the largest rise of the loss above the line between "
            "its values at the ends. An input changes class where another one is predicted than "
            "at the path's first end.")  # fmt: skip
        sections.append(Section("Along paths", (
            Picture("paths", caption, pictures["paths"], landscape_live.along(along)),
            Pairs(tuple((name, _sentence(found)) for name, found in along.items())),
        )))  # fmt: skip
    versions = environment()["versions"]
    made = [
        ("Plan", f"{plan.title} ({plan.name}), base 0, seed {plan.protocol.seed}."),
        ("Network", plan.model.name),
        (
            "Trainings",
            f"{plan.recipe.epochs:g} epochs of {len(context.train.targets)} images each.",
        ),
        ("Images", images),
        (
            "Cost",
            f"{drawn.cost.trainings:.2f} trainings, stored ones included; "
            f"{drawn.cost.total:.2f} with forward evaluations, at a third.",
        ),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    if view.made:
        made.insert(3, ("Curve", view.made))
    if along:
        made.insert(
            3,
            ("Paths", f"Looked at in {len(next(iter(along.values())).positions)} even positions."),
        )
    sections.append(Section("How it was made", (Pairs(tuple(made)),)))
    low, high = float(shown.train_loss.min()), float(shown.train_loss.max())
    told = "; ".join(
        f"{bold(name)}: barrier {found.barrier:#.3g} nats above ends of {found.loss[0]:.3g} and "
        f"{found.loss[-1]:.3g}"
        for name, found in along.items()
    )
    warning = f" {CHANCE}" if drawn.chance else ""
    return Content(
        title="The loss landscape", subtitle=f"{plan.title}: {shown.about}",
        answer=
            f"{told + '. ' if told else ''}On the plane the training loss goes from {low:.3g} to "
            f"{high:.3g} nats.{warning}",
        sections=tuple(sections), date="", version=versions["thalweg"],
    )  # fmt: skip


def _sentence(found: Profile) -> str:
    error, apart = 100 * float(found.error.max()), 100 * float(found.disagreement[-1])
    losses = f"{found.loss[0]:#.3g} and {found.loss[-1]:#.3g} nats"
    ends = f"{losses} (errors {found.error[0]:.1%} and {found.error[-1]:.1%})"
    return (
        f"Barrier {found.barrier:#.3g} nats above ends of {ends}; highest loss "
        f"{found.highest:#.3g} nats, highest training error {error:.1f} %; its ends disagree on "
        f"{apart:.1f} % of inputs.")  # fmt: skip
