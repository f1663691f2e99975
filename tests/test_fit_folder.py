"""A fit in a folder: killed at any moment it goes on, and ends with the same numbers; a folder
belongs to one fit.
"""

import os
import random
import signal
import time
import warnings
from pathlib import Path

import pytest
import torch

import cases
import thalweg
import tiny
from test_quantifier import ASKED, KNOWN, fitted, problem, same
from thalweg.emulators.forest import Forest
from thalweg.errors import InputError
from thalweg.files import DiskError
from thalweg.meter import now
from thalweg.processes.crew import dismiss
from thalweg.training.recipe import Recipe

SETTINGS = {"budget": 2.0}


def network_files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.safetensors")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, fitted(problem(), folder=folder, **SETTINGS).predict(ASKED)


def test_a_folder_changes_no_number(undisturbed):
    folder, predictions = undisturbed
    assert same(fitted(problem(), **SETTINGS).predict(ASKED), predictions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert same(thalweg.load(folder, model=cases.no_norm).predict(ASKED), predictions)


@pytest.mark.parametrize("moment", ["before writing", "half written", "before renaming"])
def test_killed_while_writing_again_and_again(moment, undisturbed, tmp_path, monkeypatch):
    """Every few files the process ends at a moment of a file's way to the disk."""

    def spoil(handle):
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if moment == "before writing":
            path.write_bytes(b"")
        if moment == "half written":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    found = []
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process tidies nothing up
        kills = tiny.killed_again_and_again(
            patched,
            moment,
            lambda: found.append(fitted(problem(), folder=tmp_path, **SETTINGS)),
            spoil,
        )
    folder, predictions = undisturbed
    assert kills >= 2 and list(tmp_path.rglob("*.part"))
    assert same(found[0].predict(ASKED), predictions)
    assert network_files(tmp_path) == network_files(folder)


def begun(folder: Path) -> int:
    """A process that fits, a copy of this one."""
    process = os.fork()
    if process:
        return process
    try:
        fitted(problem(), folder=folder, **SETTINGS)
    finally:
        dismiss()
        os._exit(0)


def kill_9(kills: int, undisturbed, folder: Path, seed: int) -> None:
    """Kills a fit at random moments, by time and by files, and compares what comes of it."""
    draws = random.Random(seed)
    begin = now()
    os.waitpid(begun(folder / "whole"), 0)
    seconds = now() - begin
    for _ in range(kills):
        process = begun(folder / "own")
        time.sleep(draws.random() * seconds)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    found = fitted(problem(), folder=folder / "own", **SETTINGS)
    assert same(found.predict(ASKED), undisturbed[1])
    assert network_files(folder / "own") == network_files(undisturbed[0])


def test_kill_9_at_three_moments(undisturbed, tmp_path):
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    kill_9(3, undisturbed, tmp_path, seed=0)


@pytest.mark.slow
def test_kill_9_at_ten_moments(undisturbed, tmp_path):
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    kill_9(10, undisturbed, tmp_path, seed=1)


def test_what_is_there_is_not_trained_again(undisturbed, monkeypatch):
    folder, predictions = undisturbed
    monkeypatch.setattr("thalweg.training.problem.train", None)
    found = fitted(problem(), folder=folder, **SETTINGS)
    assert same(found.predict(ASKED), predictions) and found.narrow_copies_ == 2
    assert found.cost_.trainings == pytest.approx(3.0)
    (folder / "quantifier.json").write_text("{")  # damaged: from the networks again
    again = fitted(problem(), folder=folder, **SETTINGS)
    assert same(again.predict(ASKED), predictions)
    assert again.cost_.backward_examples == found.cost_.backward_examples


def test_networks_in_memory_are_taken_along(tmp_path, monkeypatch):
    given = problem()
    expected = fitted(given).predict(ASKED)
    monkeypatch.setattr("thalweg.training.problem.train", None)
    assert same(fitted(given, folder=tmp_path).predict(ASKED), expected)
    assert same(fitted(problem(), folder=tmp_path).predict(ASKED), expected)


def test_a_folder_belongs_to_one_fit(undisturbed, tmp_path):
    folder, _ = undisturbed
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    state = problem(seed=8).network(problem(seed=8).anchor(0)).state_dict()
    others = {
        "budget": (problem(), {"budget": 1.0}),
        "seed": (problem(seed=1), {}),
        "seed=": (problem(), {"seed": 1}),
        "recipe": (problem(recipe=Recipe(epochs=7)), {}),
        "network": (problem(model=cases.NETWORKS["layernorm"]), {}),
        "training set": (problem(train_loader=cases.LOADERS["augmented"]()), {}),
        "unlabelled": (problem(unlabelled=KNOWN[:-1]), {}),
        "emulator": (problem(), {"emulator": Forest(trees=11)}),
        r"networks\[0\]": (problem(networks=state), {}),
        "loss": (problem(loss=torch.nn.CrossEntropyLoss()), {}),
    }
    for name, (other, settings) in others.items():
        with pytest.raises(InputError, match=f"holds a fit of another .*other: .*{name}") as caught:
            fitted(other, folder=folder, **{**SETTINGS, **settings})
        assert "\n" not in str(caught.value) and not other.has(3)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    fitted().save(tmp_path / "saved")
    with pytest.raises(InputError, match="holds a Quantifier that was saved there"):
        fitted(folder=tmp_path / "saved")
    with pytest.raises(InputError, match="is the folder of a fit, which stores itself there"):
        fitted().save(folder)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DiskError, match="can't write"):
        fitted(folder=tmp_path / "file")


def test_what_can_t_be_told_from_another_is_refused_before_anything_is_trained(tmp_path):
    with (tmp_path / "open").open("w") as file:
        given = problem(loss=lambda o, y: torch.nn.functional.cross_entropy(o, y) + 0 * file.closed)
        with pytest.raises(InputError, match="the loss holds something that can't be told"):
            fitted(given, folder=tmp_path / "fit")
    assert given.cost.backward_examples == 0 and not (tmp_path / "fit").exists()

    class Unknown(Forest):
        pass

    with pytest.raises(InputError, match="a Unknown can't be stored"):
        fitted(given, emulator=Unknown(), folder=tmp_path / "fit")


def narrow() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(36, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)
    )


@pytest.mark.parametrize("loader", ["tuples", "augmented"])
def test_own_narrow_networks_and_other_loaders_are_kept(loader, tmp_path, monkeypatch):
    settings = {"narrow": narrow, "width_ratio": 0.5, "folder": tmp_path}
    first = fitted(problem(train_loader=cases.LOADERS[loader]()), **settings).predict(ASKED)
    (tmp_path / "quantifier.json").unlink()
    monkeypatch.setattr("thalweg.training.problem.train", None)
    again = fitted(problem(train_loader=cases.LOADERS[loader]()), **settings)
    assert same(again.predict(ASKED), first)


def test_an_own_training_function_is_kept_by_its_code(tmp_path):
    def own(rate):
        def train(module, seed):
            optimizer = torch.optim.Adam(module.parameters(), rate)
            x, y = cases.task()
            order = torch.Generator().manual_seed(seed)
            for _ in range(3):
                for chosen in torch.randperm(len(x), generator=order).split(32):
                    optimizer.zero_grad()
                    torch.nn.functional.cross_entropy(module(x[chosen]), y[chosen]).backward()
                    optimizer.step()

        return thalweg.Problem(cases.no_norm, train=train, unlabelled=KNOWN)

    first = fitted(own(0.01), folder=tmp_path / "fit").predict(ASKED)
    assert same(fitted(own(0.01), folder=tmp_path / "fit").predict(ASKED), first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = thalweg.load(tmp_path / "fit", model=cases.no_norm)
    assert same(found.predict(ASKED), first)
    with pytest.raises(InputError, match="other: train"):
        fitted(own(0.02), folder=tmp_path / "fit")
