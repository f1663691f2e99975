"""The check that a weight distribution has low loss everywhere, at each of 25 draws.

Benton et al. 2021 (arXiv 2102.13042) do it. Deviation: the paper reports training accuracies (all
above 98 %), a limit that says nothing on another task; here the limit is one on the training loss,
such as twice the anchors' own. Low training loss is necessary, not sufficient: simplexes whose
connectors were spoiled on purpose have been seen with lower training loss and far higher test loss.
"""

from dataclasses import dataclass

from torch import Tensor

from thalweg.errors import check_range, whole
from thalweg.landscape.loss import losses
from thalweg.training.problem import Problem
from thalweg.weights.distribution import WeightDistribution


@dataclass(frozen=True)
class LowLoss:
    """The result of a check.

    Attributes:
        losses: The training loss of each draw `[draws]`.
        limit: The highest loss that counts as low.
    """

    losses: Tensor
    limit: float

    @property
    def passed(self) -> bool:
        """Whether every draw is a low-loss point."""
        return bool((self.losses <= self.limit).all())  # NaN is not low


def low_loss(
    problem: Problem,
    distribution: WeightDistribution,
    limit: float,
    *,
    draws: int = 25,
    examples: int = 1000,
    seed: int = 0,
) -> LowLoss:
    """Checks whether every draw of a weight distribution has a training loss within a limit.

    Args:
        problem: Architecture and training set; the work is counted in its meter, as forward work.
        distribution: What an explorer returned.
        limit: The highest loss that counts as low, such as twice that of the anchors
            (`losses(problem, anchors)`).
        draws: The number of draws; the paper has 25.
        examples: The number of training examples for the loss, as in `losses`.
        seed: The seed of the draws.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from thalweg import Batches, Recipe
        >>> from thalweg.weights.distribution import Members
        >>> x, y = torch.randn(20, 3), torch.randint(0, 2, (20,))
        >>> problem = Problem(lambda: nn.Linear(3, 2), Batches(x, y, size=10), Recipe(epochs=1))
        >>> low_loss(problem, Members((problem.anchor(0),)), limit=100.0).passed
        True
    """
    check_range("limit", limit, float("-inf"))
    whole("draws", draws, 1)
    points = list(distribution.draw(draws, seed=seed))
    return LowLoss(losses(problem, points, examples=examples), limit)
