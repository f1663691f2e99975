"""Atlas: what retrainings would change, from one network or a few, and the retrainings of many
other tasks (`thalweg.atlas`).

A method of thalweg's own. How u hangs on an input's place is nearly the same on every task, and is
known beforehand; what the networks that are there show corrects it. With n networks, whole ones and
narrow copies:

    before      log u of an input up to a constant, as each network sees it: the last-layer Laplace
                deviation, corrected by what small networks learned on other tasks (`atlas.learned`)
    u           times what trees find of |v_i - mean of the others| over it, each i in turn, at the
                unlabelled inputs; with one network nothing. The probabilities that log u is seen by
                are the mean over all networks, i among them
    level       the mean of u: one posterior of all that tells of it (`emulators.level`)
    centre      whole networks and calibrated copies, weighed by their errors; one network alone is
                flattened as a simulation says (`atlas.centre`)
    draws       logit-normal about the centre (`atlas.draws`), with the variance u^2 times (1 + the
                squared error of the centre) and `inflation`

An input is *outside* as in `emulators.forest`: farther from all unlabelled inputs, in what the
atlas looks at, than 99.5 % of those are from each other. With two networks or more, u is then the
mean of the estimate and of the networks' own spread.

Networks along the path of one training (`Observations.path`) are nearer to each other than
retrainings are. Trees learn from their differences, but level, centre and spread know their mean
only, as one network.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.atlas.centre import (
    Calibration,
    average_weight,
    pooled,
    powered,
    sharpness,
)
from thalweg.atlas.draws import draw
from thalweg.atlas.learned import VERSION, Learned, Viewed, bounded, learned, with_mean
from thalweg.atlas.views import look
from thalweg.emulators.base import Ask, Learner, register_emulator
from thalweg.emulators.forest import Space, views
from thalweg.emulators.level import Level, level_from
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group, merged, others, unbiased_spread
from thalweg.errors import InputError, check_range, whole
from thalweg.narrow.width import squared_bias, together, variance
from thalweg.predictions import Predictions
from thalweg.seeds import derive, seeded

_LEAST_PART = 0.4  # of a network's variance, that is left by averaging over augmentations
Correction = Callable[[Observations], Tensor]


@register_emulator("atlas")
@dataclass(frozen=True)
class Atlas(Learner):
    """The atlas, corrected by what a task's own networks show.

    Attributes:
        trees: How many, where there are two networks or more.
        leaf: Calibration inputs a leaf, at least.
        tried: Share of the columns that a split looks at.
        inflation: Factor of the draws' variance, as u itself is only known within a third. It is
            not in u.
        geometry: Look at features of the inputs, where there are some; predictions alone if not.
        version: The number of what was learned on other tasks; there is only this one. A fit that
            was saved with another one is refused.

    Example:
        >>> from thalweg.outputs import Classes
        >>> logits = torch.randn(1, 300, 4, generator=torch.Generator().manual_seed(0))
        >>> known = Predictions(Classes().store(3 * logits))
        >>> drawn = Atlas().emulate(known, known, draws=20, seed=0)
        >>> drawn.members, tuple(drawn.u().shape)
        (20, (300,))
    """

    least_members: ClassVar[int] = 1
    uses_sensitivity: ClassVar[bool] = True
    uses_averages: ClassVar[bool] = True

    trees: int = 100
    leaf: int = 10
    tried: float = 0.4
    inflation: float = 1.3
    geometry: bool = True
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise InputError(
                f"atlas.version got {self.version!r}, needs {VERSION}, the atlas of this thalweg, "
                "which gives other numbers: fit again, or use the thalweg that was used before"
            )
        whole("atlas.trees", self.trees, 1)
        whole("atlas.leaf", self.leaf, 1)
        check_range("atlas.tried", self.tried, 1e-9, 1)
        check_range("atlas.inflation", self.inflation, 0)

    @property
    def uses_features(self) -> bool:
        return self.geometry

    def without_features(self) -> "Atlas":
        return replace(self, geometry=False)

    def learn(self, known: Observations, seed: int) -> Ask:
        return self.fitted(known, seed, learned())

    def fitted(self, known: Observations, seed: int, book: Learned) -> Ask:
        """As `learn`, with what was learned on other tasks than usual: those that leave one out."""
        if known.inputs < 2:
            raise InputError(
                "the atlas got 1 calibration input, needs 2 or more (some hundreds, to know "
                "anything): they say what is typical"
            )
        measure = _Measure.of(known)
        known = measure.of_observations(known if self.geometry else replace(known, features=None))
        kind, group = known.outputs, Group.of(known).by_training(known.path)
        level = self._level(known, book)
        before = Before.of(book, known, level.value)
        correct = self._corrected(known, before, seed)
        found = correct(known)
        unit = level.value / max(float(found.mean()), 1e-300)  # identical networks have no u
        centre = Centre.of(group, found * unit, _means(known, known.path))
        space = Space.of(before.rows(known).float().numpy())
        scatter = group.own.mean(0).std(0)

        def ask(asked: Observations, draws: int, seed: int) -> Predictions:
            stored_as = asked.anchors.stored.dtype
            asked = measure.of_observations(
                asked if self.geometry else replace(asked, features=None)
            )
            there = Group.of(asked).by_training(known.path)
            u = correct(asked) * unit
            outside = space.outside(before.rows(asked).float().numpy())
            if there.values.shape[0] > 1:
                own = unbiased_spread(there.values, group.dimensions)
                u = torch.where(outside, (u + own) / 2, u)
            wide = u * math.sqrt((1 + centre.error) * self.inflation)
            mean = centre(there, _means(asked, known.path))
            drawn = measure.back(draw(kind, mean, wide, scatter, draws, seed)).to(stored_as)
            u = (u * measure.unit).clamp(max=kind.largest_u).to(stored_as)
            return Predictions(drawn, u, outside, kind)

        return ask

    def level(self, known: Observations) -> Level:
        measure = _Measure.of(known)
        found = self._level(measure.of_observations(known), learned())
        return replace(found, log_level=found.log_level + math.log(measure.unit))

    def _level(self, known: Observations, book: Learned) -> Level:
        group, law = Group.of(known).by_training(known.path), book.facts["level"]
        return level_from(law, group, known.stored[0], known.sensitivity)

    def _corrected(self, known: Observations, before: "Before", seed: int) -> Correction:
        """Returns u, up to a factor, from observations `[inputs]`."""
        if known.members == 1:
            return lambda asked: before.u(asked)[0]
        with seeded(seed, "atlas"):  # importing it draws from Python's own random numbers
            from sklearn.ensemble import ExtraTreesRegressor
        group = Group.of(known)
        rows, targets, weights = [], [], []
        guesses = before.u(known)
        for k, (view, guess) in enumerate(zip(_views(known, guesses), guesses, strict=True)):
            apart = (group.values[k] - others(group.values, k).mean(0)).norm(dim=-1)
            rows.append(view)
            size = guess.mean() / apart.mean().clamp_min(1e-300)
            targets.append(apart * size / guess.clamp_min(1e-12))
            weights.append((guess / guess.mean()).square())
        trees = ExtraTreesRegressor(
            self.trees,
            min_samples_leaf=self.leaf * len(rows),
            max_features=self.tried,
            random_state=derive(seed, "atlas") % 2**32,
        )
        trees.fit(
            np.concatenate(rows), torch.cat(targets).numpy(), torch.cat(weights).clamp_min(1e-4)
        )

        def correct(asked: Observations) -> Tensor:
            guesses = before.u(asked)
            views = _views(asked, guesses)
            found = [
                torch.from_numpy(trees.predict(view)) * guess
                for view, guess in zip(views, guesses, strict=True)
            ]
            return torch.stack(found).mean(0)

        return correct


@dataclass(frozen=True, eq=False)
class _Measure:
    """The scale on which values are looked at, so that nothing depends on their units; that of
    probabilities is their own.

    Attributes:
        origin: The first network's mean over calibration inputs `[outputs]`; 0 of probabilities.
        unit: Its scatter there, rounded to a power of 2, which is exact.
    """

    origin: Tensor
    unit: float

    @staticmethod
    def of(known: Observations) -> "_Measure":
        """That of calibration inputs."""
        own = known.stored[0].double()
        scatter = 1.0 if known.outputs.simplex else float(own.std(0).norm())
        origin = torch.zeros_like(own[0]) if known.outputs.simplex else own.mean(0)
        return _Measure(origin, 2.0 ** round(math.log2(scatter)) if scatter else 1.0)

    def of_observations(self, seen: Observations) -> Observations:
        """The same on this scale."""
        if seen.outputs.simplex:
            return seen

        def brought(given: Tensor) -> Tensor:
            return (given.double() - self.origin) / self.unit

        def predictions(given: Predictions) -> Predictions:
            return Predictions(brought(given.stored), outputs=given.outputs)

        moved = seen.sensitivity

        return replace(
            seen,
            anchors=predictions(seen.anchors),
            proxies=None if seen.proxies is None else predictions(seen.proxies),
            averaged=None if seen.averaged is None else brought(seen.averaged),
            sensitivity=None if moved is None else moved.over(self.unit),
        )

    def back(self, stored: Tensor) -> Tensor:
        """What is stored on its own scale again `[..., columns]`."""
        return stored * self.unit + self.origin


@dataclass(frozen=True, eq=False)
class Before:
    """u as it is known beforehand, for each network that is left out in turn.

    Attributes:
        places: The task as each network sees it.
        factors: Of each that is left out, the logarithm of the factor that gives u its mean.
        simplex: Whether there are probabilities, whose u has a ceiling.
    """

    places: tuple[Viewed, ...]
    factors: tuple[float, ...]
    simplex: bool

    @staticmethod
    def of(book: Learned, known: Observations, level: float) -> "Before":
        """From what all networks say of unlabelled inputs, and the mean of u there."""
        kind = known.outputs
        mean = _mean(known)
        places = tuple(book.view(kind, *_said(known, k), mean) for k in range(known.members))
        made = Before(places, (0.0,) * known.members, kind.simplex)
        if not kind.simplex:
            factors = [math.log(level) - float(own.exp().mean().log()) for own in made._logs(known)]
        else:
            factors = [with_mean(own, level) for own in made._logs(known)]
        return Before(places, tuple(factors), kind.simplex)

    def u(self, seen: Observations) -> list[Tensor]:
        """u, for each network that is left out `[inputs]`; that of the only one as it is."""
        found = [
            (own + factor).exp() for own, factor in zip(self._logs(seen), self.factors, strict=True)
        ]
        return [bounded(own) for own in found] if self.simplex else found

    def rows(self, seen: Observations) -> Tensor:
        """The columns of inputs in units of their scatter over tasks, mean over networks `[inputs,
        columns]`.
        """
        mean, found = _mean(seen), []
        for k, own in enumerate(self.places):
            looked = look(seen.outputs, *_said(seen, k), mean)
            rows = own.typical.rows(looked, seen.inputs)
            # not as `standard` has them, which calls what is far as far as what is farther
            found.append(((rows - own.shape.centre) / own.shape.scale).nan_to_num())
        return torch.stack(found).mean(0)

    def _logs(self, seen: Observations) -> list[Tensor]:
        mean = _mean(seen)
        found = torch.stack([own.log_u(*_said(seen, k), mean) for k, own in enumerate(self.places)])
        if len(found) == 1:
            return [found[0]]
        return [others(found, k).mean(0) for k in range(len(found))]


@dataclass(frozen=True, eq=False)
class Centre:
    """How the mean of retrainings is made of networks.

    Attributes:
        averaging: The weight of the means over augmentations; 0 without any.
        power: Of the whole networks' mean probabilities, where there are no copies.
        calibration: Of the copies' mean; None where there are no copies.
        weight: Of the copies' mean.
        error: The squared error of the centre, in variances of a retraining.
    """

    averaging: float
    power: float
    calibration: Calibration | None
    weight: float
    error: float

    @staticmethod
    def of(group: Group, u: Tensor, means: Tensor | None = None) -> "Centre":
        """From what networks say of unlabelled inputs.

        Args:
            group: Their values.
            u: Standard uncertainties `[inputs]`.
            means: Their mean values over augmentations `[networks, inputs, outputs]`, or None.
        """
        unit, copies = float(u.square().mean()), len(group.proxies)
        scatter = variance(group.width_ratio, group.impurity) / copies if copies else math.inf
        averaging, part = 0.0, 1.0
        if means is not None and unit > 0:
            count = group.anchors + 1 / scatter
            averaging, gained = average_weight(means - group.values, count, u)
            part = max(_LEAST_PART, 1 - gained)
            group = _nearer(group, means, averaging)
        error = part / group.anchors
        if not copies:
            flat = 1.0
            if group.outputs.simplex:
                flat = sharpness(group.own.mean(0), u * math.sqrt(error))
            return Centre(averaging, flat, None, 0.0, error)
        scatter *= part
        own, theirs = group.own.mean(0), group.proxies.mean(0)
        expected = unit * (error + scatter)
        calibration = Calibration.of(group.outputs, own, theirs, expected)
        apart = float((calibration(theirs) - own).square().sum(-1).mean())
        shown = max(0.0, apart / unit - error - scatter) if unit > 0 else 0.0
        bias = (squared_bias(group.width_ratio) + shown) / 2
        return Centre(averaging, 1.0, calibration, *together(error, scatter + bias))

    def __call__(self, group: Group, means: Tensor | None = None) -> Tensor:
        """The centre `[inputs, outputs]`; arguments as of `of`."""
        if means is not None:
            group = _nearer(group, means, self.averaging)
        mean = group.own.mean(0)
        if self.calibration is None:
            return powered(mean, self.power) if group.outputs.simplex else mean
        theirs = self.calibration(group.proxies.mean(0))
        mixed = torch.lerp(mean, theirs, self.weight)
        return (pooled(mean, theirs, self.weight) + mixed) / 2 if group.outputs.simplex else mixed


def _nearer(group: Group, means: Tensor, weight: float) -> Group:
    """The group, each network's values moved to its mean over augmentations by a weight."""
    mixed = torch.lerp(group.values, means, weight)
    if group.outputs.simplex:
        mixed = (mixed + pooled(group.values, means, weight)) / 2
    return replace(group, values=mixed)


def _means(seen: Observations, path: int) -> Tensor | None:
    if seen.averaged is None:
        return None
    return merged(seen.outputs.values(seen.averaged.double()), path)


def _said(seen: Observations, k: int) -> tuple[Tensor, Tensor | None]:
    return seen.stored[k], None if seen.features is None else seen.features[k]


def _mean(seen: Observations) -> Tensor:
    """The mean values over all networks `[inputs, outputs]`, none left out."""
    return seen.outputs.values(seen.stored.double()).mean(0)


def _views(seen: Observations, guesses: list[Tensor]) -> list[NDArray[np.float32]]:
    """What trees look at: as the forest's, and u before."""
    found = views(seen.outputs, Group.of(seen), seen.features)
    return [
        np.concatenate([view, guess.clamp_min(1e-12).log().float().numpy()[:, None]], 1)
        for view, guess in zip(found, guesses, strict=True)
    ]
