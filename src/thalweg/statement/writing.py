"""Statements as files: tables, JSON, and a folder that holds all of one; and reading them back."""

import io
import json
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
from thalweg.statement.tables import table
from thalweg.statement.tolerance import Decision, Tolerance

STATEMENT, MEMBERS = "statement.json", "members.safetensors"
_MATRICES = ("mean", "estimate", "u", "k", "coverage", "symmetric", "shortest", "wider")
_PLAIN = ("measurand", "corrected", "level", "networks", "members", "intervals", "checked")
_NAMES = ("inputs", "columns", "checks")
_MADE = "make the statement again with thalweg.state"


def to_csv(statement: Statement, path: str | Path, by: str = "input") -> None:
    """Writes the table as text."""
    text = table(statement, by).to_csv(None, index=False)
    files.write_bytes(files.given(path), text.encode())


def to_parquet(statement: Statement, path: str | Path, by: str = "input") -> None:
    """Writes the table as Parquet; the metadata `thalweg` hold the identity and units as JSON."""
    import pyarrow as pa
    from pyarrow import parquet

    found = pa.Table.from_pandas(table(statement, by), preserve_index=False)
    facts = json.dumps({"identity": statement.identity, "measurand": statement.measurand})
    metadata = {**(found.schema.metadata or {}), b"thalweg": facts.encode()}
    buffer = io.BytesIO()
    parquet.write_table(found.replace_schema_metadata(metadata), buffer)
    files.write_bytes(files.given(path), buffer.getvalue())


def to_json(statement: Statement, path: str | Path) -> None:
    """Writes all results; numbers that are not finite are null."""
    files.write_record(files.given(path), facts(statement))


def save(statement: Statement, folder: str | Path) -> None:
    """Writes results, members and pictures to a folder."""
    place = files.given(folder)
    tensors = {
        name: getattr(statement, name)
        for name in ("values", "pictures")
        if getattr(statement, name) is not None
    }
    if tensors:
        files.write_tensors(place / MEMBERS, tensors, {"of": statement.identity.get("made", "")})
    to_json(statement, place / STATEMENT)


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
    place = files.given(path)
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
        if about.get("of") != made.identity.get("made") or (
            values is not None and tuple(values.shape) != shape
        ):
            raise InputError(f"{place / MEMBERS} is of another statement than {STATEMENT}: {_MADE}")
        object.__setattr__(made, "values", values)
        object.__setattr__(made, "pictures", tensors.get("pictures"))
    return made


def facts(statement: Statement) -> dict[str, Any]:
    """All results of a statement, for JSON."""
    own = statement
    found: dict[str, Any] = {name: getattr(own, name) for name in _PLAIN}
    found |= {name: list(getattr(own, name)) for name in _NAMES}
    found |= {name: getattr(own, name).tolist() for name in _MATRICES}
    found["freedom"] = _finite(own.freedom)
    found["expanded"] = own.expanded.tolist()
    found["outputs"], found["units"] = own.outputs.facts(), own.units
    found["components"] = [
        {
            "name": one.name,
            "u": None if one.u is None else one.u.tolist(),
            "freedom": one.freedom if math.isfinite(one.freedom) else None,
            "kind": one.kind,
            "basis": one.basis,
            "shares": one.shares,
            "counted": one.counted,
        }
        for one in own.components
    ]
    located = own.located
    found["located"] = {
        "centre": located.centre.tolist(),
        "scale": located.scale.tolist(),
        "freedom": _finite(located.freedom),
    }
    for name in ("outside", "labels"):
        given = getattr(own, name)
        found[name] = None if given is None else given.tolist()
    found["nominal"] = None
    if own.nominal is not None:
        found["nominal"] = {
            "value": {name: part.tolist() for name, part in own.nominal.value.items()},
            "u": {name: part.tolist() for name, part in own.nominal.u.items()},
            "mutual_information": own.nominal.mutual_information.tolist(),
            "disagreement": own.nominal.disagreement.tolist(),
        }
    found["sources"] = [row.facts() for row in own.sources]
    found["decision"] = None if own.decision is None else own.decision.facts()
    found["stated"] = [own.text(i) for i in range(len(own.inputs))]
    found["flags"] = [list(flags) for flags in own.flags()]
    found["identity"] = own.identity
    return found


def _finite(values: Tensor) -> list[Any]:
    return [[x if math.isfinite(x) else None for x in row] for row in values.tolist()]


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
    return Statement(
        outputs=outputs,
        **{name: record[name] for name in _PLAIN},
        **{name: tuple(record[name]) for name in _NAMES},
        **{name: torch.tensor(record[name], dtype=torch.float64) for name in _MATRICES},
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
