"""Sentences under figures: each says what the numbers say, in both directions."""

import math

import numpy as np
import pandas as pd

from thalweg.metrics.info import FACTS
from thalweg.report import landscape_words, sentences
from thalweg.report.pictured import Functions, Landscape, Profile, Uncertain


def costs(*rows):
    table = pd.DataFrame(rows, columns=["total", "value", "low", "high"])
    return table.assign(
        number=range(1, len(table) + 1), family=["deep ensemble", *["emulator"] * (len(table) - 1)]
    )


def test_methods_are_counted_above_below_and_across_the_line():
    table = costs((1, 1, 1, 1), (2, 3, 2.5, math.inf), (2, 1, 0.8, 1.2), (2, 2, 1.5, 2.5))
    text = sentences.against_cost(table, bound=True)
    assert text == (
        "Of 3 methods beside deep ensembles, 1 is above the line with the whole interval, 1 below "
        "it, and for 1 the interval crosses it. None is beyond the dashed line with its whole "
        "interval."
    )
    beyond = costs((1, 1, 1, 1), (2, 6, 5, 7))
    assert "Beyond the dashed line with the whole interval: no. 2." in sentences.against_cost(
        beyond, bound=True
    )
    assert "dashed" not in sentences.against_cost(beyond, bound=False)
    assert sentences.against_cost(costs((1, 1, 1, 1)), bound=True) == (
        "No method beside deep ensembles has a value that is known."
    )


def spreads(**scales):
    truth = np.linspace(0.1, 1, 20)
    inputs = pd.concat(
        pd.DataFrame({"method": name, "u": scale * truth, "u_reference": truth})
        for name, scale in scales.items()
    )
    methods = pd.DataFrame({"method": list(scales), "number": range(1, len(scales) + 1)})
    return sentences.spread(inputs, methods)


def test_the_predicted_share_of_the_spread():
    text = spreads(a=0.0, b=0.5, c=1.5)
    assert "from 50 % (no. 2) to 150 % (no. 3)" in text and "without any spread: no. 1." in text
    assert "without" not in spreads(b=0.5, c=1.5)
    assert "no. 1 predicts 100 %" in spreads(a=1.0)
    assert spreads(a=0.0) == "No method predicts any spread."


def covered(*values, family="emulator"):
    numbers = range(1, len(values) + 1)
    return sentences.coverage(
        pd.DataFrame({"number": numbers, "family": family, "value": list(values)})
    )


def test_how_many_methods_cover_enough():
    assert covered(0.3, 0.9, math.nan) == (
        "At least 85 % are held by 1 of 2 methods; the shares go from 30 % (no. 1) to 90 % (no. 2)."
    )
    assert "by none of 2 methods" in covered(0.3, 0.4)
    assert "deep ensembles hold less" in covered(0.3, 0.4, family="deep ensemble")
    assert "deep ensembles" not in covered(0.3, 0.9, family="deep ensemble")
    assert covered(math.nan) == "No method has an interval."


def test_confidence_above_and_below_the_accuracy():
    table = pd.DataFrame(
        {
            "method": ["a", "a", "b"],
            "confidence": [0.9, 0.8, 0.6],
            "accuracy": [0.8, 0.8, 0.65],
            "count": [50, 50, 100],
        }
    )
    methods = pd.DataFrame({"method": ["a", "b"], "number": [1, 2]})
    assert sentences.reliability(table, methods) == (
        "On average over test inputs, the confidence is above the accuracy for 1 of 2 methods, by "
        "at most 5.0 percentage points (no. 1), and below the accuracy for 1 of 2 methods, by at "
        "most 5.0 percentage points (no. 2)."
    )
    assert "below" not in sentences.reliability(table, methods.head(1))
    assert "above" not in sentences.reliability(table, methods.tail(1))
    equal = table.assign(accuracy=table["confidence"])
    assert "equals the accuracy" in sentences.reliability(equal, methods)


def test_what_more_members_bring():
    def said(*values):
        table = pd.DataFrame(
            {"metric": "nll", "members": [1, 2, 5][: len(values)], "value": values}
        )
        return sentences.curves(table, FACTS, {"nll": "loss"})

    text = said(0.5, 0.42, 0.4)
    assert "From 1 to 5 members, the loss goes from 0.5000 to 0.4000; 2 members bring" in text
    assert said(0.5, 0.48, 0.4).endswith("0.4000.") and said(0.4, 0.4).endswith("0.4000.")
    assert said(0.5) == "" and said(float("inf"), float("inf"), float("inf")) == ""
    assert "members bring" not in said(0.5, 0.6, 0.48)  # not the wrong way


def test_where_the_reference_is_right():
    mean, std = np.array([[0.6, 0.4], [0.3, 0.7]]), np.array([[0.1, 0.2], [0.2, 0.3]])
    shown = Uncertain(np.zeros((2, 1, 2, 2)), np.array([0, 0]), mean, std, {}, ("a", "b"))
    assert "the true one on 1 of the 2 images" in sentences.uncertain(shown, 2)
    assert "by 0.10 to 0.30" in sentences.uncertain(shown, 2)


def test_the_plane_in_words():
    grid = np.array([[0.1, 2.0], [np.nan, 0.5]])
    empty = np.zeros((0, 2))
    plane = Landscape(
        np.arange(2.0), np.arange(2.0), grid, grid / 4, "test error", empty, (), empty, ""
    )
    text = landscape_words.seen_on_plane(plane)
    assert "between 0.1 and 2 nats" in text and "test error between 2.5 and 50.0 %" in text


def test_paths_and_maps_in_words():
    line = np.array([0.0, 1.0])
    flat, high = (Profile(line, line, line, line / 4, barrier, 1.0) for barrier in (0.0, 0.3))
    assert "The barrier is 0.3 nats, and 25.0 %" in landscape_words.seen_along({"a": high})
    both = landscape_words.seen_along({"a": high, "b": flat})
    assert "between 0 (b) and 0.3 nats (a)" in both
    points = {"anchor": np.zeros((1, 2)), "members": np.array([[3.0, 4.0], [0.0, 1.0]])}
    assert "members 3" in landscape_words.seen_on_map(Functions(points, (), 0.5, 10))
    alone = {"anchor": np.zeros((1, 2))}
    assert landscape_words.seen_on_map(Functions(alone, (), 0.5, 10)) == ""
