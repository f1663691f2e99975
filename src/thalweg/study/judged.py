"""What a comparison writes of single inputs, by what predictions are of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pandas import DataFrame
from torch import Tensor

from thalweg.metrics.calibration import reliability
from thalweg.outputs import Outputs, Probabilities, Values, nearest
from thalweg.predictions import Predictions

INPUTS = 2000  # inputs whose spread is kept one by one, for figures


@dataclass(frozen=True)
class Judged:
    """The tables of a kind of outputs.

    Attributes:
        inputs: The rows of single inputs that figures need, from a label, predictions of one base,
            labels or targets, and the reference's u.
        reliability: Confidence and accuracy in bins, from a label, predictions of all bases and
            labels; None where there is none.
        shows_inputs: Whether the test inputs on which retrainings disagree most are images of
            classes, which a report can show.
    """

    inputs: Callable[[str, Predictions, Tensor, Tensor], DataFrame]
    reliability: Callable[[str, list[Predictions], Tensor], DataFrame] | None
    shows_inputs: bool


def _of_classes(
    label: str, predicted: Predictions, labels: Tensor, u_reference: Tensor
) -> DataFrame:
    kept = slice(0, INPUTS)
    confidence, top = predicted.mean().max(1)
    return DataFrame(
        {
            "input": range(len(labels[kept])),
            "label": labels[kept].numpy(),
            "method": label,
            "u": predicted.u()[kept].numpy(),
            "u_reference": u_reference[kept].numpy(),
            "correct": (top == labels)[kept].numpy(),
            "confidence": confidence[kept].numpy(),
        }
    )


def _of_values(
    label: str, predicted: Predictions, targets: Tensor, u_reference: Tensor
) -> DataFrame:
    kept = slice(0, INPUTS)
    columns: dict[str, Any] = {
        "input": range(len(targets[kept])),
        "method": label,
        "u": predicted.u()[kept].numpy(),
        "u_reference": u_reference[kept].numpy(),
        "error": (predicted.mean() - targets).norm(dim=1)[kept].numpy(),
    }
    return DataFrame(columns)


def _reliability(label: str, predicted: list[Predictions], labels: Tensor) -> DataFrame:
    """Returns confidence and accuracy in bins of equal mass, over all bases together."""
    bins = reliability(torch.cat([p.log_mean() for p in predicted]), labels.repeat(len(predicted)))
    return DataFrame(
        {
            "method": label,
            "bin": range(len(bins.count)),
            "confidence": bins.confidence.numpy(),
            "accuracy": bins.accuracy.numpy(),
            "count": bins.count.numpy(),
        }
    )


_JUDGED: dict[type[Outputs], Judged] = {
    Probabilities: Judged(_of_classes, _reliability, shows_inputs=True),
    Values: Judged(_of_values, None, shows_inputs=False),
}


def judged_of(outputs: Outputs) -> Judged:
    """Returns the tables of a kind of outputs, or of the nearest kind that it is one of.

    Raises:
        InputError: Nobody registered any.
    """
    return nearest(outputs, _JUDGED, "tables", "_JUDGED in thalweg/study/judged.py")
