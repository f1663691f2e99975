"""Few retrainings, one base, one input, equal members: every metric is right, or not defined, and
never noise.
"""

import math

import numpy as np
import pytest
import torch
from worlds import World

from thalweg.errors import InputError
from thalweg.metrics.curve import Curve, crossing, equivalent
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.metrics.scores import check_labels
from thalweg.metrics.spread import Coverage, covered
from thalweg.metrics.uncertainty import u_error, weighted_u
from thalweg.predictions import Predictions, impurity

WORLD = World(inputs=80)


def judged(reference, pool, *methods, labels=WORLD.labels):
    truth = Truth.of(reference, pool, labels, replicates=100)
    return evaluate(truth, methods, [impurity(m) for m in methods])


def alike(members, seed=0):
    """Members that agree to the bit, with probabilities that are no binary fractions."""
    return Predictions(World(inputs=80, seed=seed).draw(1).log_probs.expand(members, 80, 4))


@pytest.mark.parametrize("members", [2, 3, 6, 7])
def test_retrainings_that_agree_have_no_spread_at_all(members):
    """The mean of equal numbers need not be that number: their rounding was taken for a spread."""
    assert torch.equal(weighted_u(alike(members), torch.ones(1, members)), torch.zeros(1, 80))
    found = judged(alike(members), WORLD.draw(3, "pool"), WORLD.draw(3, "method"))
    for name in (
        "gap",
        "fair_gap",
        "k_eq",
        "u_error",
        "k_u",
        "spread_ratio",
        "disagreement_ratio",
        "rank_correlation",
        "partial_correlation",
    ):
        assert math.isnan(found[name].value) and math.isnan(found[name].low), (
            f"{name} {found[name]}"
        )


def test_inputs_on_which_retrainings_agree_are_tied():
    reference = WORLD.draw(6, "reference").log_probs.clone()
    reference[:, :40] = reference[:1, :40]
    assert (weighted_u(Predictions(reference), torch.ones(1, 6))[0, :40] == 0).all()


@pytest.mark.parametrize("retrainings", [2, 3])
def test_few_retrainings_do_not_know_the_error_of_u(retrainings):
    """Their own noise can't be told from a method's error: the error of retrainings themselves was
    .7 with two.
    """
    reference, method = WORLD.draw(retrainings, "reference"), WORLD.draw(40, "method")
    found = judged(reference, WORLD.draw(6, "pool"), method)
    assert math.isnan(found["u_error"].value) and math.isnan(u_error(method.u(), reference))
    assert (
        found["k_u"].value > 2 and found["k_eq"].low > 1
    )  # the curve's points have the same noise
    assert not math.isnan(
        judged(WORLD.draw(4, "reference"), WORLD.draw(6, "pool"), method)["u_error"].value
    )


def test_one_member_is_worth_one():
    found = judged(WORLD.draw(6, "reference"), WORLD.draw(5, "pool"), WORLD.draw(1, "method"))
    assert found["k_u"].value == found["k_u"].high == 1 and found["spread_ratio"].high == 0


def test_methods_that_are_equal_are_judged_equally_and_bases_that_are_equal_change_no_value():
    truth = Truth.of(
        WORLD.draw(6, "reference"), WORLD.draw(5, "pool"), WORLD.labels, replicates=100
    )
    method = WORLD.draw(3, "method")
    one, again, thrice = (evaluate(truth, [method] * k, [impurity(method)] * k) for k in (1, 1, 3))
    assert [repr(e) for e in one.values()] == [repr(e) for e in again.values()]
    assert [e.value for e in thrice.values()] == pytest.approx(
        [e.value for e in one.values()], rel=1e-6, nan_ok=True
    )


def test_a_pool_that_agrees_is_worth_one_of_its_members():
    """All points of the curve are equal but for rounding: the first is reached."""
    found = judged(WORLD.draw(6, "reference"), alike(6), alike(3))
    assert [
        found[f"dee_{name}"].value for name in ("nll", "brier", "accuracy", "calibrated_nll")
    ] == [1, 1, 1, 1]


def test_rounding_is_no_distance_on_a_curve():
    curve = Curve((1, 2, 3), torch.tensor([1.0, 0.5, 0.5 - 1e-9]), torch.empty(0, 3))
    assert equivalent(0.5, torch.empty(0), curve).value == 2
    assert equivalent(0.5 - 5e-8, torch.empty(0), curve).value == 2
    level = torch.tensor([0.4])
    assert crossing(level, curve.values[None], torch.tensor([1.0, 2.0, 3.0])).item() == math.inf


def test_a_k_u_beyond_the_curve_has_no_upper_end():
    found = judged(WORLD.draw(40, "reference"), WORLD.draw(2, "pool"), WORLD.draw(100, "method"))[
        "k_u"
    ]
    assert (
        (found.value, found.high) == (2, math.inf)
        and 1 <= found.low <= 2
        and found.text().startswith("> ")
    )


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_few_inputs(inputs):
    world = World(inputs=inputs)
    found = judged(
        world.draw(5, "reference"),
        world.draw(3, "pool"),
        world.draw(3, "method"),
        labels=world.labels,
    )
    assert all(
        math.isfinite(found[name].value)
        for name in ("accuracy", "nll", "brier", "ece", "calibrated_nll", "spread_ratio")
    )


def test_double_precision_covers_what_it_is():
    """Identical members: the interval is one number, which interpolation must not move by a
    rounding error.
    """
    same = Predictions(alike(9).log_probs.double().log_softmax(-1))
    classes = Coverage.of(same)
    assert torch.equal(covered(same, same, classes), classes.classes[:, None].expand(80, 9).float())


def test_labels_in_any_container():
    for given in (
        WORLD.labels,
        WORLD.labels.numpy(),
        WORLD.labels.tolist(),
        WORLD.labels.to(torch.uint8),
    ):
        assert torch.equal(check_labels(given, WORLD.draw(2)), WORLD.labels)
    for given in (
        ["a"] * 80,
        None,
        WORLD.labels.double(),
        np.zeros(80),
        [True] * 80,
        WORLD.labels[:, None],
    ):
        with pytest.raises(InputError, match=r"labels .*need"):
            check_labels(given, WORLD.draw(2))


def test_a_trivial_baseline_of_other_inputs_is_one_line():
    truth = Truth.of(WORLD.draw(6, "reference"), WORLD.draw(5, "pool"), WORLD.labels, replicates=20)
    with pytest.raises(InputError, match=r"a trivial baseline has shape \(7,\), needs \(80,\)"):
        evaluate(truth, [WORLD.draw(2)], [torch.zeros(7)])
