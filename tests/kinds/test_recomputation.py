"""Recomputation: with torch's checkpoints, training at several weights per step gives the same
result, or is refused.
"""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import vectors
from thalweg.baselines.batch_ensemble import BatchEnsemble
from thalweg.errors import InputError
from thalweg.explorers.connecting_curve import ConnectingCurve
from thalweg.explorers.espro import ESPRO
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.spro import SPRO
from thalweg.explorers.spro_complex import SPROComplex
from thalweg.training.execution import Execution
from thalweg.weights.coefficients import Simplex
from thalweg.weights.observing import observe
from thalweg.weights.point import Weights
from thalweg.weights.subspace import SubspaceModule

# torch's, of evaluations without gradients
pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")


class Checkpointed(nn.Module):
    """Blocks that are evaluated again in the backward pass, as modules or as a function of their
    parameters.
    """

    def __init__(self, form: str = "none") -> None:
        super().__init__()
        self.form = form
        self.first, self.block, self.last = (
            nn.Linear(6, 8),
            nn.Sequential(nn.Linear(8, 8), nn.Tanh()),
            nn.Linear(8, 3),
        )
        self.second = nn.Sequential(nn.Linear(8, 8), nn.Tanh())

    def forward(self, x):
        x = self.first(x)
        for block in (self.block, self.second):
            x = self.again(block, x)
        return self.last(x)

    def again(self, block, x):
        if self.form == "none":
            return block(x)
        if self.form == "function":
            return checkpoint(
                lambda x: nn.functional.linear(x, block[0].weight, block[0].bias).tanh(),
                x,
                use_reentrant=False,
            )
        return checkpoint(block, x, use_reentrant=self.form == "reentrant")


class Nested(Checkpointed):
    """A checkpoint in a checkpoint."""

    def forward(self, x):
        if self.form == "none":
            return super().forward(x)
        return checkpoint(super().forward, x, use_reentrant=False)


FORMS = ["reentrant", "not reentrant", "function"]
EXPLORERS = [
    SPRO(share=0.2),
    SPRO(share=0.2, form="paper", draws=3),
    ESPRO(share=0.2),
    SPROComplex(share=0.2),
    LearnedLine(),
    LearnedLine(layerwise=True),
    ConnectingCurve(share=0.5),
]


def explored(explorer, model) -> list[torch.Tensor]:
    found = explorer.explore(vectors.problem(model, epochs=4))
    return [p for weights in found.draw(4, seed=0) for p in weights.params.values()]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("explorer", EXPLORERS, ids=lambda explorer: type(explorer).__name__)
def test_the_same_as_without(explorer, form):
    expected, found = (
        explored(explorer, lambda own=own: Checkpointed(own)) for own in ("none", form)
    )
    assert all(
        torch.allclose(a, b, rtol=0, atol=1e-6) for a, b in zip(expected, found, strict=True)
    )


def test_a_checkpoint_in_a_checkpoint():
    expected, found = (
        explored(SPRO(share=0.2), lambda own=own: Nested(own)) for own in ("none", "not reentrant")
    )
    assert all(
        torch.allclose(a, b, rtol=0, atol=1e-6) for a, b in zip(expected, found, strict=True)
    )


@pytest.mark.parametrize("form", FORMS)
def test_gradients_at_several_draws_are_those_without(form):
    """In double precision, of vertices that are far apart."""
    gradients = []
    for own in ("none", form):
        torch.manual_seed(0)
        vertices = [Weights.of(Checkpointed().double()) for _ in range(3)]
        network = Checkpointed(own).double()
        seen = observe(
            Checkpointed(own).double(),
            vectors.X[:8].double(),
            vectors.Y[:8],
            nn.functional.cross_entropy,
        )
        module = SubspaceModule(network, vertices, Simplex(), draws=4, behaviour=seen)
        torch.manual_seed(1)
        module(vectors.X[:20].double()).square().sum().backward()
        module.carry()
        gradients.append(module.free.grad.clone())
    assert (gradients[0] - gradients[1]).abs().max() < 1e-12 * gradients[0].abs().max()


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ("reentrant", "'second', 'block'"),
        ("not reentrant", "'second', 'block'"),
        ("function", "its own forward"),
    ],
)
def test_what_can_not_work_is_refused_by_name_before_anything_is_paid(form, named):
    problem = vectors.problem(lambda: Checkpointed(form))
    assert problem.behaviour.recomputed
    with pytest.raises(
        InputError,
        match=f"batch-ensemble got a network that evaluates {named} again in the backward pass",
    ):
        BatchEnsemble().train(problem)
    assert problem.cost.trainings == 0
    with pytest.raises(InputError, match=r"stack > 1 got a network that evaluates .* again"):
        vectors.problem(lambda: Checkpointed(form), execution=Execution(stack=2))


def test_other_networks_recompute_nothing():
    for network in (
        Checkpointed(),
        nn.Sequential(nn.Linear(6, 4), Doubled(), nn.Linear(4, 3)),
        nn.Linear(6, 3),
    ):
        assert not vectors.behaviour(network).recomputed


class Square(torch.autograd.Function):
    """A backward pass written by hand is no evaluation."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return 2 * x * gradient


class Doubled(nn.Module):
    def forward(self, x):
        return Square.apply(x)
