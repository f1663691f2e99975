"""The types and ranges of a study's records, which are checked once, when they are read back."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from thalweg.storing.records import OPEN, Amount, Moment, Units


class CostRecord(TypedDict):
    """The cost of a run, as `meter.Cost.as_dict` gives it."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    backward_examples: Amount
    forward_examples: Amount
    training_examples: Units
    seconds: Amount
    peak_memory: Amount
    emulator_seconds: NotRequired[Amount]  # thalweg 0.1 did not measure it
    trainings: Amount
    forward_trainings: Amount
    total: NotRequired[Amount]


class RunRecord(TypedDict):
    """`run.json`: what was done, when it began and ended, and whether it succeeded."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    kind: Literal["reference", "pool", "method", "landscape"]
    index: Annotated[int, Field(ge=0)]
    title: str
    status: Literal["ok", "failed"]
    error: str | None
    started: Moment
    ended: Moment
    fingerprint: NotRequired[str]
    traceback: NotRequired[str]
    cost: NotRequired[CostRecord]
    stored_bytes: NotRequired[Amount]
    evaluations_per_input: NotRequired[Amount]
    seconds_exploring: NotRequired[Amount]
    training_seconds: NotRequired[Amount | None]


class Environment(TypedDict):
    """The versions and the hardware of a study, as `study.environment` gives them."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    versions: dict[str, str]
    hardware: dict[str, Any]
    system: str


class PlannedRun(TypedDict):
    """One task of a study and the name of its run's folder."""

    kind: Literal["reference", "pool", "method", "landscape"]
    index: Annotated[int, Field(ge=0)]
    method: Annotated[int, Field(ge=0)]
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")]


class PlanRecord(TypedDict):
    """`plan.json`: the plan, and all else that the comparison needs without building a network."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    plan: dict[str, Any]
    data_fingerprint: str
    images_fingerprint: NotRequired[str]  # plan.json of thalweg 0.1 has neither this nor runs
    runs: NotRequired[list[PlannedRun]]
    ood: str | None
    parameters: Units
    augmented: bool
    environment: Environment


def lacking(record: dict[str, Any]) -> bool:
    """Whether the record of a run lacks something that its kind and status require."""
    if record["status"] == "failed":
        return not record["error"]
    wanted = {"method": ("cost", "stored_bytes", "evaluations_per_input"), "landscape": ()}.get(
        record["kind"], ("cost",)
    )
    return any(name not in record for name in wanted)
