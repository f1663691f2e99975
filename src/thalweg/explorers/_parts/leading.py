"""What leads a training at inputs without labels: which inputs a step sees, how far outputs are
from known ones there, and how strongly that counts beside the training loss.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from thalweg.outputs import Outputs
from thalweg.seeds import generator
from thalweg.training.loop import StepInfo
from thalweg.training.problem import Problem
from thalweg.trees import Inputs, moved, rows, taken

_MEMORY = 0.8  # of the running mean of the training loss


def shown(
    problem: Problem, asked: Inputs, target: Tensor, *name: str | int
) -> Iterator[tuple[Inputs, Tensor]]:
    """Batches of inputs and of what the target says of them, without end, as large as those of the
    training set.

    Args:
        problem: What is trained.
        asked: The inputs `[inputs, ...]`; where they are fewer than a batch has, each batch has all
            of them.
        target: What is stored of predictions there `[inputs, columns]`.
        name: The purpose of the random numbers.
    """
    size = rows(next(iter(problem.training_part(1)))[0])
    random, count = generator(problem.seed, *name), len(target)
    size = min(size, count)
    while True:
        order = torch.randperm(count, generator=random)
        for chosen in order[: count - count % size].split(size):
            x = moved(taken(asked, chosen), problem.device)
            yield x, target[chosen].to(problem.device)


def unit_of(kind: Outputs, target: Tensor) -> float:
    """The unit of distances from a target: how far values are scattered over inputs."""
    return 1.0 if kind.simplex else float(target.std(0).norm()) or 1.0


def distances(kind: Outputs, outputs: Tensor, wanted: Tensor, unit: float) -> Tensor:
    """The Kullback-Leibler divergence of outputs `[batch, outputs]` from the wanted probabilities,
    or half the squared distance of values in their unit, which is that of Gaussians `[batch]`.
    """
    stored = kind.store(outputs)
    if kind.simplex:
        return (wanted.exp() * (wanted - stored)).sum(-1)
    return ((stored - wanted) / unit).square().sum(-1) / 2


class Pull:
    """How strongly a target pulls: less while the training loss is above that of the anchor.

    Attributes:
        strength: The weight of the distance from the target.
    """

    def __init__(self, most: float, tolerance: float, low: Tensor | float) -> None:
        """It pulls with all strength until it has seen a loss that is too high.

        Args:
            most: The strength.
            tolerance: How far the training loss may rise.
            low: The anchor's.
        """
        self._most, self._tolerance, self._low = most, tolerance, low
        self.strength: Tensor | float = most
        self._mean: Tensor | None = None

    def see(self, info: StepInfo) -> None:
        """Takes the training loss of a step into its running mean; on its device, so that nobody
        waits for it.
        """
        self._mean = info.loss if self._mean is None else torch.lerp(info.loss, self._mean, _MEMORY)
        above = (self._mean - self._low - self._tolerance).clamp(min=0)
        self.strength = self._most * (-above / self._tolerance).exp()
