"""Features of an input that cost no training: where it lies in the training set, as one trained
classifier sees it.

Of thalweg's own. Where retrainings will disagree is mostly written in the geometry of the training
data, and forward passes over them tell it. With phi the penultimate features of an input and a last
one of 1, Phi those of all training inputs, p its probabilities and k = 20 (fewer where there are
fewer training inputs):

    logit-1, ...     its logits, largest first, minus their mean over classes
    laplace          log of phi' (Phi' W Phi + I)^-1 phi, W = 1 - sum p^2 of each training input
    laplace-softmax  log of the same times |diag(p) - p p'|^2 (Frobenius)
    leverage         log of phi' (Phi' Phi + I)^-1 phi
    features-...     of the k nearest training inputs in penultimate features: distance to the
                     nearest, their mean distance, distance to the farthest, share of them whose
                     label is the network's top class, entropy of the histogram of their labels
                     (nats), and sum_c histogram_c p_c
    inputs-...       the same of the k nearest training inputs in input space, where inputs are real
                     numbers: those of several tensors are taken together. Between whole numbers,
                     such as words, distances mean nothing, and these features are left out
    impurity         1 - sum p^2

Of a regression there are the network's values as they are (`value-1`, ...), the leverage and the
distances: the others are about classes.

`laplace` is the last-layer Laplace variance of a logit (Daxberger et al. 2021, arXiv 2106.14806)
with one number for the softmax's Hessian, its trace, and with a prior precision of 1. The training
set is read without augmentation, and whole where each retraining has a bootstrap of it, so that it
is the same for all networks. An asked input that is in it is its own nearest.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.graph.penultimate import Side, last_linear, named_layer, watched
from thalweg.outputs import Outputs, Probabilities, Values, multinomial
from thalweg.predicting import Evaluable, in_batches, outputs_of, sample
from thalweg.seeds import Rewind, seeded, seeded_loader
from thalweg.training.batches import Batches, Loader
from thalweg.training.nearest import BLOCK, Nearest, nearest
from thalweg.training.padding import joined
from thalweg.training.problem import Problem
from thalweg.training.unlabelled import inputs_of
from thalweg.trees import Inputs, flattened, is_space, moved, rows, taken, tensors
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

NEIGHBOURS = 20
# penultimate features: two matrices of half a GiB, and 1.5 GiB of features of 50,000 training
# inputs
LARGEST = 8192
LARGEST_HELD = 2**32  # bytes of training inputs in memory


@dataclass(frozen=True, eq=False)
class TrainingFeatures:
    """What a network makes of the training set: all that its features of other inputs rest on.

    Attributes:
        layer: The name of the layer whose input or output are the penultimate features.
        side: Which of both.
        columns: How many outputs the network has, as features of an input.
        features: Those of all training inputs `[training inputs, features]`.
        labels: Their classes `[training inputs]`.
        factors: The Cholesky factors of Phi' W Phi + I, for the Laplace variance and the leverage.
    """

    layer: str
    side: Side
    columns: int
    features: Tensor
    labels: Tensor
    factors: tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """The training inputs, in which the nearest of others are looked for.

    Attributes:
        batches: Pairs of inputs and targets, the same ones each time that they are read.
        device: Where they are compared.
        held: Whether they are in memory, so that they can be stored.
    """

    batches: Iterable[Any]
    device: str
    held: bool = True

    @staticmethod
    def of(problem: Problem) -> "TrainingInputs":
        """Those of a problem, not augmented. A loader other than `Batches` is read now, and kept in
        memory where that takes 4 GiB or less; else it is read whenever it is needed.
        """
        loader = problem.train_loader
        if isinstance(loader, Batches):
            return TrainingInputs(replace(loader, shuffle=False, augment=None), problem.device)
        if not can_be_held(problem):
            return TrainingInputs(_Streamed(problem), problem.device, held=False)
        with problem.meter.clock():
            return TrainingInputs(list(_Streamed(problem)), problem.device)

    def nearest(self, asked: Inputs, outputs: Outputs) -> Nearest:
        """The nearest ones of inputs, in input space.

        Raises:
            InputError: Inputs have not as many numbers as training inputs.
        """
        with torch.no_grad(), seeded(0, "features"):
            return _nearest(moved(asked, self.device), self.batches, self.device, outputs)


def can_be_held(problem: Problem) -> bool:
    """Whether a problem's training inputs are in memory, or are few enough to be."""
    one = tensors(taken(problem.example, slice(1)))
    size = problem.examples * sum(part.numel() * part.element_size() for part in one)
    return isinstance(problem.train_loader, Batches) or size <= LARGEST_HELD


@dataclass(frozen=True, eq=False)
class _Streamed:
    """A problem's training set, read anew each time."""

    problem: Problem

    def __iter__(self) -> Iterator[Any]:
        with _training_set(self.problem) as batches:
            yield from batches


class InputFeatures:
    """What one trained classifier knows of inputs beside its prediction.

    It keeps the penultimate features of all training inputs. All its evaluations are forward work,
    and metered.

    Example:
        >>> x, y = torch.randn(30, 3), torch.arange(30) % 2
        >>> problem = Problem(lambda: nn.Linear(3, 2), Batches(x, y, size=10))
        >>> geometry = InputFeatures(problem, problem.anchor(0))
        >>> features = geometry.features(x[:5], training_neighbours(problem, x[:5]))
        >>> tuple(features.shape) == (5, len(geometry.names))
        True
    """

    def __init__(self, problem: Problem, weights: Weights, layer: str | None = None) -> None:
        """Evaluates the training set.

        Args:
            problem: Architecture, training set and meter; for a narrow network, that with its
                architecture.
            weights: The network; batch-norm statistics are refreshed where they are not valid.
            layer: Name of the module whose output, flattened, is the penultimate features. None:
                they are the input of the linear layer whose output the network returns.

        Raises:
            InputError: No layer is named, and the network does not end with a linear one; no layer
                has that name, or it gives no features `[batch, ...]`; they are too many; or outputs
                are not finite.
        """
        with problem.meter.clock(), torch.no_grad(), _training_set(problem) as batches:
            (ready,) = sample(problem, Members((weights,)))
            self._evaluates(problem, ready)
            self.seen = self._look_at(problem, batches, layer)
        self._names()

    @classmethod
    def of(
        cls, evaluable: Evaluable, weights: Weights, training: TrainingInputs, layer: str | None
    ) -> "InputFeatures":
        """Those of a network that is ready to predict; it evaluates the training inputs.

        Raises:
            InputError: As when they are made of a problem.
        """
        made = cls.__new__(cls)
        with evaluable.meter.clock(), torch.no_grad(), seeded(0, "features"):
            made._evaluates(evaluable, weights)
            made.seen = made._look_at(evaluable, training.batches, layer)
        made._names()
        return made

    @classmethod
    def again(
        cls, evaluable: Evaluable, weights: Weights, seen: TrainingFeatures
    ) -> "InputFeatures":
        """Those of a network that has seen the training set: nothing is evaluated."""
        made = cls.__new__(cls)
        made._evaluates(evaluable, weights)
        made._layer = named_layer(made._network, seen.layer) if seen.layer else made._network
        made.seen = seen
        made._names()
        return made

    def _evaluates(self, problem: Evaluable, weights: Weights) -> None:
        self._problem, self._masks = problem, weights.masks
        self._network = problem.network(weights).eval()

    def _look_at(
        self, problem: Evaluable, batches: Iterable[Any], layer: str | None
    ) -> TrainingFeatures:
        x = moved(next(iter(batches))[0], problem.device)
        side: Side = "input" if layer is None else "output"
        self._layer = _penultimate(problem, self._network, taken(x, slice(2)), layer)
        name = next(name for name, own in self._network.named_modules() if own is self._layer)
        found, outputs, labels = [], [], []
        with watched(self._layer, side) as features:
            for number, (x, y) in enumerate(batches):
                outputs.append(self._logits(moved(x, problem.device), number))
                found.append(_few(features(rows(x))))
                labels.append(problem.outputs.labels(y))
        known, logits = _finite(found), problem.outputs.logits(_finite(outputs))
        unsure = torch.cat(
            [
                problem.outputs.baseline(_values(problem.outputs, part))
                for part in logits.split(BLOCK)
            ]
        ).to(logits.device)
        factors = _factor(known, unsure), _factor(known, torch.ones_like(unsure))
        classes = torch.cat(labels).to(problem.device)
        return TrainingFeatures(name, side, logits.shape[1], known, classes, factors)

    def _names(self) -> None:
        in_space = is_space(self._problem.example)
        found = _columns_for(self._problem.outputs)
        self._columns = [column for column in found if in_space or not column.in_space]
        self.names: tuple[str, ...] = _named(self._columns, self.seen.columns)

    def features(self, inputs: Loader | Inputs, near: Nearest) -> Tensor:
        """The features of inputs `[inputs, features]`, in single precision on the CPU; `names` says
        what they are. As `look`.
        """
        return self.look(inputs, near)[1]

    def look(self, inputs: Loader | Inputs, near: Nearest) -> tuple[Tensor, Tensor]:
        """What the network predicts, and its features, by one evaluation of the inputs.

        Args:
            inputs: As in `predict`.
            near: What `training_neighbours` gave for the same inputs.

        Returns:
            What is stored of predictions `[inputs, columns]`, as by `predict`, and features
            `[inputs, features]` in single precision, on the CPU.

        Raises:
            InputError: The loader is empty, shuffles or augments; outputs are not finite; or `near`
                is that of other inputs.
        """
        problem = self._problem
        found, outputs = [], []
        with problem.meter.clock(), torch.no_grad(), seeded(problem.seed, "predict"):
            with watched(self._layer, self.seen.side) as features:
                for number, x in enumerate(_asked(problem, inputs)):
                    outputs.append(self._logits(x, number))
                    found.append(features(rows(x)))
            here, seen = _finite(found), _finite(outputs)
            kind = problem.outputs
            stored, logits = kind.store(seen).cpu(), kind.logits(seen).double().cpu()
            if len(here) != len(near.labels):
                raise InputError(
                    f"features got {len(here)} inputs and the neighbours of {len(near.labels)}: "
                    "give those of the same inputs, training_neighbours(problem, inputs)"
                )
            variance, leverage = (_form(here, factor).cpu() for factor in self.seen.factors)
            known = [(self.seen.features, self.seen.labels)]
            nearest_rows = nearest(here, known, NEIGHBOURS)
        looked = _Seen(logits, _values(kind, logits), variance, leverage, nearest_rows, near)
        columns = [column.make(looked).reshape(len(logits), -1) for column in self._columns]
        return stored, torch.cat(columns, 1).float()

    def _logits(self, x: Inputs, batch: int) -> Tensor:
        logits = outputs_of(self._network, {}, x, Rewind(), self._masks, batch)
        self._problem.meter.forward(logits)
        return logits


def names_of(outputs: Outputs, columns: int, features: int) -> tuple[str, ...]:
    """The names of so many features of an input, as `InputFeatures.names` gives them.

    Args:
        outputs: What the network predicts.
        columns: How many numbers are stored of a prediction.
        features: How many features there are: those of input space may be missing.

    Raises:
        InputError: There are never so many.
    """
    for in_space in (True, False):
        names = _named(
            [own for own in _columns_for(outputs) if in_space or not own.in_space], columns
        )
        if len(names) == features:
            return names
    raise InputError(
        f"got {features} features of an input with {columns} columns of predictions, needs those "
        "of thalweg.features.InputFeatures"
    )


def check_layer(problem: Problem, layer: str | None = None) -> int:
    """Finds the layer whose features `InputFeatures` will ask for, on an untrained network: before
    anything is trained.

    Returns:
        How many features an input has there.

    Raises:
        InputError: There is none, as in `InputFeatures`.
    """
    with problem.meter.clock(), torch.no_grad(), _training_set(problem) as batches:
        network = problem.build("network").eval()
        x = moved(next(iter(batches))[0], problem.device)
        with watched(
            _penultimate(problem, network, x, layer), "input" if layer is None else "output"
        ) as features:
            problem.meter.forward(network(x))
            return _few(features(rows(x))).shape[1]


def training_neighbours(problem: Problem, inputs: Loader | Inputs) -> Nearest:
    """The nearest training inputs of inputs, in input space: the same for all networks.

    The training set is read batch by batch and prepared as it is read, so that it is never in
    memory as a whole but in the form that it is kept in; the asked inputs are. Where inputs are
    whole numbers, each has no neighbours: `[inputs, 0]`.

    Args:
        problem: The training set, as in `InputFeatures`, and the meter, for time.
        inputs: As in `predict`.

    Raises:
        InputError: The loader is empty, shuffles or augments; or inputs have not as many numbers as
            training inputs.
    """
    with problem.meter.clock(), torch.no_grad(), _training_set(problem) as batches:
        if not is_space(next(iter(batches))[0]):
            return nowhere(sum(map(rows, _asked(problem, inputs))))
        asked = joined([flattened(x) for x in _asked(problem, inputs)])
        return _nearest(asked, batches, problem.device, problem.outputs)


def _nearest(asked: Inputs, batches: Iterable[Any], device: str, outputs: Outputs) -> Nearest:
    known = ((flattened(moved(x, device)), outputs.labels(y).to(device)) for x, y in batches)
    return nearest(flattened(asked), known, NEIGHBOURS)


def nowhere(inputs: int) -> Nearest:
    """No neighbours of so many inputs."""
    return nearest(torch.empty(inputs, 0), [], 0)


def _penultimate(problem: Evaluable, network: nn.Module, x: Inputs, layer: str | None) -> nn.Module:
    """The layer of a name, or the last linear one, found by evaluating a batch."""
    if layer is not None:
        return named_layer(network, layer)
    last, _, outputs = last_linear(network, x)
    problem.meter.forward(outputs)
    if last is None:
        names = [name for name, _ in network.named_modules() if name]
        raise InputError(
            "features got a network whose outputs are not those of an nn.Linear: name the layer "
            "whose output is its penultimate features, layer='...', of "
            f"{', '.join(names) or 'its own modules'}"
        )
    return last


@contextmanager
def _training_set(problem: Problem) -> Iterator[Loader]:
    """The training set, in its order and not augmented (a user's own loader as it is)."""
    batches = problem.train_loader
    if isinstance(batches, Batches):
        batches = replace(batches, shuffle=False, augment=None)
    with seeded(0, "features"), seeded_loader(batches, 0, "features"):
        yield batches


def _asked(problem: Evaluable, inputs: Loader | Inputs) -> Iterator[Inputs]:
    """Batches of inputs, on the problem's device."""
    empty = True
    for batch in in_batches(inputs, problem.example):
        x = moved(inputs_of(batch, problem.example), problem.device)
        if rows(x):
            empty = False
            yield x
    if empty:
        raise InputError("the loader to find features of is empty: it gave no inputs")


def _few(features: Tensor) -> Tensor:
    if features.shape[1] > LARGEST:
        raise InputError(
            f"got {features.shape[1]} penultimate features, needs {LARGEST} or fewer, as their "
            "matrices take memory with the square: name a narrower layer, layer='...'"
        )
    return features


def _finite(batches: list[Tensor]) -> Tensor:
    joined = torch.cat(batches)
    if not torch.isfinite(joined).all():
        raise InputError(
            "the network's outputs are not finite on these inputs: are there NaN among them, or "
            "did it diverge?"
        )
    return joined


def _factor(features: Tensor, weights: Tensor) -> Tensor:
    """The lower triangular Cholesky factor of Phi' W Phi + I, in double precision."""
    matrix = torch.eye(features.shape[1] + 1, dtype=torch.float64, device=features.device)
    for part, weight in zip(features.split(BLOCK), weights.split(BLOCK), strict=True):
        phi = _with_one(part)
        matrix += phi.mT @ (phi * weight[:, None])
    rounding = torch.finfo(matrix.dtype).eps * len(matrix) * matrix.diagonal().max()
    matrix.diagonal().add_(rounding)  # huge features would leave it indefinite
    return torch.linalg.cholesky(matrix)


def _form(features: Tensor, factor: Tensor) -> Tensor:
    """The quadratic forms phi' M^-1 phi `[inputs]` of a matrix M with this factor."""
    return torch.cat(
        [
            torch.linalg.solve_triangular(factor, _with_one(part).mT, upper=False).square().sum(0)
            for part in features.split(BLOCK)
        ]
    )


def _with_one(features: Tensor) -> Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], 1).double()


def _values(outputs: Outputs, logits: Tensor) -> Tensor:
    return outputs.values(outputs.back(logits.double()))


@dataclass(frozen=True)
class _Seen:
    """What was looked at of inputs.

    Attributes:
        logits: `[inputs, columns]`, in double precision.
        p: Probabilities, or values as the network gives them `[inputs, columns]`.
        variance: phi' (Phi' W Phi + I)^-1 phi `[inputs]`.
        leverage: phi' (Phi' Phi + I)^-1 phi `[inputs]`.
        own: The nearest training inputs in penultimate features.
        near: Those in input space.
    """

    logits: Tensor
    p: Tensor
    variance: Tensor
    leverage: Tensor
    own: Nearest
    near: Nearest


@dataclass(frozen=True)
class _Column:
    """A feature, or some that are made together.

    Attributes:
        of: The outputs that have it.
        names: Its name, or theirs.
        make: From what was looked at to numbers `[inputs, ...]`.
        each: There is one for each column of the predictions, whose number the name gets.
        in_space: It is about input space.
    """

    of: type[Outputs]
    names: tuple[str, ...]
    make: Callable[[_Seen], Tensor]
    each: bool = False
    in_space: bool = False


def _distances(near: Nearest) -> Tensor:
    """Distances of the nearest training inputs `[inputs, 3]`."""
    far = near.distances
    return torch.stack([far[:, 0], far.mean(1), far[:, -1]], 1)


def _around(near: Nearest, p: Tensor) -> Tensor:
    """What labels of the nearest training inputs tell `[inputs, 3]`."""
    k = near.labels.shape[1]
    histogram = torch.zeros_like(p).scatter_add(
        1, near.labels, torch.full_like(near.distances, 1 / k)
    )
    entropy = -(histogram * _log(histogram)).sum(1)
    share = histogram.gather(1, p.argmax(1, keepdim=True))[:, 0]
    return torch.stack([share, entropy, (histogram * p).sum(1)], 1)


def _log(x: Tensor) -> Tensor:
    return x.clamp_min(1e-30).log()


def _spaced(space: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{space}-{name}" for name in names)


_FAR, _LABELS = ("nearest", "mean", "farthest"), ("share", "entropy", "agreement")
_COLUMNS = (
    _Column(
        Probabilities,
        ("logit-{}",),
        lambda s: s.logits.sort(1, descending=True).values - s.logits.mean(1, keepdim=True),
        each=True,
    ),
    _Column(Values, ("value-{}",), lambda s: s.p, each=True),
    _Column(Probabilities, ("laplace",), lambda s: _log(s.variance)),
    _Column(Probabilities, ("laplace-softmax",), lambda s: _log(s.variance * multinomial(s.p)[1])),
    _Column(Outputs, ("leverage",), lambda s: _log(s.leverage)),
    _Column(Outputs, _spaced("features", *_FAR), lambda s: _distances(s.own)),
    _Column(Probabilities, _spaced("features", *_LABELS), lambda s: _around(s.own, s.p)),
    _Column(Outputs, _spaced("inputs", *_FAR), lambda s: _distances(s.near), in_space=True),
    _Column(
        Probabilities, _spaced("inputs", *_LABELS), lambda s: _around(s.near, s.p), in_space=True
    ),
    _Column(Probabilities, ("impurity",), lambda s: multinomial(s.p)[0]),
)


def _columns_for(outputs: Outputs) -> list[_Column]:
    return [column for column in _COLUMNS if isinstance(outputs, column.of)]


def _named(columns: list[_Column], predicted: int) -> tuple[str, ...]:
    return tuple(
        name.format(c + 1)
        for column in columns
        for c in range(predicted if column.each else 1)
        for name in column.names
    )
