"""The forest and what it stands on: against closed forms, and on retrainings whose law is known."""

import math
import subprocess
import sys

import pytest
import torch
from scipy import stats

from retrainings import synthetic
from thalweg.emulators.forest import Forest
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import (
    Group,
    Scale,
    leave_one_out,
    narrow_spreads,
    unbiased_spread,
    untrained,
)
from thalweg.errors import InputError
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.retraining import distances, retraining_equivalents, spacing
from thalweg.narrow.width import bias_of_spread, spread, squared_bias, together, variance
from thalweg.outputs import Classes, Values
from thalweg.predictions import Predictions

SMALL = Forest(trees=20)


def gaussian(
    members: int, inputs: int = 4000, seed: int = 0, scale: float = 1.0, shift: float = 0.0
) -> torch.Tensor:
    """One output that scatters about a mean of each input's own `[members, inputs, 1]`; the mean is
    that of every seed.
    """
    mean = 3 * torch.randn(
        inputs, 1, generator=torch.Generator().manual_seed(99), dtype=torch.float64
    )
    random = torch.Generator().manual_seed(seed)
    return (
        mean
        + shift
        + scale * torch.randn(members, inputs, 1, generator=random, dtype=torch.float64)
    )


def values(
    given: torch.Tensor, anchors: int | None = None, width_ratio: float = 1.0
) -> Observations:
    """What networks, anchors first, predict in a regression."""
    n = len(given) if anchors is None else anchors
    beside = Predictions.from_values(given[n:]) if n < len(given) else None
    return Observations(Predictions.from_values(given[:n]), beside, width_ratio)


def cut(
    predictions: Predictions, first: int, features: torch.Tensor | None = None, share: float = 0.5
) -> Observations:
    """The first members as anchors, the others as proxies."""
    return Observations(
        Predictions(predictions.log_probs[:first]),
        Predictions(predictions.log_probs[first:]),
        share,
        features,
    )


def features_of(predictions: Predictions, seed: int = 0) -> torch.Tensor:
    """Noise, and last what tells how far an input's retrainings scatter `[members, inputs, 3]`."""
    noise = torch.randn(
        predictions.members, predictions.inputs, 2, generator=torch.Generator().manual_seed(seed)
    )
    return torch.cat(
        [
            noise,
            predictions.mean().max(-1).values.float().expand(predictions.members, -1)[..., None],
        ],
        2,
    )


@pytest.mark.parametrize("anchors", [2, 4])
def test_on_synthetic_retrainings_u_ranks_and_has_the_right_scale(anchors):
    (calibration,) = synthetic(1500, anchors, seed=0)
    asked, truth = synthetic(600, anchors, 200, seed=1)
    found = SMALL.emulate(calibration, asked, draws=10, seed=0)
    u, expected = found.u(), truth.u()
    assert (u.mean() / expected.mean()).item() == pytest.approx(1, abs=0.1)
    assert stats.spearmanr(u, expected).statistic > max(
        0.9, stats.spearmanr(asked.u(), expected).statistic
    )


def test_draws_are_worth_more_retrainings_than_the_members():
    (calibration,) = synthetic(1000, 2, seed=0)
    asked, reference = synthetic(400, 2, 30, seed=1)
    found = SMALL.emulate(calibration, asked, draws=60, seed=0)
    resamples = Resamples.of(400, 30, 20)
    gaps = spacing(reference, resamples)
    emulated, own = (
        retraining_equivalents([distances(p, reference)], gaps, resamples)["k_eq"].value
        for p in (found, asked)
    )
    assert own == pytest.approx(2, rel=0.15) and emulated > 1.2 * own


def test_the_mean_of_the_draws_is_the_centre_and_their_spread_is_u_and_the_centre_s_error():
    """On inputs as they were calibrated on; of Gaussian values both factors are known."""
    known, asked = gaussian(3, 1500), gaussian(3, 1500, seed=1)
    trees = Forest(trees=50, inflation=1.0)
    found = trees.emulate(values(known), values(asked), draws=100, seed=0)
    drawn, u = found.values(), found.u()
    assert torch.allclose(drawn.mean(0), asked.mean(0), rtol=0, atol=1e-12)
    assert drawn.std(0).square().mean().sqrt().item() == pytest.approx(
        math.sqrt(1 + 1 / 3) * float(u.mean()), rel=0.05
    )


def test_values_scatter_with_the_width_of_their_input():
    """A regression whose retrainings scatter twice as far where the mean is positive; another unit
    scales all.
    """
    mean = gaussian(1, 2000, scale=0)[0]
    known, asked = (mean + (gaussian(3, 2000, seed) - mean) * (1 + (mean > 0)) for seed in (0, 1))
    trees = Forest(trees=20, tried=1.0)  # of two columns, 0.4 looks at one, and finds less
    u = trees.emulate(values(known), values(asked), draws=2, seed=0).u()
    assert u[mean[:, 0] > 3].mean().item() == pytest.approx(2, rel=0.1)
    assert u[mean[:, 0] < -3].mean().item() == pytest.approx(1, rel=0.2)
    found = trees.emulate(values(10 * known), values(10 * asked), draws=2, seed=0)
    draws, tenfold = found.values(), found.u()
    assert tenfold.mean().item() == pytest.approx(10 * u.mean().item(), rel=0.02)
    assert torch.allclose(draws.mean(0), 10 * asked.mean(0))


@pytest.mark.parametrize("unit", [2.0**-40, 2.0**40])
def test_u_is_the_same_in_whatever_units_values_come(unit):
    """Trees take numbers that differ by less than 1e-7 for equal: in tiny units u would be the same
    at all inputs, and nothing would be outside.
    """
    mean = gaussian(1, 1000, scale=0)[0]
    known, asked = (mean + (gaussian(3, 1000, seed) - mean) * (1 + (mean > 0)) for seed in (0, 1))
    asked[:, 0] += 100
    one, other = (
        SMALL.emulate(values(unit * known), values(unit * asked), draws=3, seed=0)
        for unit in (1.0, unit)
    )
    assert torch.allclose(other.u() / unit, one.u())
    assert torch.allclose(other.values() / unit, one.values())
    assert one.outside is not None and other.outside is not None
    assert one.outside[0] and torch.equal(other.outside, one.outside)


def test_values_far_from_zero_are_told_apart():
    """The trees read single precision, whose steps are 64 at a thousand million."""
    mean = gaussian(1, 1000, scale=0)[0]
    known, asked = (
        1e9 + mean + (gaussian(3, 1000, seed) - mean) * (1 + (mean > 0)) for seed in (0, 1)
    )
    u = Forest(trees=20, tried=1.0).emulate(values(known), values(asked), draws=2, seed=0).u()
    assert u[mean[:, 0] > 3].mean() > 1.5 * u[mean[:, 0] < -3].mean()


def test_values_of_anchors_and_proxies_have_their_weighted_centre():
    known, asked = gaussian(4, 300), gaussian(4, 50, seed=1)
    given = (values(own, anchors=1, width_ratio=0.5) for own in (known, asked))
    found = SMALL.emulate(*given, draws=6, seed=0)
    drawn, u, outside = found.values(), found.u(), found.outside
    assert torch.allclose(
        drawn.mean(0), Scale.of(Group(known, 1, 0.5)).centre(Group(asked, 1, 0.5))
    )
    assert drawn.shape == (6, 50, 1) and u.shape == outside.shape == (50,)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((1, 9, 2), (1, 9, 2)), "got 1 anchor, needs 2 or more"),
        (((2, 9, 2), (3, 9, 2)), "same anchors' predictions on both"),
        (((2, 9, 2), (2, 9, 3)), "same anchors' predictions on both"),
    ],
)
def test_values_of_other_shapes_are_refused(shapes, message):
    with pytest.raises(InputError, match=message):
        SMALL.emulate(*(values(torch.zeros(shape)) for shape in shapes), draws=2, seed=0)


def test_probabilities_draws_have_the_centre_as_mean_and_residuals_by_rank():
    random = torch.Generator().manual_seed(0)
    centre = torch.randn(7, 4, generator=random, dtype=torch.float64).softmax(-1)
    residuals = 0.7 * torch.randn(7, 50, 4, generator=random, dtype=torch.float64)
    drawn = Classes().draws(centre, residuals)
    assert torch.allclose(drawn.exp().sum(-1), torch.ones(7, 50, dtype=torch.float64))
    assert torch.allclose(drawn.exp().mean(1), centre, rtol=0, atol=1e-9)
    # two draws differ as their residuals do: by the rank of the class, up to what all classes share
    order = centre.argsort(-1, descending=True)[:, None].expand_as(drawn)
    apart = (drawn.gather(-1, order) - residuals).diff(dim=1)
    assert torch.allclose(apart, apart[..., :1].expand_as(apart), atol=1e-9)


def test_probabilities_residuals_are_centred_log_ratios_by_rank():
    own, mean = torch.tensor([[0.2, 0.5, 0.3]]).double(), torch.tensor([[0.1, 0.3, 0.6]]).double()
    ratios = [math.log(0.3 / 0.6), math.log(0.5 / 0.3), math.log(0.2 / 0.1)]
    expected = torch.tensor([[r - sum(ratios) / 3 for r in ratios]]).double()
    assert torch.allclose(Classes().residuals(own, mean), expected)


def test_draws_of_values_are_the_centre_and_centred_residuals():
    found = Values().draws(
        torch.tensor([[1.0], [5.0]]), torch.tensor([[[0.0], [2.0]], [[3.0], [-3.0]]])
    )
    assert found.squeeze(-1).tolist() == [[0, 2], [8, 2]]
    assert Values().residuals(torch.tensor([3.0]), torch.tensor([1.0])).tolist() == [2]


@pytest.mark.parametrize(("anchors", "proxies", "share"), [(1, 4, 0.5), (2, 3, 0.25), (1, 1, 1.0)])
def test_the_centre_is_weighted_by_precision(anchors, proxies, share):
    values = gaussian(anchors + proxies, 20)
    scale = Scale.of(Group(values, anchors, share))
    error = share ** (-1 / 3) / proxies + scale.bias
    own, theirs = values[:anchors].mean(0), values[anchors:].mean(0)
    expected = (anchors * own + theirs / error) / (anchors + 1 / error)
    assert torch.allclose(scale.centre(Group(values, anchors, share)), expected)

    def off(w: float) -> float:
        return (1 - w) ** 2 / anchors + w**2 * error

    assert off(scale.weight) == pytest.approx(scale.error)  # no other weight has less error
    assert off(scale.weight) < min(off(scale.weight - 0.01), off(scale.weight + 0.01))


def test_the_centre_of_anchors_alone_is_their_mean():
    group = Group(gaussian(3, 20), 3, 1.0)
    scale = Scale.of(group)
    assert torch.equal(scale.centre(group), group.values.mean(0))
    assert (scale.weight, scale.bias, scale.error) == (0, 0, pytest.approx(1 / 3))


@pytest.mark.parametrize("anchors", [1, 3])
@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_a_bias_of_the_proxies_is_between_the_law_s_and_what_shows(anchors, shift):
    """Of Gaussian values that scatter as the law says it shows exactly, but for noise."""
    share = 0.5
    width = math.sqrt(variance(share, 1.0))
    values = torch.cat(
        [gaussian(anchors, 20000, seed=1), gaussian(4, 20000, seed=2, scale=width, shift=shift)]
    )
    found = Scale.of(Group(values, anchors, share))
    assert found.bias == pytest.approx((squared_bias(share) + shift**2) / 2, rel=0.05, abs=0.02)
    assert found.weight == pytest.approx(
        together(1 / anchors, variance(share, 1.0) / 4 + found.bias)[0]
    )


def test_one_anchor_and_one_proxy_show_no_bias():
    values = torch.cat([gaussian(1, seed=1), gaussian(1, seed=2, shift=3.0)])
    assert Scale.of(Group(values, 1, 0.5)).bias == squared_bias(0.5)


def test_identical_proxies_far_away_leave_the_law_s_bias():
    values = torch.cat([torch.full((1, 5, 1), 1e6), torch.zeros(3, 5, 1)]).double()
    found = Scale.of(Group(values, 1, 0.5))
    assert found.bias == squared_bias(0.5) and math.isfinite(found.error)


def test_less_sure_proxies_are_taken_to_scatter_farther():
    """With twice the impurity, twice the spread is one and the same spread of the whole network."""
    values = gaussian(4, scale=0.3)
    expected = narrow_spreads(Group(values, 1, 1.0))[1]
    doubled = torch.cat([values[:1], 2 * values[1:]])
    assert narrow_spreads(Group(doubled, 1, 1.0, impurity=2.0))[1] == pytest.approx(expected)
    logits = torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    predictions = Predictions(torch.cat([4 * logits[:1], logits[1:]]).log_softmax(-1))
    p = predictions.probs().double()
    impurity = (1 - p.square().sum(-1)).mean(1)
    assert Group.of(cut(predictions, 1)).impurity == pytest.approx(
        float(impurity[1:].mean() / impurity[0])
    )


def test_the_directions_in_which_members_differ():
    """Between two classes one, between ten that are alike nine; inputs on which networks are sure
    do not count.
    """

    def of(*rows: list[float]) -> float:
        return Group.of(
            Observations(Predictions(torch.tensor([list(rows)]).double().clamp_min(1e-30).log()))
        ).dimensions

    two, ten, sure = [0.5, 0.5] + 8 * [0.0], 10 * [0.1], [1.0] + 9 * [0.0]
    assert of(two, two, sure) == pytest.approx(1) and of(ten, sure) == pytest.approx(9)
    assert of(two, ten) == pytest.approx((0.5 * 1 + 0.9 * 9) / 1.4)
    assert 1 <= of(sure) < 10
    assert Group.of(Observations(Predictions(torch.tensor([[[0.0, -math.inf]]])))).dimensions == 1


def test_the_directions_in_which_values_differ():
    """As many as outputs that scatter alike; one, where the units of an output make its numbers
    the largest, or where there is one output.
    """
    alike = torch.cat([gaussian(3, seed=seed) for seed in range(4)], 2)
    mixed = alike * torch.tensor([1000.0, 1, 1, 1])
    found = [Group.of(values(own * 1e-170)).dimensions for own in (alike, mixed, alike[..., :1])]
    assert found[0] == pytest.approx(4, rel=0.01)
    assert found[1] == pytest.approx(1, abs=1e-4) and found[2] == 1
    assert Group.of(values(torch.ones(2, 3, 2))).dimensions == 1


def test_the_mean_spread_of_several_values_is_their_scale():
    """Of two members, the squares of four outputs tell it with a bias of few per cent."""
    four = torch.cat([gaussian(2, seed=seed, scale=0.3) for seed in range(4)], 2)
    scale = Scale.of(Group.of(values(four)))
    assert scale.level == pytest.approx(0.3 * 2, rel=0.07)  # it was 18 % too large


@pytest.mark.parametrize(("members", "c4"), [(2, 0.7979), (3, 0.8862), (4, 0.9213), (5, 0.9400)])
def test_the_bias_of_a_standard_deviation(members, c4):
    assert bias_of_spread(members) == pytest.approx(c4, abs=5e-5)


def test_squares_of_several_dimensions_are_less_biased():
    """Sixteen dimensions count as four: the mean of chi of twelve degrees of freedom over their
    root, by integration.
    """
    assert bias_of_spread(4, 16.0) == pytest.approx(stats.chi(12).mean() / math.sqrt(12))


@pytest.mark.parametrize("members", [2, 3, 4, 5])
def test_the_mean_spread_of_gaussian_values_is_their_scale(members):
    group = Group(gaussian(members, scale=0.3), members, 1.0)
    scale = Scale.of(group)
    assert scale.level == pytest.approx(0.3, rel=0.03)
    assert scale.spread(group).mean().item() == pytest.approx(0.3, rel=0.03)
    assert unbiased_spread(group.values, 1.0).mean().item() == pytest.approx(0.3, rel=0.03)
    assert leave_one_out(group.values) == pytest.approx(
        [0.3 * math.sqrt(2 / math.pi)] * members, rel=0.05
    )


@pytest.mark.parametrize(("proxies", "share"), [(1, 0.5), (4, 0.5), (6, 0.25)])
def test_the_mean_spread_with_proxies_that_scatter_and_err_as_the_law_says(proxies, share):
    narrow, off = 0.3 * spread(share, 1.0), 0.3 * math.sqrt(squared_bias(share))
    shifts = (
        torch.randn(4000, 1, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * off
    )
    values = torch.cat(
        [gaussian(1, seed=1, scale=0.3), gaussian(proxies, seed=2, scale=narrow) + shifts]
    )
    group = Group(values, 1, share)
    assert narrow_spreads(group) == pytest.approx([0.3] * min(proxies, 2), rel=0.04)
    assert Scale.of(group).level == pytest.approx(0.3, rel=0.03)


def test_the_mean_spread_of_alike_members_is_theirs_however_they_are_cut():
    values = gaussian(5, scale=0.3)
    for anchors in (1, 2, 4):
        assert Scale.of(Group(values, anchors, 1.0)).level == pytest.approx(0.3, rel=0.03)


def test_inputs_unlike_all_others_are_outside():
    """Their u is between the trees' and what the members say."""
    (calibration,) = synthetic(400, 3, seed=0)
    like, _ = synthetic(200, 3, 1, seed=1)
    known, here = features_of(calibration), features_of(like)
    far = here.clone()
    far[:, :20] += 30
    parts = {"like": Observations(like, features=here), "far": Observations(like, features=far)}
    found = SMALL.emulate_parts(Observations(calibration, features=known), parts, draws=2, seed=0)
    assert found["like"].outside.float().mean() < 0.05
    assert found["far"].outside[:20].all() and torch.equal(
        found["far"].outside[20:], found["like"].outside[20:]
    )
    rest = ~found["like"].outside[20:]
    assert torch.allclose(found["far"].u()[20:][rest], found["like"].u()[20:][rest])
    own = Scale.of(Group.of(Observations(calibration))).spread(Group.of(Observations(like)))
    assert (found["far"].u()[:20] >= own[:20] / 2).all()


def test_parts_together_are_those_alone():
    (calibration,) = synthetic(200, 4)
    parts = {name: cut(synthetic(n, 4, seed=n)[0], 1) for name, n in (("a", 30), ("b", 45))}
    together = SMALL.emulate_parts(cut(calibration, 1), parts, draws=3, seed=0)
    for name, asked in parts.items():
        alone = SMALL.emulate(cut(calibration, 1), asked, draws=3, seed=0)
        assert torch.equal(alone.log_probs, together[name].log_probs) and torch.equal(
            alone.u(), together[name].u()
        )
        assert torch.equal(alone.outside, together[name].outside)


def test_blocks_of_inputs_change_nothing(monkeypatch):
    from thalweg.emulators import forest

    (calibration,) = synthetic(60, 2)
    (asked,) = synthetic(50, 2, seed=1)
    whole = SMALL.emulate(calibration, asked, draws=2, seed=0)
    monkeypatch.setattr(forest, "_BLOCK", 7)
    blocks = SMALL.emulate(calibration, asked, draws=2, seed=0)
    assert torch.allclose(blocks.log_probs, whole.log_probs, rtol=0, atol=1e-12) and torch.equal(
        blocks.outside, whole.outside
    )


def test_features_are_looked_at_where_that_is_wanted():
    """Predictions that all look alike, and a feature that tells where retrainings scatter."""

    def evidence(seed: int) -> tuple[Observations, torch.Tensor]:
        random = torch.Generator().manual_seed(seed)
        scale = 0.1 + torch.rand(600, generator=random, dtype=torch.float64)
        logits = scale[:, None] * torch.randn(2, 600, 3, generator=random, dtype=torch.float64)
        rows = scale.float().expand(2, -1)[..., None]
        return Observations(Predictions(logits.log_softmax(-1)), features=rows), scale

    (known, _), (asked, scale) = evidence(0), evidence(1)
    told = SMALL.emulate(known, asked, draws=2, seed=0).u()
    untold = Forest(trees=20, geometry=False).emulate(known, asked, draws=2, seed=0)
    without = SMALL.emulate(known.anchors, asked.anchors, draws=2, seed=0)
    assert (
        stats.spearmanr(told, scale).statistic
        > 0.9
        > 0.8
        > stats.spearmanr(untold.u(), scale).statistic
    )
    assert torch.equal(untold.u(), without.u()) and torch.equal(untold.log_probs, without.log_probs)


def test_one_anchor_and_one_proxy_suffice_and_one_network_does_not():
    (calibration,), (asked,) = synthetic(60, 2), synthetic(30, 2, seed=1)
    found = SMALL.emulate(cut(calibration, 1), cut(asked, 1), draws=3, seed=0)
    assert found.members == 3 and (found.u() > 0).all()
    (one,) = synthetic(60, 1)
    with pytest.raises(
        InputError, match="Forest got 1 anchor, needs 2 or more, or proxies beside it"
    ):
        SMALL.emulate(one, one, draws=3, seed=0)


def test_evidence_that_does_not_fit():
    (known,) = synthetic(60, 3)
    rows = features_of(known)
    for calibration, asked, message in [
        (
            Observations(known, features=rows),
            Observations(known, features=rows[..., :2]),
            "have 3 features, those asked about 2",
        ),
        (
            Observations(known, features=rows),
            Observations(known),
            "have 3 features, those asked about None",
        ),
        (
            cut(known, 1),
            cut(known, 1, share=0.25),
            "3 networks of width ratio 0.5, those asked about are 3 of width ratio 0.25",
        ),
        (
            cut(known, 1),
            Observations(Predictions(known.log_probs[:1])),
            "3 networks of width ratio 0.5, those asked about are 1",
        ),
    ]:
        with pytest.raises(InputError, match=message):
            SMALL.emulate(calibration, asked, draws=2, seed=0)
    with pytest.raises(
        InputError, match=r"features of shape \(2, 60, 3\), needs \[3, 60, features\]"
    ):
        cut(known, 1, rows[:2])
    with pytest.raises(InputError, match="give both on the same inputs"):
        Observations(known, synthetic(59, 1)[0], 0.5)
    with pytest.raises(InputError, match=r"observations.width_ratio got 2"):
        cut(known, 1, share=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trees": 0}, "forest.trees got 0"),
        ({"leaf": 0}, "forest.leaf got 0"),
        ({"tried": 1.5}, "forest.tried got 1.5"),
        ({"inflation": -1}, "forest.inflation got -1"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        Forest(**settings)


def test_a_proxy_that_did_not_learn_is_found():
    world = torch.randn(1, 60, 4, generator=torch.Generator().manual_seed(0)).mul(3)
    values = (
        (world + 0.2 * torch.randn(5, 60, 4, generator=torch.Generator().manual_seed(1)))
        .softmax(-1)
        .double()
    )
    assert untrained(values, 1) == []
    values[3] = 0.25
    assert untrained(values, 1) == [3]


def test_its_first_use_leaves_the_caller_s_random_numbers():
    """scikit-learn is imported then, which draws some of Python's."""
    code = """
import random, torch, thalweg
before = random.getstate()
x = torch.randn(3, 30, 3).log_softmax(-1)
x = thalweg.Predictions(x)
thalweg.emulators.Forest(trees=2).emulate(x, x, draws=2, seed=0)
assert random.getstate() == before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
