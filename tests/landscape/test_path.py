"""Profiles and barriers: closed forms on linear models, and what a user would compute by hand."""

import pytest
import torch
from torch import nn

import cases
from thalweg.errors import InputError
from thalweg.landscape import barrier, losses, profile
from thalweg.landscape.path import along
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.weights.coefficients import ArcLength, Bezier, Chain, Complex, Simplex, bernstein
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import Subspace


def squares(outputs, targets):
    return (outputs - nn.functional.one_hot(targets, cases.CLASSES)).square().mean()


def opposite(outputs, targets):
    return -squares(outputs, targets)


def linear(loss):
    x, y = cases.task(60)
    x = x.flatten(1)
    return Problem(
        lambda: nn.Linear(36, cases.CLASSES), Batches(x, y, cases.SIZE), cases.RECIPE, loss=loss
    ), x


def points(problem, n):
    return [Weights.of(problem.build("point", k)) for k in range(n)]


@pytest.mark.parametrize(("loss", "sign"), [(squares, 1), (opposite, -1)])
def test_a_linear_models_quadratic_profile(loss, sign):
    """L(t) = (1 - t) L(0) + t L(1) - t (1 - t) Q with Q the mean square of the difference of the
    ends' outputs.
    """
    problem, x = linear(loss)
    a, b = points(problem, 2)
    found = profile(problem, [a, b], points=11)
    first, second = (x @ w.params["weight"].T + w.params["bias"] for w in (a, b))
    q = sign * float((first - second).square().mean())
    t = found.positions
    assert t.tolist() == pytest.approx([k / 10 for k in range(11)])
    expected = (1 - t) * found.loss[0] + t * found.loss[-1] - t * (1 - t) * q
    torch.testing.assert_close(found.loss, expected, rtol=1e-5, atol=1e-6)
    assert found.barrier == pytest.approx(max(0, -q / 4), rel=1e-4, abs=1e-6)
    assert found.highest == pytest.approx(float(expected.max()), rel=1e-5)


def test_disagreement_by_hand():
    problem, x = linear(None)
    a, b = points(problem, 2)
    found = profile(problem, [a, b], points=5)
    probs = []
    for t in (0, 0.25, 0.5, 0.75, 1):
        outputs = sum(
            c * (x @ w.params["weight"].T + w.params["bias"]).double()
            for c, w in ((1 - t, a), (t, b))
        )
        probs.append(outputs.exp() / outputs.exp().sum(1, keepdim=True))
    changed = [float((p.argmax(1) != probs[0].argmax(1)).double().mean()) for p in probs]
    assert found.disagreement.tolist() == pytest.approx(changed) and changed[-1] > 0.2
    moved = [float((p - probs[0]).abs().sum(1).mean() / 2) for p in probs]
    assert found.total_variation.tolist() == pytest.approx(moved, abs=1e-6)


def test_error_by_hand():
    problem, _ = linear(None)
    a, b = points(problem, 2)
    found = profile(problem, [a, b], points=3)
    x, y = cases.task(60)
    middle = mix([a, b], [0.5, 0.5]).params
    for k, params in ((0, a.params), (1, middle), (2, b.params)):
        wrong = (x.flatten(1) @ params["weight"].T + params["bias"]).argmax(1) != y
        assert found.error[k] == pytest.approx(float(wrong.double().mean()))


@pytest.mark.parametrize("network", cases.NETWORKS)
def test_the_ends_are_the_networks_own(network):
    problem = cases.problem(network)
    ends = [problem.anchor(0), problem.anchor(1)]
    found = profile(problem, ends, points=3)
    assert found.loss[[0, 2]].tolist() == losses(problem, ends).tolist()
    x, y = cases.task()
    for k, weights in ((0, ends[0]), (2, ends[1])):
        outputs = problem.network(weights).eval()(x).detach()
        assert found.loss[k] == pytest.approx(
            float(nn.functional.cross_entropy(outputs, y)), rel=1e-5
        )
    assert found.disagreement[0] == found.total_variation[0] == 0


@pytest.mark.parametrize("loader", cases.LOADERS)
def test_any_loader(loader):
    problem = cases.problem("conv-batchnorm", loader)
    found = profile(problem, points_of(problem), points=3, examples=30, inputs=20)
    assert torch.isfinite(found.loss).all() and found.loss.shape == found.disagreement.shape == (3,)
    assert problem.cost.backward_examples == 0


def points_of(problem):
    return [Weights.of(problem.build("point", k)) for k in range(2)]


def test_it_is_metered():
    """No batch norm: every position costs the examples and the inputs."""
    problem = cases.problem()
    profile(problem, points_of(problem), points=4, inputs=50)
    assert (
        problem.cost.forward_examples == 4 * (cases.EXAMPLES + 50) and problem.cost.trainings == 0
    )
    assert problem.cost.seconds > 0


def test_batch_norm_is_refreshed_between_the_ends_alone():
    problem = cases.problem("conv-batchnorm")
    profile(problem, points_of(problem), points=4, inputs=50)
    assert problem.cost.forward_examples == 4 * (cases.EXAMPLES + 50) + 2 * cases.EXAMPLES


def test_all_forms_of_a_path_agree():
    problem = cases.problem()
    vertices = tuple(Weights.of(problem.build("point", k)) for k in range(3))
    chain = profile(problem, vertices, points=5)
    for same in (
        Subspace(vertices, Chain()),
        Subspace(vertices, ArcLength("chain")),
        along(vertices),
    ):
        assert torch.equal(profile(problem, same, points=5).loss, chain.loss)
    assert torch.equal(chain.loss[[0, 2, 4]], losses(problem, vertices)), "vertices are hit"
    curve = profile(problem, Subspace(vertices, Bezier()), points=5)

    def bezier(t):
        return mix(vertices, bernstein(torch.tensor([t], dtype=torch.float64), 3)[0])

    torch.testing.assert_close(
        curve.loss[1:-1], losses(problem, [bezier(t) for t in (0.25, 0.5, 0.75)])
    )
    assert not torch.equal(curve.loss, chain.loss)
    line = profile(problem, Subspace(vertices[:2], Simplex()), points=5)
    assert torch.equal(line.loss, profile(problem, vertices[:2], points=5).loss)


@pytest.mark.parametrize("law", [Simplex(), Complex(((0, 1), (1, 2)))])
def test_what_is_no_path(law):
    problem = cases.problem()
    vertices = tuple(Weights.of(problem.build("point", k)) for k in range(3))
    with pytest.raises(InputError, match=r"a path got 3 vertices and the law \w+, needs a curve"):
        profile(problem, Subspace(vertices, law))
    with pytest.raises(InputError, match=r"a path got 1 vertices"):
        profile(problem, vertices[:1])
    with pytest.raises(InputError, match=r"points got 1, needs a whole number, 2 or more"):
        profile(problem, vertices, points=1)


def test_a_barrier_is_above_the_line_between_the_ends():
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    assert barrier(t, torch.tensor([1.0, 1.0, 1.0, 1.0, 3.0])) == 0
    assert barrier(t, torch.tensor([1.0, 1.5, 2.0, 2.5, 3.0])) == 0
    assert barrier(t, torch.tensor([1.0, 2.0, 5.0, 2.0, 3.0])) == 3, "not 5 - 1, not 5 - 3"
