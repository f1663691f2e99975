"""A network as a graph of operations, by torch.fx.

Networks whose flow depends on their inputs have none.
"""

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from thalweg.errors import InputError
from thalweg.weights.copying import copied


@dataclass(frozen=True, eq=False)
class Traced:
    """A network's graph.

    Attributes:
        owner: The module whose child 0 is a copy of the network; it has the modules that the graph
            names.
        graph: What the network does with its inputs; its other arguments have their defaults.
    """

    owner: nn.Module
    graph: fx.Graph


def traced(network: nn.Module, *, training: bool) -> Traced:
    """The graph of a network in one of its modes.

    Raises:
        InputError: The network can't be traced.
    """
    owner = nn.Sequential(copied(network)).train(training)
    try:
        with _len_of_proxies(owner):
            return Traced(owner, fx.Tracer().trace(owner))
    except Exception as error:  # a user's network may raise anything
        message = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
        raise InputError(
            f"{type(network).__name__} can't be traced by torch.fx ({message}): alignment needs a "
            "network's graph, and so a forward that does not branch on its inputs"
        ) from error


@contextmanager
def _len_of_proxies(owner: nn.Module) -> Iterator[None]:
    """Lets the code of modules call `len` on what is traced, as `torch.fx.wrap` would."""
    code = {id(g): g for m in owner.modules() if (g := _globals(m)) is not None and "len" not in g}
    for names in code.values():
        names["len"] = _length
    try:
        yield
    finally:
        for names in code.values():
            del names["len"]


def _globals(module: nn.Module) -> dict[str, Any] | None:
    """The global names that a module's `forward` sees, of modules that are not torch's."""
    own = not type(module).__module__.startswith("torch.")
    return getattr(type(module).forward, "__globals__", None) if own else None


def _length(given: Any) -> Any:
    if isinstance(given, fx.Proxy):
        return given.tracer.create_proxy("call_function", builtins.len, (given,), {})
    return builtins.len(given)
