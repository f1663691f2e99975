"""Networks by name: those that come with thalweg, and a user's as `package.module:factory`."""

import difflib
import hashlib
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from thalweg.errors import InputError, unknown
from thalweg.models.cnn import cnn
from thalweg.models.mlp import mlp
from thalweg.models.resnet import resnet
from thalweg.models.resnet9 import resnet9
from thalweg.models.wide_resnet import wide_resnet

Factory = Callable[..., nn.Module]

MODELS: dict[str, Factory] = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet": resnet,
    "resnet9": resnet9,
    "wrn": wide_resnet,
}
FROM_DATA = ("inputs", "classes")  # what a factory gets from the data set, if it has the parameter


def is_code(spec: str) -> bool:
    """Whether `find_model` imports a user's module, which runs its code."""
    return ":" in spec


def find_model(spec: str) -> Factory:
    """The factory that makes a network.

    Args:
        spec: A key of `MODELS`, or `package.module:factory`, imported with the current folder first
            on the path.

    Raises:
        InputError: An unknown name, a module that can't be imported, or one without such a
            callable.

    Example:
        >>> find_model("mlp") is mlp
        True
    """
    if not is_code(spec):
        if spec not in MODELS:
            raise unknown("model", spec, [*MODELS, "package.module:factory"])
        return MODELS[spec]
    factory = find_object(spec)
    if not callable(factory):
        raise InputError(
            f"model '{spec}' is {_type(factory)}, needs a class or a function that returns a "
            "torch.nn.Module"
        )
    return factory


def find_object(spec: str) -> Any:
    """What `package.module:name` names, imported with the current folder first on the path.

    Raises:
        InputError: The module can't be imported, or has no such name.

    Example:
        >>> find_object("math:sqrt")(4.0)
        2.0
    """
    module_name, _, attribute = spec.partition(":")
    module = _imported(module_name, spec)
    if not hasattr(module, attribute):
        members = vars(module).items()
        known = [name for name, value in members if callable(value) and not name.startswith("_")]
        raise unknown(f"name in module {module_name}", attribute, known)
    return getattr(module, attribute)


@dataclass(frozen=True)
class ModelFactory:
    """Makes new networks of one kind; it can be pickled, since it finds the model by its name.

    Attributes:
        spec: As in `find_model`.
        inputs: The shape of an image: (channels, height, width).
        classes: The number of outputs.
        settings: The factory's own arguments.
    """

    spec: str
    inputs: tuple[int, int, int]
    classes: int
    settings: Mapping[str, Any]

    def __call__(self) -> nn.Module:
        """Makes a new network.

        Raises:
            InputError: A setting's value is refused, or the factory does not return a module.
        """
        factory = find_model(self.spec)
        accepted, _ = _parameters(factory)
        from_data = {name: getattr(self, name) for name in FROM_DATA if name in accepted}
        try:
            module = factory(**from_data, **self.settings)
        except InputError:
            raise
        except Exception as error:  # a user's code may raise anything
            raise InputError(
                f"model '{self.spec}' with {_text(self.settings)} failed ({_line(error)}): "
                "correct its settings"
            ) from error
        if not isinstance(module, nn.Module):
            raise InputError(
                f"model '{self.spec}' returned {_type(module)}, needs a torch.nn.Module"
            )
        return module

    def identity(self) -> str:
        """A text that is equal for equal networks: name, shapes and settings.

        For a user's module it also has the SHA-256 of its file. Files that the module imports are
        not looked at.
        """
        settings = json.dumps(dict(self.settings), sort_keys=True, default=str)
        parts = [self.spec, str(tuple(self.inputs)), str(self.classes), settings]
        if self.spec not in MODELS:
            file = getattr(_imported(self.spec.partition(":")[0], self.spec), "__file__", None)
            source = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else "no source"
            parts.append(source)
        return " ".join(parts)


def model_factory(
    spec: str,
    *,
    inputs: tuple[int, int, int],
    classes: int,
    settings: Mapping[str, Any] | None = None,
) -> ModelFactory:
    """A factory of networks whose settings have been checked to be its arguments.

    Args:
        spec: As in `find_model`.
        inputs: The shape of an image: (channels, height, width).
        classes: The number of outputs.
        settings: Arguments by name. A user's factory gets these, and `inputs` and `classes` where
            its signature has them.

    Raises:
        InputError: As `find_model`, or an unknown setting (the nearest is named), or a missing one.

    Example:
        >>> factory = model_factory("mlp", inputs=(1, 8, 8), classes=10, settings={"hidden": [16]})
        >>> factory()[-1]
        Linear(in_features=16, out_features=10, bias=True)
    """
    settings = dict(settings or {})
    parameters, open_ended = _parameters(find_model(spec))
    for name in settings:
        known = sorted(set(parameters) - set(FROM_DATA))
        if name in FROM_DATA:
            raise InputError(
                f"model '{spec}' got the setting '{name}': it comes from the data set, leave it out"
            )
        if name not in parameters and not open_ended:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise InputError(
                f"unknown setting '{name}' of model '{spec}': {hint}(known: "
                f"{', '.join(known) or 'none'})"
            )
    missing = [
        name
        for name, required in parameters.items()
        if required and name not in settings and name not in FROM_DATA
    ]
    if missing:
        raise InputError(f"model '{spec}' needs the setting '{missing[0]}': give it a value")
    return ModelFactory(spec, (inputs[0], inputs[1], inputs[2]), classes, settings)


def _imported(name: str, spec: str) -> ModuleType:
    """The module, imported with the current folder first on the path."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise InputError(
                f"model '{spec}': no module '{missing}' in {folder} or among the installed packages"
            ) from None
        raise InputError(
            f"model '{spec}': module '{name}' needs '{missing}', which is not installed: install it"
        ) from None
    except Exception as error:  # a user's module may raise anything
        raise InputError(
            f"model '{spec}': importing '{name}' failed ({_line(error)}): correct the module"
        ) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _parameters(factory: Factory) -> tuple[dict[str, bool], bool]:
    """A factory's arguments, whether each is required, and whether any name is accepted."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # no signature, such as of a class written in C
        return {}, True
    named = {
        p.name: p.default is p.empty
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    return named, any(p.kind is p.VAR_KEYWORD for p in parameters)


def _text(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in settings.items()) or "no settings"


def _type(value: object) -> str:
    return f"of type {type(value).__name__}"


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
