"""The context of a study: the images and problems that a plan names.

Everything here can be made anew from the plan.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thalweg.data.dataset import Dataset, fingerprint
from thalweg.data.datasets import load
from thalweg.data.ood import load_ood
from thalweg.data.splits import Splits, splits
from thalweg.data.table import Table
from thalweg.errors import InputError
from thalweg.models.registry import ModelFactory, is_code, model_factory
from thalweg.outputs import Outputs
from thalweg.seeds import derive
from thalweg.study.plan import Plan
from thalweg.training.batches import Batches
from thalweg.training.execution import Execution, check_device
from thalweg.training.inspection import Inspection, inspect
from thalweg.training.keeping import Cache
from thalweg.training.problem import Problem
from thalweg.training.stacking import check_stack

# Raise it when a change of thalweg's code changes results: stored runs are then done again.
RESULTS_VERSION = 4


@dataclass(frozen=True, eq=False)
class StudyContext:
    """The images and problems of a plan.

    Attributes:
        plan: The plan.
        data_dir: The folder that is searched first for data files.
        torch_version: The version of torch that trains the networks, or trained them. Other
            versions give other numbers.

    Example:
        >>> from thalweg.study.plan import make_plan
        >>> context = StudyContext(make_plan({"methods": [{"explorer": "swag"}]}))
        >>> len(context.splits.validation), context.dataset.classes
        (300, 10)
    """

    plan: Plan
    data_dir: Path | None = None
    torch_version: str = torch.__version__
    _problems: dict[str, Problem] = field(default_factory=dict, repr=False)
    _problem_keys: dict[tuple[str, int], str] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[type["StudyContext"], tuple[Plan, Path | None, str]]:
        """Sends only the plan to a worker process, which reads the images itself."""
        return StudyContext, (self.plan, self.data_dir, self.torch_version)

    def check(self) -> None:
        """Checks everything that could fail later: data, network, device and one evaluation.

        Raises:
            InputError: Something is wrong; the line says what to do.
        """
        check_device(self.plan.protocol.device, "protocol.device")
        for name, images in self.ood_sets.items():
            if not len(images):
                raise InputError(f"data.ood got '{name}', which has no images")
        if self.plan.protocol.landscape != "none":
            got = f"protocol.landscape got '{self.plan.protocol.landscape}'"
            self.check_pictures(got, "give 'none'")
        for row in self.plan.methods:
            with _about(row.label):
                row.method.check_outputs(self.outputs)
                self._check_changes(row.method.averages)
        problem = self.problem("reference", None)
        if self.plan.execution.stack > 1:
            with _about("execution.stack"):
                check_stack(problem)

    def _check_changes(self, averages: int) -> None:
        if averages and self.train.augment is None:
            there = "no customary augmentation of these data"
            if self.dataset.augment is not None:
                there = "no augmentation, as data.augment is false"
            raise InputError(
                f"averages got {averages}, and {there}: give data that have one, with "
                "data.augment = true, or averages = 0"
            )

    def check_pictures(self, got: str, remedy: str) -> None:
        """Checks that there can be a picture of the landscape.

        Args:
            got: What asks for one, in words.
            remedy: What to do where there can't be one.

        Raises:
            InputError: The data are a regression's.
        """
        if not self.outputs.simplex:
            raise InputError(
                f"{got} with {type(self.outputs).__name__.lower()}, and its pictures are of "
                f"classes: {remedy}"
            )

    @cached_property
    def dataset(self) -> Dataset | Table:
        with _about("data.name"):
            return load(self.plan.data.name, self.data_dir)

    @cached_property
    def splits(self) -> Splits:
        data = self.plan.data
        with _about("data.train, data.validation, data.test"):
            return splits(
                self.dataset, train=data.train, validation=data.validation, test=data.test
            )

    @cached_property
    def prepare(self) -> Callable[[Tensor], Tensor]:
        return self.dataset.preparing(self.splits.train)

    @cached_property
    def outputs(self) -> Outputs:
        """What networks' outputs mean."""
        return self.dataset.outputs(self.splits.train_labels)

    @cached_property
    def model(self) -> ModelFactory:
        name = self.plan.model.name
        if is_code(name) and not self.plan.trusted:
            raise InputError(
                f"model.name got '{name}', which is code that the plan would run: give "
                f"--model {name}, or --trust-plan (from Python, trust=True) if you know the code"
            )
        settings = {k: v for k, v in self.plan.model.model_dump().items() if k != "name"}
        with _about("model"):
            return model_factory(
                self.plan.model.name,
                inputs=self.dataset.shape,
                classes=self.dataset.columns,
                settings=settings,
            )

    @cached_property
    def ood_name(self) -> str | None:
        """The names of all sets of out-of-distribution images, with commas."""
        return ", ".join(self._ood_names) or None

    @cached_property
    def ood(self) -> Tensor | None:
        """Out-of-distribution images, uint8 `[images, channels, height, width]`: those of one set
        after those of another.
        """
        return torch.cat(list(self.ood_sets.values())) if self.ood_sets else None

    @cached_property
    def ood_sets(self) -> dict[str, Tensor]:
        """Out-of-distribution images of each set, by its name."""
        count, sets = self.plan.data.ood_images, dict[str, Tensor]()
        with _about("data.ood"):
            for name in self._ood_names:
                if not isinstance(self.dataset, Dataset):
                    raise InputError(
                        f"got '{name}', and '{self.dataset.name}' has no images: give 'none'"
                    )
                if name in sets:
                    raise InputError(f"got '{name}' twice: leave one out")
                sets[name] = load_ood(name, self.dataset, self.data_dir, count)
        return sets

    @cached_property
    def _ood_names(self) -> tuple[str, ...]:
        named = self.plan.data.ood or self.dataset.ood
        names = named if isinstance(named, tuple) else (named or "none",)
        return () if names == ("none",) else names

    @cached_property
    def train(self) -> Batches:
        device = self.plan.protocol.device
        return Batches(
            self.splits.train.to(device),
            self.splits.train_labels.to(device),
            self.plan.data.batch_size,
            prepare=self.prepare,
            augment=self.dataset.augment if self.plan.data.augment else None,
        )

    def loader(self, images: Tensor) -> Batches:
        """Returns batches of uint8 images `[inputs, ...]` in fixed order, to predict on."""
        size = 250 if self.plan.protocol.device == "cpu" else 2000  # 250 fit a processor's cache
        labels = torch.zeros(len(images), dtype=torch.long)
        return Batches(images, labels, size, shuffle=False, prepare=self.prepare)

    def parts(self) -> dict[str, Batches]:
        """Returns the inputs that every run predicts on, by the name of their part."""
        parts = {"test": self.loader(self.splits.test)}
        return parts if self.ood is None else parts | {"ood": self.loader(self.ood)}

    @cached_property
    def part_names(self) -> tuple[str, ...]:
        """The names of these parts."""
        return tuple(self.parts())

    def problem(self, role: str, cache: Cache | None) -> Problem:
        """Returns a new problem, whose meter is at zero.

        Args:
            role: `reference`, `pool`, `base 0`, ...: no two roles share a seed.
            cache: Where trained networks are kept; None to keep none.
        """
        protocol = self.plan.protocol
        return Problem(
            self.model,
            self.train,
            self.plan.recipe,
            derive(protocol.seed, role),
            execution=self.execution,
            sources=protocol.sources,
            cache=cache,
            identity=self.identity,
            inspection=self.inspection,
            unlabelled=self.loader(self.splits.validation),
            outputs=self.outputs,
        )

    @cached_property
    def execution(self) -> Execution:
        """How the trainings inside of one task are run."""
        return self.plan.execution.on(self.plan.protocol.device)

    @cached_property
    def inspection(self) -> Inspection:
        protocol, recipe = self.plan.protocol, self.plan.recipe
        return inspect(self.model, self.train, protocol.device, recipe=recipe, kind=self.outputs)

    def problem_key(self, role: str, k: int) -> str:
        """Returns the fingerprint of the k-th training of a role."""
        if (role, k) not in self._problem_keys:  # all methods of a base ask for the same one
            self._problem_keys[role, k] = self._keys(role).fingerprint(k)
        return self._problem_keys[role, k]

    def _keys(self, role: str) -> Problem:
        if role not in self._problems:
            self._problems[role] = self.problem(role, None)
        return self._problems[role]

    @cached_property
    def identity(self) -> str:
        """The fingerprint of the data, the network and all else that can change a training."""
        data = self.plan.data.model_dump(include={"train", "validation", "batch_size", "augment"})
        return fingerprint_of(
            {
                "data": fingerprint(self.dataset),
                "parts": data,
                "model": self.model.identity(),
                "torch": self.torch_version,
                "results": RESULTS_VERSION,
            }
        )

    @cached_property
    def identity_of_images(self) -> str:
        """The fingerprint of the images and labels that the plan takes."""
        data = self.plan.data.model_dump(
            include={"train", "validation", "test", "ood", "ood_images"}
        )
        return fingerprint_of([fingerprint(self.dataset), data, self._ood_digest])

    @cached_property
    def _ood_digest(self) -> str:
        # a data set may be present as a whole or as an excerpt
        images = b"" if self.ood is None else self.ood.contiguous().numpy().tobytes()
        return hashlib.sha256(images).hexdigest()

    @cached_property
    def identity_of_predictions(self) -> str:
        """The fingerprint of everything that can change the predictions of given weights."""
        data = self.plan.data.model_dump(include={"test", "ood", "ood_images"})
        return fingerprint_of([self.identity, data, self._ood_digest, self.plan.protocol.device])


@contextmanager
def _about(key: str) -> Iterator[None]:
    """Names the key of the plan in the errors of this block."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{key}: {error}") from None


def fingerprint_of(facts: Any) -> str:
    """Returns a short name that is equal for equal facts.

    Example:
        >>> fingerprint_of({"epochs": 10}) == fingerprint_of({"epochs": 20})
        False
    """
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:20]
