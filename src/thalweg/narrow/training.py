"""Narrow copies of a problem's network: the problem that they solve, their trainings, and what is
charged for these.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx, nn

from thalweg.errors import InputError
from thalweg.graph.narrowing import narrow_model
from thalweg.meter import Meter
from thalweg.narrow.flops import flops
from thalweg.predicting import outputs_of
from thalweg.seeds import Rewind, derive, seeded
from thalweg.training.anchors import train_together
from thalweg.training.calling import Derived
from thalweg.training.identity import identity_of
from thalweg.training.keeping import Cache
from thalweg.training.problem import Problem
from thalweg.trees import moved
from thalweg.weights.distribution import Members

MakeNetwork = Callable[[], nn.Module]


@dataclass(frozen=True)
class NarrowCopies:
    """Trained narrow copies of a problem's network, each an independent training.

    Attributes:
        problem: The problem of the narrow network, as `narrow_problem` makes it.
        members: The trained networks.
        width_ratio: The hidden channels of a copy over those of the whole network.
        cost_ratio: The work of evaluating a copy over that of evaluating the whole network.
    """

    problem: Problem
    members: Members
    width_ratio: float
    cost_ratio: float


def train_copies(
    problem: Problem, width_ratio: float, count: int, model: MakeNetwork | None = None
) -> NarrowCopies:
    """Trains narrow copies, or takes those that are kept.

    All work is metered in the problem of the whole network, in evaluations of that network; copies
    that are kept count once in each result that uses them.

    Args:
        problem: The problem of the whole network.
        width_ratio: The hidden channels of a copy over those of the whole network.
        count: How many copies to train.
        model: Makes a narrow network, where it can't be made from the graph of the whole one.

    Raises:
        InputError: The network can't be narrowed.
        Diverged: The loss of a training became infinite.
    """
    narrow = narrow_problem(problem, width_ratio, model)
    ratio = relative_cost(problem, narrow)
    train_together([(narrow, k) for k in range(count)])
    members = []
    for k in range(count):
        with charged(problem, narrow, ratio, ("narrow", narrow.fingerprint(k))):
            members.append(narrow.anchor(k))
    return NarrowCopies(narrow, Members(tuple(members)), width_ratio, ratio)


def narrow_problem(
    problem: Problem, width_ratio: float, model: MakeNetwork | None = None
) -> Problem:
    """The same problem with a narrow network, with seeds and a meter of its own.

    Args:
        problem: The problem of the whole network.
        width_ratio: The hidden channels of the narrow network over those of the whole one.
        model: Makes a narrow network, where it can't be made from the graph of the whole one.

    Returns:
        Always the same problem for the same arguments, so that what it trained is kept as long as
        the whole one lives.
    """
    # which the narrow problem keeps alive; not every function can be hashed
    key = width_ratio, id(model)
    if key not in problem.narrowed:
        problem.narrowed[key] = _narrow_problem(problem, width_ratio, model)
    return problem.narrowed[key]


def _narrow_problem(problem: Problem, width_ratio: float, model: MakeNetwork | None) -> Problem:
    narrow = replace(
        problem,
        networks=None,
        meter=Meter(),
        seed=derive(problem.seed, "narrow", repr(width_ratio)),
    )
    identity = _identity(problem.identity, width_ratio, model)
    if model is not None:  # not looked at yet; without a name it is not in the cache
        cache = problem.cache if identity else None
        return replace(
            narrow, model=model, meter=Meter(), inspection=None, identity=identity, cache=cache
        )
    cut = narrow_factory(problem, width_ratio)
    made = replace(narrow, model=cut, meter=Meter(), identity=identity)
    other = problem.train is not None and not problem.call.is_plain
    if other and isinstance(made.build("narrow"), fx.GraphModule):
        raise InputError(
            "the narrow copy is a graph, which is a function of one argument, and the training "
            "function calls the network in another way: give narrow=, a function that makes a "
            "narrow network, and width_ratio="
        )
    return made


def narrow_factory(problem: Problem, width_ratio: float) -> MakeNetwork:
    """A function that makes narrow copies of a problem's network, newly initialised.

    It can be sent to other processes, and raises the errors of `graph.narrowing.narrowed`: also
    where weights are the same in all of the problem's networks, as pre-trained ones are.
    """
    return Derived(narrow_model, problem.factory, width_ratio, problem.example, problem.stored)


def kept_in(problem: Problem, cache: Cache, identity: str) -> Problem:
    """The same problem, and its narrow ones, with a cache, which gets the networks that are in
    memory; all share them from now on.

    Args:
        problem: The problem of the whole network.
        cache: Where trained networks are kept between runs.
        identity: The name of data and network.
    """
    kept = problem.kept_in(cache, identity)
    for (width_ratio, number), narrow in problem.narrowed.items():
        model = None if number == id(None) else narrow.model
        if name := _identity(identity, width_ratio, model):
            kept.narrowed[width_ratio, number] = narrow.kept_in(cache, name)
    return kept


def _identity(whole: str, width_ratio: float, model: MakeNetwork | None) -> str:
    """The name of a narrow network and its data; nothing where there is none."""
    name = "" if model is None else identity_of(model)
    if not whole or name is None:
        return ""
    return f"{whole}, narrowed to {width_ratio!r}" + (f" by {name}" if name else "")


def check_narrow(problem: Problem, model: MakeNetwork) -> None:
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
    with seeded(0, "narrow"), torch.no_grad():
        x = moved(problem.example, problem.device)
        try:
            network = model()
        except Exception as error:  # a user's factory may raise anything
            raise InputError(
                f"narrow() raised {type(error).__name__} ({' '.join(str(error).split())[:160]}): "
                "it must make a new network each time it is called, without arguments"
            ) from error
        if not isinstance(network, nn.Module):
            raise InputError(f"narrow() gave a {type(network).__name__}, needs a torch.nn.Module")
        replace(problem.call, picks=True).prepare(network)
        try:
            outputs, expected = (
                outputs_of(either.to(problem.device).eval(), {}, x, Rewind(), None, 0)
                for either in (network, problem.build("network"))
            )
        except InputError as error:
            raise InputError(f"narrow: {error}") from None
    got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    if got != tuple(expected.shape):
        raise InputError(
            f"narrow() has outputs {got} where the network has {tuple(expected.shape)}: give it "
            "as many classes"
        )


def relative_cost(problem: Problem, other: Problem) -> float:
    """The work of one evaluation of another problem's network over that of this problem's, counted
    in operations.
    """
    return flops(other) / flops(problem)


@contextmanager
def charged(
    problem: Problem, other: Problem, ratio: float, name: Hashable = None
) -> Iterator[None]:
    """Charges a problem's meter with what another problem's meter counts inside, even where it is
    interrupted.

    Args:
        problem: Is charged.
        other: Does the work.
        ratio: The work of an evaluation of the other problem's network over that of this one's.
        name: Of what is kept of the work, as in `Meter.charge`.
    """
    try:
        with other.measured() as inside:
            yield
    finally:
        problem.meter.charge(
            inside.cost.of_network(ratio), name, done=inside.work.backward_examples > 0
        )
