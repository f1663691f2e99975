"""Binary: one logit, and a label that is 0 or 1.

What is stored are two columns of log-probabilities, log(1 - p) and log p, so that all that knows
probabilities knows these. Distances and u are those of two classes: sqrt(2) times those of p.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.outputs.base import Loss
from thalweg.outputs.classes import check_matrix
from thalweg.outputs.probabilities import Probabilities, made_by


@dataclass(frozen=True)
class Binary(Probabilities):
    """The output `[batch, 1]` is the logit of a truth value; targets are 0 or 1 `[batch]`.

    The loss is binary cross-entropy, an answer whether the truth value is more probable than not.

    Example:
        >>> Binary().values(Binary().store(torch.zeros(1, 1)))
        tensor([[0.5000, 0.5000]])
    """

    kind: ClassVar[str] = "binary"

    def check_outputs(self, outputs: Tensor, inputs: int, mode: str = "") -> None:
        check_matrix(outputs, inputs, mode, "[batch, 1], one logit each", "logits")
        if outputs.shape[1] != 1:
            raise InputError(
                f"the network's output is {tuple(outputs.shape)}, needs [batch, 1], one logit "
                "each, for outputs=Binary(): leave outputs out for classes"
            )

    def check_scale(self, outputs: Tensor, mode: str = "") -> None:
        if made_by(outputs) in ("Sigmoid", "Hardsigmoid"):
            raise InputError(
                f"the network's outputs are probabilities already{mode} (a sigmoid made them), "
                "needs logits: take the last sigmoid out of the network"
            )

    def check_pair(self, x: Tensor, y: Tensor, number: int) -> None:
        shaped = y.dim() == 1 or (y.dim() == 2 and y.shape[1] == 1)
        if not shaped or not x.dim() or len(x) != len(y) or not len(y):
            raise InputError(
                f"batch {number} has inputs {tuple(x.shape)} and labels {tuple(y.shape)}, needs "
                "[batch, ...] and [batch] of 0 and 1"
            )

    def check_targets(self, y: Tensor, outputs: int, number: int) -> None:
        wrong = (y != 0) & (y != 1)  # NaN, too
        if wrong.any():
            raise InputError(
                f"batch {number} of the training loader has label {y[wrong][0].item():g}, needs 0 "
                "or 1 for outputs=Binary()"
            )

    def aligned(self, outputs: Tensor, y: Tensor) -> Tensor:
        return y.to(outputs.dtype).reshape(len(y), 1)

    def labels(self, y: Tensor) -> Tensor:
        return y.reshape(len(y)).long()

    def loss(self, label_smoothing: float = 0.0) -> Loss:
        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            wanted = self.aligned(outputs, targets) * (1 - label_smoothing) + label_smoothing / 2
            return nn.functional.binary_cross_entropy_with_logits(
                outputs, wanted.expand_as(outputs)
            )

        return loss

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs[..., 0] > 0) != y.reshape(len(y)).bool()

    def hessian(self, outputs: Tensor) -> Tensor:
        return (outputs.sigmoid() * (-outputs).sigmoid())[:, :, None]

    def columns(self, outputs: int) -> int:
        return 2

    def store(self, outputs: Tensor) -> Tensor:
        logit = outputs if outputs.dtype == torch.float64 else outputs.float()
        return nn.functional.logsigmoid(torch.cat([-logit, logit], -1))

    def logits(self, outputs: Tensor) -> Tensor:
        return torch.cat([-outputs / 2, outputs / 2], -1)

    def answers(self, mean: Tensor) -> Tensor:
        return mean[..., 1] > mean[..., 0]
