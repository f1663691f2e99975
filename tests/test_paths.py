"""Which part of led paths falls short: worlds in which one part is wrong."""

import json

import pytest
import torch

from research.paper import facts
from research.paths import page
from research.paths.parts import Parts, measured
from thalweg.atlas.draws import logit_normal
from thalweg.metrics.evaluate import Truth
from thalweg.predictions import Predictions
from thalweg.seeds import generator

INPUTS, CLASSES = 400, 4


def world(count: int, *, off: float = 0.0, u: float = 0.15, seed: int = 0) -> Predictions:
    """Networks about the same centres, or about centres that are off in the logarithm."""
    random = generator(0, "centres")
    centre = torch.randn(INPUTS, CLASSES, generator=random, dtype=torch.float64)
    away = torch.randn(INPUTS, CLASSES, generator=random, dtype=torch.float64)
    mean = torch.softmax(centre + off * away, -1)
    own = generator(seed, "noise")  # many, as the mean of all of them is the centre itself
    noise = torch.randn(10 * count, INPUTS, CLASSES, generator=own, dtype=torch.float64)
    drawn = logit_normal(mean, torch.full((INPUTS,), u).double(), noise)
    return Predictions(drawn[:count].float())


@pytest.fixture(scope="module")
def judged():
    pool = world(12, seed=1)
    truth = Truth.of(world(20, seed=2), pool, torch.zeros(INPUTS, dtype=torch.long), replicates=50)
    return pool, truth


def test_networks_that_are_made_of_their_own_parts_predict_the_same(judged):
    members = world(8, seed=3)
    parts = Parts(members)
    again = Parts(parts.made())
    torch.testing.assert_close(again.centre, parts.centre, atol=5e-3, rtol=0)
    torch.testing.assert_close(again.u, parts.u, atol=5e-3, rtol=0)


def test_the_part_that_is_wrong_is_the_one_that_is_worth_something(judged):
    pool, truth = judged
    found = measured(truth, [world(8, off=0.3, seed=3)], pool)
    k_eq = {name: row["k_eq"][0] for name, row in found.items() if "k_eq" in row}
    assert k_eq["true centre"] > 2 * k_eq["as they are"]
    assert k_eq["true u"] == pytest.approx(k_eq["as they are"], rel=0.15)
    assert k_eq["own parts"] == pytest.approx(k_eq["as they are"], rel=0.1)
    assert found["centre"]["error"][0] > 0.3

    narrow = measured(truth, [world(8, u=0.03, seed=3)], pool)
    assert narrow["true u"]["k_u"][0] > 3 * narrow["as they are"]["k_u"][0]
    assert narrow["true mean u"]["k_u"][0] > 3 * narrow["as they are"]["k_u"][0]


def test_retrainings_fall_short_of_nothing(judged):
    pool, truth = judged
    found = measured(truth, [world(8, seed=4), world(8, seed=5)], pool)
    assert found["as they are"]["k_eq"][0] == pytest.approx(8, rel=0.3)
    # as many directions; and a centre of twelve, which real retrainings gain by, too
    assert found["true directions"]["k_eq"][0] == pytest.approx(8, rel=0.3)
    assert found["true centre"]["k_eq"][0] > 8
    assert found["centre"]["error"][0] == pytest.approx(1 / 8, abs=0.05)


def test_the_page_has_every_number(tmp_path):
    row = {"k_eq": [1.23, 1.0, 2.0], "k_u": [3.46, 3.0, 4.0]}
    methods = {"thalweg": {"as they are": row, "true centre": row, "centre": {"error": [0.7]}}}
    found = {"title": "A study", "plan": "paths-x", "methods": methods}
    (tmp_path / "paths-x.json").write_text(json.dumps(found))
    text = page.text_of(tmp_path / "paths-x.json")
    assert (
        "| as they are | 1.2 (1.0 to 2.0) | 3.5 (3.0 to 4.0) |" in text and "thalweg 0.70" in text
    )


def test_the_page_is_up_to_date():
    assert not page.stale(), "run: python -m research.paths page"


def test_what_the_page_says_of_parts():
    found = json.loads((page.RESULTS / "paths-fashion-cnn.json").read_text())["methods"]
    led, real = found["thalweg"], found["deep-ensemble (members 3)"]
    assert led["true centre"]["k_eq"][0] > 2.5 * led["as they are"]["k_eq"][0]
    assert real["true centre"]["k_eq"][0] < 1.5 * real["as they are"]["k_eq"][0]
    for part in ("own parts", "true directions", "true u"):
        assert led[part]["k_eq"][0] < 1.05 * led["as they are"]["k_eq"][0]


def test_what_is_said_of_the_resnet():
    """Led paths are worth as much as restarts there, and less in K_u than adversaries, at the
    accuracy of one network: free parts are held by the loss.
    """
    methods = facts.study(facts.STUDIES / "paths-cifar-resnet" / "results")["methods"]
    led, one = methods["thalweg"], methods["deep-ensemble (members 1)"]
    restarts = methods["restarts (members 10, share 0.05, lr_ratio 1.0)"]
    adversaries = methods["adversaries (members 10, share 0.03, form loss)"]
    assert led["accuracy"][0] > one["accuracy"][0] - 0.005
    for metric in ("k_eq", "k_u"):
        assert led[metric][1] < restarts[metric][0] < led[metric][2]
    assert led["k_u"][0] > 4 and adversaries["k_u"][0] > led["k_u"][0]
    found = json.loads((page.RESULTS / "paths-cifar-resnet.json").read_text())["methods"]
    assert found["thalweg"]["centre"]["error"][0] < 1
    words = " ".join((page.DOCS / "paths.md").read_text().split())
    assert "as much as restarts at the recipe's rate" in words
