"""Recipes told wrongly: how they are measured, on a task of a tenth of a second, and the page that
is made of it.
"""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from research.ideas import page, recipes, tasks, wrong
from research.ideas.tasks import TASKS, Task
from thalweg.emulators.transfer import LIMITS, Portrait
from thalweg.errors import InputError
from thalweg.seeds import generator
from thalweg.training.batches import Batches
from thalweg.training.recipe import Recipe

TINY = Task(
    "tiny",
    "test",
    partial(tasks.table, 120, 2, 0.1),
    partial(tasks.vector, 20, 2, 16),
    Recipe(epochs=2),
    32,
    wrong=True,
)
SOME = {name: wrong.WRONG[name] for name in (wrong.RIGHT, "rate / 5", "half of the data")}


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(TASKS, "tiny", TINY)
    monkeypatch.setattr(recipes, "WRONG", SOME)


def test_a_task_is_measured_once_and_goes_on_where_it_was(tiny, tmp_path, monkeypatch):
    where = tmp_path / "results", tmp_path / "kept"
    recipes.measure(*where, ["tiny"], networks=3, sets=2)
    file = where[0] / "tiny.json"
    found = json.loads(file.read_text())
    assert set(found["rows"]) == set(SOME) and found["proxies"] >= 2
    for own in found["rows"].values():
        assert (
            len(own["ratio"]) == len(own["warned"]) == len(own["off"]) == len(own["readings"]) == 3
        )
        assert set(own["readings"][0]) == set(LIMITS)
        assert [bool(off) for off in own["off"]] == own["warned"]
    monkeypatch.setattr("thalweg.training.problem.train", None)
    recipes.measure(*where, ["tiny"], networks=3, sets=2)
    del found["rows"]["rate / 5"]
    before = file.read_text()
    file.write_text(json.dumps(found))
    recipes.measure(*where, ["tiny"], networks=3, sets=2)
    assert json.loads(file.read_text())["rows"] == json.loads(before)["rows"], (
        "what networks say was kept"
    )


def networks(count: int, scale: float, weights: float) -> recipes.Seen:
    """They vary by `scale` about one mean, and their weights have grown."""
    mean = 2 * torch.randn(400, 3, generator=generator(0, "mean"))
    own = scale * torch.randn(count, 400, 3, generator=generator(1, "own", str(scale), count))
    return recipes.Seen(torch.log_softmax(mean + own, -1), [Portrait(0.0, weights)] * count)


def test_u_is_that_of_the_true_recipe():
    """Proxies that vary as the networks do tell their u; those that vary thrice as much tell
    more.
    """
    truth = networks(10, 0.2, 0.5)
    alike, wide = (recipes.row(truth, [networks(3, scale, 0.5)], 1.0) for scale in (0.2, 0.6))
    assert recipes._mean(alike["ratio"]) == pytest.approx(1, abs=0.06)
    assert recipes._mean(wide["ratio"]) > 1.5 and not any(alike["warned"])
    grown = recipes.row(truth, [networks(3, 0.2, 0.0)], 1.0)
    assert all(off == ["weights"] for off in grown["off"]) and all(grown["warned"])


def test_mixup_with_its_own_label_has_the_loss_of_mixup():
    """A linear score, in which the loss of a mixed label is what labels have of each other's
    inputs: a pair shares l and 1 - l of
    two inputs and labels alike, so that the mean of (own share of the input) x (own share of the
    label) counts, l^2 + (1 - l)^2 for uniform l; with one's own label only it is the mean share,
    and both are 2/3.
    """
    share = torch.rand(200000, generator=generator(0, "uniform"))
    x = torch.eye(1000)
    own = wrong.mixed(x, generator(0, "mixup")).diagonal().mean()
    assert float((share**2 + (1 - share) ** 2).mean()) == pytest.approx(2 / 3, abs=0.01)
    assert float(own) == pytest.approx(2 / 3, abs=0.03)


def test_wrong_recipes_change_what_they_say():
    told = TINY.problem(0)
    found = {name: change(told) for name, change in wrong.WRONG.items()}
    assert found[wrong.RIGHT] is told
    assert found["rate / 5"].recipe == replace(told.recipe, lr=told.recipe.lr * 0.2)
    assert (
        found["no momentum"].recipe.momentum == 0
        and found["another optimiser"].recipe.optimizer == "adamw"
    )
    train = {name: own.train_loader for name, own in found.items()}
    assert all(isinstance(own, Batches) for own in train.values())
    assert (
        train["batches x 4"].size,
        train["batches / 4"].size,
        len(train["half of the data"].inputs),
    ) == (128, 8, 60)
    changed = (
        (train["a tenth of the labels random"].targets != told.train_loader.targets).double().mean()
    )
    assert 0.01 < changed < 0.12
    for name in (
        "mixup",
        "noise on the inputs",
        "label smoothing",
        "constant rate",
        "twice the epochs",
    ):
        assert (found[name].recipe, train[name].augment) != (
            told.recipe,
            told.train_loader.augment,
        ), name


def test_the_table_and_the_counts():
    rows = {
        wrong.RIGHT: {
            "u": 0.1,
            "ratio": [1.0, 1.1],
            "warned": [False, True],
            "off": [[], ["weights"]],
            "readings": [{name: 1.0 for name in LIMITS}, {name: 1.0 for name in LIMITS}],
        },
        "rate / 5": {
            "u": 0.1,
            "ratio": [2.0, 2.0],
            "warned": [True, True],
            "off": [["impurity"], ["impurity", "weights"]],
            "readings": [{"impurity": 2.0, "weights": 0.5}, {"impurity": 2.0, "weights": 0.5}],
        },
    }
    found = [{"name": "waves", "about": "sequences", "role": "test", "rows": rows}]
    table = recipes.filled("test", found)
    assert (
        "| sequences | rate / 5 | 2.00 | 2 of 2 | 2.00 |  | 0.50 |  | impurity, weights |" in table
        and "as told" not in table
    )
    assert "| sequences | as told | 1.05 | 1 of 2 |" in recipes.filled("right", found)
    said = recipes.filled("summary", found)
    assert (
        "before, by which mean u changes by more than a factor of 1.25: 1 cases, warned in 2 of "
        "2 trials" in said
    )
    assert (
        "right recipes on tasks that nobody looked at before: 1 cases, warned in 1 of 2 trials"
        in said
    )
    with pytest.raises(InputError, match="unknown table of recipes 'wrong'"):
        recipes.filled("wrong", found)


def test_the_page_is_that_of_the_results():
    text = (page.DOCS / "recipes.md").read_text()
    told = [
        json.loads(file.read_text()) for file in sorted((page.RESULTS / "recipes").glob("*.json"))
    ]
    own = [json.loads(file.read_text()) for file in sorted((page.RESULTS / "loops").glob("*.json"))]
    assert told and own and page.filled(text, [], told, own) == text
    for limits in ("0.37 to 1 ", "0.78 to 1.11", "0.78 to 1.08", "0.5 to 2"):
        assert limits in text
    assert [
        round(float(torch.tensor(edge).exp()), 2)
        for own in LIMITS.values()
        for edge in (own.least, own.most)
    ] == [0.37, 1.0, 0.78, 1.11, 0.78, 1.08, 0.5, 2.0]
