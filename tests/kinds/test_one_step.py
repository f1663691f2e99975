"""Faults that one step shows are found when a problem is made: it works, or gives one line."""

import functools
import itertools
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import thalweg
from small import X, Y, linear, problem
from thalweg.errors import InputError


class Tuple(nn.Module):
    """Gives more than logits, in some mode."""

    def __init__(self, *, when: str, kind=tuple):
        super().__init__()
        self.layer, self.when, self.kind = linear(), when, kind

    def forward(self, x):
        z = self.layer(x)
        if self.when == "always" or (self.when == "training") == self.training:
            return {"logits": z} if self.kind is dict else self.kind((z, z))
        return z


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = linear()

    def forward(self, x):
        return self.layer(x).detach()


class HalfDetached(nn.Module):
    """Its first layer is never trained."""

    def __init__(self, how: str = "detach"):
        super().__init__()
        self.first, self.second, self.how = nn.Linear(6, 6), linear(), how

    def forward(self, x):
        if self.how == "detach":
            return self.second(self.first(x).detach())
        with torch.no_grad():
            z = self.first(x)
        return self.second(z)


@pytest.mark.parametrize("how", ["detach", "no_grad"])
def test_a_layer_that_gets_no_gradient_is_named(how):
    with pytest.warns(
        UserWarning, match=r"'first.weight' and 1 other parameters get no gradient in a trial step"
    ):
        problem(lambda: HalfDetached(how))

    def frozen():
        network = HalfDetached(how)
        network.first.requires_grad_(False)
        return network

    problem(frozen)  # without a warning, which is an error in tests


class Growing(nn.Module):
    """A buffer that takes the shape of its inputs."""

    def __init__(self):
        super().__init__()
        self.layer = linear()
        self.register_buffer("mask", torch.ones(1, 1))

    def forward(self, x):
        self.mask = torch.ones(len(x), 1)
        return self.layer(x) * self.mask


class Late(nn.Module):
    """A layer that is made when it is first needed."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 4), None

    def forward(self, x):
        if self.second is None:
            self.second = nn.Linear(4, 3)
        return self.second(self.first(x))


class Copies(nn.Module):
    """Keeps a list of weights that are not looked up at each evaluation."""

    def __init__(self):
        super().__init__()
        self.layer = linear()
        self.kept = [self.layer.weight, self.layer.bias]

    def forward(self, x):
        return nn.functional.linear(x, *self.kept)


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3, dtype=torch.cfloat)

    def forward(self, x):
        return self.layer(x.to(torch.cfloat)).abs()


class Counts(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.layer, self.count = nn.Linear(6, count), count

    def forward(self, x):
        return self.layer(x)[:, 0] if not self.count - 1 else self.layer(x)


def sparse():
    return nn.Sequential(nn.EmbeddingBag(10, 4, sparse=True), nn.Linear(4, 3))


def seeds_itself():
    torch.manual_seed(0)
    return linear()


def own_generator():
    network = linear()
    nn.init.normal_(network.weight, generator=OWN)
    return network


def differing():
    width = int(torch.randint(3, 9973, ()))
    return nn.Sequential(nn.Linear(6, width), nn.Linear(width, 3))


def raises():
    raise FileNotFoundError("weights.pt")


SHARED, CACHED, OWN = (
    nn.Linear(6, 6),
    itertools.cycle([linear(), linear()]),
    torch.Generator().manual_seed(0),
)
IDS = torch.randint(0, 10, (200, 5), generator=torch.Generator().manual_seed(1))

REFUSED = {
    "a tuple in training mode": (
        lambda: Tuple(when="training"),
        r"output is tuple for 50 inputs in training mode",
    ),
    "a tuple in evaluation mode": (
        lambda: Tuple(when="evaluation"),
        "output is tuple, with .*say which of it is the tensor of logits, Problem",
    ),
    "a dict in training mode": (
        lambda: Tuple(when="training", kind=dict),
        r"output is dict for 50 inputs in training mode, with logits: .*pick='logits'",
    ),
    "a list in training mode": (lambda: Tuple(when="training", kind=list), "output is list"),
    "one logit": (lambda: Counts(1), r"output is \(2,\)"),
    "one logit with an axis": (lambda: nn.Linear(6, 1), "one logit each.*give it two outputs"),
    "outputs without gradients": (Detached, "no graph of gradients in training mode"),
    "a buffer that is resized": (Growing, r"changed the shape of '.*mask' from \(1, 1\) to"),
    "a layer that is made late": (Late, "changed the shape of 'second.weight' from nothing"),
    "weights that are kept in a list": (
        Copies,
        "does not use parameters and buffers that are put in the place of its own",
    ),
    "a ScriptModule": (
        lambda: torch.jit.script(linear()),
        "gave a ScriptModule.*give the Python module",
    ),
    "a factory that seeds torch": (seeds_itself, "seeds torch itself"),
    "a factory that shares a layer": (
        lambda: nn.Sequential(SHARED, linear()),
        "share '0.weight'.*copy.deepcopy",
    ),
    "a factory with a cache": (functools.cache(linear), "gave the same module twice"),
    "a factory that gives two in turn": (lambda: next(CACHED), "gave the same module twice"),
    "a factory with a generator of its own": (own_generator, "draws from a generator of its own"),
    "a factory that raises": (raises, "raised FileNotFoundError .weights.pt"),
    "a factory with arguments": (
        lambda width: nn.Linear(6, width),
        "raised TypeError.*without arguments",
    ),
    "a factory whose networks differ": (differing, "differ in the names or shapes"),
    "weights without numbers": (
        lambda: nn.Linear(6, 3, device="meta"),
        "'weight' is on the device 'meta'",
    ),
    "complex weights": (lambda: Complex(), "'layer.weight' is complex, needs real numbers"),
    "an exported graph": (
        lambda: torch.export.export(linear(), (X[:2],)).module(),
        "can't be put in training and in evaluation",
    ),
    "frozen altogether": (
        lambda: linear().requires_grad_(False),
        "no parameter that requires a gradient",
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_one_line(kind):
    model, message = REFUSED[kind]
    with pytest.raises(InputError, match=message) as caught:
        problem(model)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_sparse_gradients_are_one_line_or_work():
    """torch's fused and momentum-free SGD take some of them; what it does not take is said before
    anything is trained.
    """
    loader = thalweg.Batches(IDS, Y, 50)
    with pytest.raises(InputError, match=r"one trial step raised .*(sparse|Sparse)"):
        problem(sparse, train_loader=loader)


def test_lazy_layers_get_their_sizes():
    def model():
        return nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(3))

    def plain():
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    for explorer in (
        thalweg.explorers.DeepEnsemble(2),
        thalweg.explorers.SPRO(vertices=1, share=0.25),
        thalweg.explorers.SWAG(),
        thalweg.explorers.LearnedLine(),
    ):
        lazy, known = problem(model), problem(plain)
        one, other = (thalweg.predict(p, explorer.explore(p), X, draws=2) for p in (lazy, known))
        assert one.log_probs.shape == other.log_probs.shape and torch.isfinite(one.log_probs).all()
        assert lazy.cost.trainings == pytest.approx(known.cost.trainings)
        accuracy = [float((p.mean().argmax(1) == Y).double().mean()) for p in (one, other)]
        assert abs(accuracy[0] - accuracy[1]) < 0.25


def test_wrappers_are_taken_off():
    plain = problem()
    for wrap in (nn.DataParallel, lambda network: torch.compile(network, backend="eager")):
        wrapped = problem(lambda wrap=wrap: wrap(linear()))
        assert all(
            torch.equal(p, plain.anchor(0).params[name])
            for name, p in wrapped.anchor(0).params.items()
        )


def test_gradients_that_are_switched_off():
    expected = problem().anchor(0)
    with torch.no_grad():
        found = problem()
        assert all(
            torch.equal(p, expected.params[name]) for name, p in found.anchor(0).params.items()
        )
        thalweg.predict(
            found, thalweg.explorers.SPRO(vertices=1, share=0.25).explore(found), X, draws=2
        )
    with (
        torch.inference_mode(),
        pytest.raises(InputError, match=r"inference_mode.*no_grad.* does no harm"),
    ):
        problem()
    with torch.inference_mode(), pytest.raises(InputError, match=r"inference_mode"):
        found.fit(linear(), found.recipe, "anchor", 0)
    was = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        assert all(
            torch.equal(p, expected.params[name]) for name, p in problem().anchor(0).params.items()
        )
    finally:
        torch.set_grad_enabled(was)


def test_labels_that_are_no_classes_far_into_a_long_loader():
    wrong = Y.clone()
    wrong[-1] = 7
    with pytest.raises(InputError, match=r"label 7, needs 0 to 2"):
        problem(train_loader=thalweg.Batches(X, wrong, 50))
    with pytest.raises(InputError, match=r"label"):
        found = problem(
            train_loader=DataLoader(
                TensorDataset(X.repeat(50, 1), wrong.repeat(50)), 10, shuffle=True
            )
        )
        found.anchor(0)


def test_a_loader_that_raises_is_one_line():
    class Broken(TensorDataset):
        def __getitem__(self, i):
            raise OSError("image 17 is truncated")

    with pytest.raises(InputError, match=r"raised OSError .*image 17 is truncated") as caught:
        problem(train_loader=DataLoader(Broken(X, Y), 50, shuffle=True))
    assert "\n" not in str(caught.value)


def test_the_look_is_cheap():
    """It evaluates a network fewer times than ten steps do, and builds a handful."""
    built, seen = [], []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear()
            built.append(1)

        def forward(self, x):
            seen.append(len(x))
            return self.layer(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem(Watched, size=100)
    assert len(built) <= 5 and sum(seen) < 10 * 100 and len(seen) <= 20
