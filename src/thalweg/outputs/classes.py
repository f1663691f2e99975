"""Classes: two logits or more, and a label that is a class index."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.outputs.base import Loss
from thalweg.outputs.probabilities import Probabilities, log_softmax, made_by


@dataclass(frozen=True)
class Classes(Probabilities):
    """Outputs `[batch, classes]` are logits of two classes or more; targets are whole numbers
    `[batch]` from 0 on.

    The loss is cross-entropy, an answer the index of the most probable class.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
        >>> Classes().answers(Classes().values(Classes().store(logits)))
        tensor([0])
    """

    kind: ClassVar[str] = "classes"

    def check_outputs(self, outputs: Tensor, inputs: int, mode: str = "") -> None:
        one: Any = outputs
        if isinstance(one, Tensor) and tuple(one.shape) == (inputs, 1):
            raise InputError(
                f"the network's output is {tuple(one.shape)} for {inputs} inputs, one logit each, "
                "needs two classes or more: give it two outputs (their difference is the logit), "
                "or say what one output means, outputs=Binary() for a logit or outputs=Values() "
                "for a number"
            )
        check_matrix(one, inputs, mode, "[batch, classes] with two classes or more", "logits")
        if one.shape[1] < 2:
            raise InputError(
                f"the network's output is [batch, {one.shape[1]}], needs two classes or more"
            )

    def check_scale(self, outputs: Tensor, mode: str = "") -> None:
        made, values = made_by(outputs), outputs.detach().double()
        add_up = (
            bool((values.min() >= 0) & ((values.sum(1) - 1).abs().max() < 1e-3)) and len(values) > 0
        )
        is_sigmoid = made in ("Sigmoid", "Hardsigmoid") and not add_up
        if add_up or is_sigmoid or made == "Softmax":
            what = (
                "between 0 and 1 (a sigmoid made them)" if is_sigmoid else "probabilities already"
            )
            raise InputError(
                f"the network's outputs are {what}{mode}, needs logits: a second softmax would "
                f"flatten them; take the last {'sigmoid' if is_sigmoid else 'softmax'} out of the "
                "network (or return log-probabilities, torch.log_softmax)"
            )

    def check_pair(self, x: Tensor, y: Tensor, number: int) -> None:
        if y.dim() != 1 or not x.dim() or len(x) != len(y) or y.is_floating_point() or not len(y):
            way = (
                " (for a regression say outputs=Values(), for one logit outputs=Binary())"
                if y.is_floating_point()
                else ""
            )
            raise InputError(
                f"batch {number} has inputs {tuple(x.shape)} and labels {tuple(y.shape)} of "
                f"{y.dtype}, needs [batch, ...] and whole numbers [batch]{way}"
            )

    def check_targets(self, y: Tensor, outputs: int, number: int) -> None:
        y = y.long()  # not all whole numbers of torch's have a smallest one
        if y.min() < 0 or y.max() >= outputs:
            wrong = int(y.min() if y.min() < 0 else y.max())
            raise InputError(
                f"batch {number} of the training loader has label {wrong}, needs 0 to "
                f"{outputs - 1}: the network has {outputs} outputs"
            )

    def aligned(self, outputs: Tensor, y: Tensor) -> Tensor:
        return y

    def labels(self, y: Tensor) -> Tensor:
        return y.long()

    def loss(self, label_smoothing: float = 0.0) -> Loss:
        return cross_entropy(label_smoothing)

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        return outputs.argmax(-1) != y

    def hessian(self, outputs: Tensor) -> Tensor:
        p = log_softmax(outputs).exp()
        return torch.diag_embed(p) - p[:, :, None] * p[:, None, :]

    def columns(self, outputs: int) -> int:
        return outputs

    def store(self, outputs: Tensor) -> Tensor:
        return log_softmax(outputs)

    def logits(self, outputs: Tensor) -> Tensor:
        return outputs

    def answers(self, mean: Tensor) -> Tensor:
        return mean.argmax(-1)


def check_matrix(outputs: Any, inputs: int, mode: str, needed: str, numbers: str) -> None:
    """Checks that outputs are a floating-point matrix with a row for each input.

    Raises:
        InputError: They are not; the line says what is needed.
    """
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != inputs:
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        inner = (
            ""
            if isinstance(outputs, Tensor)
            else f": wrap it in a module whose forward returns the tensor of {numbers} alone"
        )
        raise InputError(
            f"the network's output is {got} for {inputs} inputs{mode}, needs {needed}{inner}"
        )
    if not outputs.is_floating_point():
        raise InputError(
            f"the network's outputs are {outputs.dtype}, needs floating-point {numbers}"
        )


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy of outputs `[batch, classes]` or `[draws, batch, classes]`, averaged over draws
    and batch.
    """

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.dim() > 2:
            outputs, targets = outputs.flatten(0, -2), targets.repeat(outputs.shape[:-2].numel())
        return nn.functional.cross_entropy(outputs, targets.long(), label_smoothing=label_smoothing)

    return loss
