"""Coverage regions of several outputs together: ellipsoids and rectangles (JCGM 102:2011, 7.7).

Of draws, an ellipsoid has the covariance of the draws and the factor that holds a share `level` of
them (7.7.2), but not less than the factor of a new draw from a normal distribution whose covariance
is as well known (Hotelling 1931), since hundreds of draws are not the millions of the document. Of
networks it is Hotelling's. A rectangle has the sides u times one factor: of draws that which holds
the share `level` (7.7.3), of networks Bonferroni's, which covers at least as often.

Probabilities sum to 1, so that their covariance is singular, and an ellipsoid would leave the
simplex. Theirs is an ellipsoid in the isometric log-ratios (Egozcue et al. 2003), of which there is
one fewer than classes: a deviation from the document, whose regions are in the quantities
themselves. Rectangles of probabilities are in their log-odds.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import InputError

Shape = Literal["ellipsoid", "rectangle"]
_LEAST = 1e-16  # probabilities below count as this


def log_ratios(p: Tensor) -> Tensor:
    """Isometric log-ratios `[..., classes - 1]` of probabilities `[..., classes]`.

    Example:
        >>> log_ratios(torch.tensor([0.2, 0.8], dtype=torch.float64))
        tensor([-0.9803], dtype=torch.float64)
    """
    logs = p.double().clamp_min(_LEAST).log()
    classes = logs.shape[-1]
    step = torch.arange(1, classes, dtype=torch.float64)
    means = logs.cumsum(-1)[..., :-1] / step
    return (step / (step + 1)).sqrt() * (means - logs[..., 1:])


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """A region `(y - centre)' precision (y - centre) <= k^2` for each input.

    Attributes:
        centre: In the coordinates of the region `[inputs, coordinates]`.
        precision: The inverse of the covariance `[inputs, coordinates, coordinates]`.
        k: The factor `[inputs]`.
        simplex: Whether coordinates are log-ratios of probabilities; else they are the values.
    """

    centre: Tensor
    precision: Tensor
    k: Tensor
    simplex: bool

    def contains(self, values: Tensor) -> Tensor:
        """Whether values or probabilities `[inputs, columns]` are in the region `[inputs]`."""
        at = log_ratios(values) if self.simplex else values.double()
        apart = at - self.centre
        return torch.einsum("ni,nij,nj->n", apart, self.precision, apart) <= self.k.square()

    @property
    def volume(self) -> Tensor:
        """The volume in the coordinates of the region `[inputs]`."""
        n = self.centre.shape[1]
        ball = math.pi ** (n / 2) / math.gamma(n / 2 + 1)
        return ball * self.k**n / torch.linalg.det(self.precision).sqrt()


@dataclass(frozen=True, eq=False)
class Rectangle:
    """A region between two ends of each output.

    Attributes:
        low: `[inputs, columns]`.
        high: `[inputs, columns]`.
    """

    low: Tensor
    high: Tensor

    def contains(self, values: Tensor) -> Tensor:
        """Whether values or probabilities `[inputs, columns]` are in the region `[inputs]`."""
        return ((values >= self.low) & (values <= self.high)).all(-1)


def ellipsoid(
    values: Tensor, wider: Tensor, level: float, *, simplex: bool, networks: bool
) -> Ellipsoid:
    """The ellipsoid of members' values.

    Args:
        values: Values or probabilities `[members, inputs, columns]`.
        wider: The combined standard uncertainty over the members' standard deviation `[inputs,
            columns]`; of probabilities its root mean square over classes is taken.
        level: The coverage probability.
        simplex: Whether the values are probabilities.
        networks: Whether members are trained networks; else they are draws.

    Raises:
        InputError: There are too few members, or outputs do not vary in as many directions.
    """
    from scipy.special import fdtri

    at = log_ratios(values) if simplex else values.double()
    members, inputs, n = at.shape
    if members <= n + 1:
        what = "networks" if networks else "draws"
        raise InputError(
            f"an ellipsoid in {n} coordinates got {members} {what}, needs {n + 2} or more: ask for "
            "shape='rectangle'"
        )
    centre = at.mean(0)
    wide = wider.square().mean(-1, keepdim=True).sqrt().expand(inputs, n) if simplex else wider
    apart = (at - centre) * wide
    covariance = torch.einsum("mni,mnj->nij", apart, apart) / (members - 1)
    least = torch.linalg.eigvalsh(covariance)
    flat = least[:, 0] <= 1e-12 * least[:, -1].clamp_min(1e-300)
    if flat.any():
        raise InputError(
            f"an ellipsoid got outputs that do not vary in all {n} directions, for "
            f"{int(flat.sum())} of {inputs} inputs: ask for shape='rectangle'"
        )
    precision = torch.linalg.inv(covariance)
    f = float(fdtri(n, members - n, level))
    factor = math.sqrt(n * (members - 1) / (members - n) * f)
    k = torch.full((inputs,), factor, dtype=torch.float64)
    if not networks:
        squares = torch.einsum("mni,nij,mnj->mn", apart, precision, apart)
        k = torch.maximum(k, torch.quantile(squares, level, dim=0).sqrt())
    return Ellipsoid(centre, precision, k, simplex)
