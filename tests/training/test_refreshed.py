"""The part of the training set on which a problem estimates batch-norm statistics: fixed, of the
asked size, counted.
"""

import math
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import cases
import contract
import reference
from thalweg.training.batches import Batches
from thalweg.weights.point import Weights, mix


class Watched(nn.Module):
    """Batch norm at the input, and a record of what comes."""

    seen: ClassVar[list[torch.Tensor]] = []

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(36), nn.Linear(36, cases.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and not torch.is_grad_enabled():
            Watched.seen.append(x.flatten(1))
        return self.head(self.norm(x.flatten(1)))


def refreshed(problem, points: int = 1) -> tuple[list[torch.Tensor], list[Weights]]:
    """The batches that are read, and what is found."""
    network = problem.build("network")
    Watched.seen = []
    found = problem.refresh(network, [mix([Weights.of(network)], [1.0])] * points)
    return Watched.seen, found


def distances(seen: list[torch.Tensor], loader: str) -> torch.Tensor:
    """Between what was read and the training set `[read, examples]`."""
    whole = cases.task()[0].flatten(1) - (0.2 if loader == "augmented" else 0)
    return torch.cdist(torch.cat(seen), whole, compute_mode="donot_use_mm_for_euclid_dist")


@pytest.mark.parametrize("loader", cases.LOADERS)
@pytest.mark.parametrize(
    ("examples", "expected"), [(1, 16), (15, 16), (17, 32), (79, 80), (81, 95), (2048, 95)]
)
def test_as_many_examples_as_asked_in_whole_batches(loader, examples, expected):
    problem = cases.problem(loader=loader, model=Watched, bn_examples=examples)
    before = problem.cost.forward_examples
    seen, (found,) = refreshed(problem)
    if loader == "list":
        # of which nobody can tell that it is shuffled: its first examples may be all of one class
        expected = 95
    assert sum(map(len, seen)) == problem.cost.forward_examples - before == expected
    assert (
        len(seen) == math.ceil(expected / cases.SIZE) == found.buffers["norm.num_batches_tracked"]
    )
    mean, variance = reference.batchnorm_statistics([x.double().numpy() for x in seen])
    assert np.allclose(found.buffers["norm.running_mean"], mean, atol=1e-6)
    assert np.allclose(found.buffers["norm.running_var"], variance, atol=1e-5)
    if loader != "augmented":
        assert distances(seen, loader).amin(1).max() == 0, "they are training examples"


@pytest.mark.parametrize("loader", ["batches", "augmented", "tuples", "own-generator"])
def test_the_examples_are_the_same_ones_at_every_point_and_not_the_first(loader):
    problem = cases.problem(loader=loader, model=Watched, bn_examples=30)
    before = contract.states()
    first, _ = refreshed(problem)
    torch.rand(7)
    second, _ = refreshed(problem)
    problem.anchor(0)
    third, _ = refreshed(problem)
    torch.set_rng_state(before[0])
    contract.assert_states(before)
    assert all(torch.equal(torch.cat(first), torch.cat(other)) for other in (second, third))
    nearest = distances(first, loader).argmin(1)
    assert len(nearest.unique()) == 32 and nearest.tolist() != list(range(32))


@pytest.mark.parametrize("loader", ["batches", "augmented"])
def test_another_seed_reads_the_same_examples_with_the_same_augmentation(loader):
    """So that the spread over bases holds no noise of the estimate."""
    problems = [
        cases.problem(loader=loader, model=Watched, bn_examples=30, seed=seed) for seed in (0, 1)
    ]
    first, second = (torch.cat(refreshed(problem)[0]) for problem in problems)
    assert torch.equal(first, second)


def test_several_points_share_one_pass_and_each_is_counted():
    problem = cases.problem(model=Watched, bn_examples=30)
    (alone, _), cost = refreshed(problem), problem.cost.forward_examples
    together, found = refreshed(problem, points=3)
    assert problem.cost.forward_examples - cost == 3 * 32 and len(found) == 3
    assert torch.equal(torch.cat(together[::3]), torch.cat(alone)) and torch.equal(
        together[0], together[2]
    )


@pytest.mark.parametrize("examples", [16, 48, 80])
def test_whole_batches_are_not_rounded_up(examples):
    seen, _ = refreshed(cases.problem(model=Watched, bn_examples=examples))
    assert sum(map(len, seen)) == examples


def test_batches_in_order_are_shuffled_for_a_refresh():
    """Sorted by class, the first ones would be those of the first class only."""
    x, y = cases.task()
    order = y.argsort(stable=True)
    problem = cases.problem(
        model=Watched,
        train_loader=Batches(x[order], y[order], cases.SIZE, shuffle=False),
        bn_examples=32,
    )
    seen, _ = refreshed(problem)
    nearest = torch.cdist(
        torch.cat(seen), x[order].flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
    ).argmin(1)
    assert len(y[order][nearest].unique()) == cases.CLASSES
