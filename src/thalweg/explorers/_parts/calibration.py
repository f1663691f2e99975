"""Calibrated strength: of several restarts, the one as far from its anchor as a retraining.

It is a method of thalweg's own. How strongly a restart must perturb a network is a knife-edge: too
weakly, and it comes back; too strongly, and it diverges. One more retraining says how far apart two
trainings are, here in the total variation of their probabilities on unlabelled inputs; of a
regression, in the distance of their values.
"""

from collections.abc import Sequence

from torch import Tensor

from thalweg.landscape.loss import losses
from thalweg.predicting import predict
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights


def matching(
    problem: Problem,
    anchor: Weights,
    retraining: Weights,
    trials: Sequence[Weights],
    tolerance: float,
) -> tuple[int, bool]:
    """The trial that disagrees with the anchor about as much as a retraining does.

    Trials that do not come back to low loss are rejected; where all are, the one of lowest loss is
    taken. All of it is forward work, and metered.

    Args:
        problem: Architecture, training set, unlabelled inputs (on training inputs, two networks
            that fit them agree) and meter.
        anchor: Where the trials started.
        retraining: Another training.
        trials: Where restarts of several strengths ended, one or more.
        tolerance: How far a trial's training loss may be above the higher one of the two trainings.
            It is no ratio: beside the loss of 3e-4 that is left where trainings fit all examples,
            5e-3 would be much, and such a trial is a good network.

    Returns:
        The number of the trial, and whether it is accepted.
    """
    points = [anchor, retraining, *trials]
    first, second, *loss = losses(problem, points).tolist()
    accepted = [k for k, value in enumerate(loss) if value <= max(first, second) + tolerance]
    if not accepted:
        return min(range(len(loss)), key=lambda k: loss[k]), False
    wanted, *apart = total_variation(problem, points)
    return min(accepted, key=lambda k: abs(apart[k] - wanted)), True


def total_variation(problem: Problem, points: Sequence[Weights]) -> list[float]:
    """The mean total variation between the first point's probabilities and each other point's.

    It is half the summed absolute differences, averaged over the inputs; of a regression, that of
    the values.
    """
    values = predict(problem, Members(tuple(points)), problem.inputs()).values()
    distances: Tensor = (values[1:] - values[0]).abs().sum(-1).mean(-1) / 2
    return distances.tolist()
