"""What a fit leaves: trained networks that can be asked about any inputs, what they said of the
unlabelled ones, and what the emulator learns from that. Asking needs no training set.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from thalweg.averaging import Averaging, blocks
from thalweg.emulators.base import Ask, Emulator, check_fit
from thalweg.emulators.level import Level
from thalweg.emulators.observations import Observations
from thalweg.emulators.scale import Group, Scale
from thalweg.emulators.transfer import EXAMPLES, Portrait, Transfer, portrait, transfer
from thalweg.features import InputFeatures, TrainingInputs, nowhere
from thalweg.meter import Meter
from thalweg.method import Trained
from thalweg.observing import learned_the_task, together
from thalweg.outputs import Outputs
from thalweg.predicting import in_batches, predict
from thalweg.predictions import Predictions
from thalweg.sensitivity import Sensitivity, sensitivity_if_any
from thalweg.training.architecture import Architecture
from thalweg.training.batches import Loader
from thalweg.training.nearest import BLOCK, Nearest
from thalweg.training.padding import joined
from thalweg.training.unlabelled import inputs_of
from thalweg.trees import Inputs, is_space, mapped, rows, taken, tensors
from thalweg.weights.point import Weights

_INPUTS = 4 * BLOCK  # at a time, or fewer where they take more bytes than this:
_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class Asking:
    """What all networks of a fit are asked with.

    Attributes:
        unlabelled: The inputs that are learned from.
        training: The training inputs, where features of inputs are needed; else None.
        part: A fixed part of the training set, as batches, for portraits of networks; empty where
            there is none.
        layer: The layer whose output are the features; the last linear layer reads it if None.
        outputs: What the networks' outputs mean.
        example: Two inputs `[2, ...]`, as the networks read them.
        meter: It is charged with all work, in evaluations of the whole network.
        averaging: The random changes of inputs that predictions are averaged over, or None.
    """

    unlabelled: Loader | Inputs
    training: TrainingInputs | None
    part: list[Any]
    layer: str | None
    outputs: Outputs
    example: Inputs
    meter: Meter
    averaging: Averaging | None = None

    @cached_property
    def near(self) -> Nearest | None:
        """The nearest training inputs of the unlabelled ones."""
        return self.nearest(self.unlabelled)

    def nearest(self, inputs: Any) -> Nearest | None:
        """The nearest training inputs of some inputs, where they are needed."""
        if self.training is None:
            return None
        with self.meter.clock():
            batches = in_batches(inputs, self.example)
            asked = [inputs_of(batch, self.example) for batch in batches]
            if not is_space(self.example):  # nor need they be of one shape
                return nowhere(sum(map(rows, asked)))
            return self.training.nearest(joined(asked), self.outputs)

    def aligned(self) -> "Asking":
        """The same, whose batches lie in memory in the same way wherever they come from: the last
        bits of a network's outputs depend on that.
        """
        training = self.training
        if training is not None:
            training = replace(training, batches=_Aligned(training.batches))
        return replace(
            self,
            unlabelled=[
                (mapped(Tensor.clone, inputs_of(batch, self.example)),)
                for batch in in_batches(self.unlabelled, self.example)
            ],
            training=training,
            part=[(mapped(Tensor.clone, x), y.clone()) for x, y in self.part],
        )


@dataclass(frozen=True, eq=False)
class _Aligned:
    """Batches, each copied when it is read."""

    batches: Iterable[Any]

    def __iter__(self) -> Iterator[Any]:
        for x, y in self.batches:
            yield mapped(Tensor.clone, x), y


class Said(NamedTuple):
    """What a network says of some inputs.

    Attributes:
        stored: What is stored of its predictions `[inputs, columns]`.
        features: What else it knows of the inputs `[inputs, features]`, or None.
        averaged: What is stored of its mean predictions over random changes of the inputs `[inputs,
            columns]`, or None.
    """

    stored: Tensor
    features: Tensor | None = None
    averaged: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Witness:
    """A trained network that can be asked about any inputs.

    Attributes:
        architecture: What evaluates it.
        weights: Its weights, ready to predict.
        ratio: The work of evaluating it over that of evaluating the whole network.
        features: What it knows of inputs beside its predictions, or None.
        log_probs: What is stored of its predictions of the unlabelled inputs `[inputs, columns]`.
        rows: Their features `[inputs, features]`, or None.
        portrait: What it is beside its predictions.
        sensitivity: How far its predictions of the unlabelled inputs move if its weights do; None
            where nobody asked, or where that can't be had.
        averaged: What is stored of its mean predictions over random changes of the unlabelled
            inputs `[inputs, columns]`, or None.
    """

    architecture: Architecture
    weights: Weights
    ratio: float
    features: InputFeatures | None
    log_probs: Tensor
    rows: Tensor | None
    portrait: Portrait
    sensitivity: Sensitivity | None = None
    averaged: Tensor | None = None

    @staticmethod
    def of(
        architecture: Architecture,
        weights: Weights,
        ratio: float,
        asking: Asking,
        *,
        sensitive: bool = False,
    ) -> "Witness":
        """Shows a network the training inputs and the unlabelled ones.

        Args:
            architecture: What evaluates it.
            weights: Its weights.
            ratio: As the attribute.
            asking: What it is asked with.
            sensitive: Whether its sensitivity is asked for, too.

        Raises:
            InputError: It has no layer whose output are the features, or outputs are not finite.
        """
        made: list[Witness] = []

        def look() -> None:
            features = None
            if asking.training is not None:
                features = InputFeatures.of(architecture, weights, asking.training, asking.layer)
            said = _said(architecture, weights, features, asking.unlabelled, asking.near)
            drawn = portrait(architecture, weights, asking.part)
            found = averaged = None
            if sensitive:
                found = sensitivity_if_any(architecture, weights, asking.unlabelled)
            if asking.averaging is not None:
                averaged = asking.averaging.said(architecture, weights, asking.unlabelled)
            facts = *said, drawn, found, averaged
            made.append(Witness(architecture, weights, ratio, features, *facts))

        asking.meter.charge(architecture.meter.apart(look).of_network(ratio))
        return made[0]

    @property
    def known(self) -> Said:
        """What it says of the unlabelled inputs."""
        return Said(self.log_probs, self.rows, self.averaged)

    def say(
        self, inputs: Loader | Inputs, near: Nearest | None, asking: Asking, first: int = 0
    ) -> Said:
        """What it says of other inputs.

        Args:
            inputs: The inputs.
            near: Their nearest training inputs, or None.
            asking: What it is asked with.
            first: As in `Averaging.said`.
        """
        said: list[Said] = []
        own, weights = self.architecture, self.weights

        def say() -> None:
            found, averaged = _said(own, weights, self.features, inputs, near), None
            if asking.averaging is not None:
                averaged = asking.averaging.said(own, weights, inputs, first)
            said.append(Said(*found, averaged))

        asking.meter.charge(own.meter.apart(say).of_network(self.ratio))
        return said[0]


def _said(
    architecture: Architecture,
    weights: Weights,
    features: InputFeatures | None,
    inputs: Loader | Inputs,
    near: Nearest | None,
) -> tuple[Tensor, Tensor | None]:
    if features is None or near is None:
        return predict(architecture, weights, inputs).stored[0], None
    return features.look(inputs, near)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Networks that were asked about the unlabelled inputs, and what is learned from that.

    Attributes:
        asking: What they are asked with.
        witnesses: The networks, narrow copies last.
        whole: How many are whole networks.
        given: How many of these, the first ones, were there before anything was bought: narrow
            copies are checked against them, as what was bought is trained as the copies are.
        width_ratio: The hidden channels of a narrow copy over those of a whole network.
        emulator: What learns.
        seed: Seed of what is random in learning.
        learned: The numbers of the narrow copies that learned the task.
        path: How many whole networks, the first ones, come of one training, as in `Observations`.
    """

    asking: Asking
    witnesses: tuple[Witness, ...]
    whole: int
    given: int
    width_ratio: float
    emulator: Emulator
    seed: int
    learned: tuple[int, ...]
    path: int = 1

    @staticmethod
    def of(
        trained: Trained,
        emulator: Emulator,
        unlabelled: Loader | Inputs,
        *,
        layer: str | None,
        seed: int,
        averaging: Averaging | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> "Fitted":
        """Asks trained networks about unlabelled inputs.

        Args:
            trained: The networks; all work is metered in their problem.
            emulator: What will learn from them.
            unlabelled: The inputs that are learned from.
            layer: As in `Asking`.
            seed: Seed of what is random in learning.
            averaging: As in `Asking`.
            tick: Called after each network.

        Raises:
            InputError: As by `Witness.of`.
        """
        problem, narrow = trained.problem, trained.narrow
        drawn = narrow is not None and problem.has_loader  # only for comparing them with copies
        asking = Asking(
            unlabelled,
            TrainingInputs.of(problem) if emulator.uses_features else None,
            problem.training_part(EXAMPLES) if drawn else [],
            layer,
            problem.outputs,
            problem.example,
            problem.meter,
            averaging,
        )
        whole = Architecture.of(problem)
        networks = [(whole, weights, 1.0) for weights in trained.members.points]
        if narrow is not None:
            cut = Architecture.of(narrow.problem)
            networks += [(cut, weights, narrow.cost_ratio) for weights in narrow.members.points]
        witnesses: list[Witness] = []
        for architecture, weights, ratio in networks:
            sensitive = emulator.uses_sensitivity and not witnesses  # of the first one alone
            witnesses.append(Witness.of(architecture, weights, ratio, asking, sensitive=sensitive))
            tick()
        width_ratio = 1.0 if narrow is None else narrow.width_ratio
        count = len(trained.members.points)
        facts = count, width_ratio, emulator, seed, trained.path
        return made(asking, tuple(witnesses), count, *facts)

    @cached_property
    def used(self) -> tuple[Witness, ...]:
        """The whole networks, and the narrow copies that learned the task."""
        copies = self.witnesses[self.whole :]
        return *self.witnesses[: self.whole], *(copies[number] for number in self.learned)

    @cached_property
    def known(self) -> Observations:
        """Returns what they said of the unlabelled inputs."""
        return self._observations([own.known for own in self.used])

    @property
    def columns(self) -> int:
        """How many numbers are predicted of an input."""
        return self.known.columns

    @property
    def example(self) -> Inputs:
        """An input `[1, ...]` as the networks read it."""
        return taken(self.asking.example, slice(1))

    def learn(self) -> None:
        """Learns now, and checks, so that the next question need not."""
        self.check, self.ask  # noqa: B018  kept when they are first read

    @cached_property
    def ask(self) -> Ask:
        """Returns what the emulator learned; it learns when this is first read."""
        with self.asking.meter.emulating():
            return self.emulator.learned(self.known, self.seed)

    @cached_property
    def level(self) -> Level | None:
        """The mean of u over the unlabelled inputs, where the emulator knows it with an
        interval.
        """
        return self.emulator.level(self.known)

    @cached_property
    def centre_error(self) -> float:
        """The squared error of the draws' centre from having few networks, in variances of one
        training, as they tell it on the unlabelled inputs.
        """
        group = Group.of(self.known, self.path)
        return Scale.of(group).error if len(group.proxies) else 1 / group.anchors

    @cached_property
    def check(self) -> Transfer | None:
        """Whether whole networks and narrow copies are alike; None without narrow copies."""
        if not self.learned:
            return None
        checked = [*self.used[: self.given], *self.used[self.whole :]]
        known = self._observations([Said(own.log_probs) for own in checked])
        return transfer(Group.of(known), [own.portrait for own in checked])

    def predict(self, inputs: Iterable[Inputs], draws: int, seed: int) -> Predictions:
        """Draws of retrainings for any inputs: each network evaluates them once, some thousand
        inputs at a time, and nothing is trained.

        Args:
            inputs: Batches of inputs.
            draws: How many.
            seed: Seed of the draws.

        Raises:
            InputError: Inputs can't be evaluated.
        """
        parts: list[list[Said]] = [[] for _ in self.used]
        asked_before = 0  # blocks, which count where predictions are averaged
        for chunk in _chunks(inputs if self.asking.averaging is None else blocks(inputs)):
            near = self.asking.nearest(chunk)
            for own, said in zip(self.used, parts, strict=True):
                said.append(own.say(chunk, near, self.asking, asked_before))
            asked_before += len(chunk)
        asked = self._observations([_joined(said) for said in parts])
        check_fit(self.emulator, self.known, asked, draws)
        ask = self.ask
        with self.asking.meter.emulating():
            return ask(asked, draws, seed)

    def grown(self, trained: Trained, tick: Callable[[], None] = lambda: None) -> "Fitted":
        """The same with the networks that were trained since, which are asked now.

        Args:
            trained: All networks, those that were asked already first among whole and narrow ones.
            tick: Called after each network that is asked.

        Raises:
            InputError: As by `Witness.of`.
        """
        whole, copies = self.witnesses[: self.whole], self.witnesses[self.whole :]
        narrow, more = trained.narrow, [*whole]
        for weights in trained.members.points[len(whole) :]:
            more.append(Witness.of(whole[0].architecture, weights, 1.0, self.asking))
            tick()
        count = len(more)
        more += copies
        if narrow is not None:
            for weights in narrow.members.points[len(copies) :]:
                more.append(
                    Witness.of(copies[0].architecture, weights, narrow.cost_ratio, self.asking)
                )
                tick()
        facts = self.given, self.width_ratio, self.emulator, self.seed, self.path
        return made(self.asking, tuple(more), count, *facts)

    def with_network(self, weights: Weights) -> "Fitted":
        """The same with one more whole network, which is asked now.

        Raises:
            InputError: As by `Witness.of`.
        """
        architecture = self.witnesses[0].architecture
        witness = Witness.of(architecture, weights, 1.0, self.asking.aligned())
        witnesses = (
            *self.witnesses[: self.given],
            witness,
            *self.witnesses[self.given :],
        )
        facts = self.given + 1, self.width_ratio, self.emulator, self.seed, self.path
        return made(self.asking, witnesses, self.whole + 1, *facts)

    def _observations(self, said: list[Said]) -> Observations:
        features = [own.features for own in said if own.features is not None]
        averaged = [own.averaged for own in said if own.averaged is not None]
        observed = together(
            [own.stored for own in said],
            features or None,
            self.learned,
            self.width_ratio,
            self.asking.outputs,
        )
        return replace(
            observed,
            averaged=torch.stack(averaged) if averaged else None,
            sensitivity=self.witnesses[0].sensitivity,
            path=self.path,
        )


def made(
    asking: Asking,
    witnesses: tuple[Witness, ...],
    whole: int,
    given: int,
    width_ratio: float,
    emulator: Emulator,
    seed: int,
    path: int = 1,
) -> Fitted:
    """Returns what a fit leaves of networks that were asked; arguments as the attributes of
    `Fitted`.
    """
    said = [own.log_probs for own in witnesses]
    learned = learned_the_task(said, whole, asking.outputs)
    return Fitted(asking, witnesses, whole, given, width_ratio, emulator, seed, learned, path)


def _chunks(inputs: Iterable[Inputs]) -> Iterator[list[Any]]:
    """Batches of inputs, some thousand inputs at a time, as one-tuples."""
    chunk: list[Any] = []
    count = size = 0
    for x in inputs:
        chunk.append((x,))
        count += rows(x)
        size += sum(part.numel() * part.element_size() for part in tensors(x))
        if count >= _INPUTS or size >= _BYTES:
            yield chunk
            chunk, count, size = [], 0, 0
    if count:
        yield chunk


def _joined(said: list[Said]) -> Said:
    """What was said of inputs one part after the other."""
    stored, features, averaged = zip(*said, strict=True)
    known = [None if parts[0] is None else torch.cat(parts) for parts in (features, averaged)]
    return Said(torch.cat(stored), *known)
