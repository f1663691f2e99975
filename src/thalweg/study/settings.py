"""Settings of methods as plans and records name them: the names of their fields, but for words that
plans had first.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.errors import InputError

# By class, the plan's word of a field. Records and fingerprints have these words: results of older
# versions stay readable.
PLAN_WORDS: dict[type, dict[str, str]] = {NarrowEnsemble: {"width_ratio": "share"}}


def settings_of(thing: Any) -> dict[str, Any]:
    """The fields of a dataclass, by the plan's words."""
    words = PLAN_WORDS.get(type(thing), {})
    return {words.get(f.name, f.name): getattr(thing, f.name) for f in fields(thing)}


def by_field(cls: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a plan by the names of a class's fields; these names are words of plans, too.

    Raises:
        InputError: A setting is given by both words.
    """
    words = {word: name for name, word in PLAN_WORDS.get(cls, {}).items()}
    for word, name in words.items():
        if word in settings and name in settings:
            raise InputError(f"got {word} and {name}, which are one setting: leave one out")
    return {words.get(name, name): value for name, value in settings.items()}
