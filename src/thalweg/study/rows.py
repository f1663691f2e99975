"""The rows of a comparison: what a plan's `[[methods]]` tables say."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from thalweg.baselines.base import Baseline, find_baseline
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.emulators.base import Emulator, find_emulator
from thalweg.errors import InputError, whole
from thalweg.explorers.base import Explorer, find_explorer
from thalweg.method import Method
from thalweg.names import one_line
from thalweg.study.mistakes import made
from thalweg.study.settings import by_field, settings_of

T = TypeVar("T")
MOST_ROWS = 1000  # that lists of values in one table make


@dataclass(frozen=True)
class Row:
    """One row of the comparison.

    Attributes:
        label: How the row is called.
        method: What it computes.
        explorer_name: The registered name of the method's explorer or baseline.
        emulator_name: The registered name of its emulator, or None.
    """

    label: str
    method: Method
    explorer_name: str
    emulator_name: str | None = None

    def facts(self) -> dict[str, Any]:
        """Everything that can change its result, by the words of plans: for fingerprints and
        records.
        """
        method = self.method
        return {
            "explorer": self.explorer_name,
            **({} if method.explorer.own_network else {"baseline": True}),
            **({"repeat": method.repeat} if method.repeat > 1 else {}),
            "settings": settings_of(method.explorer),
            "emulator": self.emulator_name,
            "emulator_settings": None if method.emulator is None else settings_of(method.emulator),
            **({} if method.narrow is None else {"proxies": settings_of(method.narrow)}),
            **({"averages": method.averages} if method.averages else {}),
        }


def rows_of(table: Mapping[str, Any], where: str, key: str) -> list[Row]:
    """The rows of one `[[methods]]` table: a list of values makes a row for each.

    Args:
        table: The table's content.
        where: What errors call the plan.
        key: What errors call the table.

    Raises:
        InputError: It has a mistake; the error names the key.
    """
    settings = dict(table)
    label = _label_of(settings.pop("label", None), f"{where}: {key}.label")
    beside = settings.pop("proxies", None)
    narrow = None if beside is None else _narrow(beside, where, key)
    emulator_name, emulator_settings = _named(
        settings.pop("emulator", None), f"{where}: {key}.emulator"
    )
    emulator: Emulator | None = None
    if emulator_name is not None:
        emulator_class = _find(find_emulator, emulator_name, f"{where}: {key}.emulator")
        emulator = made(emulator_class, emulator_settings, where, f"{key}.emulator")
    explorer_name, explorer_class = _explorer(settings, where, key)
    rows = []
    for given, varied in _combinations(settings, f"{where}: {key}"):
        asked = {"averages": given.pop("averages")} if "averages" in given else {}
        if label is None:
            title = _title(explorer_name, given, beside, emulator_name, emulator_settings | asked)
        else:
            title = label + "".join(f", {name} {value}" for name, value in varied.items())
        _one_line(title, f"{where}: {key}.label")
        repeat = given.pop("repeat", 1)
        whole(f"{where}: {key}.repeat", repeat, 1)
        averages = asked.get("averages", 0)
        whole(f"{where}: {key}.averages", averages, 0)
        explorer = _made(explorer_class, given, where, key)
        try:
            method = Method(explorer, int(repeat), narrow, emulator, int(averages))
        except InputError as error:
            raise InputError(f"{where}: {key}: {error}") from None
        rows.append(Row(title, method, explorer_name, emulator_name))
    return rows


def _explorer(
    settings: dict[str, Any], where: str, key: str
) -> tuple[str, type[Explorer] | type[Baseline]]:
    """Takes the explorer, or the baseline, out of a table."""
    if "explorer" in settings and "baseline" in settings:
        raise InputError(
            f"{where}: {key} has an explorer and a baseline, needs one of them: they are rows of "
            "their own"
        )
    kind = "baseline" if "baseline" in settings else "explorer"
    name = settings.pop(kind, None)
    if not isinstance(name, str):
        article = "a" if kind == "baseline" else "an"
        raise InputError(
            f"{where}: {key}.{kind} got {name!r}, needs the name of {article} {kind} (see "
            "'thalweg explorers')"
        )
    if kind == "baseline":
        return name, _find(find_baseline, name, f"{where}: {key}.baseline")
    return name, _find(find_explorer, name, f"{where}: {key}.explorer")


def _combinations(
    settings: Mapping[str, Any], key: str
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The settings of each row, and those of them that vary from row to row."""
    listed = {name: values for name, values in settings.items() if isinstance(values, list)}
    empty = [name for name, values in listed.items() if not values]
    if empty:
        raise InputError(f"{key}.{empty[0]} got [], needs a value, or some, a row each")
    count = math.prod(map(len, listed.values()))
    if count > MOST_ROWS:
        raise InputError(
            f"{key} has lists whose values make {count} rows, needs {MOST_ROWS} or fewer"
        )
    varied = [
        dict(zip(listed, values, strict=True)) for values in itertools.product(*listed.values())
    ]
    return [({**settings, **values}, values) for values in varied]


def _narrow(settings: Any, where: str, key: str) -> NarrowEnsemble:
    """The narrow copies beside an explorer's members: a table of settings of the narrow
    ensemble.
    """
    if not isinstance(settings, Mapping):
        raise InputError(
            f"{where}: {key}.proxies got {settings!r}, needs a table such as {{ budget = 0.5 }}"
        )
    given = {name: value for name, value in settings.items() if value is not None}
    narrow: NarrowEnsemble = _made(NarrowEnsemble, given, where, f"{key}.proxies")
    return narrow


def _made(cls: type[Any], settings: Mapping[str, Any], where: str, key: str) -> Any:
    """An explorer or baseline from a plan's settings."""
    try:
        fields = by_field(cls, settings)
    except InputError as error:
        raise InputError(f"{where}: {key} {error}") from None
    return made(cls, fields, where, key)


def _find(find: Callable[[str], type[T]], name: str, key: str) -> type[T]:
    """What is registered under a name; a mistake names the key."""
    try:
        return find(name)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None


def _named(emulator: Any, key: str) -> tuple[str | None, dict[str, Any]]:
    """An emulator in a plan: its name, or a table with name and settings."""
    if emulator is None or isinstance(emulator, str):
        return emulator or None, {}
    if isinstance(emulator, Mapping) and isinstance(emulator.get("name"), str):
        return emulator["name"], {k: v for k, v in emulator.items() if k != "name"}
    raise InputError(
        f"{key} got {emulator!r}, needs a name, or a table such as "
        '{ name = "neighbours", neighbours = 40 }'
    )


def _label_of(label: Any, key: str) -> str | None:
    if label is not None and not isinstance(label, str):
        raise InputError(f"{key} got {label!r}, needs text")
    return label or None


def _one_line(title: str, key: str) -> None:
    try:
        one_line(title)
    except InputError as error:
        raise InputError(f"{key} {error}") from None


def _title(
    explorer: str,
    settings: Mapping[str, Any],
    narrow: Mapping[str, Any] | None,
    emulator: str | None,
    emulator_settings: Mapping[str, Any],
) -> str:
    """Such as `deep-ensemble (members 2)` or `neighbours on deep-ensemble (members 2)`."""

    def with_settings(name: str, values: Mapping[str, Any]) -> str:
        text = ", ".join(f"{k} {v}" for k, v in values.items())
        return f"{name} ({text})" if text else name

    networks = with_settings(explorer, settings)
    if narrow is not None:
        networks = f"{networks} and {with_settings('narrow-ensemble', narrow)}"
    if emulator is None:
        return networks
    return f"{with_settings(emulator, emulator_settings)} on {networks}"
