"""Mistakes in a plan: each in one line that names the key of the TOML file, what was got and what
is needed.
"""

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from thalweg.errors import InputError


def made(cls: type[Any], settings: Mapping[str, Any], where: str, key: str) -> Any:
    """A dataclass from settings; a mistake names the key."""
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
        try:
            TypeAdapter(types[name]).validate_python(
                value, strict=True
            )  # "3" is no number; a whole one is a fraction, too
        except ValidationError as error:
            raise mistake(error, where, f"{key}.{name}", None) from None
    try:
        return TypeAdapter(cls).validate_python(dict(settings))
    except ValidationError as error:
        raise mistake(error, where, key, None) from None


def mistake(
    error: ValidationError, where: str, key: str, model: type[BaseModel] | None
) -> InputError:
    """The first mistake that pydantic found, in one line."""
    first = error.errors()[0]
    path = ".".join([key, *map(str, first["loc"])] if key else map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _known(model, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
        message = (
            f"is not known: did you mean '{near[0]}'?" if near else "is not known"
        ) + f" (known: {', '.join(known)})"
        return InputError(f"{where}: {path} {message}")
    if first["type"] == "missing":
        return InputError(f"{where}: {path} is missing: give it a value")
    got = "" if first["type"] == "value_error" else f" got {first['input']!r},"
    return InputError(f"{where}: {path}{got} {message[0].lower() + message[1:]}")


def _known(model: type[BaseModel] | None, path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        inner = (
            model.model_fields[str(part)].annotation
            if model is not None and str(part) in model.model_fields
            else None
        )
        model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return (
        []
        if model is None
        else sorted({*model.model_fields, *(["quick"] if "methods" in model.model_fields else [])})
    )
