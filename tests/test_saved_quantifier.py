"""A quantifier on disk: it gives the same bits in another process that has no training data, and
what is damaged or missing is one line.
"""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import cases
import thalweg
from test_quantifier import ASKED, KNOWN, SMALL, fitted, problem, same, state
from thalweg.emulators.engression import Engression
from thalweg.emulators.forest import Forest
from thalweg.errors import InputError
from thalweg.quantifier import Quantifier
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe

TESTS = Path(__file__).parent
X, Y = cases.task()
ASK = """
import sys, torch, warnings
torch.set_num_threads(1)
warnings.simplefilter("ignore")
sys.path.insert(0, {tests!r})
import test_saved_quantifier as own
from test_quantifier import ASKED
import thalweg
case = own.CASES[{case!r}]
given = {{"narrow": case.narrow}} if case.narrow else {{}}
quantifier = thalweg.load({folder!r}, model=case.model, **given)
first = quantifier.predict(case.asked())
quantifier.update(thalweg.weights.distribution.load({other!r}).points[0])
second = quantifier.predict(case.asked())
for name, found in (("first", first), ("second", second)):
    found.save({out!r} + name)
"""


def wide(width: int = 8, outputs: int = cases.CLASSES) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, width), nn.ReLU(), nn.Linear(width, outputs))


def narrow() -> nn.Module:
    return wide(4)


class Case:
    """A problem of its kind, as both processes make it."""

    def __init__(self, model, narrow=None, double=False, outputs=None, targets=Y, **settings):
        self.model, self.narrow, self.double, self.outputs = model, narrow, double, outputs
        self.targets, self.settings = targets, settings

    def _typed(self, x):
        return x.double() if self.double else x

    def asked(self):
        return self._typed(ASKED)

    def problem(self, **more) -> Problem:
        return Problem(
            self.model,
            Batches(self._typed(X), self.targets, 16),
            Recipe(epochs=3),
            outputs=self.outputs,
            unlabelled=list(self._typed(KNOWN).split(40)),
            **more,
        )


CASES = {
    "classes": Case(wide),
    "batch norm": Case(cases.NETWORKS["conv-batchnorm"], budget=2.0),
    "own narrow": Case(wide, narrow=narrow, width_ratio=0.5, seed=4),
    "double": Case(lambda: wide().double(), double=True, layer="1", width_ratio=0.25),
    "values": Case(
        lambda: wide(outputs=2),
        outputs=thalweg.Values(units="mg", mean=(1.0, 2.0), std=3.0),
        targets=X.flatten(1)[:, :2] * 3 + 1,
    ),
    "binary": Case(lambda: wide(outputs=1), outputs=thalweg.Binary(), targets=(Y > 0).long()),
    "predictions alone": Case(wide, emulator=Forest(trees=10, geometry=False)),
    "engression": Case(wide, emulator=Engression(epochs=0.5), anchors=2),
}


@pytest.mark.parametrize("name", CASES)
def test_another_process_predicts_the_same_bits(name, tmp_path):
    case = CASES[name]
    settings = {"narrow": case.narrow} if case.narrow else {}
    given = case.problem(seed=1)
    quantifier = fitted(given, **settings, **case.settings)
    first = quantifier.predict(case.asked())
    quantifier.save(tmp_path / "fit")
    other = given.anchor(5)
    thalweg.save(thalweg.Members((other,)), tmp_path / "other.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantifier.update(other)
    second = quantifier.predict(case.asked())
    code = ASK.format(
        tests=str(TESTS),
        case=name,
        folder=str(tmp_path / "fit"),
        other=str(tmp_path / "other.safetensors"),
        out=str(tmp_path / "found "),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for expected, found in ((first, "first"), (second, "second")):
        assert same(thalweg.Predictions.load(tmp_path / f"found {found}"), expected)


def loaded(folder, model=cases.no_norm, **settings) -> Quantifier:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return thalweg.load(folder, model=model, **settings)


def test_what_is_kept_and_what_is_replaced(tmp_path):
    mine = tmp_path / "networks" / "best.safetensors"
    mine.parent.mkdir()
    mine.write_bytes(b"a network of the user's own")
    quantifier = fitted(budget=2.0)
    quantifier.save(tmp_path)
    found = loaded(tmp_path)
    assert str(found) == str(quantifier) and found.cost_ == quantifier.cost_
    assert found.get_params() == {**quantifier.get_params(), "emulator": SMALL}
    assert same(found.predict(ASKED), quantifier.predict(ASKED))
    before = {path.name for path in tmp_path.glob("*/*.safetensors") if path != mine}
    found.save(tmp_path)
    assert {p.name for p in tmp_path.glob("*/*.safetensors") if p != mine} == before, "nothing new"
    quantifier.set_params(seed=5, draws=3).save(tmp_path / "other")  # of the draws alone
    again = loaded(tmp_path / "other").predict(ASKED)
    assert again.members == 3 and same(again, quantifier.predict(ASKED))
    other = fitted(problem(seed=9))
    other.save(tmp_path)
    assert same(loaded(tmp_path).predict(ASKED), other.predict(ASKED))
    assert not before & {path.name for path in tmp_path.glob("networks/*")}
    assert mine.read_bytes() == b"a network of the user's own"
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".pt", ".part")]


def test_another_activation_is_noticed(tmp_path):
    """The weights fit as well."""
    fitted(problem(model=wide)).save(tmp_path)
    assert thalweg.load(tmp_path, model=wide).narrow_copies_ == 2

    def leaky():
        network = wide()
        network[2] = nn.LeakyReLU(0.02)
        return network

    with pytest.raises(InputError, match="predicts otherwise than the stored one"):
        thalweg.load(tmp_path, model=leaky)


def test_what_is_wrong_is_one_line(tmp_path):
    fitted().save(tmp_path / "fit")

    def refused(match, folder="fit", **settings):
        with pytest.raises(InputError, match=match) as caught:
            thalweg.load(tmp_path / folder, **settings)
        assert "\n" not in str(caught.value)

    network = next((tmp_path / "fit/networks").iterdir())
    refused("and no model: give the function that makes the network")
    refused("quantifier.json does not exist", ".", model=cases.no_norm)
    refused("no folder: give the folder", f"fit/networks/{network.name}", model=cases.no_norm)
    refused("does not fit the model", model=lambda: wide(16))
    refused(r"model\(\) makes a network that predicts otherwise", model=wide)  # ReLU, not Tanh
    refused("device got 'nowhere'", model=cases.no_norm, device="nowhere")
    with pytest.raises(InputError, match="is not fitted"):
        Quantifier().save(tmp_path / "other")

    class Unknown(Forest):
        pass

    with pytest.raises(InputError, match="a Unknown can't be stored, as no file can name it"):
        fitted(emulator=Unknown(trees=3)).save(tmp_path / "other")
    assert not (tmp_path / "other").exists()
    for path in (tmp_path / "fit").rglob("*.*"):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        refused("damaged", model=cases.no_norm)
        path.unlink()
        refused("does not exist", model=cases.no_norm)
        path.write_bytes(whole)
    assert loaded(tmp_path / "fit").predict(ASKED)


def test_files_of_another_fit_are_noticed(tmp_path):
    fitted().save(tmp_path / "one")
    fitted(problem(seed=9)).save(tmp_path / "other")
    own = sorted((tmp_path / "one/networks").iterdir())
    for path, strange in zip(own, sorted((tmp_path / "other/networks").iterdir()), strict=True):
        path.write_bytes(strange.read_bytes())
    with pytest.raises(InputError, match="belongs to another fit"):
        loaded(tmp_path / "one")
    record = json.loads((tmp_path / "other/quantifier.json").read_text())
    record["whole"] = 2
    (tmp_path / "other/quantifier.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="checksum"):
        loaded(tmp_path / "other")


def test_a_weight_distribution_is_loaded_as_ever(tmp_path):
    given = problem()
    thalweg.save(thalweg.Members((given.anchor(0),)), tmp_path / "members.safetensors", key="a")
    found = thalweg.load(tmp_path / "members.safetensors", key="a")
    assert torch.equal(found.points[0].params["1.weight"], state(given, 0)["1.weight"])
    with pytest.raises(InputError, match="belongs to a, needs b"):
        thalweg.load(tmp_path / "members.safetensors", key="b")


def test_a_training_set_that_memory_can_t_hold_is_read_each_time(tmp_path, monkeypatch):
    def given():
        return problem(train_loader=cases.LOADERS["tuples"]())

    held = fitted(given()).predict(ASKED)
    monkeypatch.setattr("thalweg.features.LARGEST_HELD", 0)
    quantifier = fitted(given())
    assert same(quantifier.predict(ASKED), held)
    with pytest.raises(InputError, match="too many to be stored; give emulator=Forest"):
        quantifier.save(tmp_path / "fit")
    refused = given()
    with pytest.raises(InputError, match="too many to be stored"):
        fitted(refused, folder=tmp_path / "fit")
    assert refused.cost.backward_examples == 0 and not (tmp_path / "fit").exists()


class Named(nn.Module):
    """Reads inputs by name, and returns more than logits."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(36, 8), nn.Linear(8, cases.CLASSES)

    def forward(self, left, right):
        x = torch.cat([left, right], 1)
        return {"logits": self.last(self.first(x).relu()), "read": x}


def by_name(x):
    x = x.flatten(1)
    return {"left": x[:, :10], "right": x[:, 10:]}


@pytest.mark.parametrize("pick", [None, "logits", lambda outputs: outputs["logits"]])
def test_inputs_by_name_and_picked_outputs(pick, tmp_path):
    train = Batches(by_name(X), Y, 16)
    given = Problem(Named, train, Recipe(epochs=3), unlabelled=by_name(KNOWN), pick=pick)
    quantifier = fitted(given)
    quantifier.save(tmp_path)
    settings = {"pick": pick} if callable(pick) else {}
    found = loaded(tmp_path, Named, **settings)
    assert same(found.predict(by_name(ASKED)), quantifier.predict(by_name(ASKED)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both = [own.update(given.anchor(3)).predict(by_name(ASKED)) for own in (found, quantifier)]
    assert same(*both)
    if callable(pick):
        with pytest.raises(InputError, match="a function of yours picks: give it, pick="):
            loaded(tmp_path, Named)
