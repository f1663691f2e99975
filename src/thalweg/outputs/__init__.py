"""What a network's outputs mean: classes, one logit, or values in units.

Nobody else asks. `Problem(..., outputs=Values(units="mg/l"))` says so once; training, predicting,
emulators and metrics then ask this object.
"""

from thalweg.outputs.base import Loss, Outputs, nearest, outputs_of
from thalweg.outputs.binary import Binary
from thalweg.outputs.classes import Classes, cross_entropy
from thalweg.outputs.probabilities import Probabilities, log_softmax, multinomial, softmax
from thalweg.outputs.values import Values

__all__ = [
    "Binary",
    "Classes",
    "Loss",
    "Outputs",
    "Probabilities",
    "Values",
    "cross_entropy",
    "log_softmax",
    "multinomial",
    "nearest",
    "outputs_of",
    "softmax",
]
