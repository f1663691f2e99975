"""Which scores a kind of outputs has: their one register."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from thalweg.metrics.scores import check_labels, scores
from thalweg.metrics.values import check_values, value_scores
from thalweg.outputs import Outputs, Probabilities, Values, nearest
from thalweg.predictions import Predictions


@dataclass(frozen=True)
class Scoring:
    """Scores of the mean prediction, or of the members' distribution, against what was observed.

    Attributes:
        check: From labels or targets as the user gave them to a tensor that scores take; raises
            where they don't fit the predictions.
        scores: Each score's contribution of every input `[inputs]`, from predictions, checked
            targets and a seed.
        signs: By score, 1 where less is better and -1 where more is: curves must fall with the
            number of members.
    """

    check: Callable[[Any, Predictions], Tensor]
    scores: Callable[[Predictions, Tensor, int], dict[str, Tensor]]
    signs: Mapping[str, float]


SCORINGS: dict[type[Outputs], Scoring] = {
    Probabilities: Scoring(
        check_labels,
        scores,
        {"accuracy": -1.0, "nll": 1.0, "brier": 1.0, "calibrated_nll": 1.0},
    ),
    Values: Scoring(
        check_values,
        value_scores,
        {
            "squared_error": 1.0,
            "gaussian_nll": 1.0,
            "calibrated_gaussian_nll": 1.0,
            "crps": 1.0,
            "interval_score": 1.0,
        },
    ),
}


def scoring_of(outputs: Outputs) -> Scoring:
    """The scores of a kind of outputs, or of the nearest kind that it is one of.

    Raises:
        InputError: Nobody registered any.
    """
    return nearest(outputs, SCORINGS, "scores", "thalweg.metrics.scoring.SCORINGS")
