"""The parameters of a network as one vector.

One operation mixes, steps or compares them all, however many tensors they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """The order of parameters in a vector. Tensors with two axes or more come first.

    Convolutions that are kept channels-last stay so: the vector has their numbers in the order of
    their memory.

    Attributes:
        names: The parameters' names, in the vector's order.
        shapes: The shape of each parameter.
        dtypes: The type of each parameter; the vector has the widest.
        channels_last: Which parameters are channels-last.
        matrices: How many numbers at the vector's start belong to tensors with two axes or more.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    dtypes: tuple[torch.dtype, ...]
    channels_last: tuple[bool, ...]
    matrices: int

    @staticmethod
    def of(params: Mapping[str, Tensor]) -> "Layout":
        """The layout of a network's parameters."""
        names = sorted(params, key=lambda name: params[name].dim() < 2)  # stable in all else
        chosen = [params[name] for name in names]
        return Layout(
            tuple(names),
            tuple(p.shape for p in chosen),
            tuple(p.dtype for p in chosen),
            tuple(_is_channels_last(p) for p in chosen),
            sum(p.numel() for p in chosen if p.dim() > 1),
        )

    @property
    def sizes(self) -> list[int]:
        """How many numbers each parameter has."""
        return [shape.numel() for shape in self.shapes]

    def flatten(self, params: Mapping[str, Tensor]) -> Tensor:
        """A new vector `[n_params]` with the numbers of parameters of this layout."""
        return self.join([params[name].detach() for name in self.names])

    def join(self, tensors: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
        """The vector `[n_params]` of tensors in the layout's order, written to `out` if given."""
        moved = [
            p.permute(0, 2, 3, 1) if last else p
            for p, last in zip(tensors, self.channels_last, strict=True)
        ]
        return torch.cat([p.reshape(-1) for p in moved], out=out)

    def shaped(self, pieces: tuple[Tensor, ...] | list[Tensor]) -> dict[str, Tensor]:
        """Views of a vector's pieces, `vector.split(layout.sizes)`, in the parameters' shapes.

        Returns:
            The views by the parameters' names.
        """
        views = {}
        for name, shape, dtype, last, piece in zip(
            self.names, self.shapes, self.dtypes, self.channels_last, pieces, strict=True
        ):
            if last:
                outputs, inputs, height, width = shape
                view = piece.view(outputs, height, width, inputs).permute(0, 3, 1, 2)
            else:
                view = piece.view(shape)
            views[name] = view if view.dtype == dtype else view.to(dtype)
        return views


def _is_channels_last(p: Tensor) -> bool:
    """Decides by strides: for one channel or one pixel torch's own test has two answers."""
    if p.dim() != 4:
        return False
    _, channels, height, width = p.shape
    return p.stride() == (height * width * channels, 1, width * channels, channels)
