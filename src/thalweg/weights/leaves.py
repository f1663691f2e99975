"""Points of a landscape as the parameters of one network: set as vectors, evaluated in turn, their
gradients read as vectors.
"""

from collections.abc import Iterator

import torch
from torch import nn

from thalweg.weights.layout import Layout


class Leaves:
    """A network at several points.

    Each point has parameters of its own, which are views of a row of `points`.

    Args:
        network: Whose trained parameters are replaced by those of the points.
        layout: Of these parameters.
        points: How many.

    Attributes:
        points: `[points, n_params]`; change it in place, outside of any graph of gradients.
        gradients: What `collect` found last `[points, n_params]`. Kept: new memory of this size at
            every step is slow to get.
    """

    def __init__(self, network: nn.Module, layout: Layout, points: int) -> None:
        names = {id(p): name for name, p in network.named_parameters() if name in layout.names}
        self._owners = [
            (module, key, names[id(p)])
            for module in network.modules()  # a tied parameter has several
            for key, p in module._parameters.items()
            if id(p) in names
        ]
        self._layout = layout
        start = layout.flatten(dict(network.named_parameters()))
        self.points = start.repeat(points, 1)
        self.gradients = torch.zeros_like(self.points)
        self._leaves = [
            {
                name: nn.Parameter(view)
                for name, view in layout.shaped(row.split(layout.sizes)).items()
            }
            for row in self.points
        ]
        own = dict(network.named_parameters())
        for leaves in self._leaves:
            for name, leaf in leaves.items():
                _give_hooks(own[name], leaf)
        self._in_order = [list(leaves.values()) for leaves in self._leaves]
        self._are_views = all(
            dtype == start.dtype for dtype in layout.dtypes
        )  # not where a network has several types
        self.put(0)

    def each(self) -> Iterator[int]:
        """The network's parameters are those of one point after the other."""
        for number, leaves in enumerate(self._leaves):
            if not self._are_views:
                views = self._layout.shaped(self.points[number].split(self._layout.sizes))
                with torch.no_grad():
                    for name, leaf in leaves.items():
                        leaf.copy_(views[name])
            if len(self._leaves) > 1:
                self.put(number)
            yield number

    def put(self, number: int) -> None:
        """The network's parameters are those of one point."""
        leaves = self._leaves[number]
        for module, key, name in self._owners:
            setattr(module, key, leaves[name])  # recurrent layers notice it this way, and no other

    def collect(self) -> bool:
        """Moves the parameters' gradients into `gradients`, 0 where there is none; says whether
        there was any.
        """
        found_any = False
        for row, leaves in zip(self.gradients.unbind(), self._in_order, strict=True):
            found = [leaf.grad for leaf in leaves]
            present = [
                leaf.new_zeros(leaf.shape) if grad is None else grad
                for leaf, grad in zip(leaves, found, strict=True)
            ]
            self._layout.join(present, out=row)
            for leaf, grad in zip(leaves, found, strict=True):
                if grad is not None:
                    leaf.grad, found_any = None, True
        return found_any


def _give_hooks(own: nn.Parameter, leaf: nn.Parameter) -> None:
    """What a network does to the gradient of a parameter, it does to that of a point's."""
    for hook in (own._backward_hooks or {}).values():
        leaf.register_hook(hook)
    for hook in (getattr(own, "_post_accumulate_grad_hooks", None) or {}).values():
        leaf.register_post_accumulate_grad_hook(hook)
