"""Networks that are there already: modules, weights, state dicts and files become weights of the
model.
"""

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thalweg import files
from thalweg.errors import InputError
from thalweg.outputs import Outputs
from thalweg.places import Place
from thalweg.seeds import seeded
from thalweg.training.batches import Loader
from thalweg.training.reading import first_batch
from thalweg.trees import moved
from thalweg.weights.point import Weights

Network = Weights | nn.Module | Mapping[str, Any] | str | Path
_COMPILED = "_orig_mod."  # torch.compile puts it before the names of what it wraps
_DEPTH = 2  # of state dicts in checkpoints


def given_networks(given: Any, network: nn.Module) -> tuple[Weights, ...]:
    """Trained networks of the user's as weights of the model, on its device.

    Args:
        given: One network or a sequence of them, as `Problem(networks=...)` takes it; None is none.
        network: A network of the model, which is used up.

    Raises:
        InputError: One is no network, can't be read, does not fit the model or is not finite; or
            two are the same.
    """
    many = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    many = [] if given is None else many
    weights, first = list[Weights](), dict[str, int]()
    for k, unread in enumerate(many):
        try:
            one = _weights(unread, network)
        except InputError as error:
            raise InputError(f"networks[{k}]: {error}") from None
        weights.append(one)
        twin = first.setdefault(name_of(Weights(one.params)), k)
        if twin < k:
            raise InputError(
                f"networks got the same network twice (numbers {twin} and {k}), needs different "
                "trainings: the same one again says nothing of what retraining changes"
            )
    return tuple(weights)


def name_of(weights: Weights) -> str:
    """A name of what is in weights, that no others have."""
    digest = hashlib.sha256()
    for name, tensor in {**weights.params, **(weights.buffers or {})}.items():
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name}{tuple(plain.shape)}{plain.dtype}".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:20]


def warn_of_weights(network: nn.Module, train: Loader, kind: Outputs) -> None:
    """Warns where a trained network's outputs on the first training batch look unlike the targets.

    Args:
        network: The network with its weights.
        train: The training set.
        kind: What the outputs mean.
    """
    device = next(network.parameters()).device
    x, y = first_batch(train, "first", kind=kind)
    with torch.no_grad(), seeded(0, "initial weights"):
        doubt = kind.doubt(y.to(device), network.eval()(moved(x, device)))
    if doubt:
        warnings.warn(doubt, stacklevel=4)


def _weights(given: Any, network: nn.Module) -> Weights:
    if isinstance(given, Weights):
        weights = given
    elif isinstance(given, nn.Module):
        weights = Weights.from_state(network, _fitting(given.state_dict(), network))
    elif isinstance(given, Mapping):
        weights = Weights.from_state(network, _chosen(given, network, "it"))
    elif isinstance(given, str | Path):
        state = _chosen(_read(files.given(given)), network, str(given))
        weights = Weights.from_state(network, state)
    else:
        raise InputError(
            f"got a {type(given).__name__}, needs a trained network: an nn.Module, its "
            "state_dict(), Weights, or the path of a file with one of these"
        )
    weights.load_into(network)  # which has the device and types that trainings have
    weights = Weights.of(network)
    for name, tensor in {**weights.params, **(weights.buffers or {})}.items():
        if not torch.isfinite(tensor).all():
            raise InputError(
                f"'{name}' is not finite: give a network whose training did not diverge"
            )
    return weights


def _read(path: Place) -> Mapping[str, Any]:
    """A file's content: a state dict, or what a trainer stored with one.

    Raises:
        InputError: It can't be read, or holds something else.
    """
    other = files.format_of(path)
    if other is not None and not other.is_checkpoint:
        raise InputError(
            f"{path} is {other.name}, needs safetensors or a checkpoint that torch.save wrote"
            f"{': ' if other.way else ''}{other.way}"
        )
    if other is not None:
        content = files.read_checkpoint(path)
        if not isinstance(content, Mapping):
            raise InputError(
                f"{path} holds a {type(content).__name__}, needs a state_dict(): store one with "
                "torch.save(network.state_dict(), path)"
            )
        return content
    tensors, metadata = files.read_tensors(path)
    if "kind" in metadata:
        raise InputError(
            f"{path} holds a {metadata['kind']} that thalweg.save wrote, needs a network: give "
            f"networks=thalweg.load('{path}').points"
        )
    return tensors


def _chosen(given: Mapping[str, Any], network: nn.Module, what: str) -> Mapping[str, Any]:
    """The state dict that a mapping is, or the only one in it that fits the network.

    Raises:
        InputError: None does, and it is not clear which one is meant; or several do.
    """
    found = {name: _fitting(state, network) for name, state in _state_dicts(given)}
    fit = [name for name, state in found.items() if _fits(state, network.state_dict())]
    if len(fit) > 1:
        raise InputError(
            f"{what} holds several networks that fit the model "
            f"({', '.join(repr(name) for name in fit)}): read it with torch.load(path, "
            "weights_only=True), and give the one that you mean"
        )
    if fit:
        return found[fit[0]]
    whole = [s for s in found.values() if all(isinstance(value, Tensor) for value in s.values())]
    if len(whole) == 1 or len(found) == 1:  # it is meant, and what does not fit is told
        return whole[0] if whole else next(iter(found.values()))
    if found:
        raise InputError(
            f"{what} holds several state dicts, none of which fits the model "
            f"({', '.join(repr(name) for name in found)}): give the one that you mean, of this "
            "very model"
        )
    keys = ", ".join(repr(str(key)) for key in list(given)[:12]) or "nothing"
    raise InputError(
        f"{what} holds no state_dict (it has {keys}): give network.state_dict(), or store it with "
        "torch.save(network.state_dict(), path)"
    )


def _state_dicts(given: Mapping[Any, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    """Returns what can be state dicts in a mapping, itself first, each with the keys that lead
    there.
    """
    named = all(isinstance(key, str) for key in given)
    if named and any(isinstance(value, Tensor) for value in given.values()):
        yield name, given
    if named and name.count(".") < _DEPTH:
        for key, value in given.items():
            if isinstance(value, Mapping):
                yield from _state_dicts(value, f"{name}.{key}".removeprefix("."))


def _fitting(state: Mapping[str, Any], network: nn.Module) -> Mapping[str, Any]:
    """A state dict under the names that the network has, where taking away wrappers' names (a first
    part that all share, such as `module.`) gives these; else as it is.
    """
    needed = network.state_dict()
    tried = {name.replace(_COMPILED, ""): value for name, value in state.items()}
    for names in (dict(state), tried):
        while names:
            whole = _with_shared(names, needed)
            if whole.keys() == needed.keys():
                return whole
            first = {name.partition(".")[0] for name in names}
            if len(first) > 1 or first & names.keys():
                break
            names = {name.partition(".")[2]: value for name, value in names.items()}
    return state


def _with_shared(state: dict[str, Any], needed: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict with the second names of tensors that a network shares, which some files leave
    out.
    """
    absent = needed.keys() - state.keys()
    if not absent:
        return state
    places = {
        (value.data_ptr(), value.shape): name
        for name, value in needed.items()
        if name in state and isinstance(value, Tensor) and value.numel()
    }
    twins = {
        name: places.get((needed[name].data_ptr(), needed[name].shape))
        for name in absent
        if isinstance(needed[name], Tensor)
    }
    return state | {name: state[twin] for name, twin in twins.items() if twin is not None}


def _fits(state: Mapping[str, Any], needed: Mapping[str, Any]) -> bool:
    return state.keys() == needed.keys() and all(
        getattr(state[name], "shape", None) == getattr(needed[name], "shape", None)
        for name in needed
    )
