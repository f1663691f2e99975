"""The rows of a comparison: what a plan's `[[methods]]` tables say."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from thalweg.baselines.base import Baseline, find_baseline
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.emulators.base import Emulator, find_emulator
from thalweg.errors import InputError, whole
from thalweg.explorers.base import Explorer, find_explorer
from thalweg.names import one_line
from thalweg.seeds import derive
from thalweg.study.mistakes import made
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Mixture, WeightDistribution

T = TypeVar("T")
MOST_ROWS = 1000  # that lists of values in one table make


@dataclass(frozen=True)
class Method:
    """One row of the comparison.

    Attributes:
        label: How the row is called.
        explorer_name: As registered.
        explorer: With its settings; an explorer, or a baseline that peers sell.
        repeat: How many independent explorations are put together, each with seeds and anchors of
            its own.
        emulator_name: As registered; None for none.
        emulator: What is made of the explorer's members; None for their own predictions.
        proxies: Narrow networks that are trained beside the explorer's members; None for none.
    """

    label: str
    explorer_name: str
    explorer: Explorer | Baseline
    repeat: int = 1
    emulator_name: str | None = None
    emulator: Emulator | None = None
    proxies: NarrowEnsemble | None = None

    @property
    def anchors(self) -> int:
        """How many anchors of the base it starts from."""
        return self.explorer.anchors if isinstance(self.explorer, Explorer) else 0

    @property
    def explores_nothing(self) -> bool:
        """Whether what its explorer finds are the base's anchors themselves."""
        return isinstance(self.explorer, Explorer) and self.explorer.retrainings

    @property
    def is_retraining(self) -> bool:
        """Whether its members are the base's anchors, and nothing else."""
        return self.explores_nothing and self.emulator is None and self.proxies is None

    @property
    def family(self) -> str:
        """How reports draw it: as its emulator says, else its explorer; retrainings with proxies
        beside them are none.
        """
        if self.emulator is not None:
            return self.emulator.family
        return (
            NarrowEnsemble.family
            if self.explores_nothing and self.proxies is not None
            else self.explorer.family
        )

    @property
    def trainings(self) -> float:
        """What it will cost."""
        return self.repeat * self.explorer.trainings + (
            0.0 if self.proxies is None else self.proxies.trainings
        )

    def explore(self, problem: Problem) -> tuple[Problem, WeightDistribution]:
        """What is found, and the problem to predict with: a baseline may have another network.

        Metered in the one given.
        """
        others = [
            replace(problem, seed=derive(problem.seed, "repeat", k)) for k in range(1, self.repeat)
        ]
        found = [self._one(own) for own in (problem, *others)]
        return found[0][0], found[0][1] if self.repeat == 1 else Mixture(
            tuple(own for _, own in found)
        )

    def _one(self, problem: Problem) -> tuple[Problem, WeightDistribution]:
        return (
            (problem, self.explorer.explore(problem))
            if isinstance(self.explorer, Explorer)
            else self.explorer.train(problem)
        )

    def facts(self) -> dict[str, Any]:
        """Everything that can change its result, for the fingerprint and the record."""
        return {
            "explorer": self.explorer_name,
            **({} if isinstance(self.explorer, Explorer) else {"baseline": True}),
            **({"repeat": self.repeat} if self.repeat > 1 else {}),
            "settings": settings_of(self.explorer),
            "emulator": self.emulator_name,
            "emulator_settings": None if self.emulator is None else settings_of(self.emulator),
            **({} if self.proxies is None else {"proxies": settings_of(self.proxies)}),
        }


def methods_of(entry: Mapping[str, Any], where: str, key: str) -> list[Method]:
    """The rows of one `[[methods]]` table: a list of values makes a row for each."""
    entry = dict(entry)
    label, emulator, beside = (
        entry.pop("label", None),
        entry.pop("emulator", None),
        entry.pop("proxies", None),
    )
    name, explorer_class = _explorer(entry, where, key)
    emulator_name, emulator_settings = _named(emulator, f"{where}: {key}.emulator")
    emulator_class = (
        _found(find_emulator, emulator_name, f"{where}: {key}.emulator") if emulator_name else None
    )
    emulating = (
        None
        if emulator_class is None
        else made(emulator_class, emulator_settings, where, f"{key}.emulator")
    )
    looks = beside is not None or (emulating is not None and emulating.uses_features)
    if looks and issubclass(explorer_class, Baseline):
        raise InputError(
            f"{where}: {key} has the baseline '{name}' with proxies or an emulator that looks at "
            "features, which need the problem's own network: give an explorer"
        )
    proxies = (
        None if beside is None else _proxies(beside, emulator_name, emulator_class, where, key)
    )
    listed = {k: v for k, v in entry.items() if isinstance(v, list)}
    empty = [k for k, v in listed.items() if not v]
    if empty:
        raise InputError(f"{where}: {key}.{empty[0]} got [], needs a value, or some, a row each")
    if math.prod(map(len, listed.values())) > MOST_ROWS:
        raise InputError(
            f"{where}: {key} has lists whose values make {math.prod(map(len, listed.values()))} "
            f"rows, needs {MOST_ROWS} or fewer"
        )
    found = []
    for values in itertools.product(*listed.values()):
        settings = entry | dict(zip(listed, values, strict=True))
        own = dict(settings)
        repeat = _repeats(own.pop("repeat", 1), f"{where}: {key}.repeat")
        explorer = made(explorer_class, own, where, key)
        members = getattr(explorer, "members", None)
        if (
            emulating is not None
            and members is not None
            and proxies is None
            and members < emulating.least_members
        ):
            raise InputError(
                f"{where}: {key}.members got {members} with the emulator '{emulator_name}', needs "
                f"{emulating.least_members} or more: it learns from their differences"
            )
        suffix = "".join(f", {k} {v}" for k, v in zip(listed, values, strict=True)) if label else ""
        title = (
            f"{label}{suffix}"
            if label
            else _label(name, settings, emulator_name, emulator_settings, beside)
        )
        if label is not None and not isinstance(label, str):
            raise InputError(f"{where}: {key}.label got {label!r}, needs text")
        try:
            one_line(title)
        except InputError as error:
            raise InputError(f"{where}: {key}.label {error}") from None
        found.append(Method(title, name, explorer, repeat, emulator_name, emulating, proxies))
    return found


def settings_of(thing: Any) -> dict[str, Any]:
    """The fields of a dataclass."""
    return {f.name: getattr(thing, f.name) for f in fields(thing)}


def _explorer(
    entry: dict[str, Any], where: str, key: str
) -> tuple[str, type[Explorer] | type[Baseline]]:
    """Takes the explorer, or the baseline, out of a table."""
    if "explorer" in entry and "baseline" in entry:
        raise InputError(
            f"{where}: {key} has an explorer and a baseline, needs one of them: they are rows of "
            "their own"
        )
    kind = "baseline" if "baseline" in entry else "explorer"
    name = entry.pop(kind, None)
    if not isinstance(name, str):
        article = "a" if kind == "baseline" else "an"
        raise InputError(
            f"{where}: {key}.{kind} got {name!r}, needs the name of {article} {kind} (see "
            "'thalweg explorers')"
        )
    if kind == "baseline":
        return name, _found(find_baseline, name, f"{where}: {key}.baseline")
    return name, _found(find_explorer, name, f"{where}: {key}.explorer")


def _repeats(value: Any, key: str) -> int:
    whole(key, value, 1)
    return int(value)


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
    raise InputError(
        f"{key} got {emulator!r}, needs a name, or a table such as "
        '{ name = "neighbours", neighbours = 40 }'
    )


def _proxies(
    settings: Any, emulator_name: str | None, emulator: type[Emulator] | None, where: str, key: str
) -> NarrowEnsemble:
    """The narrow networks beside an explorer's members: a table of settings of the narrow
    ensemble.
    """
    if not isinstance(settings, Mapping):
        raise InputError(
            f"{where}: {key}.proxies got {settings!r}, needs a table such as {{ budget = 0.5 }}"
        )
    if emulator is not None and not emulator.uses_proxies:
        raise InputError(
            f"{where}: {key}.proxies got some with the emulator '{emulator_name}', which looks "
            "at anchors only: leave them out, or take 'forest'"
        )
    return made(
        NarrowEnsemble,
        {k: v for k, v in settings.items() if v is not None},
        where,
        f"{key}.proxies",
    )


def _label(
    name: str,
    settings: Mapping[str, Any],
    emulator: str | None,
    emulator_settings: Mapping[str, Any],
    proxies: Mapping[str, Any] | None,
) -> str:
    """Such as `deep-ensemble (members 2)` or `neighbours on deep-ensemble (members 2)`."""

    def with_settings(title: str, values: Mapping[str, Any]) -> str:
        text = ", ".join(f"{k} {v}" for k, v in values.items())
        return f"{title} ({text})" if text else title

    own = with_settings(name, settings)
    if proxies is not None:
        own = f"{own} and {with_settings('narrow-ensemble', proxies)}"
    return f"{with_settings(emulator, emulator_settings)} on {own}" if emulator else own
