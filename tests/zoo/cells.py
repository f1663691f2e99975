"""A cell of the zoo's table: one network and one method.

It works, and its numbers are right, or one line says why not.

A refusal is one line that says a way out, before a training; where it names a setting, that is
tried. The caller's random numbers stay where they were.
"""

import re
import warnings
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import attention  # noqa: F401  fills the register
import branches  # noqa: F401
import convolutional  # noqa: F401
import efficient  # noqa: F401
import norms  # noqa: F401
import parametrised  # noqa: F401
import perceptrons  # noqa: F401
import texts  # noqa: F401
import tokens  # noqa: F401
import torch
import unusual  # noqa: F401
from methods import METHODS, Trial
from networks import CLASSES, NETWORKS, task
from torch import Tensor, nn

import contract
from thalweg.errors import InputError
from thalweg.training.inspection import Inspection

EXPECTED: list[dict[str, Any]] = [
    # torch's, of the old ways to normalise weights
    {"category": FutureWarning}, {"category": DeprecationWarning},
    {"message": "There is a performance drop"},  # torch's, of operations that vmap does one by one
    # quantify's, of trainings as short as these
    {"message": "the network is"}, {"message": "[0-9]+ of [0-9]+ narrow networks"},
    {"message": "quantify got [0-9]+ unlabelled inputs"},
    # of layers that no forward reads, or whose output is detached: true, and said
    {"message": ".* no gradient in a trial step"},
    # orthogonal bases, pruning masks, random frequencies: true, and said
    {"message": "'.*' is not trained, and differs"},
]  # fmt: skip


class Plain(nn.Module):
    """A narrow network of the user's own for any network of the zoo: two hidden units.

    Attributes:
        layer: Where its hidden units are, a name of a layer of the zoo's network.
    """

    def __init__(self, name: str, layer: str = "hidden") -> None:
        super().__init__()
        self.layer = layer
        parent: nn.Module = self
        *path, last = layer.split(".")
        for part in path:
            parent.add_module(part, nn.Module())
            parent = parent.get_submodule(part)
        x, _ = task(NETWORKS[name].inputs, 1, 0)
        parent.add_module(last, nn.Linear(x[0].numel(), 2))
        self.plain_head = nn.Linear(2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.get_submodule(self.layer)
        return self.plain_head(torch.tanh(hidden(x.flatten(1).to(hidden.weight.dtype))))


@dataclass(frozen=True)
class Outcome:
    """What comes of a cell.

    Attributes:
        refusal: The line with which it is refused; empty where it works.
        way_out: The settings that the line asks for, and with which it works; empty where none was
            tried.
    """

    refusal: str = ""
    way_out: str = ""


def outcome(name: str, method: str) -> Outcome:
    """What comes of one network and one method.

    Raises:
        AssertionError: It neither works nor is refused as it should be.
    """
    before = contract.states()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for expected in EXPECTED:
            warnings.filterwarnings("ignore", **expected)
        line = refusal(name, method)
        found = Outcome(line, way_out(name, method, line) if line else "")
    contract.assert_states(before)
    return found


@dataclass(frozen=True)
class Look:
    """What thalweg finds when the problem is made: once for all methods.

    Attributes:
        inspection: What it keeps of it; None where it refuses the network.
        refusal: The line, or empty.
        warning: What it warns of, or empty.
    """

    inspection: Inspection | None
    refusal: str
    warning: str


@cache
def look(name: str) -> Look:
    """Makes the problem of a network."""
    found, line = None, ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            found = Trial(NETWORKS[name]).problem.inspection
        except InputError as error:
            line = str(error)
    told = [str(w.message) for w in caught if w.category is UserWarning]
    assert len(told) <= 1 and "\n" not in "".join(told), told
    return Look(found, line, "".join(told))


def refusal(name: str, method: str, **settings: Any) -> str:
    """The line with which a method refuses a network, before anything is paid; empty where it
    works.
    """
    seen = look(name)
    if seen.refusal:
        return checked(seen.refusal)
    trial = Trial(NETWORKS[name], seen.inspection)
    try:
        METHODS[method](trial, **settings)
    except InputError as error:
        assert trial.meter.cost.backward_examples == trial.paid, (
            f"refused after it was paid for: {error}"
        )
        return checked(str(error))
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
    return ""


def checked(line: str) -> str:
    """A refusal, which must be one line with a way out."""
    assert "\n" not in line and re.search(r": |, needs ", line) and len(line) < 600, (
        f"no line with a way out: {line}"
    )
    return line


def way_out(name: str, method: str, line: str, **settings: Any) -> str:
    """The settings that a refusal asks for, tried; empty where it asks for none that a program
    could give.
    """
    if "narrow=" in line and "narrow" not in settings:
        own = {**settings, "narrow": partial(Plain, name)}
        again = refusal(name, method, **own)
        return f"narrow=... {way_out(name, method, again, **own) if again else ''}".strip()
    if "layer=" in line and "layer" not in settings:
        with torch.random.fork_rng(devices=[]):
            layers = [layer for layer, _ in NETWORKS[name].make().named_modules() if layer]
        for layer in [
            *reversed(layers[:-1]),
            *layers[-1:],
        ]:  # the last is often what gives the outputs
            if "narrow" in settings:
                settings["narrow"] = partial(Plain, name, layer)
            if not refusal(name, method, **settings, layer=layer):
                return f"layer='{layer}'"
        raise AssertionError(f"no layer helps, where the line asks for one: {line}")
    assert not settings, f"the way out is none: {line}"
    return ""
