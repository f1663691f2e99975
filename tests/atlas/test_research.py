"""The atlas' command: the committed file is what the committed digests give, and a tiny task from
its networks to its row.
"""

import json
import math
import shutil
from dataclasses import replace
from functools import partial

import pytest
import torch

from research.atlas import __main__ as command
from research.atlas import data, digest, fit, growth, judge, networks
from research.atlas.data import images
from research.atlas.plan import TASKS, Task
from thalweg import files
from thalweg.atlas.learned import FILE, Learned, read
from thalweg.atlas.views import columns_of
from thalweg.models.mlp import mlp
from thalweg.training.recipe import Recipe

COMMITTED = digest.FOLDER
PROBABILITIES = ("fashion-cnn", "fashion-vit", "waves-cnn", "words-attention", "cifar-mobile")
OTHERS = (*PROBABILITIES, "angles-cnn", "rates-cnn", "rates-gru")


@pytest.fixture(scope="module")
def digests():
    return [digest.read(name) for name in digest.stored()]


def test_the_committed_file_is_what_the_committed_digests_give(digests, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "FILE", tmp_path / "atlas.safetensors")
    assert command.main(["fit"]) == 0
    (made, facts), (kept, known) = map(files.read_tensors, (tmp_path / "atlas.safetensors", FILE))
    assert list(made) == list(kept) and facts["tasks"] == known["tasks"]
    for name, tensor in kept.items():  # processors round differently
        assert torch.allclose(made[name], tensor, rtol=1e-4, atol=2e-5), name
    anew, there = read(tmp_path / "atlas.safetensors"), read(FILE)
    for simplex, geometry in there.shapes:
        rows = torch.cat([own.rows[geometry] for own in digests if own.simplex == simplex])
        first, second = (book.shapes[simplex, geometry](rows) for book in (anew, there))
        assert torch.allclose(first, second, atol=1e-5), "and say the same of u"

    def numbers(level, name=""):
        if isinstance(level, float):
            return {name: level}
        parts = level.items() if isinstance(level, dict) else enumerate(level)
        return {k: v for key, own in parts for k, v in numbers(own, f"{name} {key}").items()}

    assert numbers(facts["level"]) == pytest.approx(numbers(known["level"]), rel=1e-6, abs=1e-8)


def test_digests_fit_their_tasks(digests):
    assert len(digests) > 20 and {task.simplex for task in digests} == {True, False}
    for own in digests:
        task = TASKS[own.name]
        assert (own.data, own.network, own.simplex) == (
            task.data,
            task.network,
            task.outputs.simplex,
        )
        count = len(own.log_u)
        assert len(own.level) == digest.BASES and count % digest.BASES == 0
        for geometry in (True, False):
            names = columns_of(simplex=own.simplex, geometry=geometry)
            assert own.rows[geometry].shape == (count, len(names))
            assert own.offset[geometry].shape == (count,)
        assert torch.isfinite(own.log_u).all()
        assert all(math.isfinite(clue["error"]) for clue in own.clues)


def test_what_is_left_out_are_both_families(digests):
    for name in ("fashion-vit", "waves-cnn", "rates-gru"):
        own, found = TASKS[name], fit.left_out(name, digests)
        left = {task.name for task in digests} - {task.name for task in found}
        assert name in left and found
        for task in digests:
            like = task.data == own.data or task.network == own.network
            assert (task.name in left) == like, task.name


def test_a_fit_knows_nothing_of_tasks_that_are_left_out(digests, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "NETWORKS", 1)
    chosen = [task for task in digests if task.name in OTHERS]
    spoiled = [
        replace(task, log_u=task.log_u + 9) if task.name == "waves-cnn" else task for task in chosen
    ]
    one, other, all_of_it = (
        fit.learned_from(given, tmp_path / f"{k}.safetensors")
        for k, given in enumerate(
            (
                [task for task in chosen if task.name != "waves-cnn"],
                [task for task in spoiled if task.name != "waves-cnn"],
                spoiled,
            )
        )
    )
    assert isinstance(one, Learned) and one.facts == other.facts
    for kind, shape in one.shapes.items():
        rows = torch.randn(5, len(shape.centre), dtype=torch.float64)
        assert torch.equal(shape(rows), other.shapes[kind](rows))
    rows = torch.randn(5, len(one.shapes[True, True].centre), dtype=torch.float64)
    assert not torch.equal(one.shapes[True, True](rows), all_of_it.shapes[True, True](rows))


def test_families_of_the_plan():
    """Every family of data is that of several networks, or of values, so that much is left in."""
    assert len(TASKS) >= 50
    for name, task in TASKS.items():
        others = [t for t in TASKS.values() if t.data != task.data and t.network != task.network]
        assert len(others) >= len(TASKS) / 5, name
        assert task.about and task.recipe.epochs > 0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small task whose networks are there, and the folders of digests and results."""
    folder = tmp_path_factory.mktemp("atlas")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(networks.VARIABLE, str(folder / "store"))
        for name, value in {"REFERENCE": 4, "POOL": 3, "COPIES": {0.5: 4}}.items():
            patch.setattr(networks, name, value)
        for name, value in {"NETWORKS": 1, "EPOCHS": 1}.items():
            patch.setattr(fit, name, value)
        patch.setattr(data, "MORE", 400)
        patch.setattr(judge, "DRAWS", 20)
        patch.setattr(judge, "SIZES", (1, 2, 3))
        patch.setattr(judge, "BUDGETS", (0.0, 1.0))
        patch.setattr(digest, "FOLDER", folder / "digests")
        (folder / "digests").mkdir()
        for name in OTHERS:
            shutil.copy(COMMITTED / f"{name}.safetensors", folder / "digests")
        parts = partial(images, "digits", 200)
        model = partial(mlp, (1, 8, 8), 10, hidden=(16,))
        patch.setitem(
            TASKS,
            "tiny",
            Task("digits", "mlp", "tiny", parts, model, Recipe(epochs=2), 32, stack=4),
        )
        yield folder


def run(folder, *names) -> int:
    return command.main([*names, "--tasks", "tiny", "--results", str(folder / "results")])


def test_a_tiny_task_from_its_networks_to_its_row(tiny, capsys):
    assert run(tiny, "collect", "digest", "judge") == 0
    out = capsys.readouterr().out
    assert "tiny: all is there" in out and "tiny: judged" in out
    there = sorted(path.name for path in (tiny / "store/tiny").iterdir())
    assert sum(name.startswith("whole-") for name in there) == networks.BASES + 4 + 3
    assert sum(name.startswith("0.5-") for name in there) == 4

    said = networks.read("tiny")
    assert said.reference.members == 4 and said.pool.members == 3
    own = digest.read("tiny")
    assert set(digest.stored()) == {*OTHERS, "tiny"}
    truth = said.truth()
    expected = torch.stack([net["known"] for net in said.whole[networks.BASES :]]).exp()
    assert torch.allclose(
        truth["known"], expected.double().var(0).sum(-1).sqrt(), rtol=1e-3, atol=1e-6
    )
    assert own.level[0]["log_u"] == pytest.approx(math.log(float(truth["known"].mean())))
    assert {clue["name"] for clue in own.clues} == {"trainings", "apart", "scatter"}

    judged = json.loads((tiny / "results/judged/tiny.json").read_text())
    assert [row["budget"] for row in judged["rows"]] == [0.0, 1.0]
    assert judged["rows"][0]["forest"] is None and judged["rows"][0]["cost"] == 1
    assert judged["others"] == len(fit.left_out("tiny", [digest.read(n) for n in digest.stored()]))
    for row in judged["rows"]:
        for name, value in row["atlas"].items():
            assert math.isfinite(value), name
        assert 0 <= row["atlas"]["coverage"] <= 1 and row["atlas"]["k_eq"] > 0


def test_what_is_there_is_not_done_again(tiny, monkeypatch, capsys):
    run(tiny, "collect", "digest", "judge")
    capsys.readouterr()
    for module, name in ((networks, "collect"), (digest, "make"), (judge, "judge")):
        monkeypatch.setattr(module, name, None)
    assert run(tiny, "collect", "digest", "judge") == 0
    assert not capsys.readouterr().out


def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(tiny, monkeypatch, tmp_path):
    run(tiny, "collect")
    monkeypatch.setenv(networks.VARIABLE, str(tmp_path))
    assert command.main(["collect", "--tasks", "tiny", "--minutes", "-1"]) == 0
    assert not networks.is_complete("tiny")
    networks.collect("tiny", TASKS["tiny"], math.inf)
    again = networks.read("tiny")
    monkeypatch.setenv(networks.VARIABLE, str(tiny / "store"))
    first = networks.read("tiny")
    for one, other in zip(first.whole, again.whole, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_atlas_of_fewer_tasks(tiny, monkeypatch):
    run(tiny, "collect", "digest")
    monkeypatch.setattr(growth, "SIZES", (2, 30))
    monkeypatch.setattr(growth, "REPEATS", 1)
    monkeypatch.setattr(growth, "EVERY", 1)
    monkeypatch.setattr(growth, "stored", lambda: [*OTHERS, "tiny"])
    monkeypatch.setattr(growth, "read", digest.read)
    rows = growth.measured(math.inf)
    assert [row["tasks"] for row in rows] == [2, len(PROBABILITIES)]
    assert {row["name"] for row in rows} == {"tiny"}
    assert all(math.isfinite(row["k_u_true_scale"]) for row in rows)
