"""Calibrated strength: of several restarts, the one that is as far from its anchor as one more
retraining (of our own).

How hard a restart must shake a network is a knife-edge: too weak, and it comes back; too strong,
and it diverges. One more retraining says how far apart two trainings are, here in the total
variation of their probabilities on unlabelled inputs.
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
    """The number of the trial whose disagreement with the anchor is nearest to that of a
    retraining, and whether it is accepted.

    Rejected are those that do not come back to low loss; where all are, the one of lowest loss is
    taken. All of it is forward work, and metered.

    Args:
        problem: Architecture, training set, unlabelled inputs (on training inputs, two networks
            that fit them agree) and meter.
        anchor: Where the trials started.
        retraining: Another training.
        trials: What restarts of several strengths ended at, one or more.
        tolerance: How far a trial's training loss may be above the higher one of the two trainings.
            It is no ratio: beside the 3e-4 that trainings leave which fit all examples, 5e-3 would
            be much, and such a trial is a good network.
    """
    points = [anchor, retraining, *trials]
    first, second, *loss = losses(problem, points).tolist()
    accepted = [k for k, value in enumerate(loss) if value <= max(first, second) + tolerance]
    if not accepted:
        return min(range(len(loss)), key=lambda k: loss[k]), False
    wanted, *apart = total_variation(problem, points)
    return min(accepted, key=lambda k: abs(apart[k] - wanted)), True


def total_variation(problem: Problem, points: Sequence[Weights]) -> list[float]:
    """Half the summed absolute differences of probabilities between the first point and each other,
    mean over the inputs.
    """
    probs = predict(problem, Members(tuple(points)), problem.inputs()).probs()
    found: Tensor = (probs[1:] - probs[0]).abs().sum(-1).mean(-1) / 2
    return found.tolist()
