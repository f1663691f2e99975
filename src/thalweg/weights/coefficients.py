"""Coefficients: which points of a subspace come up, as weights of its vertices. One rule a class, a law on `[vertices]`."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

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
        """Draws coefficients `[n, vertices]` in float64; from torch's global state without a generator."""


@dataclass(frozen=True)
class Simplex(Coefficients):
    """Uniform on the simplex of all vertices (flat Dirichlet); with two vertices, uniform on the segment."""

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        e = -torch.rand(n, vertices, dtype=torch.float64, generator=generator).clamp_min(1e-300).log()
        return e / e.sum(1, keepdim=True)


@dataclass(frozen=True)
class Bezier(Coefficients):
    """A Bezier curve with the vertices as control points, in order; its parameter t uniform in 0 .. 1."""

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        return bernstein(torch.rand(n, dtype=torch.float64, generator=generator), vertices)


@dataclass(frozen=True)
class Chain(Coefficients):
    """A polygonal chain through the vertices in order; each segment equally likely, uniform within."""

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        position = torch.rand(n, dtype=torch.float64, generator=generator) * (vertices - 1)
        return (1 - (position[:, None] - torch.arange(vertices)).abs()).clamp_min(0)


@dataclass(frozen=True)
class Complex(Coefficients):
    """A simplicial complex: one of several simplexes, equally likely, uniform within (Benton et al. 2021, arXiv 2102.13042).

    Attributes:
        simplexes: The vertices of each simplex, by their number.
    """

    simplexes: tuple[tuple[int, ...], ...] = ((0,),)

    def sample(self, n: int, vertices: int, generator: torch.Generator | None = None) -> Tensor:
        member = torch.zeros(len(self.simplexes), vertices, dtype=torch.float64)
        for row, simplex in zip(member, self.simplexes, strict=True):
            if max(simplex) >= vertices:
                raise InputError(f"a simplex names vertex {max(simplex)}, but there are {vertices}: number them from 0")
            row[list(simplex)] = 1.0
        chosen = torch.randint(len(member), (n,), generator=generator)
        e = -torch.rand(n, vertices, dtype=torch.float64, generator=generator).clamp_min(1e-300).log() * member[chosen]
        return e / e.sum(1, keepdim=True)


def bernstein(t: Tensor, vertices: int) -> Tensor:
    """Bernstein polynomials of degree vertices - 1 at t `[n]`: coefficients `[n, vertices]`."""
    k = torch.arange(vertices, dtype=t.dtype)
    binomial = torch.tensor([math.comb(vertices - 1, i) for i in range(vertices)], dtype=t.dtype)
    return binomial * t[:, None] ** k * (1 - t[:, None]) ** (vertices - 1 - k)


def to_settings(coefficients: Coefficients) -> dict[str, Any]:
    """For JSON."""
    return {"kind": type(coefficients).__name__, **asdict(coefficients)}  # type: ignore[call-overload]


def from_settings(settings: Mapping[str, Any]) -> Coefficients:
    """The inverse of `to_settings`."""
    values = {k: tuple(tuple(s) for s in v) if k == "simplexes" else v for k, v in settings.items() if k != "kind"}
    return Coefficients.kinds[settings["kind"]](**values)
