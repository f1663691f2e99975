"""Quantify, end to end on networks of 300 parameters: what is asked for, what it costs, and what it
says of itself.
"""

import warnings

import pytest
import torch
from torch import Tensor, nn

import cases
import contract
from thalweg.emulators.engression import Engression
from thalweg.emulators.neighbours import Neighbours
from thalweg.errors import InputError
from thalweg.narrow.training import train_copies
from thalweg.observing import observe
from thalweg.predicting import predict
from thalweg.quantifying import Quantified, quantify
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members

ASKED = cases.task(30, seed=2)[0]


def unlabelled(inputs: int = 150) -> Tensor:
    return cases.held_out(inputs)[0]


@pytest.fixture(scope="module")
def trained() -> dict[str, Tensor]:
    """A network that a user has."""
    given = cases.problem(seed=5)
    return given.network(given.anchor(0)).state_dict()


def quietly(given: Problem, **settings) -> Quantified:
    """Whatever the check says: two or three tiny networks may well fail it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantify(given, ASKED, **settings)


def test_from_a_network_to_u_and_draws(trained):
    """The narrow network, 36-4-3, has half of the work of 36-8-3: of two trainings one is spent
    first, and the rest as that shows.
    """
    given = cases.problem(networks=trained, unlabelled=unlabelled())
    before = contract.states()
    found = quietly(given, budget=2.0, draws=7)
    contract.assert_states(before)
    assert found.predictions.log_probs.shape == (7, 30, 3) and found.predictions.u().shape == (30,)
    assert torch.isfinite(found.predictions.u()).all() and (found.predictions.u() > 0).all()
    assert found.width_ratio == 0.5
    spent = 2 * 0.5 + sum(purchase.cost for purchase in found.bought)
    assert spent <= 2 * (1 + 1e-3)
    assert found.cost.trainings == pytest.approx(1 + spent, rel=1e-3)
    assert found.cost.trainings == given.cost.trainings
    whole = 1 + sum(purchase.whole for purchase in found.bought)
    assert spent == pytest.approx(whole - 1 + found.narrow_copies * 0.5, rel=1e-3)
    assert [purchase.nothing for purchase in found.bought][-1:] == [True]
    own = predict(given, given.anchor(0), ASKED).mean()
    assert (found.predictions.mean().argmax(-1) == own.argmax(-1)).double().mean() > 0.8
    again = quietly(cases.problem(networks=trained, unlabelled=unlabelled()), budget=2.0, draws=7)
    assert torch.equal(again.predictions.log_probs, found.predictions.log_probs)


def test_what_it_says_of_itself(trained):
    given = cases.problem(networks=trained, unlabelled=unlabelled())
    found = quietly(given, width_ratio=0.25, budget=1.0, draws=3)
    first, second, third, *bought = str(found).splitlines()
    assert bought == [str(purchase) for purchase in found.bought]
    copies = found.narrow_copies
    assert found.transfer is not None
    assert first.startswith(f"mean u {float(found.predictions.u().mean()):.4f} over 30 inputs, ")
    assert second == (
        f"{copies} narrow copies of width ratio 0.25; cost: {1 + copies / 4:.2f} trainings, the "
        "network's own among them, "
        f"{found.cost.total:.2f} with forward work; the emulator took "
        f"{found.cost.emulator_seconds:.1f} s"
    )
    assert (
        found.cost.total > 1 + copies / 4 and 0 < found.cost.emulator_seconds < found.cost.seconds
    )
    readings = ", ".join(
        f"{own.name} {own.ratio:.2f} ({own.low:.2f} to {own.high:.2f}; {own.least:.2f} to "
        f"{own.most:.2f} is usual)"
        for own in found.transfer.readings
    )
    assert third.startswith(f"the network over its narrow copies: {readings}: ")
    assert ("NOT like its narrow copies" in third) == (not found.transfer.holds)


def test_two_proxies_are_checked_too(trained):
    given = cases.problem(networks=trained, unlabelled=unlabelled())
    found = quietly(given, draws=3)
    assert (found.width_ratio, found.narrow_copies) == (0.5, 2) and found.transfer is not None
    assert [own.name for own in found.transfer.readings] == [
        "impurity",
        "overconfidence",
        "weights",
        "centre",
    ]
    assert found.cost.trainings == pytest.approx(2, rel=1e-3)


def test_a_network_unlike_its_proxies_is_noticed():
    """It was never trained."""
    torch.manual_seed(0)
    given = cases.problem(networks=cases.no_norm().state_dict(), unlabelled=unlabelled(300))
    with pytest.warns(
        UserWarning,
        match="NOT like its narrow copies.*it is less sure.*See first that the network was "
        "trained by this",
    ):
        found = quantify(given, ASKED, budget=3.0, draws=3)
    assert (
        found.transfer is not None
        and not found.transfer.holds
        and "do not trust the scale of u" in str(found)
    )


def test_without_a_start_the_anchors_are_trained():
    given = cases.problem(unlabelled=unlabelled())
    found = quietly(given, anchors=2, emulator=Engression(epochs=1.0), draws=3)
    assert found.cost.trainings == pytest.approx(2 + 1, rel=1e-3)
    assert found.predictions.outside is None and "0.0% of them outside" in str(found)


def test_an_emulator_that_ignores_narrow_networks_is_refused_before_they_are_trained():
    given = cases.problem(unlabelled=unlabelled())
    with pytest.raises(
        InputError, match="got Neighbours, which makes nothing of narrow networks: give Forest"
    ):
        quietly(given, anchors=2, emulator=Neighbours(), draws=3)
    assert given.cost.trainings == 0


class Own(nn.Module):
    """Its width is a number in a function, which nobody can change from outside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(36, width), nn.Linear(width, cases.CLASSES)
        self.shifted = lambda x: x + torch.ones(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.shifted(self.first(x.flatten(1)).relu()))


def test_a_user_s_own_narrow_network():
    def given() -> Problem:
        return Problem(lambda: Own(8), cases.batches(), cases.RECIPE, unlabelled=unlabelled())

    with pytest.raises(InputError, match="quantify got narrow and no width_ratio, needs both"):
        quantify(given(), ASKED, narrow=lambda: Own(4), draws=3)
    found = quietly(given(), narrow=lambda: Own(4), width_ratio=0.5, budget=1.5, draws=3)
    spent = 1 + sum(purchase.cost for purchase in found.bought)  # two copies come first
    assert found.cost.trainings == pytest.approx(1 + spent, rel=1e-3) and spent <= 1.5 * (1 + 1e-3)


def test_there_must_be_unlabelled_inputs():
    given = cases.problem()
    with pytest.raises(
        InputError, match=r"without unlabelled inputs.*give Problem\(unlabelled=\.\.\.\)"
    ):
        quantify(given, ASKED)
    assert given.cost.backward_examples == 0


def test_a_budget_that_is_too_small_is_found_before_anything_is_trained():
    given = cases.problem(unlabelled=unlabelled())
    with pytest.raises(InputError, match=r"needs 0\.50 or more for two narrow networks"):
        quantify(given, ASKED, budget=0.4)
    assert given.cost.backward_examples == 0


@pytest.mark.parametrize("layer", [None, "elsewhere"])
def test_a_network_without_the_layer_is_found_before_anything_is_trained(layer):
    given = cases.problem(
        model=lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3), nn.Tanh()
        ),
        unlabelled=unlabelled(),
    )
    with pytest.raises(
        InputError, match="name the layer whose output is" if layer is None else "elsewhere"
    ):
        quantify(given, ASKED, layer=layer, width_ratio=0.5)
    assert given.cost.backward_examples == 0
    assert quietly(given, layer="2", width_ratio=0.5, draws=3).predictions.members == 3


class RecordStore:
    """In memory."""

    def __init__(self) -> None:
        self.kept = {}

    def recorded(self, name, *, features):
        found = self.kept.get(name)
        return found if found is not None and (found.features or not features) else None

    def keep(self, name, record):
        self.kept[name] = record


def observed(store, names, *, features):
    """One anchor and one narrow copy, and what they say."""
    given = cases.problem(unlabelled=unlabelled())
    narrow, anchors = train_copies(given, 0.5, 1), Members((given.anchor(0),))
    found = observe(
        given,
        anchors,
        {"a": unlabelled(), "b": ASKED},
        narrow,
        features=features,
        store=store,
        names=names,
    )
    return given, narrow, anchors, found


@pytest.mark.parametrize("features", [False, True])
def test_what_networks_say_is_kept_and_charged_again(features, monkeypatch):
    store = RecordStore()
    given, narrow, anchors, found = observed(store, ("one", "two"), features=features)
    assert set(store.kept) == {"one", "two"}
    assert (given.cost.forward_examples == 1.5 * (150 + 30)) != features, (
        "a narrow network's count as their operations, a half"
    )
    for name, inputs in (("a", unlabelled()), ("b", ASKED)):
        assert torch.equal(found[name].anchors.log_probs, predict(given, anchors, inputs).log_probs)
        assert torch.equal(
            found[name].proxies.log_probs,
            predict(narrow.problem, narrow.members, inputs).log_probs,
        )
        assert found[name].width_ratio == 0.5 and (found[name].features is not None) == features
    spent = given.cost.forward_examples - (
        150 + 30
    )  # the anchor's evaluations above are the test's own
    monkeypatch.setattr("thalweg.observing._record", None)
    other, *_, again = observed(store, ("one", "two"), features=features)
    assert other.cost.forward_examples == spent
    for name, own in again.items():
        assert torch.equal(own.log_probs, found[name].log_probs)
        assert not features or torch.equal(own.features, found[name].features)


def test_what_is_kept_without_features_is_no_use_where_they_are_needed():
    store = RecordStore()
    observed(store, ("one", "two"), features=False)
    *_, found = observed(store, ("one", "two"), features=True)
    assert found["a"].features.shape[:2] == (2, 150) and all(
        record.features for record in store.kept.values()
    )


def test_networks_without_a_name_are_not_kept():
    store = RecordStore()
    observed(store, ("one",), features=False)
    assert set(store.kept) == {"one"}
    observed(store, (), features=False)
    assert set(store.kept) == {"one"}
