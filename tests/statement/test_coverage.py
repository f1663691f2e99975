"""Coverage in a thousand simulated worlds: what is said to cover 95 % does, in binomial bands."""

import functools

import pytest
import torch

import thalweg

WORLDS = 1000
BAND = 3 * (0.95 * 0.05 / WORLDS) ** 0.5  # three standard deviations of a share: 0.0207
COUNTS = (2, 3, 5, 20)


@functools.cache
def worlds(kind, networks):
    """Predictions of networks `[networks, worlds, columns]` and of one more `[worlds, columns]`,
    and the mean over all trainings, each world an input with a spread of its own.
    """
    random = torch.Generator().manual_seed(100 * networks + len(kind))

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    spread = torch.rand(WORLDS, 1, generator=random, dtype=torch.float64) + 0.2
    centre = 1.5 * normal(WORLDS, 1)
    drawn = centre + spread * normal(networks + 1, WORLDS, 1)
    if kind == "values":
        return drawn[:-1], drawn[-1], centre
    p = torch.sigmoid(drawn)
    mean = torch.sigmoid(centre + spread * normal(4000, WORLDS, 1)).mean(0)
    return tuple(torch.cat([1 - part, part], -1) for part in (p[:-1], p[-1], mean))


def share(ends, truth):
    """How often the last column is between both ends."""
    inside = (truth[:, -1] >= ends[0][:, -1]) & (truth[:, -1] <= ends[1][:, -1])
    return float(inside.double().mean())


@pytest.mark.parametrize("networks", COUNTS)
@pytest.mark.parametrize("measurand", ["retraining", "mean"])
@pytest.mark.parametrize("kind", ["values", "probabilities"])
def test_symmetric_intervals_cover(kind, measurand, networks):
    given, more, mean = worlds(kind, networks)
    found = thalweg.state(given, kind=kind, measurand=measurand)
    truth = more if measurand == "retraining" else mean
    assert share(found.symmetric, truth) == pytest.approx(0.95, abs=BAND)
    if kind == "probabilities":
        assert found.symmetric.min() >= 0 and found.symmetric.max() <= 1


@pytest.mark.parametrize("networks", COUNTS)
def test_expanded_uncertainties_of_values_cover(networks):
    given, more, mean = worlds("values", networks)
    for measurand, truth in (("retraining", more), ("mean", mean)):
        found = thalweg.state(given, kind="values", measurand=measurand)
        ends = found.estimate - found.expanded, found.estimate + found.expanded
        assert share(ends, truth) == pytest.approx(0.95, abs=BAND)


@pytest.mark.parametrize("networks", COUNTS)
def test_a_network_in_use_is_covered(networks):
    """Its known deviation enters in squares, which covers as often or more."""
    given, more, mean = worlds("values", networks)
    for measurand, truth in (("retraining", more), ("mean", mean)):
        found = thalweg.state(given, kind="values", measurand=measurand, network=0)
        assert torch.equal(found.estimate, given[0])
        ends = found.estimate - found.expanded, found.estimate + found.expanded
        assert share(ends, truth) >= 0.95 - BAND


@pytest.mark.parametrize("networks", COUNTS)
def test_shortest_intervals_are_shorter_and_cover_nearly(networks):
    """Chosen among all, of few networks, they cover a little less."""
    given, more, _ = worlds("probabilities", networks)
    found = thalweg.state(given, kind="probabilities")
    assert share(found.shortest, more) >= 0.95 - 2 * BAND
    shortest, symmetric = (ends[1] - ends[0] for ends in (found.shortest, found.symmetric))
    assert (shortest <= symmetric + 1e-12).all() and (shortest < symmetric - 1e-3).any()


@pytest.mark.parametrize("networks", [3, 5, 20])
def test_expanded_uncertainties_of_mean_probabilities_can_cover_less(networks):
    """Near 0 and 1 estimate +- U misses more than it says, and the coverage interval does not."""
    random = torch.Generator().manual_seed(networks)
    centre = 2 * torch.randn(WORLDS, 4, generator=random, dtype=torch.float64)
    spread = torch.rand(WORLDS, 1, generator=random, dtype=torch.float64) + 0.3
    drawn = torch.randn(networks, WORLDS, 4, generator=random, dtype=torch.float64)
    more = torch.randn(2000, WORLDS, 4, generator=random, dtype=torch.float64)
    mean = (centre + spread * more).softmax(-1).mean(0)
    found = thalweg.state(centre + spread * drawn, kind="logits", measurand="mean")
    shares = []
    ends = found.estimate - found.expanded, found.estimate + found.expanded
    for low, high in (ends, found.symmetric):
        shares.append(float(((mean >= low) & (mean <= high)).double().mean()))
    assert 0.87 < shares[0] < 0.93 and shares[1] == pytest.approx(0.95, abs=BAND)


def test_students_factor_is_what_covers():
    """With the factor of a normal distribution, intervals of three networks would cover 82 %."""
    given, more, _ = worlds("values", 3)
    found = thalweg.state(given, kind="values", k=1.96)
    ends = found.estimate - found.expanded, found.estimate + found.expanded
    assert share(ends, more) < 0.9


def test_conformance_probabilities_are_calibrated():
    """Among inputs that conform with probability p, a share p of further trainings conforms."""
    given, more, _ = worlds("values", 5)
    found = thalweg.state(given, kind="values", tolerance=thalweg.Tolerance(low=0.0, high=2.0))
    p = found.decision.conformance
    inside = ((more[:, 0] >= 0) & (more[:, 0] <= 2)).double()
    for low in (0.0, 0.25, 0.5, 0.75):
        some = (p >= low) & (p < low + 0.25)
        assert float(inside[some].mean()) == pytest.approx(float(p[some].mean()), abs=0.08)


@pytest.mark.parametrize("networks", [5, 20])
def test_regions_cover(networks):
    """Ellipsoids of two outputs, and of three probabilities, cover 95 %; rectangles more."""
    random = torch.Generator().manual_seed(networks)
    mix = torch.randn(WORLDS, 2, 2, generator=random, dtype=torch.float64)
    drawn = torch.randn(networks + 1, WORLDS, 2, generator=random, dtype=torch.float64)
    values = torch.einsum("mni,nij->mnj", drawn, mix)
    logits = torch.cat([values, torch.zeros_like(values[..., :1])], -1)
    for kind, given in (("values", values), ("probabilities", logits.softmax(-1))):
        found = thalweg.state(given[:-1], kind=kind)
        ellipsoid, rectangle = found.region("ellipsoid"), found.region("rectangle")
        inside = float(ellipsoid.contains(given[-1]).double().mean())
        assert inside == pytest.approx(0.95, abs=BAND)
        assert float(rectangle.contains(given[-1]).double().mean()) >= 0.95 - BAND
        assert (ellipsoid.volume > 0).all()


@pytest.mark.parametrize("networks", [20, 400])
def test_the_mean_of_all_trainings_conforms_as_its_interval_says(networks):
    """The mean of sigmoid(N(3, 2.5^2)) is 0.84; the sigmoid of its mean is 0.95."""
    random = torch.Generator().manual_seed(0)
    logits = 3 + 2.5 * torch.randn(networks, 30, 1, generator=random, dtype=torch.float64)
    logits = torch.cat([logits, torch.zeros_like(logits)], -1)
    made = thalweg.state(logits, kind="logits", measurand="mean", members="networks")
    low, high = made.symmetric[..., 0]
    for limit in (high, low):
        at = [
            made.decide(thalweg.Tolerance(low=float(one), output=0)).decision.conformance[i]
            for i, one in enumerate(limit)
        ]
        wanted = 0.025 if limit is high else 0.975
        assert torch.stack(at) == pytest.approx(wanted, abs=1e-6)
