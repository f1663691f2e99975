"""Subspaces: the weights between vertices, with a law of coefficients.

A line, curve, chain, simplex or complex is a choice of that law. No layer is written a second time:
any module is evaluated at mixed weights (`weights.leaves`).
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.seeds import generator
from thalweg.trees import Inputs
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.coefficients import (
    Bezier,
    Chain,
    Coefficients,
    Simplex,
    arc_length,
    from_settings,
    to_settings,
)
from thalweg.weights.distribution import WeightDistribution, pack, unpack
from thalweg.weights.layout import Layout
from thalweg.weights.leaves import Leaves
from thalweg.weights.point import Weights, mix, sum_products
from thalweg.weights.spectral import follow
from thalweg.weights.volume import gram_of


@dataclass(frozen=True)
class Subspace(WeightDistribution):
    """A distribution on the points between vertices.

    Attributes:
        vertices: The points that span the subspace.
        coefficients: The law of the vertices' coefficients.
        layerwise: Each layer (the parameters of one submodule) has coefficients of its own.

    Example:
        >>> line = Subspace(tuple(Weights.of(nn.Linear(2, 1)) for _ in range(2)))
        >>> first = line.at(torch.tensor([1.0, 0.0]))
        >>> torch.equal(first.params["weight"], line.vertices[0].params["weight"])
        True
        >>> len(list(line.draw(3, seed=0)))
        3
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
        """Draws points. Their running statistics are not valid (`buffers` is None)."""
        random = generator(seed, "subspace")
        for _ in range(n):
            if self.layerwise:
                yield self._layerwise(random)
            else:
                yield self.at(self.coefficients.sample(1, len(self.vertices), random)[0])

    def at(self, coefficients: Tensor) -> Weights:
        """The point with given coefficients `[vertices]`."""
        return mix(self.vertices, coefficients)

    def by_length(self) -> "Subspace":
        """The same curve, with points drawn uniformly in its length instead of its parameter.

        Raises:
            InputError: The subspace is no Bezier curve or chain, or each layer has coefficients of
                its own.
        """
        if self.layerwise or not isinstance(self.coefficients, Bezier | Chain):
            law = "layerwise coefficients" if self.layerwise else type(self.coefficients).__name__
            raise InputError(
                f"by_length got a subspace with {law}, needs Bezier() or Chain(), the same for "
                "all layers"
            )
        gram = gram_of([list(vertex.params.values()) for vertex in self.vertices])
        return replace(self, coefficients=arc_length(self.coefficients, gram))

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        law = to_settings(self.coefficients)
        return pack(self.vertices), {"coefficients": law, "layerwise": self.layerwise}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "Subspace":
        return cls(unpack(tensors), from_settings(settings["coefficients"]), settings["layerwise"])

    def _layerwise(self, random: torch.Generator) -> Weights:
        layer_of, layers = layers_of(self.vertices[0].params)
        rows = self.coefficients.sample(layers, len(self.vertices), random).tolist()
        first = self.vertices[0]
        params = {
            name: sum_products(rows[layer_of[name]], [v.params[name] for v in self.vertices])
            for name in first.params
        }
        return first.moved_to(params)


class Piece(NamedTuple):
    """Columns that share their coefficients, in all matrices of a training: views, made once.

    Attributes:
        layer: The layer whose coefficients they have.
        free: The vertices that are trained `[free, columns]`.
        held: The other vertices `[held, columns]`.
        points: The drawn points `[draws, columns]`.
        point_gradients: The gradients at the drawn points `[draws, columns]`.
        gradient: The gradients of the free vertices `[free, columns]`.
    """

    layer: int
    free: Tensor
    held: Tensor
    points: Tensor
    point_gradients: Tensor
    gradient: Tensor


class SubspaceModule(nn.Module):
    """A network whose weights are drawn from a subspace at every evaluation.

    Its parameters are the vertices.

    Outputs are `[batch, classes]` with one draw and `[draws, batch, classes]` with more; each draw
    is one network evaluation. Parameters that the network has frozen stay those of the first
    vertex.

    Vertices are the rows of a matrix. An evaluation mixes them, outside of the graph of gradients,
    into the network's own parameters; after the backward pass `carry` gives the vertices their
    share of these parameters' gradients. So a training needs `before_step=module.carry` and costs
    little more than the network's own: two matrix products per step, and no copies.

    Args:
        network: The architecture; its parameters become the drawn points, its batch-norm layers use
            the batch's statistics.
        vertices: Where the vertices start.
        coefficients: The law of the draws' coefficients.
        fixed: The numbers of the vertices that are not trained.
        draws: Draws per evaluation.
        layerwise: Each layer has coefficients of its own.
        behaviour: What the network was seen to do, where it has spectral norms or evaluates parts
            again in the backward pass.

    Attributes:
        layout: Where each parameter is in a row.
        free: The vertices that are trained `[free, n_params]`.
        held: The other vertices `[held, n_params]`.
        gradient: The gradients that `carry` computed last `[free, n_params]`. Without a penalty it
            is the memory of `free.grad`.
    """

    held: Tensor

    def __init__(
        self,
        network: nn.Module,
        vertices: Sequence[Weights],
        coefficients: Coefficients,
        *,
        fixed: Sequence[int] = (),
        draws: int = 1,
        layerwise: bool = False,
        behaviour: Behaviour = Behaviour(),  # noqa: B008  frozen
    ) -> None:
        super().__init__()
        if len(vertices) < 1 or draws < 1:
            raise InputError(
                f"a subspace got {len(vertices)} vertices and {draws} draws, needs 1 or more of "
                "both"
            )
        first = vertices[0]
        Weights(first.params, first.moved_to(first.params).stale).load_into(network)
        self.layout = Layout.of(
            {name: p for name, p in network.named_parameters() if p.requires_grad}
        )
        self.network = (network,)  # in a tuple: its parameters are not this module's
        self.start = tuple(vertices)
        self.coefficients, self.draws, self.behaviour = coefficients, draws, behaviour
        self.leaves = Leaves(network, self.layout, draws)
        self.layers, segments = self._cut(first, layerwise=layerwise)
        self.is_free = torch.tensor([k not in fixed for k in range(len(vertices))])
        rows = torch.stack([self.layout.flatten(vertex.params) for vertex in vertices]).to(
            self.leaves.points
        )
        self.free = nn.Parameter(rows[self.is_free])
        self.register_buffer("held", rows[~self.is_free], persistent=False)
        self.gradient = torch.empty_like(self.free, requires_grad=False)
        points, gradients = self.leaves.points, self.leaves.gradients
        matrices = (self.free.detach(), self.held, points, gradients, self.gradient)
        self._pieces = [
            Piece(layer, *(matrix[:, columns] for matrix in matrices))
            for layer, columns in segments
        ]
        # coefficients of the next evaluations: of the free vertices and of the held ones
        self._ahead: list[tuple[Tensor, Tensor]] = []
        # those of the free vertices in the last evaluation, until gradients are carried over
        self._awaited: list[Tensor] = []

    def forward(self, x: Inputs) -> Tensor:
        network = self.network[0]
        if network.training != self.training:
            network.train(self.training)
        of_free, of_held = self._draw()
        for piece in self._pieces:
            torch.mm(of_free[piece.layer], piece.free, out=piece.points)
            if len(piece.held):
                piece.points.addmm_(of_held[piece.layer], piece.held)
        self._awaited[:] = [of_free]
        outputs = [self._evaluated(network, x, draw) for draw in self.leaves.each()]
        return outputs[0] if self.draws == 1 else torch.stack(outputs)

    def _evaluated(self, network: nn.Module, x: Inputs, draw: int) -> Tensor:
        if self.behaviour.follows:
            state = dict([*network.named_parameters(), *network.named_buffers()])
            follow(state, self.behaviour.follows)
        outputs = network(x)
        if self.draws > 1 and self.behaviour.recomputed and outputs.requires_grad:
            # here the backward pass of this draw starts, after that of the next draw is over: what
            # it recomputes needs this draw's parameters
            outputs.register_hook(lambda _: self.leaves.put(draw))
        return outputs

    def carry(self, decay: float = 0.0) -> None:
        """Adds the sum over draws of coefficient times gradient to the free vertices' gradients.

        Args:
            decay: Weight decay of the drawn points: the loss also has 1/2 decay |point|^2, averaged
                over draws.
        """
        if not self.leaves.collect() or not self._awaited:
            return
        if decay:
            self.leaves.gradients.add_(self.leaves.points, alpha=decay / self.draws)
        of_free = self._awaited.pop()
        for piece in self._pieces:
            torch.mm(of_free[piece.layer].T, piece.point_gradients, out=piece.gradient)
        if self.free.grad is None:
            self.free.grad = self.gradient
        else:
            self.free.grad.add_(self.gradient)

    def rows(self) -> tuple[Tensor, ...]:
        """All vertices in order, each `[n_params]`."""
        free, held = iter(self.free.unbind()), iter(self.held.unbind())
        return tuple(next(free if is_free else held) for is_free in self.is_free)

    def vertices(self) -> tuple[Weights, ...]:
        """The vertices as they are now. The running statistics of trained ones are not valid."""
        vertices = []
        for start, row, is_free in zip(self.start, self.rows(), self.is_free, strict=True):
            if is_free:
                trained = self.layout.shaped(row.detach().split(self.layout.sizes))
                params = self.start[0].params | {name: p.clone() for name, p in trained.items()}
                start = start.moved_to(params)
            vertices.append(start)
        return tuple(vertices)

    def _cut(self, first: Weights, *, layerwise: bool) -> tuple[int, list[tuple[int, slice]]]:
        """The number of layers with coefficients of their own, and the columns of each."""
        if not layerwise:
            return 1, [(0, slice(None))]
        layer_of, layers = layers_of([name for name in first.params if name in self.layout.names])
        ends = list(itertools.accumulate(self.layout.sizes, initial=0))
        return layers, [
            (layer_of[name], slice(start, end))
            for name, (start, end) in zip(self.layout.names, itertools.pairwise(ends), strict=True)
        ]

    def _draw(self) -> tuple[Tensor, Tensor]:
        """Coefficients of the free and of the held vertices, `[layers, draws, free or held]`."""
        if not self._ahead:
            axes = (_AHEAD, self.draws, self.layers)
            drawn = self.coefficients.sample(math.prod(axes), len(self.is_free)).to(self.free)
            drawn = drawn.unflatten(0, axes).transpose(1, 2)
            of_free, of_held = drawn[..., self.is_free], drawn[..., ~self.is_free]
            self._ahead = list(zip(of_free.unbind(), of_held.unbind(), strict=True))[::-1]
        return self._ahead.pop()


# evaluations whose coefficients are drawn together: drawing them one by one would take a noticeable
# part of a small network's step
_AHEAD = 32


def layers_of(params: Iterable[str]) -> tuple[dict[str, int], int]:
    """The layer number of each parameter (one per submodule), and the number of layers."""
    prefixes = {name: name.rpartition(".")[0] for name in params}
    number = {prefix: i for i, prefix in enumerate(dict.fromkeys(prefixes.values()))}
    return {name: number[prefix] for name, prefix in prefixes.items()}, len(number)
