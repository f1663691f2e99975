"""The rows of a comparison: what a plan's `[[methods]]` tables say."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from thalweg.emulators.base import Emulator, find_emulator
from thalweg.errors import InputError
from thalweg.explorers.base import Explorer, find_explorer
from thalweg.study.mistakes import made

T = TypeVar("T")


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
            "settings": settings_of(self.explorer),
            "emulator": self.emulator_name,
            "emulator_settings": None if self.emulator is None else settings_of(self.emulator),
        }


def methods_of(entry: Mapping[str, Any], where: str, key: str) -> list[Method]:
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
        explorer = made(explorer_class, settings, where, key)
        emulating = None if emulator_class is None else made(emulator_class, emulator_settings, where, f"{key}.emulator")
        members = getattr(explorer, "members", None)
        if emulating is not None and members is not None and members < emulating.least_members:
            raise InputError(f"{where}: {key}.members got {members} with the emulator '{emulator_name}', needs "
                             f"{emulating.least_members} or more: it learns from their differences")
        suffix = "".join(f", {k} {v}" for k, v in zip(listed, values, strict=True)) if label else ""
        title = f"{label}{suffix}" if label else _label(name, settings, emulator_name, emulator_settings)
        found.append(Method(title, name, explorer, emulator_name, emulating))
    return found


def settings_of(thing: Any) -> dict[str, Any]:
    """The fields of a dataclass."""
    return {f.name: getattr(thing, f.name) for f in fields(thing)}


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
