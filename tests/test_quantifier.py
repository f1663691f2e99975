"""The quantifier: fitted once, asked often, and the numbers are those of `quantify`."""

import warnings

import pytest
import torch
from sklearn.base import clone
from torch.utils.data import DataLoader, TensorDataset

import cases
import thalweg
from thalweg import fitting
from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.computing import compute
from thalweg.emulators.forest import Forest
from thalweg.errors import InputError
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.method import Method
from thalweg.quantifier import Quantifier
from thalweg.training.problem import Problem

KNOWN = cases.held_out(150)[0]
ASKED = cases.task(30, seed=2)[0]
SMALL = Forest(trees=10)


def problem(**settings) -> Problem:
    return cases.problem(**{"unlabelled": KNOWN, **settings})


def fitted(given: Problem | None = None, **settings) -> Quantifier:
    """Whatever the check says: two or three tiny networks may well fail it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Quantifier(**{"draws": 5, "emulator": SMALL, **settings}).fit(given or problem())


def same(one: thalweg.Predictions, other: thalweg.Predictions) -> bool:
    parts = ((own.stored, own.u(), own.outside) for own in (one, other))
    return all(a is b or torch.equal(a, b) for a, b in zip(*parts, strict=True))


def state(given: Problem, k: int) -> dict[str, torch.Tensor]:
    return given.network(given.anchor(k)).state_dict()


def test_the_numbers_are_those_of_quantify_and_of_the_method():
    """Three ways to the same numbers: in one call, in two, and as a study computes the method."""
    given = problem(seed=3)
    quantifier = fitted(given, budget=2.0, seed=7)
    predictions = quantifier.predict(ASKED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        once = thalweg.quantify(problem(seed=3), ASKED, budget=2.0, draws=5, seed=7, emulator=SMALL)
        whole, copies = quantifier.networks_.size, quantifier.narrow_copies_
        narrow = NarrowEnsemble(width_ratio=0.5, members=copies)
        method = Method(DeepEnsemble(whole), narrow=narrow, emulator=SMALL)
        parts = {"calibration": KNOWN, "asked": ASKED}
        computed = compute(method, problem(seed=3), parts, emulator_draws=5, seed=7, check=True)
    assert same(predictions, once.predictions)
    assert same(predictions, computed.predictions["asked"])
    assert (once.width_ratio, once.narrow_copies) == (0.5, copies)
    assert quantifier.width_ratio_ == 0.5 and 1 < whole + copies * 0.5 <= 3
    assert once.bought == quantifier.bought_ and once.bought[-1].nothing
    assert str(once.transfer) == str(quantifier.check_)
    if whole == 1:
        assert str(once.transfer) == str(computed.check)
    assert once.cost.backward_examples == computed.cost.backward_examples
    assert once.cost.forward_examples == computed.cost.forward_examples
    spent = once.cost.forward_examples - quantifier.cost_.forward_examples
    assert spent == 30 * (whole + copies * 0.5), (
        "each network evaluates each input that is asked about once"
    )


def test_asking_again_trains_nothing_and_gives_the_same(monkeypatch):
    quantifier = fitted()
    expected = quantifier.predict(ASKED)
    monkeypatch.setattr("thalweg.training.problem.train", None)
    monkeypatch.setattr(Forest, "_grow", None)
    cost = quantifier.cost_
    assert same(quantifier.predict(ASKED), expected) and quantifier.cost_ is cost
    assert same(quantifier.predict(ASKED.numpy()), expected)
    loader = DataLoader(TensorDataset(ASKED, torch.zeros(30)), 30)
    assert same(quantifier.predict(loader), expected)
    first = quantifier.predict(ASKED[:10])
    assert torch.allclose(first.u(), expected.u()[:10], atol=1e-6)
    assert quantifier.set_params(draws=9).predict(ASKED).members == 9


def test_many_inputs_are_asked_about_in_parts(monkeypatch):
    quantifier = fitted(problem(model=cases.NETWORKS["conv-batchnorm"]))
    expected, sizes = quantifier.predict(ASKED), []
    say = fitting.Witness.say
    monkeypatch.setattr(fitting, "_INPUTS", 12)
    monkeypatch.setattr(
        fitting.Witness,
        "say",
        lambda own, inputs, *rest: (
            sizes.append(sum(len(x) for (x,) in inputs)),
            say(own, inputs, *rest),
        )[1],
    )
    found = quantifier.predict(list(ASKED.split(7)))
    assert sizes == [14] * 3 + [14] * 3 + [2] * 3
    assert torch.allclose(found.u(), expected.u(), atol=1e-6)
    assert torch.allclose(found.probs(), expected.probs(), atol=1e-5)


def test_habits_of_scikit_learn():
    quantifier = Quantifier(budget=2.0, emulator=SMALL, width_ratio=0.25)
    assert repr(quantifier) == f"Quantifier(budget=2.0, emulator={SMALL!r}, width_ratio=0.25)"
    assert str(quantifier) == f"{quantifier!r}: not fitted"
    with pytest.raises(InputError, match=r"is not fitted: call fit\(problem\) first"):
        quantifier.predict(ASKED)
    found = fitted(budget=2.0, width_ratio=0.25)
    learned = {name for name in vars(found) if name.endswith("_")}
    facts = {"networks_", "narrow_copies_", "width_ratio_", "check_", "cost_", "bought_", "level_"}
    facts |= {"centre_error_"}
    assert facts == learned
    copy = clone(found)
    assert copy.get_params() == found.get_params() and not hasattr(copy, "cost_")
    assert same(fitted(**copy.get_params()).predict(ASKED), found.predict(ASKED))
    with pytest.raises(InputError, match="unknown setting 'buget': did you mean 'budget'"):
        copy.set_params(buget=1.0)
    assert copy.set_params(budget=1.0).budget == 1.0
    with pytest.raises(InputError, match="budget got -1"):
        Quantifier(budget=-1).fit(problem())
    copies, lines = found.narrow_copies_, str(found).splitlines()
    assert lines[0].startswith(f"{copies} narrow copies of width ratio 0.25; cost: ")
    assert lines[2:] == [str(purchase) for purchase in found.bought_]
    assert 0 < found.cost_.trainings <= 3 * (1 + 1e-6)


def test_another_real_retraining_counts_as_if_it_had_been_there():
    both = fitted(problem(), anchors=2)
    given = problem()
    for other in (given.network(given.anchor(1)), state(given, 1), given.anchor(1)):
        quantifier = fitted(problem())
        before = quantifier.predict(ASKED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = quantifier.update(other)
        assert found is quantifier and found.networks_.size == 2
        assert same(found.predict(ASKED), both.predict(ASKED))
        assert not same(found.predict(ASKED), before)
        assert str(found.check_) == str(both.check_)
        assert found.cost_.trainings == both.cost_.trainings and found.cost_.given == 1
        assert found.cost_.forward_examples == both.cost_.forward_examples
    with pytest.raises(InputError, match="does not fit"):
        quantifier.update(torch.nn.Linear(3, 3))
    with pytest.raises(InputError, match="the same network twice"):
        quantifier.update(given.anchor(1))


def test_what_can_t_be_asked_about_is_one_line():
    quantifier = fitted()
    wrong = ASKED.clone()
    wrong[20] = float("nan")
    for inputs, match in (
        (wrong, "has NaN or infinite inputs"),
        (list(wrong.split(10)), "batch 2 of inputs has NaN"),
        (ASKED[:, :, :5], "needs as many numbers as those of the training set"),
        ([], "empty"),
        ("inputs.csv", "got a str"),
        (iter([ASKED]), "can be read once only"),
    ):
        with pytest.raises(InputError, match=match) as caught:
            quantifier.predict(inputs)
        assert "\n" not in str(caught.value)
    quantifier.set_params(draws=10**9)
    with pytest.raises(InputError, match="to hold them in memory"):
        quantifier.predict(ASKED)
    with pytest.raises(InputError, match=r"quantify got a int, needs a thalweg\.Problem"):
        Quantifier().fit(3)


def test_unlabelled_inputs_that_were_trained_on_are_told():
    """Whatever else is told: they are few, and u is too small."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        Quantifier(draws=3, emulator=SMALL).fit(problem(unlabelled=cases.batches().inputs))
        Quantifier(draws=3, emulator=SMALL).fit(problem())
    texts = [str(one.message) for one in told]
    assert sum("100% of the unlabelled inputs are training inputs" in text for text in texts) == 1
