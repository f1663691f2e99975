"""What was learned from the atlas: the file of numbers beside this one, `atlas.safetensors`.

`python -m research.atlas fit` makes it. It holds, each for probabilities and for values, with
features of inputs and without:

    shape       small networks from an input's columns (`atlas.views`) to log u over the offset
    level       what one network tells of the mean of u, and how well copies and trainings tell it
    residuals   how draws scatter about their mean
"""

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

VERSION = 1
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
        """Of columns `[inputs, columns]`, NaN where there is nothing: `[inputs]`."""
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

    def view(self, outputs: Outputs, stored: Tensor, features: Tensor | None) -> "Viewed":
        """What is typical of a task, from what one network says of its unlabelled inputs.

        Args:
            outputs: What it predicts.
            stored: What is stored of its predictions `[inputs, columns]`.
            features: Its features of the inputs `[inputs, features]`, or None.
        """
        found = look(outputs, stored, features)
        typical = Typical.of(outputs, found)
        made = Viewed(self.shapes[outputs.simplex, features is not None], outputs, typical)
        level = made.log_u(stored, features).exp().mean().log()
        return Viewed(made.shape, outputs, typical, level)


@dataclass(frozen=True, eq=False)
class Viewed:
    """A task as one network sees it.

    Attributes:
        shape: How u hangs on an input's place.
        outputs: What the network predicts.
        typical: What is typical of the task's inputs.
        level: Logarithm of the mean of u, before it is divided by it.
    """

    shape: Shape
    outputs: Outputs
    typical: Typical
    level: Tensor | None = None

    def log_u(self, stored: Tensor, features: Tensor | None) -> Tensor:
        """The logarithm of u at inputs, of which the network says this `[inputs]`: its mean is 1
        over the unlabelled inputs.
        """
        found, inputs = look(self.outputs, stored, features), len(stored)
        made = self.typical.offset(found, inputs)
        made = made + self.shape(self.typical.rows(found, inputs))
        return made if self.level is None else made - self.level


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
            name = name_of(simplex=simplex, geometry=geometry)
            if not columns_of(simplex=simplex, geometry=geometry):
                shapes[simplex, geometry] = _flat()
                continue
            own = {
                key.removeprefix(f"{name} "): tensor.double()
                for key, tensor in tensors.items()
                if key.startswith(f"{name} ")
            }
            count = sum(key.startswith("weights") for key in own)
            layers = tuple((own[f"weights {k}"], own[f"biases {k}"]) for k in range(count))
            shapes[simplex, geometry] = Shape(own["centre"], own["scale"], layers)
    return Learned(shapes, facts)


def name_of(*, simplex: bool, geometry: bool) -> str:
    """How the file calls a shape."""
    return ("classes" if simplex else "values") + (" with features" if geometry else "")


def _flat() -> Shape:
    """Of nothing: u is the same everywhere."""
    nothing = torch.zeros(0, dtype=torch.float64)
    layer = torch.zeros(1, 1, 0, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    return Shape(nothing, nothing, (layer,))
