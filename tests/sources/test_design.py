"""Designs: balanced, of the size that was asked for, known again by their levels."""

from collections import Counter
from itertools import combinations

import pytest

from thalweg.errors import InputError
from thalweg.sources import Design, design_of
from thalweg.sources.orthogonal import SIZES, orthogonal_array

THREE = ("init", "order", "data")


@pytest.mark.parametrize("size", SIZES)
def test_every_two_columns_of_an_orthogonal_array_are_crossed(size):
    rows = orthogonal_array(size, size + 1)
    for one, other in combinations(range(size + 1), 2):
        pairs = Counter((row[one], row[other]) for row in rows)
        assert len(pairs) == size**2 and set(pairs.values()) == {1}


@pytest.mark.parametrize(
    ("kind", "trainings", "counts"),
    [
        ("latin", 26, (5, 5, 5)),
        ("latin", 25, (4, 4, 4)),  # one of them is a repetition
        ("crossed", 28, (3, 3, 3)),
        ("crossed", 25, (4, 3, 2)),
        ("one-factor", 14, (5, 5, 5)),
        ("one-factor", 13, (5, 5, 4)),
    ],
)
def test_the_largest_design_of_so_many_trainings(kind, trainings, counts):
    design = Design.of(THREE, trainings, kind)
    assert design.counts == counts and design.trainings <= trainings
    assert len(set(design.levels)) == len(design.levels)
    assert design.levels[0] == (0, 0, 0)


@pytest.mark.parametrize("kind", ["latin", "crossed", "one-factor"])
def test_a_design_is_known_again_by_its_levels(kind):
    design = Design.of(THREE, 28, kind, repeats=2)
    columns = zip(*design.levels, *[design.levels[0]] * 2, strict=True)
    named = {name: [10 + level for level in column] for name, column in zip(THREE, columns)}  # noqa: B905
    assert design_of(named) == design


def test_sources_that_vary_together_are_one_factor():
    design = Design.of(("init", "order+augmentation"), 5, "crossed")
    combined = [levels for levels, _ in design.combinations()]
    assert all(levels["order"] == levels["augmentation"] for levels in combined)
    assert [again for _, again in design.combinations()] == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factors": ("init", "ordre")}, "did you mean 'order'|order"),
        ({"factors": ()}, "needs names"),
        ({"factors": "init"}, "needs names"),
        ({"factors": ("init", "order+init")}, "init twice"),
        ({"factors": THREE, "kind": "square"}, "latin"),
        ({"factors": THREE, "trainings": 9}, "needs 10 .*trainings=10"),
        ({"factors": THREE, "trainings": 8, "kind": "crossed"}, "needs 9"),
        ({"factors": THREE, "trainings": 4, "kind": "one-factor"}, "needs 5"),
        ({"factors": ("init",)}, "needs two or more"),
        ({"factors": ("init", "order"), "levels": {"init": 3}}, "a number for each"),
        ({"factors": ("init", "order"), "levels": {"init": 3, "order": 1}}, "2 or more"),
        ({"factors": ("init", "order"), "levels": {"init": 3, "order": 4}}, "one number for all"),
        ({"factors": THREE, "levels": {"init": 6, "order": 6, "data": 6}}, "of 3, 4, 5, 7"),
    ],
)
def test_what_is_wrong_is_said(settings, message):
    with pytest.raises(InputError, match=message):
        Design.of(**{"trainings": 26, **settings})


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"init": [0, 0, 1], "order": [0, 1, 1]}, "no balanced design"),
        ({"init": [0, 1, 1], "order": [0, 1, 1]}, "same levels"),
        ({"init": [0, 1, 2], "order": [0, 0, 0]}, "one level"),
        ({"init": [0, 0, 1], "order": [0, 0, 1]}, "give them last"),
        ({"init": [0, 1], "order": [0]}, "a level of each source"),
        ({"seed": [0, 1]}, "source"),
    ],
)
def test_levels_of_no_design_are_refused(levels, message):
    with pytest.raises(InputError, match=message):
        design_of(levels)
