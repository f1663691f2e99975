"""Points of a landscape as the parameters of one network.

They are set as vectors, evaluated in turn, and their gradients are read as vectors.
"""

from collections.abc import Iterator

import torch
from torch import nn

from thalweg.weights.layout import Layout


class Leaves:
    """A network at several points.

    Each point has parameters of its own, which are views of a row of `points`.

    Args:
        network: The network whose trained parameters are replaced by those of the points.
        layout: The layout of these parameters.
        points: The number of points.

    Attributes:
        points: `[points, n_params]`; change it in place, outside of any graph of gradients.
        gradients: The gradients that `collect` read last `[points, n_params]`. The memory is kept,
            because new memory of this size at every step is slow to get.
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
        originals = dict(network.named_parameters())
        for leaves in self._leaves:
            for name, leaf in leaves.items():
                _give_hooks(originals[name], leaf)
        self._in_order = [list(leaves.values()) for leaves in self._leaves]
        # not where a network has parameters of several types
        self._are_views = all(dtype == start.dtype for dtype in layout.dtypes)
        self.put(0)

    def each(self) -> Iterator[int]:
        """Puts one point after the other into the network, and yields their numbers."""
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
        """Makes the parameters of one point the network's."""
        leaves = self._leaves[number]
        for module, key, name in self._owners:
            setattr(module, key, leaves[name])  # recurrent layers notice it this way, and no other

    def collect(self) -> bool:
        """Moves the parameters' gradients into `gradients`, with 0 where there is none.

        Returns:
            Whether there was any gradient.
        """
        any_gradient = False
        for row, leaves in zip(self.gradients.unbind(), self._in_order, strict=True):
            gradients = []
            for leaf in leaves:
                any_gradient |= leaf.grad is not None
                gradients.append(leaf.new_zeros(leaf.shape) if leaf.grad is None else leaf.grad)
                leaf.grad = None
            self._layout.join(gradients, out=row)
        return any_gradient


def _give_hooks(original: nn.Parameter, leaf: nn.Parameter) -> None:
    """Gives a point's parameter the gradient hooks of the network's."""
    for hook in (original._backward_hooks or {}).values():
        leaf.register_hook(hook)
    for hook in (getattr(original, "_post_accumulate_grad_hooks", None) or {}).values():
        leaf.register_post_accumulate_grad_hook(hook)
