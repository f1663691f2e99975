"""Buffers that follow the weights: at new points, spectral norm has the new weights' singular
vectors and norm 1.
"""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import vectors
from thalweg.errors import Diverged, InputError
from thalweg.explorers.connecting_curve import ConnectingCurve
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.spro import SPRO
from thalweg.explorers.swag import SWAG
from thalweg.predicting import predict, sample
from thalweg.weights.batchnorm import refresh
from thalweg.weights.point import Weights, mix
from thalweg.weights.subspace import Subspace


def new() -> nn.Module:
    return nn.Sequential(
        parametrizations.spectral_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 3)
    )


def old() -> nn.Module:
    return nn.Sequential(nn.utils.spectral_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 3))


def convolution() -> nn.Module:
    """With more columns than rows, the rows on another axis, and a batch norm."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 6)),
        parametrizations.spectral_norm(nn.Conv1d(1, 3, 3), dim=1),
        nn.BatchNorm1d(3),
        nn.utils.spectral_norm(nn.ConvTranspose1d(3, 2, 3)),
        nn.Flatten(),
        nn.Linear(12, 3),
    )


def shared() -> nn.Module:
    layer = parametrizations.spectral_norm(nn.Linear(6, 6))
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(6, 3))


def norms(problem, weights) -> list[float]:
    """The spectral norms of all weights that have one, as the network predicts with them."""
    network = problem.network(weights).eval()
    with torch.no_grad():
        network(vectors.X[:2])  # the old form computes its weight in a hook
    found = []
    for module in network.modules():
        hooks = [
            hook
            for hook in module._forward_pre_hooks.values()
            if hasattr(hook, "n_power_iterations")
        ]
        if parametrize.is_parametrized(module) or hooks:
            spectral = hooks[0] if hooks else module.parametrizations.weight[0]
            found.append(
                float(
                    torch.linalg.matrix_norm(
                        module.weight.detach().movedim(spectral.dim, 0).flatten(1), 2
                    )
                )
            )
    assert found
    return found


MODELS = {"new": new, "old": old, "convolution": convolution, "shared": shared}


@pytest.mark.parametrize("name", MODELS)
def test_the_norm_is_one_between_anchors(name):
    problem = vectors.problem(MODELS[name])
    segment = Subspace((problem.anchor(0), problem.anchor(1)))
    points = [segment.at(torch.tensor(c)) for c in ([0.0, 1.0], [0.5, 0.5], [0.3, 0.7])]
    for weights in problem.refresh(problem.build("network"), points):
        assert norms(problem, weights) == pytest.approx(
            [1.0] * len(norms(problem, weights)), abs=1e-3
        )


@pytest.mark.parametrize(
    "explorer", [SPRO(vertices=1), SWAG(), LearnedLine(), ConnectingCurve(share=0.2)]
)
@pytest.mark.parametrize("name", ["new", "old"])
def test_the_norm_is_one_at_draws(explorer, name):
    problem = vectors.problem(MODELS[name])
    for weights in sample(problem, explorer.explore(problem), 3):
        assert norms(problem, weights) == pytest.approx([1.0], abs=1e-3)


@pytest.mark.parametrize("name", ["new", "old"])
def test_a_vertex_predicts_what_a_training_ended_with(name):
    """The power method has almost found the singular vectors by then."""
    problem = vectors.problem(MODELS[name], epochs=30)
    anchors = [problem.anchor(k) for k in range(2)]
    found = predict(problem, Subspace((anchors[1],)), vectors.X, draws=1).probs()
    assert (found - predict(problem, anchors[1], vectors.X).probs()).abs().max() < 0.01


@pytest.mark.parametrize("name", ["new", "old"])
def test_a_line_is_trained_with_the_norm_of_its_draws(name, monkeypatch):
    """In each evaluation, however far the draw is from the last one."""
    seen = []
    model = MODELS[name]

    def watched() -> nn.Module:
        network = model()
        network[1].register_forward_pre_hook(lambda *_: seen.append(network[0].weight.detach()))
        return network

    problem = vectors.problem(watched)
    seen.clear()
    LearnedLine().explore(problem)
    assert len(seen) == 32
    found = torch.stack([torch.linalg.matrix_norm(weight, 2) for weight in seen])
    assert torch.allclose(found, torch.ones(32), rtol=0, atol=1e-3)


@pytest.mark.parametrize("form", [nn.utils.weight_norm, parametrizations.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weight_norm_has_no_buffers_and_needs_nothing(form):
    """At a mixed point its weight is g v / |v| of the mixed g and v."""
    torch.manual_seed(0)
    made = [nn.Sequential(form(nn.Linear(6, 8)), nn.Linear(8, 3)) for _ in range(2)]
    point = mix([Weights.of(network) for network in made], [0.25, 0.75])
    (found,) = refresh(made[0], [point], [], None, vectors.behaviour(made[0]))
    found.load_into(made[0])
    g, v = (
        p
        for name, p in point.params.items()
        if name
        in (
            "0.weight_g",
            "0.weight_v",
            "0.parametrizations.weight.original0",
            "0.parametrizations.weight.original1",
        )
    )
    bias = point.params["0.bias"]
    expected = made[0][1](vectors.X @ (g * v / v.norm(dim=1, keepdim=True)).T + bias)
    assert torch.allclose(made[0](vectors.X), expected, rtol=0, atol=1e-6)


def test_orthogonal_weights_stay_orthogonal():
    """Between two networks of one start: its base is a buffer that never changes."""
    problem = vectors.problem(
        lambda: nn.Sequential(parametrizations.orthogonal(nn.Linear(6, 6)), nn.Linear(6, 3))
    )
    for weights in sample(problem, SPRO(vertices=1).explore(problem), 3):
        q = problem.network(weights)[0].weight
        assert torch.allclose(q @ q.T, torch.eye(6), rtol=0, atol=1e-5)


def pruned() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    prune.l1_unstructured(network[0], "weight", 0.5)
    return network


def test_what_was_pruned_stays_so():
    problem = vectors.problem(pruned)
    mask = problem.anchor(0).buffers["0.weight_mask"]
    for weights in sample(problem, SPRO(vertices=1).explore(problem), 3):
        assert torch.equal(weights.buffers["0.weight_mask"], mask)
        network = problem.network(weights)
        network(vectors.X)
        assert torch.equal(network[0].weight == 0, mask == 0)


@pytest.mark.parametrize("name", ["new", "old"])
def test_a_training_that_diverges_says_so(name):
    problem = vectors.problem(MODELS[name])
    with pytest.raises(Diverged):
        SPRO(vertices=1, share=1.0, lr_ratio=1e30).explore(problem)


class Kept(nn.Module):
    """A layer that stays in evaluation mode: what it is divided by are fixed vectors times its
    weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = parametrizations.spectral_norm(nn.Linear(6, 8)), nn.Linear(8, 3)

    def train(self, mode: bool = True):
        super().train(mode)
        self.layer.eval()
        return self

    def forward(self, x):
        return self.head(self.layer(x))


def test_vectors_that_do_not_train_stay_as_they_are():
    problem = vectors.problem(Kept)
    anchor = problem.anchor(0)
    for weights in sample(problem, SPRO(vertices=1, share=0.5).explore(problem), 3):
        assert all(
            torch.equal(buffer, anchor.buffers[name]) for name, buffer in weights.buffers.items()
        )


class Written(nn.Module):
    """A spectral norm of one's own, with a step of the power method in each training evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(6, 8, bias=False), nn.Linear(8, 3)
        self.register_buffer("right", torch.ones(6))

    def forward(self, x):
        weight = self.layer.weight
        if self.training:
            with torch.no_grad():
                self.right.copy_(nn.functional.normalize(weight.T @ (weight @ self.right), dim=0))
        return self.head(x @ weight.T / (weight @ self.right).norm())


class After(nn.Module):
    """Torch's spectral norm of what another parametrisation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = parametrizations.spectral_norm(parametrizations.weight_norm(nn.Linear(6, 3)))

    def forward(self, x):
        return self.layer(x)


@pytest.mark.filterwarnings("ignore:.*no gradient in a trial step")
@pytest.mark.parametrize(
    ("model", "named"), [(Written, "'right'"), (After, "'layer.parametrizations.weight.1._u'")]
)
def test_what_is_not_known_is_refused_by_name(model, named):
    problem = vectors.problem(model)
    with pytest.raises(InputError, match=named):
        SPRO().explore(problem)
    assert problem.cost.trainings == 0


def test_the_network_is_left_alone():
    network = new()
    kept = copy.deepcopy(network.state_dict())
    vectors.refreshed(network, 10)
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
