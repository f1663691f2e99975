"""What a report pictures beside numbers: uncertain images and landscapes, read from their files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import InputError
from thalweg.report.reading import ResultFiles


@dataclass(frozen=True)
class Uncertain:
    """The test images on which retrainings disagree most.

    Attributes:
        images: The images `[images, channels, height, width]`, from 0 to 255.
        labels: The true classes `[images]`.
        reference_mean: The mean probabilities over the reference retrainings `[images, classes]`.
        reference_std: Their standard deviations `[images, classes]`.
        spread: The standard deviations of each method `[images, classes]`, by its label.
        class_names: The names of the classes `[classes]`.
    """

    images: np.ndarray
    labels: np.ndarray
    reference_mean: np.ndarray
    reference_std: np.ndarray
    spread: dict[str, np.ndarray]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Landscape:
    """Loss and error on a plane through three points in weight space.

    Attributes:
        x: The coordinates along the first direction `[columns]`, in units of weight distance.
        y: The coordinates along the second direction `[rows]`.
        train_loss: The training loss `[rows, columns]`, in nats.
        error: The fraction of wrong predictions `[rows, columns]`, on images that no network was
            trained on.
        error_title: The name of that error, which says which images those are.
        points: The coordinates of the plane's points `[points, 2]`.
        point_names: The names of the points `[points]`.
        path: The path that an explorer found, projected on the plane `[steps, 2]`.
        about: What the plane goes through, in words.
    """

    x: np.ndarray
    y: np.ndarray
    train_loss: np.ndarray
    error: np.ndarray
    error_title: str
    points: np.ndarray
    point_names: tuple[str, ...]
    path: np.ndarray
    about: str


@dataclass(frozen=True)
class Profile:
    """What was measured along a path in weight space.

    Attributes:
        positions: The positions t on the path `[points]`, from 0 to 1.
        loss: The mean training loss `[points]`, in nats.
        error: The fraction of wrong predictions on the same training examples `[points]`.
        disagreement: The fraction of inputs whose predicted class differs from that at the first
            end `[points]`.
        barrier: How far the loss rises above the line between the ends' losses, in nats.
        highest: The highest loss, in nats.
    """

    positions: np.ndarray
    loss: np.ndarray
    error: np.ndarray
    disagreement: np.ndarray
    barrier: float
    highest: float


@dataclass(frozen=True)
class Functions:
    """A map of what networks predict.

    Attributes:
        points: The points of each group, by its name `[functions, 2]`.
        chained: The names of groups whose k-th points a line goes through, in its order.
        shown: The share of all squared distances that the map shows.
        inputs: At how many inputs functions are compared.
    """

    points: Mapping[str, np.ndarray]
    chained: tuple[str, ...]
    shown: float
    inputs: int


@dataclass(frozen=True)
class Led:
    """What is shown beside a plane through paths that were led.

    Attributes:
        along: What was measured along each path, by its name.
        functions: The map of what networks predict.
    """

    along: Mapping[str, Profile]
    functions: Functions


def uncertain(stored: ResultFiles, judged: Sequence[str]) -> Uncertain:
    """Reads the most uncertain test images, with the spreads of the methods in `judged`.

    Raises:
        InputError: The file is missing or damaged, or lacks something; the line names it.
    """
    arrays, about = stored.tensors("uncertain.safetensors")
    # thalweg 0.1 used bare labels, so that a method called `reference` replaced the reference
    names = {
        method: f"method|{method}|std" if f"method|{method}|std" in arrays else f"{method}|std"
        for method in judged
    }
    wanted = ("images", "labels", "reference|mean", "reference|std", *names.values())
    images, labels, mean, std, *spread = _all_of(stored, "uncertain.safetensors", arrays, wanted)
    names_of_classes = _texts(about.get("class_names"))
    count, classes = len(labels) if labels.ndim == 1 else 0, len(names_of_classes)
    are_images = images.ndim == 4 and images.shape[1] in (1, 3) and images.dtype == np.uint8
    are_images = are_images and len(images) == count > 0
    are_labels = bool(((labels >= 0) & (labels < classes)).all())
    are_finite = all(
        t.shape == (count, classes) and np.isfinite(t).all() for t in (mean, std, *spread)
    )
    if not (are_images and are_labels and are_finite):
        raise InputError(
            f"{stored.folder}/uncertain.safetensors holds other shapes or numbers than a "
            f"comparison writes: {stored.remedy}"
        )
    return Uncertain(
        images, labels, mean, std, dict(zip(judged, spread, strict=True)), names_of_classes
    )


def landscape(stored: ResultFiles) -> Landscape:
    """Reads the plane of the landscape.

    Raises:
        InputError: The file is missing or damaged, or lacks something; the line names it.
    """
    arrays, about = stored.tensors("landscape.safetensors")
    arrays = {name: array.astype(float) for name, array in arrays.items()}
    unseen = "test_error" if "test_error" in arrays else "validation_error"
    x, y, loss, error, points, path = _all_of(
        stored, "landscape.safetensors", arrays, ("x", "y", "train_loss", unseen, "points", "path")
    )
    names, text = _texts(about.get("point_names")), _texts([about.get("about")])
    is_grid = x.ndim == y.ndim == 1 and min(len(x), len(y)) > 1
    is_grid = is_grid and loss.shape == error.shape == (len(y), len(x))
    are_points = points.shape == (len(names), 2) and path.ndim == 2 and path.shape[1] == 2
    are_finite = all(np.isfinite(array).all() for array in (x, y, points, path))
    are_rising = is_grid and (np.diff(x) > 0).all() and (np.diff(y) > 0).all()
    if not (are_points and are_finite and are_rising and text):
        raise InputError(
            f"{stored.folder}/landscape.safetensors holds other shapes or numbers than a study "
            f"writes, train_loss of shape {loss.shape} for {x.size} x {y.size} points: "
            f"{stored.remedy}"
        )
    return Landscape(x, y, loss, error, unseen.replace("_", " "), points, names, path, text[0])


def led(stored: ResultFiles) -> Led:
    """Reads what is shown beside a plane through paths that were led.

    Raises:
        InputError: The file is missing or damaged, or lacks something; the line names it.
    """
    file = "landscape.safetensors"
    arrays, about = stored.tensors(file)
    columns = ("positions", "loss", "error", "disagreement")
    try:
        along = {
            name: Profile(
                **{column: arrays[f"path {k} {column}"].astype(float) for column in columns},
                barrier=float(about["barriers"][k]),
                highest=float(about["highest"][k]),
            )
            for k, name in enumerate(_texts(about["path_names"]))
        }
        groups = {
            name: arrays[f"group {k}"].astype(float)
            for k, name in enumerate(_texts(about["group_names"]))
        }
        chained, shown = _texts(about["chained"]), float(about["shown"])
        return Led(along, Functions(groups, chained, shown, int(about["inputs"])))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            f"{stored.folder / file} lacks something of led paths ({type(error).__name__}: "
            f"{error}): {stored.remedy}"
        ) from None


def _texts(values: Any) -> tuple[str, ...]:
    """Returns the texts of a header; none if the header has anything else."""
    are_texts = isinstance(values, list) and all(isinstance(value, str) for value in values)
    return tuple(values) if are_texts else ()


def _all_of(
    stored: ResultFiles, file: str, arrays: dict[str, np.ndarray], names: Sequence[str]
) -> list[np.ndarray]:
    for name in names:
        if name not in arrays:
            raise InputError(f"{stored.folder / file} has no '{name}': {stored.remedy}")
    return [arrays[name] for name in names]
