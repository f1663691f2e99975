"""Narrow ensemble: several narrow networks, each trained on its own, as cheap stand-ins for
retrainings (of thalweg's own).

Unlike Packed-Ensembles (Laurent et al. 2023, arXiv 2210.09184), whose members share mini-batches,
each is a training with its own initialisation, batch order and augmentation. Beside an anchor they
are proxies: `baselines.width` says what they tell of it, and emulators use it; alone it explores
nothing. Networks are narrowed by their graph (`weights.narrowing`); the cost is measured in
operations.
"""

import math
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from thalweg.baselines.base import Baseline, baseline
from thalweg.baselines.flops import flops
from thalweg.baselines.width import SHARES, feared_error
from thalweg.errors import InputError, in_range, whole
from thalweg.meter import Meter
from thalweg.prediction import inputs_of, outputs_of
from thalweg.seeds import Rewind, derive, seeded, seeded_loader
from thalweg.training.problem import Problem
from thalweg.training.together import train_together
from thalweg.weights.distribution import Members
from thalweg.weights.narrowing import narrow_model

_SLACK = 1 + 1e-9


@baseline("narrow-ensemble")
@dataclass(frozen=True)
class NarrowEnsemble(Baseline):
    """Independent trainings of a narrow network.

    Cost: at most the budget; members x share^2 or more, where both are given.

    Attributes:
        budget: What may be spent, in trainings of the whole network.
        share: Of the hidden channels. None: that of 0.7, 1/2, 0.35 and 1/4 whose mean should err
            least (`baselines.width`).
        members: How many. None: as many as the budget allows, two at least.
    """

    budget: float = 1.0
    share: float | None = None
    members: int | None = None

    def __post_init__(self) -> None:
        in_range("narrow-ensemble.budget", self.budget, 1e-9)
        if self.share is not None:
            in_range("narrow-ensemble.share", self.share, 1e-9, 1)
        if self.members is not None:
            whole("narrow-ensemble.members", self.members, 1)
            if self.share is None:
                raise InputError(
                    f"narrow-ensemble got members {self.members} and no share, needs both, or a "
                    "budget alone"
                )

    @property
    def trainings(self) -> float:
        return (
            self.budget
            if self.members is None or self.share is None
            else self.members * self.share**2
        )

    def train(self, problem: Problem) -> tuple[Problem, Members]:
        share, members = self.chosen(problem)
        narrow = narrow_problem(problem, share)
        return narrow, train_narrow(problem, narrow, members)

    def chosen(
        self, problem: Problem, model: Callable[[], nn.Module] | None = None
    ) -> tuple[float, int]:
        """Share and number of the members; `model` as in `narrow_problem`.

        Raises:
            InputError: The budget is not enough for two, or the network can't be narrowed.
        """
        if self.share is not None and self.members is not None:
            return self.share, self.members
        costs = {
            share: relative_cost(problem, narrow_problem(problem, share, model))
            for share in (SHARES if self.share is None else (self.share,))
        }
        members = {share: int(self.budget * _SLACK / cost) for share, cost in costs.items()}
        enough = {share: count for share, count in members.items() if count >= 2}
        if not enough:
            least = math.ceil(200 * min(costs.values())) / 100
            raise InputError(
                f"narrow-ensemble got a budget of {self.budget:g} trainings, needs {least:.2f} or "
                "more for two narrow networks: raise it, or give share and members"
            )
        best = min(enough, key=lambda share: feared_error(share, enough[share]))
        return best, enough[best]


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
        problem, start=None, meter=Meter(), seed=derive(problem.seed, "narrow", repr(share))
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
    with seeded(0, "narrow"), seeded_loader(problem.train, 0, "narrow"), torch.no_grad():
        x = inputs_of(next(iter(problem.train)))[:2].to(problem.device)
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
