"""The file of numbers that was learned from the atlas, `atlas.safetensors` beside this one.

`python -m research.atlas fit` makes it. It holds

    shape       small networks from an input's columns (`atlas.views`) to log u over the offset, for
                probabilities and for values, with features of inputs and without
    level       what one network tells of the mean of u, and how well copies and trainings tell it
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from thalweg import files
from thalweg.atlas.views import Typical, columns_of, look
from thalweg.errors import InputError
from thalweg.outputs import Outputs

VERSION = 2
FILE = Path(__file__).with_name("atlas.safetensors")
_FAR = 3.0  # standard deviations: farther columns count as this far
_MOST = 4.0  # of a logarithm


@dataclass(frozen=True, eq=False)
class Shape:
    """Small networks, whose mean is the logarithm of u over the offset, up to a constant.

    Attributes:
        centre: The mean of the columns `[columns]`.
        scale: Their standard deviations `[columns]`.
        layers: Weights `[networks, after, before]` and biases `[networks, after]`; SiLU is between
            them.
    """

    centre: Tensor
    scale: Tensor
    layers: tuple[tuple[Tensor, Tensor], ...]

    def __call__(self, rows: Tensor) -> Tensor:
        """The value at columns `[inputs, columns]`, NaN where there is nothing: `[inputs]`."""
        x = standard(rows, self.centre, self.scale)[None]
        for number, (weights, biases) in enumerate(self.layers):
            x = torch.baddbmm(biases[:, None], x.expand(len(weights), -1, -1), weights.mT)
            if number + 1 < len(self.layers):
                x = functional.silu(x)
        return x[:, :, 0].clamp(-_MOST, _MOST).mean(0)


def standard(rows: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    """Columns in units of their scatter over tasks; what is not there is 0."""
    return ((rows - centre) / scale).nan_to_num().clamp(-_FAR, _FAR)


@dataclass(frozen=True, eq=False)
class Learned:
    """All that was learned.

    Attributes:
        shapes: By whether there are probabilities, and whether there are features.
        facts: Numbers by name, as the file has them.
    """

    shapes: Mapping[tuple[bool, bool], Shape]
    facts: Mapping[str, Any]

    def view(
        self, outputs: Outputs, stored: Tensor, features: Tensor | None, mean: Tensor | None = None
    ) -> "Viewed":
        """What is typical of a task, from what one network says of its unlabelled inputs; arguments
        as those of `atlas.views.look`.
        """
        typical = Typical.of(outputs, look(outputs, stored, features, mean))
        return Viewed(self.shapes[outputs.simplex, features is not None], outputs, typical)


@dataclass(frozen=True, eq=False)
class Viewed:
    """A task as one network sees it.

    Attributes:
        shape: How u hangs on an input's place.
        outputs: What the network predicts.
        typical: What is typical of the task's inputs.
    """

    shape: Shape
    outputs: Outputs
    typical: Typical

    def log_u(self, stored: Tensor, features: Tensor | None, mean: Tensor | None = None) -> Tensor:
        """The logarithm of u at inputs `[inputs]`, up to a constant, before the ceiling of
        `bounded`; arguments as those of `atlas.views.look`.
        """
        found, inputs = look(self.outputs, stored, features, mean), len(stored)
        rows = self.typical.rows(found, inputs)
        return self.typical.offset(found, inputs) + self.shape(rows)


CEILING = 0.1**0.5  # of the u of probabilities


def bounded(u: Tensor) -> Tensor:
    """The u of probabilities, below its ceiling: 1 / u^2 is the sum of that before, and of the
    ceiling's.
    """
    return u / (1 + (u / CEILING).square()).sqrt()


def unbounded(u: Tensor) -> Tensor:
    """The inverse of `bounded`; what is above 0.95 of the ceiling counts as that."""
    below = u.clamp(max=0.95 * CEILING)
    return below / (1 - (below / CEILING).square()).sqrt()


def with_mean(log_u: Tensor, level: float) -> float:
    """The logarithm of the factor with which u, bounded, has a mean.

    Args:
        log_u: Logarithms of u before the ceiling `[inputs]`.
        level: The mean; it may be at most nearly the ceiling.
    """
    level = min(level, 0.9 * CEILING)
    first = math.log(level) - float(log_u.exp().mean().log())
    low, high = first - 1.0, first + 20.0
    for _ in range(60):
        middle = (low + high) / 2
        below = float(bounded((log_u + middle).exp()).mean()) < level
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


@cache
def learned() -> Learned:
    """What was learned, read from its file once.

    Raises:
        InputError: The file is missing or damaged, or of another version.
    """
    return read(FILE)


def read(file: Path) -> Learned:
    """What a file holds.

    Raises:
        InputError: It is missing or damaged, or of another version.
    """
    tensors, facts = files.read_tensors(file)
    if facts.get("version") != VERSION:
        raise InputError(
            f"{file} is an atlas of version {facts.get('version')}, needs {VERSION}: make it anew "
            "with python -m research.atlas fit"
        )
    shapes = {}
    for simplex in (True, False):
        for geometry in (True, False):
            name = shape_of(simplex=simplex, geometry=geometry)
            if not columns_of(simplex=simplex, geometry=geometry):
                shapes[simplex, geometry] = _flat()
                continue
            own = {
                key.removeprefix(f"{name} "): tensor.double()
                for key, tensor in tensors.items()
                if key.startswith(f"{name} ")
            }
            try:
                count = sum(key.startswith("weights") for key in own)
                layers = tuple((own[f"weights {k}"], own[f"biases {k}"]) for k in range(count))
                shapes[simplex, geometry] = Shape(own["centre"], own["scale"], layers)
            except KeyError as error:
                raise InputError(
                    f"{file} is damaged: it lacks {error} of '{name}': install thalweg anew"
                ) from None
    return Learned(shapes, facts)


def shape_of(*, simplex: bool, geometry: bool) -> str:
    """How the file calls a shape."""
    return ("classes" if simplex else "values") + (" with features" if geometry else "")


def _flat() -> Shape:
    """Of nothing: u is the same everywhere."""
    nothing = torch.zeros(0, dtype=torch.float64)
    layer = torch.zeros(1, 1, 0, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    return Shape(nothing, nothing, (layer,))
