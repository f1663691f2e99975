"""What a network was seen to do: which statistics move, what is random, what is recomputed.

Others ask this, and look no more.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from thalweg.errors import InputError
from thalweg.seeds import EXCLUSIVE
from thalweg.weights.spectral import Spectral


@dataclass(frozen=True)
class Behaviour:
    """What a network was seen to do. Modules and tensors are given by their names in it.

    Attributes:
        refreshed: Modules whose running statistics are averages over the data, which can be taken
            again at any weights.
        uneven: Some of them are not used in every training evaluation.
        follows: Spectral norms, whose buffers follow from the weights.
        unknown: Numbers that the network changes while it trains, and that nobody can take again at
            other weights: buffers and parameters that need no gradient. Whole numbers, such as
            counts of steps, are not among them.
        random: Modules that draw random numbers in training mode only. The network itself is named
            "".
        always_random: Modules that draw some in evaluation mode, too.
        switchable: The network drops in evaluation mode where these modules alone are in training
            mode, and does nothing else.
        recomputed: Modules that are evaluated again in the backward pass
            (`torch.utils.checkpoint`).
    """

    refreshed: tuple[str, ...] = ()
    uneven: bool = False
    follows: tuple[Spectral, ...] = ()
    unknown: tuple[str, ...] = ()
    random: tuple[str, ...] = ()
    always_random: tuple[str, ...] = ()
    switchable: bool = True
    recomputed: tuple[str, ...] = ()

    def check_new_points(self) -> None:
        """Checks that the network can be evaluated at weights that nobody trained.

        Raises:
            InputError: It changes numbers while it trains that can't be taken again there.
        """
        if self.unknown:
            raise InputError(
                f"the network changes {some(self.unknown)} while it trains, in a way that can't "
                "be repeated at weights between trained ones: use torch's batch or instance "
                "norm for running statistics, or a method all of whose members are trained "
                "(deep-ensemble, restarts, snapshot, fge)"
            )

    def dropping(self) -> tuple[str, ...]:
        """The modules to be put in training mode for a network that drops when it predicts.

        Raises:
            InputError: Nothing in it drops, or not without doing something else.
        """
        if not self.random and not self.always_random:
            raise InputError(
                "the network got no dropout layer, and draws no random numbers in training, "
                "needs something that it drops: give a rate, and dropout is inserted"
            )
        if not self.switchable:
            raise InputError(
                f"the network draws random numbers in {some(self.random)}, which can't be put in "
                "training mode alone (its outputs or statistics change, or it does not ask its "
                "own mode): use nn.Dropout there, or give a rate, and dropout is inserted"
            )
        return self.random

    def check_recomputed(self, what: str) -> None:
        """Checks that nothing is evaluated again in the backward pass, when other weights may be in
        place.

        Raises:
            InputError: Something is.
        """
        if self.recomputed:
            raise InputError(
                f"{what} got a network that evaluates {some(self.recomputed)} again in the "
                "backward pass (torch.utils.checkpoint), where the weights are other ones: make "
                "it without checkpointing"
            )


@contextmanager
def eager() -> Iterator[None]:
    """Compiled parts of a network are evaluated as they were written: what is compiled shows nobody
    what it does.
    """
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and importing it takes seconds
        yield
        return
    with EXCLUSIVE, torch.compiler.set_stance("force_eager"):  # all threads have one stance
        yield


def seedable(modules: Iterable[nn.Module]) -> AbstractContextManager[None]:
    """Recurrent layers are torch's own inside: those of cuDNN drop by a random state of their own,
    which no seed reaches.
    """
    recurrent = any(isinstance(module, nn.RNNBase) for module in modules)
    return torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext()


@contextmanager
def switched(network: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """A network of which some modules, and not what is in them, are in training mode."""
    modules = [network.get_submodule(name) for name in names]
    modes = [module.training for module in modules]
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        for module in modules:
            module.training = True  # not train(), which also switches what is in it
        # torch's fast path of transformers skips dropout where the block that holds it is in
        # evaluation mode
        torch.backends.mha.set_fastpath_enabled(False)
        with seedable(modules):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def some(names: Sequence[str]) -> str:
    """Names for an error, three at most."""
    told = [f"'{name}'" if name else "its own forward" for name in names[:3]]
    return ", ".join(told) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
