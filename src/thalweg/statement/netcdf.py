"""A statement as netCDF, by xarray: dimensions draw, input and output.

As ArviZ's files have it, a row of `draw` is one member, and the attributes `inference_library`,
`inference_library_version` and `created_at` say what made it.
"""

import importlib
import io
import json
from pathlib import Path
from typing import Any

from thalweg import files
from thalweg.errors import InputError
from thalweg.statement.held import Stated
from thalweg.statement.tables import parts


def to_netcdf(statement: Stated, path: str | Path) -> None:
    """Writes members and results.

    Raises:
        InputError: xarray or h5netcdf is not installed.
        DiskError: The folder can't be written to, or the disk is full.
    """
    buffer = io.BytesIO()
    _extra("h5netcdf")
    dataset(statement).to_netcdf(buffer, engine="h5netcdf")
    files.write_bytes(files.given(path), buffer.getvalue())


def dataset(statement: Stated) -> Any:
    """The statement as an `xarray.Dataset`.

    Raises:
        InputError: xarray is not installed.
    """
    own, both = statement, ("input", "output")
    about = {"units": own.units or "1"}
    found: dict[str, Any] = {
        "estimate": (both, own.estimate.numpy(), about),
        "u_c": (both, own.u.numpy(), about),
        "freedom": (both, own.freedom.numpy()),
        "k": (both, own.k.numpy()),
        "U": (both, own.expanded.numpy(), about),
        "low": (both, own.symmetric[0].numpy(), about),
        "high": (both, own.symmetric[1].numpy(), about),
        "shortest_low": (both, own.shortest[0].numpy(), about),
        "shortest_high": (both, own.shortest[1].numpy(), about),
    }
    found |= {
        name: (both, part.numpy(), about) for name, part in parts(own).items() if part is not None
    }
    coordinates: dict[str, Any] = {"input": list(own.inputs), "output": list(own.columns)}
    if own.values is not None:
        found["prediction"] = (("draw", *both), own.values.numpy(), about)
        coordinates["draw"] = range(own.members)
    if own.nominal is not None:
        for name, part in own.nominal.value.items():
            found[name] = ("input", part.numpy())
            found[f"u_{name}"] = ("input", own.nominal.u[name].numpy())
        found["mutual_information"] = ("input", own.nominal.mutual_information.numpy())
    if own.decision is not None:
        found["decision"] = ("input", list(own.decision.decided))
        found["conformance"] = ("input", own.decision.conformance.numpy())
    versions = own.identity.get("versions", {})
    attributes = {
        "inference_library": "thalweg",
        "inference_library_version": str(versions.get("thalweg", "unknown")),
        "created_at": str(own.identity.get("made", "")),
        "measurand": own.measurand,
        "coverage_probability": own.level,
        "identity": json.dumps(own.identity, sort_keys=True),
    }
    return _extra("xarray").Dataset(found, coordinates, attributes)


def _extra(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            f"to_netcdf needs {module}: pip install 'thalweg[netcdf]', or write to_parquet or "
            "to_json"
        ) from None
