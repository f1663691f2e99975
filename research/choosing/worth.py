"""What every way to spend a budget gives, and what the rule of `thalweg.choosing` makes of it.

A state is what was bought beside one network: further full trainings, and narrow copies of one
width ratio. Its centre is that of `thalweg.emulators.scale`, learned on unlabelled inputs; it is
judged on test inputs by its squared error, in variances of a retraining, against the mean of the
reference (`research.ideas.centre`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from research.choosing.networks import POOL, Material, Networks
from research.choosing.tasks import Task
from research.ideas.centre import Truth
from thalweg.choosing import FIRST, Prior, Purchase, affordable, choose, foreseen
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group, Scale
from thalweg.narrow.width import feared_error
from thalweg.predictions import Predictions
from thalweg.seeds import generator

BUDGETS = (0.5, 1.0, 2.0)
MOST_WHOLE = 3


@dataclass(frozen=True, order=True)
class State:
    """What there is.

    Attributes:
        whole: Full trainings, the first among them.
        ratio: The width ratio of the narrow copies; 1 where there are none.
        copies: How many.
    """

    whole: int
    ratio: float = 1.0
    copies: int = 0

    def __str__(self) -> str:
        return f"{self.whole}" + (f" + {self.copies} of {self.ratio:g}" if self.copies else "")

    @staticmethod
    def of(text: str) -> "State":
        """The state of a text, as `str` writes it."""
        whole, _, rest = text.partition(" + ")
        copies, _, ratio = rest.partition(" of ")
        return State(int(whole), float(ratio), int(copies)) if rest else State(int(whole))

    def cost(self, costs: Mapping[float, float]) -> float:
        """What was spent on it beyond the first network."""
        return self.whole - 1 + self.copies * costs[self.ratio]


@dataclass(frozen=True)
class Choice:
    """What a way to choose ends with from one base.

    Attributes:
        state: What there is in the end.
        expected: The squared error that was expected of its centre.
        chosen: What was chosen after the first part.
    """

    state: State
    expected: float
    chosen: str = ""


class Bench:
    """A task whose networks are known, on which purchases are tried."""

    def __init__(self, task: Task, material: Material) -> None:
        self.task, self.material, self.costs = task, material, material.costs
        self.narrow = {ratio: cost for ratio, cost in material.costs.items() if ratio < 1}

    @cached_property
    def truth(self) -> Truth:
        """The mean and the variance of retrainings, on test inputs."""
        return Truth.of(self.reference_values("test"))

    @cached_property
    def facts(self) -> dict[float, tuple[float, float]]:
        """By width ratio, the variance and the squared bias of narrow copies, on test inputs."""
        return {
            ratio: self.truth.moments(self._values(copies.stored["test"])[:, None])
            for ratio, copies in self.material.copies.items()
        }

    def observed(
        self, base: int, state: State, part: str, *, features: bool = False
    ) -> Observations:
        """What the networks of a state say, from a base."""
        groups = [_chosen(self.material.pool, _whole(base)[: state.whole], part)]
        if state.copies:
            copies = self.material.copies[state.ratio]
            order = torch.randperm(
                len(copies.stored[part]), generator=generator(base, "choosing", repr(state.ratio))
            )
            groups.append(_chosen(copies, order[: state.copies].tolist(), part))
        said = [Predictions(stored, outputs=self.task.outputs) for stored, _ in groups]
        rows = torch.cat([rows for _, rows in groups]) if features else None
        return Observations(said[0], *said[1:], width_ratio=state.ratio, features=rows)

    def error(self, base: int, state: State) -> float:
        """The squared error of the centre."""
        known, test = (Group.of(self.observed(base, state, part)) for part in ("known", "test"))
        centre = Scale.of(known).centre(test) if state.copies else test.own.mean(0)
        return self.truth.shared(centre, centre)

    def reference_values(self, part: str) -> Tensor:
        """What the reference predicts `[networks, inputs, outputs]`."""
        return self._values(self.material.reference.stored[part])

    def affordable(self, budget: float) -> Iterator[State]:
        """All states that a budget is enough for, with as many copies as it buys."""
        for whole in range(1, 2 + affordable(budget, 1.0)):
            if whole > MOST_WHOLE:
                return
            yield State(whole)
            for ratio, cost in self.narrow.items():
                copies = affordable(budget - whole + 1, cost)
                if copies:
                    yield State(whole, ratio, min(copies, self.count(ratio)))

    def count(self, ratio: float) -> int:
        """How many narrow copies there are."""
        return len(self.material.copies[ratio].stored["test"])

    def by_law(self, budget: float) -> State | None:
        """What the law of width alone buys (`NarrowEnsemble`)."""
        ways = {ratio: affordable(budget, cost) for ratio, cost in self.narrow.items()}
        enough = {ratio: copies for ratio, copies in ways.items() if copies >= FIRST}
        if not enough:
            return None
        best = min(enough, key=lambda ratio: feared_error(ratio, enough[ratio]))
        return State(1, best, min(enough[best], self.count(best)))

    def planned(self, budget: float) -> State | None:
        """What is planned before anything is seen."""
        if self.by_law(budget) is None:
            return None
        found = foreseen(self.narrow, budget)
        copies = min(found.copies, self.count(found.width_ratio))
        return State(1 + found.whole, found.width_ratio, copies)

    def looked(
        self, base: int, budget: float, prior: Prior, given: float | None = None
    ) -> Choice | None:
        """What the rule buys: the first part, then what it chooses; `given` is the width ratio
        where there is no choice of that.
        """
        costs = self.narrow if given is None else {given: self.narrow[given]}
        if FIRST * min(costs.values()) > budget:
            return None
        found = foreseen(costs, budget)
        ratio, cost = found.width_ratio, costs[found.width_ratio]
        state, left, chosen = State(1, ratio, FIRST), budget - FIRST * cost, list[str]()
        while True:
            purchase: Purchase = choose(
                self.observed(base, state, "known"), left, cost, prior=prior
            )
            whole, copies = purchase.whole, purchase.copies
            chosen.append("full" if whole else "copies" if copies else "nothing")
            if purchase.nothing or state.whole + whole > MOST_WHOLE:
                return Choice(state, purchase.expected_error, chosen[0])
            copies = min(state.copies + copies, self.count(ratio))
            state, left = (
                State(state.whole + whole, ratio, copies),
                left - whole - purchase.copies * cost,
            )
            if not whole:
                return Choice(state, purchase.expected_error, chosen[0])

    def _values(self, stored: Tensor) -> Tensor:
        return self.task.outputs.values(stored.double())


def _whole(base: int) -> list[int]:
    """The full trainings of a base, in the order in which they are bought."""
    return [(base + k * POOL // MOST_WHOLE) % POOL for k in range(MOST_WHOLE)]


def _chosen(networks: Networks, numbers: list[int], part: str) -> tuple[Tensor, Tensor]:
    features = networks.features or {part: torch.empty(0)}
    return networks.stored[part][numbers], features[part][numbers]
