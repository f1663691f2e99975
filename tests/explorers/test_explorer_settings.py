"""Explorers by name, and settings that make no sense."""

import pytest

from thalweg.errors import InputError
from thalweg.explorers.base import explorers, find_explorer


def test_they_are_found_by_name():
    assert set(explorers()) >= {
        "deep-ensemble",
        "short-ensemble",
        "learned-line",
        "learned-curve",
        "learned-simplex",
        "spro",
        "espro",
        "swag",
        "snapshot",
    }
    assert list(explorers()) == sorted(explorers()) and find_explorer("swag") is explorers()["swag"]


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(
        InputError, match=r"unknown explorer 'snapshoot': did you mean 'snapshot'\?"
    ) as caught:
        find_explorer("snapshoot")
    assert "\n" not in str(caught.value)
    with pytest.raises(
        InputError,
        match=r"unknown explorer 'xyzzy': \(known: adversaries, connecting-curve, csghmc, csgld",
    ):
        find_explorer("xyzzy")


BAD = [
    ("deep-ensemble", {"members": 0}),
    ("short-ensemble", {"members": 0}),
    ("learned-line", {"beta": -1}),
    ("learned-curve", {"beta": float("nan")}),
    ("learned-simplex", {"vertices": 1}),
    ("learned-simplex", {"beta": -1}),
    ("spro", {"vertices": 0}),
    ("spro", {"draws": 0}),
    ("spro", {"share": 0}),
    ("spro", {"volume": -1e-8}),
    ("spro", {"lr_ratio": -1}),
    ("spro", {"offset": -1}),
    ("spro", {"form": "papers"}),
    ("espro", {"simplexes": 0}),
    ("espro", {"draws": 0}),
    ("espro", {"form": "papers"}),
    ("swag", {"share": 1.5}),
    ("swag", {"collect": 1}),
    ("swag", {"rank": -1}),
    ("swag", {"scale": -1}),
    ("swag", {"start": "anchors"}),
    ("snapshot", {"cycles": 0}),
    ("snapshot", {"lr_ratio": -1}),
]


@pytest.mark.parametrize(("name", "settings"), BAD, ids=str)
def test_settings_out_of_range(name, settings):
    ((key, value),) = settings.items()
    with pytest.raises(InputError, match=rf"{key} got '?{value}'?, needs") as caught:
        find_explorer(name)(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["deep-ensemble", "short-ensemble", "snapshot", "spro", "espro", "learned-simplex", "swag"],
)
def test_counts_are_whole_numbers(name):
    key = next(
        k
        for k in ("members", "cycles", "simplexes", "vertices", "collect")
        if k in find_explorer(name).__dataclass_fields__
    )
    with pytest.raises(InputError, match=f"{key} got 2.5, needs a whole number"):
        find_explorer(name)(**{key: 2.5})


@pytest.mark.parametrize("name", ["spro", "espro"])
def test_a_flat_start_has_no_volume_to_reward(name):
    with pytest.raises(
        InputError, match=r"spro.offset got 0, needs more than 0 with a reward for volume"
    ) as caught:
        find_explorer(name)(offset=0.0)
    assert "\n" not in str(caught.value)
    find_explorer(name)(offset=0.0, volume=0.0)
    find_explorer(name)(offset=0.0, form="paper")
