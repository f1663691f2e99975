"""Mixed precision inside vmap, where torch's autocast does not reach.

There convolutions stay in single precision, and batch norm refuses what it gets (torch 2.13;
pytorch issues 192617 and 184890). As with autocast, products are taken in the lower precision and
normalisations in single precision; weights, statistics and gradients of weights stay in single
precision. What a normalisation gives has the type of what it got. Less than autocast does: softmax
and losses inside a network stay in the lower precision, and a layer that is one function for torch,
such as `nn.MultiheadAttention`, is not looked into and refuses mixed types.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_functional = nn.functional
PRODUCTS: frozenset[Any] = frozenset(
    {
        _functional.linear,
        torch.conv1d,
        torch.conv2d,
        torch.conv3d,
        torch.conv_transpose1d,
        torch.conv_transpose2d,
        torch.conv_transpose3d,
        torch.matmul,
        Tensor.matmul,
        Tensor.__matmul__,
        Tensor.__rmatmul__,
        torch.mm,
        Tensor.mm,
        torch.bmm,
        Tensor.bmm,
        torch.addmm,
        torch.baddbmm,
        torch.einsum,
        _functional.scaled_dot_product_attention,
    }
)
NORMS: frozenset[Any] = frozenset(
    {
        _functional.batch_norm,
        _functional.layer_norm,
        _functional.group_norm,
        _functional.instance_norm,
        _functional.rms_norm,
    }
)


@contextmanager
def mixed_inside_vmap(device: str) -> Iterator[None]:
    """Inside, autocast is off, and products go in its precision where it was on.

    To be used around vmap.

    Args:
        device: Type of the device, such as `cuda`.
    """
    if not torch.is_autocast_enabled(device):
        yield
        return
    with torch.autocast(device, enabled=False), _Mixed(torch.get_autocast_dtype(device)):
        yield


class _Mixed(TorchFunctionMode):
    def __init__(self, lower: torch.dtype) -> None:
        super().__init__()
        self.lower = lower

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in PRODUCTS:
            return func(
                *(_to(self.lower, a) for a in args),
                **{name: _to(self.lower, a) for name, a in kwargs.items()},
            )
        if func in NORMS:
            outputs = func(
                *(_to(torch.float32, a) for a in args),
                **{name: _to(torch.float32, a) for name, a in kwargs.items()},
            )
            return outputs.to(args[0].dtype) if args else outputs
        return func(*args, **kwargs)


def _to(dtype: torch.dtype, value: Any) -> Any:
    """A tensor of single or lower precision in a precision; everything else as it is.

    One that has it already is the same object: running statistics change in place.
    """
    if isinstance(value, list | tuple):
        return type(value)(_to(dtype, part) for part in value)
    if isinstance(value, Tensor) and value.dtype in (torch.float32, torch.bfloat16, torch.float16):
        return value.to(dtype)
    return value
