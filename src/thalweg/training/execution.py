"""An execution: on what device, how many at once, and by what executor trainings are run."""

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import torch
from torch import nn

from thalweg.errors import InputError, unknown, whole
from thalweg.training.executor import Executor, InThisProcess, Processes

Compile = Literal["no", "default", "reduce-overhead"]


@dataclass(frozen=True)
class Execution:
    """How trainings are run. Make one, and hand it to every problem.

    None of this changes a result beyond rounding, except that dropout draws other masks in a stack.

    Example:
        >>> from thalweg import Batches, Problem, Recipe, train_anchors
        >>> stacked = Execution(stack=4)
        >>> train = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: nn.Linear(3, 2), train, Recipe(epochs=1), execution=stacked)
        >>> len(train_anchors(problem, 4)), problem.device
        (4, 'cpu')

    Attributes:
        device: The device that networks are trained and evaluated on, as torch names it.
        jobs: How many processes of one thread each train several anchors side by side; for CPUs,
            and for machines with several GPUs. An anchor that is asked for alone is trained in this
            process.
        stack: How many anchors train as one stacked module (`training.stack`); for GPUs, which
            small networks leave idle. With `jobs` as well, each process trains such stacks.
        compile: Whether anchors, and stacks of them, train compiled by `torch.compile`, and in
            which mode. It needs a compiler, and time at the start. All other evaluations are not
            compiled.
        channels_last: Whether the weights of convolutions are in channels-last memory order. None
            is channels last where the network has two-dimensional convolutions and gives the same
            outputs so.
        executor: What runs all trainings, single ones too: `thalweg.engines.Ray(...)` or
            `thalweg.engines.Slurm(...)` on many machines, or an executor of your own. None is this
            process, or `jobs` processes.

    Raises:
        InputError: A setting is out of range, there is no such device, or `jobs` is given beside an
            executor, which has its own number.
    """

    device: str = "cpu"
    jobs: int = 1
    stack: int = 1
    compile: Compile = "no"
    channels_last: bool | None = None
    executor: Executor | None = None

    def __post_init__(self) -> None:
        whole("execution.jobs", self.jobs, 1)
        whole("execution.stack", self.stack, 1)
        if self.compile not in get_args(Compile):
            raise unknown("execution.compile", self.compile, get_args(Compile))
        if self.executor is not None and not isinstance(self.executor, Executor):
            raise InputError(
                f"execution.executor got a {type(self.executor).__name__}, needs an instance of a "
                "class that inherits from thalweg.Executor"
            )
        if self.executor is not None and self.jobs > 1:
            raise InputError(
                f"execution.jobs got {self.jobs} beside an executor, which says itself how many "
                "trainings it runs at once: leave one of both out"
            )
        check_device(self.device)
        if self.executor is not None:
            self.executor.check(self.device)

    @property
    def alone(self) -> Executor:
        """What runs a single item: the executor that was given, or this process."""
        return InThisProcess() if self.executor is None else self.executor

    @property
    def together(self) -> Executor:
        """What runs several items: the executor that was given, `jobs` processes, or this one."""
        if self.executor is None and self.jobs > 1:
            return Processes(self.jobs, self.device)
        return self.alone

    def compiled(self, module: nn.Module) -> nn.Module:
        """The module, whose parameters it shares, compiled where that is asked for."""
        if self.compile == "no":
            return module
        mode = None if self.compile == "default" else self.compile
        return cast(nn.Module, torch.compile(module, mode=mode))


def check_device(device: Any, name: str = "execution.device") -> None:
    """Puts one number on a device.

    Args:
        device: The name of the device.
        name: How an error calls the setting.

    Raises:
        InputError: There is no such device.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(f"{name} got {device!r}: {str(error).splitlines()[0]}") from None
