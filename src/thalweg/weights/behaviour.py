"""What a network was seen to do: which statistics move, what is random, what is recomputed.

Other files ask this instead of looking at the network again.
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
        refreshed: Modules whose running statistics are averages over the data, which can be
            estimated again at any weights.
        uneven: Some of them are not used in every training evaluation.
        follows: Spectral norms, whose buffers follow from the weights.
        unknown: Buffers, and parameters that need no gradient, that the network changes while it
            trains and that can't be estimated again at other weights. Integers, such as counts of
            steps, are not among them.
        random: Modules that draw random numbers in training mode only. The network itself is named
            "".
        always_random: Modules that draw random numbers in evaluation mode, too.
        switchable: With these modules alone in training mode the network drops units, and does
            nothing else differently than in evaluation mode.
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
        """Checks that the network can be evaluated at weights where nobody trained.

        Raises:
            InputError: It changes numbers while it trains that can't be estimated again there.
        """
        if self.unknown:
            raise InputError(
                f"the network changes {some(self.unknown)} while it trains, in a way that can't "
                "be repeated at weights between trained ones: use torch's batch or instance "
                "norm for running statistics, or a method all of whose members are trained "
                "(deep-ensemble, restarts, snapshot, fge)"
            )

    def dropping(self) -> tuple[str, ...]:
        """The modules that are put in training mode so that the network drops when it predicts.

        Raises:
            InputError: Nothing in it drops, or not without doing something else.
        """
        if not self.random and not self.always_random:
            raise InputError(
                "the network has no dropout layer and draws no random numbers in training, but "
                "needs something that drops: give a rate, and dropout is inserted"
            )
        if not self.switchable:
            raise InputError(
                f"the network draws random numbers in {some(self.random)}, which can't be put in "
                "training mode alone (its outputs or statistics change, or it does not ask its "
                "own mode): use nn.Dropout there, or give a rate, and dropout is inserted"
            )
        return self.random

    def check_recomputed(self, method: str) -> None:
        """Checks that the backward pass evaluates nothing again, as weights may have changed.

        Raises:
            InputError: Something is evaluated again.
        """
        if self.recomputed:
            raise InputError(
                f"{method} got a network that evaluates {some(self.recomputed)} again in the "
                "backward pass (torch.utils.checkpoint), where the weights are other ones: make "
                "it without checkpointing"
            )


@contextmanager
def eager() -> Iterator[None]:
    """Evaluates compiled parts of a network as they were written, so that they can be observed."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and importing it takes seconds
        yield
        return
    with EXCLUSIVE, torch.compiler.set_stance("force_eager"):  # all threads have one stance
        yield


def seedable(modules: Iterable[nn.Module]) -> AbstractContextManager[None]:
    """Turns cuDNN off for recurrent layers, whose dropout no seed reaches there."""
    recurrent = any(isinstance(module, nn.RNNBase) for module in modules)
    return torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext()


@contextmanager
def switched(network: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Puts some modules of a network, and not their submodules, in training mode."""
    modules = [network.get_submodule(name) for name in names]
    modes = [module.training for module in modules]
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        for module in modules:
            module.training = True  # not train(), which also switches its submodules
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
    quoted = [f"'{name}'" if name else "its own forward" for name in names[:3]]
    return ", ".join(quoted) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
