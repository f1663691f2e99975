"""Values: a regression, one number or several, in units."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.outputs.base import Loss, Outputs
from thalweg.outputs.classes import check_matrix

_FAR = 1000  # standard deviations from 0; single precision then has 1/20,000 of one
_LARGE = 10  # a root mean square of standardised targets that says that they are not


@dataclass(frozen=True)
class Values(Outputs):
    """Outputs `[batch, outputs]` are numbers; targets are real numbers `[batch]`, where there is
    one output, or `[batch, outputs]`.

    The loss is the squared error, averaged over outputs, of *standardised* targets, (target - mean)
    / std. Networks thus learn numbers about 0, and predictions are mean + std x output, in the
    units of the targets; they are in double precision where a mean is more than 1,000 std, as that
    of dates in seconds. A network that is trained already must give such numbers, too.

    Distances and u are Euclidean over the outputs, and so are K_eq and K_u: an output whose numbers
    are the largest decides them. Give several outputs in like units, or on like scales.

    Methods that sample exp(-loss x examples / temperature), such as cSGLD and subspace inference,
    take the loss as it is: that of a Gaussian whose variance is half the number of outputs, in
    standardised units. Last-layer Laplace takes the variance of the residuals instead.

    Attributes:
        units: The units of the targets, such as "mg/l"; '' for none.
        mean: What is subtracted of targets; one number, or one for each output.
        std: What they are then divided by; above 0.

    Example:
        >>> kelvin = Values(units="K", mean=300.0, std=10.0)
        >>> kelvin.store(torch.tensor([[0.5]]))
        tensor([[305.]])
    """

    kind: ClassVar[str] = "values"
    holds: ClassVar[str] = "values"
    numbers: ClassVar[str] = "finite numbers"
    simplex: ClassVar[bool] = False
    largest_u: ClassVar[float] = math.inf

    units: str = ""
    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.units, str):
            raise InputError(
                f"Values.units got a {type(self.units).__name__}, needs text such as 'mg/l'"
            )
        for name in ("mean", "std"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        if min(self._std) <= 0:
            raise InputError(f"Values.std got {min(self._std):g}, needs numbers above 0")

    @property
    def _mean(self) -> tuple[float, ...]:
        return self.mean  # type: ignore[return-value]  # a tuple from __post_init__ on

    @property
    def _std(self) -> tuple[float, ...]:
        return self.std  # type: ignore[return-value]

    @property
    def _is_far(self) -> bool:
        """Whether values lie so far from 0 that single precision would blur their differences."""
        return max(map(abs, self._mean)) > _FAR * min(self._std)

    def check_outputs(self, outputs: Tensor, inputs: int, mode: str = "") -> None:
        check_matrix(outputs, inputs, mode, "[batch, outputs] for outputs=Values()", "numbers")
        for name, given in (("mean", self._mean), ("std", self._std)):
            if len(given) not in (1, outputs.shape[1]):
                raise InputError(
                    f"Values.{name} has {len(given)} numbers, and the network {outputs.shape[1]} "
                    "outputs: give one for each, or one for all"
                )

    def check_scale(self, outputs: Tensor, mode: str = "") -> None:
        pass  # any numbers will do

    def check_pair(self, x: Tensor, y: Tensor, number: int) -> None:
        if y.dim() not in (1, 2) or not x.dim() or len(x) != len(y) or not y.numel():
            raise InputError(
                f"batch {number} has inputs {tuple(x.shape)} and targets {tuple(y.shape)}, needs "
                "[batch, ...] and [batch] or [batch, outputs]"
            )
        if y.is_complex() or y.dtype == torch.bool:
            raise InputError(
                f"batch {number} has targets of {y.dtype}, needs real numbers for outputs=Values()"
            )

    def check_targets(self, y: Tensor, outputs: int, number: int) -> None:
        if (1 if y.dim() == 1 else y.shape[1]) != outputs:
            raise InputError(
                f"batch {number} of the training loader has targets {tuple(y.shape)}, and the "
                f"network has {outputs} outputs: needs [batch, {outputs}]"
                + (" or [batch]" if outputs == 1 else "")
            )
        if not torch.isfinite(y).all():
            raise InputError(
                f"batch {number} of the training loader has NaN or infinite targets: clean the data"
            )

    def doubt(self, y: Tensor, outputs: Tensor | None = None) -> str:
        wanted = self._standardised(_matrix(y)).double()
        size = float(wanted.square().mean().sqrt())
        if outputs is None and size >= _LARGE:
            return (
                f"the targets have a root mean square of {size:.3g} in the units that the network "
                "learns in, where most recipes are made for about 1: give Values(mean=..., "
                "std=...) of the training targets; predictions are then in units all the same"
            )
        error = 0.0 if outputs is None else float((outputs - wanted).square().mean().sqrt())
        if error > 2 * size + 1:
            return (
                f"a network that networks gives is off by {error:.3g} in the units that "
                "a network learns in, (target - mean) / std, where the targets are of size "
                f"{size:.3g}: was it trained on targets that were not standardised? Then leave "
                "mean and std out"
            )
        return ""

    def aligned(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self._standardised(_matrix(y)).to(outputs.dtype)

    def labels(self, y: Tensor) -> Tensor:
        return torch.zeros(len(y), dtype=torch.long, device=y.device)

    def loss(self, label_smoothing: float = 0.0) -> Loss:
        if label_smoothing:
            raise InputError(
                f"recipe.label_smoothing got {label_smoothing:g} with outputs=Values(), which have "
                "no labels: take it out of the recipe"
            )

        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            wanted = self.aligned(outputs, targets)
            if wanted.shape != outputs.shape[-2:]:
                raise InputError(
                    f"targets {tuple(targets.shape)} don't fit outputs {tuple(outputs.shape)}, "
                    "needs one for each output: broadcasting would train towards their mean"
                )
            return (outputs - wanted).square().mean()

        return loss

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (self.store(outputs) - _matrix(y)).norm(dim=-1)

    def hessian(self, outputs: Tensor) -> Tensor:
        n = outputs.shape[1]
        same = torch.eye(n, dtype=outputs.dtype, device=outputs.device) * (2 / n)
        return same.expand(len(outputs), n, n)

    def dispersion(self, loss: float, outputs: int) -> float:
        # a Gaussian likelihood, whose variance is that of the training set's residuals
        return max(2 * loss / outputs, 1e-12)

    @property
    def predicted(self) -> "Values":
        return Values(self.units)

    def columns(self, outputs: int) -> int:
        return outputs

    def store(self, outputs: Tensor) -> Tensor:
        numbers = outputs.double() if self._is_far else outputs
        numbers = numbers if numbers.dtype == torch.float64 else numbers.float()
        mean, std = (numbers.new_tensor(given) for given in (self._mean, self._std))
        return mean + std * numbers

    def logits(self, outputs: Tensor) -> Tensor:
        return outputs

    def values(self, stored: Tensor) -> Tensor:
        return stored

    def average(self, stored: Tensor) -> Tensor:
        return stored.mean(0)

    def answers(self, mean: Tensor) -> Tensor:
        return mean

    def between(self, low: Tensor, high: Tensor, part: float) -> Tensor:
        return (low.double() * (1 - part) + high.double() * part).to(low.dtype)

    def counted(self, mean: Tensor) -> Tensor:
        return torch.ones_like(mean, dtype=torch.bool)

    def baseline(self, values: Tensor) -> Tensor:
        # a value alone says nothing of its uncertainty
        return torch.ones(len(values), dtype=torch.float64)

    def is_stored(self, stored: Tensor) -> bool:
        return bool(torch.isfinite(stored).all())

    def check_stored(self, stored: Tensor, tolerance: float) -> None:
        if not torch.isfinite(stored).all():
            raise InputError(
                "Predictions got values that are NaN or infinite: did the network diverge, or are "
                "there NaN among the inputs?"
            )

    def line(self, stored: Tensor) -> Tensor:
        return stored

    def back(self, line: Tensor) -> Tensor:
        return line

    def summary(self, mean: Tensor) -> Tensor:
        return mean

    def residuals(self, values: Tensor, mean: Tensor) -> Tensor:
        return values - mean

    def draws(self, centre: Tensor, residuals: Tensor) -> Tensor:
        return centre[:, None] + residuals - residuals.mean(1, keepdim=True)

    def facts(self) -> dict[str, Any]:
        return {"kind": self.kind, "units": self.units}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> "Values":
        return cls(facts.get("units", ""))

    def _standardised(self, targets: Tensor) -> Tensor:
        # the mean must not be rounded more than where it is added again
        if self._is_far or not targets.is_floating_point():
            targets = targets.double()
        elif targets.dtype != torch.float64:
            targets = targets.float()
        mean, std = (targets.new_tensor(given) for given in (self._mean, self._std))
        return (targets - mean) / std


def _matrix(y: Tensor) -> Tensor:
    """Targets as `[batch, outputs]`."""
    return y[:, None] if y.dim() == 1 else y


def _numbers(name: str, given: Any) -> tuple[float, ...]:
    """One number or several as a tuple.

    Raises:
        InputError: They are no finite numbers.
    """
    try:
        numbers = torch.as_tensor(given, dtype=torch.float64).reshape(-1)
    except (TypeError, ValueError, RuntimeError):
        numbers = torch.empty(0)
    if not len(numbers) or not torch.isfinite(numbers).all():
        raise InputError(
            f"Values.{name} got {given!r}, needs a finite number, or one for each output"
        )
    return tuple(numbers.tolist())
