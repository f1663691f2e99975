"""Last-layer Laplace: its curvature, its evidence and its posterior, against closed forms in double
precision.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import cases
from thalweg.errors import InputError
from thalweg.explorers._parts.curvature import curvature
from thalweg.explorers._parts.evidence import best_precision, lanczos
from thalweg.explorers.laplace import LastLayerLaplace, posterior
from thalweg.outputs import Classes, Values
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.point import Weights


def double_problem(network: str = "no-norm", **settings) -> Problem:
    """A problem in double precision."""
    x, y = cases.task()
    return Problem(
        lambda: cases.NETWORKS[network]().double(),
        Batches(x.double(), y, size=16),
        cases.RECIPE,
        **settings,
    )


def covariance(found) -> Tensor:
    return torch.cholesky_inverse(found.factor)


@pytest.mark.parametrize("bias", [True, False])
def test_the_laplace_approximation_of_a_linear_gaussian_model_is_its_exact_posterior(bias):
    """The exact one by conditioning a joint Gaussian of weights and outputs on the outputs, which
    inverts no precision. The variance of the noise is that of the mode's residuals.
    """
    random = torch.Generator().manual_seed(0)
    x = torch.randn(30, 4, generator=random, dtype=torch.float64)
    y = torch.randn(30, 2, generator=random, dtype=torch.float64)
    features = torch.cat([x, torch.ones(30, 1, dtype=torch.float64)], 1) if bias else x

    # the mode for unit noise, by which the noise is taken from the residuals; then the posterior
    def gained(noise: float) -> Tensor:  # [features, inputs]
        return features.T @ torch.linalg.inv(
            features @ features.T + 0.7 * noise * torch.eye(30, dtype=torch.float64)
        )

    exact_mean = (gained(1.0) @ y).T  # [outputs, features]
    gain = gained(float((features @ exact_mean.T - y).square().mean()))
    exact_covariance = (
        torch.eye(features.shape[1], dtype=torch.float64) - gain @ features
    ) / 0.7  # of each output

    network = nn.Linear(4, 2, bias=bias).double()
    with torch.no_grad():
        network.weight.copy_(exact_mean[:, :4])
        if bias:
            network.bias.copy_(exact_mean[:, 4])
    problem = Problem(
        lambda: nn.Linear(4, 2, bias=bias).double(),
        Batches(x, y, size=7),
        Recipe(),
        outputs=Values(),
    )
    found = posterior(problem, Weights.of(network), 0.7)
    assert torch.allclose(
        covariance(found), torch.block_diag(exact_covariance, exact_covariance), rtol=0, atol=1e-12
    )
    mode = torch.cat(
        [x @ p.T if p.dim() > 1 else p.expand(30, -1) for p in found.mean.params.values()], 0
    )
    assert torch.allclose(
        mode.reshape(-1, 30, 2).sum(0), features @ exact_mean.T, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("network", ["no-norm", "conv-batchnorm", "tied"])
def test_the_precision_is_the_hessian_of_the_training_loss(network):
    problem = double_problem(network)
    anchor = problem.anchor(0)
    found = LastLayerLaplace(precision=0.3).explore(problem)
    module = problem.network(anchor).eval()
    x, y = cases.task()

    def loss(rows: Tensor) -> Tensor:
        """Of the last layer, each class's weights followed by its bias."""
        rows = rows.reshape(3, -1)
        params = anchor.params | {found.weight: rows[:, :-1], found.bias: rows[:, -1]}
        outputs = torch.func.functional_call(module, {**params, **anchor.buffers}, (x.double(),))
        return nn.functional.cross_entropy(outputs, y, reduction="sum") + 0.15 * rows.square().sum()

    at = torch.cat([anchor.params[found.weight], anchor.params[found.bias][:, None]], 1).flatten()
    assert torch.allclose(
        found.factor @ found.factor.T,
        torch.autograd.functional.hessian(loss, at),
        rtol=1e-9,
        atol=1e-9,
    )
    assert torch.equal(found.factor, found.factor.tril())


def test_the_curvature_is_the_sum_of_kronecker_products():
    random = torch.Generator().manual_seed(0)
    features = torch.randn(20, 4, generator=random, dtype=torch.float64)
    outputs = torch.randn(20, 3, generator=random, dtype=torch.float64)
    p = outputs.softmax(1)
    slow = sum(
        np.kron(np.diag(q) - np.outer(q, q), np.outer(f, f))
        for q, f in zip(p.numpy(), features.numpy(), strict=True)
    )
    for size, together in ((20, 20), (6, 13), (3, 1)):
        found = curvature(
            zip(features.split(size), outputs.split(size), strict=True), Classes().hessian, together
        )
        assert np.allclose(found.numpy(), slow, rtol=0, atol=1e-12)


def test_the_prior_of_the_recipe():
    """Examples x weight decay: what the loss per example was trained with."""
    problem = cases.problem()
    recipe, given = (
        LastLayerLaplace(precision).explore(problem) for precision in ("recipe", 95 * 5e-4)
    )
    assert torch.equal(recipe.factor, given.factor)


def test_augmentation_is_left_out():
    """The task's own loader with another `prepare` and `augment`: only the first is part of the
    data.
    """
    x, y = cases.task()
    prepared = cases.problem(loader="augmented")
    plain = Problem(cases.no_norm, Batches(x - 0.2, y, size=cases.SIZE), cases.RECIPE)
    anchor = plain.anchor(0)
    assert torch.allclose(
        posterior(prepared, anchor, 1.0).factor, posterior(plain, anchor, 1.0).factor, atol=1e-5
    )


def eigenvalues(d: int) -> Tensor:
    """Few large ones and many small ones, as a trained network has."""
    return torch.logspace(5, -6, d, dtype=torch.float64)


def test_the_evidence_is_largest_where_mackay_says():
    """precision x |weights|^2 is the number of well-determined weights, sum of l / (l +
    precision).
    """
    values = eigenvalues(60)
    for squares in (0.5, 10.0, 300.0):
        t = best_precision(torch.diag(values), squares)
        assert t * squares == pytest.approx(float((values / (values + t)).sum()), rel=1e-3)


def test_evidence_is_the_default():
    problem = double_problem()
    found, bare = LastLayerLaplace().explore(problem), LastLayerLaplace(1.0).explore(problem)
    matrix = bare.factor @ bare.factor.T - torch.eye(27, dtype=torch.float64)
    t = best_precision(
        matrix,
        sum(float(found.mean.params[name].square().sum()) for name in ("3.weight", "3.bias")),
    )
    assert torch.allclose(
        found.factor @ found.factor.T, matrix + t * torch.eye(27, dtype=torch.float64), atol=1e-8
    )


def test_lanczos_sees_the_spectrum():
    values = eigenvalues(400)
    turn = torch.linalg.qr(
        torch.randn(400, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ).Q
    nodes, numbers = lanczos(turn @ torch.diag(values) @ turn.T, seed=0)
    assert float(numbers.sum()) == pytest.approx(400)
    for t in (1.0, 10.0, 1000.0):  # random directions: a standard error of 4 to 6 %
        exact = float((values / (values + t)).sum())
        assert float((nodes / (nodes + t) * numbers).sum()) == pytest.approx(exact, rel=0.15)


def test_lanczos_is_exact_where_all_eigenvalues_are_equal():
    nodes, numbers = lanczos(2 * torch.eye(30, dtype=torch.float64), seed=1)
    assert float((nodes * numbers).sum()) == pytest.approx(60) and float(
        (nodes.square() * numbers).sum()
    ) == pytest.approx(120)


class Scaled(nn.Module):
    """Changes the outputs of its last layer, in place or not, or uses it twice."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.body, self.head = nn.Linear(36, 36), nn.Linear(36, 36)
        if how == "tied":
            self.body.weight = self.head.weight
        if how == "twice":
            self.body.requires_grad_(False)  # it is not used
        if "positive" in how:
            self.head.bias.data.fill_(100)
        if how == "normalised":
            self.head = weight_norm(self.head)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x.flatten(1)) if self.how == "twice" else self.body(x.flatten(1))
        x = self.head(x.tanh())
        return {
            "in place": lambda: x.mul_(2),
            "scaled": lambda: x * 2,
            "all positive": x.relu,
            "all positive, in place": x.relu_,
        }.get(self.how, lambda: x)()


@pytest.mark.parametrize(
    "how",
    ["in place", "scaled", "all positive", "all positive, in place", "normalised", "tied", "twice"],
)
def test_networks_that_do_not_end_with_a_linear_layer_of_their_own(how):
    problem = cases.problem(model=lambda: Scaled(how))
    expected = (
        "uses the weights of its last layer twice"
        if how in ("tied", "twice")
        else "not those of an nn.Linear"
    )
    with pytest.raises(InputError, match=expected) as caught:
        LastLayerLaplace().explore(problem)
    assert problem.cost.trainings == 0 and "\n" not in str(caught.value)


def test_a_convolution_is_no_last_layer():
    problem = cases.problem(model=lambda: nn.Sequential(nn.Conv2d(1, 3, 6), nn.Flatten()))
    with pytest.raises(InputError, match=r"not those of an nn\.Linear"):
        LastLayerLaplace().explore(problem)


def test_a_last_layer_that_is_too_large():
    problem = cases.problem(
        model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 6000), nn.Linear(6000, 3))
    )
    with pytest.raises(
        InputError,
        match=r"last layer of 18003 weights, needs 16384 or fewer, .* pools before .* fewer",
    ):
        LastLayerLaplace().explore(problem)
    assert problem.cost.trainings == 0


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ("prior", "got 'prior', needs 'evidence', 'recipe' or a number"),
        (0.0, "got 0.0, needs 1e-12 or more"),
        (math.inf, "got inf, needs"),
    ],
)
def test_precisions_that_make_no_sense(precision, message):
    with pytest.raises(InputError, match=message):
        LastLayerLaplace(precision=precision)


class Named(nn.Module):
    """Calls its last layer by the name of its argument."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(36, 8), nn.Linear(8, cases.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(input=self.body(x.flatten(1)).tanh())


def test_a_last_layer_that_is_called_by_name():
    """The same network with the same weights, called as usual."""
    usual, named = cases.problem(), cases.problem(model=Named)
    anchor = usual.anchor(0)
    renamed = {
        "body.weight": "1.weight",
        "body.bias": "1.bias",
        "head.weight": "3.weight",
        "head.bias": "3.bias",
    }
    twin = Weights({name: anchor.params[other] for name, other in renamed.items()}, {})
    assert torch.equal(posterior(named, twin, 1.0).factor, posterior(usual, anchor, 1.0).factor)


def test_the_decay_of_adamw_is_no_prior():
    problem = cases.problem(recipe=Recipe(epochs=1, lr=1e-3, optimizer="adamw"))
    with pytest.raises(
        InputError,
        match=r"'recipe' with optimizer 'adamw', needs 'sgd', .*: give 'evidence' or a number",
    ):
        LastLayerLaplace("recipe").explore(problem)
    assert problem.cost.trainings == 0
    LastLayerLaplace(1.0).explore(problem)


def test_a_recipe_without_weight_decay_has_no_prior():
    problem = cases.problem(recipe=Recipe(epochs=1, weight_decay=0.0))
    with pytest.raises(
        InputError,
        match="'recipe' with a weight decay of 0, needs one above 0: give 'evidence' or a number",
    ):
        LastLayerLaplace("recipe").explore(problem)
    assert problem.cost.trainings == 0
