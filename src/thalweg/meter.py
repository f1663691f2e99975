"""Cost: the only place that counts network evaluations, looks at the clock and measures memory."""

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cost:
    """What an exploration cost.

    Attributes:
        backward_examples: Network evaluations with a backward pass, in examples (one network, one input).
        forward_examples: Network evaluations without one (batch-norm refreshes, predictions), in examples.
        training_examples: `backward_examples` of one full training: the unit of `trainings`.
        seconds: Wall-clock time of the work, in seconds. Work that was read from a cache is charged with the time it took.
        peak_memory: Largest memory of the process while it worked, in bytes (GPU memory where the work is there).
    """

    backward_examples: int = 0
    forward_examples: int = 0
    training_examples: int = 0
    seconds: float = 0.0
    peak_memory: int = 0

    @property
    def trainings(self) -> float:
        """Cost in trainings: evaluations with a backward pass over those of one full training."""
        return self.backward_examples / self.training_examples if self.training_examples else 0.0

    @property
    def forward_trainings(self) -> float:
        """Forward-only evaluations over the evaluations of one full training (a forward is about a third of the work)."""
        return self.forward_examples / self.training_examples if self.training_examples else 0.0

    def as_dict(self) -> dict[str, float]:
        """All fields and `trainings`, for JSON."""
        return {**asdict(self), "trainings": self.trainings, "forward_trainings": self.forward_trainings}


class Meter:
    """Counts while work goes on. It counts from the shape of the outputs, so no method can under-report.

    Example:
        >>> meter = Meter(training_examples=100)
        >>> meter.backward(torch.zeros(5, 10, 3))  # five draws on a batch of ten
        >>> meter.cost.trainings
        0.5
    """

    def __init__(self, training_examples: int = 0) -> None:
        self._cost = Cost(training_examples=training_examples)
        self._backward = self._forward = 0  # counted since: a new Cost at every step of a small network would be felt
        self._since: float | None = None  # when the clock was started, where it runs

    @property
    def cost(self) -> Cost:
        """What was spent so far."""
        if self._backward or self._forward:
            self._add(self._backward, self._forward)
            self._backward = self._forward = 0
        return self._cost

    @cost.setter
    def cost(self, cost: Cost) -> None:
        self._cost, self._backward, self._forward = cost, 0, 0

    def backward(self, outputs: Tensor) -> None:
        """Counts the evaluations behind outputs `[..., classes]` that are followed by a backward pass."""
        self._backward += math.prod(outputs.shape[:-1])

    def forward(self, outputs: Tensor) -> None:
        """Counts the forward-only evaluations behind outputs `[..., classes]`."""
        self._forward += math.prod(outputs.shape[:-1])

    def charge(self, cost: Cost) -> None:
        """Adds work that was done (and metered) elsewhere, such as a cached anchor."""
        self._add(cost.backward_examples, cost.forward_examples, cost.seconds)
        self.cost = replace(self.cost, peak_memory=max(self.cost.peak_memory, cost.peak_memory))

    def apart(self, work: Callable[[], None]) -> Cost:
        """Does some work and says what it cost, without adding it here. A clock that runs stands still meanwhile."""
        running = self._since is not None
        if running:
            self._stop()
        outer, self.cost = self.cost, Cost(training_examples=self.cost.training_examples)
        try:
            work()
            return self.cost
        finally:
            self.cost = outer
            if running:
                self._start()

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Adds the wall-clock time inside, and notes the largest memory. Nested clocks count once."""
        if self._since is not None:
            yield
            return
        self._start()
        try:
            yield
        finally:
            self._stop()

    def _start(self) -> None:
        _forget_peak()
        self._since = time.perf_counter()

    def _stop(self) -> None:
        if self._since is not None:
            self._add(seconds=time.perf_counter() - self._since)
            self._since = None
        self.cost = replace(self.cost, peak_memory=max(self.cost.peak_memory, _peak()))

    def _add(self, backward_examples: int = 0, forward_examples: int = 0, seconds: float = 0.0) -> None:
        cost = self._cost
        self._cost = replace(
            cost,
            backward_examples=cost.backward_examples + backward_examples,
            forward_examples=cost.forward_examples + forward_examples,
            seconds=cost.seconds + seconds,
        )


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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
