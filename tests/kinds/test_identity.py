"""Fingerprints: they cover everything in a loss that changes a training; otherwise nothing is
cached, with a warning.
"""

import functools
import threading
import types

import pytest
import torch
from torch import nn

from small import problem
from thalweg.meter import Cost

SCALE = 2.0


class Shelf(dict):
    def put(self, key, weights, cost: Cost):
        self[key] = weights, cost


def weighted(outputs, labels, weight=1.0):
    return weight * nn.functional.cross_entropy(outputs, labels)


def with_closure(weight):
    return lambda outputs, labels: weight * nn.functional.cross_entropy(outputs, labels)


def scaled(outputs, labels):
    return SCALE * nn.functional.cross_entropy(outputs, labels)


class Focal(nn.Module):
    def __init__(self, gamma):
        super().__init__()
        self.gamma = gamma

    def forward(self, outputs, labels):
        p = outputs.softmax(1).gather(1, labels[:, None])
        return -((1 - p) ** self.gamma * p.log()).mean()


class Private(nn.Module):
    def __init__(self, gamma):
        super().__init__()
        self._gamma = gamma

    def forward(self, outputs, labels):
        return self._gamma * nn.functional.cross_entropy(outputs, labels)


class Slotted:
    __slots__ = ("scale",)

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, outputs, labels):
        return self.scale * nn.functional.cross_entropy(outputs, labels)


class Settings(dict):
    """A dictionary that is a function, with a setting beside its items."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def __call__(self, outputs, labels):
        return self.scale * nn.functional.cross_entropy(outputs, labels)


def of_class(scale):
    """Its setting is an attribute of the class, beside one that a property holds."""

    class Scaled(nn.Module):
        factor = scale

        @property
        def twice(self):
            return 2 * self.factor

        def forward(self, outputs, labels):
            return self.twice * nn.functional.cross_entropy(outputs, labels)

    return Scaled()


def of_method(scale):
    """Its setting is in a closure of its method."""

    class Scaled(nn.Module):
        def forward(self, outputs, labels):
            return scale * nn.functional.cross_entropy(outputs, labels)

    return Scaled()


def of_default(scale):
    class Scaled:
        def __call__(self, outputs, labels, scale=scale):
            return scale * nn.functional.cross_entropy(outputs, labels)

    return Scaled()


def hooked(scale):
    loss = nn.CrossEntropyLoss()
    loss.register_forward_hook(lambda _, given, found: scale * found)
    return loss


PAIRS = {
    "a private setting of a module": lambda k: Private(1.0 + k),
    "a setting in a slot": lambda k: Slotted(1.0 + k),
    "a setting of a dictionary": lambda k: Settings(1.0 + k),
    "an attribute of a class": lambda k: of_class(1.0 + k),
    "a closure of a method": lambda k: of_method(1.0 + k),
    "a default of a method": lambda k: of_default(1.0 + k),
    "a hook": lambda k: hooked(1.0 + k),
    "a memory of results": lambda k: functools.lru_cache(with_closure(1.0 + k)),
    "weights of classes": lambda k: nn.CrossEntropyLoss(weight=torch.tensor([1.0, 1.0, 1.0 + k])),
    "a setting of a module": lambda k: nn.CrossEntropyLoss(label_smoothing=0.1 * (k + 1)),
    "a module of the user's": lambda k: Focal(float(k)),
    "a partial": lambda k: functools.partial(weighted, weight=1.0 + k),
    "a closure": lambda k: with_closure(1.0 + k),
    "lambdas on two lines": lambda k: (
        (lambda o, y: nn.functional.cross_entropy(o, y) * 1.0)
        if k
        else (lambda o, y: nn.functional.cross_entropy(o, y) * 2.0)
    ),
    "a tensor in a closure": lambda k: with_closure(torch.tensor(1.0 + k)),
    "a method": lambda k: Focal(float(k)).forward,
}


def key(loss) -> str:
    return problem(loss=loss, cache=Shelf(), identity="task").fingerprint(0)


@pytest.mark.parametrize("kind", PAIRS)
def test_another_loss_has_another_key_and_the_same_one_the_same(kind):
    make = PAIRS[kind]
    assert key(make(0)) == key(make(0)) and key(make(0)) != key(make(1))


def test_a_global_that_a_loss_reads_is_in_its_key(monkeypatch):
    before = key(scaled)
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert key(scaled) != before


def test_a_constant_of_a_module_of_the_user_s_is_in_its_key():
    own = types.ModuleType("own_losses")
    own.SCALE = 2.0

    def loss(outputs, labels):
        return own.SCALE * nn.functional.cross_entropy(outputs, labels)

    before = key(loss)
    own.SCALE = 3.0
    assert key(loss) != before


def test_what_can_t_be_told_apart_is_not_cached_and_that_is_said():
    lock, shelf = threading.Lock(), Shelf()

    def loss(outputs, labels):
        with lock:
            return nn.functional.cross_entropy(outputs, labels)

    found = problem(loss=loss, cache=shelf, identity="task")
    with pytest.warns(UserWarning, match=r"not kept in the cache"):
        found.anchor(0)
    assert not shelf and found.cost.trainings == 1
