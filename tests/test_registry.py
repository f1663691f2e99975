"""Registries: found by name, files of a folder, mistakes suggest the nearest."""

import pytest

from thalweg.errors import InputError
from thalweg.registry import Registry


def test_what_is_registered_is_found():
    things: Registry[object] = Registry("thing", "thalweg.models")

    @things.register("box")
    class Box:
        pass

    @things.register("axe")
    class Axe:
        pass

    assert (
        list(things.all()) == ["axe", "box"]
        and things.find("box") is Box
        and things.find("axe") is Axe
    )
    with pytest.raises(InputError, match="unknown thing 'bax': did you mean 'box'"):
        things.find("bax")
