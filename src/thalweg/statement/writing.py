"""Statements as files: tables, JSON, and a folder that holds all of one."""

import io
import json
import math
from pathlib import Path
from typing import Any

from torch import Tensor

from thalweg import files
from thalweg.statement.held import Stated
from thalweg.statement.tables import table

STATEMENT, MEMBERS = "statement.json", "members.safetensors"
MATRICES = ("mean", "estimate", "u", "k", "coverage", "symmetric", "shortest", "wider")
PLAIN = ("measurand", "corrected", "level", "networks", "members", "intervals", "checked")
NAMES = ("inputs", "columns", "checks")


def to_csv(statement: Stated, path: str | Path, by: str = "input") -> None:
    """Writes the table as text."""
    text = table(statement, by).to_csv(None, index=False)
    files.write_bytes(files.given(path), text.encode())


def to_parquet(statement: Stated, path: str | Path, by: str = "input") -> None:
    """Writes the table as Parquet; the metadata `thalweg` hold the identity and units as JSON."""
    import pyarrow as pa
    from pyarrow import parquet

    found = pa.Table.from_pandas(table(statement, by), preserve_index=False)
    facts = json.dumps({"identity": statement.identity, "measurand": statement.measurand})
    metadata = {**(found.schema.metadata or {}), b"thalweg": facts.encode()}
    buffer = io.BytesIO()
    parquet.write_table(found.replace_schema_metadata(metadata), buffer)
    files.write_bytes(files.given(path), buffer.getvalue())


def to_json(statement: Stated, path: str | Path) -> None:
    """Writes all results; numbers that are not finite are null."""
    files.write_record(files.given(path), facts(statement))


def save(statement: Stated, folder: str | Path) -> None:
    """Writes results, members and pictures to a folder."""
    place = files.local(folder)
    tensors = {
        name: getattr(statement, name)
        for name in ("values", "pictures")
        if getattr(statement, name) is not None
    }
    if tensors:
        files.write_tensors(place / MEMBERS, tensors, {"of": tie(statement)})
    to_json(statement, place / STATEMENT)


def tie(statement: Stated) -> str:
    """What members and results of one statement have in common."""
    own = statement.identity
    return f"{own.get('predictions_sha256')} {own.get('made')}"


def facts(statement: Stated) -> dict[str, Any]:
    """All results of a statement, for JSON."""
    own = statement
    found: dict[str, Any] = {name: getattr(own, name) for name in PLAIN}
    found |= {name: list(getattr(own, name)) for name in NAMES}
    found |= {name: getattr(own, name).tolist() for name in MATRICES}
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
