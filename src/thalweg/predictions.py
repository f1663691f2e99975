"""Predictions: the border between computing and analysing. No network is known here."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from thalweg import arrays, files
from thalweg.arrays import numbers
from thalweg.errors import InputError, check_range, unknown
from thalweg.outputs import (
    Binary,
    Classes,
    Outputs,
    Probabilities,
    Values,
    multinomial,
    outputs_of,
)
from thalweg.outputs.probabilities import log_mean
from thalweg.places import Place

Kind = Literal["probabilities", "log_probabilities", "logits", "values"]


@dataclass(frozen=True)
class Predictions:
    """What every member predicts for every input.

    Tensors, NumPy arrays and lists of either or of numbers are taken. They are kept on the CPU,
    without gradients, in single or double precision.

    Make them of arrays, tables and files with `of`, of tensors also with `from_probabilities`,
    `from_logits`, `from_binary` or `from_values`; read what `save` wrote with `load`.

    Example:
        >>> Predictions.from_values(torch.tensor([[[1.0]], [[3.0]]]), units="mg/l").u()
        tensor([1.4142])

    Attributes:
        stored: Log-probabilities `[members, inputs, classes]`, whose probabilities sum to 1 over
            classes (of one logit they are those of false and true); of a regression the values
            `[members, inputs, outputs]`, in their units.
        stated_u: Standard uncertainty `[inputs]` where a method knows it better than from its
            members' spread, else None.
        outside: Whether an input is unlike all that the method was calibrated on `[inputs]`, so
            that u is a guess; None where it doesn't look.
        outputs: What they are predictions of.

    Raises:
        InputError: They are no log-probabilities, or no finite values, or what is given beside them
            does not fit.
    """

    stored: Tensor
    stated_u: Tensor | None = None
    outside: Tensor | None = None
    outputs: Outputs = Classes()  # noqa: RUF009  frozen

    def __post_init__(self) -> None:
        if not isinstance(self.outputs, Outputs):
            raise InputError(
                f"Predictions got outputs as a {type(self.outputs).__name__}, needs Classes(), "
                "Binary() or Values(units=...)"
            )
        holds = self.outputs.holds
        stored, precision = numbers(holds, self.stored)
        shape = tuple(stored.shape)
        if len(shape) != 3 or 0 in shape:
            last = "classes" if self.outputs.simplex else "outputs"
            raise InputError(
                f"Predictions got {holds} of shape {shape}, needs [members, inputs, {last}], "
                "none of them 0"
            )
        object.__setattr__(self, "stored", stored)
        object.__setattr__(self, "outputs", self.outputs.predicted)
        for name in ("stated_u", "outside"):
            given = getattr(self, name)
            if given is None:
                continue
            beside, precision = numbers(name, given)
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
        self.outputs.check_stored(stored, _tolerance(precision))

    @staticmethod
    def of(
        array: Any, kind: Kind, *, outputs: Outputs | None = None, **beside: Any
    ) -> "Predictions":
        """Predictions from numbers that are there already, in whatever form.

        Args:
            array: A tensor, an array, a list of arrays (one a member), a table, or the path of a
                .npy, .npz or .parquet file; or a list of tables or paths. Of classes
                `[members, inputs, classes]`. With `outputs=Binary()` `[members, inputs]`, of the
                class "true" (or two columns, false and true). Of values `[members, inputs,
                outputs]`, or `[members, inputs]` of one output. A table is long: a row has the
                columns `member`, `input` and one for each class or output, in their order (that of
                their names where these are whole numbers).
            kind: What the numbers are. They are checked for being that.
            outputs: What they are predictions of; None is `Classes()`, or `Values()` of values.
            **beside: `stated_u` and `outside`, as in `Predictions`.

        Raises:
            InputError: A file can't be read, or the numbers are not of this kind or shape.

        Example:
            >>> one, other = [[0.9, 0.1], [0.6, 0.4]], [[0.7, 0.3], [0.6, 0.4]]
            >>> Predictions.of([one, other], kind="probabilities").mean()[0]
            tensor([0.8000, 0.2000], dtype=torch.float64)
        """
        if kind not in _STORE:
            raise unknown("kind of predictions", kind, _STORE)
        if outputs is None:
            outputs = Values() if kind == "values" else Classes()
        if not isinstance(outputs, Outputs) or outputs.simplex == (kind == "values"):
            raise InputError(
                f"Predictions.of got {kind} and outputs={outputs!r}, needs probabilities or logits "
                "of Classes() or Binary(), and values of Values(units=...)"
            )
        given, precision = numbers(kind, arrays.read(array))
        if given.dim() == 2 and not isinstance(outputs, Classes):
            given = given[..., None]
        if given.dim() != 3:
            last = "classes" if outputs.simplex else "outputs"
            raise InputError(
                f"Predictions.of got {kind} of shape {tuple(given.shape)}, needs [members, inputs, "
                f"{last}]: of one network give array[None]; for one logit or probability an input "
                "say outputs=thalweg.Binary()"
            )
        return Predictions(_STORE[kind](given, outputs, precision), outputs=outputs, **beside)

    @staticmethod
    def from_probabilities(p: Any, **beside: Any) -> "Predictions":
        """Predictions of classes.

        Args:
            p: Probabilities `[members, inputs, classes]`, which sum to 1 over classes.
            **beside: `stated_u` and `outside`, as in `Predictions`.

        Raises:
            InputError: They are no probabilities.
        """
        return Predictions.of(p, "probabilities", **beside)

    @staticmethod
    def from_logits(z: Any, **beside: Any) -> "Predictions":
        """Predictions of classes from logits `[members, inputs, classes]`; `beside` as in
        `from_probabilities`.
        """
        return Predictions.of(z, "logits", **beside)

    @staticmethod
    def from_binary(p: Any = None, *, logits: Any = None, **beside: Any) -> "Predictions":
        """Predictions of a truth value.

        Args:
            p: Probabilities that it is true `[members, inputs]`.
            logits: Their logits `[members, inputs]`, instead of `p`: exact where p is nearly 1.
            **beside: `stated_u` and `outside`, as in `Predictions`. u is that of both columns,
                false and true: sqrt(2) times the standard deviation of `p`.

        Raises:
            InputError: Both or none are given, or they are no probabilities.
        """
        if (p is None) == (logits is None):
            raise InputError("Predictions.from_binary needs probabilities or logits=, one of them")
        if p is None:
            return Predictions.of(logits, "logits", outputs=Binary(), **beside)
        return Predictions.of(p, "probabilities", outputs=Binary(), **beside)

    @staticmethod
    def from_values(v: Any, units: str = "", **beside: Any) -> "Predictions":
        """Predictions of a regression.

        Args:
            v: Values `[members, inputs, outputs]`, or `[members, inputs]` where there is one
                output.
            units: Their units, such as "mg/l".
            **beside: `stated_u` and `outside`, as in `Predictions`.
        """
        return Predictions.of(v, "values", outputs=Values(units), **beside)

    @property
    def members(self) -> int:
        return self.stored.shape[0]

    @property
    def inputs(self) -> int:
        return self.stored.shape[1]

    @property
    def columns(self) -> int:
        """How many numbers are predicted of an input: classes, two for a truth value, or
        outputs.
        """
        return self.stored.shape[2]

    @property
    def classes(self) -> int:
        """How many classes there are, two for a truth value.

        Raises:
            InputError: They are predictions of values, as in `log_probs`.
        """
        return self.log_probs.shape[2]

    @property
    def log_probs(self) -> Tensor:
        """Log-probabilities `[members, inputs, classes]`.

        Raises:
            InputError: They are predictions of values, which have none.
        """
        if not isinstance(self.outputs, Probabilities):
            raise InputError(
                f"predictions of {type(self.outputs).__name__} have no probabilities and no "
                "classes: take values(), mean(), std() or u()"
            )
        return self.stored

    def values(self) -> Tensor:
        """Probabilities `[members, inputs, classes]`, or values in units `[members, inputs,
        outputs]`.
        """
        return self.outputs.values(self.stored)

    def answers(self) -> Tensor:
        """The answers of the mean prediction: class indices or truth values `[inputs]`, or mean
        values `[inputs, outputs]`.
        """
        return self.outputs.answers(self.mean())

    def probs(self) -> Tensor:
        """Probabilities `[members, inputs, classes]`; as `log_probs`, not of values."""
        return self.log_probs.exp()

    def log_mean(self) -> Tensor:
        """Logarithm of the members' mean probability `[inputs, classes]`; as `log_probs`, not of
        values.
        """
        return log_mean(self.log_probs)

    def mean(self) -> Tensor:
        """Mean probability `[inputs, classes]`, or mean value `[inputs, outputs]`."""
        return self.outputs.average(self.stored)

    def std(self) -> Tensor:
        """Standard deviation of probabilities or values over members `[inputs, columns]` (n - 1); 0
        where there is one member.
        """
        if self.members == 1:
            return torch.zeros_like(self.stored[0])
        return self.values().std(0)

    def interval(self, level: float = 0.95) -> tuple[Tensor, Tensor]:
        """The central interval of probabilities or values over members: lower and upper ends, each
        `[inputs, columns]`.
        """
        check_range("level", level, 0, 1)
        ends = torch.tensor(
            [(1 - level) / 2, (1 + level) / 2],
            dtype=self.stored.dtype,
            device=self.stored.device,
        )
        low, high = torch.quantile(self.values(), ends, dim=0)
        return low, high

    def u(self) -> Tensor:
        """Standard uncertainty over retrainings `[inputs]`: the square root of the summed variances
        of probabilities or values (in their units).
        """
        return self.std().square().sum(-1).sqrt() if self.stated_u is None else self.stated_u

    def chosen(self, index: Tensor) -> "Predictions":
        """The same members on some of the inputs, `[inputs]`."""
        return self._part(
            self.stored[:, index],
            *(None if t is None else t[index] for t in (self.stated_u, self.outside)),
        )

    def among(self, members: Tensor) -> "Predictions":
        """Some of the members by number, `[members]`: with the u of their own spread."""
        return self._part(self.stored[members], None, None)

    def _part(
        self, stored: Tensor, stated_u: Tensor | None, outside: Tensor | None
    ) -> "Predictions":
        """Parts of what was checked, which is not done again: curves are made of hundreds of
        them.
        """
        part = copy.copy(self)
        for name, value in (("stored", stored), ("stated_u", stated_u), ("outside", outside)):
            object.__setattr__(part, name, value)
        return part

    def single(self) -> "Predictions":
        """The same in single precision, as studies keep them."""
        return self._part(
            self.stored.float(),
            None if self.stated_u is None else self.stated_u.float(),
            self.outside,
        )

    def save(
        self,
        path: str | Place,
        *,
        of: str | None = None,
        unless: Callable[[], bool] | None = None,
    ) -> None:
        """Stores them as safetensors, to the last bit.

        Args:
            path: The file, or the address of an object in a store.
            of: Whose they are, for `load`.
            unless: Says whether a file that is there already is good, and stays. None to replace
                whatever is there.
        """
        tensors = {self.outputs.holds: self.stored}
        if self.stated_u is not None:
            tensors["stated_u"] = self.stated_u
        if self.outside is not None:
            tensors["outside"] = self.outside
        about: dict[str, Any] = {} if of is None else {"of": of}
        if self.outputs != Classes():  # files without it are of classes, as all once were
            about["outputs"] = self.outputs.facts()
        files.write_tensors(files.given(path), tensors, about, unless=unless)

    def to_parquet(self, path: str | Place) -> None:
        """Writes probabilities or values as a table for other programs, which `of` reads again.

        It has a row for each member and input, and the columns `member`, `input`, "0", "1", ...
        Neither `stated_u` nor `outside` is in it; `save` keeps all, to the last bit.
        """
        files.write_bytes(files.given(path), arrays.as_parquet(self.values()))

    @staticmethod
    def load(
        path: str | Place, *, of: str | None = None, remedy: str = files.COPY
    ) -> "Predictions":
        """Reads what `save` wrote.

        Args:
            path: The file.
            of: Whose they must be; None for anybody's.
            remedy: What to do about a damaged file.

        Raises:
            InputError: The file is missing or damaged, or holds no predictions or somebody else's.
        """
        tensors, metadata = files.read_tensors(files.given(path), remedy)
        try:
            outputs = outputs_of(metadata.get("outputs", Classes().facts()))
        except InputError as error:
            raise InputError(f"{path} can't be used ({error}): {remedy}") from None
        wrong = _wrong(tensors, outputs)
        if of is not None and metadata.get("of") != of:
            wrong = f"those of {metadata.get('of') or 'nobody that it names'}, needs {of}"
        if wrong:
            raise InputError(f"{path} holds {wrong}: {remedy}")
        try:
            return Predictions(
                tensors[outputs.holds], tensors.get("stated_u"), tensors.get("outside"), outputs
            )
        except InputError as error:
            raise InputError(f"{path} can't be used ({error}): {remedy}") from None


def _tolerance(precision: torch.dtype) -> float:
    """How far from 1 probabilities of a type may sum."""
    return 0.05 if precision == torch.bfloat16 else 0.01


def _of_probabilities(p: Tensor, outputs: Outputs, precision: torch.dtype) -> Tensor:
    """Logarithms of probabilities `[members, inputs, columns]`, of one column those of both.

    Raises:
        InputError: They are not in 0 .. 1, or do not sum to 1.
    """
    if not ((p >= 0) & (p <= 1)).all():  # NaN, too
        raise InputError(
            "Predictions got probabilities that are NaN or outside of 0 .. 1: of logits make them "
            "with Predictions.of(z, kind='logits')"
        )
    if isinstance(outputs, Binary) and p.shape[-1] == 1:
        return torch.cat([1 - p, p], -1).log()
    off = (p.sum(-1) - 1).abs()
    if off.numel() and off.max() > _tolerance(precision):
        member, place = divmod(int(off.argmax()), p.shape[1])
        raise InputError(
            "Predictions got probabilities that sum, for member "
            f"{member} and input {place}, to {float(p[member, place].sum()):.3g} over classes, "
            "needs 1: is the last axis that of classes?"
        )
    return p.log()


def _of_log_probabilities(given: Tensor, outputs: Outputs, precision: torch.dtype) -> Tensor:
    """Log-probabilities `[members, inputs, columns]` as they are, of one column those of both."""
    if isinstance(outputs, Binary) and given.shape[-1] == 1:
        return torch.cat([(-given.expm1()).log(), given], -1)
    return given


def _of_logits(z: Tensor, outputs: Outputs, precision: torch.dtype) -> Tensor:
    """Log-probabilities of logits `[members, inputs, outputs]`.

    Raises:
        InputError: They are probabilities.
    """
    one = isinstance(outputs, Binary)
    if one != (z.shape[-1] == 1):
        raise InputError(
            f"Predictions got logits of shape {tuple(z.shape)}, needs two classes or more, or one "
            "logit an input with outputs=thalweg.Binary()"
        )
    if ((z >= 0) & (z <= 1)).all() and ((z > 0) & (z < 1)).any():
        if not one and (z.sum(-1) - 1).abs().max() < _tolerance(precision):
            raise InputError(
                "Predictions got logits that are probabilities already, and a second softmax would "
                "flatten them: say kind='probabilities'"
            )
        if z.shape[1] > _FEW:
            warnings.warn(
                "Predictions got logits that are all between 0 and 1: if they are probabilities, "
                "say kind='probabilities'",
                stacklevel=4,
            )
    return outputs.store(z)


def _of_values(given: Tensor, outputs: Outputs, precision: torch.dtype) -> Tensor:
    return given


_STORE: dict[str, Callable[[Tensor, Outputs, torch.dtype], Tensor]] = {
    "probabilities": _of_probabilities,
    "log_probabilities": _of_log_probabilities,
    "logits": _of_logits,
    "values": _of_values,
}
_FEW = 20  # inputs whose logits may all be in 0 .. 1 by chance
_STORED = (torch.float32, torch.float64)


def _wrong(tensors: dict[str, Tensor], outputs: Outputs) -> str:
    """What is wrong with stored predictions, in words; nothing where they are as `save` writes
    them.
    """
    stored, stated_u, outside = (
        tensors.get(name) for name in (outputs.holds, "stated_u", "outside")
    )
    if stored is None or stored.dim() != 3 or 0 in stored.shape or stored.dtype not in _STORED:
        got = "none" if stored is None else f"{stored.dtype} of shape {tuple(stored.shape)}"
        last = "classes" if outputs.simplex else "outputs"
        needed = f"{outputs.holds} of torch.float32 or float64 [members, inputs, {last}]"
        return f"no predictions ({got}, needs {needed})"
    if not outputs.is_stored(stored):
        return f"no predictions (some are NaN or no {outputs.numbers})"
    shape = stored.shape[1:2]
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


def baseline(predictions: Predictions) -> Tensor:
    """The trivial baseline of u `[inputs]`: `impurity` of probabilities, 1 of values, which say
    nothing of their uncertainty; in double precision.
    """
    outputs = predictions.outputs
    return outputs.baseline(outputs.values(predictions.stored[0].double()))
