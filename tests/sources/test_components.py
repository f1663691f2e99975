"""Variance components: against loops, against closed forms, and in worlds where they are known."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

from research.sources.worlds import FACTORS, SMALL, effects, known
from thalweg.predictions import Predictions
from thalweg.sources import Design, budget_of
from thalweg.sources.intervals import component_dof, component_interval, effective_dof
from thalweg.sources.terms import analysed

WORLDS = 500


def predictions(*shape: int, seed: int = 0) -> Predictions:
    random = torch.Generator().manual_seed(seed)
    return Predictions.from_values(torch.randn(shape, generator=random, dtype=torch.float64))


def variances(budget) -> dict[str, torch.Tensor]:
    return {row.name: row.variances for row in budget.rows}


def test_two_crossed_sources_are_those_of_the_textbook():
    """Searle, Casella and McCulloch 1992, section 4.4: sums of squares in loops."""
    a, b, inputs, outputs = 4, 3, 5, 2
    y = predictions(a * b, inputs, outputs).values().view(a, b, inputs, outputs)
    found = variances(budget_of(predictions(12, 5, 2), Design.of(("init", "order"), 12, "crossed",
                                                                 repeats=0)))  # fmt: skip
    for i, o in product(range(inputs), range(outputs)):
        cell = [[float(y[j, k, i, o]) for k in range(b)] for j in range(a)]
        mean = sum(map(sum, cell)) / (a * b)
        rows = [sum(row) / b for row in cell]
        columns = [sum(row[k] for row in cell) / a for k in range(b)]
        ms_a = b * sum((r - mean) ** 2 for r in rows) / (a - 1)
        ms_b = a * sum((c - mean) ** 2 for c in columns) / (b - 1)
        left = [cell[j][k] - rows[j] - columns[k] + mean for j in range(a) for k in range(b)]
        ms_ab = sum(x * x for x in left) / ((a - 1) * (b - 1))
        expected = {
            "init": (ms_a - ms_ab) / b,
            "order": (ms_b - ms_ab) / a,
            "init x order": ms_ab,
        }
        for name, value in expected.items():
            assert float(found[name][i, o]) == pytest.approx(value, abs=1e-12)


def test_a_latin_square_is_that_of_the_textbook():
    design = Design.of(FACTORS, 16, "latin", repeats=0)
    y = predictions(16, 1, 1).values().flatten().tolist()
    found = variances(budget_of(predictions(16, 1, 1), design))
    mean = sum(y) / 16
    squares = []
    for place in range(3):
        means = [
            sum(v for v, row in zip(y, design.levels, strict=True) if row[place] == level) / 4
            for level in range(4)
        ]
        squares.append(4 * sum((m - mean) ** 2 for m in means))
    rest = (sum((v - mean) ** 2 for v in y) - sum(squares)) / (15 - 9)
    assert float(found["interactions"]) == pytest.approx(rest)
    for name, square in zip(FACTORS, squares, strict=True):
        assert float(found[name]) == pytest.approx((square / 3 - rest) / 4)


def test_one_source_at_a_time_is_the_sample_variance_and_repetitions_are_taken_off():
    design = Design.of(("init", "order"), 9, "one-factor", repeats=2)
    own = predictions(9, 3, 1)
    values = own.values()[..., 0]
    found = variances(budget_of(own, design))
    again = values[[0, 7, 8]].var(0)
    assert torch.allclose(found["repeat"][:, 0], again)
    assert torch.allclose(found["init"][:, 0], values[[0, 1, 2, 3]].var(0) - again)
    assert torch.allclose(found["order"][:, 0], values[[0, 4, 5, 6]].var(0) - again)


@pytest.mark.parametrize(("kind", "trainings"), [("latin", 25), ("crossed", 24)])
def test_contrasts_are_orthonormal_and_use_all_degrees_of_freedom(kind, trainings):
    terms, _ = analysed(Design.of(FACTORS, trainings, kind, repeats=0))
    rows = torch.cat([term.contrasts for term in terms])
    assert torch.allclose(rows @ rows.T, torch.eye(trainings - 1, dtype=torch.float64))
    assert torch.allclose(rows.sum(1), torch.zeros(trainings - 1, dtype=torch.float64), atol=1e-12)


def test_an_interval_of_one_mean_square_is_that_of_chi_square():
    low, high = component_interval(np.array([0.5]), np.array([[3.0]]), np.array([7.0]), 0.9)
    ends = stats.chi2.ppf([0.95, 0.05], 7)
    assert [float(low[0]), float(high[0])] == pytest.approx(list(7 * 1.5 / ends))


def test_an_interval_of_a_difference_tends_to_that_of_its_first_mean_square():
    """Where the other is known, as it is with infinitely many degrees of freedom."""
    weights, squares = np.array([1.0, -1.0]), np.array([3.0, 1.0])
    low, high = component_interval(weights, squares, np.array([7.0, 1e7]))
    ends = 7 * 3 / stats.chi2.ppf([0.975, 0.025], 7) - 1
    assert [float(low), float(high)] == pytest.approx(list(ends), rel=2e-3)


def test_degrees_of_freedom_are_satterthwaites():
    weights, squares, dof = np.array([0.5, -0.25]), np.array([6.0, 2.0]), np.array([4.0, 9.0])
    expected = 2.5**2 / (3.0**2 / 4 + 0.5**2 / 9)
    assert float(component_dof(weights, squares, dof)) == pytest.approx(expected)
    assert float(component_dof(weights, np.array([1.0, 2.0]), dof)) == 1  # estimated as 0
    assert math.isinf(float(component_dof(weights, np.zeros(2), dof)))


def test_effective_degrees_of_freedom_count_directions():
    """Six directions of equal size are six times those of one, less what few contrasts hide."""
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 6, generator=random, dtype=torch.float64)
    assert effective_dof(rows @ rows.T) == pytest.approx(6 * 200, rel=0.05)
    assert effective_dof(rows[:, :1] @ rows[:, :1].T) == pytest.approx(200)
    assert effective_dof(torch.zeros(3, 3, dtype=torch.float64)) == 3


@pytest.mark.parametrize("heavy", [False, True], ids=["gaussian", "heavy tails"])
@pytest.mark.parametrize(("kind", "trainings"), [("latin", 25), ("crossed", 27)])
def test_intervals_hold_the_truth(kind, trainings, heavy):
    """Nominally 95 %: at least 90 % of Gaussian worlds, of every source and interaction; Student's
    t of five degrees of freedom costs a little.
    """
    design = Design.of(FACTORS, trainings, kind, repeats=0)
    values = effects(design.levels, SMALL, WORLDS, "test", numbers=6, heavy=heavy)
    inside: dict[str, int] = {}
    sums: dict[str, float] = {}
    for own in values:
        for row in budget_of(Predictions.from_values(own), design).rows:
            u = known(row.name, kind, SMALL)
            inside[row.name] = inside.get(row.name, 0) + (row.mean_u.low <= u <= row.mean_u.high)
            sums[row.name] = sums.get(row.name, 0.0) + float(row.variances.mean())
    least = 0.85 if heavy else 0.9
    assert all(count >= least * WORLDS for count in inside.values()), inside
    for name, total in sums.items():  # estimates have no bias
        assert total / WORLDS == pytest.approx(known(name, kind, SMALL) ** 2, abs=0.09)


def test_intervals_of_an_input_hold_the_truth():
    design = Design.of(FACTORS, 25, "latin", repeats=0)
    values = effects(design.levels, SMALL, WORLDS, "input")[..., 0].T[:, :, None]
    for row in budget_of(Predictions.from_values(values), design).rows:  # worlds are inputs here
        u = known(row.name, "latin", SMALL)
        inside = (row.low <= u) & (u <= row.high)
        assert float(inside.double().mean()) >= 0.92, row.name
