"""Subspaces: the weights spanned by vertices; a line, curve, chain, simplex or complex is a choice of coefficients.

No second version of any layer is written: `torch.func.functional_call` evaluates any module at mixed weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.errors import InputError
from thalweg.seeds import generator
from thalweg.weights.coefficients import Coefficients, Simplex, from_settings, to_settings
from thalweg.weights.distribution import WeightDistribution, pack, unpack
from thalweg.weights.point import Weights, mix, sum_products


@dataclass(frozen=True)
class Subspace(WeightDistribution):
    """A law on the points between vertices.

    Attributes:
        vertices: The points that span it.
        coefficients: The law of their weights.
        layerwise: Each layer (the parameters of one submodule) has coefficients of its own.
    """

    vertices: tuple[Weights, ...]
    coefficients: Coefficients = Simplex()  # noqa: RUF009  frozen
    layerwise: bool = False

    def __post_init__(self) -> None:
        if not self.vertices:
            raise InputError("Subspace got 0 vertices, needs 1 or more")

    @property
    def size(self) -> None:
        return None

    def draw(self, n: int, *, seed: int) -> Iterator[Weights]:
        """Draws points. Their batch-norm statistics are not valid (`buffers` is None)."""
        random = generator(seed, "subspace")
        for _ in range(n):
            if self.layerwise:
                yield self._layerwise(random)
            else:
                yield self.at(self.coefficients.sample(1, len(self.vertices), random)[0])

    def at(self, coefficients: Tensor) -> Weights:
        """The point with given coefficients `[vertices]`."""
        return mix(self.vertices, coefficients)

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return pack(self.vertices), {"coefficients": to_settings(self.coefficients), "layerwise": self.layerwise}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "Subspace":
        return cls(unpack(tensors), from_settings(settings["coefficients"]), settings["layerwise"])

    def _layerwise(self, random: torch.Generator) -> Weights:
        layer_of, layers = layers_of(self.vertices[0].params)
        rows = self.coefficients.sample(layers, len(self.vertices), random).tolist()
        first = self.vertices[0]
        params = {name: sum_products(rows[layer_of[name]], [v.params[name] for v in self.vertices]) for name in first.params}
        return Weights(params, stale=first.stale if first.buffers is None else first.buffers)


class SubspaceModule(nn.Module):
    """A network whose weights are drawn from a subspace at every evaluation. Its parameters are the vertices.

    Outputs are `[batch, classes]` with one draw and `[draws, batch, classes]` with more; each draw is one network evaluation.
    Parameters that the network has frozen stay those of the first vertex.

    Args:
        network: The architecture; its parameters are left alone, its batch-norm layers use the batch's statistics.
        vertices: Where the vertices start.
        coefficients: The law of the draws.
        fixed: Which vertices are not trained (by their number).
        draws: Draws an evaluation.
        layerwise: Coefficients for each layer.
    """

    def __init__(
        self,
        network: nn.Module,
        vertices: Sequence[Weights],
        coefficients: Coefficients,
        *,
        fixed: Sequence[int] = (),
        draws: int = 1,
        layerwise: bool = False,
    ) -> None:
        super().__init__()
        if len(vertices) < 1 or draws < 1:
            raise InputError(f"a subspace got {len(vertices)} vertices and {draws} draws, needs 1 or more of both")
        first = vertices[0]
        Weights(first.params, first.stale if first.buffers is None else first.buffers).load_into(network)
        self.names = [name for name, p in network.named_parameters() if p.requires_grad]
        self.network = (network,)  # in a tuple: its parameters are not this module's
        self.start = tuple(vertices)
        self.coefficients, self.draws, self.layerwise = coefficients, draws, layerwise
        self.layer_of, self.layers = layers_of({name: first.params[name] for name in self.names})
        device = next(network.parameters()).device
        self.points = nn.ParameterList()
        for k, vertex in enumerate(vertices):
            values = [vertex.params[name].detach().clone().to(device) for name in self.names]
            self.points.append(nn.ParameterList([nn.Parameter(v, requires_grad=k not in fixed) for v in values]))

    def forward(self, x: Tensor) -> Tensor:
        network = self.network[0].train(self.training)
        rows = self.coefficients.sample(self.draws * (self.layers if self.layerwise else 1), len(self.points))
        outputs = []
        for draw in rows.reshape(self.draws, -1, len(self.points)).tolist():
            mixed = {name: sum_products(draw[self.layer_of[name] if self.layerwise else 0], [p[i] for p in self.points])
                     for i, name in enumerate(self.names)}
            outputs.append(functional_call(network, mixed, (x,)))
        return outputs[0] if self.draws == 1 else torch.stack(outputs)

    def vertices(self) -> tuple[Weights, ...]:
        """The vertices as they are now. The batch-norm statistics of trained ones are not valid."""
        found = []
        for start, point in zip(self.start, self.points, strict=True):
            if not any(p.requires_grad for p in point):
                found.append(start)
                continue
            own = {name: p.detach().clone() for name, p in zip(self.names, point, strict=True)}
            found.append(Weights({**self.start[0].params, **own}, stale=start.stale if start.buffers is None else start.buffers))
        return tuple(found)


def layers_of(params: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """The layer number of each parameter (those of one submodule share it), and how many layers there are."""
    prefixes = {name: name.rpartition(".")[0] for name in params}
    number = {prefix: i for i, prefix in enumerate(dict.fromkeys(prefixes.values()))}
    return {name: number[prefix] for name, prefix in prefixes.items()}, len(number)
