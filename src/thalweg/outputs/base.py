"""The contract of outputs: all that the rest of the library may ask about what they mean."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from torch import Tensor

from thalweg.errors import InputError, unknown

Loss = Callable[[Tensor, Tensor], Tensor]
T = TypeVar("T")


class Outputs(ABC):
    """What a network's outputs mean.

    Three forms occur. *Outputs* are what the network returns `[..., outputs]`. What is *stored* of
    them in predictions is their logarithms where they are probabilities, else numbers in units
    `[..., columns]`. *Values* are probabilities or those numbers: standard uncertainties, means,
    distances and norms are all taken of values.

    Subclasses are frozen dataclasses with a `kind` of their own, by which files name them.
    """

    kind: ClassVar[str]
    """The name in files."""

    holds: ClassVar[str]
    """What the stored tensor is called, in files and messages."""

    numbers: ClassVar[str]
    """What each of its numbers is, in messages."""

    simplex: ClassVar[bool]
    """Whether the values of an input are probabilities, which sum to one; else they are any real
    numbers.
    """

    largest_u: ClassVar[float]
    """No values can have a larger standard uncertainty."""

    _kinds: ClassVar[dict[str, type["Outputs"]]] = {}

    def __init_subclass__(cls) -> None:
        if "kind" in vars(cls):
            Outputs._kinds[cls.kind] = cls

    # in training

    @abstractmethod
    def check_outputs(self, outputs: Tensor, inputs: int, mode: str = "") -> None:
        """Checks what a network gave for so many inputs; `mode` says in which mode it did.

        Raises:
            InputError: It is not of the right shape or type.
        """

    @abstractmethod
    def check_scale(self, outputs: Tensor, mode: str = "") -> None:
        """Checks outputs `[batch, outputs]`, with their graph of gradients, for being on the scale
        that the loss takes.

        Raises:
            InputError: They are not: they are probabilities already, say.
        """

    @abstractmethod
    def check_pair(self, x: Tensor, y: Tensor, number: int) -> None:
        """Checks the shapes and types of inputs `[batch, ...]` and targets `[batch, ...]`, those of
        the batch of this number.

        Raises:
            InputError: They don't fit each other, or are no targets of this kind.
        """

    @abstractmethod
    def check_targets(self, y: Tensor, outputs: int, number: int) -> None:
        """Checks targets that passed `check_pair` against a network's number of outputs.

        Raises:
            InputError: A target is out of range or not finite, or there are too few or too many.
        """

    def doubt(self, y: Tensor, outputs: Tensor | None = None) -> str:
        """What looks wrong about targets `[batch, ...]` that passed all checks, or about a trained
        network's outputs `[batch, outputs]` on their inputs: a sentence with a remedy, or nothing.
        """
        return ""

    @abstractmethod
    def aligned(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The targets in the shape and on the scale that a loss of outputs `[batch, outputs]`
        takes,
        so that nothing is broadcast by accident.
        """

    @abstractmethod
    def labels(self, y: Tensor) -> Tensor:
        """The classes of targets, whole numbers `[batch]`; all 0 where there are none."""

    @abstractmethod
    def loss(self, label_smoothing: float = 0.0) -> Loss:
        """The usual loss of outputs `[batch, outputs]` or `[draws, batch, outputs]` and targets
        `[batch, ...]`, averaged over draws and batch.

        Raises:
            InputError: Labels are smoothed, and there are none.
        """

    @abstractmethod
    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        """How wrong the answers of outputs `[batch, outputs]` are `[batch]`: 1 or 0 where an answer
        is right or wrong, else their distance from the targets, in units.
        """

    @abstractmethod
    def hessian(self, outputs: Tensor) -> Tensor:
        """The Hessian of each input's loss in its outputs `[inputs, outputs, outputs]`."""

    @abstractmethod
    def dispersion(self, loss: float, outputs: int) -> float:
        """What the loss of an input is to be divided by to be minus its log-likelihood.

        Args:
            loss: The mean loss over the training set.
            outputs: How many outputs there are.
        """

    # from outputs to values and answers

    @property
    def predicted(self) -> "Outputs":
        """What predictions are of: the same, without what is known of the network alone."""
        return self

    @abstractmethod
    def columns(self, outputs: int) -> int:
        """How many columns are stored of so many outputs."""

    @abstractmethod
    def store(self, outputs: Tensor) -> Tensor:
        """What is stored of outputs `[..., outputs]`: `[..., columns]`."""

    @abstractmethod
    def logits(self, outputs: Tensor) -> Tensor:
        """The outputs on the scale on which they are features of an input `[..., columns]`."""

    @abstractmethod
    def values(self, stored: Tensor) -> Tensor:
        """The values of what is stored, of the same shape."""

    @abstractmethod
    def average(self, stored: Tensor) -> Tensor:
        """The members' mean values `[inputs, columns]` of what is stored `[members, inputs,
        columns]`.
        """

    @abstractmethod
    def answers(self, mean: Tensor) -> Tensor:
        """The answers that mean values `[inputs, columns]` give: class indices or truth values
        `[inputs]`, or the values themselves.
        """

    @abstractmethod
    def between(self, low: Tensor, high: Tensor, part: float) -> Tensor:
        """What lies a part of the way, in values, between two stored tensors, stored."""

    @abstractmethod
    def counted(self, mean: Tensor) -> Tensor:
        """Which columns of the mean values `[inputs, columns]` coverage counts."""

    @abstractmethod
    def baseline(self, values: Tensor) -> Tensor:
        """What one network's values `[inputs, columns]` say of its own standard uncertainty, up to
        a factor `[inputs]`.
        """

    @abstractmethod
    def is_stored(self, stored: Tensor) -> bool:
        """Whether numbers from a file can be what this kind stores."""

    @abstractmethod
    def check_stored(self, stored: Tensor, tolerance: float) -> None:
        """Checks what is to be stored `[members, inputs, columns]`.

        Raises:
            InputError: It is not what this kind stores.
        """

    # for emulators

    @abstractmethod
    def line(self, stored: Tensor) -> Tensor:
        """What is stored on a scale without ends `[..., columns]`, on which residuals are added."""

    @abstractmethod
    def back(self, line: Tensor) -> Tensor:
        """What is stored of numbers on that scale: the inverse of `line`."""

    @abstractmethod
    def summary(self, mean: Tensor) -> Tensor:
        """What the members' mean values `[inputs, columns]` tell of an input `[inputs,
        features]`.
        """

    @abstractmethod
    def residuals(self, values: Tensor, mean: Tensor) -> Tensor:
        """Residuals of a member's values about the others' mean `[inputs, columns]`, in an order
        that all inputs share.
        """

    @abstractmethod
    def draws(self, centre: Tensor, residuals: Tensor) -> Tensor:
        """Draws about centres `[inputs, columns]` from residuals `[inputs, draws, columns]`.

        Returns:
            What is stored `[inputs, draws, columns]`; the mean of the values is the centre.
        """

    # in files

    def facts(self) -> dict[str, Any]:
        """What a file says of them, for JSON; `outputs_of` reads it."""
        return {"kind": self.kind}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> "Outputs":
        """The inverse of `facts`."""
        return cls()


def nearest(outputs: Outputs, table: Mapping[type[Outputs], T], what: str, where: str) -> T:
    """Returns what a table has for a kind of outputs, or for the nearest kind that it is one of.

    Args:
        outputs: The outputs.
        table: It is by kind.
        what: What the table holds, for the error.
        where: Where the table is, for the error.

    Raises:
        InputError: The table has nothing for it.
    """
    for kind in type(outputs).__mro__:
        if kind in table:
            return table[kind]
    raise InputError(f"outputs of the kind '{outputs.kind}' have no {what}: add them to {where}")


def outputs_of(facts: Any) -> Outputs:
    """The outputs that a file names.

    Raises:
        InputError: There is no such kind, or the facts are damaged.
    """
    if not isinstance(facts, Mapping) or not isinstance(facts.get("kind"), str):
        raise InputError(f"outputs got {facts!r}, needs the facts of a kind of outputs")
    if facts["kind"] not in Outputs._kinds:
        raise unknown("kind of outputs", facts["kind"], Outputs._kinds)
    return Outputs._kinds[facts["kind"]].of_facts(facts)
