"""Spectral normalisation: its buffers are singular vectors of a weight, and follow the weight."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm


@dataclass(frozen=True)
class Spectral:
    """One weight that is divided by its largest singular value, by its tensors' names.

    Attributes:
        weight: The name of the parameter.
        u: The name of the buffer with its first left singular vector.
        v: The name of the buffer with its first right singular vector.
        dim: The axis of the weight that gives the rows of its matrix.
    """

    weight: str
    u: str
    v: str
    dim: int


def spectral_norms(network: nn.Module) -> tuple[Spectral, ...]:
    """All weights that torch's two spectral normalisations divide in training mode.

    They are the parametrisation and the hook. A weight whose layer is in evaluation mode is not
    among them: its vectors stay as they are, whatever the weights do. Neither is one that another
    parametrisation comes before: it divides something that is no parameter.
    """
    names = {
        id(tensor): name for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    norms = []
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
        norms += [
            Spectral(names[id(weight)], names[id(u)], names[id(v)], dim)
            for weight, u, v, dim in parts
            if id(weight) in names
        ]
    return tuple(norms)


@torch.no_grad()
def follow(state: Mapping[str, Tensor], norms: Iterable[Spectral]) -> None:
    """Sets spectral norms' buffers, in place, to the first singular vectors of their weights.

    They come from the smaller of W W' and W' W, in double precision: more exact than the few power
    iterations that a training takes from where it was, and as good far from there.
    """
    for norm in norms:
        weight = state[norm.weight].detach()
        matrix = weight.movedim(norm.dim, 0).flatten(1).double()
        if len(matrix) > matrix.shape[1]:
            v = _first_eigenvector(matrix.T @ matrix)
            u = nn.functional.normalize(matrix @ v, dim=0)
        else:
            u = _first_eigenvector(matrix @ matrix.T)
            v = nn.functional.normalize(matrix.T @ u, dim=0)
        state[norm.u].copy_(u)
        state[norm.v].copy_(v)


def _first_eigenvector(gram: Tensor) -> Tensor:
    """The eigenvector of the largest eigenvalue; NaN for a matrix that is not finite.

    So a training that diverges is seen by its loss.
    """
    if not torch.isfinite(gram).all():
        return gram.new_full((len(gram),), torch.nan)
    return torch.linalg.eigh(gram).eigenvectors[:, -1]
