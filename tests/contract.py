"""What every explorer must fulfil. `check(cls, problem)` is all that a new one needs."""

import ast
import dataclasses
import inspect
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from cases import CLASSES, held_out
from thalweg.explorers.base import Explorer
from thalweg.meter import Cost
from thalweg.predicting import predict
from thalweg.training.problem import Problem
from thalweg.weights.distribution import WeightDistribution, load, save
from thalweg.weights.point import Weights


class CountingCache:
    """Keeps nothing, and counts the anchors that were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get(self, key: str) -> None:
        self.asked.append(key)

    def put(self, key: str, weights: Weights, cost: Cost) -> None:
        """Keeps nothing."""


def check(
    cls: type[Explorer],
    make: Callable[..., Problem],
    tmp_path,
    *,
    draws: int = 4,
    accuracy: float = 0.7,
) -> None:
    """Runs an explorer with its defaults on a problem, and looks at all that it must fulfil but its
    FLOPs.

    Args:
        cls: The explorer.
        make: Makes the problem, given settings.
        tmp_path: A folder.
        draws: Draws to look at.
        accuracy: What the mean of the predictions must reach.
    """
    explorer = cls()
    cache = CountingCache()
    problem = make(cache=cache, identity="test")
    x, y = held_out()
    before = states()
    found = explorer.explore(problem)
    cost = problem.cost
    drawn = list(found.draw(draws, seed=1))
    predictions = predict(problem, found, x, seed=1)
    assert_states(before)

    check_points(problem, drawn)
    assert (
        predictions.members == (found.size or 32)
        and predictions.inputs == len(x)
        and predictions.classes == CLASSES
    )
    assert torch.allclose(
        predictions.probs().sum(-1), torch.ones(predictions.members, len(x)), atol=1e-5
    )
    reached = float((predictions.mean().argmax(-1) == y).double().mean())
    assert reached > accuracy, "it did not learn"

    check_trainings(explorer, problem)
    assert len(set(cache.asked)) == explorer.anchors
    assert problem.cost.backward_examples == cost.backward_examples, "predicting trains nothing"
    assert problem.cost.forward_examples >= cost.forward_examples + predictions.members * len(x)

    again = predict(problem, found, x, seed=1)
    assert torch.equal(again.log_probs, predictions.log_probs), "the same seed gives the same draws"
    save(found, tmp_path / "found.safetensors")
    assert_same(drawn, list(load(tmp_path / "found.safetensors").draw(draws, seed=1)))

    twin = make()
    assert_same(drawn, list(explorer.explore(twin).draw(draws, seed=1)))
    if found.size is None:
        other = next(iter(found.draw(1, seed=2)))
        moved = any(not torch.equal(other.params[name], p) for name, p in drawn[0].params.items())
        assert moved or other.masks != drawn[0].masks, "another seed, other draws"


def check_trainings(explorer: Explorer, problem: Problem) -> None:
    """What it cost is what it says, and what it looks at beside."""
    least, more = explorer.trainings, explorer.looks / problem.training_examples
    assert 0.98 * least <= problem.cost.trainings <= 1.02 * (least + more)


def check_points(problem: Problem, drawn: list[Weights]) -> None:
    """Names, shapes and dtypes are the network's, and all numbers are finite."""
    network = problem.build("shapes")
    own, buffers = dict(network.named_parameters()), dict(network.named_buffers())
    for weights in drawn:
        assert {n: (p.shape, p.dtype) for n, p in weights.params.items()} == {
            n: (p.shape, p.dtype) for n, p in own.items()
        }
        assert all(torch.isfinite(p).all() for p in weights.params.values())
        assert (weights.buffers is None) != (weights.stale is None)
        given = weights.stale if weights.buffers is None else weights.buffers
        assert {n: (b.shape, b.dtype) for n, b in (given or {}).items()} == {
            n: (b.shape, b.dtype) for n, b in buffers.items()
        }


def check_class(cls: type[Explorer]) -> None:
    """A frozen dataclass whose fields all have defaults, in a file that names its source."""
    assert dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen
    assert cls() == cls() and isinstance(cls(), Explorer)
    source = ast.get_docstring(ast.parse(inspect.getsource(inspect.getmodule(cls)))) or ""
    sourced = any(words in source for words in ("arXiv", "of our own", "thalweg's own"))
    assert sourced, (
        f"{cls.__module__}: the file's docstring names no source: give its arXiv number, or say "
        "that it is of thalweg's own"
    )
    for field in dataclasses.fields(cls):
        assert f"{field.name}:" in (cls.__doc__ or ""), (
            f"{cls.__name__} does not say what {field.name} is"
        )


def check_flops(cls: type[Explorer], problem: Problem) -> None:
    """The counted cost of exploring and of predicting equals the measured FLOPs within 2 %."""
    forward, both = flops_of_one(problem)
    with FlopCounterMode(display=False) as exploring, Mixing() as mixing:
        found = cls().explore(problem)
    cost = problem.cost
    expected = cost.backward_examples * both + cost.forward_examples * forward
    assert exploring.get_total_flops() - mixing.flops == pytest.approx(expected, rel=0.02)
    x, _ = held_out()
    with FlopCounterMode(display=False) as predicting:
        predict(problem, found, x, draws=3)
    assert problem.cost.backward_examples == cost.backward_examples
    assert predicting.get_total_flops() == pytest.approx(
        (problem.cost.forward_examples - cost.forward_examples) * forward, rel=0.02
    )


class Mixing(TorchDispatchMode):
    """FLOPs of products that are written to memory given for them, and are no network evaluations.

    They mix vertices, make the curvature of Laplace's method, and compare the iterates of subspace
    inference. No count of examples has them in it; the pages of the methods state them.
    """

    flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.mm.out:
            self.flops += 2 * args[0].shape[0] * args[0].shape[1] * args[1].shape[1]
        return func(*args, **(kwargs or {}))


def flops_of_one(problem: Problem) -> tuple[float, float]:
    """FLOPs of one example: forward alone, and with the backward pass."""
    network = problem.build("flops")
    x, y = next(iter(problem.train_loader))
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        network(x)
    with FlopCounterMode(display=False) as both:
        torch.nn.functional.cross_entropy(network(x), y).backward()
    return forward.get_total_flops() / len(x), both.get_total_flops() / len(x)


def states() -> tuple:
    """The caller's random states."""
    return torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002


def assert_states(before: tuple) -> None:
    now = states()
    assert torch.equal(now[0], before[0]) and (now[1] == before[1]).all() and now[2] == before[2], (
        "the caller's random state moved"
    )


def assert_same(first: list[Weights], second: list[Weights]) -> None:
    """Bit for bit."""
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.masks == b.masks
        for mine, theirs in ((a.params, b.params), (a.buffers, b.buffers), (a.stale, b.stale)):
            assert (mine is None) == (theirs is None)
            assert list(mine or {}) == list(theirs or {}) or set(mine or {}) == set(theirs or {})
            for name, tensor in (mine or {}).items():
                assert torch.equal(tensor, theirs[name]), name


def draw_all(found: WeightDistribution, n: int, seed: int = 0) -> list[Weights]:
    return list(found.draw(n, seed=seed))
