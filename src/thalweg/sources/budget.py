"""The budget of sources: how much of retraining uncertainty each brings, as rows of a statement."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from thalweg.errors import InputError
from thalweg.meter import Cost
from thalweg.predictions import Predictions
from thalweg.sources.components import REPEAT, components, repeats_alike
from thalweg.sources.design import Design
from thalweg.sources.given import design_of
from thalweg.sources.rows import COLUMNS, Row, cells, row_of, told

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


_FAR, _MANY = 0.4, 8  # of as many trainings one has less, also where one direction is all


@dataclass(frozen=True)
class Budget:
    """How much of retraining uncertainty each source brings.

    Attributes:
        rows: A row for each source and interaction, and for repetitions.
        total: All of it, drawn anew together; None of a one-factor design, which does not tell it.
        design: The trainings that it rests on.
        predictions: Theirs, in the design's order `[trainings, inputs, outputs]`.
        level: The coverage of the intervals.
        cost: What the trainings cost, each once, and their predictions; None where it is unknown.
    """

    rows: tuple[Row, ...]
    total: Row | None
    design: Design
    predictions: Predictions
    level: float
    cost: Cost | None = None

    @property
    def u(self) -> Tensor:
        """Standard uncertainty of all sources together `[inputs]`.

        Raises:
            InputError: The design does not tell it.
        """
        if self.total is None:
            raise InputError(
                "a one-factor design tells what each source changes, and not all together: ask for "
                "design='latin' or 'crossed'"
            )
        return self.total.u

    def row(self, name: str) -> Row:
        """Returns the row of a source.

        Raises:
            InputError: There is none.
        """
        for row in self._shown():
            if row.name == name:
                return row
        known = ", ".join(row.name for row in self._shown())
        raise InputError(f"the budget has no row {name!r}, needs one of {known}")

    @property
    def warning(self) -> str:
        """Returns a sentence where one training alone is far from all others, as one that did not
        learn is; otherwise an empty text.
        """
        values = self.predictions.values().double()
        far = (values - values.mean(0)).square().flatten(1).sum(1)
        place, share = int(far.argmax()), float(far.max() / far.sum().clamp(min=1e-300))
        if share < _FAR or len(far) < _MANY or place >= len(self.design.levels):
            return ""
        pairs = zip(self.design.factors, self.design.levels[place], strict=True)
        at = ", ".join(f"{factor} {level}" for factor, level in pairs)
        return (
            f"training {place} ({at}) has {share:.0%} of all squared distances to the mean: look "
            "whether it learned the task before the shares are read"
        )

    def table(self) -> "DataFrame":
        """Returns the rows as a table: u is the root mean square over inputs."""
        from pandas import DataFrame

        return DataFrame([cells(row) for row in self._shown()], columns=list(COLUMNS))

    def per_input(self) -> "DataFrame":
        """Returns a line for each input and source: u with its interval and degrees of freedom."""
        from pandas import DataFrame, concat

        parts = [
            DataFrame(
                {
                    "input": range(len(row.u)),
                    "source": row.name,
                    "u": row.u.numpy(),
                    "low": row.low.numpy(),
                    "high": row.high.numpy(),
                    "dof": row.dof.numpy(),
                    "type": row.type,
                }
            )
            for row in self._shown()
        ]
        return concat(parts, ignore_index=True)

    def plot(self) -> "Figure":
        """Draws u of each row with its interval."""
        from thalweg.sources.drawing import drawn

        units = getattr(self.predictions.outputs, "units", "")
        return drawn(self.rows, self.total, self.level, units)

    def _shown(self) -> tuple[Row, ...]:
        return self.rows if self.total is None else (*self.rows, self.total)

    def __str__(self) -> str:
        lines = [
            f"{self.design}; root mean square of u over {self.predictions.inputs} inputs, "
            f"with {self.level:.0%} intervals"
        ]
        width = max(len(row.name) for row in self._shown())
        lines += [f"{row.name:<{width}}  {told(row)}" for row in self._shown()]
        if self.total is None:
            lines.append("u of a source holds its interactions, so that shares are of their sum")
        if any(row.share < 0 for row in self.rows):
            lines.append("a negative share: the estimate is not told from 0")
        lines += [self.warning] if self.warning else []
        if self.cost is not None and not math.isnan(self.cost.trainings):
            lines.append(f"cost: {self.cost.trainings:.2f} trainings")
        return "\n".join(lines)


def budget_of(
    predictions: Predictions, design: Design | Any, *, level: float = 0.95, cost: Cost | None = None
) -> Budget:
    """The budget of sources of trainings that are there.

    Args:
        predictions: Those of the trainings `[trainings, inputs, outputs]`.
        design: Their design, or their levels, as `design_of` takes them.
        level: The coverage of intervals.
        cost: What the trainings cost.

    Raises:
        InputError: There are other predictions than trainings, or levels are of no balanced
            design.

    Example:
        >>> import torch
        >>> values = torch.tensor([[[0.0]], [[2.0]], [[10.0]], [[12.0]]])  # init 10, order 2 apart
        >>> levels = {"init": [0, 0, 1, 1], "order": [0, 1, 0, 1]}
        >>> found = budget_of(Predictions.from_values(values), levels)
        >>> [(row.name, round(float(row.u), 2)) for row in found.rows]
        [('init', 7.07), ('order', 1.41), ('init x order', 0.0)]
    """
    if not isinstance(design, Design):
        design = design_of(design)
    found, whole = components(predictions, design, level)
    total = sum(own.average.variance for own in found) if whole is None else whole.average.variance
    exact = repeats_alike(predictions, design)
    rows = tuple(row_of(own, total, known=exact and own.name == REPEAT) for own in found)
    last = None if whole is None else row_of(whole, total, known=False)
    return Budget(rows, last, design, predictions, level, cost)
