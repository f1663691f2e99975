"""The statement: what is refused, what is flagged, regions of the simplex, nominal properties."""

import math

import pytest
import scipy.stats
import torch

import thalweg
from thalweg.emulators.level import Level
from thalweg.errors import InputError
from thalweg.statement import SourceRow
from thalweg.statement.components import Component, combined
from thalweg.statement.nominal import indices
from thalweg.statement.regions import log_ratios
from thalweg.statement.scale import log_odds


def logits(networks=5, inputs=12, classes=4, seed=0):
    random = torch.Generator().manual_seed(seed)
    centre = 2 * torch.randn(inputs, classes, generator=random, dtype=torch.float64)
    return centre + torch.randn(networks, inputs, classes, generator=random, dtype=torch.float64)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"source": logits(1), "kind": "logits"}, "1 network, which tell nothing of another"),
        ({"source": logits()}, "no kind, needs kind="),
        ({"source": logits(), "kind": "logits", "measurand": "means"}, "did you mean 'mean'"),
        ({"source": logits(), "kind": "logits", "level": 95}, "level got 95, needs 0.5"),
        ({"source": logits(), "kind": "logits", "network": 5}, "needs 0 to 4"),
        ({"source": logits(), "kind": "logits", "network": torch.ones(3, 4)}, r"needs \(12, 4\)"),
        ({"source": logits(), "kind": "logits", "inputs": torch.ones(3)}, "and inputs, needs"),
        ({"source": logits(), "kind": "logits", "labels": [0] * 11}, r"needs \[12\] whole"),
        ({"source": logits(), "kind": "logits", "labels": [4] * 12}, "needs 0 to 3"),
        ({"source": logits(), "kind": "logits", "names": ["a"]}, "got 1 names"),
        ({"source": logits(), "kind": "logits", "columns": ["a"] * 4}, "1 of them different"),
        ({"source": logits(), "kind": "logits", "u_method": -1.0}, "needs 0 or more"),
        ({"source": logits(), "kind": "logits", "u_method": torch.ones(3, 7)}, "needs one number"),
        ({"source": logits(), "kind": "logits", "relative_u": 0.2}, "whose number tells it"),
        ({"source": logits(), "kind": "logits", "centre_error": 0.2}, "which their number tells"),
        ({"source": logits(), "kind": "logits", "members": "draw"}, "did you mean 'draws'"),
        (
            {"source": logits(), "kind": "logits", "pictures": torch.ones(3, 8, 8)},
            "needs .12, 1 or",
        ),
        ({"source": logits(), "kind": "logits", "sources": ["init"]}, "SourceRow"),
        (
            {"source": logits(), "kind": "logits", "sources": [SourceRow("order", torch.ones(3))]},
            "u of 3 inputs, needs 12",
        ),
        (
            {"source": logits(), "kind": "logits", "members": "draws", "measurand": "mean"},
            "give centre_error=1/K",
        ),
    ],
)
def test_what_does_not_fit_is_refused(settings, said):
    with pytest.raises(InputError, match=said):
        thalweg.state(**settings)


def test_an_emulators_draws_are_no_networks():
    stated = thalweg.Predictions.from_logits(logits(), stated_u=torch.full((12,), 0.1))
    with pytest.raises(InputError, match="emulator's draws: leave members out"):
        thalweg.state(stated, members="networks")
    assert not thalweg.state(stated).networks


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "no limit, needs low=, high= or both"),
        ({"low": 2.0, "high": 1.0}, "needs low below high"),
        ({"low": 0.5, "risk": 0.7}, "risk got 0.7, needs"),
        ({"low": float("nan")}, "low got nan"),
        ({"low": 0.5, "guard": -1}, "guard got -1"),
    ],
)
def test_tolerances_are_checked(settings, said):
    with pytest.raises(InputError, match=said):
        thalweg.Tolerance(**settings)


def test_tolerances_fit_the_outputs():
    with pytest.raises(InputError, match="needs numbers between 0 and 1"):
        thalweg.state(logits(), kind="logits", tolerance=thalweg.Tolerance(low=3.0))
    with pytest.raises(InputError, match="needs output=, one of output 0, output 1"):
        thalweg.state(logits()[..., :2], kind="values", tolerance=thalweg.Tolerance(low=3.0))
    with pytest.raises(InputError, match="did you mean 'cat'"):
        settings = {"columns": ["cat", "dog", "cow", "hen"], "kind": "logits"}
        thalweg.state(logits(), **settings, tolerance=thalweg.Tolerance(low=0.5, output="cats"))


def test_decisions_by_guard_and_by_risk():
    """Three networks whose mean is 1: U is known, and so is where decisions turn."""
    values = torch.tensor([0.9, 1.0, 1.1], dtype=torch.float64)[:, None, None]
    found = thalweg.state(values, kind="values")
    half = float(found.expanded)

    def decided(**settings):
        return found.decide(thalweg.Tolerance(**settings)).decision

    assert decided(low=1 - 1.01 * half).decided == ("accept",)
    assert decided(low=1 - 0.99 * half).decided == ("defer",)
    assert decided(low=1 - 0.99 * half, guard=0.5).decided == ("accept",)
    assert decided(high=1 - 1.01 * half).decided == ("reject",)
    assert decided(low=1 - half, risk=0.025 + 1e-6).decided == ("accept",)
    assert decided(low=1 - half, risk=0.025 - 1e-6).decided == ("defer",)
    assert float(decided(low=1 - half).conformance) == pytest.approx(0.975)
    simple = decided(low=1.0, guard=0)
    assert simple.decided == ("accept",) and float(simple.risk) == pytest.approx(0.5)
    assert simple.global_risks()["false_acceptance"] == pytest.approx(0.5)


def test_global_risks_are_those_that_happen():
    """JCGM 106, 9.5: over 4,000 inputs, false acceptances are as many as was said."""
    random = torch.Generator().manual_seed(1)
    centre = torch.randn(4000, 1, generator=random, dtype=torch.float64)
    drawn = centre + 0.5 * torch.randn(11, 4000, 1, generator=random, dtype=torch.float64)
    found = thalweg.state(drawn[:-1], kind="values", tolerance=thalweg.Tolerance(low=0.0, guard=0))
    accepted = torch.tensor([word == "accept" for word in found.decision.decided])
    happened = float((accepted & (drawn[-1, :, 0] < 0)).double().mean())
    said = found.decision.global_risks()["false_acceptance"]
    assert said == pytest.approx(happened, abs=0.015) and said > 0.05


def test_deferring_the_doubtful_lowers_the_risk():
    given = logits(8, 400, 5, seed=3)
    labels = given.softmax(-1).mean(0).argmax(-1)
    wrong = torch.arange(400) % 4 == 0
    order = given.softmax(-1).mean(0).amax(-1).argsort()
    labels[order[:200][wrong[:200]]] = (labels[order[:200][wrong[:200]]] + 1) % 5
    curve = thalweg.state(given, kind="logits", labels=labels).deferral()
    assert curve.basis == "labels" and float(curve.risk[0]) == pytest.approx(50 / 400)
    assert float(curve.risk[200]) == 0 and curve.share_for(0.0) <= 0.5
    drawn = thalweg.state(given, kind="logits").deferral()
    assert drawn.basis == "draws" and (drawn.risk.diff() <= 1e-12).all()
    with pytest.raises(InputError, match="needs to know what an error is"):
        thalweg.state(given, kind="values").deferral()


def test_nominal_indices():
    """Kvalseth's CNV is 1 less the distance from the even distribution; a sure class has 0."""
    p = torch.rand(50, 6, dtype=torch.float64).softmax(-1)
    found = indices(p)
    even = ((p - 1 / 6).square().sum(-1) * 6 / 5).sqrt()
    torch.testing.assert_close(found["cnv"], 1 - even)
    wanted = torch.distributions.Categorical(probs=p).entropy()
    torch.testing.assert_close(found["entropy"], wanted)
    torch.testing.assert_close(found["iqv"], (1 - p.square().sum(-1)) * 6 / 5)
    sure = indices(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    assert all(float(part) == 0 for part in sure.values())


def test_mutual_information_is_that_of_a_mixture():
    p = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]], dtype=torch.float64)
    found = thalweg.state(p, kind="probabilities").nominal
    assert float(found.mutual_information) == pytest.approx(math.log(2))
    assert float(found.disagreement) == 0.5


def test_what_rests_on_one_deviation_is_one_term():
    s = torch.full((1, 1), 0.5, dtype=torch.float64)
    own = Component("retraining", s, 3.0, "A", "networks", "retraining")
    few = Component("networks", s / 2, 3.0, "A", "networks", "retraining")
    other = Component("method", s, math.inf, "B", "user", "method")
    u, freedom = combined((own, few), s)
    assert float(freedom) == pytest.approx(3) and float(u) == pytest.approx(0.5 * 1.25**0.5)
    u, freedom = combined((own, few, other), s)
    assert float(freedom) == pytest.approx(3 * (2.25 / 1.25) ** 2)


def test_flags_say_what_is_to_be_known():
    p = torch.tensor([[[0.99, 0.01], [0.6, 0.4]], [[0.97, 0.03], [0.6, 0.4]]], dtype=torch.float64)
    outside = torch.tensor([False, True])
    found = thalweg.state(thalweg.Predictions.from_probabilities(p, outside=outside))
    assert found.flags() == [("boundary",), ("outside", "zero")]
    assert found.symmetric.min() >= 0 and found.symmetric.max() <= 1
    assert found.expanded[1].tolist() == [0, 0]


def test_log_odds_are_exact_near_one():
    z = torch.tensor([[40.0, 0.0, 0.0]], dtype=torch.float64)
    assert float(log_odds(z.log_softmax(-1))[0, 0]) == pytest.approx(40 - math.log(2))
    single = log_odds(torch.tensor([[20.0, 0.0]]).log_softmax(-1))
    assert float(single[0, 0]) == pytest.approx(20, rel=1e-5)


def test_log_ratios_keep_aitchisons_distance():
    p = torch.rand(2, 5, dtype=torch.float64).softmax(-1)
    logs = p.log() - p.log().mean(-1, keepdim=True)
    wanted = (logs[0] - logs[1]).norm()
    ratios = log_ratios(p)
    assert ratios.shape == (2, 4)
    torch.testing.assert_close((ratios[0] - ratios[1]).norm(), wanted)


def test_regions_say_what_they_need():
    found = thalweg.state(logits(5, 6, 4), kind="logits")
    assert found.region("ellipsoid").centre.shape == (6, 3)
    with pytest.raises(InputError, match="3 networks, needs 5 or more"):
        thalweg.state(logits(3, 6, 4), kind="logits").region("ellipsoid")
    with pytest.raises(InputError, match="mean probabilities"):
        thalweg.state(logits(), kind="logits", measurand="mean").region("ellipsoid")
    same = logits(8, 3, 2)
    same[..., 1] = same[..., 0]
    with pytest.raises(InputError, match="do not vary in all 2 directions"):
        thalweg.state(same, kind="values").region("ellipsoid")


def test_the_mean_probability_is_known_better_than_one_more():
    one, mean = (
        thalweg.state(logits(6), kind="logits", measurand=name) for name in ("retraining", "mean")
    )
    assert (mean.u < one.u).all()
    lengths = [found.symmetric[1] - found.symmetric[0] for found in (mean, one)]
    assert float((lengths[0] < lengths[1]).double().mean()) > 0.95


def test_a_method_of_known_error_widens():
    narrow = thalweg.state(logits(), kind="logits")
    wide = thalweg.state(logits(), kind="logits", u_method=0.2)
    torch.testing.assert_close(wide.u, (narrow.u.square() + 0.04).sqrt())
    assert (wide.freedom > narrow.freedom).all()
    lengths = [found.symmetric[1] - found.symmetric[0] for found in (wide, narrow)]
    big = narrow.u < 0.05
    assert (lengths[0] > lengths[1])[big].all() and wide.symmetric.max() <= 1


def test_of_what_quantify_returned():
    """The interval of the level becomes u(method), by the law of total variance."""
    drawn = 0.3 * torch.randn(200, 6, 3, generator=torch.Generator().manual_seed(0)).double()
    stated = thalweg.Predictions.from_logits(drawn, stated_u=torch.full((6,), 0.1))
    cost = thalweg.Cost(backward_examples=150, training_examples=100)
    level = Level(math.log(0.1), 0.4, ())
    settings = {"width_ratio": 0.5, "narrow_copies": 2, "transfer": None, "cost": cost}
    quantified = thalweg.Quantified(stated, **settings, level=level, centre_error=0.5)
    one = thalweg.state(quantified)
    own, few, method = (one.component(n).u for n in ("retraining", "networks", "method"))
    wanted = (own.square() + few.square()) * (math.exp(2 * 0.4**2) - 1)
    torch.testing.assert_close(method.square(), wanted)
    assert one.identity["trainings"] == 1.5 and not one.checked
    mean = thalweg.state(quantified, measurand="mean")
    wanted = few.square() * math.exp(2 * 0.4**2) + mean.component("draws").u.square()
    torch.testing.assert_close(mean.u.square(), wanted)
    assert (mean.symmetric[1] - mean.symmetric[0] < one.symmetric[1] - one.symmetric[0]).all()
    with pytest.raises(InputError, match="which it knows itself"):
        thalweg.state(quantified, kind="logits")
    with pytest.raises(InputError, match="which has its inputs"):
        thalweg.state(quantified, torch.ones(3))


def test_many_members_are_not_guessed_at():
    with pytest.raises(InputError, match="51 members and does not guess"):
        thalweg.state(logits(51), kind="logits")
    assert thalweg.state(logits(51), kind="logits", members="networks").networks
    assert not thalweg.state(logits(51), kind="logits", members="draws").networks


def test_an_ellipsoid_of_many_is_chi_squares():
    values = torch.randn(4000, 1, 3, generator=torch.Generator().manual_seed(4)).double()
    for members in ("networks", "draws"):
        found = thalweg.state(values, kind="values", members=members).region("ellipsoid")
        assert float(found.k.square()) == pytest.approx(scipy.stats.chi2.ppf(0.95, 3), rel=0.05)


def test_conformity_of_draws_is_their_share():
    """Student's distribution through the ends of the interval tells nearly what the draws do."""
    random = torch.Generator().manual_seed(5)
    line = torch.randn(60, 1, generator=random) + 0.7 * torch.randn(2000, 60, 1, generator=random)
    p = torch.sigmoid(torch.cat([line, -line], -1) / 2).square()
    p = p / p.sum(-1, keepdim=True)
    tolerance = thalweg.Tolerance(low=0.5, output="0")
    found = thalweg.state(p, kind="probabilities", members="draws", tolerance=tolerance)
    share = (p[..., 0] >= 0.5).double().mean(0)
    torch.testing.assert_close(found.decision.conformance, share, rtol=0, atol=0.05)


def test_a_truth_value_has_two_names():
    p = torch.tensor([[0.7, 0.2], [0.8, 0.3]], dtype=torch.float64)
    found = thalweg.state(p, kind="probabilities", outputs=thalweg.Binary())
    assert found.columns == ("false", "true")
    assert list(found.table()["output"]) == ["true", "false"]


def test_a_decision_is_about_the_class_that_the_row_shows():
    p = torch.tensor([[[0.95, 0.05]], *[[[0.02, 0.98]]] * 4], dtype=torch.float64)
    p = p + torch.linspace(0, 0.01, 5)[:, None, None] * torch.tensor([1.0, -1.0])
    tolerance = thalweg.Tolerance(low=0.9)
    made = thalweg.state(p, kind="probabilities", network=0, tolerance=tolerance)
    (row,) = made.table().to_dict("records")
    assert row["output"] == row["decision_output"] == "0"
    named = thalweg.state(
        p, kind="probabilities", network=0, tolerance=thalweg.Tolerance(low=0.9, output=1)
    )
    assert named.table()["decision_output"].tolist() == ["1"]
