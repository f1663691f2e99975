"""The pictures of `thalweg landscape`: a plane and the paths on it, as files to print and as a page
to turn them around.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from pydantic import ConfigDict
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from thalweg import files
from thalweg.report import landscape, landscape_live
from thalweg.report.blocks import Content, Pairs, Picture, Section, bold
from thalweg.report.figures import STYLE, unseen_glyphs
from thalweg.report.html import html
from thalweg.report.results import Landscape, Profile

CHANCE = (
    "These networks predict no better than by chance, so that their barriers mean nothing: give "
    "them more epochs."
)


class Stored(TypedDict):
    """`landscape.json`, which `thalweg landscape` writes before it draws."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    plan: dict[str, Any]
    about: str
    made: str
    unit: str
    chance: bool
    point_names: list[str]
    path_names: list[str]
    trained_images: int
    training_images: int
    validation_images: int
    cost: dict[str, float]
    versions: dict[str, str]
    plane: dict[str, list[Any]]
    paths: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        paths: The files.
        profiles: What was found along paths, by their names.
        trainings: What all of it cost, stored anchors included, in trainings.
        total: The same with forward evaluations, at a third.
        chance: Whether both ends of a path are networks that predict no better than by chance.
    """

    paths: tuple[Path, ...]
    profiles: Mapping[str, Profile]
    trainings: float
    total: float
    chance: bool


def draw(folder: Path) -> Drawn:
    """Draws the `landscape.json` of a folder, beside it.

    Raises:
        InputError: The file is missing or damaged, or plotly is not installed.
    """
    stored = files.read_record(folder / "landscape.json", Stored, "run 'thalweg landscape' again")
    x, y, loss, error, points, path = (
        np.array(stored["plane"][name], dtype=float)
        for name in ("x", "y", "train_loss", "validation_error", "points", "path")
    )
    along = {name: _profile(stored["paths"][name]) for name in stored["path_names"]}
    names, about = tuple(stored["point_names"]), stored["about"]
    shown = Landscape(
        x, y, loss, error, "validation error", points, names, path.reshape(-1, 2), about
    )
    pictures = {"landscape": landscape.plane(shown, stored["unit"])} | (
        {"paths": landscape.along(along)} if along else {}
    )
    paths = [
        _printed(figure, folder / f"{name}.{kind}")
        for name, figure in pictures.items()
        for kind in ("png", "svg")
    ]
    page = html(_content(stored, shown, along, pictures))
    files.write_bytes(folder / "landscape.html", page.encode())
    paths += [folder / "landscape.html", folder / "landscape.json"]
    cost = stored["cost"]
    return Drawn(tuple(paths), along, cost["trainings"], cost["total"], stored["chance"])


def _profile(numbers: Mapping[str, Any]) -> Profile:
    columns = {
        name: np.array(numbers[name], dtype=float)
        for name in ("positions", "loss", "error", "disagreement")
    }
    return Profile(**columns, barrier=numbers["barrier"], highest=numbers["highest_loss"])


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


def _content(
    stored: Stored,
    shown: Landscape,
    along: Mapping[str, Profile],
    pictures: Mapping[str, Figure],
) -> Content:
    plan, unit, cost = stored["plan"], stored["unit"], stored["cost"]
    images = (
        f"Loss: mean cross-entropy on {stored['training_images']} training images, on which "
        "batch-norm statistics are estimated too. Error: share of wrong answers among "
        f"{stored['validation_images']} validation images.")  # fmt: skip
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
    versions = stored["versions"]
    made = [
        ("Plan", f"{plan['title']} ({plan['name']}), base 0, seed {plan['protocol']['seed']}."),
        ("Network", plan["model"]["name"]),
        (
            "Trainings",
            f"{plan['recipe']['epochs']:g} epochs of {stored['trained_images']} images each.",
        ),
        ("Images", images),
        (
            "Cost",
            f"{cost['trainings']:.2f} trainings, stored ones included; "
            f"{cost['total']:.2f} with forward evaluations, at a third.",
        ),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    if stored["made"]:
        made.insert(3, ("Curve", stored["made"]))
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
    warning = f" {CHANCE}" if stored["chance"] else ""
    return Content(
        title="The loss landscape", subtitle=f"{plan['title']}: {shown.about}",
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
