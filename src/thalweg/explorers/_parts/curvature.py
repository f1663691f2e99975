"""The generalised Gauss-Newton matrix of a network's last layer.

With the features f `[features]` of an input, and the Hessian H `[outputs, outputs]` of its loss in
the outputs (`Outputs.hessian`), it is the sum over inputs of H (x) f f'. The outputs are linear in
the last layer, so it is the Hessian itself.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

OutputHessian = Callable[[Tensor], Tensor]


def curvature(
    evaluated: Iterable[tuple[Tensor, Tensor]], hessian: OutputHessian, together: int = 2048
) -> Tensor:
    """The matrix `[d, d]` in double precision, d = outputs x features, output by output.

    Args:
        evaluated: Batches of features `[batch, features]` and outputs `[batch, outputs]`; one at
            least.
        hessian: The Hessian of each input's loss in its outputs.
        together: The number of inputs that are added at once: each time, half of the matrix goes
            through memory.
    """
    blocks = torch.empty(0)
    for features, outputs in _joined(evaluated, together):
        n, classes = features.shape[1], outputs.shape[1]
        if not len(blocks):
            blocks = features.new_zeros(classes, n, classes, n)
        weights, product = hessian(outputs), features.new_empty(n, n)
        for a in range(classes):
            for b in range(a, classes):
                torch.mm(features.mT, features * weights[:, a, b, None], out=product)
                blocks[a, :, b, :] += product
    for a in range(len(blocks)):
        for b in range(a):
            blocks[a, :, b, :] = blocks[b, :, a, :]  # a block is symmetric itself
    return blocks.flatten(2).flatten(0, 1)


def _joined(
    evaluated: Iterable[tuple[Tensor, Tensor]], together: int
) -> Iterator[tuple[Tensor, Tensor]]:
    held: list[tuple[Tensor, Tensor]] = []
    for features, outputs in evaluated:
        held.append((features, outputs))
        if sum(len(f) for f, _ in held) >= together:
            yield _cat(held)
            held = []
    if held:
        yield _cat(held)


def _cat(held: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat([f for f, _ in held]).double(), torch.cat([o for _, o in held]).double()
