"""The check that a weight distribution has low loss everywhere, at each of 25 draws (Benton et al.
2021, arXiv 2102.13042).

Deviation: the paper reports training accuracies (all above 98 %), a limit that says nothing on
another task; here one on the training loss is given, such as twice the anchors' own. Low training
loss is necessary, not sufficient: simplexes whose connectors were spoiled on purpose have been seen
with lower training loss and far higher test loss.
"""

from dataclasses import dataclass

from torch import Tensor

from thalweg.errors import check_range, whole
from thalweg.landscape.loss import losses
from thalweg.training.problem import Problem
from thalweg.weights.distribution import WeightDistribution


@dataclass(frozen=True)
class LowLoss:
    """What a check found.

    Attributes:
        losses: Training loss of each draw `[draws]`.
        limit: What each of them may be at most.
    """

    losses: Tensor
    limit: float

    @property
    def passed(self) -> bool:
        """Whether every draw is a low-loss point."""
        return bool((self.losses <= self.limit).all())  # NaN is not low


def low_loss(
    problem: Problem,
    found: WeightDistribution,
    limit: float,
    *,
    draws: int = 25,
    examples: int = 1000,
    seed: int = 0,
) -> LowLoss:
    """Checks whether every draw of a weight distribution has a training loss within a limit.

    Args:
        problem: Architecture and training set; the work is counted in its meter, as forward work.
        found: What an explorer returned.
        limit: The highest loss that counts as low, such as twice that of the anchors
            (`losses(problem, anchors)`).
        draws: How many points are looked at; the paper's 25.
        examples: Training examples of the loss, as in `losses`.
        seed: Seed of the draws.
    """
    check_range("limit", limit, float("-inf"))
    whole("draws", draws, 1)
    return LowLoss(losses(problem, list(found.draw(draws, seed=seed)), examples=examples), limit)
