"""Networks that deepcopy refuses, because a tensor has a history (old weight norm, pruning), work
everywhere.
"""

import copy
import threading

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import vectors
from thalweg.errors import InputError
from thalweg.explorers.base import explorers
from thalweg.graph.alignment import permuted
from thalweg.graph.narrowing import narrowed
from thalweg.predicting import predict
from thalweg.training.anchors import train_anchors
from thalweg.training.execution import Execution
from thalweg.training.stack import Stack
from thalweg.weights.copying import copied
from thalweg.weights.point import Weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated"),
    pytest.mark.filterwarnings(
        "ignore:There is a performance drop"
    ),  # of old weight norm in a stack
]


def old_weight_norm() -> nn.Module:
    return nn.Sequential(
        nn.utils.weight_norm(nn.Linear(6, 8)), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)
    )


def pruned() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    prune.l1_unstructured(network[0], "weight", 0.3)
    prune.random_unstructured(network[3], "bias", 0.3)
    return network


class Keeps(nn.Module):
    """It keeps what it computed last: in an attribute, a list and a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.hidden, self.all, self.named = (
            self.first.weight * 2,
            [self.first.weight + 1],
            {"a": ({"b": self.first.weight + 1},)},
        )

    def forward(self, x):
        self.hidden = self.norm(self.first(x)).relu()
        self.all, self.named = [self.hidden], {"a": ({"b": self.hidden},)}
        return self.last(self.hidden)


NETWORKS = {"old weight norm": old_weight_norm, "pruned": pruned, "keeps": Keeps}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "explorer",
    [
        "swa",
        "swag",
        "spro",
        "espro",
        "learned-line",
        "connecting-curve",
        "subspace-inference",
        "multiswag",
    ],
)
def test_explorers_of_new_points_work(explorer, name):
    problem = vectors.problem(NETWORKS[name], epochs=4)
    predictions = predict(problem, explorers()[explorer]().explore(problem), vectors.X, draws=2)
    assert torch.isfinite(predictions.log_probs).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_copy_is_the_same_network_and_stands_alone(name):
    network = NETWORKS[name]()
    network(vectors.X)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(network)
    twin = copied(network)
    assert torch.equal(twin.eval()(vectors.X), network.eval()(vectors.X))
    own = {p.data_ptr() for p in [*network.parameters(), *network.buffers()]}
    assert not own & {p.data_ptr() for p in [*twin.parameters(), *twin.buffers()]}
    twin(vectors.X).sum().backward()
    assert all(p.grad is None for p in network.parameters()) and any(
        p.grad is not None for p in twin.parameters()
    )


def test_an_ordinary_copy_is_that_of_deepcopy():
    network = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    network[1].extra = network[0].weight  # shared
    twin = copied(network)
    assert twin[1].extra is twin[0].weight and twin[0].weight is not network[0].weight


@pytest.mark.parametrize("name", ["old weight norm", "keeps"])
def test_a_stack_trains_as_one_after_the_other(name):
    together = train_anchors(
        vectors.problem(NETWORKS[name], epochs=2, execution=Execution(stack=2)), 2
    )
    alone = [vectors.problem(NETWORKS[name], epochs=2).anchor(k) for k in range(2)]
    for first, second in zip(together, alone, strict=True):
        assert all(
            torch.allclose(first.params[key], p, rtol=0, atol=1e-5)
            for key, p in second.params.items()
        )


def test_a_stack_of_pruned_networks():
    """Each with the weights that were pruned in it."""
    networks = [pruned() for _ in range(2)]
    outputs = Stack(networks).eval()(torch.stack([vectors.X, vectors.X]))
    for network, found in zip(networks, outputs, strict=True):
        assert torch.allclose(found, network.eval()(vectors.X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_needs_the_graph_works_or_says_so_in_one_line(name):
    network = NETWORKS[name]()
    weights = Weights.of(network)
    for ask in (lambda: narrowed(network, 0.5, vectors.X), lambda: permuted(network, weights, 0)):
        try:
            ask()
        except InputError as error:
            assert "\n" not in str(error)


def test_parametrised_networks_can_be_copied_too():
    network = nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 8)), nn.Linear(8, 3))
    assert torch.equal(copied(network)(vectors.X), network(vectors.X))


def test_what_can_t_be_copied_is_one_line():
    class Locked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.lock = nn.Linear(6, 3), threading.Lock()

        def forward(self, x):
            with self.lock:
                return self.layer(x)

    vectors.problem(Locked).anchor(0)
    with pytest.raises(
        InputError, match=r"can't be copied \(cannot pickle '_thread.lock' object\)"
    ):
        train_anchors(vectors.problem(Locked, execution=Execution(stack=2)), 2)
    with pytest.raises(InputError, match=r"can't be copied"):
        narrowed(Locked(), 0.5, vectors.X)
