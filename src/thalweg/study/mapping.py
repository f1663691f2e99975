"""What a view of the landscape shows beside its plane: losses along paths, and a map of what
networks predict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg import files
from thalweg.landscape.functions import scaled
from thalweg.places import Place
from thalweg.study.context import StudyContext
from thalweg.study.landscape import View, measured, profiles, view_of
from thalweg.training.keeping import Cache

ALONG = ("positions", "loss", "error", "disagreement")


@dataclass(frozen=True)
class Mapped:
    """A map of what networks predict.

    Attributes:
        points: The points of each group, by its name `[functions, 2]`.
        shown: The share of all squared distances that the map shows.
        inputs: At how many inputs functions are compared.
    """

    points: Mapping[str, Tensor]
    shown: float
    inputs: int


def mapped(view: View) -> Mapped | None:
    """Returns the map of a view's functions, or None where it has none."""
    if not view.functions:
        return None
    points, shown = scaled(torch.cat(list(view.functions.values())))
    parts = points.split([len(values) for values in view.functions.values()])
    inputs = next(iter(view.functions.values())).shape[1]
    return Mapped(dict(zip(view.functions, parts, strict=True)), shown, inputs)


def survey(context: StudyContext, cache: Cache, path: Place) -> None:
    """Computes the plane that the plan asks for, and stores it with what is shown beside it.

    Args:
        context: The study.
        cache: Where trained networks are kept.
        path: The file to write, which holds what `measured` and `beside` return and the name of
            the run's folder.
    """
    view = view_of(context, cache, context.plan.protocol.landscape)
    plane, facts = measured(context, view)
    others, named = beside(context, view)
    files.write_tensors(path, plane | others, {**facts, **named, "of": path.parent.name})


def beside(context: StudyContext, view: View) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns tensors and facts for the file of a study's plane; none where a view has no map.

    Returns:
        The k-th path's `ALONG` as `path k loss`, ..., and its `barrier` and `highest` loss; the
        k-th group's points as `group k`; and their names.
    """
    found = mapped(view)
    if found is None:
        return {}, {}
    along = profiles(context, view)
    tensors = {
        f"path {k} {name}": getattr(path, name)
        for k, path in enumerate(along.values())
        for name in ALONG
    }
    tensors |= {f"group {k}": points for k, points in enumerate(found.points.values())}
    return tensors, {
        "path_names": list(along),
        "barriers": [path.barrier for path in along.values()],
        "highest": [path.highest for path in along.values()],
        "group_names": list(found.points),
        "chained": list(view.chained),
        "shown": found.shown,
        "inputs": found.inputs,
    }
