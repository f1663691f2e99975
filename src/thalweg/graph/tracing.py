"""A network as a graph of operations, by torch.fx.

Networks whose flow depends on their inputs have none.
"""

from dataclasses import dataclass

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
        return Traced(owner, fx.Tracer().trace(owner))
    except Exception as error:  # a user's network may raise anything
        message = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
        raise InputError(
            f"{type(network).__name__} can't be traced by torch.fx ({message}): alignment and "
            "packed-ensemble need a network's graph, and so a forward that does not branch on "
            "its inputs"
        ) from error
