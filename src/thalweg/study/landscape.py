"""The plane of the loss landscape that a report shows: loss and error on a grid, through three points, with the path."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from thalweg import files
from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.meter import Meter
from thalweg.prediction import Predictions, predict, sample
from thalweg.study.material import Material
from thalweg.study.plan import Plan
from thalweg.training.problem import Cache
from thalweg.weights.coefficients import bernstein
from thalweg.weights.distribution import Members
from thalweg.weights.plane import Plane

GRID = 17  # points a side
MARGIN = 0.35  # of the three points' extent, on every side
IMAGES = 1000  # training images for loss and batch-norm statistics, and validation images for the error


def survey(material: Material, cache: Cache, path: Path) -> None:
    """Computes the plane and stores it.

    Loss is the mean cross-entropy on up to 1,000 training images, on which batch-norm statistics are refreshed too; error is
    the share of wrong answers among up to 1,000 validation images.

    Args:
        material: What is studied; base 0 gives the points.
        cache: Where trained networks are kept.
        path: Of the file to write: x, y `[grid]`, train_loss, validation_error
            `[grid (y), grid (x)]`, points `[3, 2]`, path `[steps, 2]`.
    """
    what, plane, names, coefficients = _through(material, cache)
    corners = plane.coordinates()
    low, high = corners.amin(0), corners.amax(0)
    margin = MARGIN * (high - low).max()
    x, y = (torch.linspace(float(a - margin), float(b + margin), GRID, dtype=torch.float64)
            for a, b in zip(low, high, strict=True))
    images = material.train.chosen(torch.arange(min(IMAGES, len(material.train.targets))))
    problem = replace(material.problem("base 0", None), train=images, meter=Meter(), inspection=None)
    seen = material.loader(images.inputs.cpu())
    unseen = material.loader(material.splits.validation[:IMAGES])
    loss, error = torch.zeros(GRID, GRID), torch.zeros(GRID, GRID)
    for i in range(GRID):
        row = Members(tuple(plane.at(torch.stack([x[j], y[i]])) for j in range(GRID)))
        row = Members(tuple(sample(problem, row)))  # refreshed once for both sets of images
        loss[i] = _losses(predict(problem, row, seen), images.targets.cpu())
        error[i] = _errors(predict(problem, row, unseen), material.splits.validation_labels[:IMAGES])
    tensors = {"x": x, "y": y, "train_loss": loss, "validation_error": error, "points": corners, "path": coefficients @ corners}
    facts = {"point_names": names, "about": f"{what} (base 0)", "training_images": len(images.targets),
             "validation_images": len(material.splits.validation[:IMAGES])}
    files.write_tensors(path, tensors, facts)


def curve_of(plan: Plan) -> LearnedCurve:
    """The curve that is shown: the plan's first one, with its settings, or one with default settings."""
    return next((m.explorer for m in plan.methods if isinstance(m.explorer, LearnedCurve)), LearnedCurve())


def _through(material: Material, cache: Cache) -> tuple[str, Plane, list[str], Tensor]:
    """What the plane goes through, the plane, the names of its three points, and the path's coefficients `[steps, 3]`."""
    problem = material.problem("base 0", cache)
    t = torch.linspace(0, 1, 60, dtype=torch.float64)
    if material.plan.protocol.landscape == "anchors":
        a, b, c = (problem.anchor(k) for k in range(3))
        straight = torch.cat([torch.stack([1 - t, t, 0 * t], 1), torch.stack([0 * t, 1 - t, t], 1)])
        what, names = "three anchors and the straight segments between them", ["anchor 0", "anchor 1", "anchor 2"]
        return what, Plane((a, b, c)), names, straight
    begin, bend, end = curve_of(material.plan).explore(problem).vertices
    what, names = "the ends and the bend of a learned Bézier curve", ["one end", "other end", "bend"]
    return what, Plane((begin, end, bend)), names, bernstein(t, 3)[:, [0, 2, 1]]


def _losses(predictions: Predictions, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each member `[members]`."""
    return -predictions.log_probs[:, torch.arange(len(labels)), labels].mean(1)


def _errors(predictions: Predictions, labels: Tensor) -> Tensor:
    """Share of wrong answers of each member `[members]`."""
    return (predictions.log_probs.argmax(2) != labels).float().mean(1)
