"""The plan of a study: what a TOML file may say, checked before anything is trained."""

import difflib
import itertools
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from thalweg.emulators.base import Emulator, find_emulator
from thalweg.errors import InputError
from thalweg.explorers.base import Explorer, find_explorer
from thalweg.training.problem import Source
from thalweg.training.recipe import Recipe

T = TypeVar("T")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataPlan(_Part):
    """`[data]`: which images.

    Attributes:
        name: A data set, see `thalweg datasets`.
        train: Training images; all that validation leaves if left out.
        validation: Images that methods may see unlabelled: calibration of emulators.
        test: Test images; all if left out.
        batch_size: Examples a batch.
        augment: The data set's customary augmentation.
        ood: Out-of-distribution images; the customary ones of the data set if left out, `none` for none.
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

    model_config = ConfigDict(extra="allow", frozen=True)
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
        landscape: What the plane of the loss landscape goes through: the ends and the bend of a learned curve, or three anchors.
    """

    seed: int = 0
    reference: int = Field(default=30, ge=4)
    pool: int = Field(default=20, ge=2)
    bases: int = Field(default=5, ge=1)
    sources: tuple[Source, ...] = Field(default=("init", "order", "augmentation"), min_length=1)
    draws: int = Field(default=32, ge=2)
    emulator_draws: int = Field(default=100, ge=2)
    replicates: int = Field(default=1000, ge=100)
    device: str = "cpu"
    landscape: Literal["learned-curve", "anchors", "none"] = "learned-curve"


class _File(_Part):
    name: str = ""
    title: str = ""
    data: DataPlan = DataPlan()
    model: ModelPlan = ModelPlan()
    recipe: dict[str, Any] = {}
    protocol: Protocol = Protocol()
    methods: list[dict[str, Any]] = Field(min_length=1)


@dataclass(frozen=True)
class Method:
    """One row of the comparison.

    Attributes:
        label: How the row is called.
        explorer_name: As registered.
        explorer: With its settings.
        emulator_name: As registered; None for none.
        emulator: What is made of the explorer's members; None for their own predictions.
    """

    label: str
    explorer_name: str
    explorer: Explorer
    emulator_name: str | None = None
    emulator: Emulator | None = None

    def facts(self) -> dict[str, Any]:
        """Everything that can change its result, for the fingerprint and the record."""
        return {
            "explorer": self.explorer_name,
            "settings": _settings(self.explorer),
            "emulator": self.emulator_name,
            "emulator_settings": None if self.emulator is None else _settings(self.emulator),
        }


@dataclass(frozen=True)
class Plan:
    """A checked plan.

    Attributes:
        name: Of the study; its results go to a folder of that name.
        title: For people.
        data: Which images.
        model: Which network.
        recipe: How it is trained.
        protocol: How methods are judged.
        methods: The rows of the comparison.
    """

    name: str
    title: str
    data: DataPlan
    model: ModelPlan
    recipe: Recipe
    protocol: Protocol
    methods: tuple[Method, ...]

    def facts(self) -> dict[str, Any]:
        """The whole plan, for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "data": self.data.model_dump(),
            "model": self.model.model_dump(),
            "recipe": _settings(self.recipe),
            "protocol": self.protocol.model_dump(mode="json"),
            "methods": [{"label": m.label, **m.facts()} for m in self.methods],
        }


def read_plan(path: Path, *, quick: bool = False, model: str | None = None) -> Plan:
    """Reads and checks a plan.

    Args:
        path: The TOML file.
        quick: Take the values of its `[quick]` tables over the others: the same study, in minutes.
        model: Takes the place of the plan's network, as `--model package.module:factory`; the settings then go with it.

    Raises:
        InputError: The file is missing, is no TOML, or has a mistake; the error names the key.
    """
    try:
        raw = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"can't read the plan {path} ({error.strerror}): give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML: {error}") from None
    changes = raw.pop("quick", {})
    if not isinstance(changes, Mapping):
        raise InputError(f"{path}: quick got {changes!r}, needs a table")
    own = {} if model is None else {"model": {"name": model}}
    name = str(raw.get("name") or path.stem)
    whole = make_plan({**raw, **own, "name": name}, str(path))
    short = make_plan({**_merged(raw, changes), **own, "name": f"{name}-quick"}, f"{path} [quick]")  # mistakes are found at once
    return short if quick else whole


def plan_of(facts: Mapping[str, Any]) -> Plan:
    """The plan that gave these `facts()`, as a study's folder keeps them."""
    methods = []
    for own in facts["methods"]:
        entry = {"label": own["label"], "explorer": own["explorer"], **own["settings"]}
        if own["emulator"]:
            entry["emulator"] = {"name": own["emulator"], **own["emulator_settings"]}
        methods.append(entry)
    return make_plan({**facts, "methods": methods}, "plan.json")


def make_plan(raw: Mapping[str, Any], where: str = "plan") -> Plan:
    """Checks the content of a plan.

    Raises:
        InputError: It has a mistake; the error names the key.
    """
    try:
        file = _File(**raw)
    except ValidationError as error:
        raise _mistake(error, where, "", _File) from None
    recipe = _make(Recipe, file.recipe, where, "recipe")
    methods = tuple(m for i, entry in enumerate(file.methods) for m in _methods(entry, where, f"methods[{i}]"))
    labels = [m.label for m in methods]
    doubled = sorted({label for label in labels if labels.count(label) > 1})
    if doubled:
        raise InputError(f"{where}: methods has '{doubled[0]}' twice: change a setting, or give one of them a label")
    most = max(m.explorer.anchors for m in methods)
    if file.protocol.landscape == "anchors" and most < 3:
        raise InputError(f"{where}: protocol.landscape got 'anchors', but no method has three: needs 'learned-curve' or 'none'")
    return Plan(file.name, file.title or file.name, file.data, file.model, recipe, file.protocol, methods)


def _methods(entry: Mapping[str, Any], where: str, key: str) -> list[Method]:
    """The rows of one `[[methods]]` table: a list of values makes a row for each."""
    entry = dict(entry)
    name, label, emulator = entry.pop("explorer", None), entry.pop("label", None), entry.pop("emulator", None)
    if not isinstance(name, str):
        raise InputError(f"{where}: {key}.explorer got {name!r}, needs the name of an explorer (see 'thalweg explorers')")
    explorer_class = _found(find_explorer, name, f"{where}: {key}.explorer")
    emulator_name, emulator_settings = _named(emulator, f"{where}: {key}.emulator")
    emulator_class = _found(find_emulator, emulator_name, f"{where}: {key}.emulator") if emulator_name else None
    listed = {k: v for k, v in entry.items() if isinstance(v, list)}
    empty = [k for k, v in listed.items() if not v]
    if empty:
        raise InputError(f"{where}: {key}.{empty[0]} got [], needs a value, or some, a row each")
    found = []
    for values in itertools.product(*listed.values()):
        settings = entry | dict(zip(listed, values, strict=True))
        explorer = _make(explorer_class, settings, where, key)
        emulating = None if emulator_class is None else _make(emulator_class, emulator_settings, where, f"{key}.emulator")
        members = getattr(explorer, "members", None)
        if emulating is not None and members is not None and members < emulating.least_members:
            raise InputError(f"{where}: {key}.members got {members} with the emulator '{emulator_name}', needs "
                             f"{emulating.least_members} or more: it learns from their differences")
        suffix = "".join(f", {k} {v}" for k, v in zip(listed, values, strict=True)) if label else ""
        title = f"{label}{suffix}" if label else _label(name, settings, emulator_name, emulator_settings)
        found.append(Method(title, name, explorer, emulator_name, emulating))
    return found


def _found(find: Callable[[str], type[T]], name: str, key: str) -> type[T]:
    """What is registered under a name; a mistake names the key."""
    try:
        return find(name)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None


def _named(emulator: Any, key: str) -> tuple[str | None, dict[str, Any]]:
    """An emulator in a plan: its name, or a table with name and settings."""
    if emulator is None or isinstance(emulator, str):
        return emulator, {}
    if isinstance(emulator, Mapping) and isinstance(emulator.get("name"), str):
        return emulator["name"], {k: v for k, v in emulator.items() if k != "name"}
    raise InputError(f"{key} got {emulator!r}, needs a name, or a table such as {{ name = \"neighbours\", neighbours = 40 }}")


def _label(name: str, settings: Mapping[str, Any], emulator: str | None, emulator_settings: Mapping[str, Any]) -> str:
    """Such as `deep-ensemble (members 2)` or `neighbours on deep-ensemble (members 2)`."""

    def with_settings(title: str, values: Mapping[str, Any]) -> str:
        text = ", ".join(f"{k} {v}" for k, v in values.items())
        return f"{title} ({text})" if text else title

    own = with_settings(name, settings)
    return f"{with_settings(emulator, emulator_settings)} on {own}" if emulator else own


def _settings(thing: Any) -> dict[str, Any]:
    return {f.name: getattr(thing, f.name) for f in fields(thing)}


def _make(cls: type[Any], settings: Mapping[str, Any], where: str, key: str) -> Any:
    """A dataclass from settings; a mistake names the key."""
    known = [f.name for f in fields(cls)]
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise InputError(f"{where}: {key}.{name} is not known: {hint}(known: {', '.join(known)})")
    try:
        return TypeAdapter(cls).validate_python(dict(settings))
    except ValidationError as error:
        raise _mistake(error, where, key, None) from None


def _mistake(error: ValidationError, where: str, key: str, model: type[BaseModel] | None) -> InputError:
    """The first mistake that pydantic found, in one line."""
    first = error.errors()[0]
    path = ".".join([key, *map(str, first["loc"])] if key else map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _known(model, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
        message = (f"is not known: did you mean '{near[0]}'?" if near else "is not known") + f" (known: {', '.join(known)})"
        return InputError(f"{where}: {path} {message}")
    if first["type"] == "missing":
        return InputError(f"{where}: {path} is missing: give it a value")
    got = "" if first["type"] == "value_error" else f" got {first['input']!r},"
    return InputError(f"{where}: {path}{got} {message[0].lower() + message[1:]}")


def _known(model: type[BaseModel] | None, path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        inner = model.model_fields[str(part)].annotation if model is not None and str(part) in model.model_fields else None
        model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return [] if model is None else sorted({*model.model_fields, *(["quick"] if model is _File else [])})


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; everything else is replaced."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
