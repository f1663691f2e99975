"""Quantify of a network whose factory loads weights: what the budget buys instead of narrow
copies.
"""

import pytest
import torch
from torch import nn

import thalweg
from thalweg.atlas.learned import learned
from thalweg.emulators.atlas import Atlas
from thalweg.emulators.forest import Forest
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.explorers.fge import FGE
from thalweg.finetuning import pre_trained
from thalweg.quantifier import Quantifier

LAW = learned().facts["level"]

X = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
STORED = {k: v.clone() for k, v in nn.Linear(6, 16).state_dict().items()}


def network(hidden=16):
    """A pre-trained body, and a new head."""
    body = nn.Linear(6, hidden)
    if hidden == 16:
        body.load_state_dict(STORED)
    return nn.Sequential(body, nn.ReLU(), nn.Linear(hidden, 3))


def problem(model=network, epochs=6):
    train = thalweg.Batches(X[:100], X[:100, :3].argmax(1), size=10)
    return thalweg.Problem(model, train, thalweg.Recipe(epochs=epochs), unlabelled=X[100:300])


class Places(nn.Module):
    """A little that is the same in all networks, as an embedding of places by sines is."""

    def __init__(self):
        super().__init__()
        self.places = nn.Parameter(torch.arange(6.0).sin()[None])
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x):
        return self.layers(x + self.places)


@pytest.mark.parametrize(
    ("model", "found"),
    [(network, "0.weight"), (lambda: network(15), None), (Places, None)],
    ids=["pre-trained", "new", "a little is stored"],
)
def test_a_factory_that_loads_weights_is_noticed(model, found):
    assert pre_trained(problem(model)) == found


def quantified(own, budget, **settings):
    with pytest.warns(UserWarning, match="no narrow copies of it") as told:
        found = thalweg.quantify(own, X[300:], budget=budget, draws=20, **settings)
    assert any("'0.weight' is the same in all new networks" in str(line.message) for line in told)
    return found


def expected(explorer, emulator=Forest()):  # noqa: B008  frozen
    """What the method gives that was measured."""
    method = thalweg.Method(explorer, emulator=emulator)
    inputs = {"calibration": X[100:300], "asked": X[300:]}
    return thalweg.compute(method, problem(), inputs, emulator_draws=20).predictions["asked"]


@pytest.mark.filterwarnings("ignore:quantify got 200 unlabelled")
@pytest.mark.parametrize(
    ("budget", "anchors", "explorer", "trainings"),
    [
        (1.0, 1, DeepEnsemble(2), 2),
        (1.9, 1, DeepEnsemble(2), 2),
        (2.0, 1, DeepEnsemble(3), 3),
        (0.5, 2, DeepEnsemble(2), 2),
        (0.4, 1, FGE(start="anchor", share=0.4), 1.4),
        (0.9, 1, FGE(start="anchor", share=0.5), 1.5),
    ],
)
def test_the_budget_buys_what_was_measured(budget, anchors, explorer, trainings):
    found = quantified(problem(), budget, anchors=anchors)
    assert found.cost.trainings == pytest.approx(trainings)
    assert torch.equal(found.predictions.u(), expected(explorer).u())
    assert found.narrow_copies == 0 and "no narrow copies; cost" in str(found)


def clues(quantifier):
    return {clue.name: clue for clue in quantifier.level_.clues}


@pytest.mark.filterwarnings("ignore:quantify got 200 unlabelled", "ignore:.*no narrow copies of it")
def test_networks_along_cycles_are_one_training_to_the_atlas(tmp_path):
    """One that is trained later is a second one, and all of that is stored."""
    quantifier = Quantifier(budget=0.4, emulator=Atlas(trees=10), draws=20).fit(problem())
    assert quantifier.networks_.size > 2 and set(clues(quantifier)) == {"network"}
    by_compute = expected(FGE(start="anchor", share=0.4), Atlas(trees=10))
    assert torch.equal(quantifier.predict(X[300:]).u(), by_compute.u())
    quantifier.update(problem().anchor(1))
    assert set(clues(quantifier)) == {"network", "trainings"}
    assert clues(quantifier)["trainings"].scale == LAW["trainings"]["scale"]
    quantifier.save(tmp_path)
    found = thalweg.load(tmp_path, model=network)
    assert found.level_ == quantifier.level_
    assert torch.equal(found.predict(X[300:]).u(), quantifier.predict(X[300:]).u())


@pytest.mark.filterwarnings("ignore:quantify got 200 unlabelled", "ignore:.*no narrow copies of it")
def test_further_fine_tunings_are_trainings_to_the_atlas():
    quantifier = Quantifier(budget=1.0, emulator=Atlas(trees=10), draws=20).fit(problem())
    assert set(clues(quantifier)) == {"network", "trainings"}


@pytest.mark.parametrize(
    ("epochs", "settings", "line"),
    [
        (6, {"budget": 0.3, "width_ratio": 0.5}, "pre-trained weights are never cut"),
        (6, {"budget": 0.05}, "budget got 0.05, which buys 3 steps .* give 0.33 or more"),
        (3, {"budget": 0.9}, "budget got 0.9, which buys 15 steps .* give 1 or more"),
    ],
)
def test_what_can_not_be_is_said_before_anything_is_trained(epochs, settings, line):
    own = problem(epochs=epochs)
    with pytest.raises(thalweg.InputError, match=line):
        thalweg.quantify(own, X[300:], **settings)
    assert own.cost.trainings == 0


def test_narrow_networks_of_the_users_own_are_taken():
    own = problem()
    with pytest.warns(UserWarning):
        found = thalweg.quantify(
            own, X[300:], budget=1.0, narrow=lambda: network(8), width_ratio=0.5
        )
    assert found.narrow_copies > 0
