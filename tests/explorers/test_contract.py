"""Every registered explorer, with its defaults, on every kind of network and loader.

A new explorer needs no new test here.
"""

from functools import partial

import pytest
import torch

import cases
import contract
from thalweg.explorers.base import explorers
from thalweg.predicting import predict
from thalweg.weights.point import Weights

ALL = list(explorers())


@pytest.mark.parametrize("network", cases.NETWORKS)
@pytest.mark.parametrize("name", ALL)
def test_contract_on_networks(name, network, tmp_path):
    contract.check(explorers()[name], partial(cases.problem, network), tmp_path)


@pytest.mark.parametrize("loader", [name for name in cases.LOADERS if name != "batches"])
@pytest.mark.parametrize("name", ALL)
def test_contract_on_loaders(name, loader, tmp_path):
    contract.check(explorers()[name], partial(cases.problem, "conv-batchnorm", loader), tmp_path)


@pytest.mark.parametrize("name", ALL)
def test_it_is_a_documented_frozen_dataclass(name):
    contract.check_class(explorers()[name])


# an emulator's own products are no evaluations; tests of those that look with one count these
@pytest.mark.parametrize("network", ["conv-batchnorm", "no-norm"])
@pytest.mark.parametrize("name", [name for name in ALL if not explorers()[name].looks])
def test_counted_cost_equals_measured_flops(name, network):
    contract.check_flops(explorers()[name], cases.problem(network))


@pytest.mark.parametrize("name", ALL)
def test_another_seed_is_another_exploration(name):
    first, second = (explorers()[name]().explore(cases.problem(seed=seed)) for seed in (0, 1))
    a, b = next(first.draw(1, seed=0)), next(second.draw(1, seed=0))
    assert all(not torch.equal(a.params[key], b.params[key]) for key in a.params)


@pytest.mark.parametrize("name", ALL)
def test_frozen_parameters_stay(name):
    """Those of an initialisation: one an anchor or, without anchors, one in all; mixing equal
    numbers may round.
    """
    explorer = explorers()[name]()
    trained = (
        explorer.members if name in ("short-ensemble", "multiswag") else max(1, explorer.anchors)
    )  # scratch, each its own
    found = explorer.explore(cases.problem("frozen"))
    distinct = {
        round(float(w.params["0.weight"].sum()), 4) for w in found.draw(found.size or 6, seed=0)
    }
    assert len(distinct) <= trained, "parameters that don't require gradients were changed or mixed"


@pytest.mark.parametrize("name", ALL)
def test_draws_use_the_buffers_of_their_anchor(name):
    """Random features are made with a network: a draw with those of another network would be worse
    than chance.
    """
    problem = cases.problem("buffers-batchnorm")
    found = explorers()[name]().explore(problem)
    fresh = problem.build("network").frequencies
    for weights in found.draw(found.size or 6, seed=0):
        own = (weights.stale if weights.buffers is None else weights.buffers)["frequencies"]
        assert not torch.equal(own, fresh)


@pytest.mark.parametrize("kind", ["state_dict", "weights"])
@pytest.mark.parametrize("name", [name for name in ALL if explorers()[name]().anchors])
def test_a_users_own_trained_network_is_the_first_anchor(name, kind):
    torch.manual_seed(7)
    mine = cases.conv_batchnorm()
    mine.load_state_dict(
        cases.problem("conv-batchnorm", seed=9)
        .network(cases.problem("conv-batchnorm", seed=9).anchor(0))
        .state_dict()
    )
    kept = {key: value.clone() for key, value in mine.state_dict().items()}
    problem = cases.problem(
        "conv-batchnorm",
        networks=mine.state_dict() if kind == "state_dict" else Weights.of(mine),
    )
    explorer = explorers()[name]()
    found = explorer.explore(problem)
    contract.check_trainings(explorer, problem)
    anchor = problem.anchor(0)
    assert all(
        torch.equal({**anchor.params, **anchor.buffers}[key], value) for key, value in kept.items()
    )
    predict(problem, found, cases.held_out()[0], draws=3)
    assert all(torch.equal(mine.state_dict()[key], value) for key, value in kept.items()), (
        "the user's module moved"
    )
