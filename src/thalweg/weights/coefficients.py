"""Laws of the vertices' coefficients: which points of a subspace are drawn.

Each class is one law on `[vertices]`.
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
    """A law of the vertices' coefficients, which sum to one.

    Example:
        >>> [tuple(law.sample(5, vertices=3).shape) for law in (Simplex(), Bezier(), Chain())]
        [(5, 3), (5, 3), (5, 3)]
    """

    kinds: ClassVar[dict[str, type["Coefficients"]]] = {}

    def __init_subclass__(cls) -> None:
        Coefficients.kinds[cls.__name__] = cls

    @abstractmethod
    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws coefficients `[n, vertices]` in float64, from torch's global state by default."""


@dataclass(frozen=True)
class Simplex(Coefficients):
    """Uniform on the simplex of all vertices (flat Dirichlet); on the segment between two."""

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        e = _exponentials(n, vertices, generator)
        return e / e.sum(1, keepdim=True)


@dataclass(frozen=True)
class Bezier(Coefficients):
    """A Bezier curve with the vertices as control points, uniform in its parameter t in 0 .. 1."""

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        return bernstein(torch.rand(n, dtype=torch.float64, generator=generator), vertices)


@dataclass(frozen=True)
class Chain(Coefficients):
    """A polygonal chain through the vertices; segments are equally likely, uniform within."""

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        return hats(torch.rand(n, dtype=torch.float64, generator=generator), vertices)


@dataclass(frozen=True)
class ArcLength(Coefficients):
    """A curve or chain, uniform in its length (Dold et al. 2025, arXiv 2503.03382).

    It holds for given vertices, as `arc_length` has measured them.

    Attributes:
        form: Which curve, `bezier` or `chain`.
        lengths: The fractions of the curve's length before its parameter t = 0, 1/n, 2/n, ... 1:
            n + 1 numbers from 0 to 1.
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
    """A simplicial complex: one of several simplexes, equally likely, uniform within.

    See Benton et al. 2021, arXiv 2102.13042.

    Attributes:
        simplexes: The vertices of each simplex, by their numbers.
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
        e = _exponentials(n, vertices, generator) * member[chosen]
        return e / e.sum(1, keepdim=True)


def _exponentials(n: int, vertices: int, generator: torch.Generator | None) -> Tensor:
    """Numbers of the exponential law `[n, vertices]`; divided by their sum they are a simplex's."""
    uniform = torch.rand(n, vertices, dtype=torch.float64, generator=generator)
    return -uniform.clamp_min(1e-300).log()


def bernstein(t: Tensor, vertices: int) -> Tensor:
    """Bernstein polynomials of degree vertices - 1 at t `[n]`: coefficients `[n, vertices]`."""
    k = torch.arange(vertices, dtype=t.dtype)
    binomial = torch.tensor([math.comb(vertices - 1, i) for i in range(vertices)], dtype=t.dtype)
    return binomial * t[:, None] ** k * (1 - t[:, None]) ** (vertices - 1 - k)


def hats(t: Tensor, vertices: int) -> Tensor:
    """Coefficients `[n, vertices]` of a chain whose segments take equal parts of t `[n]`."""
    return (1 - (t[:, None] * (vertices - 1) - torch.arange(vertices)).abs()).clamp_min(0)


def arc_length(curve: Bezier | Chain, gram: Tensor, cells: int = 256) -> ArcLength:
    """The law that is uniform in the length of a curve, measured cell by cell of its parameter.

    It is exact for a chain; for a Bezier curve the speed is taken to be constant within a cell,
    whose length is known.

    Args:
        curve: The curve.
        gram: Inner products of the edges from the first vertex to the others `[vertices - 1,
            vertices - 1]`, float64, as `weights.volume.gram_of` gives them.
        cells: The number of cells of a Bezier curve.
    """
    form: Literal["bezier", "chain"] = "bezier" if isinstance(curve, Bezier) else "chain"
    steps = torch.eye(len(gram), dtype=torch.float64, device=gram.device)
    steps -= torch.diag(steps.new_ones(len(gram) - 1), -1)
    gram = (steps @ gram @ steps.T).cpu()  # now of the edges from vertex to vertex
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
    """A law's settings, for JSON."""
    return {"kind": type(coefficients).__name__, **asdict(coefficients)}  # type: ignore[call-overload]


def from_settings(settings: Mapping[str, Any]) -> Coefficients:
    """The inverse of `to_settings`."""
    return Coefficients.kinds[settings["kind"]](
        **{k: _tuples(v) for k, v in settings.items() if k != "kind"}
    )


def _tuples(value: Any) -> Any:
    """Turns JSON's lists into tuples, at every depth."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
