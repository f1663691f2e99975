"""Narrow ensemble: several narrow networks, each trained on its own, as cheap stand-ins for
retrainings (of thalweg's own).

Unlike Packed-Ensembles (Laurent et al. 2023, arXiv 2210.09184), whose members share mini-batches,
each is a training with its own initialisation, batch order and augmentation. Beside an anchor they
are proxies: `narrow.width` says what they tell of it, and emulators use it; alone it explores
nothing. Networks are narrowed by their graph (`graph.narrowing`); the cost is measured in
operations.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from thalweg.baselines.base import Baseline, register_baseline
from thalweg.errors import InputError, check_range, whole
from thalweg.narrow.training import narrow_problem, relative_cost, train_narrow
from thalweg.narrow.width import SHARES, feared_error
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members

_SLACK = 1 + 1e-9


@register_baseline("narrow-ensemble")
@dataclass(frozen=True)
class NarrowEnsemble(Baseline):
    """Independent trainings of a narrow network.

    Cost: at most the budget; members x share^2 or more, where both are given.

    Attributes:
        budget: What may be spent, in trainings of the whole network.
        share: Of the hidden channels. None: that of 0.7, 1/2, 0.35 and 1/4 whose mean should err
            least (`narrow.width`).
        members: How many. None: as many as the budget allows, two at least.
    """

    budget: float = 1.0
    share: float | None = None
    members: int | None = None

    def __post_init__(self) -> None:
        check_range("narrow-ensemble.budget", self.budget, 1e-9)
        if self.share is not None:
            check_range("narrow-ensemble.share", self.share, 1e-9, 1)
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
