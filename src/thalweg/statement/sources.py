"""Rows of a budget: how u(retraining) divides into its sources, as another analysis found it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import InputError, check_range
from thalweg.sources.budget import Budget


@dataclass(frozen=True, eq=False)
class SourceRow:
    """One source of the differences between trainings.

    Attributes:
        name: Such as `init`, `order`, `augmentation`, `dropout` or `data`.
        u: Its standard uncertainty, in the units of the values: one number, or one an input
            `[inputs]`.
        freedom: Its degrees of freedom.
        kind: `A` or `B`.
        share: Its share of the variance over trainings, a fraction, which an estimate may have
            below 0; None where it is not known.
        low: The lower end of the interval of u; None where there is none.
        high: The upper end.

    Raises:
        InputError: A number is out of its range.

    Example:
        >>> SourceRow("order", 0.02, freedom=7).mean
        0.02
    """

    name: str
    u: float | Tensor
    freedom: float = math.inf
    kind: str = "A"
    share: float | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        u = torch.as_tensor(self.u, dtype=torch.float64)
        if u.dim() > 1 or not u.numel() or not (u.isfinite() & (u >= 0)).all():
            raise InputError(
                f"the source '{self.name}' got u of shape {tuple(u.shape)}, needs one finite "
                "number, 0 or more, or one an input"
            )
        if self.kind not in ("A", "B"):
            raise InputError(f"the source '{self.name}' got the type {self.kind!r}, needs A or B")
        if self.share is not None:
            check_range(f"the source '{self.name}': share", self.share, -100, 100)
        object.__setattr__(self, "u", u)

    @property
    def mean(self) -> float:
        """The root of the mean square of u over inputs."""
        return float(torch.as_tensor(self.u).square().mean().sqrt())

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        freedom = self.freedom if math.isfinite(self.freedom) else None
        return {**own, "u": torch.as_tensor(self.u).tolist(), "freedom": freedom}

    @staticmethod
    def of_facts(facts: dict[str, Any]) -> "SourceRow":
        """The inverse of `facts`."""
        freedom = math.inf if facts["freedom"] is None else facts["freedom"]
        return SourceRow(**{**facts, "freedom": freedom})


def rows_of(given: Any, inputs: int) -> tuple[SourceRow, ...]:
    """Rows of a budget from `thalweg.budget`, from rows, from a table, or from whatever has one as
    `.table()`.

    Args:
        given: A budget, whose inputs should be those of the statement: where it has as many, its u
            is taken for each of them, and else that on average. Or rows, or a pandas table with the
            columns `source` (or `name`) and `u`, and maybe `freedom` (or `dof`), `type` (or
            `kind`), `share`, `low` and `high`.
        inputs: How many inputs the statement has.

    Raises:
        InputError: It is none of these, or u has another number of inputs.
    """
    if given is None:
        return ()
    if isinstance(given, Budget):
        return tuple(_of_budget(given, inputs))
    table = given.table() if callable(getattr(given, "table", None)) else given
    rows = _of_table(table) if hasattr(table, "columns") else table
    if not isinstance(rows, Sequence) or not all(isinstance(row, SourceRow) for row in rows):
        raise InputError(
            f"sources got a {type(given).__name__}, needs thalweg.statement.SourceRow(name, u), "
            "several of them, or a table with the columns source and u"
        )
    for row in rows:
        count = torch.as_tensor(row.u).numel()
        if count not in (1, inputs):
            raise InputError(
                f"the source '{row.name}' got u of {count} inputs, needs {inputs}, or one number"
            )
    return tuple(rows)


def _of_budget(budget: Budget, inputs: int) -> list[SourceRow]:
    return [
        SourceRow(
            row.name,
            row.u if len(row.u) == inputs else row.mean_u.value,
            freedom=row.mean_dof,
            kind=row.type,
            share=row.share,
            low=row.mean_u.low,
            high=row.mean_u.high,
        )
        for row in budget.rows
    ]


def _of_table(table: Any) -> list[SourceRow]:
    names = {"name": ("name", "source"), "u": ("u",), "freedom": ("freedom", "dof")}
    names |= {"kind": ("kind", "type"), "share": ("share",), "low": ("low",), "high": ("high",)}
    columns = {
        field: next((name for name in known if name in table.columns), None)
        for field, known in names.items()
    }
    if columns["name"] is None or columns["u"] is None:
        raise InputError(
            f"sources got a table with the columns {', '.join(map(str, table.columns))}, needs "
            "source and u"
        )
    rows = []
    for record in table.to_dict("records"):
        found = {field: record[name] for field, name in columns.items() if name is not None}
        numeric = {"u", "freedom", "share", "low", "high"}
        kept: dict[str, Any] = {
            field: float(value) if field in numeric else str(value)
            for field, value in found.items()
            if value is not None and value == value  # not NaN
        }
        if "u" in kept:  # a source that was not varied has none
            rows.append(SourceRow(**kept))
    return rows
