"""The plan of a study: what a TOML file may say, checked before anything is trained."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from thalweg import files
from thalweg.errors import InputError
from thalweg.study.mistakes import made, mistake
from thalweg.study.names import folder_name, one_line
from thalweg.study.rows import Row, rows_of
from thalweg.study.settings import settings_of
from thalweg.training.problem import Source
from thalweg.training.recipe import Recipe

MOST_BYTES = 2**20  # of a plan


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)  # "3" is no number


class DataPlan(_Part):
    """`[data]`: which images.

    Attributes:
        name: A data set, see `thalweg datasets`.
        train: Training images; all that validation leaves if left out.
        validation: Images that methods may see unlabelled: calibration of emulators.
        test: Test images; all if left out.
        batch_size: Examples a batch.
        augment: The data set's customary augmentation.
        ood: Out-of-distribution images; the customary ones of the data set if left out, `none` for
            none.
        ood_images: How many of them.
    """

    name: str = "digits"
    train: int | None = Field(default=None, ge=1)
    validation: int = Field(default=300, ge=1)
    test: int | None = Field(default=None, ge=2)
    batch_size: int = Field(default=128, ge=1)
    augment: bool = True
    ood: str | None = None
    ood_images: int = Field(default=500, ge=2)


class ModelPlan(_Part):
    """`[model]`: which network; every other key is a setting of it.

    Attributes:
        name: A known network, or `package.module:factory`.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    name: str = "mlp"


class Protocol(_Part):
    """`[protocol]`: how explorers are judged.

    Attributes:
        seed: Everything random is derived from it.
        reference: Held-out retrainings that are the truth.
        pool: Retrainings of which the deep-ensemble curves are made.
        bases: Seeds that every method starts from.
        sources: What a retraining draws anew.
        draws: Draws from an explorer's distribution, where it is not a finite set.
        emulator_draws: Draws from an emulator.
        replicates: Bootstrap replicates of the intervals.
        device: Where to train.
        landscape: What the plane of the loss landscape goes through: the ends and the bend of a
            learned curve, or three anchors.
    """

    seed: int = 0
    reference: int = Field(default=30, ge=4, le=10_000)
    pool: int = Field(default=20, ge=2, le=10_000)
    bases: int = Field(default=5, ge=1, le=1_000)
    sources: tuple[Source, ...] = Field(
        default=("init", "order", "augmentation"), min_length=1, strict=False
    )
    draws: int = Field(default=32, ge=2, le=100_000)
    emulator_draws: int = Field(default=100, ge=2, le=100_000)
    replicates: int = Field(default=1000, ge=100, le=1_000_000)
    device: str = "cpu"
    landscape: Literal["learned-curve", "anchors", "none"] = "learned-curve"


class Execution(_Part):
    """`[execution]`: how the work is done. None of this is part of a run's fingerprint.

    Results agree up to rounding; with dropout in a stack, up to other masks.

    Attributes:
        stack: Reference, pool and anchors train as one module of so many members (for GPUs;
            `--jobs` is for CPUs).
        compile: Networks are compiled by `torch.compile`, in this mode.
        channels_last: Memory order of convolutions; where it works, if left out.
    """

    stack: int = Field(default=1, ge=1)
    compile: Literal["no", "default", "reduce-overhead"] = "no"
    channels_last: bool | None = None


class _File(_Part):
    name: Annotated[str, AfterValidator(folder_name)] = "study"
    title: Annotated[str, AfterValidator(one_line)] = ""
    data: DataPlan = DataPlan()
    model: ModelPlan = ModelPlan()
    recipe: dict[str, Any] = {}
    execution: Execution = Execution()
    protocol: Protocol = Protocol()
    methods: list[dict[str, Any]] = Field(min_length=1)


@dataclass(frozen=True)
class Plan:
    """A checked plan.

    Attributes:
        name: Of the study; its results go to a folder of that name.
        title: For people.
        data: Which images.
        model: Which network.
        recipe: How it is trained.
        execution: How the work is done.
        protocol: How methods are judged.
        methods: The rows of the comparison.
        trusted: Whether the plan may name a network outside of thalweg: importing it, and making
            one, runs its code.
    """

    name: str
    title: str
    data: DataPlan
    model: ModelPlan
    recipe: Recipe
    execution: Execution
    protocol: Protocol
    methods: tuple[Row, ...]
    trusted: bool = field(default=False, compare=False)

    def facts(self) -> dict[str, Any]:
        """The whole plan, for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "data": self.data.model_dump(),
            "model": self.model.model_dump(),
            "recipe": settings_of(self.recipe),
            "execution": self.execution.model_dump(),
            "protocol": self.protocol.model_dump(mode="json"),
            "methods": [{"label": row.label, **row.facts()} for row in self.methods],
        }


def read_plan(
    path: str | Path, *, quick: bool = False, model: str | None = None, trust: bool = False
) -> Plan:
    """Reads and checks a plan.

    Args:
        path: The TOML file.
        quick: Take the values of its `[quick]` tables over the others: the same study, in minutes.
        model: Takes the place of the plan's network, as `--model package.module:factory`; the
            settings then go with it.
        trust: Whether a network that the plan itself names as `package.module:factory` may be
            imported: that is code.

    Raises:
        InputError: The file is missing, is no TOML, or has a mistake; the error names the key.
    """
    path = files.given(path)
    raw = _toml(path)
    changes = raw.pop("quick", {})
    if not isinstance(changes, Mapping):
        raise InputError(f"{path}: quick got {changes!r}, needs a table")
    own = {} if model is None else {"model": {"name": model}}
    trust = trust or model is not None
    name = raw.get("name", path.stem)
    whole = make_plan({**raw, **own, "name": name}, str(path), trust=trust)
    # mistakes of the short form are found at once
    short = make_plan(
        {**_merged(raw, changes), **own, "name": f"{name}-quick"}, f"{path} [quick]", trust=trust
    )
    return short if quick else whole


def plan_of(facts: Mapping[str, Any], *, trust: bool = False) -> Plan:
    """The plan that gave these `facts()`, as a study's folder keeps them.

    Raises:
        InputError: No plan gives such facts.
    """
    try:
        methods = [_entry(own) for own in facts["methods"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"plan.json: methods are not what a study writes ({type(error).__name__}: {error})"
        ) from None
    return make_plan({**facts, "methods": methods}, "plan.json", trust=trust)


def make_plan(raw: Mapping[str, Any], where: str = "plan", *, trust: bool = True) -> Plan:
    """Checks the content of a plan.

    Args:
        raw: The content.
        where: What an error calls it.
        trust: Whether a network that it names as `package.module:factory` may be imported.

    Raises:
        InputError: It has a mistake; the error names the key.
    """
    try:
        file = _File(**raw)
    except ValidationError as error:
        raise mistake(error, where, "", _File) from None
    recipe = made(Recipe, file.recipe, where, "recipe")
    methods = tuple(
        row
        for i, table in enumerate(file.methods)
        for row in rows_of(table, where, f"methods[{i}]")
    )
    labels = [row.label for row in methods]
    doubled = sorted({label for label in labels if labels.count(label) > 1})
    if doubled:
        raise InputError(
            f"{where}: methods has '{doubled[0]}' twice: change a setting, or give one of them a "
            "label"
        )
    most = max(row.method.anchors for row in methods)
    if file.protocol.landscape == "anchors" and most < 3:
        raise InputError(
            f"{where}: protocol.landscape got 'anchors', but no method has three: needs "
            "'learned-curve' or 'none'"
        )
    return Plan(
        file.name,
        file.title or file.name,
        file.data,
        file.model,
        recipe,
        file.execution,
        file.protocol,
        methods,
        trust,
    )


def _toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file, whatever an editor put before it and at the ends of its lines."""
    try:
        data = files.read_bytes(path, MOST_BYTES)
    except InputError as error:
        raise InputError(
            f"can't read the plan {str(path)[:200]} ({error}): give the path of a TOML file"
        ) from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(
            f"{path} is saved as UTF-16, needs UTF-8: save it again with that encoding"
        )
    try:
        text = data.decode(
            "utf-8-sig"
        )  # an editor's mark at the beginning, if there is one, is no content
        return tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is no UTF-8 ({error.reason} at byte {error.start}): save it again with that "
            "encoding"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no TOML: {' '.join(str(error).split())[:200]}") from None


def _entry(own: Mapping[str, Any]) -> dict[str, Any]:
    """The table of `[[methods]]` that gave these facts of a method."""
    entry = {
        "label": own["label"],
        "baseline" if own.get("baseline") else "explorer": own["explorer"],
        **{k: v for k, v in own["settings"].items() if v is not None},
    }
    entry |= {key: own[key] for key in ("repeat", "proxies") if key in own}
    if own["emulator"]:
        entry["emulator"] = {"name": own["emulator"], **own["emulator_settings"]}
    return entry


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; everything else is replaced."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
