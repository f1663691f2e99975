"""Several draws are refreshed and evaluated in one pass over the data: the same as one by one, as
many as memory holds.
"""

import pytest
import torch
from torch import nn

import cases
from thalweg import predicting
from thalweg.predicting import predict, sample
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace

X, _ = cases.held_out()


class Counted:
    """A loader that counts how often it is read."""

    def __init__(self) -> None:
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        return iter(X.split(16))

    def __len__(self) -> int:
        return -(-len(X) // 16)


def in_groups_of(draws: int, problem, monkeypatch) -> None:
    """As if so many draws filled the memory."""
    size = sum(4 * p.numel() for p in problem.build("network").parameters())
    grouped = predicting._grouped
    monkeypatch.setattr(predicting, "_grouped", lambda drawn: grouped(drawn, limit=draws * size))


@pytest.mark.parametrize("together", [1, 2, 3, 7])
@pytest.mark.parametrize("network", ["conv-batchnorm", "tied", "frozen", "buffers-batchnorm"])
def test_draws_in_one_pass_equal_one_by_one(network, together, monkeypatch):
    problem = cases.problem(network)
    found = Subspace((problem.anchor(0), problem.anchor(1)))
    drawn = list(sample(problem, found, 7, seed=3))
    expected = []
    for weights in drawn:
        module = problem.network(weights).eval()
        with torch.no_grad():
            expected.append(module(X).log_softmax(-1))
    in_groups_of(together, problem, monkeypatch)
    loader, cost = Counted(), problem.cost.forward_examples
    log_probs = predict(problem, Members(tuple(drawn)), loader).log_probs
    assert torch.allclose(log_probs, torch.stack(expected), rtol=0, atol=1e-5)
    looks = 2  # at its order
    assert loader.passes - looks == -(
        -7 // together
    ) and problem.cost.forward_examples - cost == 7 * len(X)
    again = predict(problem, found, X, draws=7, seed=3).log_probs
    assert torch.allclose(again, log_probs, rtol=0, atol=1e-5), "refreshed in such groups, too"


def test_the_training_set_is_read_once_for_all_draws_that_need_it(monkeypatch):
    problem = cases.problem("conv-batchnorm")
    found = Subspace((problem.anchor(0), problem.anchor(1)))
    asked, refresh = [], type(problem).refresh
    monkeypatch.setattr(
        type(problem),
        "refresh",
        lambda self, network, points: (asked.append(len(points)), refresh(self, network, points))[
            1
        ],
    )
    mixed = [next(found.draw(1, seed=0)), found.vertices[0], next(found.draw(1, seed=1))]
    done = list(sample(problem, Members(tuple(mixed))))
    assert asked == [2] and done[1] is mixed[1]
    assert done[0].params is mixed[0].params and done[2].params is mixed[2].params, "in their order"
    in_groups_of(2, problem, monkeypatch)
    list(sample(problem, found, 5))
    assert asked[1:] == [2, 2, 1]


def test_draws_are_grouped_by_their_memory():
    def points(*sizes: int):
        return [Weights({"a": torch.zeros(n - 1), "b": torch.zeros(1)}, {}) for n in sizes]

    def groups(limit: int, *sizes: int) -> list[list[int]]:
        drawn = points(*sizes)
        found = list(predicting._grouped(iter(drawn), limit))
        assert [id(w) for group in found for w in group] == [id(w) for w in drawn], (
            "in order, none lost"
        )
        return [[w.params["a"].numel() + 1 for w in group] for group in found]

    assert groups(40, 5, 5, 5, 5, 5) == [[5, 5], [5, 5], [5]]
    assert groups(39, 5, 5, 5) == [[5], [5], [5]]
    assert groups(40, 3, 20, 3, 7, 1) == [[3], [20], [3, 7], [1]], (
        "one that is too large goes alone"
    )
    assert groups(40, 20, 30, 3) == [[20], [30], [3]], (
        "and at the start, without an empty group before it"
    )
    assert groups(40) == []
    doubles = [Weights({"a": torch.zeros(5, dtype=torch.float64)}, {}) for _ in range(2)]
    assert [len(g) for g in predicting._grouped(iter(doubles), 79)] == [1, 1]
    assert [len(g) for g in predicting._grouped(iter(points(5) * 40))] == [40], (
        "32 draws of a small network are one group"
    )


def test_no_more_draws_are_held_than_a_group():
    alive = []

    def drawn():
        for k in range(6):
            alive.append(k)
            yield Weights({"a": torch.zeros(10)}, {})

    groups = predicting._grouped(drawn(), 80)
    next(groups)
    assert len(alive) == 3, "the one that did not fit, too"


def test_a_random_network_meets_the_same_numbers_at_every_draw():
    problem = cases.problem(model=cases.Noisy)
    anchor = problem.anchor(0)
    log_probs = predict(problem, Members((anchor,) * 3), Counted()).log_probs
    assert torch.equal(log_probs[0], log_probs[1]) and torch.equal(log_probs[0], log_probs[2])
    assert torch.equal(log_probs[:1], predict(problem, anchor, Counted()).log_probs)


class Counting(nn.Module):
    """Counts how often it was evaluated, whatever its mode."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(36, 3), nn.BatchNorm1d(3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        self.calls += 1
        return self.norm(self.layer(x.flatten(1)))


def test_weights_that_are_evaluated_stay_as_they_are():
    problem = cases.problem(model=Counting)
    anchor = problem.anchor(0)
    mixed = next(Subspace((anchor,)).draw(1, seed=0))
    kept = [
        {name: t.clone() for name, t in part.items()}
        for part in (anchor.params, anchor.buffers, mixed.params, mixed.stale)
    ]
    predict(problem, Members((anchor, mixed)), X)
    for part, before in zip(
        (anchor.params, anchor.buffers, mixed.params, mixed.stale), kept, strict=True
    ):
        assert all(torch.equal(t, before[name]) for name, t in part.items())
