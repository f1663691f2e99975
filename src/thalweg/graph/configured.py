"""Narrower networks of libraries whose networks are made from a configuration, by a smaller one.

Those of language-model libraries keep it as `config`, with the widths of all layers and the number
of heads; a network of the same class is made of a copy with smaller widths.
"""

import copy
import math
from typing import Any

import torch
from torch import nn

from thalweg.graph.watching import tensors
from thalweg.seeds import seeded

_WIDTHS = ("hidden_size", "n_embd", "d_model", "dim", "embed_dim")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads")
_INNER = (
    "intermediate_size", "n_inner", "ffn_dim", "hidden_dim", "d_ff", "encoder_ffn_dim",
    "decoder_ffn_dim", "embedding_size",
)  # fmt: skip
_ROUNDED = 0.2  # of the width ratio, as heads allow
_FEW, _ALIKE = 256, 0.5  # initial numbers whose deviation tells, and by how much it varies
_PER_HEAD = ("head_dim", "d_kv")
_HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called",
    "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs",
)  # fmt: skip


def by_config(network: nn.Module, width_ratio: float, example: Any) -> nn.Module | None:
    """A new network of the same class, made of a smaller configuration.

    Heads stay, and are smaller; where their size is even, it stays so. The other layers keep the
    fraction of their width that heads keep.

    Args:
        network: The whole network.
        width_ratio: The fraction of all widths that is kept.
        example: Two inputs or more, on which both are evaluated.

    Returns:
        None where the network has no such configuration, is not what its class makes of it (its
        factory froze a part, say), or where what is made of a smaller one has another width than
        was asked for, other layers or other outputs.
    """
    config = getattr(network, "config", None)
    widths = [name for name in _WIDTHS if isinstance(getattr(config, name, None), int)]
    if not widths:
        return None
    smaller = copy.deepcopy(config)
    heads = next((n for name in _HEADS if isinstance(n := getattr(config, name, None), int)), 1)
    for name in widths:
        whole = getattr(config, name)
        unit = heads * 2 if whole % (2 * heads) == 0 else heads
        setattr(smaller, name, unit * max(1, math.floor(whole / unit * width_ratio + 0.5)))
    kept = getattr(smaller, widths[0]) / getattr(config, widths[0])
    if not math.isclose(kept, width_ratio, rel_tol=_ROUNDED):
        return None
    for name in (*_INNER, *_PER_HEAD):
        whole = getattr(config, name, None)
        if isinstance(whole, int):
            setattr(smaller, name, max(1, math.floor(whole * kept + 0.5)))
    try:
        if not _as_made(network, type(network)(copy.deepcopy(config))):
            return None
        found = type(network)(smaller)
        for name in _HOOKS:  # by which it is called
            setattr(found, name, copy.copy(getattr(network, name)))
        same = _layers(found) == _layers(network) and all(
            _shapes(found, example, training=training)
            == _shapes(network, example, training=training)
            for training in (True, False)
        )
    except Exception:  # a class that is not made of its configuration alone may raise anything
        return None
    return found.train(network.training) if same else None


def _as_made(network: nn.Module, twin: nn.Module) -> bool:
    """Whether a network is as its class makes it: layers with their settings, what is trained, and
    initial values that are constants or random numbers of one size.
    """
    settings = [
        [(name, type(layer), layer.extra_repr()) for name, layer in either.named_modules()]
        for either in (network, twin)
    ]
    own, made = dict(network.named_parameters()), dict(twin.named_parameters())
    return (
        settings[0] == settings[1]
        and own.keys() == made.keys()
        and all(_alike(p, made[name]) for name, p in own.items())
    )


def _alike(one: nn.Parameter, other: nn.Parameter) -> bool:
    if one.requires_grad != other.requires_grad or one.shape != other.shape:
        return False
    (a, b), (c, d) = (
        (float(t.std(correction=0)), float(t.mean()))
        for t in (one.detach().float(), other.detach().float())
    )
    if not a or not c:
        return a == c and b == d
    return one.numel() < _FEW or abs(math.log(a / c)) < _ALIKE


def _layers(network: nn.Module) -> list[tuple[str, type[nn.Module]]]:
    return [(name, type(layer)) for name, layer in network.named_modules()]


def _shapes(network: nn.Module, example: Any, *, training: bool) -> list[torch.Size]:
    """The shapes of a network's outputs."""
    twin = copy.deepcopy(network).train(training)
    with seeded(0, "configured"), torch.no_grad():
        return [output.shape for output in tensors(twin(example))]
