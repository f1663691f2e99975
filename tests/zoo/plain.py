"""Plain PyTorch, as independent truth: what a network gives with given weights, what its statistics
are, what it evaluated.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.weights.point import Weights

Norm = nn.modules.batchnorm._NormBase  # batch and instance norms


@dataclass
class Seen:
    """What a hook counted, in examples, and the batches that it saw.

    Attributes:
        backward: Evaluations that a gradient came back to.
        forward: The others.
        batches: Inputs of evaluations in training mode without gradients.
    """

    evaluated: int = 0
    backward: int = 0
    batches: list[Tensor] = field(default_factory=list)

    @property
    def forward(self) -> int:
        return self.evaluated - self.backward


@contextmanager
def watch() -> Iterator[Seen]:
    """Counts what marked modules evaluate inside, by one hook over all of torch, so that no module
    changes.
    """
    seen = Seen()

    def count(module: nn.Module, given: tuple[Tensor, ...], output: Any) -> None:
        output = among(output)
        if not getattr(module, "is_marked", False) or not isinstance(output, Tensor):
            return
        seen.evaluated += len(output)
        if output.requires_grad:
            output.register_hook(
                lambda gradient: setattr(seen, "backward", seen.backward + len(gradient))
            )
        elif module.training:
            seen.batches.append(given[0].clone())

    hook = nn.modules.module.register_module_forward_hook(count)
    try:
        yield seen
    finally:
        hook.remove()


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside of DataParallel and torch.compile."""
    inner = getattr(module, "_orig_mod", module)
    return inner.module if isinstance(inner, nn.DataParallel) else inner


def marked(module: nn.Module) -> nn.Module:
    """The same module, which `watch` then counts."""
    if not isinstance(module, torch.jit.ScriptModule):
        unwrapped(module).is_marked = True
    return module


def loaded(make: Callable[[], nn.Module], weights: Weights, x: Tensor) -> nn.Module:
    """A new network with given weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        module = make().eval()
        if weights.params.keys() != dict(module.named_parameters()).keys():
            module = unwrapped(module)
        if any(isinstance(p, nn.UninitializedParameter) for p in module.parameters()):
            module(x)
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    given = {
        **weights.params,
        **((weights.stale if weights.buffers is None else weights.buffers) or {}),
    }
    assert own.keys() == given.keys(), own.keys() ^ given.keys()
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given[name])
    return module


def logits(module: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return among(module(x))


def among(outputs: Any) -> Any:
    """The logits among outputs by name; anything else as it is."""
    return outputs["logits"] if isinstance(outputs, dict) else outputs


def probs(module: nn.Module, x: Tensor) -> Tensor:
    return logits(module, x).softmax(-1)


def close(found: Tensor, expected: Tensor, what: str, tolerance: float = 1e-4) -> None:
    """Equal within rounding."""
    if expected.numel():
        apart, size = (
            float(t.abs().max()) for t in (found.double() - expected.double(), expected.double())
        )
        assert apart <= tolerance * (1 + size), f"{what} differ by {apart:.3g}"


def check_refreshed(
    make: Callable[[], nn.Module],
    drawn: Weights,
    ready: Weights,
    batches: Sequence[Tensor],
    *,
    random: bool,
) -> None:
    """The buffers of a point where nobody trained are those that plain PyTorch finds there on the
    same batches.

    Running statistics are averages over all batches, as in `torch.optim.swa_utils.update_bn`, of
    all norms that are in training mode when the network is; the others stay. Any other buffer that
    evaluations in training mode change must have changed.
    """
    module = loaded(make, drawn, batches[0]).train()
    norms = {
        f"{name}.": m
        for name, m in module.named_modules()
        if isinstance(m, Norm) and m.track_running_stats and m.training
    }
    before = {name: b.clone() for name, b in module.named_buffers()}
    for norm in norms.values():
        norm.reset_running_stats()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for number, batch in enumerate(batches):
            for norm in norms.values():
                norm.momentum = (
                    None if isinstance(norm, nn.modules.batchnorm._BatchNorm) else 1 / (number + 1)
                )
            module(batch)
    for name, b in module.named_buffers():
        own = any(name.startswith(norm) for norm in norms)
        if own and not random and not name.endswith("num_batches_tracked"):
            close(ready.buffers[name], b, f"refreshed '{name}'")
        elif not own and torch.equal(b, before[name]):
            close(ready.buffers[name], b, f"'{name}', which nothing changes,")
        elif not name.endswith("num_batches_tracked") and b.is_floating_point():
            assert not torch.equal(ready.buffers[name], before[name]), (
                f"'{name}' is that of another point"
            )


def watchable(make: Callable[[], nn.Module]) -> bool:
    """Whether a mark on a network is seen (not where it is wrapped or scripted), and counts nothing
    but the work (not lazy).
    """
    with torch.random.fork_rng(devices=[]):
        module = make()
    is_lazy = any(nn.parameter.is_lazy(tensor) for tensor in module.parameters())
    return (
        unwrapped(module) is module
        and not is_lazy
        and not isinstance(module, torch.jit.ScriptModule)
    )
