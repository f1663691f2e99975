"""The pictures of `thalweg landscape`: files to print, and an interactive page."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from pydantic import ConfigDict
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from thalweg import files
from thalweg.places import Place
from thalweg.report import landscape, landscape_live, landscape_words
from thalweg.report.blocks import Content, Pairs, Picture, Section, bold
from thalweg.report.figures import STYLE, unseen_glyphs
from thalweg.report.html import html
from thalweg.report.numbering import numbered
from thalweg.report.pictured import Functions, Landscape, Profile

CHANCE = (
    "These networks predict no better than chance, so their barriers mean nothing: give them more "
    "epochs."
)


class Stored(TypedDict):
    """The content of `landscape.json`, which `thalweg landscape` writes before it draws."""

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
    functions: NotRequired[dict[str, Any] | None]


@dataclass(frozen=True)
class Drawn:
    """The result of drawing.

    Attributes:
        paths: The paths of the files.
        profiles: What was measured along paths, by their names.
        trainings: The training cost of all of it, stored anchors included, in trainings.
        total: The total cost, in which a forward evaluation counts as a third.
        chance: Whether both ends of a path are networks that predict no better than chance.
    """

    paths: tuple[Place, ...]
    profiles: Mapping[str, Profile]
    trainings: float
    total: float
    chance: bool


def draw(folder: Place) -> Drawn:
    """Draws the `landscape.json` of a folder, and writes the pictures to that folder.

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
    mapped = _mapped(stored.get("functions"))
    if mapped is not None:
        pictures["functions"] = landscape.functions(mapped)
    paths = [
        _printed(figure, folder / f"{name}.{kind}")
        for name, figure in pictures.items()
        for kind in ("png", "svg")
    ]
    page = html(_content(stored, shown, along, mapped, pictures))
    files.write_bytes(folder / "landscape.html", page.encode())
    paths += [folder / "landscape.html", folder / "landscape.json"]
    cost = stored["cost"]
    return Drawn(tuple(paths), along, cost["trainings"], cost["total"], stored["chance"])


def _mapped(stored: Mapping[str, Any] | None) -> Functions | None:
    if stored is None:
        return None
    points = {name: np.array(stored["points"][name], dtype=float) for name in stored["group_names"]}
    return Functions(points, tuple(stored["chained"]), stored["shown"], stored["inputs"])


def _profile(numbers: Mapping[str, Any]) -> Profile:
    columns = {
        name: np.array(numbers[name], dtype=float)
        for name in ("positions", "loss", "error", "disagreement")
    }
    return Profile(**columns, barrier=numbers["barrier"], highest=numbers["highest_loss"])


def _printed(figure: Figure, path: Place) -> Place:
    """Writes a figure on a white ground, legible on any page; equal figures give equal files."""
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
    mapped: Functions | None,
    pictures: Mapping[str, Figure],
) -> Content:
    plan, unit, cost = stored["plan"], stored["unit"], stored["cost"]
    images = (
        f"The loss is the mean cross-entropy on {stored['training_images']} training images, on "
        "which batch-norm statistics are estimated, too. The error is the fraction of wrong "
        f"predictions on {stored['validation_images']} validation images."
    )
    about_surface = (
        f"The training loss on the plane through {shown.about}, on a logarithmic scale, with "
        "contours. Drag to turn it, scroll to zoom in, and point at the surface to read its "
        "numbers."
    )
    about_contours = (
        "The same plane from above, with the validation error. Both scales are logarithmic. "
        f"{images}"
    )
    surface = landscape_live.surface(shown, unit)
    contours = landscape_live.contours(shown, unit)
    plane = (
        Picture("surface", about_surface, pictures["landscape"], live=surface),
        Picture("contours", about_contours, pictures["landscape"], live=contours),
    )
    sections = [Section("The plane", plane)]
    versions = stored["versions"]
    made = [
        ("Plan", f"{plan['title']} ({plan['name']}), base 0, seed {plan['protocol']['seed']}."),
        ("Network", plan["model"]["name"]),
        (
            "Trainings",
            f"{plan['recipe']['epochs']:g} epochs on {stored['trained_images']} images each.",
        ),
    ]
    if along:
        live, rows = landscape_live.along(along), tuple((n, _told(p)) for n, p in along.items())
        paths = (Picture("paths", landscape_words.ALONG, pictures["paths"], live=live), Pairs(rows))
        sections.append(Section("Along paths", paths))
        count = len(next(iter(along.values())).positions)
        made.append(("Paths", f"The loss was measured at {count} evenly spaced positions."))
    if mapped is not None:
        seen = Picture(
            "functions",
            landscape_words.of_map(mapped),
            pictures["functions"],
            live=landscape_live.functions(mapped),
        )
        sections.append(Section("What they predict", (seen,)))
    if stored["made"]:
        made.append(("Curve", stored["made"]))
    made += [
        ("Images", images),
        (
            "Cost",
            f"{cost['trainings']:.2f} trainings, stored ones included; {cost['total']:.2f} with "
            "forward evaluations, which count as a third.",
        ),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    sections.append(Section("How it was made", (Pairs(tuple(made)),)))
    low, high = float(shown.train_loss.min()), float(shown.train_loss.max())
    told = [
        f"The barrier on the path {bold(name)} is {profile.barrier:#.3g} nats, between losses of "
        f"{profile.loss[0]:.3g} and {profile.loss[-1]:.3g} nats at its ends."
        for name, profile in along.items()
    ]
    told.append(f"On the plane the training loss goes from {low:.3g} to {high:.3g} nats.")
    return Content(
        title="The loss landscape",
        subtitle=f"{plan['title']}: {shown.about}",
        answer=(" ".join([*told, CHANCE] if stored["chance"] else told),),
        sections=numbered(sections)[0],
        date="",
        version=versions["thalweg"],
    )


def _told(profile: Profile) -> str:
    """Returns what was measured along a path, in sentences."""
    error, apart = 100 * float(profile.error.max()), 100 * float(profile.disagreement[-1])
    return (
        f"The barrier is {profile.barrier:#.3g} nats. The losses at the ends are "
        f"{profile.loss[0]:#.3g} and {profile.loss[-1]:#.3g} nats, with errors of "
        f"{profile.error[0]:.1%} and {profile.error[-1]:.1%}. The highest loss is "
        f"{profile.highest:#.3g} nats, the highest training error {error:.1f} %. The ends disagree "
        f"on {apart:.1f} % of the inputs."
    )
