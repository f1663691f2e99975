"""Atlas: what retrainings would change, from one network or a few, and the retrainings of many other
tasks (`thalweg.atlas`).

A method of thalweg's own. How u hangs on an input's place is nearly the same on every task, and is
known beforehand; what the networks that are there show corrects it. With n networks, whole ones and
narrow copies:

    before      log u of an input up to a constant, as each network sees it: the last-layer Laplace
                deviation, corrected by what small networks learned on other tasks (`atlas.learned`)
    u           times what trees find of |v_i - mean of the others| over it, each i left out in
                turn, at the unlabelled inputs; with one network nothing
    level       the mean of u: one posterior of all that tells of it (`atlas.level`)
    centre      whole networks and calibrated copies, weighed by their errors, and sharpened or
                flattened as a simulation says (`atlas.centre`)
    draws       logit-normal about the centre (`atlas.draws`), with the variance u^2 times (1 + the
                squared error of the centre) and `inflation`

An input is *outside* as in `emulators.forest`: farther from all unlabelled inputs, in what the atlas
looks at, than 99.5 % of those are from each other. With two networks or more, u is then the mean of
the estimate and of the networks' own spread.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.atlas.centre import Calibration, pooled, powered, sharpness
from thalweg.atlas.draws import draw
from thalweg.atlas.learned import Learned, Viewed, learned, standard
from thalweg.atlas.level import clues_of, level_of
from thalweg.atlas.views import look
from thalweg.emulators.base import Ask, Learner, register_emulator
from thalweg.emulators.forest import Space, views
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group, others, unbiased_spread
from thalweg.errors import check_range, whole
from thalweg.narrow.width import squared_bias, together, variance
from thalweg.predictions import Predictions
from thalweg.seeds import derive, seeded

Correction = Callable[[Observations, list[Tensor]], Tensor]


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

    Example:
        >>> from thalweg.outputs import Classes
        >>> logits = torch.randn(1, 300, 4, generator=torch.Generator().manual_seed(0))
        >>> known = Predictions(Classes().store(3 * logits))
        >>> drawn = Atlas().emulate(known, known, draws=20, seed=0)
        >>> drawn.members, tuple(drawn.u().shape)
        (20, (300,))
    """

    least_members: ClassVar[int] = 1

    trees: int = 100
    leaf: int = 10
    tried: float = 0.4
    inflation: float = 1.2
    geometry: bool = True

    def __post_init__(self) -> None:
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
        known = known if self.geometry else replace(known, features=None)
        places = [book.view(known.outputs, *_said(known, k)) for k in range(known.members)]
        before = _before(places, known)
        correct = self._corrected(known, before, seed)
        group = Group.of(known)
        level = level_of(clues_of(book.facts["level"], group, *_said(known, 0)))
        u_before = correct(known, before)
        unit = level.value / float(u_before.mean())
        centre = Centre.of(group, u_before * unit)
        space = Space.of(_rows(places, known).float().numpy())
        scatter = group.own.mean(0).std(0)

        def ask(asked: Observations, draws: int, seed: int) -> Predictions:
            asked = asked if self.geometry else replace(asked, features=None)
            there, kind = Group.of(asked), asked.anchors.stored.dtype
            u = correct(asked, _before(places, asked)) * unit
            outside = space.outside(_rows(places, asked).float().numpy())
            if there.values.shape[0] > 1:
                own = unbiased_spread(there.values, there.dimensions)
                u = torch.where(outside, (u + own) / 2, u)
            wide = u * math.sqrt((1 + centre.error) * self.inflation)
            stored = draw(asked.outputs, centre(there), wide, scatter, draws, seed)
            u = u.clamp(max=asked.outputs.largest_u)
            return Predictions(stored.to(kind), u.to(kind), outside, asked.outputs)

        return ask

    def _corrected(self, known: Observations, before: list[Tensor], seed: int) -> Correction:
        """Returns u up to a factor `[inputs]`, from observations and log u before each is left
        out.
        """
        if known.members == 1:
            return lambda asked, before: before[0].exp()
        with seeded(seed, "atlas"):  # importing it draws from Python's own random numbers
            from sklearn.ensemble import ExtraTreesRegressor
        group = Group.of(known)
        rows, targets, weights = [], [], []
        for k, view in enumerate(_views(known, before)):
            apart = (group.values[k] - others(group.values, k).mean(0)).norm(dim=-1)
            guess = before[k].exp()
            rows.append(view)
            targets.append(apart / apart.mean().clamp_min(1e-300) / guess)
            weights.append(guess.square())
        trees = ExtraTreesRegressor(
            self.trees,
            min_samples_leaf=self.leaf * len(rows),
            max_features=self.tried,
            random_state=derive(seed, "atlas") % 2**32,
        )
        trees.fit(
            np.concatenate(rows), torch.cat(targets).numpy(), torch.cat(weights).clamp_min(1e-4)
        )

        def correct(asked: Observations, before: list[Tensor]) -> Tensor:
            found = [
                torch.from_numpy(trees.predict(view)) * guess.exp()
                for view, guess in zip(_views(asked, before), before, strict=True)
            ]
            return torch.stack(found).mean(0)

        return correct


@dataclass(frozen=True, eq=False)
class Centre:
    """How the mean of retrainings is made of networks.

    Attributes:
        power: Of the whole networks' mean probabilities, where there are no copies.
        calibration: Of the copies' mean; None where there are no copies.
        weight: Of the copies' mean.
        error: The squared error of the centre, in variances of a retraining.
    """

    power: float
    calibration: Calibration | None
    weight: float
    error: float

    @staticmethod
    def of(group: Group, u: Tensor) -> "Centre":
        """From the values of unlabelled inputs, and their u `[inputs]`."""
        unit, error, copies = float(u.square().mean()), 1 / group.anchors, len(group.proxies)
        if not copies:
            flat = sharpness(group.own.mean(0), u * math.sqrt(error)) if group.outputs.simplex else 1
            return Centre(flat, None, 0.0, error)
        scatter = variance(group.width_ratio, group.impurity) / copies
        own, theirs = group.own.mean(0), group.proxies.mean(0)
        calibration = Calibration.of(group.outputs, own, theirs)
        apart = float((calibration(theirs) - own).square().sum(-1).mean())
        shown = max(0.0, apart / unit - error - scatter) if unit > 0 else 0.0
        bias = (squared_bias(group.width_ratio) + shown) / 2
        return Centre(1.0, calibration, *together(error, scatter + bias))

    def __call__(self, group: Group) -> Tensor:
        """The centre `[inputs, outputs]`."""
        mean = group.own.mean(0)
        if self.calibration is None:
            return powered(mean, self.power) if group.outputs.simplex else mean
        theirs = self.calibration(group.proxies.mean(0))
        if not group.outputs.simplex:
            return mean + self.weight * (theirs - mean)
        return (pooled(mean, theirs, self.weight) + torch.lerp(mean, theirs, self.weight)) / 2


def _said(seen: Observations, k: int) -> tuple[Tensor, Tensor | None]:
    return seen.stored[k], None if seen.features is None else seen.features[k]


def _before(places: list[Viewed], seen: Observations) -> list[Tensor]:
    """Log u up to a constant, as the atlas knows it, for each network that is left out: the mean
    over the others, or that of the only one.
    """
    found = torch.stack([own.log_u(*_said(seen, k)) for k, own in enumerate(places)])
    if len(found) == 1:
        return [found[0]]
    return [others(found, k).mean(0) for k in range(len(found))]


def _views(seen: Observations, before: list[Tensor]) -> list[NDArray[np.float32]]:
    """What trees look at: as the forest's, and log u before."""
    features = seen.features
    found = views(seen.outputs, Group.of(seen), features)
    return [
        np.concatenate([view, guess.float().numpy()[:, None]], 1)
        for view, guess in zip(found, before, strict=True)
    ]


def _rows(places: list[Viewed], seen: Observations) -> Tensor:
    """The columns of inputs in units of their scatter over tasks, mean over networks `[inputs,
    columns]`.
    """
    found = []
    for k, own in enumerate(places):
        looked = look(seen.outputs, *_said(seen, k))
        rows = own.typical.rows(looked, seen.inputs)
        found.append(standard(rows, own.shape.centre, own.shape.scale))
    return torch.stack(found).mean(0)
