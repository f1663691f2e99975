"""Features that cost no training, against a textbook twin in double precision."""

import random
from dataclasses import replace
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import cases
from thalweg import features as module
from thalweg.errors import InputError
from thalweg.features import InputFeatures, training_neighbours
from thalweg.predicting import predict
from thalweg.predictions import multinomial
from thalweg.training import nearest
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.weights.masks import Masks
from thalweg.weights.point import Weights, mix

X, Y = cases.held_out()
TRAIN, LABELS = cases.task()


def double_problem(
    network: str = "no-norm", examples: int = cases.EXAMPLES, size: int = 16
) -> Problem:
    x, y = cases.task(examples)
    return Problem(
        lambda: cases.NETWORKS[network]().double(), Batches(x.double(), y, size=size), cases.RECIPE
    )


def found(problem: Problem, weights: Weights, inputs=X, layer: str | None = None) -> Tensor:
    return InputFeatures(problem, weights, layer).features(
        inputs, training_neighbours(problem, inputs)
    )


def columns(problem: Problem, weights: Weights, inputs=X) -> dict[str, np.ndarray]:
    geometry = InputFeatures(problem, weights)
    matrix = geometry.features(inputs, training_neighbours(problem, inputs))
    return dict(zip(geometry.names, matrix.numpy().T, strict=True))


def textbook(
    network: nn.Module, train: Tensor, labels: Tensor, inputs: Tensor
) -> dict[str, list[float]]:
    """Input by input. The network is a sequence of layers, the last one linear."""
    with torch.no_grad():
        phi_train, phi = (np.c_[network[:-1](x).numpy(), np.ones(len(x))] for x in (train, inputs))
        p_train = network(train).softmax(1).numpy()
        logits = network(inputs).numpy()
        probs = network(inputs).softmax(1).numpy()
    eye = np.eye(phi.shape[1])
    laplace = np.linalg.inv(
        sum((1 - (p**2).sum()) * np.outer(f, f) for p, f in zip(p_train, phi_train, strict=True))
        + eye
    )
    leverage = np.linalg.inv(sum(np.outer(f, f) for f in phi_train) + eye)
    spaces = {}
    for space, known, asked in (
        ("features", phi_train, phi),
        ("inputs", train.flatten(1), inputs.flatten(1)),
    ):
        search = NearestNeighbors(n_neighbors=min(20, len(known)), algorithm="brute").fit(known)
        spaces[space] = search.kneighbors(asked)
    rows = []
    for n, f in enumerate(phi):
        p = probs[n]
        jacobian = np.diag(p) - np.outer(p, p)
        row = {
            f"logit-{c + 1}": z - logits[n].mean()
            for c, z in enumerate(sorted(logits[n], reverse=True))
        }
        row["laplace"] = np.log(f @ laplace @ f)
        row["laplace-softmax"] = np.log(f @ laplace @ f * np.linalg.norm(jacobian) ** 2)
        row["leverage"] = np.log(f @ leverage @ f)
        for space, (far, near) in spaces.items():
            distances, index = far[n], near[n]
            histogram = np.bincount(labels[index], minlength=3) / len(index)
            row[f"{space}-nearest"], row[f"{space}-mean"] = distances[0], distances.mean()
            row[f"{space}-farthest"] = distances[-1]
            row[f"{space}-share"] = np.mean(labels[index].numpy() == p.argmax())
            row[f"{space}-entropy"] = -sum(h * np.log(h) for h in histogram if h > 0)
            row[f"{space}-agreement"] = histogram @ p
        row["impurity"] = 1 - (p**2).sum()
        rows.append(row)
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize(
    ("network", "examples"),
    [("no-norm", 95), ("conv-batchnorm", 95), ("layernorm", 95), ("groupnorm", 13)],
)
def test_every_column_equals_the_textbook(network, examples):
    """In order; with fewer training inputs than neighbours, too."""
    problem = double_problem(network, examples)
    weights = problem.anchor(0)
    train, labels = cases.task(examples)
    expected = textbook(problem.network(weights).eval(), train.double(), labels, X.double())
    names = columns(problem, weights, X.double())
    assert list(names) == list(expected)
    for name, column in expected.items():
        assert np.allclose(names[name], column, rtol=1e-5, atol=1e-6), name


def test_batches_and_blocks_change_nothing(monkeypatch):
    problem = double_problem("conv-batchnorm")
    weights = problem.anchor(0)
    expected = found(problem, weights, X.double())
    assert expected.dtype == torch.float32 and expected.device.type == "cpu"
    for size, block, asked in ((1, 2048, 7), (95, 10, 60), (40, 33, 1)):
        monkeypatch.setattr(module, "BLOCK", block)
        monkeypatch.setattr(nearest, "BLOCK", block)
        other = double_problem("conv-batchnorm", size=size)
        for inputs in (
            Batches(X.double(), Y, size=asked, shuffle=False),
            DataLoader(TensorDataset(X.double(), Y), asked),
            list(X.double().split(asked)),
        ):
            assert torch.allclose(found(other, weights, inputs), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("loader", ["tuples", "own-generator", "dictionaries", "list"])
def test_a_users_loader_gives_the_same(loader):
    """In an order of its own, again and again."""
    plain, own = cases.problem("conv-batchnorm"), cases.problem("conv-batchnorm", loader)
    weights = plain.anchor(0)
    assert torch.allclose(found(own, weights), found(plain, weights), rtol=1e-4, atol=1e-4)
    assert torch.equal(found(own, weights), found(own, weights))


def test_a_users_generator_goes_on_as_it_would_have():
    loader = cases.LOADERS["own-generator"]()
    problem = cases.problem(train_loader=loader)
    weights = problem.anchor(0)
    before = loader.generator.get_state()
    first = found(problem, weights)
    assert torch.equal(loader.generator.get_state(), before)
    loader.generator.manual_seed(7)
    assert torch.equal(found(problem, weights), first), "its order is the same each time"


def test_augmentation_is_left_out():
    """Only `prepare` is part of the data."""
    augmented = cases.problem(loader="augmented")
    plain = Problem(cases.no_norm, Batches(TRAIN - 0.2, LABELS, size=cases.SIZE), cases.RECIPE)
    weights = plain.anchor(0)
    assert torch.allclose(
        found(augmented, weights, X - 0.2), found(plain, weights, X - 0.2), rtol=0, atol=1e-5
    )


def test_the_training_set_is_the_same_for_all_bootstraps():
    plain, bootstrapped = (
        cases.problem(),
        cases.problem(sources=("init", "order", "augmentation", "data")),
    )
    weights = bootstrapped.anchor(1)
    assert torch.equal(found(bootstrapped, weights), found(plain, weights))


def test_training_inputs_are_their_own_nearest():
    near = training_neighbours(cases.problem(), TRAIN)
    assert torch.equal(near.labels[:, 0], LABELS) and float(near.distances[:, 0].max()) < 1e-5
    assert near.labels.shape == near.distances.shape == (95, 20) and bool(
        (near.distances.diff(dim=1) >= 0).all()
    )


def test_inputs_that_are_no_images():
    flat = cases.problem(
        model=lambda: nn.Linear(36, 3), train_loader=Batches(TRAIN.flatten(1), LABELS, size=16)
    )
    geometry = InputFeatures(flat, flat.anchor(0))
    near = training_neighbours(flat, X.flatten(1))
    assert geometry.features(X.flatten(1), near).shape == (60, len(geometry.names))


def test_narrow_networks_have_the_same_columns():
    wide, narrow = (
        cases.problem("conv-batchnorm"),
        cases.problem(model=lambda: cases.conv_batchnorm(2)),
    )
    near = training_neighbours(wide, X)
    first, second = InputFeatures(wide, wide.anchor(0)), InputFeatures(narrow, narrow.anchor(0))
    assert first.names == second.names and len(set(first.names)) == 3 + 3 + 12 + 1
    assert first.features(X, near).shape == second.features(X, near).shape == (60, 19)


def test_a_named_layer():
    """What the last hidden layer gives is what the last one takes; a deeper one is something
    else.
    """
    problem = cases.problem()
    weights = problem.anchor(0)
    assert torch.equal(found(problem, weights, layer="2"), found(problem, weights))
    assert not torch.allclose(found(problem, weights, layer="1"), found(problem, weights))
    with pytest.raises(InputError, match="unknown layer '7'"):
        InputFeatures(problem, weights, "7")


def test_a_network_without_a_last_linear_layer():
    problem = cases.problem(model=lambda: nn.Sequential(nn.Conv2d(1, 3, 6), nn.Flatten()))
    weights = problem.anchor(0)
    with pytest.raises(
        InputError, match=r"not those of an nn\.Linear: name the layer .* layer='\.\.\.', of 0, 1"
    ):
        InputFeatures(problem, weights)
    p = problem.network(weights)(X).detach()
    assert torch.allclose(
        found(problem, weights, layer="0")[:, :3],
        p.sort(1, descending=True).values - p.mean(1, keepdim=True),
    )


def test_all_evaluations_are_counted():
    problem = cases.problem("conv-batchnorm")
    weights = problem.anchor(0)
    before, counts = problem.cost, []
    geometry = InputFeatures(problem, weights)
    counts.append(problem.cost.forward_examples)
    near = training_neighbours(problem, X)
    counts.append(problem.cost.forward_examples)
    geometry.features(X, near)
    counts.append(problem.cost.forward_examples)
    InputFeatures(problem, weights, "7")
    counts.append(problem.cost.forward_examples)
    spent = [
        after - earlier
        for earlier, after in zip([before.forward_examples, *counts], counts, strict=False)
    ]
    assert spent == [95 + 2, 0, 60, 95], "two inputs to find the last layer"
    assert (
        problem.cost.backward_examples == before.backward_examples
        and problem.cost.seconds > before.seconds
    )


def states() -> tuple:
    return (
        torch.random.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        random.getstate(),
    )


@pytest.mark.parametrize("network", ["conv-batchnorm", "buffers-batchnorm"])
def test_dropout_and_batch_norm_are_those_of_prediction(network):
    """Nothing is random, no buffer changes, and the caller's random numbers go on as they would
    have.
    """
    problem = cases.problem(network, "tuples")
    weights = problem.anchor(0)
    kept = {name: b.clone() for name, b in weights.buffers.items()}
    before = states()
    geometry = InputFeatures(problem, weights)
    near = training_neighbours(problem, X)
    first, second = geometry.features(X, near), geometry.features(X, near)
    assert torch.equal(first, second) and not first.requires_grad and states() == before
    assert all(torch.equal(weights.buffers[name], b) for name, b in kept.items())
    assert all(torch.equal(b, kept[name]) for name, b in geometry._network.named_buffers())
    logits = problem.network(weights).eval()(X).detach()
    assert torch.allclose(
        first[:, :3],
        logits.sort(1, descending=True).values - logits.mean(1, keepdim=True),
        atol=1e-5,
    )


@pytest.mark.parametrize("network", ["conv-batchnorm", "random", "masks"])
def test_one_look_gives_the_predictions_of_predict(network):
    """To the last bit, also of networks that are random when they predict."""
    problem = (
        cases.problem(model=cases.Noisy) if network == "random" else cases.problem("conv-batchnorm")
    )
    weights = problem.anchor(0)
    if network == "masks":
        weights = replace(weights, masks=Masks(seed=3, rate=0.2))
    geometry = InputFeatures(problem, weights, "layer" if network == "random" else None)
    inputs = Batches(X, Y, size=25, shuffle=False)
    log_probs, features = geometry.look(inputs, training_neighbours(problem, inputs))
    assert torch.equal(log_probs, predict(problem, weights, inputs).log_probs[0])
    impurity = 1 - log_probs.double().exp().square().sum(1)
    assert torch.allclose(
        features[:, geometry.names.index("impurity")].double(), impurity, atol=1e-6
    )


def test_nothing_stays_hooked():
    problem = cases.problem("conv-batchnorm")
    geometry = InputFeatures(problem, problem.anchor(0))
    near = training_neighbours(problem, X)
    with pytest.raises(InputError, match="can't evaluate inputs of shape"):
        geometry.features(X.flatten(1), near)
    geometry.features(X, near)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in geometry._network.modules())


def test_points_where_nobody_trained_are_refreshed():
    problem = cases.problem("conv-batchnorm")
    middle = mix([problem.anchor(0), problem.anchor(1)], [0.5, 0.5])
    (ready,) = problem.refresh(problem.build("network"), [middle])
    assert torch.equal(found(problem, middle), found(problem, ready))


def test_1_minus_sum_p_squared_and_the_jacobian_are_exact_for_sure_networks():
    getcontext().prec = 60
    for logits in (
        [0.0, -30.0, -41.0],
        [0.0, -12.0, -12.5],
        [0.3, 0.2, -0.1],
        [-200.0, 0.0, -37.0],
    ):
        exact = [Decimal(z).exp() for z in logits]
        p = [e / sum(exact) for e in exact]
        squared = sum((p[i] * ((i == j) - p[j])) ** 2 for i in range(3) for j in range(3))
        impurity, slope = multinomial(torch.tensor([logits], dtype=torch.float64).softmax(1))
        assert impurity.item() == pytest.approx(float(1 - sum(q * q for q in p)), rel=1e-12, abs=0)
        assert slope.item() == pytest.approx(float(squared), rel=1e-12, abs=0)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e6, 1e12])
def test_extreme_networks_have_finite_features(scale):
    """All features equal, or so large and alike that their matrix is singular in double precision;
    sure beyond all digits.
    """
    problem = cases.problem(
        model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 50), nn.Linear(50, 3))
    )
    weights = problem.anchor(0)
    scaled = replace(weights, params={name: p * scale for name, p in weights.params.items()})
    assert bool(torch.isfinite(found(problem, scaled)).all())


def test_the_factor_of_a_singular_matrix():
    """Fifty features that are all the same: their matrix has one eigenvalue of 5e26, beside which 1
    is less than rounding.
    """
    alike = 1e12 * torch.randn(95, 1, generator=torch.Generator().manual_seed(0)).expand(-1, 50)
    factor = module._factor(alike, torch.ones(95))
    assert bool(torch.isfinite(module._form(alike, factor)).all())


def test_a_layer_with_too_many_features(monkeypatch):
    problem = cases.problem()
    monkeypatch.setattr(module, "LARGEST", 7)
    with pytest.raises(
        InputError, match=r"got 8 penultimate features, needs 7 or fewer, .* name a narrower layer"
    ):
        InputFeatures(problem, problem.anchor(0))


@pytest.mark.parametrize(("inputs", "message"), [
    (X[:50], "got 50 inputs and the neighbours of 60: give those of the same inputs"),
    (X[:0], "is empty"), ([], "is empty"),
    (X.log(), "not finite on these inputs"),
    (DataLoader(TensorDataset(X, Y), 16, shuffle=True), "shuffles"),
    (Batches(X, Y, shuffle=False, augment=lambda x, _: x), "augments"),
    ([{"x": X}], "dictionary with keys"),
])  # fmt: skip
def test_inputs_that_can_not_be_used(inputs, message):
    problem = cases.problem()
    near = training_neighbours(problem, X)
    with pytest.raises(InputError, match=message) as caught:
        InputFeatures(problem, problem.anchor(0)).features(inputs, near)
    assert "\n" not in str(caught.value)
    if "neighbours" not in message and "finite" not in message:
        with pytest.raises(InputError, match=message):
            training_neighbours(problem, inputs)


def test_inputs_of_another_size_have_no_neighbours():
    with pytest.raises(InputError, match="got inputs of 30 numbers beside training inputs of 36"):
        training_neighbours(cases.problem(), X[:, :, :5])
