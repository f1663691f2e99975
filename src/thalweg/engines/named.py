"""Engines by name, with settings as texts: how the command line asks for one."""

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from thalweg.engines.ray import Ray
from thalweg.engines.slurm import Slurm
from thalweg.errors import InputError, unknown
from thalweg.training.executor import Executor

ENGINES: dict[str, type[Ray] | type[Slurm]] = {"ray": Ray, "slurm": Slurm}


def engine(name: str, settings: Sequence[str] = (), address: str | None = None) -> Executor:
    """Returns an engine.

    Args:
        name: "ray" or "slurm".
        settings: Its settings as NAME=VALUE, where a value is JSON, or a text as it stands. What
            `Slurm` has no setting for is an option of sbatch.
        address: The address of its cluster; None for its default.

    Raises:
        InputError: There is no such engine or setting, or a value is out of range, or a package
            that the engine needs is not installed.

    Example:
        >>> engine("slurm", ["where=debug", "partition=long", "qos=high"]).parameters
        {'qos': 'high'}
    """
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    kind = ENGINES[name]
    known = {field.name for field in fields(kind)}
    given: dict[str, Any] = {} if address is None else {"address": address}
    if not set(given) <= known:
        raise InputError(f"the engine '{name}' got an address, and has none: leave it out")
    others: dict[str, Any] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key:
            raise InputError(f"engine option got '{setting}', needs NAME=VALUE such as cpus=2")
        (given if key in known else others)[key] = _value(text)
    if others and kind.rest is None:
        raise unknown(f"setting of the engine '{name}'", next(iter(others)), known)
    if others and kind.rest is not None:
        given[kind.rest] = {**given.get(kind.rest, {}), **others}
    return kind(**given)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
