"""The volume of a simplex of weights, from the Gram determinant of its edges."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def log_squared_volume(vertices: Sequence[Sequence[Tensor]]) -> Tensor:
    """Log V^2 of a simplex, `V^2 = det(E E') / (k!)^2` with its k edges E `[k, n_params]`.

    The Cayley-Menger determinant (Benton et al. 2021, arXiv 2102.13042) gives the same number, but
    it is pure round-off in single precision where the simplex is flat, which it is at the
    prescribed start. This one is float64 and differentiable.

    Args:
        vertices: For each vertex its parameters, tensors of any shapes. Two vertices or more.

    Returns:
        A float64 scalar; minus infinity where the simplex is flat.
    """
    return log_squared(gram_of(vertices))


def log_squared(gram: Tensor) -> Tensor:
    """Log V^2 of the simplex whose edges from one vertex have these inner products `[k, k]`."""
    return torch.linalg.slogdet(gram).logabsdet - 2 * math.lgamma(len(gram) + 1)


def log_squared_total(grams: Sequence[Tensor]) -> Tensor:
    """Log V^2 of the sum V of several simplexes' volumes, given by inner products `[k, k]`."""
    return 2 * torch.stack([log_squared(gram) / 2 for gram in grams]).logsumexp(0)


def squared(gram: Tensor) -> Tensor:
    """V^2 of the simplex, float64; its value and gradient are 0 where the simplex is flat."""
    return torch.linalg.det(gram) / math.factorial(len(gram)) ** 2


class Growing:
    """The inner products of a simplex that grows by one vertex; those of fixed edges are kept.

    Args:
        fixed: The vertices that stay `[vertices, n_params]`.
    """

    def __init__(self, fixed: Tensor) -> None:
        self.origin = fixed[0].detach()
        self.edges = (fixed[1:].detach() - self.origin).double()
        self.gram = self.edges @ self.edges.T

    def with_vertex(self, vertex: Tensor) -> Tensor:
        """The inner products `[k, k]` with a new vertex `[n_params]` added; differentiable.

        The edge from the first vertex to the new one comes last.
        """
        edge = (vertex - self.origin).double()
        across = self.edges @ edge
        last = torch.cat([across, (edge @ edge)[None]])
        return torch.cat([torch.cat([self.gram, across[:, None]], 1), last[None]])


def gram_of(vertices: Sequence[Sequence[Tensor]]) -> Tensor:
    """Inner products of the edges from the first vertex `[k, k]`, float64."""
    first, *others = vertices
    moved = [
        [(a - b).reshape(-1).double() for a, b in zip(other, first, strict=True)]
        for other in others
    ]
    edges = torch.stack([torch.cat(edge) for edge in moved])
    return edges @ edges.T
