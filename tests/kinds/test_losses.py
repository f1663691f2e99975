"""A user's loss with several draws: it is called once per draw, with outputs [batch, classes]."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import thalweg
from small import X, Y, linear, problem, same
from thalweg.errors import InputError
from thalweg.training.execution import Execution

SEVERAL = {  # all that evaluate several networks in one step
    "spro": thalweg.explorers.SPRO(vertices=1, share=0.25, draws=3),
    "spro, paper": thalweg.explorers.SPRO(vertices=1, share=0.25, draws=3, form="paper"),
    "espro": thalweg.explorers.ESPRO(simplexes=1, share=0.25, draws=2),
    "complex": thalweg.explorers.SPROComplex(modes=2, connectors=1, share=0.25, draws=2),
    "learned line": thalweg.explorers.LearnedLine(),
}
LOSSES = {
    "module": nn.CrossEntropyLoss(),
    "wrong axis where there are draws": lambda outputs, labels: nn.functional.nll_loss(
        outputs.log_softmax(1), labels
    ),
    "in place": lambda outputs, labels: nn.functional.cross_entropy(
        outputs.sub_(outputs.amax(1, keepdim=True).detach()), labels
    ),
    "by hand": lambda outputs, labels: (
        outputs.logsumexp(1) - outputs.gather(1, labels[:, None])[:, 0]
    ).mean(),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("method", SEVERAL)
def test_the_same_loss_written_by_the_user_gives_the_same(method, loss):
    expected = list(SEVERAL[method].explore(problem()).draw(3, seed=1))
    found = list(SEVERAL[method].explore(problem(loss=LOSSES[loss])).draw(3, seed=1))
    for one, other in zip(expected, found, strict=True):
        for name, p in one.params.items():
            assert torch.allclose(p, other.params[name], atol=1e-5)


@pytest.mark.parametrize(
    "method",
    [thalweg.baselines.BatchEnsemble(members=2), thalweg.baselines.PackedEnsemble(members=2)],
)
def test_ensembles_inside_one_network_too(method):
    def model():
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

    shapes = set()

    def loss(outputs, labels):
        shapes.add((outputs.dim(), labels.dim()))
        return nn.functional.cross_entropy(outputs, labels)

    one, other = (method.train(problem(model, loss=own))[1] for own in (None, loss))
    assert shapes == {(2, 1)}
    for a, b in zip(one.points, other.points, strict=True):
        assert all(torch.allclose(p, b.params[name], atol=1e-5) for name, p in a.params.items())


def test_stacked_trainings_too():
    def loss(outputs, labels):
        assert outputs.dim() == 2
        return nn.functional.cross_entropy(outputs, labels)

    one, other = (
        problem(execution=Execution(stack=2)),
        problem(execution=Execution(stack=2), loss=loss),
    )
    for a, b in zip(thalweg.train_anchors(one, 2), thalweg.train_anchors(other, 2), strict=True):
        assert all(torch.allclose(p, b.params[name], atol=1e-6) for name, p in a.params.items())


def test_label_smoothing_beside_a_loss_is_refused():
    with pytest.raises(InputError, match=r"label_smoothing got 0.1 beside a loss"):
        problem(loss=nn.CrossEntropyLoss(), recipe=thalweg.Recipe(epochs=1, label_smoothing=0.1))


def test_class_weights_are_used():
    heavy = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 1.0, 20.0]))
    plain, weighted = (problem(loss=own) for own in (None, heavy))
    shares = [
        float((thalweg.predict(p, p.anchor(0), X).mean().argmax(1) == 2).double().mean())
        for p in (plain, weighted)
    ]
    assert shares[1] > shares[0] + 0.05 and not same(plain.anchor(0), weighted.anchor(0))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (nn.CrossEntropyLoss(reduction="none"), r"gave shape \(50,\).*reduction='mean'"),
        (
            lambda outputs, labels: nn.functional.cross_entropy(outputs, labels).detach(),
            "without a graph of gradients",
        ),
        (lambda outputs, labels: nn.functional.cross_entropy(outputs, labels).item(), "gave float"),
        (
            lambda outputs, labels: nn.functional.cross_entropy(outputs, labels[:, None]),
            "one trial step raised",
        ),
        (lambda outputs: outputs.sum(), "one trial step raised TypeError"),
        (
            lambda outputs, labels: nn.functional.cross_entropy(outputs, labels) * float("nan"),
            "loss is nan",
        ),
        ("cross-entropy", "loss got a str"),
    ],
)
def test_a_loss_that_can_t_be_trained_with_is_one_line(loss, message):
    with pytest.raises(InputError, match=message) as caught:
        problem(loss=loss)
    assert "\n" not in str(caught.value)


def test_sums_are_the_user_s_choice():
    found = problem(
        linear, loss=nn.CrossEntropyLoss(reduction="sum"), recipe=thalweg.Recipe(epochs=2, lr=1e-4)
    )
    assert torch.isfinite(found.anchor(0).params["weight"]).all() and len(Y) == 200


def test_parameters_of_a_loss_are_trained_by_nobody_and_that_is_said():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, outputs, labels):
            return nn.functional.cross_entropy(self.scale * outputs, labels)

    with pytest.warns(UserWarning, match=r"'scale'.*nobody trains"):
        problem(loss=Scaled())
    problem(loss=Scaled().requires_grad_(False))  # without a warning, which is an error in tests


def counting():
    calls = []

    def loss(outputs, labels):
        calls.append(1)
        return nn.functional.cross_entropy(outputs, labels) * (1 + 0.1 * len(calls))

    return loss


def with_a_generator_of_its_own():
    random = torch.Generator().manual_seed(0)
    return lambda outputs, labels: nn.functional.cross_entropy(
        outputs + torch.randn(outputs.shape, generator=random), labels
    )


@pytest.mark.parametrize("made", [counting, with_a_generator_of_its_own])
def test_a_loss_that_changes_from_call_to_call_is_said(made):
    with pytest.warns(UserWarning, match="counts its calls, or draws from a generator of its own"):
        problem(loss=made())


@pytest.mark.parametrize(
    "noise",
    [
        lambda outputs: torch.randn_like(outputs),
        lambda outputs: torch.from_numpy(np.random.standard_normal(outputs.shape)).float(),  # noqa: NPY002  what users do
        lambda outputs: random.random() * torch.ones_like(outputs).cumsum(1),
    ],
    ids=["torch", "NumPy", "Python"],
)
def test_a_loss_that_draws_from_the_global_generators_is_right(noise):
    """Without a warning, which is an error in tests; and one seed gives one training."""
    found = [
        problem(
            loss=lambda outputs, labels: nn.functional.cross_entropy(
                outputs + noise(outputs), labels
            )
        ).anchor(0)
        for _ in range(2)
    ]
    assert same(*found)
