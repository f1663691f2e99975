"""Where penultimate features are: the last linear layer, found by watching, and layers that are
named.
"""

import pytest
import torch
from torch import Tensor, nn

import cases
from thalweg.errors import InputError
from thalweg.graph.penultimate import last_linear, named_layer, watched

X, _ = cases.held_out(10)


def hooks(network: nn.Module) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()
    )


class Ends(nn.Module):
    """Two linear layers, and something that is done to the second's output."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.body, self.head, self.unused = nn.Linear(36, 3), nn.Linear(3, 3), nn.Linear(3, 3)
        self.head.bias.data.fill_(100.0)  # all outputs are positive: a ReLU gives equal ones

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.body(x.flatten(1)))
        return {
            "as it is": lambda: x,
            "twice": lambda: self.head(x),
            "scaled": lambda: x * 2,
            "in place": lambda: x.mul_(2),
            "relu": x.relu,
        }[self.how]()


@pytest.mark.parametrize(
    ("how", "times"), [("as it is", 1), ("twice", 2), ("scaled", 0), ("in place", 0), ("relu", 0)]
)
def test_the_last_linear_layer(how, times):
    network = Ends(how)
    last, used, outputs = last_linear(network, X)
    assert last is (network.head if times else None) and used == times
    assert torch.equal(outputs, network(X)) and not hooks(network)


def test_a_network_that_fails_keeps_no_hook():
    network = Ends("as it is")
    with pytest.raises(RuntimeError):
        last_linear(network, X[:, :, :5])
    assert not hooks(network)


def test_what_a_layer_takes_and_gives():
    """The batch norm's output is what it was, though a ReLU then changed it in place."""
    network = cases.conv_batchnorm().eval()
    for side, expected in (("input", network[:1]), ("output", network[:2])):
        with watched(named_layer(network, "1"), side) as features:
            network(X)
            found = features(10)
        assert torch.equal(found, expected(X).flatten(1)) and bool((found < 0).any())
    assert not hooks(network)


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(input=x.flatten(1))


def test_a_layer_that_is_called_by_the_name_of_its_argument():
    network = ByName()
    with watched(network.head, "input") as features:
        network(X)
        assert torch.equal(features(10), X.flatten(1))


def test_of_several_uses_it_is_the_last():
    network = Ends("twice")
    with watched(network.head, "input") as features:
        network(X)
        assert torch.equal(features(10), network.head(network.body(X.flatten(1))))


def test_layers_that_give_no_features():
    network = nn.Sequential(nn.Flatten(), nn.LSTM(36, 3))
    for layer, evaluated, message in (
        (Ends("as it is").unused, network, "was not used: name one that the network evaluates"),
        (
            network[1],
            network,
            "gave an output of type tuple for a batch of 10, needs a tensor with one row "
            "per input: name another",
        ),
    ):
        with watched(layer, "output") as features:
            evaluated(X)
            with pytest.raises(InputError, match=message):
                features(10)
    with watched(network[0], "output") as features:
        network(X)
        with pytest.raises(
            InputError, match=r"gave an output of shape \(10, 36\) for a batch of 9"
        ):
            features(9)


def test_names_that_are_not_there():
    assert isinstance(named_layer(cases.conv_batchnorm(), "8"), nn.Linear)
    with pytest.raises(InputError, match="unknown layer 'heat': did you mean 'head'"):
        named_layer(Ends("as it is"), "heat")
    with pytest.raises(InputError, match="unknown layer ''"):
        named_layer(nn.Linear(2, 2), "")
