"""Estimators with scikit-learn's contract, whose predictions have a standard uncertainty from
retraining: for pipelines, `cross_validate` and grid searches.
"""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from thalweg import files
from thalweg.errors import InputError, check_range, whole
from thalweg.outputs import Classes, Outputs, Values
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.quantifier import Quantifier
from thalweg.seeds import generator
from thalweg.training.anchors import train_anchors
from thalweg.training.batches import Batches
from thalweg.training.execution import Execution
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members

Module = Callable[[int, int], nn.Module]
RECIPE = Recipe(epochs=50, optimizer="adamw", lr=0.01, weight_decay=1e-4, warmup=0.1)
"""What an estimator trains by that is given no recipe."""


def perceptron(inputs: int, outputs: int) -> nn.Module:
    """A network with two hidden layers of 64 units, from `[batch, inputs]` to `[batch, outputs]`.

    Example:
        >>> perceptron(4, 3)(torch.zeros(5, 4)).shape
        torch.Size([5, 3])
    """
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs)
    )


class _Retrained(BaseEstimator):
    """The base of both estimators: the settings, the trainings, and predictions."""

    def __init__(
        self,
        module: Module | None = None,
        *,
        networks: int = 5,
        budget: float | None = None,
        held_out: float = 0.2,
        recipe: Recipe | None = None,
        batch_size: int = 32,
        execution: Execution | None = None,
        random_state: Any = None,
    ) -> None:
        self.module = module
        self.networks = networks
        self.budget = budget
        self.held_out = held_out
        self.recipe = recipe
        self.batch_size = batch_size
        self.execution = execution
        self.random_state = random_state

    def predictions(self, X: Any) -> Predictions:
        """Returns what all retrainings predict: `[members, inputs, classes or outputs]`.

        Args:
            X: Inputs `[inputs, features]`.

        Raises:
            NotFittedError: `fit` was not called.
            InputError: X has other features than those that were fitted.
        """
        check_is_fitted(self)
        x = _tensor(validate_data(self, X, reset=False))
        if self._members is not None:
            return predict(self._problem, self._members, x)
        return self._quantifier.predict(x)

    def u(self, X: Any) -> NDArray[np.float64]:
        """The standard uncertainty from retraining of each input, `[inputs]`: the root of the sum
        over classes, or outputs, of the variance over retrainings.
        """
        return self.predictions(X).u().double().numpy()

    def std(self, X: Any) -> NDArray[np.float64]:
        """The standard uncertainty of each class' probability, or of each output, `[inputs,
        classes]` or `[inputs, outputs]`.
        """
        return self.predictions(X).std().double().numpy()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if (quantifier := state.pop("_quantifier", None)) is not None:  # it has its own form
            with TemporaryDirectory() as folder:
                quantifier.save(folder)
                state["_stored"] = {
                    path.relative_to(folder).as_posix(): files.read_bytes(path)
                    for path in sorted(Path(folder).rglob("*"))
                    if path.is_file()
                }
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        stored = state.pop("_stored", None)
        super().__setstate__(state)
        if stored is not None:
            with TemporaryDirectory() as folder:
                for name, content in stored.items():
                    files.write_bytes(Path(folder, name), content)
                self._quantifier = Quantifier.stored(Path(folder), self._problem.model)

    @abstractmethod
    def _outputs(self, y: NDArray[Any]) -> tuple[Tensor, Outputs, int]:
        """Targets, what outputs mean, and how many of them a network has."""

    def _fit(self, x: NDArray[Any], y: NDArray[Any]) -> Self:
        self._check()
        targets, outputs, columns = self._outputs(y)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        inputs, unlabelled = _tensor(x), None
        if self.budget is not None:
            aside = round(self.held_out * len(inputs))
            if min(aside, len(inputs) - aside) < 2:
                raise InputError(
                    f"held_out got {self.held_out} of {len(inputs)} samples, needs 2 or more on "
                    "both sides: n_samples is too small, or leave budget out"
                )
            order = torch.randperm(len(inputs), generator=generator(seed, "held out"))
            unlabelled = inputs[order[:aside]]
            inputs, targets = inputs[order[aside:]], targets[order[aside:]]
        self._problem = Problem(
            partial(self.module or perceptron, inputs.shape[1], columns),
            Batches(inputs, targets, size=min(self.batch_size, len(inputs))),
            self.recipe or RECIPE,
            seed=seed,
            execution=self.execution or Execution(),
            unlabelled=unlabelled,
            outputs=outputs,
        )
        self._members: Members | None = None
        if self.budget is None:
            self._members = Members(train_anchors(self._problem, self.networks))
            self.cost_ = self._problem.cost
        else:
            self._quantifier = Quantifier(
                budget=self.budget, anchors=self.networks, seed=seed, progress=False
            ).fit(self._problem)
            self.cost_ = self._quantifier.cost_
        return self

    def _check(self) -> None:
        whole("networks", self.networks, 1)
        whole("batch_size", self.batch_size, 1)
        if self.budget is None and self.networks < 2:
            raise InputError(
                f"networks got {self.networks} without a budget, needs 2 or more: one network "
                "alone says nothing of retrainings. Or give budget=, 0 for an atlas of other tasks"
            )
        if self.budget is not None:
            check_range("budget", self.budget, 0)
        check_range("held_out", self.held_out, 0, 1)


class RetrainingClassifier(ClassifierMixin, _Retrained):
    """A classifier that says how much its probabilities would change if it were trained again.

    Without a budget it is a deep ensemble (Lakshminarayanan et al. 2017, arXiv 1612.01474; without
    their adversarial training): `networks` trainings, whose mean is the prediction and whose
    differences are u. With a budget it is `Quantifier`: `networks` trainings, narrow copies for
    `budget` further ones, and an emulator that learns on a share of the inputs that is held out.

    Inputs are taken as they are: put a `StandardScaler` before it.

    Args:
        module: From the numbers of features and classes to a network that gives logits
            `[batch, classes]`; None for two hidden layers of 64 units.
        networks: The number of full trainings.
        budget: Trainings to spend on narrow copies, at most; None for the networks alone.
        held_out: The share of the samples that no network is trained on, and whose labels are not
            looked at, where there is a budget.
        recipe: How a network is trained; None for `RECIPE`, 50 epochs of AdamW.
        batch_size: The number of samples per step.
        execution: On what device, and how many trainings at once.
        random_state: A whole number makes a fit that can be repeated, as everywhere in
            scikit-learn.

    Attributes:
        classes_: The classes, sorted, `[classes]`.
        cost_: What the fit cost, in trainings.
        n_features_in_: The number of features.

    Raises:
        InputError: By `fit`, which is a `ValueError`: a setting is out of range, or there is one
            class only.
        Diverged: By `fit`: a training's loss became infinite.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> x, y = load_iris(return_X_y=True)
        >>> model = make_pipeline(StandardScaler(), RetrainingClassifier(random_state=0)).fit(x, y)
        >>> model.predict_proba(x).shape, model[-1].u(model[:-1].transform(x)).shape
        ((150, 3), (150,))
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Trains.

        Args:
            X: Inputs `[samples, features]`.
            y: Classes `[samples]`, numbers or words.
        """
        x, given = validate_data(self, X, y)
        check_classification_targets(given)
        self.classes_ = np.unique(given)
        if len(self.classes_) < 2:
            raise InputError(
                f"the classifier got samples of one class, {self.classes_[0]!r}: it needs two"
            )
        return self._fit(x, given)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The mean probability of each class over retrainings, `[inputs, classes]`."""
        p = self.predictions(X).mean().double().numpy()
        return p / p.sum(1, keepdims=True)  # 1 in double precision, as scikit-learn asks

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class, `[inputs]`."""
        p = self.predict_proba(X)  # says so where nothing is fitted
        return self.classes_[p.argmax(1)]

    def _outputs(self, y: NDArray[Any]) -> tuple[Tensor, Outputs, int]:
        numbers = torch.from_numpy(np.searchsorted(self.classes_, y)).long()
        return numbers, Classes(), len(self.classes_)


class RetrainingRegressor(RegressorMixin, _Retrained):
    """A regression that says how much its values would change if it were trained again.

    As `RetrainingClassifier`, with `module` from the numbers of features and outputs. Targets are
    standardised for the network, and predictions are in the units of the targets. The uncertainty
    is that from retraining: the noise of the targets is not in it.

    Args:
        module: See `RetrainingClassifier`.
        networks: See there.
        budget: See there.
        held_out: See there.
        recipe: See there.
        batch_size: See there.
        execution: See there.
        random_state: See there.

    Attributes:
        cost_: What the fit cost, in trainings.
        n_features_in_: The number of features.

    Raises:
        InputError: By `fit`: a setting is out of range.
        Diverged: By `fit`: a training's loss became infinite.

    Example:
        >>> x = np.linspace(-1, 1, 60)[:, None]
        >>> model = RetrainingRegressor(networks=3, random_state=0).fit(x, 5 * x[:, 0] ** 2)
        >>> y, u = model.predict(x, return_std=True)
        >>> y.shape, u.shape
        ((60,), (60,))
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Trains.

        Args:
            X: Inputs `[samples, features]`.
            y: Values `[samples]` or `[samples, outputs]`.
        """
        x, given = validate_data(self, X, y, multi_output=True, y_numeric=True)
        self._flat = given.ndim == 1
        return self._fit(x, given.reshape(len(given), -1))

    def predict(
        self,
        X: Any,
        return_std: bool = False,  # noqa: FBT001, FBT002  as scikit-learn's Gaussian process
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean over retrainings, `[inputs]` or `[inputs, outputs]`, as the targets were.

        Args:
            X: Inputs `[inputs, features]`.
            return_std: Whether the standard uncertainty from retraining is given beside it.
        """
        found = self.predictions(X)
        mean, std = (t.double().numpy() for t in (found.mean(), found.std()))
        if self._flat:
            mean, std = mean[:, 0], std[:, 0]
        return (mean, std) if return_std else mean

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _outputs(self, y: NDArray[Any]) -> tuple[Tensor, Outputs, int]:
        mean, std = y.mean(0), y.std(0)
        std[std == 0] = 1.0
        outputs = Values(mean=tuple(map(float, mean)), std=tuple(map(float, std)))
        return torch.from_numpy(np.asarray(y, dtype=np.float64)), outputs, y.shape[1]


def _tensor(x: NDArray[Any]) -> Tensor:
    """Inputs in the precision of networks."""
    with np.errstate(over="ignore"):
        found = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
    if not torch.isfinite(found).all():
        raise InputError("X has numbers beyond single precision: scale the inputs")
    return found
