"""What every registered baseline must fulfil, with its defaults.

A new one needs no new test here.
"""

import ast
import dataclasses
import inspect

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import cases
import contract
from thalweg.baselines.base import Baseline, baselines, find_baseline
from thalweg.errors import InputError
from thalweg.explorers.base import explorers
from thalweg.graph import narrowing
from thalweg.graph.watching import watched_work
from thalweg.models.resnet import resnet
from thalweg.narrow import training as narrow_training
from thalweg.narrow.flops import flops
from thalweg.predicting import predict
from thalweg.training.problem import Problem
from thalweg.weights.distribution import load, save

ALL = list(baselines())
NETWORKS = {
    "mlp": cases.no_norm,
    "cnn": cases.conv_batchnorm,
    "resnet": lambda: resnet((1, 6, 6), cases.CLASSES, depth=8, width=4),
    "groupnorm": cases.groupnorm,
    "tied": cases.Tied,
    "frozen": cases.frozen,
}


def problem(network: str, loader: str = "batches", **settings) -> Problem:
    return Problem(NETWORKS[network], cases.LOADERS[loader](), cases.RECIPE, **settings)


def check(name: str, network: str, loader: str, tmp_path) -> None:
    given = problem(network, loader)
    x, y = cases.held_out()
    before = contract.states()
    predicting, found = baselines()[name]().train(given)
    cost = given.cost
    predictions = predict(predicting, found, x)
    contract.assert_states(before)

    drawn = list(found.draw(found.size, seed=0))
    contract.check_points(predicting, drawn)
    assert float((predictions.mean().argmax(-1) == y).double().mean()) > 0.8, "it did not learn"
    # probabilities of a network that is sure of everything can be the same to five digits
    assert predictions.members == found.size and (predictions.log_probs.std(0) > 1e-4).any(), (
        "its members are all the same"
    )
    assert (
        cost.trainings > 0
        and cost.seconds > 0
        and given.cost.backward_examples == cost.backward_examples
    )

    save(found, tmp_path / "found.safetensors")
    contract.assert_same(drawn, list(load(tmp_path / "found.safetensors").draw(found.size, seed=0)))
    _, again = baselines()[name]().train(problem(network, loader))
    contract.assert_same(drawn, list(again.draw(found.size, seed=0)))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", ALL)
def test_contract_on_networks(name, network, tmp_path):
    check(name, network, "batches", tmp_path)


@pytest.mark.parametrize("loader", [name for name in cases.LOADERS if name != "batches"])
@pytest.mark.parametrize("name", ALL)
def test_contract_on_loaders(name, loader, tmp_path):
    check(name, "cnn", loader, tmp_path)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", ALL)
def test_counted_cost_equals_measured_flops(name, network, monkeypatch):
    """In trainings of the network that was given, whichever network was trained in its place.

    Less the few examples on which it is measured what a network costs, and the two on which its
    channels are watched, each time that one is narrowed.
    """
    looking = []

    def watched(*given, **named):
        with FlopCounterMode(display=False) as look:
            found = watched_work(*given, **named)
        looking.append(look.get_total_flops())
        return found

    monkeypatch.setattr(narrowing, "watched_work", watched)

    def counted(problem):
        looking.append(flops(problem))
        return looking[-1]

    for module in (inspect.getmodule(baselines()[name]), narrow_training):
        monkeypatch.setattr(module, "flops", counted, raising=False)
    given = problem(network)
    _, both = contract.flops_of_one(given)
    with FlopCounterMode(display=False) as training:
        baselines()[name]().train(given)
    assert training.get_total_flops() - sum(looking) == pytest.approx(
        given.cost.backward_examples * both, rel=0.02
    )


@pytest.mark.parametrize("name", ALL)
def test_another_seed_is_another_run(name):
    first, second = (
        next(baselines()[name]().train(problem("cnn", seed=seed))[1].draw(1, seed=0))
        for seed in (0, 1)
    )
    assert all(not torch.equal(p, second.params[key]) for key, p in first.params.items())


@pytest.mark.parametrize("name", ALL)
def test_it_is_a_documented_frozen_dataclass_and_no_explorer(name):
    cls = baselines()[name]
    assert (
        dataclasses.is_dataclass(cls)
        and cls.__dataclass_params__.frozen
        and cls() == cls()
        and isinstance(cls(), Baseline)
    )
    source = ast.get_docstring(ast.parse(inspect.getsource(inspect.getmodule(cls)))) or ""
    assert "arXiv" in source and name not in explorers()
    assert "explores nothing" in " ".join(source.split())
    assert all(f"{field.name}:" in (cls.__doc__ or "") for field in dataclasses.fields(cls))


def test_names():
    assert {"batch-ensemble", "packed-ensemble"} <= set(ALL)
    with pytest.raises(InputError, match="did you mean 'packed-ensemble'"):
        find_baseline("packed-ensembles")
