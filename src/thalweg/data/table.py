"""A table in memory: rows of numbers, and for each one or more values to predict, in units."""

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.outputs import Values


@dataclass(frozen=True)
class Standardise:
    """Standardises the columns of a table; it can be pickled, and works on any device.

    Attributes:
        mean: The mean of every column.
        std: The standard deviation of every column, above 0.

    Example:
        >>> Standardise((1.0,), (2.0,))(torch.tensor([[5.0]]))
        tensor([[2.]])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, rows: Tensor) -> Tensor:
        return (rows - rows.new_tensor(self.mean)) / rows.new_tensor(self.std)


@dataclass(frozen=True, eq=False)
class Table:
    """A regression's data set, divided into training and test rows.

    Attributes:
        name: The name in the registry.
        units: The units of the targets; '' for none.
        train: Training rows, float32 `[n, columns]`, in units of their own.
        train_labels: Targets, float32 `[n, outputs]`, in their units.
        test: Test rows, as `train`.
        test_labels: Targets of the test rows.

    Example:
        >>> x, y = torch.randn(20, 3), torch.randn(20, 1)
        >>> table = Table("mine", "mg/l", x, y, x, y)
        >>> table.shape, table.columns, table.outputs(y).units
        ((3, 1, 1), 1, 'mg/l')
    """

    name: str
    units: str
    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    augment: None = None
    ood: str = "none"

    def __post_init__(self) -> None:
        for part, rows, targets in (
            ("train", self.train, self.train_labels),
            ("test", self.test, self.test_labels),
        ):
            for what, given in (("rows", rows), ("targets", targets)):
                if given.dim() != 2 or 0 in given.shape or given.dtype != torch.float32:
                    raise InputError(
                        f"{self.name}: {part}: got {what} of type {given.dtype} and shape "
                        f"{tuple(given.shape)}, needs float32 [n, numbers], none of them 0"
                    )
                if not torch.isfinite(given).all():
                    raise InputError(f"{self.name}: {part}: got {what} that are not finite")
            if len(rows) != len(targets):
                raise InputError(
                    f"{self.name}: {part}: got {len(rows)} rows and {len(targets)} targets, needs "
                    "as many of both"
                )
        if self.train.shape[1:] != self.test.shape[1:] or (
            self.train_labels.shape[1:] != self.test_labels.shape[1:]
        ):
            raise InputError(
                f"{self.name}: training and test rows differ in their columns, need the same"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a row, as networks by name get it: (columns, 1, 1)."""
        return self.train.shape[1], 1, 1

    @property
    def columns(self) -> int:
        """The number of values that are predicted for a row."""
        return self.train_labels.shape[1]

    def outputs(self, train: Tensor) -> Values:
        """Values in units, standardised by the training part's targets `[n, outputs]`."""
        mean, std = _standard(train)
        return Values(self.units, mean, std)

    def preparing(self, train: Tensor) -> Standardise:
        """A function that standardises rows by the training part's rows `[n, columns]`."""
        return Standardise(*_standard(train))

    def about(self, parts: tuple[int, int, int]) -> str:
        """A description for a report; `parts` counts training, validation and test rows."""
        train, validation, test = parts
        units = f" in {self.units}" if self.units else ""
        return (
            f"{self.name}: {self.columns} value{'s' if self.columns > 1 else ''}{units} from "
            f"{self.train.shape[1]} numbers; {train:,} training, {validation:,} validation and "
            f"{test:,} test rows; rows and targets standardised by the training rows."
        )


def _standard(train: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The means and standard deviations of columns; the latter are 1 where a column is constant."""
    mean, std = train.double().mean(0), train.double().std(0, correction=0)
    return tuple(mean.tolist()), tuple(torch.where(std > 0, std, 1.0).tolist())
