"""Coefficients: which points of a subspace come up, as weights of its vertices.

One rule a class, a law on `[vertices]`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from thalweg.errors import InputError


class Coefficients(ABC):
    """A law of the vertices' coefficients. They sum to one."""

    kinds: ClassVar[dict[str, type["Coefficients"]]] = {}

    def __init_subclass__(cls) -> None:
        Coefficients.kinds[cls.__name__] = cls

    @abstractmethod
    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws coefficients `[n, vertices]` in float64; from torch's global state without a
        generator.
        """


@dataclass(frozen=True)
class Simplex(Coefficients):
    """Uniform on the simplex of all vertices (flat Dirichlet); with two vertices, uniform on the
    segment.
    """

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        e = (
            -torch.rand(n, vertices, dtype=torch.float64, generator=generator)
            .clamp_min(1e-300)
            .log()
        )
        return e / e.sum(1, keepdim=True)


@dataclass(frozen=True)
class Bezier(Coefficients):
    """A Bezier curve with the vertices as control points, in order; its parameter t uniform in 0 ..
    1.
    """

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        return bernstein(torch.rand(n, dtype=torch.float64, generator=generator), vertices)


@dataclass(frozen=True)
class Chain(Coefficients):
    """A polygonal chain through the vertices in order; each segment equally likely, uniform
    within.
    """

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        return hats(torch.rand(n, dtype=torch.float64, generator=generator), vertices)


@dataclass(frozen=True)
class ArcLength(Coefficients):
    """A curve through or along the vertices, in order; uniform in its length (Dold et al. 2025,
    arXiv 2503.03382).

    A law for given vertices: `arc_length` measures them.

    Attributes:
        form: Which curve, `bezier` or `chain`.
        lengths: The share of its length before t = 0, 1/n, 2/n, ... 1, its parameter: n + 1 numbers
            from 0 to 1.
    """

    form: Literal["bezier", "chain"] = "bezier"
    lengths: tuple[float, ...] = (0.0, 1.0)

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        share = torch.rand(n, dtype=torch.float64, generator=generator)
        lengths = torch.tensor(self.lengths, dtype=torch.float64)
        after = torch.searchsorted(lengths, share, right=True)
        within = (share - lengths[after - 1]) / (lengths[after] - lengths[after - 1])
        t = (after - 1 + within) / (len(lengths) - 1)
        return bernstein(t, vertices) if self.form == "bezier" else hats(t, vertices)


@dataclass(frozen=True)
class Complex(Coefficients):
    """A simplicial complex: one of several simplexes, equally likely, uniform within (Benton et al.
    2021, arXiv 2102.13042).

    Attributes:
        simplexes: The vertices of each simplex, by their number.
    """

    simplexes: tuple[tuple[int, ...], ...] = ((0,),)

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        member = torch.zeros(len(self.simplexes), vertices, dtype=torch.float64)
        for row, simplex in zip(member, self.simplexes, strict=True):
            if max(simplex) >= vertices:
                raise InputError(
                    f"a simplex names vertex {max(simplex)}, but there are {vertices}: number "
                    "them from 0"
                )
            row[list(simplex)] = 1.0
        chosen = torch.randint(len(member), (n,), generator=generator)
        e = (
            -torch.rand(n, vertices, dtype=torch.float64, generator=generator)
            .clamp_min(1e-300)
            .log()
            * member[chosen]
        )
        return e / e.sum(1, keepdim=True)


def bernstein(t: Tensor, vertices: int) -> Tensor:
    """Bernstein polynomials of degree vertices - 1 at t `[n]`: coefficients `[n, vertices]`."""
    k = torch.arange(vertices, dtype=t.dtype)
    binomial = torch.tensor([math.comb(vertices - 1, i) for i in range(vertices)], dtype=t.dtype)
    return binomial * t[:, None] ** k * (1 - t[:, None]) ** (vertices - 1 - k)


def hats(t: Tensor, vertices: int) -> Tensor:
    """Of a polygonal chain, whose segments take equal shares of t `[n]`: coefficients `[n,
    vertices]`.
    """
    return (1 - (t[:, None] * (vertices - 1) - torch.arange(vertices)).abs()).clamp_min(0)


def arc_length(curve: Bezier | Chain, gram: Tensor, cells: int = 256) -> ArcLength:
    """The law that is uniform in the length of a curve, measured cell by cell of its parameter.

    Exact for a chain; for a Bezier curve its speed is taken to be constant within a cell, whose
    length is known.

    Args:
        curve: Which one.
        gram: Inner products of the edges from the first vertex to the others `[vertices - 1,
            vertices - 1]`, float64, as `weights.volume.gram_of` gives them.
        cells: Of a Bezier curve.
    """
    form: Literal["bezier", "chain"] = "bezier" if isinstance(curve, Bezier) else "chain"
    steps = torch.eye(len(gram), dtype=torch.float64, device=gram.device)
    steps -= torch.diag(steps.new_ones(len(gram) - 1), -1)
    gram = (steps @ gram @ steps.T).cpu()  # of the edges from vertex to vertex
    if form == "chain":
        lengths = gram.diagonal().sqrt()
    else:
        direction = bernstein(torch.linspace(0, 1, 2 * cells + 1, dtype=torch.float64), len(gram))
        speed = ((direction @ gram) * direction).sum(1).clamp_min(0).sqrt()
        lengths = speed[:-1:2] + 4 * speed[1::2] + speed[2::2]  # Simpson's rule
    total = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    if not total[-1] > 0:
        return ArcLength(form)  # all vertices are the same point
    return ArcLength(form, tuple((total / total[-1]).tolist()))


def to_settings(coefficients: Coefficients) -> dict[str, Any]:
    """For JSON."""
    return {"kind": type(coefficients).__name__, **asdict(coefficients)}  # type: ignore[call-overload]


def from_settings(settings: Mapping[str, Any]) -> Coefficients:
    """The inverse of `to_settings`."""
    return Coefficients.kinds[settings["kind"]](
        **{k: _tuples(v) for k, v in settings.items() if k != "kind"}
    )


def _tuples(value: Any) -> Any:
    """JSON's lists, which hold the same as tuples."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
