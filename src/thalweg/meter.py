"""Cost: the only module that counts network evaluations, reads clocks and measures memory."""

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
    """The cost of some work.

    Attributes:
        backward_examples: Network evaluations with a backward pass, in examples (one network on one
            input). Evaluations of narrow networks are weighted by their number of operations.
        forward_examples: Network evaluations without a backward pass (batch-norm refreshes,
            features, predictions), in examples.
        training_examples: The `backward_examples` of one full training, which is the unit of
            `trainings` and `total`; 0 where no training has shown it yet.
        seconds: The wall-clock time of the work, in seconds. Work that was read from a cache is
            charged with the time that it took.
        peak_memory: The largest memory of the process during the work, in bytes; GPU memory if the
            work was done on a GPU.
        emulator_seconds: The part of `seconds` that emulators took, which evaluate no network.
        given: Full trainings that were done elsewhere, in trainings: those of networks that the
            user gave.

    Example:
        >>> cost = Cost(backward_examples=200, forward_examples=60, training_examples=100)
        >>> cost.trainings, cost.forward_trainings, round(cost.total, 6)
        (2.0, 0.6, 2.2)
    """

    backward_examples: float = 0
    forward_examples: float = 0
    training_examples: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    emulator_seconds: float = 0.0
    given: float = 0.0

    @property
    def trainings(self) -> float:
        """The training cost: evaluations with a backward pass over those of one full training, and
        the trainings that were given. NaN where there are such evaluations and no training was
        seen, so that nobody knows how many that is.
        """
        return self.given + self._in_trainings(self.backward_examples)

    @property
    def forward_trainings(self) -> float:
        """Forward-only evaluations over the evaluations of one full training; NaN as `trainings`.

        One of them is about a third of the work of an evaluation with a backward pass.
        """
        return self._in_trainings(self.forward_examples)

    def _in_trainings(self, examples: float) -> float:
        if not examples:
            return 0.0
        return examples / self.training_examples if self.training_examples else math.nan

    @property
    def total(self) -> float:
        """The total cost in trainings, in which a forward-only evaluation counts as a third."""
        return total_cost(self.trainings, self.forward_trainings)

    def as_dict(self) -> dict[str, float]:
        """Returns all fields, `trainings`, `forward_trainings` and `total`, for JSON; `given` only
        where there are such trainings.
        """
        return {
            **{name: value for name, value in asdict(self).items() if name != "given" or value},
            "trainings": self.trainings,
            "forward_trainings": self.forward_trainings,
            "total": self.total,
        }

    def of_network(self, ratio: float) -> "Cost":
        """Returns the same work in evaluations of another network.

        Args:
            ratio: The work of one evaluation of this network over one of the other network.
        """
        return replace(
            self,
            backward_examples=self.backward_examples * ratio,
            forward_examples=self.forward_examples * ratio,
        )

    def plus(self, other: "Cost") -> "Cost":
        """Returns the sum of two costs, in the unit of this one where it has one; of memory, the
        larger one.
        """
        return Cost(
            self.backward_examples + other.backward_examples,
            self.forward_examples + other.forward_examples,
            self.training_examples or other.training_examples,
            self.seconds + other.seconds,
            max(self.peak_memory, other.peak_memory),
            self.emulator_seconds + other.emulator_seconds,
            self.given + other.given,
        )


def total_cost(trainings: T, forward_trainings: T) -> T:
    """Returns the total cost in trainings.

    Args:
        trainings: Evaluations with a backward pass over those of one full training.
        forward_trainings: Forward-only evaluations over the evaluations of one full training.
    """
    return trainings + forward_trainings / 3


@dataclass
class Tally:
    """The cost of the work inside `Meter.measured`.

    Attributes:
        work: The cost of the work that was done inside.
        kept: The costs of earlier work whose result was kept and used inside, by name, so that each
            counts once. Work that was done inside and kept is listed here at no cost.
    """

    work: Cost
    kept: dict[Hashable, Cost] = field(default_factory=dict)

    @property
    def cost(self) -> Cost:
        """The cost of everything that the result depends on."""
        total = self.work
        for cost in self.kept.values():
            total = total.plus(cost)
        return total

    def add(self, other: "Tally") -> None:
        """Adds what another tally counted, except kept work that counts here already."""
        self.work = self.work.plus(other.work)
        self.kept = other.kept | self.kept


class Meter:
    """Counts the cost of work while it goes on.

    Evaluations are counted from the shape of the outputs, so no method can under-report.

    Attributes:
        training_examples: The unit of `Cost.trainings`, in examples; 0 until a problem sets it, or
            the first training of a user's own training function shows it.

    Example:
        >>> meter = Meter(training_examples=100)
        >>> meter.backward(torch.zeros(5, 10, 3))  # five draws on a batch of ten
        >>> meter.cost.trainings
        0.5
    """

    def __init__(self, training_examples: int = 0) -> None:
        self.training_examples = training_examples
        self._tallies = [Tally(Cost())]  # nested; work is counted in the last, the innermost
        # plain counters, because a new Cost at every step would slow a small network down
        self._backward = self._forward = 0
        self._since: float | None = None  # when the clock was started; None if it is stopped

    @property
    def cost(self) -> Cost:
        """The cost of all work so far, in which each piece of kept work counts once."""
        self._count()
        joined = Tally(Cost(training_examples=self.training_examples))
        for tally in self._tallies:
            joined.add(tally)
        return joined.cost

    @property
    def backward_yet(self) -> float:
        """Evaluations with a backward pass so far, for a display of progress: another thread may
        ask, and what is being kept may be missing for a moment.
        """
        return self._backward + sum(tally.work.backward_examples for tally in (*self._tallies,))

    def backward(self, outputs: Tensor) -> None:
        """Counts the evaluations that gave outputs `[..., classes]` and a backward pass follows."""
        self._backward += math.prod(outputs.shape[:-1])

    def forward(self, outputs: Tensor) -> None:
        """Counts the forward-only evaluations that gave outputs `[..., classes]`."""
        self._forward += math.prod(outputs.shape[:-1])

    def count(self, backward: int, forward: int) -> None:
        """Counts evaluations that somebody watched, in examples: with and without a backward
        pass.
        """
        self._backward += backward
        self._forward += forward

    def charge(self, cost: Cost, name: Hashable = None, *, done: bool = True) -> None:
        """Adds the cost of work that was measured elsewhere.

        Args:
            cost: The cost of the work.
            name: The name of the result that was kept, such as a trained network; None if nothing
                was kept.
            done: Whether the work was done just now. Otherwise its kept result is used again, and
                its cost is added only if this name has not been charged yet. Work without a name is
                always added.
        """
        tally = self._tallies[-1]
        self.training_examples = self.training_examples or cost.training_examples
        if done or name is None:
            tally.work = tally.work.plus(cost)
        if name is not None:
            tally.kept.setdefault(name, Cost() if done else cost)

    @contextmanager
    def measured(self) -> Iterator[Tally]:
        """Measures the work inside a block; the tally holds its cost when the block has ended.

        The work counts in this meter, too. Kept work counts in every block that uses it.

        Example:
            >>> meter, network = Meter(training_examples=100), Cost(backward_examples=100)
            >>> meter.charge(network, "network")
            >>> with meter.measured() as tally:
            ...     meter.charge(network, "network", done=False)
            >>> tally.cost.trainings, meter.cost.trainings
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
        """Does some work and returns its cost, which is added to this meter only if it fails.

        A running clock is stopped meanwhile.
        """
        running = self._since is not None
        self._stop()
        tally = self._open()
        try:
            work()
        except BaseException:
            self._close()
            self._tallies[-1].add(tally)  # nobody will keep and charge what was done until then
            raise
        else:
            self._close()
        finally:
            if running:
                self._start()
        return tally.cost

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Adds the wall-clock time of a block, and records the largest memory.

        Time inside nested clocks counts once.
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
        """Adds the time of an emulator's work to both `seconds` and `emulator_seconds`."""
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
        tally = self._tallies.pop()
        tally.work = replace(tally.work, training_examples=self.training_examples)

    def _start(self) -> None:
        _forget_peak()
        self._since = time.perf_counter()

    def _stop(self) -> None:
        if self._since is not None:
            self.charge(Cost(seconds=time.perf_counter() - self._since, peak_memory=_peak()))
            self._since = None

    def _count(self) -> None:
        """Moves the counters into the innermost tally."""
        if self._backward or self._forward:
            self.charge(Cost(self._backward, self._forward))
            self._backward = self._forward = 0


def pause(seconds: float) -> None:
    """Waits: before something that did not succeed is tried again."""
    time.sleep(seconds)


def now() -> float:
    """Returns the seconds since the epoch, for records and for estimates of the remaining time."""
    return time.time()


def highest_memory() -> int:
    """Returns the largest main memory of this process so far, in bytes, whatever clocks ran."""
    return max(*_highest, _resident())


_highest = [0]  # the largest before a clock began, in bytes


def _forget_peak() -> None:
    _highest[0] = highest_memory()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux only; elsewhere the peak covers the process's whole life
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    return _resident()


def _resident() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
