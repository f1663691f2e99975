"""Exact zeros: emulators and metrics accept probabilities of exactly 0 and 1 and give finite
results.
"""

import itertools
import math

import pytest
import torch

from thalweg.emulators.base import emulators
from thalweg.emulators.neighbours import Neighbours
from thalweg.emulators.observations import Observations
from thalweg.emulators.trivial import Trivial
from thalweg.errors import InputError
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.predictions import Predictions, impurity

QUICK = {"forest": {"trees": 5}, "engression": {"epochs": 0.2}}


def one_hot(members, inputs, classes, seed, zero=-math.inf, differing=0.3):
    """Every member is certain of one class; `differing` of the answers are drawn anew for each
    member.
    """
    random = torch.Generator().manual_seed(seed)
    answers = torch.randint(classes, (1, inputs), generator=random).expand(members, inputs).clone()
    anew = torch.rand(members, inputs, generator=random) < differing
    answers[anew] = torch.randint(classes, (int(anew.sum()),), generator=random)
    return torch.full((members, inputs, classes), zero).scatter_(2, answers[..., None], 0.0)


def underflown(members, inputs, classes, seed):
    """Probabilities of half precision, whose small ones are exactly 0."""
    random = torch.Generator().manual_seed(seed)
    logits = 12 * torch.randn(1, inputs, classes, generator=random) + 3 * torch.randn(
        members, inputs, classes, generator=random
    )
    p = logits.log_softmax(-1).exp().half()
    return p.float().log()


MAKERS = {
    "one-hot": one_hot,
    "members alike": lambda *shape: one_hot(*shape, differing=0.0),
    "log-probabilities of -1e4": lambda *shape: one_hot(*shape, zero=-1e4),
    "underflown": underflown,
    "certain of one class": lambda m, n, c, _: torch.full((m, n, c), -math.inf).index_fill(
        2, torch.tensor([0]), 0.0
    ),
    "double precision": lambda *shape: one_hot(*shape).double(),
    "half one-hot": lambda m, n, c, seed: torch.cat(
        [one_hot(m, n, c, seed)[:, : n // 2 + 1], underflown(m, n, c, seed)[:, n // 2 + 1 :]], 1
    ),
}
SHAPES = {  # members, calibration inputs, asked inputs, classes
    "four classes": (2, 60, 20, 4),
    "two classes": (3, 60, 20, 2),
    "1,000 classes": (2, 20, 4, 1000),
    "fewer calibration inputs than neighbours": (2, 5, 3, 4),
    "one asked input": (2, 50, 1, 4),
}


def emulated(name, known, asked, anchors):
    def evidence(log_probs):
        proxies = Predictions(log_probs[anchors:]) if len(log_probs) > anchors else None
        return Observations(Predictions(log_probs[:anchors]), proxies, 0.5 if proxies else 1.0)

    return emulators()[name](**QUICK.get(name, {})).emulate(
        evidence(known), evidence(asked), draws=5, seed=0
    )


def check(found):
    p = found.probs()
    assert p.isfinite().all() and torch.allclose(
        p.sum(-1), torch.ones((), dtype=p.dtype), atol=1e-2
    )
    assert found.u().isfinite().all() and (found.u() >= 0).all() and (found.u() <= 1).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", emulators())
def test_every_emulator_is_finite(name, shape):
    members, inputs, asked, classes = SHAPES[shape]
    proxies = 2 if emulators()[name].uses_proxies else 0
    kinds = MAKERS if classes < 1000 else ("one-hot", "underflown")
    for known, new in itertools.product(kinds, ("one-hot", "underflown")):
        count = members + (proxies if new == "one-hot" else 0)
        check(
            emulated(
                name,
                MAKERS[known](count, inputs, classes, 0),
                MAKERS[new](count, asked, classes, 1),
                members,
            )
        )


@pytest.mark.parametrize("name", emulators())
def test_one_calibration_input_is_enough_or_one_line(name):
    known = one_hot(2, 1, 3, 0)
    if name in ("atlas", "forest"):
        with pytest.raises(InputError, match="1 calibration input, needs 2 or more"):
            emulated(name, known, known, 2)
    else:
        check(emulated(name, known, known, 2))


def test_neighbours_of_certain_networks_that_differ_have_the_spread_of_votes():
    """Two networks that agree on one half of the inputs and are certain of different classes on the
    other.
    """
    agree, differ = (
        torch.tensor([[0.0, -math.inf], [0.0, -math.inf]]),
        torch.tensor([[0.0, -math.inf], [-math.inf, 0.0]]),
    )
    known = Predictions(torch.stack([agree] * 50 + [differ] * 50, 1))
    asked = Predictions(torch.stack([agree, differ], 1))
    found = Neighbours().emulate(known, asked, draws=400, seed=0)
    assert found.u().tolist() == pytest.approx(
        [0, math.sqrt(0.5)], abs=1e-6
    )  # a vote of a half each: 2 x 1/4 over classes
    assert float(found.mean()[1, 0]) == pytest.approx(0.5, abs=0.1)
    assert torch.equal(found.mean()[0], torch.tensor([1.0, 0.0]))


def test_a_class_that_is_impossible_to_all_stays_impossible():
    random = torch.Generator().manual_seed(0)
    known, asked = (
        torch.randn(2, n, 4, generator=random)
        .index_fill(2, torch.tensor([3]), -math.inf)
        .log_softmax(-1)
        for n in (60, 9)
    )
    for name in emulators():
        assert float(emulated(name, known, asked, 2).probs()[..., 3].max()) < 1e-3, name


def test_a_certain_network_says_that_the_others_differ_but_not_where():
    known = Predictions(one_hot(2, 60, 4, 0))
    u = Trivial().emulate(known, known, draws=1, seed=0).u()
    assert torch.allclose(u.square(), known.u().square().mean()) and len(u.unique()) == 1
    assert torch.equal(
        Trivial(0.5)
        .emulate(*[Predictions(one_hot(2, 9, 4, 0, differing=0.0))] * 2, draws=1, seed=0)
        .u(),
        torch.zeros(9),
    )


def test_the_impurity_is_exact_beside_one_and_never_negative():
    rest = 1e-12
    p = torch.tensor([[[1 - rest, rest]]], dtype=torch.float64)
    assert float(impurity(Predictions(p.log()))) == pytest.approx(2 * rest, rel=1e-3)
    assert (impurity(Predictions(underflown(1, 500, 4, 0))) >= 0).all()


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("classes", [2, 5])
def test_every_metric_is_finite_or_not_defined(kind, members, classes):
    """Against a reference of the same kind, and against one that is never certain."""
    made = MAKERS[kind]
    random = torch.Generator().manual_seed(0)
    unsure = torch.randn(6, 40, classes, generator=random).log_softmax(-1)
    for reference in (made(6, 40, classes, 0), unsure):
        labels = torch.randint(classes, (40,), generator=random)
        truth = Truth.of(
            Predictions(reference),
            Predictions(made(4, 40, classes, 1)),
            labels,
            Predictions(reference[:, :20]),
            replicates=50,
        )
        methods = [Predictions(made(members, 40, classes, seed)) for seed in (2, 3)]
        away = [Predictions(made(members, 20, classes, seed)) for seed in (4, 5)]
        for name, found in evaluate(truth, methods, [impurity(m) for m in methods], away).items():
            for end in (found.value, found.low, found.high):
                no_bound = name in ("k_eq", "k_u") or name.startswith(
                    "dee_"
                )  # '> k' where the data give no upper end
                undefined = (
                    math.isnan(found.value) and math.isnan(found.low) and math.isnan(found.high)
                )
                assert math.isfinite(end) or undefined or (no_bound and end == math.inf), (
                    f"{name} {found}"
                )
        certain = evaluate(truth, methods, [impurity(m) for m in methods])["accuracy"]
        assert 0 <= certain.value <= 1


def test_certain_and_right_everywhere_has_the_best_scores():
    labels = torch.tensor([0, 1, 2] * 10)
    exact = Predictions(
        torch.full((2, 30, 3), -math.inf).scatter_(2, labels.expand(2, 30)[..., None], 0.0)
    )
    truth = Truth.of(exact, exact, labels, replicates=20)
    found = evaluate(truth, [exact], [impurity(exact)])
    assert {
        name: found[name].value for name in ("accuracy", "nll", "brier", "ece", "calibrated_nll")
    } == {"accuracy": 1, "nll": 0, "brier": 0, "ece": 0, "calibrated_nll": 0}
    for name in (
        "k_eq",
        "k_u",
        "spread_ratio",
        "disagreement_ratio",
        "rank_correlation",
    ):  # nothing to compare with
        assert math.isnan(found[name].value) and math.isnan(found[name].low), name
