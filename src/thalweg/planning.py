"""Planning: what a fit will train, about how long that takes, and how far it is."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from thalweg.features import check_layer
from thalweg.meter import Meter
from thalweg.method import Method
from thalweg.narrow.training import MakeNetwork, narrow_problem, relative_cost
from thalweg.progress import duration
from thalweg.training.problem import Problem
from thalweg.training.timing import timed, timed_look


@dataclass(frozen=True)
class Plan:
    """What a fit will train.

    Attributes:
        anchors: How many full trainings it rests on.
        copies: How many narrow copies.
        width_ratio: The hidden channels of a copy over those of the network.
        ratio: The cost of training a copy, in trainings of the network.
        kept: How many of all these networks are there already.
        trainings: What is left to do, in trainings of the network.
        seconds: About how long that takes, by the time of a few steps; None where a training
            function of the user's tells only by training.
        memory: The memory of the process in these steps and of what is kept of the training
            inputs for predictions, in bytes.
        more: What may then be bought, as these networks show, in trainings; it is not in the time.
        drawn_anew: What a retraining draws anew, and how far a seed reaches it.

    Example:
        >>> plan = Plan(1, 2, 0.5, 0.29, 1, 0.58, 130.0, 420_000_000)
        >>> print(plan)
        1 network and 2 narrow copies of width ratio 0.5 (0.29 of a training each), 1 of them \
trained already: 0.58 trainings to do, about 2 min; about 0.4 GB of memory
    """

    anchors: int
    copies: int
    width_ratio: float
    ratio: float
    kept: int
    trainings: float
    seconds: float | None
    memory: int
    more: float = 0.0
    drawn_anew: str = ""

    def __str__(self) -> str:
        networks = f"{self.anchors} network{'s' * (self.anchors > 1)}"
        if self.copies:
            networks += (
                f" and {self.copies} narrow copies of width ratio {self.width_ratio:g} "
                f"({self.ratio:.2g} of a training each)"
            )
        time = "" if self.seconds is None else f", about {duration(self.seconds)}"
        kept = f", {self.kept} of them trained already" if self.kept else ""
        return (
            f"{networks}{kept}: {self.trainings:.2f} trainings to "
            f"do{time}; about {self.memory / 1e9:.1f} GB of memory"
            + (f"; then up to {self.more:.2f} trainings, as these show" if self.more else "")
            + (f"; each draws anew: {self.drawn_anew}" if self.drawn_anew else "")
        )


def needed(
    method: Method, problem: Problem, narrow_model: MakeNetwork | None
) -> list[tuple[Problem, int, float]]:
    """The whole network's problem and, where there are copies, the narrow one's; each with how many
    networks are needed, and the cost of one in trainings.
    """
    found, narrow = [(problem, method.anchors, 1.0)], method.narrow
    if narrow is not None:
        other = narrow_problem(problem, narrow.width_ratio or 1.0, narrow_model)
        found.append((other, narrow.members or 0, relative_cost(problem, other)))
    return found


def planned(
    method: Method, problem: Problem, narrow_model: MakeNetwork | None, layer: str | None
) -> Plan:
    """Looks at a problem and times a few steps of networks that are thrown away, or evaluations
    where nothing is left to train; nothing is trained.

    Args:
        method: Anchors, narrow copies, if any, with width ratio and number, and an emulator.
        problem: Network, training set and recipe.
        narrow_model: Makes a narrow network, or None.
        layer: The layer whose output are the features, or None.
    """
    seconds, memory, kept = 0.0, 0, 0
    beyond = method.repeat * (method.explorer.trainings - method.anchors)  # anchors
    trainings = beyond
    networks = needed(method, problem, narrow_model)
    for own, count, ratio in networks:
        missing = sum(not own.has(k) for k in range(count))
        kept, trainings = kept + count - missing, trainings + missing * ratio
        if own.train is None:
            trained = missing + (beyond if own is problem else 0.0)
            of_one = timed(own) if trained else timed_look(own)
            # each network looks at the training set once, forward: a third of an epoch's steps
            look = of_one.seconds / (3 * own.recipe.epochs if trained else 1)
            at_once = min(own.execution.jobs, max(missing, 1))
            seconds += of_one.seconds * (missing / at_once + trained - missing) + count * look
            memory = max(memory, of_one.memory)
        if method.uses_features:
            features = check_layer(replace(own, meter=Meter()), layer)
            memory += count * 4 * own.examples * features
    width_ratio = 1.0 if method.narrow is None else method.narrow.width_ratio or 1.0
    copies, ratio = (0, 1.0) if len(networks) < 2 else networks[1][1:]
    left = seconds if problem.train is None else None
    after = 0.0 if method.narrow is None else max(0.0, method.narrow.budget - copies * ratio)
    counts = method.anchors, copies, width_ratio, ratio, kept
    return Plan(*counts, trainings, left, memory, after, problem.drawn_anew)


def trained_share(
    method: Method, problem: Problem, narrow_model: MakeNetwork | None
) -> Callable[[], float]:
    """How far the trainings of a method are, 0 to 1: from what is metered, and from the networks
    that are there. It may be asked in another thread.
    """
    parts = []
    for own, count, weight in needed(method, problem, narrow_model):
        missing = sum(not own.has(k) for k in range(count))
        parts.append((own, own.meter.backward_yet, own.in_memory, missing, weight))
    whole = sum(missing * weight for *_, missing, weight in parts)
    most = [0.0] * len(parts)

    def done() -> float:
        for number, (own, backward, there, missing, _) in enumerate(parts):
            unit = own.training_examples or math.inf  # not known yet
            metered = (own.meter.backward_yet - backward) / unit
            most[number] = min(max(most[number], metered, own.in_memory - there), missing)
        total = sum(share * weight for share, (*_, weight) in zip(most, parts, strict=True))
        return total / whole if whole else 1.0

    return done
