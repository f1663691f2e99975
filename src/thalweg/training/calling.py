"""How networks are called: whatever a network of the user's reads and gives, it is made a function
of one argument, from inputs to logits.

Hooks do it, so that parameters keep their names, and deep copies, `torch.func` and compilers know
nothing of it: one before the network's forward spreads a tuple or a dictionary into arguments, one
after it picks the logits.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, fx, nn

from thalweg.errors import InputError
from thalweg.outputs import Classes, Outputs
from thalweg.trees import Form, check_form

Pick = str | int | Callable[[Any], Tensor] | None
LOGITS = "logits"  # what they are called where nobody says


class Derived(partial[nn.Module]):
    """A factory whose networks are made of a problem's own ones, which are functions of one
    argument already.
    """


@dataclass(frozen=True)
class Call:
    """How a network is called.

    Attributes:
        form: What parts its inputs have.
        pick: What of its outputs are the logits, as in `Problem`.
        picks: Its outputs are seen to be something else than one tensor.
    """

    form: Form = None
    pick: Pick = None
    picks: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the network is a function from one tensor to one tensor as it is."""
        return self.form is None and self.pick is None and not self.picks

    def prepare(self, network: nn.Module) -> None:
        """Makes a network a function of one argument, from inputs to logits."""
        if self.form is not None:
            spread = _Spread(self.form, whole=_takes_whole(network, self.form))
            network.register_forward_pre_hook(spread, with_kwargs=True, prepend=True)
        if not self.is_plain:
            network.register_forward_hook(_Picked(self.pick))


def as_made(network: nn.Module) -> nn.Module:
    """The same network, which is called again as its author meant it."""
    for hooks in (network._forward_pre_hooks, network._forward_hooks):
        for number in [n for n, hook in hooks.items() if isinstance(hook, _Spread | _Picked)]:
            del hooks[number]
    return network


def checked_pick(outputs: Any, pick: Any) -> tuple[Any, Pick]:
    """Returns what the user says of a network's outputs, as what they mean and what of them are the
    logits.

    Args:
        outputs: A kind of outputs, or what to pick, which are then logits of classes.
        pick: What to pick.

    Raises:
        InputError: Both say what to pick, or it is neither a name, nor a number, nor a function.
    """
    says = isinstance(outputs, str | int) or (
        callable(outputs) and not isinstance(outputs, type | Outputs)
    )
    if says and pick is not None:
        raise InputError(
            "outputs and pick both say what of the network's outputs are the logits: leave one of "
            "them out"
        )
    outputs, pick = (Classes(), outputs) if says else (outputs, pick)
    if pick is not None and (
        isinstance(pick, bool) or not (isinstance(pick, str | int) or callable(pick))
    ):
        raise InputError(
            f"pick got a {type(pick).__name__}, needs a name, a number or a function of the "
            "network's outputs"
        )
    return outputs, pick


def picked(outputs: Any, pick: Pick) -> Any:
    """The logits among a network's outputs. A name and a number leave a single tensor as it is.

    Raises:
        InputError: They are not there; the line lists what is.

    Example:
        >>> import torch
        >>> x = torch.zeros(4, 3)
        >>> picked({"logits": x, "states": None}, None) is picked((None, x), 1) is x
        True
    """
    if callable(pick):
        return pick(outputs)
    if isinstance(outputs, Tensor | fx.Proxy):  # a proxy while the network is traced
        return outputs
    if isinstance(pick, int) and isinstance(outputs, tuple | list):
        if -len(outputs) <= pick < len(outputs):
            return outputs[pick]
    else:
        key = LOGITS if pick is None else pick
        if isinstance(outputs, Mapping) and key in outputs:
            return outputs[key]
        if isinstance(key, str) and hasattr(outputs, key):
            return getattr(outputs, key)
    raise not_picked(outputs, pick)


def not_picked(outputs: Any, pick: Pick = None, where: str = "") -> InputError:
    """The error of outputs that are no tensor, which lists what they have."""
    several = isinstance(outputs, tuple | list) and not hasattr(outputs, "_fields")
    names = list(map(str, outputs)) if isinstance(outputs, Mapping) else []
    if several:
        names = [_told(part) for part in outputs]
    elif not names:
        names = [name for name in getattr(outputs, "_fields", None) or _fields(outputs)]
    asked = "" if pick is None else f" without {pick!r}"
    example = "0" if several else repr(names[0] if names else "...")
    return InputError(
        f"the network's output is {type(outputs).__name__}{where}{asked}, with "
        f"{', '.join(names) or 'nothing'}: say which of it is the tensor of logits, "
        f"Problem(pick={example}), or give a function that returns it"
    )


class _Spread:
    """Before a network's forward: its one argument as several."""

    def __init__(self, form: Form, *, whole: bool) -> None:
        self.form, self.whole = form, whole

    def __call__(
        self, _: nn.Module, given: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if len(given) != 1 or named:
            return given, named  # somebody calls it as its author meant it
        (x,) = given
        if not isinstance(x, fx.Proxy):
            check_form(x, self.form, "the network")
        if self.whole:
            return given, named
        if isinstance(self.form, tuple):
            return (), {key: x[key] for key in self.form}
        return tuple(x[k] for k in range(self.form or 0)), {}


class _Picked:
    """After a network's forward: the logits of its outputs."""

    def __init__(self, pick: Pick) -> None:
        self.pick = pick

    def __call__(self, _: nn.Module, given: tuple[Any, ...], outputs: Any) -> Any:
        logits = picked(outputs, self.pick)
        if logits is None:  # to torch, this is a hook that changes nothing
            raise not_picked(outputs, self.pick)
        return logits


def _takes_whole(network: nn.Module, form: Form) -> bool:
    """Whether a network's forward reads a tuple or dictionary as one argument, and can't be called
    with its parts.
    """
    try:
        signature = inspect.signature(network.forward)
    except (TypeError, ValueError):  # a callable without one
        return False
    if isinstance(form, tuple):
        known = bool(set(form) & set(signature.parameters))
        apart = known or _binds(signature, (), dict.fromkeys(form))
    else:
        apart = _binds(signature, (None,) * (form or 0), {})
    return not apart and _binds(signature, (None,), {})


def _binds(signature: inspect.Signature, given: Sequence[Any], named: Mapping[str, Any]) -> bool:
    try:
        signature.bind(*given, **named)
    except TypeError:
        return False
    return True


def _fields(outputs: Any) -> list[str]:
    return [name for name in getattr(outputs, "__dict__", {}) if not name.startswith("_")]


def _told(part: Any) -> str:
    return str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__
