"""Narrow copies of a problem's network: their problem, their trainings, and what these are
charged.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.graph.narrowing import narrow_model
from thalweg.meter import Meter
from thalweg.narrow.flops import flops
from thalweg.predicting import inputs_of, outputs_of
from thalweg.seeds import Rewind, derive, seeded, seeded_loader
from thalweg.training.anchors import train_together
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members


def narrow_problem(
    problem: Problem, share: float, model: Callable[[], nn.Module] | None = None
) -> Problem:
    """The same problem with a narrow network, with seeds and a meter of its own.

    Args:
        problem: That of the whole network.
        share: Of the hidden channels.
        model: Makes a narrow network, where it can't be made from the graph of the whole one.

    Returns:
        Always the same problem for the same arguments, so that what it trained is kept as long as
        the whole one lives.
    """
    key = share, id(model)  # which the narrow problem keeps alive; not every function can be hashed
    if key not in problem.narrowed:
        problem.narrowed[key] = _narrow_problem(problem, share, model)
    return problem.narrowed[key]


def _narrow_problem(
    problem: Problem, share: float, model: Callable[[], nn.Module] | None
) -> Problem:
    own = replace(
        problem,
        initial_weights=None,
        meter=Meter(),
        seed=derive(problem.seed, "narrow", repr(share)),
    )
    if model is not None:  # not looked at yet, and without a name in the cache
        return replace(own, model=model, meter=Meter(), inspection=None, identity="", cache=None)
    identity = f"{problem.identity}, narrowed to {share!r}" if problem.identity else ""
    return replace(
        own, model=partial(narrow_model, problem.factory, share), meter=Meter(), identity=identity
    )


def check_narrow(problem: Problem, model: Callable[[], nn.Module]) -> None:
    """Evaluates two training inputs on a narrow network that the user makes, before anything is
    trained.

    Raises:
        InputError: It is no function that makes networks, or they have other outputs than the whole
            one.
    """
    if isinstance(model, nn.Module) or not callable(model):
        raise InputError(
            f"narrow got a {type(model).__name__}, needs a function that makes a new narrow network"
        )
    with seeded(0, "narrow"), seeded_loader(problem.train_loader, 0, "narrow"), torch.no_grad():
        x = inputs_of(next(iter(problem.train_loader)))[:2].to(problem.device)
        try:
            network = model()
        except Exception as error:  # a user's factory may raise anything
            raise InputError(
                f"narrow() raised {type(error).__name__} ({' '.join(str(error).split())[:160]}): "
                "it must make a new network each time it is called, without arguments"
            ) from error
        if not isinstance(network, nn.Module):
            raise InputError(f"narrow() gave a {type(network).__name__}, needs a torch.nn.Module")
        try:
            found, expected = (
                outputs_of(own.to(problem.device).eval(), {}, x, Rewind(), None, 0)
                for own in (network, problem.build("network"))
            )
        except InputError as error:
            raise InputError(f"narrow: {error}") from None
    got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if got != tuple(expected.shape):
        raise InputError(
            f"narrow() has outputs {got} where the network has {tuple(expected.shape)}: give it "
            "as many classes"
        )


def relative_cost(problem: Problem, narrow: Problem) -> float:
    """What a training of the narrow network costs, in trainings of the whole one, by their
    operations.
    """
    return flops(narrow) / flops(problem)


def train_narrow(problem: Problem, narrow: Problem, members: int) -> Members:
    """Trains narrow networks and charges the problem's meter with the work, in its own unit, kept
    ones once a result.
    """
    ratio = relative_cost(problem, narrow)
    train_together([(narrow, k) for k in range(members)])
    found = []
    for k in range(members):
        with charged(problem, narrow, ratio, ("narrow", narrow.fingerprint(k))):
            found.append(narrow.anchor(k))
    return Members(tuple(found))


@contextmanager
def charged(
    problem: Problem, narrow: Problem, ratio: float, name: Hashable = None
) -> Iterator[None]:
    """Charges a problem's meter with what a narrow network's meter counts inside, even where it is
    interrupted.

    Args:
        problem: That of the whole network.
        narrow: That of the narrow one.
        ratio: Of the work of an evaluation, narrow over whole.
        name: Of what is kept of the work, as in `Meter.charge`.
    """
    try:
        with narrow.measured() as own:
            yield
    finally:
        problem.meter.charge(own.cost.of_network(ratio), name, done=own.work.backward_examples > 0)
