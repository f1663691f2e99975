"""A user's own training function: what it must be, and one training by it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.errors import Diverged, InputError, TrainingFailed
from thalweg.meter import Meter
from thalweg.training.building import unwrapped
from thalweg.training.given import given_networks
from thalweg.training.watching import Evaluations, watched
from thalweg.weights.point import Weights

TrainFunction = Callable[..., Any]
"""From a module and seeds. It trains the module in place, or returns the trained one."""

_APART = ("order", "augmentation", "dropout", "data")
_SEED = "seed"
NOTHING = (
    "this trains a network, and the problem has trained networks alone: give train_loader= and "
    "recipe= (or train=, a function that trains) beside networks="
)
_MOST = 2**31  # NumPy's legacy generator takes no larger seed than 2**32 - 1


def seeds_of(function: Any) -> tuple[str, ...]:
    """The names of the seeds that a training function takes: `("seed",)`, or sources of randomness
    apart, such as `("order", "augmentation")`.

    Raises:
        InputError: It is no function of a module and such seeds.

    Example:
        >>> seeds_of(lambda module, seed: None), seeds_of(lambda network, order, data: None)
        (('seed',), ('order', 'data'))
    """
    needs = (
        "needs a function train(module, seed), or one of the module and some of order, "
        "augmentation, dropout, data"
    )
    if isinstance(function, nn.Module | type) or not callable(function):
        raise InputError(f"train got a {type(function).__name__}, {needs}")
    try:
        first, *rest = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin, or a function without arguments
        raise InputError(f"train got {function!r}, {needs}") from None
    needed = [
        p for p in rest if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    # one that has a value, by default or bound by a partial, may be a data set called `data`
    # (and dropout=0 is a rate)
    free = needed or [
        p for p in rest if p.name != "dropout" and (p.default is None or isinstance(p.default, int))
    ]
    named = tuple(p.name for p in free if p.name in (_SEED, *_APART))
    if not needed and _SEED in named:
        named = (_SEED,)
    if not named and len(needed) == 1 and needed[0].kind is not inspect.Parameter.KEYWORD_ONLY:
        name = needed[0].name.lower()
        if len(name) == 1 or any(part in name for part in (_SEED, "random", "rng")):
            return (_SEED,)  # by another name
    others = [p for p in needed if p.name not in named]
    mixed = _SEED in named and len(named) > 1
    if others or mixed or not named or first.kind is first.KEYWORD_ONLY:
        got = ", ".join(p.name for p in (first, *rest))
        raise InputError(f"train got a function of ({got}), {needs}; a partial binds the others")
    return named


def trains_nothing(module: nn.Module, seed: int) -> None:
    """Stands for the training function of a problem of trained networks alone.

    Raises:
        InputError: Always.
    """
    raise InputError(NOTHING)


def check_sources_of(named: Sequence[str], sources: Sequence[str]) -> None:
    """Checks that a training function can draw anew what it shall, and nothing else.

    Args:
        named: The seeds that it takes, as `seeds_of` gives them.
        sources: What a retraining draws anew.

    Raises:
        InputError: It can't be given a bootstrap or masks apart, or takes one seed where one of
            order and augmentation shall stay.
    """
    if "data" in sources and "data" not in named:
        raise InputError(
            "sources got 'data' with a training function that takes no seed of that name: let it "
            "take one, train(module, order, data), and draw a bootstrap by it"
        )
    if "dropout" in sources and "dropout" not in named:
        raise InputError(
            "sources got 'dropout' with a training function that takes no seed of that name: let "
            "it take one, train(module, order, dropout), or leave dropout out (masks are drawn "
            "with the order)"
        )
    if ("order" in sources) != ("augmentation" in sources) and _SEED in named:
        raise InputError(
            "sources got one of order and augmentation, and train(module, seed) can't tell them "
            "apart: name both or none, or let it take them apart, train(module, order, "
            "augmentation)"
        )
    if "augmentation" in sources and "order" not in sources and "augmentation" not in named:
        raise InputError(
            f"sources got 'augmentation' without 'order', and train(module, {', '.join(named)}) "
            "takes no seed of that name: let it take one"
        )


def train_by(
    function: TrainFunction,
    network: nn.Module,
    seeds: Mapping[str, int],
    meter: Meter,
    make: Callable[[], nn.Module],
) -> Weights:
    """Trains a network by a user's function.

    Its evaluations are counted by hooks, in whatever loop they are. What it returns beside a
    network, or a state dict, is ignored.

    Args:
        function: The user's.
        network: A new network, which is used up.
        seeds: The seeds that it takes, by name. It is given 31 bits of each.
        meter: Is charged, even where the training fails.
        make: Makes another network, for weights that the function returns.

    Returns:
        The trained network's weights, on the device and of the types that it had before.

    Raises:
        TrainingFailed: The function raised, changed nothing, evaluated something else than the
            module, or left other parameters than it got.
        Diverged: Weights are not finite afterwards.
    """
    before, real = Weights.of(network), torch.get_default_dtype()
    given = {name: seed % _MOST for name, seed in seeds.items()}
    evaluations = Evaluations()
    try:
        with watched(network) as evaluations, torch.enable_grad():
            result = _called(function, network, given)
    except Exception as error:  # a user's code may raise anything
        told = ", ".join(f"{name} {seed}" for name, seed in given.items())
        raise TrainingFailed(
            f"the training function raised {type(error).__name__} "
            f"({' '.join(str(error).split())[:300]}) in the training with {told}"
        ) from error
    finally:
        torch.set_default_dtype(real)
        meter.count(evaluations.with_graph, evaluations.without)
    trained = _returned(result, network, make)
    if not evaluations.with_graph:
        raise TrainingFailed(
            "the training function never evaluated the module that it was given with gradients, so "
            "that its work can't be counted: let it train that module, not another one"
        )
    return _as_before(trained, before)


def check_differs(k: int, weights: Weights, others: Mapping[int, tuple[Weights, Any]]) -> None:
    """Checks that a training is not one of the others once more.

    Raises:
        InputError: It has the same parameters as another.
    """
    for number, (other, _) in others.items():
        pairs = (
            (p.to(other.params[name].device), other.params[name])
            for name, p in weights.params.items()
        )
        if number != k and all(torch.equal(*pair) for pair in pairs):
            raise InputError(
                f"trainings {number} and {k} by the training function gave the same network: let "
                "it draw the order of its batches from its seed (torch.Generator().manual_seed("
                "seed)), or from torch's global generator, and not set a seed of its own"
            )


def _called(function: TrainFunction, network: nn.Module, given: Mapping[str, int]) -> Any:
    """The function's result; a seed that is alone is given by its place, where it can be."""
    places = [p for p in inspect.signature(function).parameters.values() if p.kind < p.KEYWORD_ONLY]
    by_place = list(given) == [_SEED] and len(places) > 1
    return function(network, given[_SEED]) if by_place else function(network, **given)


def _returned(result: Any, network: nn.Module, make: Callable[[], nn.Module]) -> Weights:
    """The weights of a network or a state dict that a training function returned, alone or among
    other things; else those of the network that it was given.
    """
    parts = list(result) if isinstance(result, tuple | list) else [result]
    needed = network.state_dict()
    networks = [
        part
        for part in parts
        if isinstance(part, nn.Module) or (isinstance(part, Mapping) and _has_weights(part, needed))
    ]
    if not networks or networks[0] is network:
        return Weights.of(network)
    if len(networks) > 1:
        raise TrainingFailed(
            f"the training function returned {len(networks)} networks, needs one: return the "
            "trained module, or nothing where it trained the one that it was given"
        )
    found: Any = networks[0]
    if isinstance(found, nn.Module) and unwrapped(found) is network:
        return Weights.of(network)
    if isinstance(found, nn.Module) and hasattr(found, "n_averaged"):  # torch's AveragedModel
        found = found.module
    try:
        (weights,) = given_networks([found], make())
    except InputError as error:
        raise TrainingFailed(f"what the training function returned: {error}") from None
    return weights


def _has_weights(given: Mapping[Any, Any], needed: Mapping[str, Any]) -> bool:
    """Whether a mapping is, or holds, a state dict of such a network, whatever wrappers' names come
    before those of its weights; a history of losses is none.
    """
    ends = {name.rpartition(".")[2] for name in needed}
    return any(
        _has_weights(value, needed)
        if isinstance(value, Mapping)
        else isinstance(value, Tensor) and str(name).rpartition(".")[2] in ends
        for name, value in given.items()
    )


def _as_before(trained: Weights, before: Weights) -> Weights:
    """Trained weights with the devices and types of those before."""
    parts: list[dict[str, Tensor]] = []
    for old, new in ((before.params, trained.params), (before.buffers, trained.buffers)):
        old, new = old or {}, new or {}
        wrong = next((n for n in [*old, *new] if _shape(old, n) != _shape(new, n)), None)
        if wrong is not None:
            raise TrainingFailed(
                f"the training function left '{wrong}' with the shape {_shape(new, wrong)}, and "
                f"got it with {_shape(old, wrong)}: it must return the module with the "
                "parameters and buffers that it was given"
            )
        parts.append({name: new[name].to(t.device, t.dtype) for name, t in old.items()})
    params, buffers = parts
    for name, tensor in (params | buffers).items():
        if not torch.isfinite(tensor).all():
            raise Diverged(
                f"the training function left '{name}' with numbers that are not finite: lower its "
                "learning rate, or clip gradients"
            )
    if all(torch.equal(tensor, before.params[name]) for name, tensor in params.items()):
        raise TrainingFailed(
            "the training function changed no parameter of the module that it was given: let it "
            "train that module in place, or return the trained one"
        )
    return replace(before, params=params, buffers=buffers)


def _shape(tensors: Mapping[str, Tensor], name: str) -> str:
    return str(tuple(tensors[name].shape)) if name in tensors else "nothing"
