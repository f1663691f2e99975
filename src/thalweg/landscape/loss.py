"""The training loss at points of the landscape."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from thalweg.prediction import sample
from thalweg.training.loop import cross_entropy
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights


def losses(problem: Problem, points: Sequence[Weights], *, examples: int = 1000) -> Tensor:
    """The mean training loss of each point `[points]`, in nats where it is the cross-entropy, on the CPU in double precision.

    It is the problem's loss in evaluation mode, without penalties and augmentation. Batch-norm statistics are refreshed where
    they are not valid. All of it is forward work, and metered.

    Args:
        problem: Architecture, training set, loss and meter.
        points: Where to look.
        examples: Of how many training examples, rounded up to whole batches; the same ones at every point and in every call.
    """
    loss = problem.loss or cross_entropy(problem.recipe.label_smoothing)
    network = problem.build("network")
    network.eval()
    batches = [(x.to(problem.device), y.to(problem.device)) for x, y in problem.training_part(examples)]
    total = torch.zeros(len(points), dtype=torch.float64)
    with torch.no_grad(), problem.meter.clock():
        for k, weights in enumerate(sample(problem, Members(tuple(points)))):
            state = weights.placed(network)
            for x, y in batches:
                outputs = functional_call(network, state, (x,))
                problem.meter.forward(outputs)
                total[k] += float(loss(outputs, y)) * len(y)
    return total / sum(len(y) for _, y in batches)
