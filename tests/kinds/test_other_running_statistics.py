"""Other running statistics: those of torch's norms are refreshed in any layer; others are refused
by name.
"""

import pytest
import torch
from torch import nn

import vectors
from thalweg.baselines.batch_ensemble import BatchEnsemble
from thalweg.errors import InputError
from thalweg.explorers.base import explorers
from thalweg.meter import Meter
from thalweg.predicting import predict
from thalweg.weights.batchnorm import refresh
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.point import Weights

IMAGES = vectors.X.reshape(200, 2, 3)


class Averages(nn.Module):
    """A norm written by hand, with an average of means and a count of its steps."""

    def __init__(self, *, form: str = "changed") -> None:
        super().__init__()
        self.form = form
        self.register_buffer("average", torch.zeros(6))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x):
        if self.training:
            self.steps += 1
            mean = x.detach().mean(0)
            if self.form == "changed":
                self.average.lerp_(mean, 0.1)
            elif self.form == "replaced":
                self.average = 0.9 * self.average + 0.1 * mean
            else:
                self.average.copy_(mean)  # of the last batch
        return x - self.average


class Frozen(Averages):
    """It keeps them as a parameter without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        del self.average
        self.average = nn.Parameter(torch.zeros(6), requires_grad=False)


class Renormalised(nn.BatchNorm1d):
    """A batch norm by name, which does something else."""

    def forward(self, x):
        if self.training:
            self.running_mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
        return (x - self.running_mean) * self.weight + self.bias


class Own(nn.Module):
    """A layer of one's own that calls torch's batch norm, with buffers that have other names."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(6))
        self.register_buffer("width", torch.ones(6))

    def forward(self, x):
        return nn.functional.batch_norm(
            x, self.centre, self.width, training=self.training, momentum=0.01
        )


class Cached(nn.Module):
    """What it needs is made at the first evaluation and kept, and a counter counts its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("waves", torch.zeros(6))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x):
        self.waves.copy_(torch.arange(6.0).sin())
        self.steps += self.training
        return x + self.waves


def with_head(first: nn.Module) -> nn.Module:
    return nn.Sequential(first, nn.Linear(6, 3))


UNKNOWN = {
    "changed": (Averages, "'0.average'"),
    "replaced": (lambda: Averages(form="replaced"), "'0.average'"),
    "of the last batch": (lambda: Averages(form="last"), "'0.average'"),
    "a parameter": (Frozen, "'0.average'"),
    "a batch norm by name": (lambda: Renormalised(6), "'0.running_mean'"),
}


def test_instance_norm():
    """The mean over inputs of the mean within each."""
    norm = nn.InstanceNorm1d(2, track_running_stats=True)
    network = nn.Sequential(nn.Unflatten(1, (2, 3)), norm, nn.Flatten(), nn.Linear(6, 3))
    (found,) = vectors.refreshed(network, 60, 20)
    assert torch.allclose(found["1.running_mean"], IMAGES[:80].mean((0, 2)), rtol=0, atol=1e-6)
    assert torch.allclose(found["1.running_var"], IMAGES[:80].var(2).mean(0), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(6),
        nn.BatchNorm1d(6, momentum=None),
        nn.SyncBatchNorm(6),
        nn.BatchNorm1d(6, affine=False),
        Own(),
        nn.Sequential(nn.Unflatten(1, (6, 1)), nn.SyncBatchNorm(6), nn.Flatten()),
        nn.Sequential(nn.Unflatten(1, (6, 1, 1)), nn.BatchNorm2d(6), nn.Flatten()),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_all_that_are_torchs_are_averages_over_the_data(layer):
    (found,) = vectors.refreshed(with_head(layer), 50, 50)
    mean = next(b for name, b in found.items() if name.endswith(("mean", "centre")))
    assert torch.allclose(mean, vectors.X[:100].mean(0), rtol=0, atol=1e-6)


def test_a_lazy_layer_that_was_made():
    network = nn.Sequential(nn.LazyBatchNorm1d(), nn.Linear(6, 3))
    network(vectors.X)
    (found,) = vectors.refreshed(network, 50, 50)
    assert torch.allclose(found["0.running_mean"], vectors.X[:100].mean(0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", UNKNOWN)
@pytest.mark.parametrize("name", list(explorers()))
def test_every_explorer_works_or_refuses_by_name_before_anything_is_paid(name, kind):
    """Whatever can't be taken again at new weights: a method makes none, or says so."""
    model, named = UNKNOWN[kind]
    problem = vectors.problem(lambda: with_head(model()), size=25, epochs=2)
    try:
        found = explorers()[name]().explore(problem)
    except InputError as error:
        assert named in str(error) and "\n" not in str(error) and "deep-ensemble" in str(error)
        assert problem.cost.trainings == 0 and problem.cost.seconds == 0
        assert name not in (
            "deep-ensemble",
            "restarts",
            "snapshot",
            "fge",
            "short-ensemble",
            "last-layer-laplace",
            "csgld",
        )
    else:
        assert all(weights.buffers is not None for weights in found.draw(3, seed=0))


def test_a_baseline_whose_members_have_no_statistics_of_their_own():
    problem = vectors.problem(lambda: with_head(Averages()), epochs=2)
    with pytest.raises(InputError, match=r"'0\.average'"):
        BatchEnsemble().train(problem)
    assert problem.cost.trainings == 0


class Unregistered(nn.Module):
    """An average that is no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.average = torch.zeros(6)

    def forward(self, x):
        if self.training:
            self.average = 0.5 * self.average + 0.5 * x.detach().mean(0) + 0.1
        return x - self.average


class Numbers(Unregistered):
    """One that is not even a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.average = 0.0

    def forward(self, x):
        if self.training:
            self.average = 0.5 * self.average + 0.5 * float(x.mean()) + 0.1
        return x - self.average


class Features(nn.Module):
    """Random features that are no buffer: each network has its own."""

    def __init__(self) -> None:
        super().__init__()
        self.average = torch.randn(6, 6)

    def forward(self, x):
        return (x @ self.average).sin()


@pytest.mark.parametrize(("model", "named"), [
    (Unregistered, r"'0\.average'"), (Numbers, "in its attributes"), (Features, r"'0\.average'"),
])  # fmt: skip
def test_what_weights_do_not_hold_is_refused_when_the_problem_is_made(model, named):
    with pytest.raises(
        InputError, match=f"keeps something else .{named}.: make that a buffer, register_buffer"
    ):
        vectors.problem(lambda: with_head(model()))


def test_a_refresh_refuses_too():
    network = with_head(Averages())
    point = Weights(Weights.of(network).params, stale=Weights.of(network).buffers)
    with pytest.raises(InputError, match=r"changes '0.average' while it trains"):
        refresh(network, [point], [], Meter(), vectors.behaviour(network))


def test_counters_and_what_is_made_once_are_kept():
    network = with_head(Cached())
    assert vectors.behaviour(network) == Behaviour()
    problem = vectors.problem(lambda: with_head(Cached()), epochs=2)
    for name in ("spro", "swag", "learned-line"):
        predict(problem, explorers()[name]().explore(problem), vectors.X, draws=2)
    assert problem.anchor(0).buffers["0.steps"] == 8


def test_nothing_that_the_caller_has_is_changed():
    """The look trains nothing, draws from no random state of the caller's, and leaves the network's
    modes alone.
    """
    network = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3)).eval()
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    before = torch.random.get_rng_state()
    vectors.behaviour(network)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
