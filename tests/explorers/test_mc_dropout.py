"""MC dropout: trained as with torch's own layers in the same places, or a finished network with
layers of its own.
"""

import tomllib

import pytest
import torch
from torch import nn

import cases
import tiny
from thalweg.errors import InputError
from thalweg.explorers.mc_dropout import MCDropout
from thalweg.predicting import predict
from thalweg.weights.point import Weights


def test_it_trains_as_with_torchs_layers_in_the_same_places():
    def own() -> nn.Module:
        flat, first, activation, head = cases.no_norm()
        return nn.Sequential(flat, first, activation, nn.Dropout(0.2), head)

    found = MCDropout(rate=0.2).explore(cases.problem())
    problem = cases.problem(model=own)
    network = problem.build("mc-dropout")
    problem.fit(network, problem.recipe, "mc-dropout")
    twin = Weights.of(network).params
    assert all(
        torch.equal(a, b) for a, b in zip(found.mean.params.values(), twin.values(), strict=True)
    )


def test_an_anchor_with_dropout_of_its_own():
    problem = cases.problem("conv-batchnorm")
    explorer = MCDropout(rate="own")
    found = explorer.explore(problem)
    assert explorer.anchors == 1 and problem.cost.trainings == explorer.trainings == 1.0
    assert found.mean is problem.anchor(0) and found.rate is None
    predictions = predict(problem, found, cases.held_out()[0], draws=4)
    assert (predictions.std().amax(-1) > 0).all()


def test_a_network_without_dropout_says_so_before_it_trains():
    problem = cases.problem("no-norm")
    with pytest.raises(
        InputError, match=r"has no dropout layer.* give a rate, and dropout is inserted"
    ) as caught:
        MCDropout(rate="own").explore(problem)
    assert problem.cost.trainings == 0 and "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_rates_that_make_no_sense(rate):
    with pytest.raises(InputError, match=rf"mc-dropout.rate got {rate}, needs 0 to 0.99"):
        MCDropout(rate=rate)


@pytest.mark.parametrize(("rate", "given"), [("None", "got 'None'"), (None, "got None")])
def test_other_words_for_a_rate(rate, given):
    with pytest.raises(InputError, match=rf"mc-dropout.rate {given}, needs"):
        MCDropout(rate=rate)


def test_a_plan_can_ask_for_the_networks_own_dropout():
    (row,) = tiny.plan(
        methods=tomllib.loads('[[methods]]\nexplorer = "mc-dropout"\nrate = "own"')["methods"]
    ).methods
    assert row.method.explorer == MCDropout(rate="own")
