"""Spectral normalisation: its buffers are singular vectors of a weight, so they belong to one point
and follow the weights.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm


@dataclass(frozen=True)
class Spectral:
    """One weight that is divided by its largest singular value, by the names of its tensors in the
    network.

    Attributes:
        weight: The parameter.
        u: The buffer of its first left singular vector.
        v: The buffer of its first right one.
        dim: The axis of the weight that the rows of its matrix are.
    """

    weight: str
    u: str
    v: str
    dim: int


def spectral_norms(network: nn.Module) -> tuple[Spectral, ...]:
    """All weights that torch's two spectral normalisations, the parametrisation and the hook,
    divide in training mode.

    One whose layer is in evaluation mode is not among them: its vectors stay as they are, whatever
    the weights do. Neither is one that another parametrisation comes before: what it divides is no
    parameter.
    """
    names = {
        id(tensor): name for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    found = []
    for module in network.modules():
        parts: list[tuple[Tensor, Tensor, Tensor, int]] = []
        if not module.training:
            continue
        if (
            isinstance(module, ParametrizationList)
            and isinstance(norm := module[0], _SpectralNorm)
            and hasattr(norm, "_u")
        ):
            parts.append((module.original, norm._u, norm._v, norm.dim))
        parts += [
            (*(getattr(module, f"{hook.name}_{part}") for part in ("orig", "u", "v")), hook.dim)
            for hook in module._forward_pre_hooks.values()
            if isinstance(hook, SpectralNorm)
        ]
        found += [
            Spectral(names[id(weight)], names[id(u)], names[id(v)], dim)
            for weight, u, v, dim in parts
            if id(weight) in names
        ]
    return tuple(found)


@torch.no_grad()
def follow(state: Mapping[str, Tensor], norms: Iterable[Spectral]) -> None:
    """Gives the buffers of spectral norms, in place, the first singular vectors of the weights
    beside them.

    They are those of the smaller of W W' and W' W, in double precision: more exact than the few
    steps of the power method that a training takes from where it was, and as good far from there.
    """
    for one in norms:
        weight = state[one.weight].detach()
        matrix = weight.movedim(one.dim, 0).flatten(1).double()
        if len(matrix) > matrix.shape[1]:
            v = _first_eigenvector(matrix.T @ matrix)
            u = nn.functional.normalize(matrix @ v, dim=0)
        else:
            u = _first_eigenvector(matrix @ matrix.T)
            v = nn.functional.normalize(matrix.T @ u, dim=0)
        state[one.u].copy_(u)
        state[one.v].copy_(v)


def _first_eigenvector(gram: Tensor) -> Tensor:
    """Of the largest eigenvalue; not finite where the matrix is not, so that a training that
    diverges is seen by its loss.
    """
    if not torch.isfinite(gram).all():
        return gram.new_full((len(gram),), torch.nan)
    return torch.linalg.eigh(gram).eigenvectors[:, -1]
