"""Mistakes in a plan, each in one line: the key of the TOML file, what it got and what it needs."""

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from thalweg.errors import InputError


def made(cls: type[Any], settings: Mapping[str, Any], where: str, key: str) -> Any:
    """Makes a dataclass from settings.

    Args:
        cls: The dataclass.
        settings: Values of its fields.
        where: The name of the plan, for errors.
        key: The key of the plan that holds the settings.

    Raises:
        InputError: A setting is unknown or wrong; the line names its key.
    """
    known = [f.name for f in fields(cls)]
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise InputError(
                f"{where}: {key}.{name} is not known: {hint}(known: {', '.join(known)})"
            )
    types = get_type_hints(cls)
    for name, value in settings.items():
        try:  # strict: "3" is not a number; a whole number may stand for a float
            TypeAdapter(types[name]).validate_python(value, strict=True)
        except ValidationError as error:
            raise mistake(error, where, f"{key}.{name}", None) from None
    try:
        return TypeAdapter(cls).validate_python(dict(settings))
    except ValidationError as error:
        raise mistake(error, where, key, None) from None


def mistake(
    error: ValidationError, where: str, key: str, model: type[BaseModel] | None
) -> InputError:
    """Returns the first mistake that pydantic found, in one line."""
    first = error.errors()[0]
    path = ".".join([key, *map(str, first["loc"])] if key else map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _known(model, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f": did you mean '{near[0]}'?" if near else ""
        return InputError(f"{where}: {path} is not known{hint} (known: {', '.join(known)})")
    if first["type"] == "missing":
        return InputError(f"{where}: {path} is missing: give it a value")
    got = "" if first["type"] == "value_error" else f" got {first['input']!r},"
    return InputError(f"{where}: {path}{got} {message[0].lower() + message[1:]}")


def _known(model: type[BaseModel] | None, path: tuple[int | str, ...]) -> list[str]:
    """Returns the keys that the table at a path of the plan may have."""
    for part in path:
        field = None if model is None else model.model_fields.get(str(part))
        inner = None if field is None else field.annotation
        model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    if model is None:
        return []
    is_whole_plan = "methods" in model.model_fields
    return sorted([*model.model_fields, *(["quick"] if is_whole_plan else [])])
