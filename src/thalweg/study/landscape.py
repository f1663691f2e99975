"""Pictures of a study's landscape: what they go through, and loss and error on a plane through it.

Base 0 gives the points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thalweg import files
from thalweg.errors import InputError, unknown
from thalweg.explorers.base import find_explorer
from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.landscape.directions import random_plane
from thalweg.landscape.path import Path as WeightPath
from thalweg.landscape.path import Profile, coefficients, is_path, profile
from thalweg.landscape.plane import Flat, axes, plane_between, projected, spanning
from thalweg.landscape.plane import survey as look
from thalweg.meter import Meter
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.study.context import StudyContext
from thalweg.study.plan import Plan, plan_of, read_plan
from thalweg.study.records import PlanRecord
from thalweg.study.settings import settings_of
from thalweg.training.batches import Batches
from thalweg.training.problem import Cache, Problem
from thalweg.weights.distribution import Members, WeightDistribution
from thalweg.weights.plane import Plane
from thalweg.weights.point import Weights, distance
from thalweg.weights.subspace import Subspace

GRID = 17  # points a side
IMAGES = (
    1000  # training images for loss and batch-norm statistics, and validation images for the error
)
ANCHORS = {
    "random": (1, "an anchor, along two random directions, filter-normalised"),
    "segment": (2, "two anchors, and a random direction across the segment between them"),
    "anchors": (3, "three anchors and the straight segments between them"),
}
CURVES = {
    "learned-curve": (
        "the ends and the bend of a learned Bézier curve",
        ("one end", "other end", "bend"),
    ),
    "connecting-curve": (
        "two anchors and the bend of a curve that connects them",
        ("anchor 0", "anchor 1", "bend"),
    ),
}
THROUGH = (*ANCHORS, *CURVES)
STEPS = torch.linspace(0, 1, 60, dtype=torch.float64)  # of a path on a plane


@dataclass(frozen=True)
class View:
    """What a picture shows.

    Attributes:
        about: What the plane goes through, in words.
        plane: The plane.
        window: Points that the picture must hold `[n, 2]`.
        points: Where points that have a name are `[points, 2]`.
        names: Their names.
        path: A path, seen from above the plane `[steps, 2]`.
        paths: Paths to look along, by name.
        made: How the curve that is shown was made; nothing where none was.
        unit: Of the plane's axes.
        margin: What the picture has around the window, in units of its larger side.
    """

    about: str
    plane: Flat
    window: Tensor
    points: Tensor
    names: Sequence[str]
    path: Tensor
    paths: Mapping[str, WeightPath] = field(default_factory=dict)
    made: str = ""
    unit: str = "distance in weight space"
    margin: float = 0.35


def survey(context: StudyContext, cache: Cache, path: Path) -> None:
    """Computes the plane that the plan asks for and stores it.

    Args:
        context: What is studied.
        cache: Where trained networks are kept.
        path: Of the file to write, with what `measured` gives; the name of its folder, the run's,
            is kept in it.
    """
    tensors, facts = measured(context, view_of(context, cache, context.plan.protocol.landscape))
    files.write_tensors(path, tensors, {**facts, "of": path.parent.name})


def measured(
    context: StudyContext, view: View, grid: int = GRID, meter: Meter | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Loss and error on the plane.

    Loss is the mean cross-entropy on up to 1,000 training images, on which batch-norm statistics
    are refreshed too; error is the share of wrong answers among up to 1,000 validation images. A
    meter, where one is given, is charged.

    Returns:
        x, y `[grid]`, train_loss, validation_error `[grid (y), grid (x)]`, points `[points, 2]`,
        path `[steps, 2]`; and facts.
    """
    problem, images = _looking(context)
    labels, unseen_labels = images.targets.cpu(), context.splits.validation_labels[:IMAGES]
    seen, unseen = (
        context.loader(images.inputs.cpu()),
        context.loader(context.splits.validation[:IMAGES]),
    )

    def measure(row: Members) -> tuple[Tensor, Tensor]:
        return _losses(predict(problem, row, seen), labels), _errors(
            predict(problem, row, unseen), unseen_labels
        )

    found = look(problem, view.plane, *axes(view.window, grid, view.margin), measure=measure)
    if meter is not None:
        meter.charge(problem.cost)
    tensors = {
        "x": found.x,
        "y": found.y,
        "train_loss": found.loss,
        "validation_error": found.error,
        "points": view.points,
        "path": view.path,
    }
    facts = {
        "point_names": list(view.names),
        "about": view.about,
        "training_images": len(labels),
        "validation_images": len(unseen_labels),
    }
    return tensors, facts


def profiles(context: StudyContext, view: View, meter: Meter | None = None) -> dict[str, Profile]:
    """What is found along the view's paths.

    Cross-entropy and error are on the plane's training images, the disagreement is on up to 1,000
    validation images.
    """
    problem, _ = _looking(context)
    found = {name: profile(problem, path) for name, path in view.paths.items()}
    if meter is not None:
        meter.charge(problem.cost)
    return found


def opened(
    source: Path, *, quick: bool = False, data_dir: Path | None = None, trust: bool = False
) -> tuple[StudyContext, Path]:
    """The context of a plan or of a study's folder, and that folder.

    Raises:
        InputError: There is neither.
    """
    if not files.exists(source) or not source.is_dir():
        plan = read_plan(source, quick=quick, trust=trust)
        return StudyContext(plan, data_dir), Path("results") / plan.name
    if quick:
        raise InputError(
            f"--quick got the study's folder {source}, which has its plan: give --quick with a "
            "plan, a TOML file"
        )
    path = source / "plan.json"
    if not path.exists():
        raise InputError(
            f"{source} has no plan.json: give a plan, or a folder that 'thalweg study' wrote"
        )
    facts = files.read_record(path, PlanRecord, "run 'thalweg study' again, which writes it anew")
    return StudyContext(
        plan_of(facts["plan"], trust=trust),
        data_dir,
        facts["environment"]["versions"].get("torch", ""),
    ), source


def curve_of(plan: Plan) -> LearnedCurve:
    """The curve that a study shows: the plan's first one, with its settings, or one with default
    settings.
    """
    return next(
        (
            explorer
            for row in plan.methods
            if isinstance(explorer := row.method.explorer, LearnedCurve)
        ),
        LearnedCurve(),
    )


def trainings(plan: Plan, through: str) -> float:
    """What a view's networks cost to train, in trainings, where none is stored.

    Anchors are kept, curves are made anew each time.

    Raises:
        InputError: There is no such view.
    """
    if through not in THROUGH:
        raise unknown("landscape", through, THROUGH)
    return _curve_explorer(plan, through).trainings if through in CURVES else ANCHORS[through][0]


def view_of(context: StudyContext, cache: Cache, through: str, meter: Meter | None = None) -> View:
    """A view through base 0's networks, which are trained where the cache has none.

    Args:
        context: What is studied.
        cache: Where trained networks are kept.
        through: One of `THROUGH`.
        meter: Counts the work.

    Raises:
        InputError: There is no such view.
    """
    if through not in THROUGH:
        raise unknown("landscape", through, THROUGH)
    problem = context.problem("base 0", cache)
    if meter is not None:
        problem = replace(problem, meter=meter)
    if through in CURVES:
        explorer, (about, names) = _curve_explorer(context.plan, through), CURVES[through]
        settings = ", ".join(f"{name} {value}" for name, value in settings_of(explorer).items())
        view = view_through(problem, explorer.explore(problem), f"{about} (base 0)", names)
        return replace(view, made=f"{through}: {settings}")
    count, about = ANCHORS[through]
    found = Members(tuple(problem.anchor(k) for k in range(count)))
    return view_through(problem, found, f"{about} (base 0)", [f"anchor {k}" for k in range(count)])


def view_through(
    problem: Problem, found: WeightDistribution, about: str, names: Sequence[str] = ()
) -> View:
    """A view through up to three points of a weight distribution (`spanning`).

    Args:
        problem: Whose network the weights are of.
        found: What an explorer returned.
        about: What that is, in words.
        names: Of the points.
    """
    points = _different(spanning(found))
    names = (
        names or [f"{'vertex' if isinstance(found, Subspace) else 'draw'} {k}" for k in range(3)]
    )[: len(points)]
    if len(points) == 1:
        square = torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
        return View(
            about,
            random_plane(problem, points[0]),
            square,
            torch.zeros(1, 2),
            names,
            torch.zeros(0, 2),
            unit="distance in filter norms",
            margin=0,
        )
    if len(points) == 2:
        plane = plane_between(problem, *points)
        corners = plane.coordinates()[:2]
        beside = corners[1, 0] * torch.tensor([[0.5, -0.3], [0.5, 0.3]], dtype=torch.float64)
        segment = torch.stack([1 - STEPS, STEPS], 1) @ corners
        return View(
            about,
            plane,
            torch.cat([corners, beside]),
            corners,
            names,
            segment,
            {"straight segment": points},
        )
    plane = Plane((points[0], points[1], points[2]))
    corners = plane.coordinates()
    paths: dict[str, WeightPath]
    if isinstance(found, Subspace) and is_path(found):
        path, paths = _curve(found, plane), {"curve": found, "straight segment": points[:2]}
    else:
        ends = (
            torch.stack([1 - STEPS, STEPS, 0 * STEPS], 1),
            torch.stack([0 * STEPS, 1 - STEPS, STEPS], 1),
        )
        path = torch.cat(ends) @ corners
        paths = {
            f"{names[i]} to {names[j]}": (points[i], points[j]) for i, j in ((0, 1), (1, 2), (0, 2))
        }
    return View(about, plane, corners, corners, names, path, paths)


def _different(points: Sequence[Weights]) -> tuple[Weights, ...]:
    """The points without those that are where another one is, as the draws of a network with
    dropout are.

    Raises:
        InputError: One is not finite.
    """
    found: list[Weights] = []
    for point in points:
        if not all(torch.isfinite(p).all() for p in point.params.values()):
            raise InputError(
                "a landscape got weights that are not finite: did their training diverge?"
            )
        if all(distance(point, other) for other in found):
            found.append(point)
    return tuple(found)


def _curve(found: Subspace, plane: Plane) -> Tensor:
    """A curve seen from above the plane through its ends and middle vertex `[steps, 2]`."""
    middle, last = len(found.vertices) // 2, len(found.vertices) - 1
    others = [k for k in range(1, last) if k != middle]
    corners = plane.coordinates()
    if others:
        corners = torch.cat([corners, projected(plane, [found.vertices[k] for k in others])])
    return coefficients(found, STEPS)[:, [0, last, middle, *others]] @ corners


def _curve_explorer(plan: Plan, name: str) -> Any:
    """The plan's first explorer of a name, with its settings, or one with default settings."""
    if name == "learned-curve":
        return curve_of(plan)
    return (
        next((row.method.explorer for row in plan.methods if row.explorer_name == name), None)
        or find_explorer(name)()
    )


def _looking(context: StudyContext) -> tuple[Problem, Batches]:
    """A problem to look with, of the first training images alone, and these images; its loss is the
    cross-entropy.
    """
    images = context.train.chosen(torch.arange(min(IMAGES, len(context.train.targets))))
    problem = context.problem("base 0", None)
    recipe = replace(problem.recipe, label_smoothing=0.0)
    return replace(
        problem, train_loader=images, recipe=recipe, meter=Meter(), inspection=None
    ), images


def _losses(predictions: Predictions, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each member `[members]`."""
    return -predictions.log_probs[:, torch.arange(len(labels)), labels].mean(1)


def _errors(predictions: Predictions, labels: Tensor) -> Tensor:
    """Share of wrong answers of each member `[members]`."""
    return (predictions.log_probs.argmax(2) != labels).float().mean(1)
