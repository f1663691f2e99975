"""Outputs that are probabilities already: an error says so, and a second softmax is never taken."""

import pytest
import torch
from torch import nn

import thalweg
from small import X, Y, problem
from thalweg.errors import InputError


class Functional(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.layer, self.last = nn.Linear(6, 3), last

    def forward(self, x):
        return self.last(self.layer(x))


class InEvaluation(Functional):
    """Gives logits to the loss and something else to whoever predicts, as many networks do."""

    def forward(self, x):
        z = self.layer(x)
        return z if self.training else self.last(z)


ENDS = {
    "a softmax in evaluation mode only": lambda: InEvaluation(lambda z: z.softmax(1)),
    "a sigmoid in evaluation mode only": lambda: InEvaluation(torch.sigmoid),
    "a sigmoid that is clamped": lambda: Functional(lambda z: z.sigmoid().clamp(1e-6, 1 - 1e-6)),
    "a hard sigmoid": lambda: Functional(nn.functional.hardsigmoid),
    "a softmax layer": lambda: nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)),
    "a softmax function": lambda: Functional(lambda z: z.softmax(-1)),
    "a softmax that is clamped": lambda: Functional(lambda z: z.softmax(-1).clamp(1e-6, 1)),
    "numbers divided by their sum": lambda: Functional(
        lambda z: z.exp() / z.exp().sum(1, keepdim=True)
    ),
    "a mixture of softmaxes": lambda: Functional(
        lambda z: 0.5 * z.softmax(1) + 0.5 * (z * 2).softmax(1)
    ),
    "a sigmoid layer": lambda: nn.Sequential(nn.Linear(6, 3), nn.Sigmoid()),
    "a sigmoid function": lambda: Functional(torch.sigmoid),
    "a softmax, seen through a view": lambda: Functional(lambda z: z.softmax(-1).view(-1, 3)),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_network_that_ends_so_is_refused(end):
    with pytest.raises(InputError, match=r"needs logits") as caught:
        problem(ENDS[end])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "end",
    [
        lambda: nn.Sequential(nn.Linear(6, 3), nn.LogSoftmax(1)),
        lambda: Functional(lambda z: z.log_softmax(-1)),
        lambda: nn.Sequential(nn.Linear(6, 3), nn.ReLU()),
        lambda: Functional(lambda z: 10 * torch.tanh(z)),
        lambda: InEvaluation(lambda z: z.log_softmax(1)),
        lambda: Functional(lambda z: z.clamp(-5, 5)),
    ],
)
def test_logits_and_log_probabilities_are_not(end):
    found = problem(end)
    network = found.network(found.anchor(0)).eval()
    with torch.no_grad():
        expected = torch.softmax(network(X), 1)
    assert torch.allclose(
        thalweg.predict(found, found.anchor(0), X).probs()[0], expected, atol=1e-6
    )


def test_a_last_layer_of_zeros_is_no_probability():
    def model():
        network = nn.Linear(6, 3)
        nn.init.zeros_(network.weight)
        nn.init.zeros_(network.bias)
        return network

    found = problem(model, sources=("order",))
    assert (
        float((thalweg.predict(found, found.anchor(0), X).mean().argmax(1) == Y).double().mean())
        > 0.8
    )
