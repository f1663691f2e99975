"""Weight dropout: the strength against a closed form, the law of the noise, and members whose loss
is in the tolerance, with batch norm of their own.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cases
import vectors
from thalweg.errors import InputError
from thalweg.explorers.weight_dropout import HALVINGS, STRONGEST, WEAKEST, WeightDropout
from thalweg.outputs import Values
from thalweg.predicting import sample
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.point import Weights

STEP = (STRONGEST / WEAKEST) ** (1 / 2**HALVINGS)  # what the bisection leaves of the strength
FORMS = ("gaussian", "bernoulli")


def least_squares(features: int = 6) -> tuple[Problem, torch.Tensor, torch.Tensor]:
    """A linear regression in double precision, solved; its inputs; and its weights."""
    random = torch.Generator().manual_seed(0)
    examples = 80 + 2 * features
    x = torch.randn(examples, features, generator=random).double()
    y = x @ torch.randn(features, generator=random).double() / features**0.5 + x[:, 0].square()
    with_one = torch.cat([x, torch.ones(examples, 1).double()], 1)
    *weight, bias = np.linalg.lstsq(with_one.numpy(), y.numpy(), rcond=None)[0]
    state = {"weight": torch.tensor([weight]), "bias": torch.tensor([bias])}
    problem = Problem(
        lambda: nn.Linear(features, 1).double(),
        Batches(x, y[:, None], 20),
        Recipe(epochs=1),
        networks=state,
        outputs=Values(),
    )
    return problem, x, state["weight"][0]


def factors(found, anchor: Weights, name: str) -> torch.Tensor:
    """What each member multiplied the weights of a layer by `[members, ...]`."""
    return torch.stack([point.params[name] / anchor.params[name] for point in found.points])


def plain_loss(problem: Problem, weights: Weights) -> float:
    """The cross-entropy on all training inputs, by the user's own module."""
    module = problem.build("plain")
    weights.load_into(module)
    x, y = cases.task()
    with torch.no_grad():
        return float(F.cross_entropy(module.eval()(x), y))


def test_the_strength_of_a_linear_regression_has_a_closed_form():
    """At the minimum the loss rises by the strength's square times the mean square of x (w z)."""
    problem, x, weight = least_squares()
    strength, found = WeightDropout(members=3, tolerance=0.2).strongest(problem)
    z = (factors(found, problem.anchor(0), "weight")[:, 0] - 1) / strength
    closed = math.sqrt(0.2 / float((x @ (z * weight).T).square().mean()))
    assert closed / STEP <= strength * (1 + 1e-9) and strength <= closed * (1 + 1e-9)


def test_all_strengths_have_the_same_noise():
    found = []
    for tolerance in (0.01, 0.2):
        problem = least_squares()[0]
        strength, members = WeightDropout(tolerance=tolerance).strongest(problem)
        found.append((strength, (factors(members, problem.anchor(0), "weight") - 1) / strength))
    (weak, one), (strong, other) = found
    assert torch.allclose(one, other) and strong / weak == pytest.approx(math.sqrt(20), rel=0.02)


def test_gaussian_factors_are_normal_numbers_of_each_weights_own():
    problem, *_ = least_squares(400)
    strength, found = WeightDropout(members=10).strongest(problem)
    z = ((factors(found, problem.anchor(0), "weight") - 1) / strength).flatten()
    assert z.unique().numel() == 4000 and abs(float(z.mean())) < 4 / math.sqrt(4000)
    assert float(z.std()) == pytest.approx(1, abs=4 / math.sqrt(8000))
    assert float(z.pow(4).mean()) == pytest.approx(3, abs=4 * math.sqrt(96 / 4000))


def test_bernoulli_factors_are_zero_or_one_over_what_is_kept():
    problem, *_ = least_squares(400)
    strength, found = WeightDropout(members=10, form="bernoulli", tolerance=0.2).strongest(problem)
    factor, p = (
        factors(found, problem.anchor(0), "weight").flatten(),
        strength**2 / (1 + strength**2),
    )
    dropped = factor == 0
    assert torch.allclose(factor[~dropped], torch.tensor(1 / (1 - p)).double())
    assert 0.02 < p < 0.9
    assert float(dropped.double().mean()) == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 4000))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("network", ["no-norm", "conv-batchnorm"])
def test_the_members_are_in_the_tolerance_and_would_not_be_elsewhere(network, form):
    """With batch norm: not with the statistics of the anchor either."""
    problem = cases.problem(network)
    found = WeightDropout(form=form, members=20).explore(problem)
    anchor = problem.anchor(0)
    above = [plain_loss(problem, point) - plain_loss(problem, anchor) for point in found.points]
    mean = sum(above) / len(above)
    assert 0.6 * 0.05 < mean <= 0.05 * (1 + 1e-4)
    assert max(above) > 0.05, "it is their mean that is in the tolerance"
    if anchor.buffers:
        stale = [plain_loss(problem, Weights(p.params, anchor.buffers)) for p in found.points]
        assert sum(stale) / len(stale) - plain_loss(problem, anchor) > 1.5 * 0.05


def test_batch_norm_is_that_of_each_member():
    problem = cases.problem("conv-batchnorm")
    found = WeightDropout(members=3).explore(problem)
    bare = [problem.anchor(0).moved_to(point.params) for point in found.points]
    for point, refreshed in zip(
        found.points, problem.refresh(problem.build("x"), bare), strict=True
    ):
        assert all(torch.equal(b, refreshed.buffers[name]) for name, b in point.buffers.items())
    paid = problem.cost
    list(sample(problem, found))
    assert problem.cost == paid, "they are ready to predict"


@pytest.mark.parametrize("network", ["conv-batchnorm", "frozen", "layernorm"])
def test_only_trained_weights_move(network):
    problem = cases.problem(network)
    found = WeightDropout(members=3).explore(problem)
    module, anchor = problem.build("x"), problem.anchor(0)
    for name, p in module.named_parameters():
        moves = p.requires_grad and p.dim() > 1
        for point in found.points:
            assert torch.equal(point.params[name], anchor.params[name]) != moves, name


@pytest.mark.parametrize("examples", [1000, 20])
def test_the_cost_is_one_training_and_forward_passes(examples):
    """Of the anchor at one strength, and of the members at both ends and at each halving."""
    problem = cases.problem("no-norm")
    WeightDropout(members=3, examples=examples).explore(problem)
    seen = min(32, cases.EXAMPLES) if examples == 20 else cases.EXAMPLES  # whole batches
    assert problem.cost.trainings == 1
    assert problem.cost.forward_examples == seen * (1 + 3 * (2 + HALVINGS))


def test_noise_that_never_leaves_the_tolerance_is_told():
    problem = least_squares()[0]
    with pytest.warns(UserWarning, match="is within 1e.09 of the anchor's at 10, the strongest"):
        strength, found = WeightDropout(tolerance=1e9).strongest(problem)
    assert strength == STRONGEST and found.size == 8


def test_noise_that_is_too_strong_from_the_first_is_told():
    problem = least_squares()[0]
    with pytest.warns(UserWarning, match=r"is .*e-0\d above the anchor's at 0.001, the weakest"):
        strength, found = WeightDropout(tolerance=1e-9).strongest(problem)
    assert strength == WEAKEST
    z = (factors(found, problem.anchor(0), "weight") - 1) / strength
    assert float(z.std()) == pytest.approx(1, abs=0.4)


def test_losses_that_are_no_numbers_are_outside():
    class Steep(nn.Linear):
        def forward(self, x):
            outputs = super().forward(x)
            return outputs + 0 * (1e36 * outputs.detach().square())  # NaN for outputs above 18

    x, y = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    problem = Problem(lambda: Steep(3, 2), Batches(x, y, 10), Recipe(epochs=5, lr=0.1))
    strength, _ = WeightDropout(tolerance=1e6).strongest(problem)
    assert WEAKEST < strength < STRONGEST


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"members": 0}, "members got 0, needs a whole number, 1 or more"),
        ({"members": 2.5}, "members got 2.5, needs a whole number"),
        ({"form": "normal"}, "form got 'normal', needs 'gaussian' or 'bernoulli'"),
        ({"tolerance": 0}, "tolerance got 0, needs 1e-09 or more"),
        ({"tolerance": float("nan")}, "tolerance got nan, needs"),
        ({"examples": 0}, "examples got 0, needs a whole number, 1 or more"),
    ],
)
def test_settings_that_make_no_sense(settings, match):
    with pytest.raises(InputError, match=f"weight-dropout.{match}") as caught:
        WeightDropout(**settings)
    assert "\n" not in str(caught.value)


class Scales(nn.Module):
    """A network without a weight of two axes."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(3))

    def forward(self, x):
        return x[:, :3] * self.scale


def train(module, seed):
    raise RuntimeError("it must not be called")


REFUSED = {
    "no weights": (
        lambda: vectors.problem(Scales),
        "none of whose trained parameters has two axes",
    ),
    "no training set": (
        lambda: Problem(lambda: nn.Linear(6, 3), train=train, unlabelled=vectors.X),
        "give train_loader=",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_before_anything_is_paid(case):
    make, match = REFUSED[case]
    problem = make()
    with pytest.raises(InputError, match=match) as caught:
        WeightDropout().explore(problem)
    assert problem.meter.cost.backward_examples == 0 and "\n" not in str(caught.value)


def test_a_training_function_beside_a_loader_needs_no_recipe():
    calls = []

    def fit(module, seed):
        calls.append(seed)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(20):
            optimizer.zero_grad()
            F.cross_entropy(module(x), y).backward()
            optimizer.step()

    x, y = cases.task()
    problem = Problem(cases.no_norm, Batches(x, y, 16), train=fit)
    assert WeightDropout(members=3).explore(problem).size == 3 and len(calls) == 1
