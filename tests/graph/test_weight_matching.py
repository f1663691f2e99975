"""Weight matching: against all permutations, a permuted copy, and the published fact about
barriers.
"""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn
from written import NETWORKS, SHAPE, lived_in

import cases
from thalweg.errors import InputError
from thalweg.graph.alignment import align, permuted
from thalweg.graph.symmetry import reordered_weights, symmetries
from thalweg.models.mlp import mlp
from thalweg.training.problem import Problem
from thalweg.weights.masks import Masks
from thalweg.weights.point import Weights, distance, mix


def two(name: str, dtype=torch.float32, seed: int = 0) -> tuple[nn.Module, Weights, Weights]:
    network, other = (lived_in(NETWORKS[name]().to(dtype), seed + i) for i in (1, 2))
    return network.eval(), Weights.of(network), Weights.of(other)


def outputs(network: nn.Module, weights: Weights) -> torch.Tensor:
    weights.load_into(network)
    x = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return network(x.to(next(network.parameters()).dtype))


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_function_stays_and_the_distance_shrinks(name, dtype, error):
    network, fixed, moved = two(name, dtype)
    found = align(network, fixed, moved)
    expected = outputs(network, moved)
    assert (outputs(network, found) - expected).abs().max() <= error * expected.abs().max()
    assert distance(fixed, found) < distance(fixed, moved)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_permutation_is_undone_exactly(name):
    """Bit for bit, buffers too, whatever the permutation and the order of groups."""
    network, fixed, _ = two(name)
    for seed in range(3):
        found = align(network, fixed, permuted(network, fixed, seed), seed=seed)
        assert all(torch.equal(found.params[key], p) for key, p in fixed.params.items())
        assert all(torch.equal(found.buffers[key], b) for key, b in fixed.buffers.items())


def test_one_group_finds_the_nearest_of_all_permutations():
    network = mlp((1, 2, 2), 3, hidden=(4,))
    fixed, moved = (Weights.of(lived_in(mlp((1, 2, 2), 3, hidden=(4,)), seed)) for seed in (1, 2))
    (group,) = symmetries(network)
    every = [
        reordered_weights(moved, [group], [torch.tensor(order)])
        for order in itertools.permutations(range(4))
    ]
    nearest = min(distance(fixed, other) for other in every)
    assert distance(fixed, align(network, fixed, moved)) == pytest.approx(nearest, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_no_group_alone_could_do_better(seed):
    """Of several groups, the result is the best in each of them: found by trying all."""
    network = mlp((1, 2, 2), 3, hidden=(4, 5))
    fixed, moved = (
        Weights.of(lived_in(mlp((1, 2, 2), 3, hidden=(4, 5)), 10 * seed + i)) for i in (1, 2)
    )
    found = align(network, fixed, moved, seed=seed)
    for group in symmetries(network):
        for order in itertools.permutations(range(group.channels)):
            other = reordered_weights(found, [group], [torch.tensor(order)])
            assert distance(fixed, other) >= distance(fixed, found) - 1e-9


def test_a_group_on_both_axes_of_a_tensor_never_goes_away():
    """There the assignment problem is not the true one: its answer may be worse than what it starts
    from.
    """
    moved_on = 0
    for seed in range(20):
        network, fixed, moved = two("tied", seed=10 * seed)
        before, after = (
            distance(fixed, moved),
            distance(fixed, align(network, fixed, moved, seed=seed)),
        )
        moved_on += after < before
        assert after <= before
    assert moved_on > 10


def test_the_same_seed_gives_the_same_and_nothing_is_changed_in_place():
    network, fixed, moved = two("resnet-8")
    kept = {key: p.clone() for key, p in moved.params.items()}
    state = torch.get_rng_state()
    first, second = align(network, fixed, moved, seed=3), align(network, fixed, moved, seed=3)
    assert all(torch.equal(p, second.params[key]) for key, p in first.params.items())
    assert all(torch.equal(p, moved.params[key]) for key, p in kept.items())
    assert torch.equal(state, torch.get_rng_state())


def test_weights_without_valid_statistics_are_aligned_alike():
    network, fixed, moved = two("cnn")
    expected = align(network, fixed, moved)
    found = align(
        network, replace(fixed, buffers=None), replace(moved, buffers=None, stale=moved.buffers)
    )
    assert found.buffers is None and all(
        torch.equal(found.stale[key], b) for key, b in expected.buffers.items()
    )
    assert all(torch.equal(found.params[key], p) for key, p in expected.params.items())


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet-8", "residual"])
def test_channels_beside_a_frozen_layer_stay_where_they_are(name):
    """So the frozen part stays bit for bit, and may be replaced by the other's where both have it
    in common.
    """
    network, fixed, moved = two(name, torch.float64)
    next(m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)).requires_grad_(False)
    found = align(network, fixed, moved)
    for key, p in network.named_parameters():
        assert p.requires_grad or torch.equal(found.params[key], moved.params[key])
    expected = outputs(network, moved)
    assert (outputs(network, found) - expected).abs().max() <= 1e-10 * expected.abs().max()
    assert (distance(fixed, found) < distance(fixed, moved)) == (
        name != "residual"
    )  # its only group is beside the frozen layer


def test_the_barrier_between_two_trainings_is_lower_when_they_are_aligned():
    """The published fact, in kind: wide networks of one task."""
    problem = Problem(
        lambda: mlp((1, 6, 6), cases.CLASSES, hidden=(64, 64)), cases.batches(), cases.RECIPE
    )
    x, y = cases.task()
    network = problem.build("network").eval()

    def loss(weights: Weights) -> float:
        replace(weights, buffers={}).load_into(network)
        with torch.no_grad():
            return float(nn.functional.cross_entropy(network(x), y))

    def barrier(first: Weights, second: Weights) -> float:
        losses = [loss(mix([first, second], [1 - t / 10, t / 10])) for t in range(11)]
        return max(
            value - (1 - t / 10) * losses[0] - t / 10 * losses[-1] for t, value in enumerate(losses)
        )

    first, second = problem.anchor(0), problem.anchor(1)
    aligned = align(network, first, second)
    assert loss(aligned) == pytest.approx(loss(second), rel=1e-5)
    assert barrier(first, second) > 0.05 and barrier(first, aligned) < 0.1 * barrier(first, second)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: replace(w, params={}), "do not fit the network"),
        (
            lambda w: replace(w, params={k: p[..., :1] for k, p in w.params.items()}),
            "do not fit the network",
        ),
        (
            lambda w: replace(w, params={k: p * torch.nan for k, p in w.params.items()}),
            "not finite",
        ),
        (lambda w: replace(w, masks=Masks(1)), "dropout masks"),
    ],
)
def test_weights_that_can_not_be_aligned(change, message):
    network, fixed, moved = two("mlp")
    for pair in ((fixed, change(moved)), (change(fixed), moved)):
        with pytest.raises(InputError, match=message) as caught:
            align(network, *pair)
        assert "\n" not in str(caught.value)
