"""The types and ranges of stored records, which are checked once, when they are read back."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

# a count or a measured quantity: 0 or more and finite, an integer being small enough for a double
Amount = Annotated[int, Field(ge=0, le=2**63)] | Annotated[float, Field(ge=0, allow_inf_nan=False)]
Units = Annotated[int, Field(ge=1, le=2**63)]
Moment = Annotated[float, Field(ge=0, lt=253402300800)]  # seconds since 1970, before the year 10000
Name = Annotated[str, Field(pattern="^[0-9a-f]{20}$")]  # of a file: no path leaves the folder
OPEN = ConfigDict(extra="allow", strict=True)  # later versions may add facts


class AnchorRecord(TypedDict):
    """The cost of a trained network, the fields of `meter.Cost`, and the network's key."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    key: NotRequired[str]
    backward_examples: Amount
    forward_examples: Amount
    training_examples: Units
    seconds: Amount
    peak_memory: Amount
    emulator_seconds: NotRequired[Amount]


class AveragingRecord(TypedDict):
    """The random changes of inputs that predictions are averaged over, without their function."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]
    count: Annotated[int, Field(ge=1)]
    seed: int


class FitRecord(TypedDict):
    """`quantifier.json`: settings of a fit, and the names of the files that hold the rest."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    kind: Literal["quantifier"]
    settings: dict[str, Any]
    emulator: dict[str, Any]
    outputs: dict[str, Any]
    architectures: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=2)]
    seed: int
    own_narrow: bool  # a function of the user's makes the narrow network
    networks: Annotated[list[Name], Field(min_length=1)]
    whole: Annotated[int, Field(ge=1)]
    given: Annotated[int, Field(ge=1)]
    path: NotRequired[Annotated[int, Field(ge=1)]]
    width_ratio: Annotated[float, Field(gt=0, le=1)]
    layer: str | None
    inputs: Name
    training: Name | None
    averaging: NotRequired[AveragingRecord]  # where predictions are averaged
    cost: dict[str, Any]
    bought: list[dict[str, Any]]
    versions: dict[str, str]


class FolderRecord(TypedDict):
    """`fit.json`: whose fit a folder holds, by digests of its parts."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    kind: Literal["fit"]
    parts: dict[str, str]
