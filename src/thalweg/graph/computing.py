"""How operations that compute pass on the labels of channels: layers, products, reductions."""

import re
from typing import Any

from torch import Tensor

from thalweg.graph.axes import Along, Axes, Given, Rule
from thalweg.graph.labels import Array, fixed


def elementwise(axes: Axes, tensors: list[Tensor], out: Tensor) -> Along:
    """Where several tensors meet, their channels are the same."""
    result: list[Array] = []
    known = [axes.of(tensor) for tensor in tensors]
    for dim in range(-out.dim(), 0):
        meeting = [along[dim] for along in known if len(along) >= -dim]
        full = [labels for labels in meeting if len(labels) == out.shape[dim]]
        if not full:
            result.append(fixed(out.shape[dim]))
            continue
        result.append(full[0])
        for labels in meeting:
            axes.join(full[0], labels) if len(labels) == len(full[0]) else axes.fix(labels)
    return tuple(result)


def _like(axes: Axes, given: Given, out: Tensor) -> Along:
    return axes.of(given["self"] if "self" in given else given["input"])


def _likes(axes: Axes, given: Given, out: Any) -> list[Along]:
    along = axes.of(given["self"] if "self" in given else given["input"])
    return [along] * len(out)


def _new(axes: Axes, given: Given, out: Tensor) -> Along:
    """Zeros, ones or noise: as many as there will be."""
    return tuple(axes.labels.new(size) for size in out.shape)


def _reduced(axes: Axes, given: Given, out: Any) -> Any:
    if given.get("other") is not None:  # the larger of two
        return elementwise(axes, [given["self"], given["other"]], out)
    along = axes.of(given["self"])
    dims = given.get("dim")
    if dims is None or dims == []:
        dims = range(len(along))
    chosen = {dim % max(len(along), 1) for dim in ([dims] if isinstance(dims, int) else dims)}
    result = tuple(
        fixed(1) if dim in chosen else labels
        for dim, labels in enumerate(along)
        if dim not in chosen or given.get("keepdim")
    )
    return result if isinstance(out, Tensor) else [result] * len(out)


def _ordered(axes: Axes, given: Given, out: Any) -> Any:
    """What depends on the order along an axis, or chooses there."""
    along = list(axes.of(given["self"]))
    axes.fix(along[given.get("dim", -1)])
    shape = (out if isinstance(out, Tensor) else out[0]).shape
    along[given.get("dim", -1)] = fixed(shape[given.get("dim", -1)])
    return tuple(along) if isinstance(out, Tensor) else [tuple(along)] * len(out)


def _contract(axes: Axes, one: Tensor, dim: int, other: Tensor, other_dim: int) -> None:
    """Joins the axes that a product sums over, which are the inputs of whichever is a weight."""
    axes.join(axes.of(one)[dim], axes.of(other)[other_dim])
    for tensor, axis in ((one, dim), (other, other_dim)):
        source = axes.source(tensor)
        if source is not None:
            axes.fans.setdefault(source, axes.of(tensor)[axis])


def _linear(axes: Axes, given: Given, out: Tensor) -> Along:
    x, weight, bias = given["input"], given["weight"], given.get("bias")
    _contract(axes, x, -1, weight, 1)
    outputs = axes.of(weight)[0]
    axes.made.append(outputs)
    if bias is not None:
        axes.join(outputs, axes.of(bias)[0])
    return *axes.of(x)[:-1], outputs


def _product(axes: Axes, given: Given, out: Tensor) -> Along:
    """`mm`, `bmm`, `mv` and `dot`, with something added or without."""
    first = next(given[key] for key in ("mat1", "batch1", "mat", "self") if key in given)
    second = next(
        given[key] for key in ("mat2", "batch2", "vec2", "vec", "tensor", "other") if key in given
    )
    rank = second.dim()
    _contract(axes, first, -1, second, -1 if rank == 1 else -2)
    result = list(axes.of(first)[:-1])
    if rank > 1:
        result.append(axes.of(second)[-1])
    axes.made += result[-1:]
    summed = axes.of(first)[-1]
    if rank == 3:
        axes.join(axes.of(first)[0], axes.of(second)[0])
    if first is not given["self"]:
        added = axes.of(given["self"])
        for one, labels in zip(reversed(result), reversed(added), strict=False):
            axes.join(one, labels) if len(one) == len(labels) else axes.fix(labels)
    axes.sum_over(out, summed)
    return tuple(result)


def _convolution(axes: Axes, given: Given, out: Tensor) -> Along:
    x, weight, bias = axes.of(given["input"]), axes.of(given["weight"]), given.get("bias")
    axes.fix(*x[2:], *weight[2:])
    groups, transposed = given["groups"], given["transposed"]
    source = axes.source(given["weight"])
    if groups == 1:
        axes.join(x[1], weight[0] if transposed else weight[1])
        outputs = weight[1] if transposed else weight[0]
    else:
        each = axes.labels.new(groups)
        if source is not None:
            each = axes.groups.setdefault(source, each)
        axes.arrays.append(each)
        if transposed:
            axes.join(x[1], weight[0])
            outputs = axes.merged(each, weight[1])
            axes.grid(x[1], each, axes.labels.new(len(x[1]) // groups))
        else:
            axes.grid(x[1], each, weight[1])
            inside = len(weight[0]) // groups
            axes.grid(weight[0], each, axes.labels.new(inside) if inside > 1 else fixed(1))
            outputs = weight[0]
        if len(weight[1]) == 1:
            axes.fix(weight[1])
    if source is not None:
        axes.fans.setdefault(source, weight[1])
    axes.made.append(outputs)
    if bias is not None:
        axes.join(outputs, axes.of(bias)[0])
    return x[0], outputs, *(fixed(size) for size in out.shape[2:])


def _channel_norm(axes: Axes, given: Given, out: Any) -> Any:
    """Batch, instance and group norm: along the second axis."""
    along = axes.of(given["input"])
    for name in ("weight", "bias", "running_mean", "running_var"):
        if given.get(name) is not None:
            axes.join(along[1], axes.of(given[name])[0])
    return along


def _last_norm(axes: Axes, given: Given, out: Any) -> Any:
    """Layer norm and RMS norm: along the last axes."""
    along = axes.of(given["input"])
    for name in ("weight", "bias"):
        if given.get(name) is not None:
            own = axes.of(given[name])
            for one, labels in zip(along[len(along) - len(own) :], own, strict=True):
                axes.join(one, labels)
    return along


def _attention(axes: Axes, given: Given, out: Tensor) -> Along:
    query, key, value = (axes.of(given[name]) for name in ("query", "key", "value"))
    if given.get("enable_gqa"):
        raise NotImplementedError
    mask = given.get("attn_mask")
    if mask is not None:
        axes.fix(*axes.of(mask))
    axes.join(query[-1], key[-1])
    axes.join(key[-2], value[-2])
    for one, other, third in zip(query[:-2], key[:-2], value[:-2], strict=True):
        axes.join(one, other)
        axes.join(one, third)
    return *query[:-1], value[-1]


def _embedding(axes: Axes, given: Given, out: Any) -> Any:
    table, indices = axes.of(given["weight"]), axes.of(given["indices"])
    axes.fix(table[0], *indices)
    axes.made.append(table[1])
    source = axes.source(given["weight"])
    if source is not None:
        axes.tables.add(source)
    if isinstance(out, Tensor):
        return *indices, table[1]
    return [
        (*(fixed(size) for size in out[0].shape[:-1]), table[1]),  # a bag's sum
        *(tuple(fixed(size) for size in part.shape) for part in out[1:]),
    ]


def _pooled(axes: Axes, given: Given, out: Any, first: int = 2) -> Any:
    """An image of another size."""
    along = axes.of(given["self"] if "self" in given else given["input"])
    shape = (out if isinstance(out, Tensor) else out[0]).shape
    spatial = int(re.findall(r"(\d)d", given["name"])[0])
    axes.fix(*along[-spatial:])
    result = *along[:-spatial], *(fixed(size) for size in shape[-spatial:])
    return result if isinstance(out, Tensor) else [result] * len(out)


def _sampled(axes: Axes, given: Given, out: Tensor) -> Along:
    along = axes.of(given["input"])
    axes.fix(*along[2:], *axes.of(given["grid"]))
    return *along[:2], *(fixed(size) for size in out.shape[2:])


def _weight_norm(axes: Axes, given: Given, out: Any) -> Any:
    direction, length, dim = axes.of(given["v"]), axes.of(given["g"]), given.get("dim", 0)
    axes.join(direction[dim], length[dim])
    source = axes.source(given["v"])
    if source is not None and len(direction) > 1:
        axes.fans.setdefault(source, direction[1 if dim == 0 else 0])
    return direction if isinstance(out, Tensor) else [direction, length]


_NEW = "zeros ones full empty rand randn new_zeros new_ones new_full new_empty"
_LIKE = """
    zeros_like ones_like full_like empty_like rand_like randn_like bernoulli normal uniform
    detach alias clone contiguous _to_copy lift_fresh lift_fresh_copy fill zero random
    exponential softmax _softmax log_softmax _log_softmax tril triu dropout isnan
"""
_REDUCED = """
    sum mean amax amin var std prod linalg_vector_norm norm logsumexp max min argmax argmin any all
    var_mean std_mean nansum nanmean
"""
_POOLED = ("max_pool", "avg_pool", "adaptive", "reflection_pad", "replication_pad", "upsample_")
ELEMENTWISE = {"copy", "masked_fill", "_prelu_kernel", "rrelu_with_noise", "addcmul", "addcdiv"}
"""Operations on each number that torch does not mark as such."""

COMPUTING: dict[str, Rule] = {
    **dict.fromkeys(_NEW.split(), _new),
    **dict.fromkeys(_LIKE.split(), _like),
    "native_dropout": _likes,
    **dict.fromkeys(_REDUCED.split(), _reduced),
    **dict.fromkeys(("cumsum", "cumprod", "sort", "topk"), _ordered),
    "linear": _linear,
    **dict.fromkeys(["mm", "bmm", "mv", "dot", "vdot", "addmm", "baddbmm", "addmv"], _product),
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    **dict.fromkeys(("batch_norm", "instance_norm", "group_norm"), _channel_norm),
    **dict.fromkeys(("layer_norm", "rms_norm"), _last_norm),
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("embedding", "embedding_bag"), _embedding),
    "grid_sampler": _sampled,
    **dict.fromkeys(("_weight_norm", "_weight_norm_interface"), _weight_norm),
}


def computing(name: str) -> Rule | None:
    """The rule of an operation, by its name."""
    if name.startswith(_POOLED):
        return _pooled
    return COMPUTING.get(name)
