"""Types of arguments: float64 as default, NumPy's arrays and numbers, and wrong seeds work, or give
one line.
"""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import thalweg
from small import X, Y, linear, problem, same
from thalweg.errors import InputError


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def normed():
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3)
    )


# copies: torch moves a tensor that is sent to another process, and what `numpy()` gave is lost
NUMBERS, LABELS = X.numpy().copy(), Y.numpy().copy()
EXPLORERS = [
    thalweg.explorers.DeepEnsemble(2),
    thalweg.explorers.SPRO(vertices=1, share=0.25),
    thalweg.explorers.SWAG(),
    thalweg.explorers.LearnedLine(),
    thalweg.explorers.FGE(),
    thalweg.explorers.MCDropout("own"),
    thalweg.explorers.LastLayerLaplace(),
    thalweg.explorers.Restarts(),
    thalweg.explorers.ConnectingCurve(),
    thalweg.explorers.Snapshot(),
]


@pytest.mark.parametrize("explorer", EXPLORERS, ids=lambda e: type(e).__name__)
def test_float64_as_the_default(double, explorer):
    found = problem(normed, train_loader=thalweg.Batches(X.double(), Y, 50))
    predictions = thalweg.predict(found, explorer.explore(found), X.double(), draws=3)
    assert predictions.log_probs.dtype == torch.float64
    assert torch.allclose(predictions.probs().sum(-1), torch.ones((), dtype=torch.float64))


@pytest.mark.filterwarnings(
    "ignore:the network is NOT like its narrow copies"
)  # of eight epochs and 200 examples
def test_float64_is_quantified(double):
    def model():
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))

    found = problem(
        model,
        train_loader=thalweg.Batches(X.double(), Y, 50),
        unlabelled=torch.cat([X + 0.1, X - 0.1]).double(),
    )
    u = thalweg.quantify(found, X.double(), budget=1.0, draws=10).predictions.u()
    assert torch.isfinite(u).all() and (u > 0).any()


def test_a_float64_network_beside_a_float32_default():
    found = problem(lambda: normed().double(), train_loader=thalweg.Batches(X.double(), Y, 50))
    predictions = thalweg.predict(
        found, thalweg.explorers.SPRO(vertices=1, share=0.25).explore(found), X.double(), draws=2
    )
    assert predictions.log_probs.dtype == torch.float64


def test_a_wrong_dtype_is_one_line():
    with pytest.raises(
        InputError, match=r"can't evaluate inputs of shape .* torch.float64.*x.to\(torch.float32"
    ):
        problem(train_loader=thalweg.Batches(X.double(), Y, 50))


@pytest.mark.parametrize(
    "inputs",
    [NUMBERS, np.asfortranarray(NUMBERS), NUMBERS[::-1][::-1], NUMBERS.astype(">f4")],
)
@pytest.mark.parametrize("labels", [LABELS, Y.tolist(), LABELS.astype(np.uint8), Y.to(torch.int32)])
def test_numpy_in_batches(inputs, labels):
    recipe = thalweg.Recipe(epochs=1)
    assert same(
        problem(train_loader=thalweg.Batches(inputs, labels, 50), recipe=recipe).anchor(0),
        problem(recipe=recipe).anchor(0),
    )


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (
            np.array(["a"] * 200),
            Y,
            "Batches.inputs got a ndarray, needs a tensor or an array of numbers",
        ),
        (X, [None] * 200, "Batches.targets got a list"),
        (torch.tensor(3.0), Y, r"inputs of shape \(\)"),
        ({"a": X, "b": "text"}, Y, "text|str"),
    ],
)
def test_what_holds_no_numbers_is_one_line(inputs, labels, message):
    with pytest.raises(InputError, match=message) as caught:
        thalweg.Batches(inputs, labels, 50)
    assert "\n" not in str(caught.value)


def test_numpy_s_numbers_as_settings():
    given = thalweg.Recipe(
        epochs=np.int64(3),
        lr=np.float32(0.05),
        momentum=np.float64(0.9),
        weight_decay=np.float16(0.0),
    )
    assert given == thalweg.Recipe(epochs=3, lr=float(np.float32(0.05)), weight_decay=0.0)
    found = problem(recipe=given, seed=np.int64(4), identity="task")
    assert same(found.anchor(0), problem(recipe=given, seed=4).anchor(0)) and found.fingerprint(0)
    thalweg.predict(
        found,
        thalweg.explorers.SPRO(vertices=np.int64(1), share=np.float64(0.25)).explore(found),
        X,
        draws=np.int64(2),
    )


@pytest.mark.parametrize("seed", ["a", float("nan"), 1.0, None, True, 2.5])
def test_a_seed_that_is_none_is_one_line(seed):
    found = problem()
    members = thalweg.Members((found.anchor(0),))
    for use in (
        lambda: problem(seed=seed),
        lambda: thalweg.predict(found, members, X, draws=3, seed=seed),
        lambda: next(members.draw(1, seed=seed)),
    ):
        with pytest.raises(InputError, match=r"seed got .*needs a whole number"):
            use()


@pytest.mark.parametrize(
    "epochs", ["3", None, float("nan"), float("inf"), True, np.float64("nan"), 1j]
)
def test_epochs_that_are_none_are_one_line(epochs):
    with pytest.raises(InputError, match=r"recipe.epochs got"):
        thalweg.Recipe(epochs=epochs)


def test_numpy_where_inputs_are_asked():
    found = problem(unlabelled=X.numpy())
    assert torch.equal(found.inputs(10), X[:10])
    expected = thalweg.predict(found, found.anchor(0), X).log_probs
    assert torch.equal(thalweg.predict(found, found.anchor(0), X.numpy()).log_probs, expected)
    assert torch.equal(
        thalweg.predict(
            found, found.anchor(0), [(X[:100].numpy(), 0), (X[100:].numpy(), 0)]
        ).log_probs,
        expected,
    )


def test_two_equal_linear_layers_are_no_shared_storage():
    assert problem(linear).anchor(0).params["weight"].shape == (3, 6)


def test_labels_of_every_whole_type_of_numpy():
    expected = problem().anchor(0)
    for kind in (np.uint16, np.uint32, np.uint64, np.int8):
        assert same(
            problem(train_loader=thalweg.Batches(X, Y.numpy().astype(kind), 50)).anchor(0), expected
        )


def test_inputs_that_have_gradients_are_taken_without():
    assert same(
        problem(train_loader=thalweg.Batches(X.clone().requires_grad_(), Y, 50)).anchor(0),
        problem().anchor(0),
    )


def test_fractions_in_a_recipe():
    half = thalweg.Recipe(epochs=Fraction(1, 2))
    assert half == thalweg.Recipe(epochs=0.5) and same(
        problem(recipe=half).anchor(0), problem(recipe=half).anchor(0)
    )


@pytest.mark.parametrize("settings", [{"nesterov": "no"}, {"optimizer": None}, {"schedule": 3}])
def test_settings_of_another_type_are_one_line(settings):
    with pytest.raises(InputError, match=r"recipe\."):
        thalweg.Recipe(**settings)
