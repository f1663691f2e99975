"""An architecture: all of a problem that its trained networks need to be evaluated, without its
training set.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from torch import nn

from thalweg.errors import InputError
from thalweg.meter import Meter
from thalweg.outputs import Classes, Outputs
from thalweg.seeds import seeded
from thalweg.training.building import built, ordered
from thalweg.training.calling import Call
from thalweg.training.problem import Problem
from thalweg.training.sources import Source, seed_of
from thalweg.trees import Inputs
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.point import Weights


@dataclass(frozen=True, eq=False)
class Architecture:
    """What makes networks, and what is known of them; networks are built as the problem builds
    them.

    Attributes:
        model: It makes a new network.
        example: Two inputs `[2, ...]`, by which lazy layers get their sizes.
        call: How the network is called.
        outputs: What the network's outputs mean.
        seed: The problem's seed.
        sources: What a retraining draws anew.
        device: Where networks are evaluated.
        channels_last: Whether convolutions' weights are in channels-last memory order.
        stored: Names of weights that are the same in all new networks.
        meter: It counts the work.
        behaviour: What a network was seen to do.

    Example:
        >>> import torch
        >>> from thalweg.training.batches import Batches
        >>> train = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: nn.Linear(3, 2), train)
        >>> one, other = problem.build("network"), Architecture.of(problem).build("network")
        >>> torch.equal(one.weight, other.weight)
        True
    """

    model: Callable[[], nn.Module]
    example: Inputs
    call: Call = Call()  # noqa: RUF009  frozen
    outputs: Outputs = Classes()  # noqa: RUF009  frozen
    seed: int = 0
    sources: tuple[Source, ...] = ("init", "order", "augmentation")
    device: str = "cpu"
    channels_last: bool = False
    stored: tuple[str, ...] = ()
    meter: Meter = field(default_factory=Meter)
    behaviour: Behaviour = Behaviour()  # noqa: RUF009  frozen

    @staticmethod
    def of(problem: Problem) -> "Architecture":
        """That of a problem, whose meter it shares."""
        return Architecture(
            problem.model,
            problem.example,
            problem.call,
            problem.outputs,
            problem.seed,
            problem.sources,
            problem.device,
            problem.channels_last,
            problem.stored,
            problem.meter,
            problem.behaviour,
        )

    @property
    def factory(self) -> Callable[[], nn.Module]:
        """It makes an unwrapped network, with the sizes of lazy layers."""
        return partial(built, self.model, "cpu", self.example, self.call)

    def build(self, *name: str | int) -> nn.Module:
        """A new network, initialised for a purpose."""
        with seeded(seed_of("init", self.sources, self.seed, name)):
            network = built(self.model, self.device, self.example, self.call)
        return ordered(network, self.device, channels_last=self.channels_last)

    def network(self, weights: Weights) -> nn.Module:
        """A new network with given weights."""
        network = self.build("network")
        weights.to(self.device).load_into(network)
        return network

    def refresh(self, network: nn.Module, points: Sequence[Weights]) -> list[Weights]:
        """There is no training set to estimate batch-norm statistics on.

        Raises:
            InputError: Always.
        """
        raise InputError(
            "these weights have no batch-norm statistics, and the training set is not here: give "
            "a trained network, whose statistics are valid"
        )
