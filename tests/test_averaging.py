"""Predictions averaged over the recipe's random changes of inputs: what they are, what they hang
on, what they cost, and where there are none.
"""

import json
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

import cases
import thalweg
from test_quantifier import same
from test_sensitivity import TRAINED, Pair, quiet, seen  # noqa: F401  a fixture
from thalweg import fitting
from thalweg.averaging import BLOCK, Averaging, blocks
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.baselines.packed_ensemble import PackedEnsemble
from thalweg.data.augmentation import Augmentation
from thalweg.emulators.atlas import Atlas
from thalweg.emulators.forest import Forest
from thalweg.errors import InputError
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.method import Method
from thalweg.narrow.training import narrow_problem
from thalweg.quantifier import Quantifier
from thalweg.seeds import generator, numpy_position, position
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem

KNOWN = cases.held_out(330)[0]
ASKED = cases.task(300, seed=2)[0]
X, Y = cases.task()


def noisy(x: Tensor, generator: torch.Generator) -> Tensor:
    return x.add_(0.3 * torch.randn(x.shape, generator=generator))  # in place, as one may


def problem(augment=noisy, **settings) -> Problem:
    given = {"networks": TRAINED[0], "unlabelled": KNOWN, **settings}
    return cases.problem(train_loader=Batches(X, Y, cases.SIZE, augment=augment), **given)


def test_they_are_the_mean_values_of_changed_inputs():
    own = problem()
    weights, x = own.anchor(0), KNOWN[:20].clone()
    found = Averaging.of(own, 4, seed=3).said(own, weights, x)
    assert torch.equal(x, KNOWN[:20])  # the user's inputs are as they were
    changed = [noisy(x.clone(), generator(3, "averages", k, 0)) for k in range(4)]
    network = own.network(weights).eval()
    with torch.no_grad():
        expected = torch.stack([network(own_x).softmax(1) for own_x in changed]).mean(0)
    assert found.dtype == torch.float32
    assert torch.allclose(found.exp(), expected, atol=1e-6)


def test_values_are_averaged_in_units():
    targets = X.flatten(1)[:, :2]
    model = lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 2))  # noqa: E731
    own = Problem(
        model,
        Batches(X, targets, 16, augment=noisy),
        networks=model(),
        outputs=thalweg.Values(units="mg", mean=1.0, std=3.0),
    )
    found = Averaging.of(own, 300, seed=0).said(own, own.anchor(0), ASKED[:5])
    plain = thalweg.predict(own, own.anchor(0), ASKED[:5]).stored[0]
    assert torch.allclose(found, plain, atol=0.5) and not torch.equal(found, plain)


def test_a_probability_of_nothing_has_a_logarithm():
    model = lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 3))  # noqa: E731
    network = model()
    network[1].bias.data[0] = 1e4
    own = Problem(model, Batches(X, Y, 16, augment=noisy), networks=network)
    found = Averaging.of(own, 2, seed=0).said(own, own.anchor(0), ASKED[:5])
    assert torch.isfinite(found).all() and float(found.min()) == pytest.approx(-69.08, abs=0.01)


def unseeded(x: Tensor, _: torch.Generator) -> Tensor:
    return x + 0.3 * torch.randn(x.shape) * random.random()


@pytest.mark.parametrize("augment", [noisy, unseeded])
def test_they_hang_on_seed_and_order_only(augment):
    """Not on batches, nor on what was drawn before; and nobody's random state is touched."""
    own = problem(augment)
    weights, averaging = own.anchor(0), Averaging.of(own, 2, seed=0)
    states = position(), numpy_position()
    found = averaging.said(own, weights, ASKED)
    assert (position(), numpy_position()) == states
    torch.rand(3)
    for batches in (list(ASKED.split(37)), [(x,) for x in ASKED.split(300)]):
        assert torch.equal(averaging.said(own, weights, batches), found)
    assert torch.equal(averaging.said(own, weights, ASKED[BLOCK:], 1), found[BLOCK:])
    assert not torch.equal(averaging.said(own, weights, ASKED[BLOCK:]), found[BLOCK:])
    assert not torch.equal(Averaging.of(own, 2, seed=1).said(own, weights, ASKED), found)
    one, other = (Averaging.of(own, k, seed=0).said(own, weights, ASKED) for k in (1, 2))
    assert not torch.allclose(one, other)  # the second change is another one


@pytest.mark.parametrize("lengths", [[1] * 7, [255, 2], [256], [600, 1, 300], [], [0]])
def test_blocks(lengths):
    x = torch.arange(sum(lengths))
    found = list(blocks(x.split(lengths)))
    assert all(len(part) == BLOCK for part in found[:-1]) and all(map(len, found))
    assert torch.equal(torch.cat([x[:0], *found]), x)


def test_the_atlas_gets_them_of_every_network(seen):  # noqa: F811
    own = problem(networks=list(TRAINED))
    quantifier = quiet(Quantifier(budget=0, averages=2, draws=3).fit, own)
    quantifier.predict(ASKED)
    averaging = Averaging.of(own, 2, seed=0)
    for said, x in zip(seen, (KNOWN, ASKED), strict=True):
        expected = [averaging.said(own, own.anchor(k), x) for k in range(2)]
        assert torch.equal(said.averaged, torch.stack(expected))
    assert quantifier.get_params()["averages"] == 2 and "averages=2" in repr(quantifier)


def test_narrow_copies_have_them_too(seen):  # noqa: F811
    quantifier = quiet(Quantifier(emulator=Atlas(trees=5), averages=1, draws=3).fit, problem())
    quantifier.predict(ASKED)
    members = 1 + quantifier.narrow_copies_
    assert quantifier.narrow_copies_
    assert [len(said.averaged) for said in seen] == [members] * 2


def test_answers_do_not_hang_on_batches(monkeypatch):
    quantifier = quiet(Quantifier(budget=0, averages=2, draws=3).fit, problem())
    expected = quantifier.predict(ASKED)
    assert same(quantifier.predict(ASKED), expected)
    assert same(quantifier.predict(list(ASKED.split(41))), expected)
    monkeypatch.setattr(fitting, "_INPUTS", 1)  # in several parts
    parts = quantifier.predict(ASKED)
    assert torch.allclose(parts.stored, expected.stored, atol=1e-4)
    once = quiet(thalweg.quantify, problem(), ASKED, budget=0, averages=2, draws=3)
    assert torch.allclose(once.predictions.stored, expected.stored, atol=1e-4)


def test_another_network_later_is_as_if_it_had_been_there():
    settings = {"budget": 0, "averages": 2, "draws": 3}
    both = quiet(Quantifier(**settings).fit, problem(networks=list(TRAINED)))
    one = quiet(Quantifier(**settings).fit, problem())
    assert same(one.update(TRAINED[1]).predict(ASKED), both.predict(ASKED))


def test_each_change_of_an_input_is_an_evaluation():
    spent = []
    for averages in (0, 3):
        settings = {"budget": 0, "averages": averages, "emulator": Atlas(geometry=False)}
        spent.append(quiet(thalweg.quantify, problem(), ASKED, **settings).cost.forward_examples)
    assert spent == [330 + 300, 4 * (330 + 300)]


def test_without_it_nothing_is_averaged(seen):  # noqa: F811
    quiet(Quantifier(budget=0).fit, problem())
    assert seen[0].averaged is None


def pair_problem() -> Problem:
    a, b = torch.randn(40, 2), torch.randn(40, 3)
    known = torch.randn(300, 2), torch.randn(300, 3)
    loader = Batches((a, b), torch.arange(40) % 3, 10)
    return Problem(Pair, loader, networks=Pair(), unlabelled=known)


REFUSED = {
    "no augment": (
        lambda: cases.problem(networks=TRAINED[0], unlabelled=KNOWN),
        r"averages got 2 and a problem with Batches without augment, needs train_loader=Batches"
        r"\(\.\.\., augment=\.\.\.\) .*give that, or averages=0",
    ),
    "another loader": (
        lambda: cases.problem(loader="tuples", networks=TRAINED[0], unlabelled=KNOWN),
        "a problem with DataLoader, needs",
    ),
    "no loader": (
        lambda: Problem(cases.no_norm, networks=TRAINED[0], unlabelled=KNOWN),
        "a problem with no train_loader, needs",
    ),
    "several tensors": (pair_problem, "Batches without augment of inputs of several tensors"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_changes_is_refused_before_anything_is_done(name):
    make, line = REFUSED[name]
    given = make()
    quantifier = Quantifier(budget=0, averages=2)
    for ask in (quantifier.fit, quantifier.plan):
        with pytest.raises(InputError, match=line) as caught:
            ask(given)
        assert "\n" not in str(caught.value)
    assert (given.cost.backward_examples, given.cost.forward_examples) == (0, 0)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"averages": -1}, "averages got -1"),
        ({"averages": 2.5}, "averages got 2.5"),
        (
            {"averages": 8, "budget": 1.0},
            r"averages=8, and Forest makes nothing of them: give emulator=Atlas\(\), or averages=0",
        ),
        ({"averages": 8, "emulator": Forest(), "anchors": 2}, "Forest makes nothing of them"),
    ],
)
def test_settings_that_can_not_be(settings, line):
    given = problem()
    for ask in (
        lambda: thalweg.quantify(given, ASKED, **{"budget": 0, **settings}),
        lambda: Quantifier(**{"budget": 0, **settings}).fit(given),
    ):
        with pytest.raises(InputError, match=line):
            ask()
    assert given.cost.forward_examples == 0


def kept(folder: Path, **settings) -> Quantifier:
    quantifier = quiet(Quantifier(averages=2, draws=3, **settings).fit, problem())
    quantifier.save(folder)
    return quantifier


AGAIN = """
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
import cases, test_averaging as own, thalweg
found = own.quiet(thalweg.load, {folder!r}, model=cases.no_norm, augment=own.noisy)
found.predict(own.ASKED).save({out!r} + "first")
own.quiet(found.update, own.TRAINED[1])
found.predict(list(own.ASKED.split(41))).save({out!r} + "second")
"""


@pytest.mark.parametrize("settings", [{"budget": 0, "seed": 4}, {"emulator": Atlas(trees=5)}])
def test_another_process_predicts_the_same_bits(settings, tmp_path):
    quantifier = kept(tmp_path / "fit", **settings)
    first = quantifier.predict(ASKED)
    quiet(quantifier.update, TRAINED[1])
    second = quantifier.predict(ASKED)
    places = {"folder": str(tmp_path / "fit"), "out": str(tmp_path / "found ")}
    code = AGAIN.format(tests=str(Path(__file__).parent), **places)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for expected, found in ((first, "first"), (second, "second")):
        assert same(thalweg.Predictions.load(tmp_path / f"found {found}"), expected)


def test_a_loaded_fit_learns_from_the_averages_it_had(seen, tmp_path):  # noqa: F811
    own = problem()
    kept(tmp_path / "one", budget=0)
    found = quiet(thalweg.load, tmp_path / "one", model=cases.no_norm, augment=noisy)
    assert found.get_params()["averages"] == 2
    found.save(tmp_path / "two")
    again = quiet(thalweg.load, tmp_path / "two", model=cases.no_norm, augment=noisy)
    seen.clear()
    again.set_params(seed=5).predict(ASKED)  # of the draws alone
    averaging = Averaging.of(own, 2, seed=0)
    for said, x in zip(seen, (KNOWN, ASKED), strict=True):
        assert torch.equal(said.averaged, averaging.said(own, own.anchor(0), x)[None])


def other(x: Tensor, generator: torch.Generator) -> Tensor:
    return x + 0.2 * torch.randn(x.shape, generator=generator)


def other_draws(x: Tensor, generator: torch.Generator) -> Tensor:
    torch.randn(1, generator=generator)
    return noisy(x, generator)


def test_a_fit_with_averages_is_loaded_with_its_function_only(tmp_path, monkeypatch):
    kept(tmp_path, budget=0)
    for augment in (other, other_draws):
        with pytest.raises(InputError, match=r"augment\(\) changes inputs otherwise") as caught:
            thalweg.load(tmp_path, model=cases.no_norm, augment=augment)
        assert "\n" not in str(caught.value)

    def never():
        raise AssertionError("nothing is made before")

    with pytest.raises(InputError, match=r"averaged over 2 .*give it, augment=") as caught:
        thalweg.load(tmp_path, model=never)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="augment got 'noise', needs a function"):
        thalweg.load(tmp_path, model=never, augment="noise")


def test_a_regression_is_compared_in_its_units(tmp_path):
    model = lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 2))  # noqa: E731
    own = Problem(
        model,
        Batches(X, 1e6 * X.flatten(1)[:, :2], 16, augment=noisy),
        networks=model(),
        outputs=thalweg.Values(units="mg", mean=0.0, std=1e6),
        unlabelled=KNOWN,
    )
    quantifier = quiet(Quantifier(budget=0, averages=2, draws=3).fit, own)
    quantifier.save(tmp_path)
    found = quiet(thalweg.load, tmp_path, model=model, augment=noisy)
    assert same(found.predict(ASKED), quantifier.predict(ASKED))
    with pytest.raises(InputError, match=r"augment\(\) changes inputs otherwise"):
        thalweg.load(tmp_path, model=model, augment=other)


def test_a_fit_without_averages_needs_no_function(tmp_path):
    quantifier = quiet(Quantifier(budget=0, draws=3).fit, problem())
    quantifier.save(tmp_path)
    expected = quantifier.predict(ASKED)
    for given in ({}, {"augment": noisy}):
        found = quiet(thalweg.load, tmp_path, model=cases.no_norm, **given)
        assert same(found.predict(ASKED), expected)
    assert "averaging" not in json.loads((tmp_path / "quantifier.json").read_text())


def test_a_folder_keeps_the_fit(tmp_path, monkeypatch):
    settings = {"budget": 0, "draws": 3, "folder": tmp_path}
    first = quiet(Quantifier(averages=2, **settings).fit, problem())
    again = Quantifier(averages=2, **settings)
    with monkeypatch.context() as patched:
        patched.setattr("thalweg.quantifier.Fitted.of", None)  # nothing is asked again
        quiet(again.fit, problem())
    assert same(again.predict(ASKED), first.predict(ASKED))
    loaded = quiet(thalweg.load, tmp_path, model=cases.no_norm, augment=noisy)
    assert same(loaded.predict(ASKED), first.predict(ASKED))
    for averages in (0, 3):
        with pytest.raises(InputError, match=r"other: averages="):
            Quantifier(averages=averages, **settings).fit(problem())
    with pytest.raises(InputError, match="other: training set"):
        Quantifier(averages=2, **settings).fit(problem(other))


def test_a_folder_without_averages_is_that_of_before(tmp_path):
    quiet(Quantifier(budget=0, folder=tmp_path).fit, problem())
    parts = json.loads((tmp_path / "fit.json").read_text())["parts"]
    assert not [name for name in parts if "averag" in name]


def test_the_recipes_of_images():
    """The library's own augmentation, which every device draws alike."""
    images = Augmentation(padding=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Quantifier(budget=0, averages=8, draws=3).fit(problem(images)).predict(ASKED)
    assert torch.isfinite(found.stored).all() and (found.u() > 0).all()


ATLAS = Atlas(trees=5)
INPUTS = {"calibration": KNOWN, "asked": ASKED}
COPIES = NarrowEnsemble(width_ratio=0.5, members=2)


@pytest.mark.parametrize("geometry", [True, False])
def test_compute_gives_the_same(geometry, seen):  # noqa: F811
    emulator = Atlas(trees=5, geometry=geometry)
    settings = {"budget": 0, "emulator": emulator, "averages": 2, "draws": 4, "seed": 3}
    found = quiet(thalweg.quantify, problem(networks=list(TRAINED)), ASKED, **settings)
    method = Method(DeepEnsemble(2), emulator=emulator, averages=2)
    own = problem(networks=list(TRAINED))
    computed = thalweg.compute(method, own, INPUTS, emulator_draws=4, seed=3)
    for fitted, row in zip(seen[:2], seen[2:], strict=True):
        assert fitted.averaged is not None and torch.equal(fitted.averaged, row.averaged)
    assert same(computed.predictions["asked"], found.predictions)
    assert computed.cost.forward_examples == found.cost.forward_examples


def test_a_row_with_narrow_copies_averages_each_network(seen):  # noqa: F811
    method = Method(DeepEnsemble(1), narrow=COPIES, emulator=ATLAS, averages=1)
    own = problem()
    quiet(thalweg.compute, method, own, INPUTS, seed=3)
    averaging, narrow = Averaging.of(own, 1, seed=3), narrow_problem(own, 0.5)
    for said, x in zip(seen, (KNOWN, ASKED), strict=True):
        expected = [averaging.said(own, own.anchor(0), x)]
        expected += [averaging.said(narrow, narrow.anchor(k), x) for k in said.learned]
        assert torch.equal(said.averaged, torch.stack(expected))


def test_a_row_of_a_baseline_averages_its_networks(seen):  # noqa: F811
    emulator = Atlas(trees=5, geometry=False)
    method = Method(PackedEnsemble(members=2), emulator=emulator, averages=1)
    own = problem(networks=None)
    trained = method.train(own)
    quiet(thalweg.compute, method, problem(networks=None), INPUTS, seed=3)
    averaging = Averaging.of(own, 1, seed=3)
    expected = [averaging.said(trained.predicting, w, ASKED) for w in trained.members.points]
    assert torch.equal(seen[1].averaged, torch.stack(expected))


def test_a_row_counts_each_change_of_an_input():
    """In evaluations of the whole network; 36-4-3 is half of 36-8-3."""
    emulator = Atlas(trees=5, geometry=False)
    found = []
    for averages in (0, 3):
        method = Method(DeepEnsemble(1), narrow=COPIES, emulator=emulator, averages=averages)
        found.append(quiet(thalweg.compute, method, problem(), INPUTS))
    for computed, times in zip(found, (1, 4), strict=True):
        assert computed.cost.forward_examples == times * (330 + 300) * (1 + 2 * 0.5)
        assert computed.evaluations == times * 300 * (1 + 2 * 0.5)
        assert computed.cost_of_knowing.forward_examples == times * 330 * (1 + 2 * 0.5)
        assert computed.evaluations_per_input == times * 3
    more = found[1].stored_bytes - found[0].stored_bytes
    assert more == 4 * 3 * 330 * cases.CLASSES  # the means that are learned from, in float32


@pytest.mark.parametrize("name", REFUSED)
def test_a_row_without_changes_is_refused_before_anything_is_trained(name):
    make, line = REFUSED[name]
    given = make()
    example = given.unlabelled
    method = Method(DeepEnsemble(2), emulator=ATLAS, averages=2)
    with pytest.raises(InputError, match=line):
        thalweg.compute(method, given, {"calibration": example, "asked": example})
    assert (given.cost.backward_examples, given.cost.forward_examples) == (0, 0)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"emulator": ATLAS, "averages": -1}, "averages got -1, needs a whole number"),
        (
            {"emulator": Forest(), "averages": 2},
            "averages got 2, and Forest makes nothing of them: take an emulator such as Atlas, or",
        ),
        ({"averages": 2}, "averages got 2 and no emulator, which makes something of them: take"),
    ],
)
def test_methods_that_can_not_be(settings, line):
    with pytest.raises(InputError, match=line):
        Method(DeepEnsemble(2), **settings)
