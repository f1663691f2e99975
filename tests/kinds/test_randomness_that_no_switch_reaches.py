"""Randomness without a switch: MC dropout with a network's own dropout drops whatever draws in
training, or refuses.
"""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import vectors
from thalweg.errors import InputError
from thalweg.explorers.mc_dropout import MCDropout
from thalweg.landscape.loss import losses
from thalweg.predicting import predict
from thalweg.weights.masks import Masks, active


class Form(nn.Module):
    """A hidden layer, and then something random."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)

    def forward(self, x):
        return self.last(self.drop(self.norm(self.first(x)).relu()))


class Functional(Form):
    def drop(self, x):
        return functional.dropout(x, 0.3, self.training)


class Beside(Form):
    """A functional one beside a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Dropout(0.05)

    def drop(self, x):
        return functional.dropout(self.layer(x), 0.4, training=self.training)


class Channels(Form):
    def drop(self, x):
        return functional.dropout2d(x.reshape(-1, 4, 2, 2), 0.3, self.training).flatten(1)


class Bernoulli(Form):
    """Dropout by hand."""

    def drop(self, x):
        return x * torch.bernoulli(torch.full_like(x, 0.7)) / 0.7 if self.training else x


class Depth(Form):
    """Stochastic depth, by input, in a method of its own."""

    def drop(self, x):
        if not self.training:
            return x
        return x * (torch.rand(len(x), 1) < 0.7) / 0.7


class Noise(Form):
    def drop(self, x):
        return x + 0.3 * torch.randn_like(x) if self.training else x


class Child(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.3, self.training)


class Block(Form):
    """In a layer of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = Child()


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells, self.last = nn.LSTM(1, 8, 2, dropout=0.4, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.cells(x[..., None])[0][:, -1])


class Attention(nn.Module):
    """Dropout of attention, with and without its weights."""

    def __init__(self, *, weights: bool) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(1, 8), nn.Linear(8, 3)
        self.attention = nn.MultiheadAttention(8, 2, 0.4, batch_first=True)
        self.weights = weights

    def forward(self, x):
        x = self.first(x[..., None])
        return self.last(self.attention(x, x, x, need_weights=self.weights)[0].mean(1))


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.3, batch_first=True)
        self.first, self.last = nn.Linear(1, 8), nn.Linear(8, 3)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x):
        return self.last(self.layers(self.first(x[..., None])).mean(1))


DROPPING = {
    "functional": Functional,
    "beside": Beside,
    "channels": Channels,
    "bernoulli": Bernoulli,
    "depth": Depth,
    "noise": Noise,
    "block": Block,
    "lstm": Lstm,
    "transformer": Transformer,
    "attention": lambda: Attention(weights=False),
    "attention with weights": lambda: Attention(weights=True),
}


def in_training(network: nn.Module, x: torch.Tensor, draws: int) -> torch.Tensor:
    """Probabilities `[draws, inputs, classes]` of a network in training mode, but for its norm
    layers.
    """
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        return torch.stack([network(x).softmax(-1) for _ in range(draws)])


@pytest.mark.parametrize("name", DROPPING)
def test_it_drops_as_much_as_in_training(name):
    problem = vectors.problem(DROPPING[name])
    found = MCDropout(rate="own").explore(problem)
    x = vectors.X[:40]
    predictions = predict(problem, found, x, draws=200)
    expected = in_training(problem.network(problem.anchor(0)), x, 200)
    assert (predictions.u() > 0).all()
    assert float(
        predictions.u().mean() / expected.std(0).square().sum(-1).sqrt().mean()
    ) == pytest.approx(1, abs=0.05)
    assert float((predictions.mean() - expected.mean(0)).abs().max()) < 0.06
    again = predict(problem, found, x, draws=3)
    assert torch.equal(again.log_probs, predictions.log_probs[:3]), "the same seed drops the same"


@pytest.mark.parametrize("name", ["functional", "lstm"])
def test_losses_drop_too(name):
    problem = vectors.problem(DROPPING[name], epochs=2)
    found = MCDropout(rate="own").explore(problem)
    values = losses(problem, list(found.draw(5, seed=0)))
    assert values.std() > 0


@pytest.mark.parametrize("name", ["functional", "transformer"])
def test_without_masks_nothing_drops(name):
    problem = vectors.problem(DROPPING[name], epochs=2)
    weights = problem.anchor(0)
    network = problem.network(weights).eval()
    expected = network(vectors.X).log_softmax(-1)
    assert torch.allclose(
        predict(problem, weights, vectors.X).log_probs[0], expected, rtol=0, atol=1e-5
    )


class Always(Form):
    """It drops in evaluation mode, too: the default of torch's function."""

    def drop(self, x):
        return functional.dropout(x, 0.3)


class Both(Always):
    """And a layer that doesn't."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Dropout(0.3)

    def drop(self, x):
        return super().drop(self.layer(x))


@pytest.mark.parametrize("model", [Always, Both])
def test_what_always_drops_gives_the_same_predictions_twice(model):
    problem = vectors.problem(model, epochs=2)
    weights = problem.anchor(0)
    first, second = (predict(problem, weights, vectors.X).log_probs for _ in range(2))
    assert torch.equal(first, second)
    assert problem.behaviour.always_random == ("",)
    found = MCDropout(rate="own").explore(problem)
    assert (predict(problem, found, vectors.X, draws=10).u() > 0).all()


class Tuple(Functional):
    """Two outputs, once it is in training mode alone."""

    def forward(self, x):
        outputs = super().forward(x)
        return (outputs, outputs) if self.training and not self.norm.training else outputs


class Statistics(Functional):
    """Running statistics in the same forward."""

    def __init__(self, *settings) -> None:
        super().__init__(*settings)
        self.norm.requires_grad_(False)  # only its statistics are used

    def forward(self, x):
        x = functional.batch_norm(
            self.first(x), self.norm.running_mean, self.norm.running_var, training=self.training
        )
        return self.last(self.drop(x))


class Parent(Block):
    """It tells its layer when to drop, and that does not ask its own mode."""

    def forward(self, x):
        self.drop.training = self.training and self.last.training
        return super().forward(x)


class Python(Form):
    """Random numbers of Python, which are not torch's."""

    def drop(self, x):
        return x * float(random.random() < 0.7) if self.training else x


class Numpy(Form):
    def drop(self, x):
        return x * torch.from_numpy(np.random.rand(*x.shape) < 0.7) if self.training else x  # noqa: NPY002


@pytest.mark.filterwarnings("ignore:'norm.weight' and 1 other parameters get no gradient")
@pytest.mark.parametrize(
    ("model", "named"),
    [(Tuple, "its own forward"), (Statistics, "its own forward"), (Parent, "'drop'")],
)
def test_what_can_not_be_switched_alone_is_refused_by_name(model, named):
    problem = vectors.problem(model, epochs=2)
    with pytest.raises(InputError, match=f"draws random numbers in {named}") as caught:
        MCDropout(rate="own").explore(problem)
    assert (
        problem.cost.trainings == 0
        and "give a rate" in str(caught.value)
        and "\n" not in str(caught.value)
    )
    MCDropout(rate=0.1).explore(problem)


@pytest.mark.parametrize("model", [Python, Numpy])
def test_random_numbers_of_others_are_seen(model):
    problem = vectors.problem(model, epochs=2)
    assert problem.behaviour.random == ("",)
    found = MCDropout(rate="own").explore(problem)
    first, second = (predict(problem, found, vectors.X, draws=10) for _ in range(2))
    assert (first.u() > 0).all() and torch.equal(first.log_probs, second.log_probs)


@pytest.mark.parametrize(
    "model", [lambda: nn.Linear(6, 3), lambda: nn.Sequential(nn.Dropout(0.0), nn.Linear(6, 3))]
)
def test_where_nothing_drops_it_says_so(model):
    problem = vectors.problem(model)
    with pytest.raises(InputError, match="has no dropout layer"):
        MCDropout(rate="own").explore(problem)
    assert problem.cost.trainings == 0


def test_modes_come_back():
    network = Beside().eval()
    with active(network, Masks(0), 0, vectors.behaviour(network)):
        assert [name for name, module in network.named_modules() if module.training] == [
            "",
            "layer",
        ]
    assert not any(module.training for module in network.modules())
