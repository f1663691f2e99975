"""Linear models of networks: against the Jacobian in float64, the network itself where it is
linear, and plain loops.
"""

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

import cases
from thalweg.baselines.linearised import Linear, Linearised
from thalweg.errors import Diverged, InputError
from thalweg.method import Method
from thalweg.outputs import Values
from thalweg.predicting import predict
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import load, save
from thalweg.weights.point import Weights

X = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp() -> nn.Module:
    """With batch norm, dropout and a frozen layer."""
    network = nn.Sequential(
        nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 6), nn.Tanh()
    )
    network.append(nn.Linear(6, 3)).double()
    network[4].requires_grad_(False)
    return network


def started(make=mlp, noise: float = 0.3) -> tuple[Linear, nn.Module]:
    """A linear model and the network that it is of."""
    torch.manual_seed(0)
    network = make()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    linear = Linear(make)
    linear.start(Weights.of(network), noise, random())
    return linear, network.eval()


def parts(linear: Linear, network: nn.Module, x) -> tuple:
    """f `[batch, outputs]`, J `[batch, outputs, n_params]` and w - w* `[n_params]`."""
    at = {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}
    blocks = jacrev(lambda params: functional_call(network, params, (x,)))(at)
    jacobian = torch.cat([blocks[name].flatten(2) for name in at], 2)
    away = [w - at[name] for w, name in zip(linear.weights, at, strict=True)]
    return network(x).detach(), jacobian.detach(), torch.cat([part.flatten() for part in away])


@pytest.mark.parametrize("training", [True, False])
def test_outputs_are_f_plus_the_jacobian_times_the_distance(training):
    linear, network = started()
    outputs, jacobian, away = parts(linear, network, X)
    found = linear.train(training)(X)
    assert torch.allclose(found, outputs + jacobian @ away, rtol=0, atol=1e-12)
    assert (found - outputs).abs().max() > 0.1
    at_w = dict(zip(names(network), linear.weights, strict=True))
    assert (found - functional_call(network, at_w, (X,))).abs().max() > 0.01, "it is no linear one"


def names(network: nn.Module) -> list[str]:
    return [name for name, p in network.named_parameters() if p.requires_grad]


def test_the_gradient_is_that_of_the_explicit_linear_model():
    linear, network = started()
    outputs, jacobian, away = parts(linear, network, X)
    labels = torch.arange(7) % 3
    functional.cross_entropy(linear(X), labels).backward()
    residual = (outputs + jacobian @ away).softmax(1) - functional.one_hot(labels, 3)
    expected = torch.einsum("bo,bop->p", residual, jacobian) / 7
    found = torch.cat([w.grad.flatten() for w in linear.weights])
    assert torch.allclose(found, expected.detach(), rtol=0, atol=1e-12)
    assert all(p.grad is None for p in linear.network.parameters())


def test_noise_has_its_scale_on_all_trained_weights():
    linear, network = started(lambda: nn.Linear(300, 200), noise=0.25)
    away = torch.cat([w.detach().flatten() for w in linear.weights]) - torch.cat(
        [p.detach().flatten() for p in network.parameters()]
    )
    assert float(away.std()) == pytest.approx(0.25, rel=0.02) and abs(float(away.mean())) < 0.005
    assert len(started()[0].weights) == 6, "not on frozen ones"


def test_of_a_linear_network_it_is_the_network_itself():
    """Members are what plain gradient descent on the squared loss makes of the network."""
    y = X @ torch.randn(4, 2, dtype=torch.float64, generator=random(1))
    recipe = Recipe(epochs=40, lr=0.2, momentum=0.9, weight_decay=0.1)
    problem = Problem(
        lambda: nn.Linear(4, 2).double(), Batches(X, y, size=7), recipe, outputs=Values()
    )
    method = Linearised(members=2, share=0.5, scale=0.5, lr_ratio=0.25)
    linear, found = method.train(problem)
    model = linear.build("twin")
    model.load_state_dict(problem_start(problem, linear, method, 1))
    weight, bias = (w.detach().clone() for w in model.weights)
    moving = [torch.zeros_like(weight), torch.zeros_like(bias)]
    for _ in range(20):
        residual = 2 * (X @ weight.T + bias - y) / y.numel()
        for p, moved, gradient in zip(
            (weight, bias), moving, (residual.T @ X, residual.sum(0)), strict=True
        ):
            moved.mul_(0.9).add_(gradient)
            p.sub_(0.05 * moved)  # a constant rate, and no weight decay
    member = found.points[1].params
    assert torch.allclose(member["weights.0"], weight, rtol=0, atol=1e-10)
    assert torch.allclose(member["weights.1"], bias, rtol=0, atol=1e-10)
    expected = X @ weight.T + bias
    assert torch.allclose(
        predict(linear, found, X).values()[1].double(), expected, rtol=0, atol=1e-6
    )


def problem_start(problem, linear, method, k) -> dict:
    """Where member k starts."""
    (start,) = replace(method, lr_ratio=0.0, members=k + 1).train(problem)[1].points[k:]
    return start.params | (start.buffers or {})


@pytest.mark.slow
def test_members_are_trained_to_the_nearest_weights_that_fit():
    """Of the squared loss, w_k goes to w_k + J^+ (y - f(w_k)), as for draws from the posterior of a
    Gaussian process with the kernel gamma^2 J J'.
    """
    x, y = X[:4], torch.tensor([[0.5], [-1.0], [1.0], [-0.5]], dtype=torch.float64)
    problem = Problem(
        lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double(),
        Batches(x, y, size=4),
        Recipe(epochs=3, lr=0.05),
        outputs=Values(),
    )
    method = Linearised(members=2, share=1000, scale=0.3, lr_ratio=1.0)
    linear, found = method.train(problem)
    model = linear.build("twin")
    for k, member in enumerate(found.points):
        model.load_state_dict(problem_start(problem, linear, method, k))
        network = model.network.eval()
        network.requires_grad_(True)
        outputs, jacobian, away = parts(model, network, x)
        missing = y - outputs - (jacobian @ away)
        step = torch.linalg.pinv(jacobian[:, 0]) @ missing[:, 0]
        start = torch.cat([w.flatten() for w in model.weights])
        end = torch.cat([member.params[f"weights.{i}"].flatten() for i in range(4)])
        assert torch.allclose(end, start + step, rtol=0, atol=1e-6)
        assert float(step.detach().norm()) > 0.05
    asked = predict(linear, found, torch.cat([x, 2 * X[4:]])).values()[..., 0]
    assert torch.allclose(asked[:, :4].double(), y[:, 0].expand(2, 4), atol=1e-5)
    assert float((asked[0] - asked[1])[4:].abs().min()) > 1e-3, "elsewhere they differ"


def test_without_noise_and_steps_members_are_the_anchor():
    problem = cases.problem("conv-batchnorm")
    linear, found = Linearised(members=2, scale=0.0, lr_ratio=0.0).train(problem)
    x = cases.held_out()[0]
    own = predict(problem, problem.anchor(0), x).log_probs
    assert torch.allclose(predict(linear, found, x).log_probs, own.expand(2, -1, -1), atol=1e-5)


def test_statistics_and_frozen_parameters_stay_the_anchors():
    for name in ("conv-batchnorm", "frozen", "buffers-batchnorm"):
        problem = cases.problem(name)
        _, found = Linearised(members=2).train(problem)
        anchor = problem.anchor(0)
        for weights in found.points:
            for part, own in ((weights.params, anchor.params), (weights.buffers, anchor.buffers)):
                for key, tensor in own.items():
                    assert part[f"network.{key}"] is tensor, key


def test_tied_weights_move_together():
    linear, network = started(lambda: cases.Tied().double())
    x = cases.held_out(5)[0].double()
    outputs, jacobian, away = parts(linear, network, x)
    assert torch.allclose(linear(x), outputs + jacobian @ away, rtol=0, atol=1e-10)
    state = {name: p.detach() for name, p in linear.named_parameters()}  # tied ones once
    other = Linear(lambda: cases.Tied().double())
    assert torch.equal(functional_call(other, state, (x,)), linear(x))


def test_the_settings_are_the_paper_s():
    problem = Seen(cases.no_norm, cases.batches(), replace(cases.RECIPE, warmup=0.2))
    Linearised(members=1, share=0.5, lr_ratio=0.25).train(problem)
    recipe = Seen.recipes[-1]
    assert [recipe.learning_rate(step, 15) for step in (0, 7, 14)] == [0.025] * 3
    assert recipe.weight_decay == 0 and recipe.epochs == 2.5 and recipe.momentum == 0.9


class Seen(Problem):
    """Keeps the recipes that it, and what is made of it, trained with."""

    recipes: ClassVar[list[Recipe]] = []

    def fit(self, module, recipe, *name, **settings):
        super().fit(module, recipe, *name, **settings)
        self.recipes.append(recipe)


def test_cost():
    """One training, and 5/3 of members x share in all layers but the first, where it is 2."""
    method = Linearised(members=4, share=0.2)
    assert method.trainings == pytest.approx(1 + 2 * 0.8)
    problem = cases.problem("no-norm")
    linear, found = method.train(problem)
    first, last = 36 * 8, 8 * 3
    ratio = (4 * first + 5 * last) / (2 * first + 3 * last)
    trial = 2 / problem.training_examples
    assert problem.cost.trainings == pytest.approx(1 + ratio * (0.8 + trial), rel=0.01)
    spent = problem.cost
    predict(linear, found, cases.held_out(30)[0])
    assert problem.cost == spent and linear.cost.forward_examples == 4 * 30


class Attention(nn.Module):
    """Torch's layer, which has a fast path in evaluation, and a fused function."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
        self.query, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.block(x[:, 0])
        x = functional.scaled_dot_product_attention(self.query(x), x, x)
        return self.head(x.mean(1))


def test_attention_is_differentiated_and_torch_s_switch_stays():
    linear, network = started(lambda: Attention().double())
    x = cases.held_out(5)[0].double()
    with torch.no_grad():
        found = linear.eval()(x)
    assert torch.backends.mha.get_fastpath_enabled()
    network.train()  # torch's fast path has no derivative; nothing is dropped
    with sdpa_kernel(SDPBackend.MATH):
        outputs, jacobian, away = parts(linear, network, x)
    assert torch.allclose(found, outputs + jacobian @ away, rtol=0, atol=1e-10)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.cell(x[:, 0])[0][:, -1])


class Cube(torch.autograd.Function):
    """With a backward of its own, and nothing in forward mode."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


class Cubic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(36, 3)

    def forward(self, x):
        return Cube.apply(self.head(x.flatten(1)))


class Again(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(36, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = torch.utils.checkpoint.checkpoint(self.first, x.flatten(1), use_reentrant=False)
        return self.head(x.tanh())


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (Recurrent, "can't be differentiated in forward mode .*mkldnn_rnn_layer.*, needs"),
        (Cubic, "can't be differentiated in forward mode .*, needs .*make it without them"),
        (Again, "evaluates 'first' again in the backward pass .*without checkpointing"),
    ],
)
def test_what_has_no_derivative_in_forward_mode_is_refused_before_anything_is_paid(make, line):
    problem = Problem(make, cases.batches(), cases.RECIPE)
    with pytest.raises(InputError, match=f"^linearised got a network that {line}") as caught:
        Linearised().train(problem)
    assert "\n" not in str(caught.value)
    assert problem.cost.backward_examples == 0 and not problem.has(0)


def test_a_rate_that_is_too_high_diverges():
    x, y = cases.task()
    problem = Problem(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 1)),
        Batches(x, y[:, None].float() - 1, size=16),
        replace(cases.RECIPE, lr=0.01),
        outputs=Values(),
    )
    with pytest.raises(Diverged, match="lower the learning rate"):
        Linearised(members=1, share=10.0, lr_ratio=1e4).train(problem)


def test_repeated_it_has_an_anchor_each_time():
    """Each draw brings its own anchor, which the first problem's network takes."""
    problem = cases.problem("conv-batchnorm")
    method = Method(Linearised(members=2), repeat=2)
    linear, found = method.explore(problem)
    assert (method.anchors, method.size) == (1, 4)
    first, _, third, _ = found.draw(4, seed=0)
    assert not torch.equal(first.params["network.0.weight"], third.params["network.0.weight"])
    x, y = cases.held_out()
    alone = predict(linear, third, x)
    assert torch.equal(predict(linear, found, x).log_probs[2], alone.log_probs[0])
    assert float((alone.probs()[0].argmax(-1) == y).double().mean()) > 0.8


def test_it_is_stored_and_read(tmp_path):
    problem = cases.problem("conv-batchnorm")
    linear, found = Linearised(members=2).train(problem)
    save(found, tmp_path / "found.safetensors")
    x = cases.held_out()[0]
    again = predict(linear, load(tmp_path / "found.safetensors"), x)
    assert torch.equal(again.log_probs, predict(linear, found, x).log_probs)


def test_a_user_s_network_and_loop_are_the_anchor():
    calls = []

    def fit(module, seed):
        calls.append(seed)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        for x, y in cases.batches():
            optimizer.zero_grad()
            functional.cross_entropy(module(x), y).backward()
            optimizer.step()

    settings = {"train_loader": cases.batches(), "recipe": cases.RECIPE}
    problem = Problem(cases.no_norm, train=fit, **settings)
    Linearised(members=2).train(problem)
    assert len(calls) == 1
    given = Problem(cases.no_norm, networks=problem.network(problem.anchor(0)), **settings)
    linear, found = Linearised(members=2).train(given)
    assert predict(linear, found, cases.held_out()[0]).members == 2
    assert torch.equal(
        found.points[0].params["network.1.weight"], problem.anchor(0).params["1.weight"]
    )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"members": 0}, "linearised.members got 0"),
        ({"share": 0.0}, "linearised.share got 0"),
        ({"scale": -1.0}, "linearised.scale got -1"),
        ({"lr_ratio": float("nan")}, "linearised.lr_ratio got nan"),
    ],
)
def test_settings_are_checked(settings, line):
    with pytest.raises(InputError, match=line):
        Linearised(**settings)
