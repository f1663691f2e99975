"""The training loss at points of the landscape."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from thalweg.predicting import sample
from thalweg.seeds import seeded
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.masks import active
from thalweg.weights.point import Weights


def losses(problem: Problem, points: Sequence[Weights], *, examples: int = 1000) -> Tensor:
    """The mean training loss of each point `[points]`, in nats where it is the cross-entropy, on
    the CPU in double precision.

    It is the problem's loss in evaluation mode, without penalties and augmentation. Batch-norm
    statistics are refreshed where they are not valid. All of it is forward work, and metered.

    Args:
        problem: Architecture, training set, loss and meter.
        points: Where to look.
        examples: Of how many training examples, rounded up to whole batches; the same ones at every
            point and in every call.
    """
    return evaluate(
        problem, sample(problem, Members(tuple(points))), problem.training_part(examples)
    )[0]


def evaluate(
    problem: Problem, points: Iterable[Weights], batches: Iterable[Any]
) -> tuple[Tensor, Tensor]:
    """The mean loss and the share of wrong answers (the mean error of values) of points, `[points]`
    each, on the CPU in double
    precision.

    Args:
        problem: Architecture, loss and meter.
        points: Where to look; their batch-norm statistics are valid.
        batches: What to look at, pairs of inputs and labels.
    """
    loss = problem.criterion
    network = problem.build("network")
    network.eval()
    batches = [(x.to(problem.device), y.to(problem.device)) for x, y in batches]
    examples = sum(len(y) for _, y in batches)
    found = []
    with torch.no_grad(), problem.meter.clock():
        for weights in points:
            state = weights.placed(network)
            total, wrong = 0.0, 0.0
            with seeded(
                problem.seed, "losses"
            ):  # a network that is random even in evaluation mode is so alike at every point
                for number, (x, y) in enumerate(batches):
                    with (
                        nullcontext()
                        if weights.masks is None
                        else active(network, weights.masks, number, problem.behaviour)
                    ):
                        outputs = functional_call(network, state, (x,))
                    problem.meter.forward(outputs)
                    total += float(loss(outputs, y)) * len(y)
                    wrong += problem.outputs.errors(outputs, y).sum().item()
            found.append((total / examples, wrong / examples))
    mean, share = torch.tensor(found, dtype=torch.float64).reshape(-1, 2).unbind(1)
    return mean, share
