"""Forest: extremely randomised trees (Geurts et al. 2006) learn where retrainings differ, and lend
residuals from like inputs.

A method of thalweg's own. Every network in turn is left out: its distance from the mean of the
others, at every calibration input, is what one more training would be off; trees learn it from what
the others know of the input. So an estimate rests on thousands of differences elsewhere, and needs
few networks. Why it works, in two lines: *where* retrainings disagree is written in the geometry of
the training data as a network sees it, which costs no training; and the mean of a few narrow
networks is nearly that of retrainings, at a fraction of the cost.

    members     n networks: anchors, and proxies, narrower ones
    target      |v_i - mean of the others|, brought to the mean standard uncertainty
                (`emulators.scale`)
    rows        mean and spread of the others, and their features, for each i at each calibration
                input
    u           the trees' mean over the n ways to leave one out; of distances: the root of a mean
                square is no typical distance
    residuals   log v_i - log mean of the others, by class rank, of a calibration input in the same
                leaf; each draw, another tree
    factor      sqrt((1 + squared error of the centre) / (1 + 1 / (n - 1)) x inflation), and less
                where members are narrow
    draws       softmax(log centre + factor x residual), shifted so that their mean probability is
                the centre

Of a regression, values take the place of log-probabilities, and there is no softmax. They are
measured in units of their own scatter first, so that u is the same in whatever units they come.

An input is *outside* where it is farther from all calibration inputs, in these rows, than 99.5 % of
those are from each other. The trees know nothing there: u is the mean of theirs and of the
networks' own spread, and `Predictions.outside` says where.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.emulators.base import Ask, Learner, register_emulator
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group, Scale, others
from thalweg.errors import InputError, check_range, whole
from thalweg.narrow.width import bias_of_spread
from thalweg.outputs import Outputs
from thalweg.predictions import Predictions
from thalweg.seeds import derive, generator, seeded

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesRegressor

_BLOCK = 250  # inputs at a time: bounded memory
_QUANTILE = 0.995


@register_emulator("forest")
@dataclass(frozen=True)
class Forest(Learner):
    """Trees on what networks know of inputs.

    The settings were chosen on Fashion-MNIST with an MLP and a CNN.

    Attributes:
        trees: How many.
        leaf: Calibration inputs a leaf, at least.
        tried: Share of the features that a split looks at.
        inflation: Factor of the draws' variance, as u itself is only known within a third. It is
            not in u.
        geometry: Look at features of the inputs, where there are some; predictions alone if not.
    """

    trees: int = 100
    leaf: int = 10
    tried: float = 0.4
    inflation: float = 1.3
    geometry: bool = True

    def __post_init__(self) -> None:
        whole("forest.trees", self.trees, 1)
        whole("forest.leaf", self.leaf, 1)
        check_range("forest.tried", self.tried, 1e-9, 1)
        check_range("forest.inflation", self.inflation, 0)

    @property
    def uses_features(self) -> bool:
        return self.geometry

    def without_features(self) -> "Forest":
        return replace(self, geometry=False)

    def learn(self, known: Observations, seed: int) -> Ask:
        group = Group.of(known)
        measure = _Measure.of(group)
        grown = self._grow(known.outputs, measure.of_group(group), self._features(known), seed)

        def ask(asked: Observations, draws: int, seed: int) -> Predictions:
            measured = measure.of_group(Group.of(asked))
            kind = asked.anchors.stored.dtype
            found = grown.ask(measured, self._features(asked), draws, seed)
            drawn = torch.empty(draws, asked.inputs, asked.columns, dtype=kind)
            for block, part in found.blocks:
                drawn[:, block] = measure.back(part).to(kind).transpose(0, 1)
            u = found.u * measure.unit if measure.differs else found.u
            return Predictions(drawn, u.to(kind), found.outside, asked.outputs)

        return ask

    def _features(self, evidence: Observations) -> Tensor | None:
        return evidence.features if self.geometry else None

    def _grow(self, outputs: Outputs, known: Group, features: Tensor | None, seed: int) -> "_Grown":
        with seeded(
            seed, "forest"
        ):  # importing it draws from Python's own random numbers, which are the caller's
            from sklearn.ensemble import (
                ExtraTreesRegressor,
            )  # takes three times as long as importing thalweg itself

        if known.values.shape[1] < 2:
            raise InputError(
                "the forest got 1 calibration input, needs 2 or more (some hundreds, to know "
                "anything): it learns from their differences"
            )
        seen, targets, residuals, distances = views(outputs, known, features), [], [], []
        scale = Scale.of(known)
        for k in range(len(known.values)):
            mean = others(known.values, k).mean(0)
            distance = (known.values[k] - mean).norm(dim=-1)
            distances.append(float(distance.mean()))
            targets.append(distance * (scale.level / max(distances[-1], 1e-300)))
            residuals.append(outputs.residuals(known.values[k], mean))
        trees = ExtraTreesRegressor(
            self.trees,
            min_samples_leaf=self.leaf * len(seen),
            max_features=self.tried,
            random_state=derive(seed, "forest") % 2**32,
        )
        rows = np.concatenate(seen)
        trees.fit(rows, torch.cat(targets).numpy())
        # of one network from the others, with their own error
        typical = sum(distances) / len(distances) / bias_of_spread(2, known.dimensions)
        factor = math.sqrt((1 + scale.error) * self.inflation) * scale.level / max(typical, 1e-300)
        return _Grown(
            outputs,
            scale,
            trees,
            Space.of(np.mean(seen, 0)),
            [_Leaves.of(own.tree_, rows) for own in trees.estimators_],
            torch.cat(residuals) * factor,
        )


@dataclass(frozen=True)
class _Measure:
    """The scale on which trees see values, so that nothing depends on their units: trees take
    numbers that differ by less than 1e-7 for equal.

    Attributes:
        origin: The mean over calibration inputs `[outputs]`.
        unit: The members' scatter there, rounded to a power of 2, which is exact.
        differs: Whether it is another scale than that of the values; that of probabilities isn't.
    """

    origin: Tensor
    unit: float = 1.0
    differs: bool = False

    @staticmethod
    def of(group: Group) -> "_Measure":
        """The scale of calibration inputs."""
        origin = group.values.mean((0, 1))
        if group.outputs.simplex:
            return _Measure(origin)
        scatter = float((group.values - group.values.mean(0)).norm(dim=-1).mean())
        return _Measure(origin, 2.0 ** round(math.log2(scatter)) if scatter else 1.0, differs=True)

    def of_group(self, group: Group) -> Group:
        """A group on this scale."""
        if not self.differs:
            return group
        return replace(group, values=(group.values - self.origin) / self.unit)

    def back(self, values: Tensor) -> Tensor:
        """Values on their own scale again `[..., outputs]`."""
        return values * self.unit + self.origin if self.differs else values


@dataclass(frozen=True)
class _Grown:
    """Trees that have learned, with the calibration inputs in their leaves.

    Attributes:
        outputs: What predictions are of.
        scale: What the calibration inputs tell of anchors and proxies.
        trees: The trees.
        space: What the networks know of the calibration inputs, mean over the ways to leave one
            out.
        leaves: Of each tree, with the calibration rows in them.
        residuals: Of each calibration row, scaled for draws `[members x inputs, outputs]`.
    """

    outputs: Outputs
    scale: Scale
    trees: "ExtraTreesRegressor"
    space: "Space"
    leaves: list["_Leaves"]
    residuals: Tensor

    def ask(self, group: Group, features: Tensor | None, draws: int, seed: int) -> "_Asked":
        """Returns what it says of other inputs."""
        seen = views(self.outputs, group, features)
        found = [self.trees.apply(view) for view in seen]
        u = torch.from_numpy(np.mean([_predicted(self.leaves, own) for own in found], 0))
        outside = self.space.outside(np.mean(seen, 0))
        u = torch.where(outside, (u + self.scale.spread(group)) / 2, u)
        picked = _alike(self.leaves, found, draws, seed)
        centre = self.scale.centre(group)
        blocks = (
            (block, self.outputs.draws(centre[block], self.residuals[picked[block]]))
            for block in torch.arange(len(u)).split(_BLOCK)
        )
        return _Asked(blocks, u, outside)


@dataclass(frozen=True)
class _Asked:
    """What a forest says of inputs, on its own scale.

    Attributes:
        blocks: The numbers of some inputs, and draws for them `[inputs, draws, outputs]`: all of
            them together would take much memory.
        u: Standard uncertainties `[inputs]`.
        outside: Which inputs are outside `[inputs]`.
    """

    blocks: Iterator[tuple[Tensor, Tensor]]
    u: Tensor
    outside: Tensor


def views(outputs: Outputs, group: Group, features: Tensor | None) -> list[NDArray[np.float32]]:
    """What all networks but one know of the inputs, for each that is left out `[inputs,
    columns]`.
    """
    seen = []
    for k in range(len(group.values)):
        left = others(group.values, k)
        columns = [outputs.summary(left.mean(0))]
        if len(left) > 1:
            columns.append(left.var(0).sum(-1).clamp_min(1e-12).log()[:, None])
        if features is not None:
            columns.append(others(features.double(), k).mean(0))
        seen.append(torch.cat(columns, 1).float().numpy())
    return seen


@dataclass(frozen=True)
class _Leaves:
    """The leaves of a tree.

    Attributes:
        values: The mean target of each node `[nodes]`.
        rows: The calibration rows, leaf by leaf `[rows]`.
        first: Where each node's rows begin there `[nodes]`.
        count: How many each node has `[nodes]`.
    """

    values: NDArray[np.float64]
    rows: NDArray[np.int64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]

    @staticmethod
    def of(tree: Any, rows: NDArray[np.float32]) -> "_Leaves":
        """Those of a tree of scikit-learn's that was fitted to these rows."""
        leaf = tree.apply(rows)
        count = np.bincount(leaf, minlength=tree.node_count)
        order = np.argsort(leaf, kind="stable")
        return _Leaves(tree.value[:, 0, 0], order, np.cumsum(count) - count, count)


def _predicted(leaves: list[_Leaves], found: NDArray[np.int64]) -> NDArray[np.float64]:
    """The trees' mean at inputs in these leaves `[inputs, trees]`, as `trees.predict` gives it."""
    total = np.zeros(len(found))
    for own, leaf in zip(leaves, found.T, strict=True):
        total += own.values[leaf]
    total /= len(leaves)
    return total


def _alike(leaves: list[_Leaves], asked: list[NDArray[np.int64]], draws: int, seed: int) -> Tensor:
    """For each asked input rows of the calibration inputs in the same leaf, each of another tree
    `[inputs, draws]`.
    """
    inputs, trees = asked[0].shape
    random = generator(seed, "forest", "rows")
    picked = np.empty((inputs, draws), dtype=np.int64)
    shares = torch.rand(draws, inputs, generator=random, dtype=torch.float64).numpy()
    for draw in range(draws):
        tree = draw % trees
        own, leaf = leaves[tree], asked[draw % len(asked)][:, tree]
        place = own.first[leaf] + (shares[draw] * own.count[leaf]).astype(np.int64)
        picked[:, draw] = own.rows[place]
    return torch.from_numpy(picked)


@dataclass(frozen=True)
class Space:
    """Where the calibration inputs lie.

    Attributes:
        centre: Their mean `[columns]`.
        scale: Their standard deviations `[columns]`.
        inputs: They themselves, centred and scaled `[inputs, columns]`.
        limit: Nearly all of them are nearer to another one.
    """

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    inputs: Tensor
    limit: Tensor

    @staticmethod
    def of(known: NDArray[np.float32]) -> "Space":
        """That of calibration inputs `[inputs, columns]`."""
        centre, scale = known.mean(0), known.std(0) + 1e-6
        here = torch.from_numpy((known - centre) / scale)
        distances = torch.cat(
            [
                torch.cdist(block, here).topk(2, largest=False).values[:, 1]
                for block in here.split(_BLOCK)
            ]
        )
        return Space(centre, scale, here, distances.quantile(_QUANTILE))

    def outside(self, asked: NDArray[np.float32]) -> Tensor:
        """Which inputs are farther from all calibration inputs than nearly all of those are from
        each other `[inputs]`.
        """
        there = torch.from_numpy((asked - self.centre) / self.scale)
        nearest = [torch.cdist(block, self.inputs).min(1).values for block in there.split(_BLOCK)]
        return torch.cat(nearest) > self.limit
