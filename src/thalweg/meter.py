"""Cost: the only place that counts network evaluations, looks at the clock and measures memory."""

import math
import resource
import sys
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T", float, Any)


@dataclass(frozen=True)
class Cost:
    """What some work cost.

    Attributes:
        backward_examples: Network evaluations with a backward pass, in examples (one network, one
            input); those of narrow networks are as many as their operations amount to.
        forward_examples: Network evaluations without one (batch-norm refreshes, features,
            predictions), in examples.
        training_examples: `backward_examples` of one full training: the unit of `trainings` and
            `total`.
        seconds: Wall-clock time of the work, in seconds. Work that was read from a cache is charged
            with the time it took.
        peak_memory: Largest memory of the process while it worked, in bytes (GPU memory where the
            work is there).
        emulator_seconds: Of the seconds, those of emulators, which evaluate no network.
    """

    backward_examples: float = 0
    forward_examples: float = 0
    training_examples: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    emulator_seconds: float = 0.0

    @property
    def trainings(self) -> float:
        """Training cost: evaluations with a backward pass over those of one full training."""
        return self.backward_examples / self.training_examples if self.training_examples else 0.0

    @property
    def forward_trainings(self) -> float:
        """Forward-only evaluations over the evaluations of one full training (a forward is about a
        third of the work).
        """
        return self.forward_examples / self.training_examples if self.training_examples else 0.0

    @property
    def total(self) -> float:
        """Total cost in trainings: all evaluations, those without a backward pass counted as a
        third.
        """
        return total_cost(self.trainings, self.forward_trainings)

    def as_dict(self) -> dict[str, float]:
        """All fields, `trainings`, `forward_trainings` and `total`, for JSON."""
        return {
            **asdict(self),
            "trainings": self.trainings,
            "forward_trainings": self.forward_trainings,
            "total": self.total,
        }

    def of_network(self, ratio: float) -> "Cost":
        """The same work in evaluations of another network, one of this network being `ratio` of
        them.
        """
        return replace(
            self,
            backward_examples=self.backward_examples * ratio,
            forward_examples=self.forward_examples * ratio,
        )

    def plus(self, other: "Cost") -> "Cost":
        """The sum, in this one's unit; the larger one of both memories."""
        return Cost(
            self.backward_examples + other.backward_examples,
            self.forward_examples + other.forward_examples,
            self.training_examples,
            self.seconds + other.seconds,
            max(self.peak_memory, other.peak_memory),
            self.emulator_seconds + other.emulator_seconds,
        )


def total_cost(trainings: T, forward_trainings: T) -> T:
    """Total cost of so many trainings and forward-only evaluations, each over the evaluations of
    one full training.
    """
    return trainings + forward_trainings / 3


@dataclass
class Tally:
    """What the work inside of `Meter.measured` costs.

    Attributes:
        work: What was done inside.
        kept: What was done before, kept, and used inside: by name, so that it counts once. What was
            done inside and kept is here without a cost.
    """

    work: Cost
    kept: dict[Hashable, Cost] = field(default_factory=dict)

    @property
    def cost(self) -> Cost:
        """All that the result rests on."""
        total = self.work
        for cost in self.kept.values():
            total = total.plus(cost)
        return total

    def add(self, other: "Tally") -> None:
        """Adds what another one counted; what counts here as kept already does not again."""
        self.work = self.work.plus(other.work)
        self.kept = other.kept | self.kept


class Meter:
    """Counts while work goes on.

    It counts from the shape of the outputs, so no method can under-report.

    Attributes:
        training_examples: The unit of `Cost.trainings`; 0 until a problem sets it.

    Example:
        >>> meter = Meter(training_examples=100)
        >>> meter.backward(torch.zeros(5, 10, 3))  # five draws on a batch of ten
        >>> meter.cost.trainings
        0.5
    """

    def __init__(self, training_examples: int = 0) -> None:
        self.training_examples = training_examples
        self._tallies = [Tally(Cost())]  # the innermost, which is counted in, is last
        self._backward = self._forward = (
            0  # counted since: a new Cost at every step of a small network would be felt
        )
        self._since: float | None = None  # when the clock was started, where it runs

    @property
    def cost(self) -> Cost:
        """What all was spent so far, kept work once."""
        self._count()
        joined = Tally(Cost(training_examples=self.training_examples))
        for tally in self._tallies:
            joined.add(tally)
        return joined.cost

    def backward(self, outputs: Tensor) -> None:
        """Counts the evaluations behind outputs `[..., classes]` that are followed by a backward
        pass.
        """
        self._backward += math.prod(outputs.shape[:-1])

    def forward(self, outputs: Tensor) -> None:
        """Counts the forward-only evaluations behind outputs `[..., classes]`."""
        self._forward += math.prod(outputs.shape[:-1])

    def charge(self, cost: Cost, name: Hashable = None, *, done: bool = True) -> None:
        """Adds work that was metered elsewhere.

        Args:
            cost: Of the work.
            name: Of what was kept of it, such as a trained network; None where nothing was.
            done: It was done just now. Otherwise it was kept, and counts only where the name does
                not count yet; what has no name always counts.
        """
        tally = self._tallies[-1]
        if done or name is None:
            tally.work = tally.work.plus(cost)
        if name is not None:
            tally.kept.setdefault(name, Cost() if done else cost)

    @contextmanager
    def measured(self) -> Iterator[Tally]:
        """Says, at its end, what the work inside costs, which is counted here, too.

        Kept work counts in each result that uses it.

        Example:
            >>> meter, network = Meter(training_examples=100), Cost(backward_examples=100)
            >>> meter.charge(network, "network")
            >>> with meter.measured() as own:
            ...     meter.charge(network, "network", done=False)
            >>> own.cost.trainings, meter.cost.trainings
            (1.0, 1.0)
        """
        running = self._since is not None
        self._stop()
        tally = self._open()
        if running:
            self._start()
        try:
            yield tally
        finally:
            self._stop()
            self._close()
            self._tallies[-1].add(tally)
            if running:
                self._start()

    def apart(self, work: Callable[[], None]) -> Cost:
        """Does some work and says what it cost, without adding it here, unless it fails.

        A clock that runs stands still.
        """
        running = self._since is not None
        self._stop()
        tally = self._open()
        try:
            work()
        except BaseException:
            self._close()
            self._tallies[-1].add(tally)  # nobody will keep, and charge, what was done until then
            raise
        else:
            self._close()
        finally:
            if running:
                self._start()
        return tally.cost

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Adds the wall-clock time inside, and notes the largest memory.

        Nested clocks count once.
        """
        if self._since is not None:
            yield
            return
        self._start()
        try:
            yield
        finally:
            self._stop()

    @contextmanager
    def emulating(self) -> Iterator[None]:
        """A clock of an emulator's work: its time counts in `seconds` and in `emulator_seconds`."""
        with self.clock():
            begun = time.perf_counter()
            try:
                yield
            finally:
                self.charge(Cost(emulator_seconds=time.perf_counter() - begun))

    def _open(self) -> Tally:
        self._count()
        self._tallies.append(Tally(Cost(training_examples=self.training_examples)))
        return self._tallies[-1]

    def _close(self) -> None:
        self._count()
        self._tallies.pop()

    def _start(self) -> None:
        _forget_peak()
        self._since = time.perf_counter()

    def _stop(self) -> None:
        if self._since is not None:
            self.charge(Cost(seconds=time.perf_counter() - self._since, peak_memory=_peak()))
            self._since = None

    def _count(self) -> None:
        """Brings what was counted since into the innermost tally."""
        if self._backward or self._forward:
            self.charge(Cost(self._backward, self._forward))
            self._backward = self._forward = 0


def now() -> float:
    """Seconds since the epoch, for records and remaining time."""
    return time.time()


def _forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux only; elsewhere the peak is that of the process's whole life
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
