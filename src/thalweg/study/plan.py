"""The plan of a study: the content of its TOML file, checked before anything is trained."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from thalweg import files
from thalweg.errors import InputError
from thalweg.names import folder_name, one_line
from thalweg.study.mistakes import made, mistake
from thalweg.study.rows import Row, rows_of
from thalweg.study.settings import settings_of
from thalweg.training.execution import Compile, Execution
from thalweg.training.recipe import Recipe
from thalweg.training.sources import Source

MOST_BYTES = 2**20  # the largest size of a plan


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)  # "3" is not a number


class DataPlan(_Part):
    """The table `[data]`: the images.

    Attributes:
        name: The data set; `thalweg datasets` lists them.
        train: The number of training images. Default: all that validation leaves.
        validation: The number of validation images, which methods see without labels, to calibrate
            emulators.
        test: The number of test images. Default: all.
        batch_size: The number of examples per batch.
        augment: Whether the data set's customary augmentation is used.
        ood: The out-of-distribution images: a name, several names, or `none`. Default: those that
            are customary for the data set.
        ood_images: The number of images of each of these.
    """

    name: str = "digits"
    train: int | None = Field(default=None, ge=1)
    validation: int = Field(default=300, ge=1)
    test: int | None = Field(default=None, ge=2)
    batch_size: int = Field(default=128, ge=1)
    augment: bool = True
    ood: str | Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None
    ood_images: int = Field(default=500, ge=2)


class ModelPlan(_Part):
    """The table `[model]`: the network. Its other keys are settings of the network.

    Attributes:
        name: A network that thalweg knows, or `package.module:factory`.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    name: str = "mlp"


class Protocol(_Part):
    """The table `[protocol]`: how methods are evaluated.

    Attributes:
        seed: The seed from which everything random is derived.
        reference: The number of held-out retrainings, which are the truth.
        pool: The number of retrainings from which the deep-ensemble curves are made.
        bases: The number of seeds from which every method starts.
        sources: The sources of randomness that a retraining draws anew.
        draws: The number of draws from an explorer's distribution, if it is not a finite set.
        emulator_draws: The number of draws from an emulator.
        replicates: The number of bootstrap replicates for the intervals.
        device: The device that networks are trained on.
        landscape: What the plane of the loss landscape goes through: the ends and the bend of a
            learned curve, three anchors, or an anchor and two members that `thalweg` leads away
            from it, with the losses along these paths and a map of what they predict; `none` for
            no plane.
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
    landscape: Literal["learned-curve", "anchors", "thalweg", "none"] = "learned-curve"


class ExecutionPlan(_Part):
    """The table `[execution]`: how the work is done. It is not part of a run's fingerprint.

    Results agree up to rounding. In a stack, dropout draws different masks.

    Attributes:
        stack: The number of reference, pool or anchor networks that train as one module. It is for
            GPUs; `--jobs` is for CPUs.
        compile: The mode in which `torch.compile` compiles the networks.
        channels_last: Whether convolutions use that memory order. Default: wherever it works.
    """

    stack: int = Field(default=1, ge=1)
    compile: Compile = "no"
    channels_last: bool | None = None

    def on(self, device: str) -> Execution:
        """The execution of the plan's problems on a device.

        Raises:
            InputError: There is no such device.
        """
        return Execution(device, **self.model_dump())


class _File(_Part):
    name: Annotated[str, AfterValidator(folder_name)] = "study"
    title: Annotated[str, AfterValidator(one_line)] = ""
    data: DataPlan = DataPlan()
    model: ModelPlan = ModelPlan()
    recipe: dict[str, Any] = {}
    execution: ExecutionPlan = ExecutionPlan()
    protocol: Protocol = Protocol()
    methods: list[dict[str, Any]] = Field(min_length=1)


@dataclass(frozen=True)
class Plan:
    """A checked plan of a study.

    Attributes:
        name: The name of the study, and of the folder that its results go to.
        title: The title of the study, in words.
        data: The images.
        model: The network.
        recipe: How the network is trained.
        execution: How the work is done.
        protocol: How methods are evaluated.
        methods: The methods, which are the rows of the comparison.
        trusted: Whether the plan may name a network outside thalweg. Importing and building it runs
            its code.

    Example:
        >>> plan = make_plan({"name": "small", "methods": [{"explorer": "swag", "rank": [5, 10]}]})
        >>> [method.label for method in plan.methods]
        ['swag (rank 5)', 'swag (rank 10)']
    """

    name: str
    title: str
    data: DataPlan
    model: ModelPlan
    recipe: Recipe
    execution: ExecutionPlan
    protocol: Protocol
    methods: tuple[Row, ...]
    trusted: bool = field(default=False, compare=False)

    def facts(self) -> dict[str, Any]:
        """Returns the whole plan, for JSON."""
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
        quick: Whether the values of its `[quick]` tables replace the others, which gives a short
            form of the study that takes minutes.
        model: A network that replaces the plan's network and its settings, as in
            `--model package.module:factory`.
        trust: Whether a network that the plan itself names as `package.module:factory` may be
            imported, which runs its code.

    Raises:
        InputError: The file, or the one that it is `like`, is missing, is not TOML, or has a
            mistake; the error names the key.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "small.toml"
        >>> _ = path.write_text('methods = [{explorer = "swag"}]')
        >>> read_plan(path).name
        'small'
    """
    path = files.local(path)
    raw = _read(path)
    changes = raw.pop("quick", {})
    if not isinstance(changes, Mapping):
        raise InputError(f"{path}: quick got {changes!r}, needs a table")
    replaced = {} if model is None else {"model": {"name": model}}
    trust = trust or model is not None
    name = raw.get("name", path.stem)
    whole = make_plan({**raw, **replaced, "name": name}, str(path), trust=trust)
    # the short form is always checked, so that its mistakes are found at once
    shortened = {**_merged(raw, changes), **replaced, "name": f"{name}-quick"}
    short = make_plan(shortened, f"{path} [quick]", trust=trust)
    return short if quick else whole


def plan_of(facts: Mapping[str, Any], *, trust: bool = False) -> Plan:
    """Returns the plan whose `facts()` these are, as a study's folder keeps them.

    Raises:
        InputError: No plan gives such facts.
    """
    try:
        methods = [_entry(method) for method in facts["methods"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"plan.json: methods are not what a study writes ({type(error).__name__}: {error})"
        ) from None
    return make_plan({**facts, "methods": methods}, "plan.json", trust=trust)


def make_plan(raw: Mapping[str, Any], where: str = "plan", *, trust: bool = True) -> Plan:
    """Makes a plan from its content, and checks it.

    Args:
        raw: The content, as in the TOML file.
        where: The name of the plan in errors.
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


def _read(path: Path) -> dict[str, Any]:
    """Returns the content of a plan, with what it does not say itself taken from the plan that it
    is `like`, a file in the same folder.
    """
    raw = _toml(path)
    other = raw.pop("like", None)
    if other is None:
        return raw
    if not isinstance(other, str) or Path(other).name != other or other in ("", ".."):
        raise InputError(
            f"{path}: like got {other!r}, needs the name of a plan's file in the same folder"
        )
    shared = _toml(path.parent / other)
    if "like" in shared:
        raise InputError(
            f"{path}: like got '{other}', which is like another plan itself: needs one that is not"
        )
    shared.pop("name", None)
    models = [table.get("model") for table in (raw, shared)]
    named = [model.get("name") if isinstance(model, Mapping) else None for model in models]
    if None not in named and named[0] != named[1]:
        shared.pop("model")  # its settings are not those of another network
    return _merged(shared, raw)


def _toml(path: Path) -> dict[str, Any]:
    """Returns the content of a TOML file, with any byte order mark and any kind of line ends."""
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
        text = data.decode("utf-8-sig")  # ignores a byte order mark
        return tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is no UTF-8 ({error.reason} at byte {error.start}): save it again with that "
            "encoding"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no TOML: {' '.join(str(error).split())[:200]}") from None


def _entry(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the table of `[[methods]]` that gave these facts of a method."""
    entry = {
        "label": facts["label"],
        "baseline" if facts.get("baseline") else "explorer": facts["explorer"],
        **{k: v for k, v in facts["settings"].items() if v is not None},
    }
    entry |= {key: facts[key] for key in ("repeat", "proxies", "averages") if key in facts}
    if facts["emulator"]:
        entry["emulator"] = {"name": facts["emulator"], **facts["emulator_settings"]}
    return entry


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merges tables key by key, and replaces everything else."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
