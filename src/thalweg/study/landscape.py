"""The landscape of a study: loss and error on a plane through networks of its base 0."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from thalweg import files, trees
from thalweg.errors import InputError, unknown
from thalweg.explorers.base import Explorer
from thalweg.explorers.connecting_curve import ConnectingCurve
from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.explorers.thalweg import Thalweg
from thalweg.landscape.directions import random_plane
from thalweg.landscape.path import Path as WeightPath
from thalweg.landscape.path import Profile, coefficients, is_path, profile
from thalweg.landscape.plane import Flat, axes, plane_between, projected, spanning
from thalweg.landscape.plane import survey as look
from thalweg.meter import Meter
from thalweg.places import Place
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.remote import Remote
from thalweg.study.context import StudyContext
from thalweg.study.plan import Plan, plan_of, read_plan
from thalweg.study.records import PlanRecord
from thalweg.study.settings import settings_of
from thalweg.training.batches import Batches
from thalweg.training.keeping import Cache
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members, WeightDistribution
from thalweg.weights.plane import Plane
from thalweg.weights.point import Weights, distance
from thalweg.weights.subspace import Subspace

C = TypeVar("C", bound=Explorer)
GRID = 17  # points per side
# the number of training images for the loss and the batch-norm statistics, and of validation images
# for the error
IMAGES = 1000
ANCHORS = {
    "random": (1, "an anchor, along two random directions, filter-normalised"),
    "segment": (2, "two anchors, and a random direction across the segment between them"),
    "anchors": (3, "three anchors and the straight segments between them"),
}
CURVES: dict[str, tuple[type[Explorer], str, tuple[str, ...]]] = {
    # a view, after the curve's registered name: its explorer, what it shows, names of the points
    "learned-curve": (
        LearnedCurve,
        "the ends and the bend of a learned Bézier curve",
        ("one end", "other end", "bend"),
    ),
    "connecting-curve": (
        ConnectingCurve,
        "two anchors and the bend of a curve that connects them",
        ("anchor 0", "anchor 1", "bend"),
    ),
}
PATHS = "thalweg"  # a view, after the explorer's registered name
STOPS = 8  # networks along each of its paths
RETRAININGS = 2  # real ones beside them, in the map of functions
THROUGH = (*ANCHORS, *CURVES, PATHS)
STEPS = torch.linspace(0, 1, 60, dtype=torch.float64)  # positions along a path on a plane


@dataclass(frozen=True)
class View:
    """The content of a picture of the landscape.

    Attributes:
        about: What the plane goes through, in words.
        plane: The plane.
        window: Points that the picture must contain `[n, 2]`.
        points: The coordinates of the named points `[points, 2]`.
        names: The names of the points.
        path: A path, projected on the plane `[steps, 2]`.
        paths: Paths along which the loss is measured, by name.
        made: How the curve that is shown was made; empty if there is none.
        unit: The unit of the plane's axes.
        margin: The margin around the window, as a fraction of its larger side.
        functions: What groups of functions say of the same inputs, by the groups' names, each
            `[functions, inputs, columns]`; the k-th ones of `chained` groups belong to each other.
        chained: The names of groups that a line goes through.
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
    functions: Mapping[str, Tensor] = field(default_factory=dict)
    chained: tuple[str, ...] = ()


def measured(
    context: StudyContext, view: View, grid: int = GRID, meter: Meter | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Measures loss and error on the plane.

    The loss is the mean cross-entropy on up to 1,000 training images, on which batch-norm
    statistics are refreshed, too. The error is the fraction of wrong predictions on up to 1,000
    validation images. If a meter is given, it is charged with the cost.

    Returns:
        x, y `[grid]`, train_loss, validation_error `[grid (y), grid (x)]`, points `[points, 2]`,
        path `[steps, 2]`; and facts.
    """
    problem, images = _looking(context)
    labels, unseen_labels = images.targets.cpu(), context.splits.validation_labels[:IMAGES]
    seen, unseen = (
        context.loader(trees.tensors(images.inputs)[0].cpu()),
        context.loader(context.splits.validation[:IMAGES]),
    )

    def measure(row: Members) -> tuple[Tensor, Tensor]:
        return _losses(predict(problem, row, seen), labels), _errors(
            predict(problem, row, unseen), unseen_labels
        )

    surface = look(problem, view.plane, *axes(view.window, grid, view.margin), measure=measure)
    if meter is not None:
        meter.charge(problem.cost)
    tensors = {
        "x": surface.x,
        "y": surface.y,
        "train_loss": surface.loss,
        "validation_error": surface.error,
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
    """Measures loss, error and disagreement along the view's paths.

    Cross-entropy and error are measured on the training images that the plane uses, disagreement on
    up to 1,000 validation images.
    """
    problem, _ = _looking(context)
    measured = {name: profile(problem, path) for name, path in view.paths.items()}
    if meter is not None:
        meter.charge(problem.cost)
    return measured


def opened(
    source: Place, *, quick: bool = False, data_dir: Path | None = None, trust: bool = False
) -> tuple[StudyContext, Place]:
    """Returns the context and the folder of a plan, or of a study's folder.

    Raises:
        InputError: The source is neither a plan nor a study's folder.
    """
    if not files.is_folder(source):
        if isinstance(source, Remote):
            raise InputError(f"{source} holds no study: give a plan, or the folder of a study")
        plan = read_plan(source, quick=quick, trust=trust)
        return StudyContext(plan, data_dir), Path("results") / plan.name
    if quick:
        raise InputError(
            f"--quick got the study's folder {source}, which has a plan already: give --quick "
            "with a plan, a TOML file"
        )
    path = source / "plan.json"
    if not files.exists(path):
        raise InputError(
            f"{source} has no plan.json: give a plan, or a folder that 'thalweg study' wrote"
        )
    facts = files.read_record(path, PlanRecord, "run 'thalweg study' again, which writes it anew")
    return StudyContext(
        plan_of(facts["plan"], trust=trust),
        data_dir,
        facts["environment"]["versions"].get("torch", ""),
    ), source


def curve_of(plan: Plan, kind: type[C]) -> C:
    """Returns the curve of a kind that a study shows: the plan's first one, or the default one."""
    explorers = (row.method.explorer for row in plan.methods)
    return next((explorer for explorer in explorers if isinstance(explorer, kind)), kind())


def curve_trainings(plan: Plan) -> float:
    """Returns what the plan's curve costs beyond its anchors, in trainings; 0 or 0."""
    explorer = _made_anew(plan, plan.protocol.landscape)
    return 0 if explorer is None else explorer.trainings - explorer.anchors


def _made_anew(plan: Plan, through: str) -> Explorer | None:
    """Returns the explorer whose paths a view shows, or None where it shows anchors."""
    if through == PATHS:
        return curve_of(plan, Thalweg)
    return curve_of(plan, CURVES[through][0]) if through in CURVES else None


def trainings(plan: Plan, through: str) -> float:
    """Returns the cost of training a view's networks, in trainings, if none of them is stored.

    Anchors are stored; curves are made anew each time.

    Raises:
        InputError: There is no such view.
    """
    if through not in THROUGH:
        raise unknown("landscape", through, THROUGH)
    explorer = _made_anew(plan, through)
    beside = RETRAININGS if through == PATHS else 0
    return ANCHORS[through][0] if explorer is None else explorer.trainings + beside


def view_of(context: StudyContext, cache: Cache, through: str, meter: Meter | None = None) -> View:
    """Returns a view through base 0's networks, which are trained if the cache lacks them.

    Args:
        context: The study.
        cache: Where trained networks are kept.
        through: What the view goes through, one of `THROUGH`.
        meter: The meter that counts the work; None for the problem's own.

    Raises:
        InputError: There is no such view.
    """
    if through not in THROUGH:
        raise unknown("landscape", through, THROUGH)
    problem = context.problem("base 0", cache)
    if meter is not None:
        problem = replace(problem, meter=meter)
    explorer = _made_anew(context.plan, through)
    if explorer is not None:
        settings = ", ".join(f"{name} {value}" for name, value in settings_of(explorer).items())
        if isinstance(explorer, Thalweg):
            stops = min(STOPS, explorer.steps(problem))
            view = view_of_led(problem, replace(explorer, points=stops))
            settings += f". The paths are {view.made} times as long as the straight segments"
        else:
            _, about, names = CURVES[through]
            view = view_through(problem, explorer.explore(problem), f"{about} (base 0)", names)
        return replace(view, made=f"{through}: {settings}")
    count, about = ANCHORS[through]
    anchors = Members(tuple(problem.anchor(k) for k in range(count)))
    labels = [f"anchor {k}" for k in range(count)]
    return view_through(problem, anchors, f"{about} (base 0)", labels)


def view_of_led(problem: Problem, explorer: Thalweg) -> View:
    """Returns a view of an anchor and the first two of the paths that are led from it, on the plane
    through the anchor and both ends. Paths are projected on it, and their losses are measured where
    they are; beside them those of straight segments to the same ends. All of them, and two
    retrainings, are in the map of functions.
    """
    led = explorer.led(problem, stops=STOPS)
    first, second = led.led[:2]
    plane = Plane((led.anchor, first[-1], second[-1]))
    corners = plane.coordinates()
    ways = [(led.anchor, *free, *part) for free, part in zip(led.free[:2], led.led, strict=False)]
    there = [projected(plane, way) for way in ways]
    values = problem.outputs.predicted.values

    def said(points: Sequence[Weights]) -> Tensor:
        return values(predict(problem, Members(tuple(points)), led.places).stored)

    functions = {
        "anchor": said([led.anchor]),
        "retrainings": said([problem.anchor(1 + k) for k in range(RETRAININGS)]),
        "ends of free parts": said([part[-1] for part in led.free]),
        "members": said([part[-1] for part in led.led]),
        "targets": values(led.targets),
    }
    names = ("anchor", "member 0", "member 1")
    return View(
        "an anchor and two members that are led from there (base 0)",
        plane,
        torch.cat([corners, *there]),
        corners,
        names,
        torch.cat([there[0].flip(0), there[1]]),
        {
            **{f"path to {name}": way for name, way in zip(names[1:], ways, strict=True)},
            **{
                f"straight to {name}": (led.anchor, way[-1])
                for name, way in zip(names[1:], ways, strict=True)
            },
        },
        made=" and ".join(f"{_bent(way):.1f}" for way in ways),
        functions=functions,
        chained=tuple(functions)[2:],
    )


def _bent(way: Sequence[Weights]) -> float:
    """The length of a path over the distance of its ends."""
    length = sum(distance(a, b) for a, b in pairwise(way))
    return length / max(distance(way[0], way[-1]), 1e-300)


def view_through(
    problem: Problem, weights: WeightDistribution, about: str, names: Sequence[str] = ()
) -> View:
    """Returns a view through up to three points of a weight distribution (see `spanning`).

    Args:
        problem: The problem whose network has these weights.
        weights: The weight distribution, such as an explorer returned.
        about: What the distribution is, in words.
        names: The names of the points; vertices and draws are numbered if none are given.
    """
    points = _different(spanning(weights))
    kind = "vertex" if isinstance(weights, Subspace) else "draw"
    names = (names or [f"{kind} {k}" for k in range(3)])[: len(points)]
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
    if isinstance(weights, Subspace) and is_path(weights):
        path, paths = _curve(weights, plane), {"curve": weights, "straight segment": points[:2]}
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
    """Returns the distinct points: the draws of a network with dropout have the same weights.

    Raises:
        InputError: A point is not finite.
    """
    distinct: list[Weights] = []
    for point in points:
        if not all(torch.isfinite(p).all() for p in point.params.values()):
            raise InputError(
                "a landscape got weights that are not finite: did their training diverge?"
            )
        if all(distance(point, other) for other in distinct):
            distinct.append(point)
    return tuple(distinct)


def _curve(curve: Subspace, plane: Plane) -> Tensor:
    """Projects a curve on the plane through its ends and its middle vertex `[steps, 2]`."""
    middle, last = len(curve.vertices) // 2, len(curve.vertices) - 1
    others = [k for k in range(1, last) if k != middle]
    corners = plane.coordinates()
    if others:
        corners = torch.cat([corners, projected(plane, [curve.vertices[k] for k in others])])
    return coefficients(curve, STEPS)[:, [0, last, middle, *others]] @ corners


def _looking(context: StudyContext) -> tuple[Problem, Batches]:
    """Returns a problem on the first training images only, with plain cross-entropy, and these."""
    images = context.train.chosen(torch.arange(min(IMAGES, len(context.train.targets))))
    problem = context.problem("base 0", None)
    recipe = replace(problem.recipe, label_smoothing=0.0)
    problem = replace(problem, train_loader=images, recipe=recipe, meter=Meter(), inspection=None)
    return problem, images


def _losses(predictions: Predictions, labels: Tensor) -> Tensor:
    """Returns the mean cross-entropy of each member `[members]`."""
    return -predictions.log_probs[:, torch.arange(len(labels)), labels].mean(1)


def _errors(predictions: Predictions, labels: Tensor) -> Tensor:
    """Returns the fraction of wrong predictions of each member `[members]`."""
    return (predictions.log_probs.argmax(2) != labels).float().mean(1)
