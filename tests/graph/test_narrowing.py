"""Narrower networks: those that their authors would have made, found without them."""

import copy
import math
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional
from written import CLASSES, NETWORKS, OWN, SHAPE, lived_in

from thalweg.errors import InputError
from thalweg.graph.narrowing import narrowed
from thalweg.graph.symmetry import symmetries
from thalweg.models.cnn import cnn
from thalweg.models.mlp import mlp
from thalweg.models.resnet import resnet
from thalweg.models.resnet9 import resnet9
from thalweg.weights.point import Weights

ALL = list(NETWORKS)


def inputs() -> torch.Tensor:
    return torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ALL)
def test_the_whole_share_is_the_same_network(name):
    network = lived_in(NETWORKS[name]())
    same = narrowed(network, 1.0, inputs())
    for module in (network, same):
        module.eval()
    assert torch.equal(same(inputs()), network(inputs()))
    assert not {id(p) for p in network.parameters()} & {id(p) for p in same.parameters()}


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (lambda: mlp(SHAPE, CLASSES, hidden=(10, 7)), lambda: mlp(SHAPE, CLASSES, hidden=(5, 4))),
        (lambda: cnn(SHAPE, CLASSES, widths=(6, 9)), lambda: cnn(SHAPE, CLASSES, widths=(3, 5))),
        (
            lambda: cnn(SHAPE, CLASSES, widths=(16, 24), norm="group"),
            lambda: cnn(SHAPE, CLASSES, widths=(8, 12), norm="group"),
        ),
        (lambda: resnet(SHAPE, CLASSES, width=8), lambda: resnet(SHAPE, CLASSES, width=4)),
        (
            lambda: resnet(SHAPE, CLASSES, depth=8, width=32, norm="group"),
            lambda: resnet(SHAPE, CLASSES, depth=8, width=16, norm="group"),
        ),
        (lambda: resnet9(SHAPE, CLASSES, width=6), lambda: resnet9(SHAPE, CLASSES, width=3)),
    ],
)
def test_half_a_network_is_the_author_s_network_of_half_the_width(wide, narrow):
    """The same shapes, and with the same weights the same function."""
    found, expected = narrowed(lived_in(wide()), 0.5, inputs()), narrow()
    assert [p.shape for p in found.parameters()] == [p.shape for p in expected.parameters()]
    expected.load_state_dict(
        dict(zip(expected.state_dict(), found.state_dict().values(), strict=True))
    )
    for mode in (True, False):
        assert torch.equal(found.train(mode)(inputs()), expected.train(mode)(inputs()))


@pytest.mark.parametrize("share", [0.5, 0.3, 0.01])
@pytest.mark.parametrize("name", ALL)
def test_every_width_is_the_share_of_it(name, share):
    network = NETWORKS[name]()
    found = narrowed(network, share, inputs())
    wide, narrow = ([group for group in symmetries(n)] for n in (network, found))
    assert found.train()(inputs()).shape == found.eval()(inputs()).shape == (5, CLASSES)
    if "group" not in name:
        expected = [max(1, math.floor(group.channels * share + 0.5)) for group in wide]
        assert [group.channels for group in narrow] == [count for count in expected if count > 1]
    shapes = [p.shape for p in found.parameters()]
    assert sum(s.numel() for s in shapes) < sum(p.numel() for p in network.parameters())
    assert all(
        (value >= 0).all() for key, value in found.state_dict().items() if "running_var" in key
    )


@pytest.mark.parametrize("name", [name for name in ALL if name != "residual"])
def test_it_is_a_network_like_any_other(name):
    """It can be copied, stored by its weights, and trained: all parameters get a gradient. (Those
    with additions in place can't be trained, narrow or not.)
    """
    found = narrowed(NETWORKS[name](), 0.5, inputs()).train()
    twin = copy.deepcopy(found).eval()
    Weights.of(found).load_into(twin)
    functional.cross_entropy(found(inputs()), torch.tensor([0, 1, 2, 0, 1])).backward()
    assert all(p.grad is not None for p in found.parameters())
    assert len(Weights.of(found).params) == len(list(NETWORKS[name]().parameters()))


def test_weights_follow_the_author_s_initialisation():
    """Standard deviations of a new, narrow network are those of one that was made narrow."""
    torch.manual_seed(0)
    found = narrowed(
        nn.Sequential(
            nn.Linear(50, 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 30)
        ),
        0.25,
        torch.zeros(2, 50),
    )
    made = nn.Sequential(
        nn.Linear(50, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 30)
    )
    for one, other in zip(
        Weights.of(found).params.values(), Weights.of(made).params.values(), strict=True
    ):
        assert one.shape == other.shape and one.abs().max() <= other.abs().max() * 1.2
        assert float(one.std()) == pytest.approx(
            float(other.std()), rel=0.35 if one.dim() == 1 else 0.05
        )


def test_functional_dropout_knows_its_mode():
    network = narrowed(NETWORKS["functional"](), 0.5, inputs())
    x = inputs()
    assert torch.equal(network.eval()(x), network(x)) and not torch.equal(
        network.train()(x), network(x)
    )


def test_tied_and_frozen_parameters_stay_so():
    network = NETWORKS["tied"]()
    network.first.requires_grad_(False)
    found = narrowed(network, 0.5, inputs())
    linear = [module for module in found.modules() if isinstance(module, nn.Linear)]
    assert linear[1].weight is linear[2].weight and linear[1].bias is not linear[2].bias
    assert [p.requires_grad for p in linear[0].parameters()] == [False, False] and linear[
        1
    ].weight.requires_grad


class Does(nn.Module):
    """A network with one step of its own between its layers, which its mode may change."""

    def __init__(self, does) -> None:
        super().__init__()
        self.first, self.head, self.does = nn.Linear(4, 6), nn.Linear(6, 3), does

    def forward(self, x):
        return self.head(self.does(self, self.first(x)))


@pytest.mark.parametrize(
    "does",
    [
        lambda self, x: x.relu() if self.training else x.relu() * 2,
        lambda self, x: x.relu() if self.training else x.tanh(),
        lambda self, x: x if x.sum() > 1e9 else -x,
        lambda self, x: x * len(x),
    ],
)
def test_code_that_branches(does):
    """On its mode or its inputs; the narrow network is one of the same class, with its code."""
    found = narrowed(Does(does), 0.5, torch.ones(2, 4))
    assert found.first.weight.shape == (3, 4) and found.head.in_features == 3
    x = torch.ones(2, 4)
    for mode in (True, False):
        found.train(mode)
        assert torch.equal(found(x), found.head(does(found, found.first(x))))


@pytest.mark.parametrize(
    ("does", "message"),
    [
        (lambda self, x: torch.linalg.pinv(x).mT, "no hidden channels .* not understood"),
        (lambda self, x: torch.special.zeta(x, x).view(-1, 7), "can't be evaluated"),
        (
            lambda self, x: x.view(-1, 6) if x.sum() > -1e9 else x,
            r"can't be narrowed \(.*traced.*\): its code names",
        ),
        (
            lambda self, x: x.view(-1, 6) if self.training else x.view(-1, 6) * 2,
            "other things in training",
        ),
        (
            lambda self, x: x.view(-1, 6).relu() if self.training else x.view(-1, 6).tanh(),
            "not the same in training and in evaluation",
        ),
    ],
)
def test_what_has_no_narrow_version(does, message):
    with pytest.raises(InputError, match=message) as caught:
        narrowed(Does(does), 0.5, torch.ones(2, 4))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0, 1.5, -1, float("nan"), "half"])
def test_a_share_that_is_none(share):
    with pytest.raises(InputError, match="width_ratio got"):
        narrowed(OWN["mlp"](), share, inputs())


def test_layers_keep_their_names():
    """Those of the network itself, and a functional dropout beside them; a network that is one
    layer has nothing to narrow.
    """

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.head = nn.Sequential(nn.Linear(6, 8), nn.ReLU()), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.nn.functional.dropout(self.trunk(x), 0.5, self.training))

    names = [name for name, _ in Net().named_modules()]
    assert [
        name
        for name, _ in narrowed(Net(), 0.5, torch.zeros(2, 6)).named_modules()
        if "dropout" not in name
    ] == names
    assert narrowed(Net(), 0.5, torch.zeros(2, 6)).get_submodule("trunk.0").weight.shape == (4, 6)
    assert narrowed(nn.Linear(6, 3), 0.5, torch.zeros(2, 6))(torch.zeros(2, 6)).shape == (2, 3)


def test_a_functional_dropout_does_not_take_a_name_of_the_network_s_own():
    """Its rate, or another dropout; and layers may have names that a graph module has, too."""

    class Rate(nn.Module):
        def __init__(self, dropout: float | nn.Module) -> None:
            super().__init__()
            self.dropout, self.graph, self.code = dropout, nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = (
                self.dropout(self.graph(x))
                if isinstance(self.dropout, nn.Module)
                else self.graph(x)
            )
            return self.code(torch.nn.functional.dropout(x.view(-1, 8), 0.9, self.training))

    for own, rates in ((0.5, [0.9]), (nn.Dropout(0.1), [0.1, 0.9])):
        found = narrowed(Rate(own), 0.5, torch.zeros(2, 6))
        assert sorted(m.p for m in found.modules() if isinstance(m, nn.Dropout)) == rates
        assert found(torch.zeros(2, 6)).shape == (2, 3)


class Frozen(nn.Module):
    def __init__(self, *, named: bool) -> None:
        super().__init__()
        self.named = named
        self.body, self.norm = (
            nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8)),
            nn.BatchNorm1d(8),
        )
        self.body[1].running_mean.fill_(5.0)
        self.head = nn.Linear(8, 3)

    def train(self, mode: bool = True) -> "Frozen":
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.body(x))
        return self.head(x.view(-1, 8) if self.named else x)


@pytest.mark.parametrize("named", [False, True])
def test_layers_that_stay_in_evaluation_mode_stay_so(named):
    """As a frozen backbone's batch norm does, whose class overrides `train`; also in a copy."""

    found = copy.deepcopy(narrowed(Frozen(named=named), 0.5, torch.zeros(2, 6))).eval().train()
    found(torch.randn(20, 6))
    assert (
        not found.get_submodule("body.1").training
        and (found.get_submodule("body.1").running_mean == 5.0).all()
    )
    assert found.norm.training and (found.norm.running_mean != 0).any()
    assert not pickle.loads(pickle.dumps(found)).train().get_submodule("body.1").training
