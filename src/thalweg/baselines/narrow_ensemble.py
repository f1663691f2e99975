"""Narrow ensemble: several narrow networks, each trained on its own, as cheap stand-ins for
retrainings (of thalweg's own).

Unlike Packed-Ensembles (Laurent et al. 2023, arXiv 2210.09184), whose members share mini-batches,
each is a training with its own initialisation, batch order and augmentation. Beside an anchor they
are narrow copies: `narrow.width` says what they tell of it, and emulators learn from them; alone
the ensemble explores nothing. Networks are narrowed by their graph (`graph.narrowing`); the cost is
measured in operations.
"""

import math
from dataclasses import dataclass

from thalweg.baselines.base import Baseline, register_baseline
from thalweg.errors import InputError, check_range, whole
from thalweg.narrow.training import (
    MakeNetwork,
    NarrowCopies,
    narrow_problem,
    relative_cost,
    train_copies,
)
from thalweg.narrow.width import WIDTH_RATIOS, feared_error
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members

_SLACK = 1 + 1e-9


@register_baseline("narrow-ensemble")
@dataclass(frozen=True)
class NarrowEnsemble(Baseline):
    """Independent trainings of a narrow network.

    Cost: at most the budget; members x width_ratio^2 or more, where both are given.

    Attributes:
        budget: The most that may be spent, in trainings of the whole network.
        width_ratio: The hidden channels of a member over those of the whole network (`share` in
            plans). None: that of 0.7, 1/2, 0.35 and 1/4 whose members' mean is expected to err
            least (`narrow.width`).
        members: How many networks to train. None: as many as the budget allows, two at least.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from thalweg.training.batches import Batches
        >>> x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
        >>> problem = Problem(
        ...     lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)),
        ...     Batches(x, x[:, :3].argmax(1), size=20),
        ... )
        >>> NarrowEnsemble(budget=1.0).chosen(problem)
        (0.5, 2)
        >>> narrow, members = NarrowEnsemble(width_ratio=0.25, members=3).train(problem)
        >>> members.size, members.points[0].params["0.weight"].shape
        (3, torch.Size([4, 6]))
    """

    budget: float = 1.0
    width_ratio: float | None = None
    members: int | None = None

    def __post_init__(self) -> None:
        check_range("narrow-ensemble.budget", self.budget, 1e-9)
        if self.width_ratio is not None:
            check_range("narrow-ensemble.width_ratio", self.width_ratio, 1e-9, 1)
        if self.members is not None:
            whole("narrow-ensemble.members", self.members, 1)
            if self.width_ratio is None:
                raise InputError(
                    f"narrow-ensemble got members {self.members} and no width_ratio, needs both, "
                    "or a budget alone"
                )

    @property
    def trainings(self) -> float:
        if self.members is None or self.width_ratio is None:
            return self.budget
        return self.members * self.width_ratio**2

    @property
    def size(self) -> int | None:
        return self.members

    def train(self, problem: Problem) -> tuple[Problem, Members]:
        copies = self.copies(problem)
        return copies.problem, copies.members

    def copies(self, problem: Problem, model: MakeNetwork | None = None) -> NarrowCopies:
        """Chooses the width ratio and the number of copies, and trains them; arguments and errors
        as in `chosen`.
        """
        return train_copies(problem, *self.chosen(problem, model), model)

    def chosen(self, problem: Problem, model: MakeNetwork | None = None) -> tuple[float, int]:
        """The width ratio and the number of the members; nothing is trained.

        Args:
            problem: The problem of the whole network.
            model: Makes a narrow network, where it can't be made from the graph of the whole one.

        Raises:
            InputError: The budget is not enough for two members, or the network can't be narrowed.
        """
        if self.width_ratio is not None and self.members is not None:
            return self.width_ratio, self.members
        costs = self.costs(problem, model)
        members = {ratio: int(self.budget * _SLACK / cost) for ratio, cost in costs.items()}
        enough = {ratio: count for ratio, count in members.items() if count >= 2}
        best = min(enough, key=lambda ratio: feared_error(ratio, enough[ratio]))
        return best, enough[best]

    def costs(self, problem: Problem, model: MakeNetwork | None = None) -> dict[float, float]:
        """Returns what a member costs by the width ratios that it may have, in trainings of the
        whole network; nothing is trained.

        Args:
            problem: The problem of the whole network.
            model: Makes a narrow network, where it can't be made from the graph of the whole one.

        Raises:
            InputError: The budget is not enough for two members, or the network can't be narrowed.
        """
        costs = {
            ratio: relative_cost(problem, narrow_problem(problem, ratio, model))
            for ratio in (WIDTH_RATIOS if self.width_ratio is None else (self.width_ratio,))
        }
        if self.budget * _SLACK < 2 * min(costs.values()):
            least = math.ceil(200 * min(costs.values())) / 100
            raise InputError(
                f"narrow-ensemble got a budget of {self.budget:g} trainings, needs {least:.2f} or "
                "more for two narrow networks: raise it, or give width_ratio and members"
            )
        return costs
