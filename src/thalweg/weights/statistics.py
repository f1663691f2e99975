"""Uses of running statistics: torch's batch and instance norm, seen where a network calls them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Norm: Any = nn.modules.batchnorm._NormBase
_AFTER = ("momentum", "eps", "cudnn_enabled")
_LAYER = ("input", "running_mean", "running_var", "weight", "bias")
_CALL = ("input", "weight", "bias", "running_mean", "running_var")
_FORMS: dict[Callable[..., Any], tuple[str, ...]] = {
    functional.batch_norm: (*_LAYER, "training", *_AFTER),
    functional.instance_norm: (*_LAYER, "use_input_stats", *_AFTER),
    torch.batch_norm: (*_CALL, "training", *_AFTER),
    torch.instance_norm: (*_CALL, "use_input_stats", *_AFTER),
}


class Seen(TorchFunctionMode):
    """Notes, while it is entered, which running statistics a network uses and which it moves.

    Attributes:
        used: Running means and variances that were given to a normalisation, in order, one entry
            per use.
        moved: Those of them that the normalisation moves towards the batch's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.used: list[Tensor] = []
        self.moved: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FORMS:
            arguments = _arguments(func, args, kwargs)
            statistics = [
                t
                for t in (arguments.get("running_mean"), arguments.get("running_var"))
                if t is not None
            ]
            self.used += statistics
            self.moved += statistics if _moves(arguments) else []
        return func(*args, **(kwargs or {}))


class Averaged(TorchFunctionMode):
    """Makes running statistics the averages over all their uses, whatever their momentum.

    Statistics that their network does not move (in evaluation mode, or with a momentum of 0) stay
    as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._weight = 1
        self._counted: dict[int, int] = {}  # the weight so far, by the running mean's identity

    def weighted(self, weight: int) -> "Averaged":
        """Itself, for uses of a given weight, such as a batch's number of examples."""
        self._weight = weight
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _FORMS:
            return func(*args, **(kwargs or {}))
        arguments = _arguments(func, args, kwargs)
        if not _moves(arguments):
            return func(**arguments)
        mean, variance = arguments["running_mean"], arguments["running_var"]
        if id(mean) not in self._counted:  # zero times infinity would be NaN
            mean.zero_()
            variance.fill_(1)
        total = self._counted[id(mean)] = self._counted.get(id(mean), 0) + self._weight
        return func(**{**arguments, "momentum": self._weight / total})


def tracked(network: nn.Module) -> dict[str, Tensor]:
    """The running means of a network's norm layers, by the layers' names."""
    return {
        name: module.running_mean
        for name, module in network.named_modules()
        if isinstance(module, Norm)
        and module.track_running_stats
        and module.running_mean is not None
    }


def _arguments(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None
) -> dict[str, Any]:
    return {**dict(zip(_FORMS[func], args, strict=False)), **(kwargs or {})}


def _moves(arguments: dict[str, Any]) -> bool:
    """Whether a call moves its running statistics."""
    moves = arguments.get("training", arguments.get("use_input_stats", True))
    return (
        bool(moves)
        and arguments.get("running_mean") is not None
        and arguments.get("momentum", 0.1) != 0
    )
