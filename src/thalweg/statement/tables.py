"""The table of a statement: a row for each input, or for each input and column."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from thalweg.errors import unknown
from thalweg.statement.held import Stated
from thalweg.statement.nominal import INDICES
from thalweg.statement.rounding import concise

if TYPE_CHECKING:
    from pandas import DataFrame


def table(statement: Stated, by: str = "input") -> "DataFrame":
    """The table of a statement, as `Statement.table`.

    Raises:
        InputError: `by` is neither `input` nor `column`.
    """
    from pandas import DataFrame

    if by not in ("input", "column"):
        raise unknown("table", by, ("input", "column"))
    inputs, count = len(statement.inputs), len(statement.columns)
    if by == "input" and statement.simplex:
        at = statement.answers()[:, None]
    else:
        at = torch.arange(count).expand(inputs, count)
    wide = at.shape[1]
    flat: dict[str, Any] = {
        "input": [name for name in statement.inputs for _ in range(wide)],
        "output": [statement.columns[column] for column in at.flatten().tolist()],
    }

    def pick(values: Tensor) -> Any:
        return values.gather(1, at).flatten().numpy()

    flat["stated"] = [
        concise(value, u)
        for value, u in zip(pick(statement.estimate), pick(statement.u), strict=True)
    ]
    flat["estimate"], flat["u_c"] = pick(statement.estimate), pick(statement.u)
    for name, own in parts(statement).items():
        flat[name] = torch.nan if own is None else pick(own)
    flat["freedom"], flat["k"] = pick(statement.freedom), pick(statement.k)
    flat["U"] = pick(statement.expanded)
    for prefix, ends in (("", statement.symmetric), ("shortest_", statement.shortest)):
        flat[f"{prefix}low"], flat[f"{prefix}high"] = pick(ends[0]), pick(ends[1])

    def each(values: Any) -> list[Any]:
        return [value for value in values for _ in range(wide)]

    found = statement.nominal
    if found is not None:
        for name in INDICES:
            flat[name] = each(found.value[name].tolist())
            flat[f"u_{name}"] = each(found.u[name].tolist())
        flat["mutual_information"] = each(found.mutual_information.tolist())
        flat["disagreement"] = each(found.disagreement.tolist())
    decision = statement.decision
    if decision is not None:
        flat["decision_output"] = each([statement.columns[c] for c in decision.column.tolist()])
        flat["decision"] = each(decision.decided)
        flat["conformance"] = each(decision.conformance.tolist())
        flat["risk"] = each(decision.risk.tolist())
    flat["flags"] = each([", ".join(own) for own in statement.flags()])
    return DataFrame(flat)


def parts(statement: Stated) -> dict[str, Tensor | None]:
    """The components in the table's columns `[inputs, columns]`; None where nobody knows one.

    `u_finite` is that of the number of networks and of draws together, as far as they are known.
    """
    found: dict[str, Tensor | None] = {}
    for name, own in (("u_retraining", ("retraining",)), ("u_finite", ("networks", "draws"))):
        known = [one.u for part in own if (one := statement.component(part)) and one.u is not None]
        found[name] = torch.stack(known).square().sum(0).sqrt() if known else None
    for name in ("method", "deviation"):
        one = statement.component(name)
        if one is not None:
            found[f"u_{name}"] = one.u
    return found
