"""The training loss at points of the landscape."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from thalweg.predicting import sample
from thalweg.seeds import seeded
from thalweg.training.problem import Problem
from thalweg.trees import moved
from thalweg.weights.distribution import Members
from thalweg.weights.masks import active
from thalweg.weights.point import Weights


def losses(problem: Problem, points: Sequence[Weights], *, examples: int = 1000) -> Tensor:
    """The mean training loss of each point `[points]`, on the CPU in double precision.

    It is the problem's loss (in nats for the cross-entropy) in evaluation mode, without penalties
    and augmentation. Batch-norm statistics are refreshed where they are not valid. All of it is
    forward work, and metered.

    Args:
        problem: Architecture, training set, loss and meter.
        points: The points.
        examples: The number of training examples, rounded up to whole batches; they are the same at
            every point and in every call.

    Example:
        >>> from torch import nn
        >>> from thalweg import Batches, Recipe
        >>> x, y = torch.randn(20, 3), torch.randint(0, 2, (20,))
        >>> problem = Problem(lambda: nn.Linear(3, 2), Batches(x, y, size=10), Recipe(epochs=1))
        >>> losses(problem, [problem.anchor(0), problem.anchor(1)]).shape
        torch.Size([2])
    """
    ready = sample(problem, Members(tuple(points)))
    return evaluate(problem, ready, problem.training_part(examples))[0]


def evaluate(
    problem: Problem, points: Iterable[Weights], batches: Iterable[Any]
) -> tuple[Tensor, Tensor]:
    """The mean loss and the mean error of each point, `[points]`, on the CPU in double precision.

    The error is the fraction of wrong answers, or for values the mean error.

    Args:
        problem: Architecture, loss and meter.
        points: The points; their batch-norm statistics are valid.
        batches: Pairs of inputs and labels.
    """
    loss = problem.criterion
    network = problem.build("network")
    network.eval()
    batches = [(moved(x, problem.device), y.to(problem.device)) for x, y in batches]
    examples = sum(len(y) for _, y in batches)
    results = []
    with torch.no_grad(), problem.meter.clock():
        for weights in points:
            state, masks = weights.placed(network), weights.masks
            total, wrong = 0.0, 0.0
            # the same randomness at every point, for networks that are random in evaluation mode
            with seeded(problem.seed, "losses"):
                for number, (x, y) in enumerate(batches):
                    dropout: AbstractContextManager[None] = nullcontext()
                    if masks is not None:
                        dropout = active(network, masks, number, problem.behaviour)
                    with dropout:
                        outputs = functional_call(network, state, (x,))
                    problem.meter.forward(outputs)
                    total += float(loss(outputs, y)) * len(y)
                    wrong += problem.outputs.errors(outputs, y).sum().item()
            results.append((total / examples, wrong / examples))
    mean, error = torch.tensor(results, dtype=torch.float64).reshape(-1, 2).unbind(1)
    return mean, error
