"""A budget of a real problem: what is trained, what is not, and what is refused before that."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import thalweg
from thalweg import Batches, Execution, Problem, Recipe, sources
from thalweg.errors import Diverged, InputError

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()
ASKED = X[:10]
RECIPE = Recipe(epochs=2)


def noisy(x, generator):
    return x + 0.3 * torch.randn(x.shape, generator=generator)


def network(dropout=0.0):
    layers = [nn.Linear(4, 8), nn.ReLU(), *[nn.Dropout(dropout)] * (dropout > 0), nn.Linear(8, 2)]
    return nn.Sequential(*layers)


def problem(dropout=0.0, augment=None, recipe=RECIPE, size=12, **settings):
    train = Batches(X, Y, size, augment=augment)
    return Problem(lambda: network(dropout), train, recipe, **settings)


def ask(own, trainings=5, **settings):
    return thalweg.budget(own, ASKED, **{"trainings": trainings, **settings})


def test_all_that_a_retraining_draws_is_told_apart():
    own = problem(dropout=0.2, augment=noisy)
    planned = sources.plan(own, trainings=17)
    assert planned.design.factors == ("init", "order", "augmentation", "dropout")
    assert planned.trainings == 17 and planned.seconds > 0 and own.cost.trainings == 0
    found = ask(own, 17)
    assert own.cost.trainings == found.cost.trainings == 17
    assert [row.name for row in found.rows][-2:] == ["interactions", "repeat"]
    assert found.row("repeat").type == "B"  # on a CPU the same seeds give the same bits
    assert sources.plan(own, trainings=17).trainings == 0


def test_sources_that_are_held_are_the_same_to_the_last_bit():
    """Of two trainings that differ in their masks alone, the first step sees equal weights and an
    equal batch.
    """
    own = problem(dropout=0.5, augment=noisy)
    found = ask(own, sources=("dropout",), design="one-factor", trainings=3, repeats=1)
    first, second, again = found.predictions.stored
    assert torch.equal(first, again) and not torch.equal(first, second)
    other = own.designed["augmentation", "dropout", "init", "order"]
    one, two = (other.batches("anchor", k) for k in (0, 1))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(one, two, strict=True))
    pairs = zip(*(other.build("anchor", k).parameters() for k in (0, 1)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_trainings_are_shared_with_anchors_and_between_designs():
    own = problem()
    own.anchor(0), own.anchor(1)
    found = ask(own, design="crossed", repeats=0, trainings=4, sources=("init", "order"))
    # there is no augmentation, so that both anchors are corners of the square
    assert own.cost.trainings == 4 and found.cost.trainings == 4
    own = problem(sources=("init", "order"))
    networks = [own.anchor(0), own.anchor(1)]
    found = ask(own, design="crossed", repeats=0, trainings=4)
    assert own.cost.trainings == 4
    expected = torch.cat([thalweg.predict(own, weights, ASKED).stored for weights in networks])
    assert torch.equal(found.predictions.stored[[0, 3]], expected)
    ask(own, design="crossed", repeats=0, trainings=9)
    assert own.cost.trainings == 9
    ask(own, design="one-factor", repeats=0, trainings=5)
    assert own.cost.trainings == 9


def test_given_networks_are_no_part_of_a_design():
    given = network()
    own = problem(networks=given, sources=("init", "order"))
    found = ask(own, repeats=0, trainings=4)
    assert found.cost.trainings == found.cost.backward_examples / own.training_examples == 4


def test_a_folder_keeps_what_was_trained(tmp_path):
    first = ask(problem(), folder=tmp_path)
    own = problem()
    again = ask(own, folder=tmp_path)
    assert torch.equal(first.predictions.stored, again.predictions.stored)
    assert own.meter.backward_yet == 0  # in this problem nothing was trained
    with pytest.raises(InputError, match="has a cache"):
        ask(problem(cache=object(), identity="mine"), folder=tmp_path)


def test_processes_give_the_same_bits():
    one = ask(problem())
    other = ask(problem(execution=Execution(jobs=2)))
    assert torch.equal(one.predictions.stored, other.predictions.stored)


def test_the_training_set_is_drawn_anew():
    own = problem(sources=("init", "order"))
    found = ask(own, sources=("init", "data"), repeats=0, trainings=4)
    assert not torch.equal(found.predictions.stored[0], found.predictions.stored[1])
    assert own.designed["data", "init", "order"].sources == ("data", "init", "order")


@pytest.mark.parametrize(
    ("settings", "asked", "message"),
    [
        ({}, ("init", "augmentation"), "no augmentation"),
        ({}, ("init", "dropout"), "draws no masks"),
        ({"size": 60}, ("init", "order"), "one batch"),
        ({"augment": lambda x, g: x + torch.randn_like(x)}, ("init", "augmentation"), "own gener"),
        ({"augment": lambda x, g: x + 1}, ("init", "augmentation"), "same after every seed"),
        ({"dropout": 0.2, "execution": Execution(stack=2)}, ("init", "dropout"), r"stack=1"),
        ({}, ("init", "seed"), "source"),
    ],
)
def test_what_a_recipe_does_not_have_is_refused_before_training(settings, asked, message):
    own = problem(**settings)
    with pytest.raises(InputError, match=message):
        ask(own, sources=asked)
    assert own.cost.trainings == 0 and own.in_memory == 0


def test_a_loader_of_ones_own_draws_order_and_augmentation_together():
    loader = DataLoader(TensorDataset(X, Y), 12, shuffle=True)
    own = Problem(network, loader, RECIPE)
    assert sources.plan(own, trainings=5).design.factors == ("init", "order+augmentation")
    for asked, message in (
        (("init", "order"), "order.augmentation'"),
        (("init", "data"), "bootstrapped"),
        (("init", "order+augmentation", "dropout"), "no masks"),
    ):
        with pytest.raises(InputError, match=message):
            ask(own, sources=asked, trainings=11)
    found = ask(own, design="crossed")
    assert [row.name for row in found.rows][1] == "order+augmentation"
    first = found.predictions.stored
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])


def one_seed(module, seed):
    step(module, torch.Generator().manual_seed(seed))


def apart(module, order, augmentation):
    step(module, torch.Generator().manual_seed(order), torch.Generator().manual_seed(augmentation))


def deaf(module, order, augmentation):
    """Takes a seed, and does nothing with it."""
    step(module, torch.Generator().manual_seed(order))


def step(module, order, noise=None):
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for chosen in torch.randperm(len(X), generator=order).split(20):
        x = X[chosen] if noise is None else noisy(X[chosen], noise)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), Y[chosen]).backward()
        optimizer.step()


def own_training(function):
    return Problem(network, train=function, unlabelled=X)


def test_a_training_function_is_split_by_the_seeds_that_it_takes():
    found = ask(own_training(one_seed))
    assert [row.name for row in found.rows][:2] == ["init", "order+augmentation"]
    found = ask(own_training(apart), design="crossed", trainings=9)
    assert [row.name for row in found.rows][:3] == ["init", "order", "augmentation"]
    assert all(row.mean_u.value > 0 or row.share <= 0 for row in found.rows[:-1])


@pytest.mark.parametrize(
    ("function", "asked", "message", "trained"),
    [
        (one_seed, ("init", "order"), "order.augmentation'", 0),
        (one_seed, ("init", "data"), "no seed of that name", 0),
        (apart, ("init", "dropout"), "no seed of that name", 0),
        (deaf, ("init", "augmentation"), "same network with another augmentation", 2),
    ],
)
def test_what_a_training_function_can_not_split_is_refused(function, asked, message, trained):
    own = own_training(function)
    with pytest.raises(InputError, match=message):
        ask(own, sources=asked, design="crossed", trainings=10)
    assert own.in_memory == 0 and own.meter.cost.backward_examples == 60 * trained


def test_networks_alone_can_not_be_split():
    own = Problem(network, networks=network(), unlabelled=X)
    with pytest.raises(InputError, match="this trains a network"):
        ask(own, sources=("init", "order"))


def test_inputs_are_looked_at_first():
    own = problem()
    with pytest.raises(InputError, match="inputs"):
        thalweg.budget(own, torch.zeros(3, 7), trainings=5)
    with pytest.raises(InputError, match="level"):
        ask(own, level=1.0)
    assert own.in_memory == 0 and own.cost.trainings == 0


def test_a_training_that_diverges_says_at_which_levels():
    own = problem(recipe=Recipe(epochs=2, lr=1e12))
    with pytest.raises(Diverged, match=r"at init 0, order 0; what was trained before it is kept"):
        ask(own)
