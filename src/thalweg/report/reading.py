"""Reading result files, whose checksums, types and texts are checked.

Results of thalweg 0.1 have no checksums and no list of metrics; they can still be read.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Annotated, Any, NotRequired

import numpy as np
import pandas as pd
from pandas import DataFrame
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from thalweg import files
from thalweg.errors import InputError
from thalweg.metrics.info import FACTS, Direction, MetricInfo
from thalweg.names import one_line
from thalweg.places import Place

# the columns of text, and the columns of numbers, which may be undefined if a name ends in "?"
COLUMNS = {
    "comparison": (("method", "metric"), ("value?", "low?", "high?", "bases")),
    "methods": (
        ("method", "explorer"),
        (
            "cost?",
            "forward?",
            "seconds?",
            "peak_memory?",
            "stored_bytes?",
            "evaluations_per_input?",
            "runs",
            "failed",
        ),
    ),
    "curves": (("metric",), ("members", "value?")),
    "inputs": (("method",), ("input", "u", "u_reference")),
    "reliability": (("method",), ("bin", "confidence", "accuracy", "count")),
    "elsewhere": (("method", "set", "metric"), ("value?", "low?", "high?")),
}
# columns that must exist, but whose content is not checked here
OTHERS = {"methods": ("emulator", "is_retraining")}
_OPEN = ConfigDict(extra="allow", strict=True)
_Count = Annotated[int, Field(ge=0)]
_Line = Annotated[str, AfterValidator(one_line)]


class _Data(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    name: _Line
    batch_size: _Count
    augment: bool
    ood: NotRequired[_Line | list[_Line] | None]


class _Model(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    name: _Line


class _Protocol(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    sources: list[_Line]
    replicates: _Count
    reference: _Count
    pool: _Count
    bases: _Count
    device: _Line
    landscape: _Line


class _Plan(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    title: _Line
    data: _Data
    model: _Model
    recipe: dict[str, Any]
    protocol: _Protocol


class _Counts(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    train: _Count
    validation: _Count
    test: _Count
    ood: _Count
    classes: _Count
    parameters: _Count
    runs: _Count
    failed: _Count
    reference: NotRequired[_Count]
    pool: NotRequired[_Count]
    bases: NotRequired[_Count]


class _Hardware(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    processor: _Line
    cores: _Count | None
    memory: NotRequired[_Count | None]
    accelerators: NotRequired[list[_Line]]


class _Versions(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    thalweg: _Line


class _Dates(TypedDict):
    started: _Line
    finished: _Line


class _Failure(TypedDict):
    run: _Line
    reason: str


class _Metric(TypedDict):
    name: _Line
    title: _Line
    symbol: _Line
    unit: _Line
    direction: Direction
    definition: str
    source: str
    digits: Annotated[str, Field(pattern=r"^\.[0-9][fg]$")]
    judged: bool
    low: NotRequired[float]  # added by later versions, as is `high`
    high: NotRequired[float]


class Study(TypedDict):
    """`study.json`: all that a report says besides numbers."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    plan: _Plan
    ood: NotRequired[_Line | None]
    counts: _Counts
    shape: list[_Count]
    versions: _Versions
    hardware: _Hardware
    system: NotRequired[str]
    dates: _Dates
    failures: list[_Failure]
    reproduce: list[_Line]
    version: NotRequired[int]
    metrics: NotRequired[list[_Metric]]
    files: NotRequired[dict[str, str]]


@dataclass(frozen=True)
class ResultFiles:
    """The result files of a study.

    Attributes:
        folder: The folder `results` of the study.
    """

    folder: Place

    @property
    def remedy(self) -> str:
        """What the user can do about a damaged file."""
        again = f"run `thalweg compare {self.folder.parent}` again"
        return f"{again}, or, if its runs are not at hand, get its results again"

    @cached_property
    def study(self) -> dict[str, Any]:
        """The content of `study.json`.

        Raises:
            InputError: The file is missing, damaged, or lacks something; the line names it.
        """
        return dict(files.read_record(self.folder / "study.json", Study, self.remedy))

    def read(self, name: str) -> bytes:
        """Returns the content of a file.

        Raises:
            InputError: The file is missing, or is not the one that `study.json` has a checksum of.
        """
        path = self.folder / name
        if not files.exists(path):
            raise InputError(f"{path} does not exist, the report needs it: {self.remedy}")
        data, known = files.read_bytes(path), self.study.get("files")
        if known is not None and known.get(name) != files.digest(data):
            raise InputError(
                f"{path} is damaged, or belongs to another study (it is not the file that "
                f"study.json has a checksum of): {self.remedy}"
            )
        return data

    def lists(self, name: str) -> bool:
        """Whether the results have a file of that name: those of earlier versions, which list none,
        have all.
        """
        return name in self.study.get("files", {name: ""})

    def table(self, name: str) -> DataFrame:
        """Returns a table, with the columns of `COLUMNS` and possibly others.

        Raises:
            InputError: The file is missing or damaged, or a column is missing or of another type.
        """
        path, data = self.folder / f"{name}.parquet", self.read(f"{name}.parquet")
        try:
            table = pd.read_parquet(io.BytesIO(data))
        except Exception as error:  # a damaged file can make pyarrow raise anything
            reason = " ".join(str(error).split())[:120]
            raise InputError(f"{path} is damaged ({reason}): {self.remedy}") from None
        texts, numbers = COLUMNS[name]
        for column in (*texts, *(n.rstrip("?") for n in numbers), *OTHERS.get(name, ())):
            if list(table.columns).count(column) != 1:
                raise InputError(f"{path} has no column '{column}': {self.remedy}")
        if table.empty:
            raise InputError(f"{path} has no rows: the study has no finished run to report")
        for column in texts:
            self._check_texts(path, column, table[column])
        for column in numbers:
            self._check_numbers(path, column, table[column.rstrip("?")])
        return table

    def tensors(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Returns the arrays of a file and their metadata.

        Raises:
            InputError: The file is missing or damaged.
        """
        self.read(name)
        tensors, about = files.read_tensors(self.folder / name, self.remedy)
        return {key: tensor.numpy() for key, tensor in tensors.items()}, about

    def facts(self, judged: Sequence[str]) -> Mapping[str, MetricInfo]:
        """Returns the facts of each metric, by its name.

        They are those that the results state, or else those of this version. A metric that neither
        describes has only its name.

        Args:
            judged: The metrics of the comparison.
        """
        listed = self.study.get("metrics")
        names = [f.name for f in fields(MetricInfo)]
        known = dict(FACTS)
        if listed is not None:
            known = {
                m["name"]: MetricInfo(**{name: m[name] for name in names if name in m})
                for m in listed
            }
        others = [name for name in judged if name not in known]
        return {**known, **{name: FACTS.get(name) or _undescribed(name) for name in others}}

    @property
    def wanted(self) -> list[str]:
        """The metrics that every evaluated method must have, if the results list them."""
        return [m["name"] for m in self.study.get("metrics", []) if m["judged"]]

    def _check_texts(self, path: Place, column: str, values: Any) -> None:
        for value in values.unique():
            try:
                one_line(TypeAdapter(str).validate_python(value, strict=True))
            except ValueError as error:
                reason = str(error).splitlines()[0]
                raise InputError(
                    f"{path} has a '{column}' that is not a line of text ({reason[:120]}): "
                    f"{self.remedy}"
                ) from None

    def _check_numbers(self, path: Place, column: str, values: Any) -> None:
        name = column.rstrip("?")
        if not is_numeric_dtype(values) or is_bool_dtype(values):
            raise InputError(
                f"{path} has a '{name}' of {values.dtype}, needs numbers: {self.remedy}"
            )
        may_be_undefined = column.endswith("?")
        if not may_be_undefined and not np.isfinite(values.to_numpy(float, na_value=np.nan)).all():
            raise InputError(f"{path} has a '{name}' that is not a finite number: {self.remedy}")


def _undescribed(name: str) -> MetricInfo:
    """Returns what can be said of a metric of another version that did not describe it."""
    title, definition = name.replace("_", " "), "A metric of another version of thalweg"
    return MetricInfo(name, title, name, "", "none", definition, "that version", ".4g")
