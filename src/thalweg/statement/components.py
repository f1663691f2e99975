"""The components of an uncertainty: of what, how large, how well known, and how they combine.

Components that rest on the same standard deviation are known or unknown together: they are one
term of the Welch-Satterthwaite formula, whose terms must be independent (JCGM 100:2008, G.4.1). So
s^2 and s^2 / K of K networks have K - 1 degrees of freedom together, and Student's factor for them
is exact where values are normal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.statement.freedom import welch_satterthwaite


@dataclass(frozen=True, eq=False)
class Component:
    """One contribution to the combined standard uncertainty.

    Attributes:
        name: `retraining`, `networks`, `draws`, `method` or `deviation`, as `words` has them.
        u: Its standard uncertainty `[inputs, columns]`, in the units of the values; None where
            nobody knows it.
        freedom: Its degrees of freedom; infinite where it is known exactly.
        kind: `A` where a statistical analysis of networks gave it, else `B` (GUM 3.3.5).
        basis: What it rests on, a key of `words`.
        shares: The name of the component on whose standard deviation it rests, itself included.
        counted: Whether it is a part of the combined uncertainty of the chosen measurand.
    """

    name: str
    u: Tensor | None
    freedom: float
    kind: str
    basis: str
    shares: str
    counted: bool = True


def combined(components: Sequence[Component], like: Tensor) -> tuple[Tensor, Tensor]:
    """The combined standard uncertainty and its effective degrees of freedom.

    Args:
        components: Those that are known and counted take part.
        like: Any tensor `[inputs, columns]`.

    Returns:
        Both `[inputs, columns]`.

    Example:
        >>> s = torch.tensor([[0.3]], dtype=torch.float64)
        >>> own = Component("retraining", s, 4, "A", "spread", "retraining")
        >>> few = Component("networks", s / 5**0.5, 4, "A", "spread", "retraining")
        >>> [round(float(found), 4) for found in combined([own, few], s)]
        [0.3286, 4.0]
    """
    groups: dict[str, Tensor] = {}
    freedoms: dict[str, float] = {}
    for one in components:
        if one.u is None or not one.counted:
            continue
        before = groups.get(one.shares, torch.zeros_like(like))
        groups[one.shares] = before + one.u.square()
        freedoms[one.shares] = min(freedoms.get(one.shares, math.inf), one.freedom)
    if not groups:
        return torch.zeros_like(like), torch.full_like(like, math.inf)
    variances = list(groups.values())
    total = torch.stack(variances).sum(0)
    return total.sqrt(), welch_satterthwaite(variances, list(freedoms.values()))
