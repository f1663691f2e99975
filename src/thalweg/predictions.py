"""Predictions: the border between computing and analysing. No network is known here."""

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg import files
from thalweg.errors import InputError, check_range


@dataclass(frozen=True)
class Predictions:
    """What every member predicts for every input.

    Tensors, NumPy arrays and lists of either or of numbers are taken. They are kept on the CPU,
    without gradients, in single or double precision.

    Attributes:
        log_probs: Log-probabilities `[members, inputs, classes]`; their probabilities sum to 1 over
            classes.
        stated_u: Standard uncertainty `[inputs]` where a method knows it better than from its
            members' spread, else None.
        outside: Whether an input is unlike all that the method was calibrated on `[inputs]`, so
            that u is a guess; None where it doesn't look.

    Raises:
        InputError: They are no log-probabilities, or what is given beside them does not fit.
    """

    log_probs: Tensor
    stated_u: Tensor | None = None
    outside: Tensor | None = None

    def __post_init__(self) -> None:
        log_probs, precision = _numbers("log_probs", self.log_probs)
        shape = tuple(log_probs.shape)
        if len(shape) != 3 or 0 in shape:
            raise InputError(
                f"Predictions got log_probs of shape {shape}, needs [members, inputs, classes], "
                "none of them 0"
            )
        tolerance = 0.05 if precision == torch.bfloat16 else 0.01
        object.__setattr__(self, "log_probs", log_probs)
        for name in ("stated_u", "outside"):
            given = getattr(self, name)
            if given is None:
                continue
            beside, precision = _numbers(name, given)
            if tuple(beside.shape) != shape[1:2]:
                raise InputError(
                    f"Predictions got {name} of shape {tuple(beside.shape)}, needs {shape[1:2]}: "
                    "one an input"
                )
            if name == "outside" and precision != torch.bool:
                raise InputError(
                    f"Predictions got outside of type {precision}, needs truth values: whether "
                    "an input is outside"
                )
            if not ((beside >= 0) & beside.isfinite()).all():
                raise InputError(
                    f"Predictions got {name} with NaN, infinite or negative numbers, needs 0 or "
                    "more everywhere"
                )
            object.__setattr__(self, name, beside.bool() if name == "outside" else beside)
        _check_sums(log_probs, tolerance)

    @property
    def members(self) -> int:
        return self.log_probs.shape[0]

    @property
    def inputs(self) -> int:
        return self.log_probs.shape[1]

    @property
    def classes(self) -> int:
        return self.log_probs.shape[2]

    def probs(self) -> Tensor:
        """Probabilities `[members, inputs, classes]`."""
        return self.log_probs.exp()

    def log_mean(self) -> Tensor:
        """Logarithm of the members' mean probability `[inputs, classes]`."""
        return self.log_probs.logsumexp(0) - math.log(self.members)

    def mean(self) -> Tensor:
        """Mean probability `[inputs, classes]`."""
        return self.log_mean().exp()

    def std(self) -> Tensor:
        """Standard deviation of the probabilities over members `[inputs, classes]` (n - 1); 0 where
        there is one member.
        """
        if self.members == 1:
            return torch.zeros_like(self.log_probs[0])
        return self.probs().std(0)

    def interval(self, level: float = 0.95) -> tuple[Tensor, Tensor]:
        """The central interval of the probabilities over members: lower and upper ends, each
        `[inputs, classes]`.
        """
        check_range("level", level, 0, 1)
        ends = torch.tensor(
            [(1 - level) / 2, (1 + level) / 2],
            dtype=self.log_probs.dtype,
            device=self.log_probs.device,
        )
        low, high = torch.quantile(self.probs(), ends, dim=0)
        return low, high

    def u(self) -> Tensor:
        """Standard uncertainty over retrainings `[inputs]`: the square root of the summed variances
        of the probabilities.
        """
        return self.std().square().sum(-1).sqrt() if self.stated_u is None else self.stated_u

    def chosen(self, index: Tensor) -> "Predictions":
        """The same members on some of the inputs, `[inputs]`."""
        return self._part(
            self.log_probs[:, index],
            *(None if t is None else t[index] for t in (self.stated_u, self.outside)),
        )

    def among(self, members: Tensor) -> "Predictions":
        """Some of the members by number, `[members]`: with the u of their own spread."""
        return self._part(self.log_probs[members], None, None)

    def _part(
        self, log_probs: Tensor, stated_u: Tensor | None, outside: Tensor | None
    ) -> "Predictions":
        """Parts of what was checked, which is not done again: curves are made of hundreds of
        them.
        """
        found = copy.copy(self)
        for name, value in (("log_probs", log_probs), ("stated_u", stated_u), ("outside", outside)):
            object.__setattr__(found, name, value)
        return found

    def single(self) -> "Predictions":
        """The same in single precision, as studies keep them."""
        return self._part(
            self.log_probs.float(),
            None if self.stated_u is None else self.stated_u.float(),
            self.outside,
        )

    def save(self, path: str | Path, *, of: str | None = None) -> None:
        """Stores them as safetensors, to the last bit; `of` names whose they are, for `load`."""
        tensors = {"log_probs": self.log_probs}
        if self.stated_u is not None:
            tensors["stated_u"] = self.stated_u
        if self.outside is not None:
            tensors["outside"] = self.outside
        files.write_tensors(files.given(path), tensors, {} if of is None else {"of": of})

    @staticmethod
    def load(path: str | Path, *, of: str | None = None, remedy: str = files.COPY) -> "Predictions":
        """Reads what `save` wrote.

        Args:
            path: The file.
            of: Whose they must be; None for anybody's.
            remedy: What to do about a damaged file.

        Raises:
            InputError: The file is missing or damaged, or holds no predictions or somebody else's.
        """
        tensors, metadata = files.read_tensors(files.given(path), remedy)
        wrong = _wrong(tensors)
        if of is not None and metadata.get("of") != of:
            wrong = f"those of {metadata.get('of') or 'nobody that it names'}, needs {of}"
        if wrong:
            raise InputError(f"{path} holds {wrong}: {remedy}")
        try:
            return Predictions(
                tensors["log_probs"], tensors.get("stated_u"), tensors.get("outside")
            )
        except InputError as error:
            raise InputError(f"{path} can't be used ({error}): {remedy}") from None


def _numbers(name: str, given: Any) -> tuple[Tensor, torch.dtype]:
    """What is given as a tensor on the CPU in single or double precision, without gradients, and
    the type that it had.

    Raises:
        InputError: It is no array of real numbers.
    """
    try:
        if isinstance(given, list | tuple) and any(isinstance(part, Tensor) for part in given):
            given = torch.stack([torch.as_tensor(part) for part in given])
        elif not isinstance(given, Tensor):
            array = np.array(
                given, order="C"
            )  # a copy: what the user changes later changes nothing here
            given = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (RuntimeError, TypeError, ValueError) as error:
        message = " ".join(str(error).split())[:120]
        raise InputError(
            f"Predictions got {name} as a {type(given).__name__} that is no array of numbers "
            f"({message}): give a tensor, an array, or a list of parts of the same shape"
        ) from None
    if given.is_complex():
        raise InputError(f"Predictions got {name} of type {given.dtype}, needs real numbers")
    if given.is_meta or given.is_nested or given.layout != torch.strided:
        kind = (
            "no data"
            if given.is_meta
            else "nested parts"
            if given.is_nested
            else f"{given.dtype} and {given.layout}"
        )
        raise InputError(
            f"Predictions got {name} as a tensor of {kind}, needs dense numbers: give a plain "
            "tensor"
        )
    found = given.detach().cpu()
    return found if found.dtype in (torch.float32, torch.float64) else found.float(), given.dtype


def _check_sums(log_probs: Tensor, tolerance: float) -> None:
    """Checks that the probabilities of every member and input sum to 1 within a tolerance.

    Raises:
        InputError: They don't; the line says what was given instead.
    """
    for k, member in enumerate(log_probs):
        sums = member.logsumexp(-1)
        wrong = ~(sums.abs() <= tolerance)  # NaN, too
        if not wrong.any():
            continue
        where = int(wrong.nonzero()[0, 0])
        own = member[where]
        if own.isnan().any():
            what = "NaN: did the network diverge, or are there NaN among the inputs?"
        elif (member >= 0).all() and (member.sum(-1) - 1).abs().amax() <= tolerance:
            what = "probabilities where their logarithms are needed: give probabilities.log()"
        else:
            what = (
                f"numbers whose exponentials sum to {float(sums[where].exp()):.3g} over classes, "
                "needs 1: give torch.log_softmax(logits, -1)"
            )
        raise InputError(
            f"Predictions got log_probs that hold, for member {k} and input {where}, {what}"
        )


_STORED = (torch.float32, torch.float64)


def _wrong(tensors: dict[str, Tensor]) -> str:
    """What is wrong with stored predictions, in words; nothing where they are as `save` writes
    them.
    """
    log_probs, stated_u, outside = (
        tensors.get(name) for name in ("log_probs", "stated_u", "outside")
    )
    if (
        log_probs is None
        or log_probs.dim() != 3
        or 0 in log_probs.shape
        or log_probs.dtype not in _STORED
    ):
        got = (
            "none" if log_probs is None else f"{log_probs.dtype} of shape {tuple(log_probs.shape)}"
        )
        needed = "log_probs of torch.float32 or float64 [members, inputs, classes]"
        return f"no predictions ({got}, needs {needed})"
    if not log_probs.max() <= 1e-3:  # NaN is no less than that either; the logarithm of 0 is
        return "no predictions (some are NaN or no logarithms of probabilities)"
    shape = log_probs.shape[1:2]
    if stated_u is not None and (
        stated_u.shape != shape or stated_u.dtype not in _STORED or not stated_u.isfinite().all()
    ):
        return "no predictions (stated_u is not a finite number an input)"
    if outside is not None and (outside.shape != shape or outside.dtype != torch.bool):
        return "no predictions (outside is not true or false for each input)"
    return ""


def impurity(predictions: Predictions) -> Tensor:
    """The trivial baseline of u: 1 - sum over classes of p^2 of the first member `[inputs]`, 0 or
    more, in double precision.
    """
    return multinomial(predictions.log_probs[0].double().exp())[0]


def multinomial(p: Tensor) -> tuple[Tensor, Tensor]:
    """1 - sum p^2 and |diag(p) - p p'|^2 (Frobenius) of probabilities `[inputs, classes]`, exact
    where one is nearly 1.
    """
    p = p.sort(1, descending=True).values
    rest = p[:, 1:]
    diagonal = p * torch.cat([rest.sum(1, keepdim=True), 1 - rest], 1)
    squares = rest.square().sum(1)
    others = (
        2 * p[:, 0].square() * squares + squares.square() - rest.square().square().sum(1)
    )  # sum over i != j of p_i^2 p_j^2
    return diagonal.sum(1), diagonal.square().sum(1) + others


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities of logits over the last axis, in single precision or better."""
    return torch.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), -1)
