"""One trial step of a network that is thrown away: what a first step would show after days is shown
before the first.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.errors import Diverged, InputError
from thalweg.meter import Meter, now
from thalweg.outputs import Classes, Loss, Outputs
from thalweg.seeds import seeded
from thalweg.training.calling import not_picked
from thalweg.training.loop import train
from thalweg.training.recipe import Recipe
from thalweg.trees import Inputs, described, gathered, rows, taken, tensors

_ROUNDING = 1e-3  # in the largest output: GPUs may round to ten bits


def evaluated(network: nn.Module, x: Inputs, kind: Outputs = Classes()) -> Tensor:  # noqa: B008  frozen
    """The network's outputs `[batch, outputs]`, of this kind.

    Raises:
        InputError: It can't evaluate these inputs, or gives something else.
    """
    mode = " in training mode" if network.training else ""
    return checked(attempted(network, x), rows(x), kind, mode)


def checked(outputs: Any, inputs: int, kind: Outputs, mode: str = "") -> Tensor:
    """Returns what a network gave for so many inputs; `mode` says in which mode it did.

    Raises:
        InputError: It is something else than outputs `[batch, outputs]` of this kind.
    """
    if not isinstance(outputs, Tensor):
        raise not_picked(outputs, where=f" for {inputs} inputs{mode}")
    kind.check_outputs(outputs, inputs, mode)
    return outputs


def attempted(network: nn.Module, x: Inputs) -> Any:
    """Whatever the network gives.

    Raises:
        InputError: It can't evaluate these inputs.
    """
    mode = " in training mode" if network.training else ""
    try:
        return network(x)
    except InputError:
        raise
    except Exception as error:  # a user's network may raise anything
        raise InputError(
            f"the network can't evaluate inputs of shape {described(x)}{mode}: "
            f"{_line(error)}{advice(network, x)}"
        ) from error


def advice(network: nn.Module, x: Inputs) -> str:
    """What to do about inputs of another precision than the network's, for an error's end; '' where
    that is not the reason.
    """
    dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), None)
    given = [part.dtype for part in tensors(x) if part.is_floating_point()]
    if dtype is None or all(one == dtype for one in given):
        return ""
    return f"; its weights are {dtype}: give inputs of that type, x.to({dtype})"


def trial_step(
    network: nn.Module,
    x: Inputs,
    y: Tensor,
    recipe: Recipe,
    loss: Loss | None,
    kind: Outputs = Classes(),  # noqa: B008  frozen
) -> float:
    """Trains a network for one step with a learning rate of 0, and says how many seconds that took.

    It warns where a part of the network gets no gradient, and where the loss changes from call to
    call.

    Args:
        network: On its device. It is not needed afterwards.
        x: A batch of inputs, as the loader gives it.
        y: Its targets.
        recipe: That of the trainings.
        loss: That of the trainings; the usual one of the outputs if None.
        kind: What the outputs mean.

    Raises:
        InputError: The step fails, in whatever way.
    """
    begin = now()
    try:
        with seeded(0, "inspection", "trial"):
            train(
                _Checked(network, kind),
                [(x, y)],
                replace(recipe, epochs=1.0, lr=0.0, final_lr=0.0),
                Meter(),
                loss=kind.loss(recipe.label_smoothing) if loss is None else _scalar(loss),
            )
    except InputError:
        raise
    except Diverged as error:
        raise InputError(
            f"at the start of a training {error}: is the network initialised well, and the loss "
            "right?"
        ) from error
    except Exception as error:  # a user's network or loss may raise anything
        raise InputError(
            f"one trial step raised {type(error).__name__} ({_line(error)}): mend the network or "
            "the loss, or choose another optimiser"
        ) from error
    seconds = now() - begin
    idle = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    if idle:
        more = f" and {len(idle) - 1} other parameters get" if len(idle) > 1 else " gets"
        warnings.warn(
            f"'{idle[0]}'{more} no gradient in a trial step: if that is so in every step, no "
            "training changes what is there; is there a detach() or torch.no_grad() behind it? Set "
            "requires_grad=False for what is meant to stay",
            stacklevel=5,
        )
    return seconds


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's parameters and buffers."""
    return {
        name: tuple(t.shape) for name, t in [*network.named_parameters(), *network.named_buffers()]
    }


def check_shapes(before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]) -> None:
    """Whether evaluations left a network's parameters and buffers as they were made.

    Raises:
        InputError: They did not.
    """
    name = next((n for n in [*after, *before] if after.get(n) != before.get(n)), None)
    if name is not None:
        raise InputError(
            f"an evaluation changed the shape of '{name}' from {before.get(name, 'nothing')} to "
            f"{after.get(name, 'nothing')}: make parameters and buffers in __init__ with their "
            "final shapes, and keep what depends on the inputs in plain attributes"
        )


def depends_on_batch(network: nn.Module, x: Inputs, kind: Outputs = Classes()) -> bool:  # noqa: B008  frozen
    """Whether what a network predicts for an example hangs on the others in its batch, as of batch
    norm without statistics.
    """
    if rows(x) < 3:
        return False
    with torch.no_grad(), _evaluating(network):
        predicted = []
        for other in (1, 2):
            with seeded(0, "inspection", "batch"):
                predicted.append(evaluated(network, taken(x, [0, other]), kind)[0])
    return bool((predicted[0] - predicted[1]).abs().max() > _ROUNDING * predicted[0].abs().max())


def repeats(network: nn.Module, x: Inputs) -> bool:
    """Whether two evaluations in training mode, with the same seed, parameters and buffers, give
    the same outputs.
    """
    evaluations = []
    was_training = network.training
    network.train()
    for _ in range(2):
        state = {
            name: t.detach().clone()
            for name, t in [*network.named_parameters(), *network.named_buffers()]
        }
        with torch.no_grad(), seeded(0, "inspection", "again"):
            try:
                evaluations.append(functional_call(network, state, (two_or_more(x),)))
            except Exception:  # what is wrong with it, the trial step says
                return True
    network.train(was_training)
    same = (
        all(isinstance(outputs, Tensor) for outputs in evaluations)
        and evaluations[0].shape == evaluations[1].shape
    )
    return not same or bool(
        (evaluations[0] - evaluations[1]).abs().max() <= _ROUNDING * evaluations[0].abs().max()
    )


def two_or_more(x: Inputs) -> Inputs:
    """Inputs, of which a single one is taken twice."""
    return x if rows(x) > 1 else gathered(torch.cat, [x, x])


def check_single(network: nn.Module, x: Inputs) -> None:
    """Batch norm of vectors has no variance in a batch of one example.

    Raises:
        InputError: The network can't be trained on one example `[1, ...]`.
    """
    try:
        with torch.no_grad(), seeded(0, "inspection", "single"):
            network.train()(x)
    except ValueError as error:
        raise InputError(
            "a batch of the training loader has one example, on which this network can't be "
            f"trained ({error}): choose another batch size, or drop_last=True"
        ) from None


class _Checked(nn.Module):
    """A network whose outputs are looked at."""

    def __init__(self, network: nn.Module, kind: Outputs) -> None:
        super().__init__()
        self.network, self.kind = network, kind

    def forward(self, x: Inputs) -> Tensor:
        outputs = evaluated(self.network, x, self.kind)
        if not outputs.requires_grad:
            raise InputError(
                "the network's outputs have no graph of gradients in training mode: is there a "
                "detach() or torch.no_grad() in its forward?"
            )
        self.kind.check_scale(outputs)
        return outputs


def _scalar(loss: Loss) -> Callable[[Tensor, Tensor], Tensor]:
    def checked(outputs: Tensor, targets: Tensor) -> Tensor:
        value: Any = loss(outputs, targets)
        if not isinstance(value, Tensor) or value.dim():
            got = (
                f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            )
            raise InputError(
                f"loss(outputs, labels) gave {got}, needs a tensor without axes: give "
                "reduction='mean'"
            )
        if not value.requires_grad:
            raise InputError(
                "loss(outputs, labels) gave a number without a graph of gradients: is there a "
                "detach(), item() or torch.no_grad() in it?"
            )
        one, again = _twice(loss, outputs.detach(), targets)
        if abs(one - again) > _ROUNDING * abs(one):
            warnings.warn(
                f"loss(outputs, labels) gave {one:.6g} and, after the same seed, {again:.6g} for "
                "the same outputs and labels: it counts its calls, or draws from a generator of "
                "its own, so that no training can be done again; let it depend on its arguments "
                "and the global generators alone",
                stacklevel=9,
            )
        return value

    return checked


def _twice(loss: Loss, outputs: Tensor, targets: Tensor) -> list[float]:
    """The loss of the same outputs and labels after the same seed, two times."""
    losses = []
    for _ in range(2):
        with seeded(0, "inspection", "loss"):
            losses.append(
                float(loss(outputs.clone().requires_grad_().clone(), targets).detach())
            )  # no leaf: in place, too
    return losses


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
