"""The tasks: a base, and for each axis some values of the one thing of it that is changed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from thalweg.data.dataset import Dataset
from thalweg.data.datasets import DATASETS, Entry
from thalweg.study.plan import Plan, make_plan

Tables = Mapping[str, Mapping[str, Any]]

BASE: Tables = {
    "data": {
        "name": "fashion-mnist",
        "train": 2000,
        "validation": 1000,
        "test": 1000,
        "batch_size": 64,
        "augment": False,
        "ood": "none",
    },
    "model": {"name": "mlp", "hidden": [128, 128]},
    "recipe": {"epochs": 10, "lr": 0.05},
    "protocol": {"reference": 20, "pool": 20, "bases": 5, "landscape": "none"},
}
BUDGET = {"explorer": "deep-ensemble", "members": 1, "proxies": {"budget": 0.5}}
METHODS = (
    {"explorer": "deep-ensemble", "members": [1, 2, 5]},
    {
        "label": "atlas, one network",
        "explorer": "deep-ensemble",
        "members": 1,
        "emulator": "atlas",
    },
    {"label": "atlas, budget 0.5", **BUDGET, "emulator": "atlas"},
    {"label": "forest, budget 0.5", **BUDGET, "emulator": "forest"},
    {"label": "restarts", "explorer": "restarts", "members": 10, "share": 0.05, "lr_ratio": 1.0},
    {"label": "restarts, twice the rate", "explorer": "restarts", "members": 10, "share": 0.05},
)
LED = {"label": "led paths", "explorer": "thalweg", "members": 10}
LONG = 10  # epochs, below which a led path would have few steps
QUICK: Tables = {
    "data": {"name": "digits", "train": 200, "validation": 100, "test": 60, "batch_size": 32},
    "recipe": {"epochs": 10},
    "protocol": {"reference": 4, "pool": 2, "bases": 2, "replicates": 100, "emulator_draws": 20},
}
HUNDRED = "cifar100"


@dataclass(frozen=True)
class Axis:
    """What is changed.

    Attributes:
        title: What it is called, by language.
        values: The values, ascending.
        change: From a value to the tables of the plan that it changes, key by key.
        data: The data, in the words of `research.atlas.plan`.
        beside: What differs from the base at all values of the axis, in words.
    """

    title: Mapping[str, str]
    values: tuple[int, ...]
    change: Callable[[int], Tables]
    data: str = "fashion"
    beside: str = ""


AXES = {
    "width": Axis(
        {"en": "units per hidden layer", "fr": "unités par couche cachée"},
        (32, 64, 128, 256, 512),
        lambda value: {"model": {"hidden": [value, value]}},
    ),
    "depth": Axis(
        {"en": "hidden layers", "fr": "couches cachées"},
        (1, 2, 4, 8),
        lambda value: {
            "model": {"hidden": value * [128]},
            "recipe": {"optimizer": "adamw", "lr": 1e-3},
        },
        beside="AdamW with a learning rate of 0.001, as SGD does not train eight layers here",
    ),
    "images": Axis(
        {"en": "training images", "fr": "images d'entraînement"},
        (500, 1000, 2000, 4000, 16000),
        lambda value: {"data": {"train": value}},
    ),
    "epochs": Axis(
        {"en": "epochs", "fr": "époques"},
        (3, 10, 20, 40, 80),
        lambda value: {"recipe": {"epochs": value}},
    ),
    "classes": Axis(
        {"en": "classes", "fr": "classes"},
        (5, 10, 20, 50, 100),
        lambda value: {"data": {"name": f"{HUNDRED}-{value}", "validation": 500, "test": 500}},
        "hundred",
        "the first classes of CIFAR-100, with 500 validation and 500 test images",
    ),
}
NETWORK = "mlp"  # of all tasks, in the words of `research.atlas.plan`


@dataclass(frozen=True)
class Task:
    """One value of an axis.

    Attributes:
        name: The name of its result file.
        axis: The key of its axis.
        value: The value.
    """

    name: str
    axis: str
    value: int

    def tables(self, *, quick: bool = False) -> dict[str, dict[str, Any]]:
        """Returns the tables of its plan."""
        tables = merged(BASE, AXES[self.axis].change(self.value))
        return merged(tables, QUICK) if quick else tables

    def plan(self, *, quick: bool = False) -> Plan:
        """Returns its plan, or the short form."""
        tables = self.tables(quick=quick)
        led = tables["recipe"]["epochs"] >= LONG
        return make_plan({"name": self.name, **tables, "methods": [*METHODS, *[LED] * led]})


def tasks() -> Iterator[Task]:
    """Yields every value of every axis; several of them are the base."""
    for key, axis in AXES.items():
        for value in axis.values:
            same = merged(BASE, axis.change(value)) == merged(BASE, {})
            yield Task("base" if same else f"{key}-{value}", key, value)


def merged(tables: Tables, changes: Tables) -> dict[str, dict[str, Any]]:
    """Returns tables with changed keys."""
    names = [*tables, *(name for name in changes if name not in tables)]
    return {name: {**tables.get(name, {}), **changes.get(name, {})} for name in names}


def first_classes(dataset: Dataset, classes: int) -> Dataset:
    """Returns the first classes of a data set, as a data set of its own."""
    train, test = dataset.train_labels < classes, dataset.test_labels < classes
    return replace(
        dataset,
        name=f"{dataset.name}-{classes}",
        class_names=dataset.class_names[:classes],
        train=dataset.train[train],
        train_labels=dataset.train_labels[train],
        test=dataset.test[test],
        test_labels=dataset.test_labels[test],
    )


def subsets() -> dict[str, Entry]:
    """Returns the entries of the data sets that are the first classes of another."""
    whole = DATASETS[HUNDRED]
    return {
        f"{HUNDRED}-{classes}": replace(
            whole, classes=classes, read=partial(_read, whole.read, classes)
        )
        for classes in AXES["classes"].values
    }


def _read(read: Callable[..., Any], classes: int, where: tuple[Path, ...]) -> Dataset:
    return first_classes(read(where), classes)
