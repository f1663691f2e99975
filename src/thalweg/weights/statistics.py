"""Uses of running statistics: torch's batch and instance norm, met where a network calls them,
whatever its layers are.
"""

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
    """Notes which running statistics a network uses, and which of them it moves, as long as it is
    entered.

    Attributes:
        used: Running means and variances that were given to a normalisation, in order, once a use.
        moved: Those of them that it moves towards the batch's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.used: list[Tensor] = []
        self.moved: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FORMS:
            given = _given(func, args, kwargs)
            found = [
                t for t in (given.get("running_mean"), given.get("running_var")) if t is not None
            ]
            self.used += found
            self.moved += found if _moves(given) else []
        return func(*args, **(kwargs or {}))


class Averaged(TorchFunctionMode):
    """Makes running statistics the averages over all their uses while it is entered, whatever their
    momentum.

    Statistics that their network does not move (in evaluation mode, or with a momentum of 0) stay
    as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._weight = 1
        self._counted: dict[
            int, int
        ] = {}  # the weights so far, by the identity of the running mean

    def weighted(self, weight: int) -> "Averaged":
        """Itself, for uses that count so much, such as a batch's number of examples."""
        self._weight = weight
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _FORMS:
            return func(*args, **(kwargs or {}))
        given = _given(func, args, kwargs)
        if not _moves(given):
            return func(**given)
        mean, variance = given["running_mean"], given["running_var"]
        if id(mean) not in self._counted:  # nothing times infinity is no number
            mean.zero_()
            variance.fill_(1)
        total = self._counted[id(mean)] = self._counted.get(id(mean), 0) + self._weight
        return func(**{**given, "momentum": self._weight / total})


def tracked(network: nn.Module) -> dict[str, Tensor]:
    """The running means of a network's norm layers, by the layers' names."""
    return {
        name: module.running_mean
        for name, module in network.named_modules()
        if isinstance(module, Norm)
        and module.track_running_stats
        and module.running_mean is not None
    }


def _given(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None
) -> dict[str, Any]:
    return {**dict(zip(_FORMS[func], args, strict=False)), **(kwargs or {})}


def _moves(given: dict[str, Any]) -> bool:
    """Whether a call moves its running statistics."""
    moves = (
        given.get("training", False) if "training" in given else given.get("use_input_stats", True)
    )
    return bool(moves) and given.get("running_mean") is not None and given.get("momentum", 0.1) != 0
