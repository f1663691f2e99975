"""Adversaries: the search against a twin in double precision, what holds it, where it starts, what
it leaves alone, and what is counted.
"""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Normal, kl_divergence
from torch.func import functional_call

import cases
import contract
import thalweg
from thalweg.errors import InputError
from thalweg.explorers import adversaries
from thalweg.explorers._parts.leading import Pull, distances, shown, unit_of
from thalweg.explorers._parts.witnesses import witnesses
from thalweg.explorers.adversaries import Adversaries
from thalweg.predicting import predict
from thalweg.seeds import generator
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
CLASS = torch.where(torch.arange(40) % 5 == 0, torch.arange(40) % 3, X.argmax(1))
NUMBERS = 30 * X[:, :2] + torch.tensor([100.0, 0.0])
RECIPE = Recipe(epochs=40, lr=0.1)
KINDS = {
    "classes": (CLASS, 3, thalweg.Classes()),
    "values": (NUMBERS, 2, thalweg.Values(mean=(100.0, 0.0), std=30.0)),
}
FORMS = ("loss", "outputs")


def full_batch(kind: str, **settings) -> Problem:
    """One batch an epoch, so that no order counts."""
    y, columns, outputs = KINDS[kind]
    model = lambda: nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, columns))  # noqa: E731
    given = {"train_loader": Batches(X, y, 40), "recipe": RECIPE, "outputs": outputs}
    return Problem(model, **{**given, **settings})


def divergence(kind: str, first: torch.Tensor, second: torch.Tensor, unit: float) -> torch.Tensor:
    if kind == "classes":
        return kl_divergence(Categorical(logits=first), Categorical(logits=second))
    return kl_divergence(Normal(first, unit), Normal(second, unit)).sum(-1)


def twin(problem: Problem, kind: str, settings: Adversaries, k: int) -> dict[str, torch.Tensor]:
    """A search in plain steps."""
    network = problem.build("twin").double()
    anchor = {name: p.double() for name, p in problem.anchor(0).params.items()}
    asked = witnesses(problem, settings.members * settings.places, "adversaries").double()
    asked = asked.reshape(settings.members, settings.places, 3)[k]
    y = KINDS[kind][0]

    def said(params, x):
        return functional_call(network, params, (x,))

    def loss(params):
        if kind == "classes":
            return -said(params, X.double()).log_softmax(1)[torch.arange(40), y].mean()
        wanted = (y.double() - torch.tensor([100.0, 0.0])) / 30
        return ((said(params, X.double()) - wanted) ** 2).mean()

    unit = 1.0 if kind == "classes" else float(said(anchor, asked).std(0).square().sum().sqrt())
    random = generator(problem.seed, "adversaries", "start", k)
    noise = torch.randn(settings.places, KINDS[kind][1], generator=random).double()
    start = said(anchor, asked) + 0.3 * unit * noise
    params = {name: p.clone().requires_grad_() for name, p in anchor.items()}
    speed = {name: torch.zeros_like(p) for name, p in anchor.items()}
    steps, mean, strength = round(40 * settings.share), None, settings.strength
    rising = 0.1 * steps
    for step in range(steps):
        if settings.form == "loss":
            rise = loss(params) - loss(anchor)
        else:
            rise = divergence(kind, said(anchor, X.double()), said(params, X.double()), unit).mean()
        apart = divergence(kind, start, said(params, asked), unit)
        total = rise - strength * torch.minimum(apart, torch.tensor(settings.reach)).mean()
        rate = 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
        rate = 0.1 * settings.lr_ratio * ((step + 1) / (rising + 1) if step < rising else rate)
        for name, slope in zip(
            params, torch.autograd.grad(total, list(params.values())), strict=True
        ):
            speed[name] = 0.9 * speed[name] + slope + 5e-4 * params[name].detach()
        params = {
            name: (p.detach() - rate * speed[name]).requires_grad_() for name, p in params.items()
        }
        risen = float(rise.detach())
        mean = risen if mean is None else 0.8 * mean + 0.2 * risen
        above = max(0.0, mean - settings.tolerance)
        strength = settings.strength * math.exp(-above / settings.tolerance)
    assert strength < settings.strength, "the band must be tried"
    return {name: p.detach() for name, p in params.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_a_search_is_that_of_the_twin(form, kind):
    own = full_batch(kind)
    settings = Adversaries(
        members=2, share=0.5, form=form, places=30, tolerance=0.002, reach=0.2, strength=2.0
    )
    found = settings.explore(own)
    for k, weights in enumerate(found.points):
        for name, expected in twin(own, kind, settings, k).items():
            assert torch.allclose(weights.params[name].double(), expected, atol=2e-4), name
            moved = float((expected - own.anchor(0).params[name]).abs().max())
            assert moved > 0.02, "nothing was tried"


def test_one_logit_is_as_far_as_two_classes_are():
    one, other = torch.tensor([[0.3], [-2.0]]), torch.tensor([[1.3], [1.0]])
    binary = thalweg.Binary()
    found = distances(binary, other, binary.store(one), 1.0)
    pairs = (torch.cat([0 * logit, logit], 1) for logit in (one, other))
    assert torch.allclose(found, kl_divergence(*(Categorical(logits=pair) for pair in pairs)))
    assert unit_of(binary, binary.store(one)) == 1.0


def test_values_that_are_all_the_same_have_a_unit():
    assert unit_of(thalweg.Values(), torch.full((5, 2), 7.0)) == 1.0


def unsure(network: str = "no-norm", **settings) -> Problem:
    """A fifth of the labels is wrong, so that no network is certain."""
    return cases.problem(network, train_loader=Batches(*noisy(), cases.SIZE), **settings)


def noisy() -> tuple[torch.Tensor, torch.Tensor]:
    x, y = cases.task()
    return x, torch.where(torch.arange(len(y)) % 5 == 0, (y + 1) % cases.CLASSES, y)


def far(problem: Problem, found, inputs) -> torch.Tensor:
    """The mean divergence of each member from the anchor at inputs `[members]`."""
    anchor = predict(problem, problem.anchor(0), inputs).log_probs
    said = predict(problem, found, inputs).log_probs
    return (anchor.exp() * (anchor - said)).sum(-1).mean(1)


def rises(problem: Problem, found) -> torch.Tensor:
    """By how much each member's loss on the training set is above the anchor's `[members]`."""
    x, y = noisy()

    def losses(networks):
        said = predict(problem, networks, x).log_probs
        return -said[:, torch.arange(len(y)), y].mean(1)

    return losses(found) - losses(problem.anchor(0))


@pytest.mark.parametrize("network", ["no-norm", "conv-batchnorm"])
@pytest.mark.parametrize("form", FORMS)
def test_members_disagree_with_the_anchor_and_with_each_other_at_low_loss(form, network):
    own, asked = unsure(network), cases.held_out(200)[0]
    settings = Adversaries(members=4, share=0.5, form=form)
    pushed, left = (replace(settings, strength=s).explore(own) for s in (1.0, 0.0))
    assert float(far(own, pushed, asked).mean()) > 2 * float(far(own, left, asked).mean())
    spread, usual = (float(predict(own, found, asked).u().mean()) for found in (pushed, left))
    assert spread > 1.3 * usual and spread > 0.02
    # a band and no wall: a short search ends up to a few of its widths above it
    assert float(rises(own, pushed).mean()) < 5 * settings.tolerance


@pytest.mark.parametrize("form", FORMS)
def test_a_narrow_band_holds_members_nearer(form):
    own = unsure()
    wide, narrow = (
        Adversaries(members=3, share=0.5, form=form, tolerance=t, strength=3.0).explore(own)
        for t in (10.0, 0.001)
    )
    assert float(rises(own, narrow).mean()) < 0.5 * float(rises(own, wide).mean())


def test_without_noise_a_search_that_outputs_hold_stays_at_the_anchor(monkeypatch):
    """Both gradients are zero there: the noise is what it starts by."""
    settings = Adversaries(members=1, share=0.2, form="outputs")

    def moved() -> float:
        own = unsure(recipe=replace(cases.RECIPE, weight_decay=0.0))
        ((end,), start) = settings.explore(own).points, own.anchor(0)
        return max(float((end.params[n] - p).abs().max()) for n, p in start.params.items())

    assert moved() > 1e-3
    monkeypatch.setattr(adversaries, "_NOISE", 0.0)
    assert moved() < 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_places_beyond_reach_push_no_more(form):
    """From the first step on, as the noise alone is farther."""
    own = unsure("groupnorm")
    settings = Adversaries(members=2, share=0.3, form=form)
    first, second, pushed = (
        replace(settings, **other).explore(own).points[0].params["0.weight"]
        for other in ({"reach": 1e-9}, {"strength": 0.0}, {})
    )
    assert torch.allclose(first, second, atol=1e-6)
    assert float((pushed - second).abs().max()) > 1e-4


def test_a_strong_push_stays_finite():
    own = unsure()
    found = Adversaries(share=0.5, strength=100.0, tolerance=100.0, lr_ratio=3.0).explore(own)
    assert predict(own, found, cases.held_out()[0]).log_probs.isfinite().all()


def test_the_form_outputs_looks_at_no_label():
    x, y = cases.task()
    first = cases.problem(networks=cases.no_norm())
    second = cases.problem(
        networks=first.anchor(0), train_loader=Batches(x, (y + 1) % cases.CLASSES, cases.SIZE)
    )
    same, other = (
        [
            Adversaries(members=2, share=0.2, form=form).explore(own).points
            for own in (first, second)
        ]
        for form in ("outputs", "loss")
    )
    contract.assert_same(*map(list, same))
    assert not torch.equal(other[0][0].params["1.weight"], other[1][0].params["1.weight"])


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_all_evaluations_are_counted(form, norm):
    """With a backward pass: the training, and two batches a step; without: the anchor's one batch a
    step, the places once, and batch norm.
    """
    own = cases.problem("conv-batchnorm" if norm else "no-norm")
    Adversaries(members=3, share=0.2, form=form).explore(own)
    training = own.training_examples // 5
    assert own.cost.backward_examples == 5 * training + 3 * (training + 6 * cases.SIZE)
    assert own.cost.forward_examples == 3 * (training + 64 + cases.EXAMPLES * norm)


def test_a_network_that_drops_units_is_held_as_if_it_dropped_the_anchors(monkeypatch):
    """At the anchor itself nothing has risen, whatever was dropped."""
    own, risen = cases.problem("conv-batchnorm"), []
    assert own.behaviour.random
    monkeypatch.setattr(Pull, "see", lambda self, info: risen.append(float(info.loss)))
    for form in FORMS:
        Adversaries(members=1, share=0.4, form=form, lr_ratio=0.0).explore(own)
    assert len(risen) >= 4 and max(map(abs, risen)) < 1e-6


def test_each_place_is_shown_once_a_round_and_few_places_cost_less():
    own, asked = cases.problem(), torch.arange(20.0)[:, None]
    places = shown(own, asked, asked, "test")
    batches = [next(places) for _ in range(4)]
    assert all(len(x) == cases.SIZE and torch.equal(x, target) for x, target in batches)
    assert all(len(x.unique()) == cases.SIZE for x, _ in batches)
    Adversaries(members=3, share=0.2, places=5).explore(own)
    assert own.cost.backward_examples == own.training_examples * 8 // 5 + 3 * 6 * 5


def test_bfloat16_and_adamw():
    recipe = Recipe(epochs=5, lr=0.01, optimizer="adamw", precision="bfloat16")
    for form in FORMS:
        own = unsure(recipe=recipe)
        found = Adversaries(members=2, share=0.4, form=form).explore(own)
        assert float(far(own, found, cases.held_out()[0]).min()) > 1e-3


@pytest.mark.parametrize(
    "settings",
    [{"members": 0}, {"places": 1}, {"share": 0}, {"tolerance": 0}, {"reach": 0}, {"strength": -1},
     {"lr_ratio": -1}, {"form": "labels"}],
    ids=str,
)  # fmt: skip
def test_settings_that_make_no_sense(settings):
    ((key, value),) = settings.items()
    with pytest.raises(InputError, match=rf"adversaries.{key} got '?{value}'?, needs") as caught:
        Adversaries(**settings)
    assert "\n" not in str(caught.value)


def test_networks_alone_are_refused():
    own = Problem(cases.no_norm, networks=cases.no_norm(), unlabelled=cases.held_out()[0])
    with pytest.raises(InputError, match="trains by batches"):
        Adversaries().explore(own)


def test_unequal_batches_are_refused_before_anything_is_paid():
    batches = [(torch.ones(4, size), torch.arange(4) % 2) for size in (5, 7)]

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 2)

        def forward(self, x):
            return self.layer(x.mean(1, keepdim=True))

    own = Problem(Mean, batches, Recipe(epochs=5))
    with pytest.raises(InputError, match="can't be put together"):
        Adversaries().explore(own)
    assert own.cost.trainings == 0
