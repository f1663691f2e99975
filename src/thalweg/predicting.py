"""Predict: from networks, or draws of them, to predictions."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.errors import InputError, whole
from thalweg.meter import Meter
from thalweg.outputs import Outputs
from thalweg.predictions import Predictions
from thalweg.seeds import Rewind, parts, seeded, seeded_loader
from thalweg.training.batches import Batches, Loader, shuffles
from thalweg.training.trial import advice
from thalweg.training.unlabelled import are_inputs, inputs_of
from thalweg.trees import Inputs, described, equal, moved, split
from thalweg.weights.behaviour import Behaviour
from thalweg.weights.distribution import Members, WeightDistribution
from thalweg.weights.masks import Masks, active
from thalweg.weights.point import Weights


class Evaluable(Protocol):
    """What evaluating trained networks needs of their problem: a `Problem`, or an
    `Architecture`, which has no training set.
    """

    @property
    def meter(self) -> Meter:
        """It counts the work."""

    @property
    def outputs(self) -> Outputs:
        """Returns what the networks' outputs mean."""

    @property
    def seed(self) -> int:
        """The seed of what is random in an evaluation."""

    @property
    def device(self) -> str:
        """Where networks are evaluated."""

    @property
    def example(self) -> Inputs:
        """Two inputs `[2, ...]`, as networks read them."""

    @property
    def behaviour(self) -> Behaviour:
        """Returns what a network was seen to do."""

    def build(self, *name: str | int) -> nn.Module:
        """A new network, initialised for a purpose."""

    def network(self, weights: Weights) -> nn.Module:
        """A new network with given weights."""

    def refresh(self, network: nn.Module, points: Sequence[Weights]) -> list[Weights]:
        """The same points with batch-norm statistics."""


def predict(
    problem: Evaluable,
    networks: WeightDistribution | Weights,
    inputs: Loader | Inputs,
    *,
    draws: int | None = None,
    seed: int = 0,
) -> Predictions:
    """Predicts with draws from a weight distribution.

    Batch-norm statistics are refreshed at every draw that has none, on the problem's training
    batches (metered).

    Args:
        problem: Architecture, training set and meter.
        networks: What an explorer returned, or one network's weights.
        inputs: Inputs `[inputs, ...]` in the shape of the training inputs (a tensor or a NumPy
            array, or a tuple or a dictionary of these), or a loader in fixed order that gives
            batches of inputs, or of pairs whose first is inputs.
        draws: How many; None for all members of a finite distribution, else 32.
        seed: Seed of the draws.

    Returns:
        Predictions `[draws, inputs, classes]`, or outputs in their units, on the CPU.

    Raises:
        InputError: The loader is empty, shuffles or augments, or outputs are not finite.
    """
    if isinstance(networks, Weights):
        networks = Members((networks,))
    if not isinstance(networks, WeightDistribution):
        raise InputError(
            f"predict got a {type(networks).__name__}, needs what an explorer returned, Weights, "
            "or Members((w1, w2, ...))"
        )
    loader = in_batches(inputs, problem.example)
    if isinstance(loader, Batches):
        loader = loader.to(problem.device)
    network = problem.build("network")
    with problem.meter.clock():
        groups = _grouped(sample(problem, networks, draws, seed=seed))
        return Predictions(
            _joined([_evaluate(problem, network, group, loader) for group in groups], 0),
            outputs=problem.outputs,
        )


def sample(
    problem: Evaluable, distribution: WeightDistribution, draws: int | None = None, *, seed: int = 0
) -> Iterator[Weights]:
    """Draws weights that are ready to predict: batch-norm statistics are refreshed where they are
    not valid (metered).

    To predict on several sets of inputs, keep the draws, which are then refreshed once:
    `Members(tuple(sample(problem, distribution)))`.

    Args:
        problem: Architecture, training set and meter.
        distribution: What an explorer returned.
        draws: How many; None for all members of a finite distribution, else 32.
        seed: Seed of the draws.
    """
    if draws is not None:
        whole("draws", draws, 1)
    network = problem.build("network")
    for group in _grouped(distribution.draw(draws or distribution.size or 32, seed=seed)):
        new = [weights for weights in group if weights.buffers is None]
        refreshed = iter(problem.refresh(network, new) if new else [])
        for weights in group:
            yield weights if weights.buffers is not None else next(refreshed)


def _grouped(drawn: Iterator[Weights], limit: int = 2**30) -> Iterator[list[Weights]]:
    """Draws that are worked on in one pass over the data: as many as their parameters fit in so
    many bytes, one at least.
    """
    group: list[Weights] = []
    size = 0
    for weights in drawn:
        bytes_needed = sum(p.numel() * p.element_size() for p in weights.params.values())
        if group and size + bytes_needed > limit:
            yield group
            group, size = [], 0
        group.append(weights)
        size += bytes_needed
    if group:
        yield group


def _evaluate(
    problem: Evaluable, network: nn.Module, group: Sequence[Weights], loader: Iterable[Any]
) -> Tensor:
    """What is stored of each draw `[draws, inputs, columns]`, in one pass over the data for all
    draws.
    """
    states = [weights.placed(network) for weights in group]
    network.eval()
    evaluated = []
    with torch.no_grad(), seeded(problem.seed, "predict"):
        for number, batch in enumerate(loader):
            x = moved(inputs_of(batch, problem.example), problem.device)
            rewind = Rewind()
            outputs = torch.stack(
                [
                    outputs_of(network, state, x, rewind, weights.masks, number, problem.behaviour)
                    for weights, state in zip(group, states, strict=True)
                ]
            )
            problem.meter.forward(outputs)
            evaluated.append(problem.outputs.store(outputs).cpu())
    stored = _joined(evaluated, 1) if evaluated else torch.empty(0, 0)
    if not stored.shape[1]:
        raise InputError("the loader to predict on is empty: it gave no inputs")
    if not math.isfinite(
        stored.sum(dtype=torch.float64)
    ):  # in one pass, without a tensor of truths
        raise InputError(
            "the network's outputs are not finite on these inputs: are there NaN among them, or "
            "did it diverge?"
        )
    return stored


def _joined(parts: list[Tensor], axis: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, axis)


def in_batches(inputs: Any, like: Inputs | None) -> Any:
    """Inputs as a loader: inputs themselves in parts, a loader as it is.

    Args:
        inputs: As in `predict`.
        like: Inputs of the training set, whose parts they must have.

    Raises:
        InputError: They have other parts, or a loader shuffles or augments.
    """
    if are_inputs(inputs, like):
        return split(inputs_of(inputs, like), 256)
    check_order(inputs, like)
    return inputs


def check_order(loader: Any, like: Inputs | None) -> None:
    """Checks that a loader gives known inputs in fixed order: by what it is and, of a user's own,
    by its first batch, read twice.

    Args:
        loader: A loader, or inputs.
        like: Inputs of the training set, whose parts its batches must have.

    Raises:
        InputError: It shuffles or augments.
    """
    if shuffles(loader):
        raise InputError(
            "the loader to predict on shuffles: predictions would not belong to known inputs; "
            "give shuffle=False"
        )
    for part in parts(loader):
        if isinstance(part, Batches) and part.augment is not None:
            raise InputError(
                "the loader to predict on augments: predictions would be those of changed "
                "inputs; give augment=None"
            )
    if are_inputs(loader, like) or isinstance(
        loader, Batches | list | tuple | Iterator
    ):  # the latter can be read once only
        return
    one, other = (_first(loader, purpose, like) for purpose in ("one", "other"))
    if one is not None and other is not None and not equal(one, other):
        raise InputError(
            "the loader to predict on gives other inputs after another seed: it shuffles or "
            "augments, and predictions would not belong to known inputs; give shuffle=False, "
            "and data without random changes"
        )


def _first(loader: Any, purpose: str, like: Inputs | None) -> Inputs | None:
    with seeded(0, "check of order", purpose), seeded_loader(loader, 0, "check of order", purpose):
        return next((inputs_of(batch, like) for batch in loader), None)


def outputs_of(
    network: nn.Module,
    state: dict[str, Tensor],
    x: Inputs,
    rewind: Rewind,
    masks: Masks | None,
    batch: int,
    behaviour: Behaviour = Behaviour(),  # noqa: B008  frozen
) -> Tensor:
    """A network's outputs for a batch with the parameters and buffers given, and random states as
    they were at first.

    Raises:
        InputError: The network can't evaluate it.
    """
    rewind()  # a network that is random even in evaluation mode is so in the same way at every draw
    with nullcontext() if masks is None else active(network, masks, batch, behaviour):
        try:
            return functional_call(network, state, (x,))
        except InputError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            message = " ".join(str(error).split())[:200]
            raise InputError(
                f"the network can't evaluate inputs of shape {described(x)}: "
                f"{message}{advice(network, x)}"
            ) from None
