"""The atlas emulator: on networks whose law is known, whatever there is of them."""

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import Tensor

import contract
from thalweg.atlas.centre import Calibration, powered
from thalweg.atlas.learned import CEILING, learned
from thalweg.emulators.atlas import Atlas, Before, Centre
from thalweg.emulators.level import clues_of, level_of
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group
from thalweg.errors import InputError
from thalweg.features import names_of
from thalweg.narrow.width import squared_bias, together, variance
from thalweg.outputs import Binary, Classes, Outputs, Values
from thalweg.predictions import Predictions
from thalweg.sensitivity import Sensitivity

SMALL = Atlas(trees=15)
KINDS: dict[str, tuple[Outputs, int]] = {
    "classes": (Classes(), 4),
    "binary": (Binary(), 1),
    "values": (Values(), 2),
}


def features_of(outputs: Outputs, stored: Tensor, told: Tensor) -> Tensor:
    """Features `[members, inputs, features]` that are noise but for distances in input space, which
    tell something `[inputs]`, the same to all networks.
    """
    kinds = (n for n in range(1, 60) if _named(outputs, stored.shape[2], n))
    names = names_of(outputs, stored.shape[2], max(kinds))
    random = torch.Generator().manual_seed(7)
    found = torch.randn(*stored.shape[:2], len(names), generator=random, dtype=torch.float64)
    for number, name in enumerate(names):
        if name.endswith(("nearest", "mean", "farthest", "share", "entropy", "agreement")):
            found[..., number] = found[..., number].exp()
        if name.startswith("inputs-") and name.endswith(("nearest", "mean", "farthest")):
            found[..., number] = told
    return found.float()


def _named(outputs: Outputs, columns: int, count: int) -> bool:
    try:
        return len(names_of(outputs, columns, count)) == count
    except InputError:
        return False


def world(
    kind: str = "classes", members: int = 4, inputs: int = 400, seed: int = 0, scale: float = 0.5
) -> tuple[Tensor, Tensor]:
    """What networks store `[members, inputs, columns]`, and how far an input's networks scatter on
    outputs `[inputs]`: up to 16 times as far as others, which their mean does not show.
    """
    outputs, columns = KINDS[kind]
    random = torch.Generator().manual_seed(seed)
    mean = 2 * torch.randn(inputs, columns, generator=random, dtype=torch.float64)
    wide = (
        scale * (1.4 * torch.rand(inputs, generator=random, dtype=torch.float64) - 0.7).mul(2).exp()
    )
    noise = torch.randn(members, inputs, columns, generator=random, dtype=torch.float64)
    return outputs.store(mean + wide[:, None] * noise), wide


def observed(
    stored: Tensor, kind: str = "classes", anchors: int | None = None, told: Tensor | None = None
) -> Observations:
    outputs = KINDS[kind][0]
    count = len(stored) if anchors is None else anchors
    return Observations(
        Predictions(stored[:count], outputs=outputs),
        Predictions(stored[count:], outputs=outputs) if count < len(stored) else None,
        width_ratio=0.5 if count < len(stored) else 1.0,
        features=None if told is None else features_of(outputs, stored, told),
    )


STATES = {"one": (1, 1), "two": (2, 2), "one and two copies": (3, 1)}


@pytest.mark.parametrize("with_features", [True, False])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_there_is_it_answers(kind, state, with_features):
    members, anchors = STATES[state]
    (known, wide), (asked, there) = (world(kind, members, seed=s) for s in (0, 1))
    given = [
        observed(own, kind, anchors, told if with_features else None)
        for own, told in ((known, wide), (asked, there))
    ]
    before = contract.states()
    ask = SMALL.learned(given[0], 0)
    found = ask(given[1], 60, 0)
    contract.assert_states(before)
    assert found.outputs == KINDS[kind][0] and found.stored.shape == (60, 400, known.shape[2])
    u = found.u()
    assert torch.isfinite(found.stored).all() and torch.isfinite(u).all() and (u > 0).all()
    if KINDS[kind][0].simplex:
        assert float(u.mean()) < CEILING
    assert found.outside.shape == (400,) and float(found.outside.double().mean()) < 0.1
    # draws are wider than u by the error of the centre and the inflation
    spread = (found.values().double().var(0).sum(-1).mean() / u.square().mean()).sqrt()
    assert 1.0 < float(spread) < 1.7
    again = ask(given[1], 60, 0)
    assert torch.equal(found.stored, again.stored) and torch.equal(u, again.u())
    assert torch.equal(ask(given[1], 3, 5).u(), u)  # draws and their seed are not in u


def test_its_mean_of_u_is_that_of_the_level():
    known, wide = world(members=3)
    given = observed(known, anchors=1, told=wide)
    law = learned().facts["level"]
    level = level_of(clues_of(law, Group.of(given), known[0], None))
    u = SMALL.learned(given, 0)(given, 2, 0).u()
    inside = ~SMALL.learned(given, 0)(given, 2, 0).outside
    assert float(u[inside].mean()) == pytest.approx(level.value, rel=0.02)
    alone = observed(known[:1], told=wide)
    level = level_of(clues_of(law, Group.of(alone), known[0], None))
    assert float(SMALL.learned(alone, 0)(alone, 2, 0).u().mean()) == pytest.approx(level.value)


def test_a_known_sensitivity_moves_the_level_of_one_network():
    known, _ = world(members=1)
    us = []
    for mean in (2.0, 3.0):
        given = replace(observed(known), sensitivity=Sensitivity(mean, mean / 5, 1300))
        us.append(float(SMALL.emulate(given, given, draws=2, seed=0).u().mean()))
    assert us[1] / us[0] == pytest.approx(1.5, rel=1e-3)


@pytest.mark.parametrize("averaged", [False, True])
def test_the_centre_of_networks_along_one_path_errs_as_that_of_one(averaged):
    """Draws are wider than u by its error, of one network or of as many as there are."""
    known, wide = world("values", members=4)
    given = observed(known, "values", told=wide)
    if averaged:  # as if nothing were random
        given = replace(given, averaged=known)
    for path, error in ((1, 1 / 4), (3, 1 / 2), (4, 1.0)):
        found = SMALL.learned(replace(given, path=path), 0)(given, 600, 0)
        spread = found.values().double().var(0).sum(-1).mean() / found.u().square().mean()
        assert float(spread) == pytest.approx((1 + error) * SMALL.inflation, rel=0.05), path
    mean = torch.cat([known[:3].mean(0)[None], known[3:]]).mean(0)
    centre = SMALL.learned(replace(given, path=3), 0)(given, 2000, 0).values().mean(0)
    assert float((centre - mean).norm(dim=-1).mean()) < float(
        (centre - known.mean(0)).norm(dim=-1).mean()
    )


@pytest.mark.parametrize("state", STATES)
def test_the_order_of_classes_is_nothing(state):
    members, anchors = STATES[state]
    known, wide = world(members=members, inputs=100)
    order = torch.tensor([2, 0, 3, 1])
    one, other = (
        SMALL.emulate(*[observed(own, anchors=anchors, told=wide)] * 2, draws=400, seed=0)
        for own in (known, known[:, :, order])
    )
    assert torch.allclose(one.u(), other.u(), rtol=1e-5)
    assert torch.equal(one.outside, other.outside)
    moments = [(own.mean(), own.values().double().std(0)) for own in (one, other)]
    for mine, theirs in zip(*moments, strict=True):
        assert torch.allclose(mine[:, order], theirs, atol=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_u_does_not_hang_on_what_else_is_asked(kind):
    (known, wide), (asked, there) = (world(kind, 3, seed=s) for s in (0, 1))
    ask = SMALL.learned(observed(known, kind, 1, wide), 0)
    every = ask(observed(asked, kind, 1, there), 4, 0)
    given = observed(asked, kind, 1, there)
    part = Observations(
        Predictions(asked[:1, 5:9], outputs=KINDS[kind][0]),
        Predictions(asked[1:, 5:9], outputs=KINDS[kind][0]),
        0.5,
        given.features[:, 5:9],
    )
    found = ask(part, 4, 0)
    if kind == "values":  # in how many directions members differ is told by all of them
        assert torch.allclose(found.u(), every.u()[5:9], rtol=0.3)
    else:
        assert torch.allclose(found.u(), every.u()[5:9], rtol=1e-6)
    assert torch.equal(found.outside, every.outside[5:9])


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("unit", [1000.0, 2.0**-40, 2.0**40])
def test_u_is_the_same_in_whatever_units_values_come(state, unit):
    members, anchors = STATES[state]
    (known, wide), (asked, there) = (world("values", members, seed=s) for s in (0, 1))
    one, other = (
        SMALL.emulate(
            observed(factor * known, "values", anchors, wide),
            observed(factor * asked, "values", anchors, there),
            draws=5,
            seed=0,
        )
        for factor in (1.0, unit)
    )
    # a factor of 1000 rounds, and an input may come on the other side of a tree's threshold
    least = 0.9 if unit == 1000.0 else 1.0
    near = torch.isclose(other.u() / unit, one.u(), rtol=1e-3)
    drawn = torch.isclose(other.values() / unit, one.values(), rtol=1e-3, atol=1e-3)
    assert min(float(same.double().mean()) for same in (near, drawn)) >= least
    assert torch.equal(one.outside, other.outside)


def test_values_far_from_zero_are_told_apart():
    (known, wide), (asked, there) = (world("values", 3, seed=s) for s in (0, 1))
    near, far = (
        SMALL.emulate(
            observed(known + shift, "values", told=wide),
            observed(asked + shift, "values", told=there),
            draws=2,
            seed=0,
        ).u()
        for shift in (0.0, 2.0**30)
    )
    same = (near / far).log().abs() < 1e-2  # but where a split is between rounded numbers
    assert float(same.double().mean()) > 0.95


def test_three_networks_show_what_one_does_not():
    """How far networks scatter hangs on a feature as on no task before. The true u is that of many
    networks of the law.
    """
    errors = {}
    (known, wide), (asked, there) = (world(members=503, inputs=700, seed=s) for s in (0, 1))
    truth = Predictions(asked[3:]).u().double()
    for count in (1, 3):
        u = Atlas(trees=40).emulate(
            observed(known[:count], told=wide), observed(asked[:count], told=there),
            draws=2, seed=0,
        ).u().double()  # fmt: skip
        u = u * (truth.mean() / u.mean())  # where, and not how much
        errors[count] = float((u - truth).square().mean().sqrt() / truth.mean())
        ranks = stats.spearmanr(u, truth).statistic
    assert errors[3] < 0.75 * errors[1] and ranks > 0.8


def test_the_level_of_three_networks_is_nearer_than_that_of_one():
    levels = {}
    known, wide = world(members=503, scale=0.15)
    truth = float(Predictions(known[3:]).u().mean())
    for count in (1, 3):
        given = observed(known[:count], told=wide)
        levels[count] = float(SMALL.emulate(given, given, draws=2, seed=0).u().mean()) / truth
    assert levels[3] == pytest.approx(1, abs=0.2)
    assert abs(math.log(levels[3])) < abs(math.log(levels[1]))


def test_identical_networks_have_no_u_and_draw_their_mean():
    known, _ = world(members=1)
    for given in (observed(known.repeat(3, 1, 1)), observed(known.repeat(3, 1, 1), anchors=1)):
        found = SMALL.emulate(given, given, draws=5, seed=0)
        assert not found.u().any()
        assert torch.isfinite(found.stored).all()
    same = observed(known.repeat(2, 1, 1))
    drawn = SMALL.emulate(same, same, draws=5, seed=0)
    assert torch.allclose(drawn.mean(), known[0].exp(), atol=1e-3)


def test_one_calibration_input_is_one_line():
    known, _ = world(members=2)
    with pytest.raises(InputError, match="the atlas got 1 calibration input, needs 2") as caught:
        SMALL.emulate(observed(known[:, :1]), observed(known), draws=2, seed=0)
    assert "\n" not in str(caught.value)


def test_far_away_inputs_are_outside_and_know_the_networks_own_spread():
    (known, wide), (asked, there) = (world("values", 3, inputs=300, seed=s) for s in (0, 1))
    there = there.clone()
    there[0] = 1e6
    asked[0, 0] += 5
    plain = observed(asked, "values", told=torch.where(there > 1e5, wide.median(), there))
    far = observed(asked, "values", told=there)
    ask = SMALL.learned(observed(known, "values", told=wide), 0)
    one, other = ask(plain, 2, 0), ask(far, 2, 0)
    assert other.outside[0] and not one.outside[0]
    assert float(other.u()[0]) > float(one.u()[0])


def test_before_has_the_level_as_its_mean_for_each_that_is_left_out():
    known, wide = world(members=3)
    for kind in ("classes", "values"):
        known, wide = world(kind, members=3)
        given = observed(known, kind, told=wide)
        made = Before.of(learned(), given, 0.07)
        assert len(made.places) == 3
        for u in made.u(given):
            assert float(u.mean()) == pytest.approx(0.07, rel=1e-5)
            assert kind == "values" or float(u.max()) < CEILING


def test_the_centre_of_copies_is_weighed_by_errors():
    """Of Gaussian values whose copies scatter as the law says, and have its bias."""
    random = torch.Generator().manual_seed(0)
    mean = 3 * torch.randn(1, 20_000, 1, generator=random, dtype=torch.float64)
    width = math.sqrt(variance(0.5, 1.0))
    factors = torch.tensor([1.0, width, width, width])[:, None, None]
    noise = torch.randn(4, 20_000, 1, generator=random, dtype=torch.float64)
    group = Group(mean + 0.3 * factors * noise, 1, 0.5, outputs=Values())
    found = Centre.of(group, torch.full((20_000,), 0.3, dtype=torch.float64))
    scatter = variance(0.5, 1.0) / 3
    weight, error = together(1.0, scatter + squared_bias(0.5) / 2)
    assert found.calibration.power == pytest.approx(1, abs=0.02)
    assert found.weight == pytest.approx(weight, abs=0.02)
    assert found.error == pytest.approx(error, abs=0.02)
    theirs = found.calibration(group.proxies.mean(0))
    expected = (1 - found.weight) * group.own.mean(0) + found.weight * theirs
    assert torch.allclose(found(group), expected)


def test_the_centre_of_probabilities_is_between_both_means():
    known, _ = world(members=3)
    group = Group.of(observed(known, anchors=1))
    found = Centre.of(group, torch.full((400,), 0.1, dtype=torch.float64))
    centre = found(group)
    own, theirs = group.own.mean(0), found.calibration(group.proxies.mean(0))
    assert torch.allclose(centre.sum(1), torch.ones(400, dtype=torch.float64))
    logs = (1 - found.weight) * own.log() + found.weight * theirs.log()
    mixed = (1 - found.weight) * own + found.weight * theirs
    assert torch.allclose(centre, (logs.softmax(1) + mixed) / 2)
    assert isinstance(found.calibration, Calibration) and 0 < found.weight < 1


def test_one_network_alone_is_flattened():
    known, _ = world(members=1)
    group = Group.of(observed(known))
    found = Centre.of(group, torch.full((400,), 0.25, dtype=torch.float64))
    assert found.error == 1 and found.weight == 0 and found.power < 0.98
    assert torch.allclose(found(group), powered(group.own[0], found.power))
    values = Group(torch.randn(1, 50, 2).double(), 1, 1.0, outputs=Values())
    assert torch.equal(Centre.of(values, torch.ones(50).double())(values), values.own[0])


def test_averages_over_augmentations_take_a_part_of_the_error():
    """Networks whose deviation is half their own, half that of one augmentation."""
    random = torch.Generator().manual_seed(0)
    mean = 3 * torch.randn(1, 5000, 1, generator=random, dtype=torch.float64)
    own, ours = torch.randn(2, 4, 5000, 1, generator=random, dtype=torch.float64)
    group = Group(mean + own + ours, 4, 1.0, outputs=Values())
    means = mean + own
    u = torch.full((5000,), math.sqrt(2), dtype=torch.float64)
    found = Centre.of(group, u, means)
    assert found.averaging == pytest.approx(0.5, abs=0.03)  # half of the best weight
    true = float((found(group, means) - mean[0]).square().mean()) / 2
    assert found.error == pytest.approx(true, rel=0.1) and true < 0.9 / 4
    assert torch.allclose(
        found(group, means), torch.lerp(group.values, means, found.averaging).mean(0)
    )
    assert Centre.of(group, u).error == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trees": 0}, "atlas.trees got 0"),
        ({"leaf": 0}, "atlas.leaf got 0"),
        ({"tried": 1.5}, "atlas.tried got 1.5"),
        ({"inflation": -1}, "atlas.inflation got -1"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        Atlas(**settings)


def test_without_geometry_features_are_not_looked_at():
    (known, wide), (asked, there) = (world(members=2, seed=s) for s in (0, 1))
    blind = replace(SMALL, geometry=False)
    one, other = (
        blind.emulate(observed(known, told=a), observed(asked, told=b), draws=3, seed=0)
        for a, b in ((wide, there), (None, None))
    )
    assert torch.equal(one.u(), other.u()) and torch.equal(one.stored, other.stored)
    assert not torch.equal(
        SMALL.emulate(observed(known, told=wide), observed(asked, told=there), draws=3, seed=0).u(),
        one.u(),
    )
