"""What a statement holds: what is known of each input, as numbers, of which all else is made."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.outputs import Outputs, Values
from thalweg.statement import regions
from thalweg.statement.components import Component
from thalweg.statement.intervals import of_located
from thalweg.statement.nominal import Nominal
from thalweg.statement.rounding import concise
from thalweg.statement.scale import Located
from thalweg.statement.sources import SourceRow
from thalweg.statement.tolerance import Decision, Tolerance, decide


@dataclass(frozen=True, eq=False)
class Stated:
    """What is known of inputs.

    Attributes:
        outputs: What the columns are.
        measurand: `retraining`, what one more training would predict, or `mean`, the mean over all.
        corrected: Whether the estimate is the mean; else it is the prediction of the network in
            use, whose deviation is a part of the uncertainty.
        level: The coverage probability of intervals, and of U where k was not given.
        networks: Whether it rests on trained networks; else on draws.
        members: How many of them.
        inputs: The names of the inputs.
        columns: The names of classes or outputs.
        mean: The mean over members `[inputs, columns]`.
        estimate: The estimate `[inputs, columns]`.
        components: Of the uncertainty.
        u: Combined standard uncertainty `[inputs, columns]`.
        freedom: Effective degrees of freedom `[inputs, columns]`.
        k: Coverage factor `[inputs, columns]`.
        coverage: The coverage probability of k `[inputs, columns]`.
        symmetric: The probabilistically symmetric interval `[2, inputs, columns]`.
        shortest: The shortest interval `[2, inputs, columns]`.
        intervals: How the intervals were found: `student`, `order` or `mean`.
        located: The distribution of the measurand.
        wider: Its standard deviation over that of members `[inputs, columns]`.
        nominal: Indices of the probability mass function; None of values.
        outside: Whether an input is unlike all that the method knows `[inputs]`; None where nobody
            looked.
        checks: What is wrong with all of it, in words; empty where nothing is.
        checked: Whether the recipe was checked.
        values: Members' values `[members, inputs, columns]`; None where they were not kept.
        labels: True classes or values, where they are known: `[inputs]`, or `[inputs, columns]`.
        pictures: The inputs as images `[inputs, channels, height, width]`; None where they are not.
        sources: The budget of sources.
        decision: Of conformity; None without a tolerance.
        identity: Software, versions, seeds, and digests of predictions and weights.
    """

    outputs: Outputs
    measurand: str
    corrected: bool
    level: float
    networks: bool
    members: int
    inputs: tuple[str, ...]
    columns: tuple[str, ...]
    mean: Tensor
    estimate: Tensor
    components: tuple[Component, ...]
    u: Tensor
    freedom: Tensor
    k: Tensor
    coverage: Tensor
    symmetric: Tensor
    shortest: Tensor
    intervals: str
    located: Located
    wider: Tensor
    nominal: Nominal | None = None
    outside: Tensor | None = None
    checks: tuple[str, ...] = ()
    checked: bool = False
    values: Tensor | None = None
    labels: Tensor | None = None
    pictures: Tensor | None = None
    sources: tuple[SourceRow, ...] = ()
    decision: Decision | None = None
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def expanded(self) -> Tensor:
        """The expanded uncertainty U = k u `[inputs, columns]`; 0 where u is."""
        return torch.where(self.u > 0, self.k * self.u, torch.zeros_like(self.u))

    @property
    def units(self) -> str:
        """The units of the values; empty for probabilities and pure numbers."""
        return self.outputs.units if isinstance(self.outputs, Values) else ""

    @property
    def simplex(self) -> bool:
        """Whether the columns are probabilities that sum to 1."""
        return self.outputs.simplex

    def component(self, name: str) -> Component | None:
        """The component of a name; None where there is none."""
        return next((one for one in self.components if one.name == name), None)

    def answers(self) -> Tensor:
        """The most probable class by the estimate `[inputs]`; 0 of values."""
        return self.estimate.argmax(-1) if self.simplex else torch.zeros(len(self.mean)).long()

    def flags(self) -> list[tuple[str, ...]]:
        """What to know of each input before its numbers are used: `outside`, `check`, `boundary`
        (the interval estimate +- U of the answer leaves 0 .. 1, so that a coverage interval is to
        be read instead), `zero` (all members agree to the last digit, which says nothing of
        another training). Of values there is no boundary.
        """
        found = []
        at = self.answers()
        low, high = (self.estimate + sign * self.expanded for sign in (-1, 1))
        beyond = ((low < 0) | (high > 1)).gather(1, at[:, None])[:, 0].tolist()
        known = (self.u > 0).tolist()
        for i in range(len(self.mean)):
            own = []
            if self.outside is not None and bool(self.outside[i]):
                own.append("outside")
            if self.checks:
                own.append("check")
            columns = [int(at[i])] if self.simplex else list(range(len(self.columns)))
            if self.simplex and beyond[i]:
                own.append("boundary")
            if not all(known[i][column] for column in columns):
                own.append("zero")
            found.append(tuple(own))
        return found

    def text(self, number: int, column: int | None = None, *, comma: bool = False) -> str:
        """An estimate with its standard uncertainty, such as `0.873(24)`.

        Args:
            number: Which input.
            column: Which class or output; None for the most probable class, or the first output.
            comma: Whether a comma is the decimal sign.
        """
        place = int(self.answers()[number]) if column is None else column
        value, u = float(self.estimate[number, place]), float(self.u[number, place])
        return concise(value, u, comma=comma)

    def region(self, shape: regions.Shape = "rectangle") -> regions.Ellipsoid | regions.Rectangle:
        """The coverage region of all outputs of an input together, at `level` (JCGM 102:2011).

        Args:
            shape: `rectangle`, or `ellipsoid`, which takes two members more than coordinates.

        Raises:
            InputError: The members were not kept, are too few, or do not vary in all directions; or
                there is an ellipsoid of mean probabilities, which are no mean of log-ratios.
        """
        if shape not in ("rectangle", "ellipsoid"):
            raise InputError(f"region got {shape!r}, needs 'rectangle' or 'ellipsoid'")
        if shape == "rectangle":
            low, high = self._at(1 - (1 - self.level) / len(self.columns))
            return regions.Rectangle(low, high)
        if self.simplex and self.measurand == "mean":
            raise InputError(
                "region got an ellipsoid of mean probabilities, whose log-ratios are no mean of "
                "log-ratios: ask for shape='rectangle'"
            )
        if self.values is None:
            raise InputError(
                "region got a statement without its members, needs them: read the folder that "
                "Statement.save wrote, as to_json keeps results alone"
            )
        settings = {"simplex": self.simplex, "networks": self.networks}
        return regions.ellipsoid(self.values, self.wider, self.level, **settings)

    def _at(self, level: float) -> Tensor:
        """The symmetric interval of Student's distribution at another level `[2, inputs,
        columns]`.
        """
        return of_located(self.located, level)["symmetric"]

    def decide(self, tolerance: Tolerance) -> Self:
        """The same with a decision on each input (JCGM 106:2012).

        Raises:
            InputError: The tolerance does not fit the outputs.
        """
        parts = (self.mean, self.estimate, self.expanded, self.located)
        return replace(self, decision=decide(tolerance, self.columns, *parts))


def root_mean_square(values: Tensor | None) -> float:
    """The root of the mean square over inputs and columns; NaN of nothing.

    Example:
        >>> root_mean_square(torch.tensor([3.0, 4.0])), root_mean_square(None)
        (3.5355339059327378, nan)
    """
    return math.nan if values is None else float(values.double().square().mean().sqrt())
