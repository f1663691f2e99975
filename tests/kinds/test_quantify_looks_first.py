"""Early checks: quantify finds every mistake before anything is trained, and keeps what it has
trained.
"""

import warnings
from dataclasses import make_dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from thalweg.emulators.forest import Forest
from thalweg.errors import InputError
from thalweg.models.resnet import resnet
from thalweg.narrow.flops import flops
from thalweg.narrow.training import narrow_problem
from thalweg.predicting import predict
from thalweg.quantifying import quantify
from thalweg.seeds import generator
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe

FEATURES, CLASSES = 6, 3


def numbers(count: int, name: str = "inputs") -> Tensor:
    return torch.randn(count, FEATURES, generator=generator(0, "looks first", name))


def model(width: int = 16, classes: int = CLASSES) -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, classes))


def problem(**settings) -> Problem:
    x = numbers(100, "train")
    given = {"unlabelled": numbers(400), **settings}
    return Problem(
        given.pop("model", model),
        Batches(x, x[:, :CLASSES].argmax(1), 50),
        Recipe(epochs=2),
        **given,
    )


def with_nan(count: int, at: int) -> Tensor:
    x = numbers(count)
    x[at, 3] = float("nan")
    return x


class Noisy(TensorDataset):
    """Gives other inputs each time."""

    def __getitem__(self, index):
        return (self.tensors[0][index] + torch.rand(1),)


def loader(x: Tensor, **settings) -> DataLoader:
    return DataLoader(TensorDataset(x, torch.zeros(len(x))), batch_size=64, **settings)


WRONG_INPUTS = {
    "NaN": (lambda: with_nan(30, 20), "NaN or infinite"),
    "NaN late in a loader": (
        lambda: loader(with_nan(300, 290)),
        "batch 4 of {name} has NaN or infinite",
    ),
    "empty": (lambda: torch.zeros(0, FEATURES), "needs one input or more"),
    "empty loader": (list, "{name} is empty"),
    "wrong width": (
        lambda: torch.zeros(40, FEATURES + 1),
        "needs as many numbers as those of the training set",
    ),
    "one input without a batch": (lambda: torch.zeros(FEATURES), "{name}"),
    "shuffled": (lambda: loader(numbers(300), shuffle=True), "shuffle"),
    "augmenting": (lambda: DataLoader(Noisy(numbers(100)), batch_size=50), "gives other inputs"),
    "augmenting batches": (
        lambda: Batches(numbers(60), torch.zeros(60).long(), shuffle=False, augment=lambda x, g: x),
        "augment",
    ),
    "dictionaries": (lambda: [{"image": numbers(40)}], "dictionary"),
    "ragged": (lambda: [numbers(40), torch.zeros(4, FEATURES + 2)], "pad them to one shape"),
    "a generator": (lambda: iter([numbers(40)]), "can be read once only"),
    "sparse": (lambda: numbers(30).to_sparse(), "sparse_coo, needs a dense one"),
    "no data": (lambda: numbers(30).to("meta"), "without data, needs a dense one"),
    "words": (lambda: np.array([["a"] * FEATURES] * 30), "needs numbers"),
    "a path": (lambda: "inputs.csv", "got a str"),
    "nothing": (lambda: 3, "got a int"),
}


def refused(given: Problem, match: str, inputs=None, **settings) -> None:
    """One line, and nothing was trained or evaluated at length."""
    with pytest.raises(InputError, match=match) as caught:
        quantify(
            given, numbers(20, "asked") if inputs is None else inputs, **{"draws": 5, **settings}
        )
    assert "\n" not in str(caught.value)
    assert (given.cost.backward_examples, given.cost.forward_examples) == (0, 0)
    assert not given.has(0) and not any(own.has(0) for own in given.narrowed.values())


@pytest.mark.parametrize("name", WRONG_INPUTS)
def test_inputs(name):
    make, match = WRONG_INPUTS[name]
    refused(problem(), match.format(name="inputs"), make())


@pytest.mark.parametrize("name", [name for name in WRONG_INPUTS if name != "nothing"])
def test_unlabelled(name):
    make, match = WRONG_INPUTS[name]
    try:
        given = problem(unlabelled=make())
    except InputError as error:  # sooner still
        assert "\n" not in str(error)
        return
    refused(given, match.format(name="unlabelled"))


def test_no_unlabelled_inputs_or_too_few():
    refused(problem(unlabelled=None), "without unlabelled inputs")
    refused(problem(unlabelled=numbers(1)), "unlabelled got 1 inputs, needs 10 or more")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"draws": 0}, "draws got 0"),
        ({"draws": 2.5}, "draws got 2.5"),
        ({"draws": 10**9}, "numbers or fewer, to hold them in memory"),
        ({"anchors": 0}, "anchors got 0"),
        ({"anchors": 10**6}, "anchors got 1000000, needs 1 to 100"),
        ({"budget": 1e9}, r"budget got 1000000000.0, needs 0 to 100"),
        ({"budget": float("nan")}, "budget got nan"),
        ({"budget": 0.01}, "needs .* or more for two narrow networks"),
        ({"seed": "a"}, "seed got 'a'"),
        ({"seed": 0.5}, "seed got 0.5"),
        ({"width_ratio": 1.5}, "width_ratio got 1.5"),
        ({"width_ratio": 0.0}, "width_ratio got 0.0"),
        (
            {"width_ratio": 1e-4},
            "width_ratio got 0.0001, but each layer keeps one channel or more, 0.062 of all",
        ),
        ({"narrow": lambda: 1 / 0, "width_ratio": 0.5}, r"narrow\(\) raised ZeroDivisionError"),
        (
            {"narrow": lambda width: model(width), "width_ratio": 0.5},
            r"narrow\(\) raised TypeError .* without arguments",
        ),
        ({"emulator": "forest"}, "emulator got 'forest'"),
        ({"emulator": Forest}, "emulator got"),
        ({"layer": 3}, "layer got a int"),
        ({"layer": "nowhere"}, "nowhere"),
        ({"narrow": lambda: model(4)}, "narrow and no width_ratio"),
        ({"narrow": model(4), "width_ratio": 0.5}, "narrow got a Sequential, needs a function"),
        ({"narrow": lambda: "net", "width_ratio": 0.5}, r"narrow\(\) gave a str"),
        (
            {"narrow": lambda: model(4, 5), "width_ratio": 0.5},
            r"narrow\(\) has outputs \(2, 5\) where the network has \(2, 3\)",
        ),
        (
            {"narrow": lambda: nn.Linear(9, 3), "width_ratio": 0.5},
            "narrow: the network can't evaluate inputs of shape",
        ),
        (
            {"narrow": lambda: nn.LSTM(FEATURES, 3), "width_ratio": 0.5},
            "narrow: the network's output is tuple",
        ),
    ],
)
def test_settings(settings, match):
    refused(problem(), match, **settings)


def test_no_problem():
    with pytest.raises(InputError, match=r"quantify got a Sequential, needs a thalweg\.Problem"):
        quantify(model(), numbers(20))


class Branching(nn.Module):
    """Its flow depends on numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = model()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(-x if float(x.sum()) > 1e9 else x)


class Named(nn.Module):
    """Its code names a number of channels, and its graph can't be read."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(FEATURES, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.head(x.view(-1, 12) if bool(x.sum() < 1e9) else x)


class Spectrum(nn.Module):
    """All of its channels meet in an operation that is not understood."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(FEATURES, 12), nn.Linear(7, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.fft.rfft(self.first(x)).abs())


@pytest.mark.parametrize("network", [Named, Spectrum])
def test_a_network_that_can_t_be_narrowed_is_told_the_ways_out(network):
    given = problem(model=network)
    with pytest.raises(InputError) as caught:
        quantify(given, numbers(20))
    text = str(caught.value)
    assert all(
        part in text
        for part in ("narrow=", "width_ratio=", "anchors=2", "DeepEnsemble", "Neighbours")
    )
    assert "packed-ensemble" not in text and "\n" not in text and given.cost.backward_examples == 0


def quietly(given: Problem, inputs, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantify(given, inputs, draws=5, emulator=Forest(trees=10), **settings)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_numpy_arrays_are_inputs(kind):
    asked, known = numbers(20, "asked"), numbers(400)
    expected = quietly(problem(), asked)
    assert torch.equal(
        quietly(problem(), asked.numpy().astype(kind)).predictions.log_probs,
        expected.predictions.log_probs,
    )
    try:
        given = problem(unlabelled=known.numpy().astype(kind))
    except InputError:
        return
    assert torch.equal(quietly(given, asked).predictions.log_probs, expected.predictions.log_probs)


def test_one_input_is_enough_to_ask_about():
    found = quietly(problem(), numbers(1, "asked"))
    assert found.predictions.u().shape == (1,) and float(found.predictions.u()) > 0


def test_few_unlabelled_inputs_are_warned_of():
    with pytest.warns(UserWarning, match="got 100 unlabelled inputs.*rough below 300"):
        quantify(problem(unlabelled=numbers(100)), numbers(20), draws=5)


def test_what_was_trained_is_kept_when_a_later_step_fails(monkeypatch):
    """Nobody can know that outputs overflow before the last input was evaluated."""
    given = problem()
    far = numbers(20, "asked")
    far[-1] = 3e38
    with pytest.raises(InputError, match=r"nothing is lost: all 3 networks are kept"):
        quantify(given, far, budget=1.2)
    assert given.has(0) and all(
        own.has(k)
        for own in given.narrowed.values()
        if own.cost.backward_examples
        for k in range(2)
    )

    def never(*arguments, **settings):
        raise AssertionError("trained again")

    monkeypatch.setattr("thalweg.training.problem.train", never)
    found = quietly(given, numbers(20, "asked"), budget=1.2)
    again = quietly(given, numbers(30, "others"), budget=1.2)
    monkeypatch.undo()
    fresh = quietly(problem(), numbers(20, "asked"), budget=1.2)
    assert torch.equal(found.predictions.log_probs, fresh.predictions.log_probs)
    assert again.cost.trainings == pytest.approx(fresh.cost.trainings), "a result's cost is its own"
    assert given.cost.trainings >= found.cost.trainings


def test_a_user_s_own_narrow_networks_are_kept_too(monkeypatch):
    def narrow() -> nn.Module:
        return model(8)

    given = problem(model=Branching)
    quietly(given, numbers(20), narrow=narrow, width_ratio=0.5, budget=1.5)
    monkeypatch.setattr("thalweg.training.problem.train", None)
    quietly(given, numbers(30), narrow=narrow, width_ratio=0.5, budget=1.5)
    unhashable = make_dataclass("Narrow", [], namespace={"__call__": lambda self: model(8)})()
    assert narrow_problem(given, 0.5, unhashable) is narrow_problem(given, 0.5, unhashable)
    other = problem(model=Branching)
    assert narrow_problem(given, 0.5, narrow) is not narrow_problem(other, 0.5, narrow)
    assert narrow_problem(given, 0.5, narrow) is not narrow_problem(given, 0.5, lambda: model(8))


class Real(nn.Module):
    """Notes on which devices it is evaluated with a backward pass."""

    seen: list[str] = []  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.layers = resnet((3, 8, 8), CLASSES, depth=8, width=4)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            self.seen.append(x.device.type)
        return self.layers(x)


def test_a_network_that_is_only_considered_runs_in_no_kernel():
    x = torch.randn(20, 3, 8, 8)
    given = Problem(Real, Batches(x, torch.arange(20) % CLASSES, 10), Recipe(epochs=1))
    Real.seen.clear()
    assert flops(given) > 1e5
    assert set(Real.seen) == {"meta"}


def test_operations_by_hand_and_of_a_network_that_needs_numbers():
    """Two examples: two operations a multiplication, thrice with the backward pass, less the
    inputs' gradient.
    """
    first, last = FEATURES * 16, 16 * CLASSES
    expected = 2 * 2 * (2 * first + 3 * last)
    assert flops(problem()) == expected
    assert flops(problem(model=Branching)) == expected


def test_a_network_without_counted_operations_weighs_its_parameters():
    class Scales(nn.Module):
        def __init__(self, width: int = CLASSES) -> None:
            super().__init__()
            self.scales = nn.Parameter(torch.rand(width))

        def forward(self, x: Tensor) -> Tensor:
            return x[:, :CLASSES] * self.scales[:CLASSES]

    assert flops(problem(model=Scales)) == CLASSES


def test_predictions_are_those_of_the_loader():
    """A loader of pairs and the tensor that it holds are the same inputs."""
    asked = numbers(100, "asked")
    one, two = (quietly(problem(), inputs).predictions for inputs in (asked, loader(asked)))
    assert torch.equal(one.u(), two.u())
    given = problem()
    assert torch.equal(
        predict(given, given.anchor(0), asked).log_probs,
        predict(given, given.anchor(0), loader(asked)).log_probs,
    )


@pytest.mark.parametrize("width", [16, 24])
def test_a_narrow_network_that_is_as_large_as_the_whole_one_is_refused(width, monkeypatch):
    monkeypatch.setattr("thalweg.training.problem.train", None)  # nothing is trained
    with pytest.raises(
        InputError, match=r"narrow\(\) makes a network whose training costs .* of a whole one"
    ):
        quantify(problem(), numbers(20), narrow=lambda: model(width), width_ratio=0.5, budget=1.5)
