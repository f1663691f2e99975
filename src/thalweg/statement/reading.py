"""Reading statements back: the files and folders that `thalweg.statement.writing` writes."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thalweg import files
from thalweg.errors import InputError
from thalweg.outputs import outputs_of
from thalweg.statement.components import Component
from thalweg.statement.nominal import Nominal
from thalweg.statement.scale import Located
from thalweg.statement.sources import SourceRow
from thalweg.statement.statement import Statement
from thalweg.statement.tolerance import Decision, Tolerance
from thalweg.statement.writing import MATRICES, MEMBERS, NAMES, PLAIN, STATEMENT, tie

_MADE = "make the statement again with thalweg.state"


def read_statement(path: str | Path) -> Statement:
    """Reads a statement: a file that `to_json` wrote, or a folder that `save` wrote.

    Args:
        path: The file or folder; `~` is the home folder.

    Raises:
        InputError: It is missing or damaged, or holds no statement; or the members in a folder are
            those of another one.

    Example:
        >>> read_statement("nowhere.json")
        Traceback (most recent call last):
        thalweg.errors.InputError: nowhere.json does not exist
    """
    place = files.local(path)
    whole = files.is_folder(place)
    file = place / STATEMENT if whole else place
    record = files.read_record(file, dict[str, Any])
    try:
        made = _of_facts(record)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}"[:120]
        raise InputError(f"{file} holds no statement ({reason}): {_MADE}") from None
    if whole and files.exists(place / MEMBERS):
        tensors, about = files.read_tensors(place / MEMBERS)
        values = tensors.get("values")
        shape = (made.members, *made.mean.shape)
        if about.get("of") != tie(made) or (values is not None and tuple(values.shape) != shape):
            raise InputError(f"{place / MEMBERS} is of another statement than {STATEMENT}: {_MADE}")
        object.__setattr__(made, "values", values)
        object.__setattr__(made, "pictures", tensors.get("pictures"))
    return made


def _matrix(given: Any, fill: float = math.nan) -> Tensor:
    rows = [[fill if x is None else x for x in row] for row in given]
    return torch.tensor(rows, dtype=torch.float64)


def _vector(given: Any) -> Tensor:
    return torch.tensor(given, dtype=torch.float64)


def _of_facts(record: dict[str, Any]) -> Statement:
    """The inverse of `facts`, but for what it adds for other programs."""
    outputs = outputs_of(record["outputs"])
    located = record["located"]
    nominal, decision, labels = record["nominal"], record["decision"], record["labels"]
    simple: dict[str, Any] = {name: record[name] for name in PLAIN}
    simple |= {name: tuple(record[name]) for name in NAMES}
    simple |= {name: torch.tensor(record[name], dtype=torch.float64) for name in MATRICES}
    return Statement(
        outputs=outputs,
        **simple,
        freedom=_matrix(record["freedom"], math.inf),
        components=tuple(
            Component(
                name=one["name"],
                u=None if one["u"] is None else _matrix(one["u"]),
                freedom=math.inf if one["freedom"] is None else float(one["freedom"]),
                kind=one["kind"],
                basis=one["basis"],
                shares=one["shares"],
                counted=one["counted"],
            )
            for one in record["components"]
        ),
        located=Located(
            _matrix(located["centre"]),
            _matrix(located["scale"]),
            _matrix(located["freedom"], math.inf),
            outputs.simplex,
        ),
        nominal=None
        if nominal is None
        else Nominal(
            {name: _vector(part) for name, part in nominal["value"].items()},
            {name: _vector(part) for name, part in nominal["u"].items()},
            _vector(nominal["mutual_information"]),
            _vector(nominal["disagreement"]),
        ),
        outside=None if record["outside"] is None else torch.tensor(record["outside"]).bool(),
        labels=None if labels is None else torch.tensor(labels),
        sources=tuple(SourceRow.of_facts(row) for row in record["sources"]),
        decision=None
        if decision is None
        else Decision(
            Tolerance(**decision["tolerance"]),
            torch.tensor(decision["column"]),
            tuple(decision["decided"]),
            _vector(decision["conformance"]),
            _vector(decision["guard"]),
        ),
        identity=record["identity"],
    )
