import math
from dataclasses import replace

import pytest
import torch
from worlds import World

from thalweg.errors import InputError
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.metrics.info import FACTS
from thalweg.predictions import Predictions, impurity

WORLD, AWAY = World(inputs=300), World(inputs=150, seed=1)
COSTS = {
    "cost",
    "forward",
    "total",
    "seconds",
    "emulator_seconds",
    "relative_time",
    "peak_memory",
    "stored_bytes",
    "evaluations_per_input",
    "efficiency",
    "u_efficiency",
}


@pytest.fixture(scope="module")
def truth():
    reference, pool = WORLD.draw(12, "reference"), WORLD.draw(10, "pool")
    return Truth.of(reference, pool, WORLD.labels, AWAY.draw(12, "reference"), replicates=200)


def judged(truth, members, bases=5, **settings):
    methods = [WORLD.draw(members, "method", base, **settings) for base in range(bases)]
    away = [AWAY.draw(members, "method", base, **settings) for base in range(bases)]
    return evaluate(truth, methods, [impurity(method) for method in methods], away)


def test_every_fact_that_is_no_cost_is_evaluated(truth):
    mine = {name for name, fact in FACTS.items() if isinstance(truth.outputs, fact.of)}
    assert set(judged(truth, 4)) == mine - COSTS


@pytest.mark.parametrize("members", [2, 5])
def test_retrainings_look_like_retrainings(truth, members):
    result = judged(truth, members)
    for name in ("k_eq", "k_u", "dee_nll", "dee_brier"):
        assert result[name].low < members < result[name].high, name
    for name in ("disagreement_ratio",):
        assert result[name].low < 1 < result[name].high, name
    for name, estimate in result.items():
        if name in ("outside", "ood_outside"):  # retrainings know nothing of being outside
            assert math.isnan(estimate.value), name
            continue
        assert estimate.low <= estimate.value <= estimate.high, name
        assert estimate.text(FACTS[name].digits)


def test_the_share_outside(truth):
    def marked(predictions, share):
        count = round(share * predictions.inputs)
        return replace(predictions, outside=torch.arange(predictions.inputs) < count)

    methods = [marked(WORLD.draw(3, "method", base), 0.25) for base in range(2)]
    away = [marked(AWAY.draw(3, "method", base), share) for base, share in enumerate((0.5, 1.0))]
    result = evaluate(truth, methods, [impurity(method) for method in methods], away)
    assert result["outside"].value == pytest.approx(0.25, abs=0.01)
    assert result["ood_outside"].value == pytest.approx(0.75, abs=0.01)
    assert result["outside"].low < 0.25 < result["outside"].high


def test_too_little_spread_is_seen(truth):
    result = judged(truth, 10, scale=0.3)
    assert result["spread_ratio"].high < 0.5
    assert result["fair_gap"].low > 0
    assert result["k_eq"].high < 8


def test_one_member_and_one_base(truth):
    result = judged(truth, 1, bases=1)
    assert result["k_eq"].value == pytest.approx(1, rel=0.2)
    assert result["k_u"].value == 1
    assert (
        result["spread_ratio"].value
        == result["disagreement_ratio"].value
        == result["ood_spread_ratio"].value
        == 0
    )
    assert result["ood_auroc_mutual_information"].value == 0.5
    assert all(
        math.isnan(result[name].value)
        for name in ("fair_gap", "rank_correlation", "partial_correlation")
    )


def test_a_stated_u_is_the_u_that_is_judged(truth):
    method = WORLD.draw(2, "method")
    known = Predictions(method.log_probs, truth.uncertainty.u.float())
    plain, stated = (evaluate(truth, [m], [impurity(m)]) for m in (method, known))
    assert stated["u_error"].value < 0.2 < plain["u_error"].value
    assert stated["k_eq"] == plain["k_eq"]


def test_the_same_again_to_the_bit(truth):
    assert judged(truth, 3) == judged(truth, 3)


def test_a_small_reference_and_pool_work():
    reference, pool = WORLD.draw(2, "reference"), WORLD.draw(1, "pool")
    truth = Truth.of(reference, pool, WORLD.labels, replicates=50)
    method = WORLD.draw(3, "method")
    assert evaluate(truth, [method], [impurity(method)])["k_eq"].low > 0


def test_bad_input(truth):
    method, short = WORLD.draw(2, "method"), World(inputs=7).draw(2, "method")
    with pytest.raises(InputError, match="a method has 7 inputs"):
        evaluate(truth, [short], [impurity(short)])
    with pytest.raises(InputError, match="need one of each"):
        evaluate(truth, [method], [])
    with pytest.raises(InputError, match="need one of each"):
        evaluate(truth, [], [])
    with pytest.raises(InputError, match="out-of-distribution"):
        evaluate(truth, [method], [impurity(method)], [short])
    with pytest.raises(InputError, match="needs 2 or more"):
        Truth.of(WORLD.draw(1), WORLD.draw(3), WORLD.labels)
    with pytest.raises(InputError, match="the pool has 7 inputs"):
        Truth.of(WORLD.draw(3), short, WORLD.labels)
    with pytest.raises(InputError, match="elsewhere"):
        Truth.of(WORLD.draw(3), WORLD.draw(3), WORLD.labels, AWAY.draw(2))
    plain = Truth.of(WORLD.draw(3), WORLD.draw(3), WORLD.labels, replicates=20)
    with pytest.raises(InputError, match="ood_reference"):
        evaluate(plain, [method], [torch.zeros(300)], [method])
