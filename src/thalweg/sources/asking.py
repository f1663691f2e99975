"""A budget of sources: which trainings it needs is said, they are trained, and analysed."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from thalweg.errors import InputError, TrainingFailed, check_range
from thalweg.inputs import check_inputs
from thalweg.predicting import predict
from thalweg.progress import DELAY, is_terminal, shown
from thalweg.sources import checking
from thalweg.sources.budget import Budget, budget_of
from thalweg.sources.design import JOINT, Design, Kind
from thalweg.sources.designed import designed
from thalweg.sources.keeping import check_no_cache, kept_in
from thalweg.sources.planning import Planned, planned
from thalweg.training.anchors import train_together
from thalweg.training.batches import Loader
from thalweg.training.problem import Problem
from thalweg.trees import Inputs
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights


def plan(
    problem: Problem,
    *,
    sources: Sequence[str] | None = None,
    trainings: int = 26,
    design: Kind = "latin",
    levels: Mapping[str, int] | None = None,
    repeats: int = 1,
) -> Planned:
    """What a budget of sources will train, with the arguments of `budget`; nothing is trained.

    Raises:
        InputError: As by `budget`.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Recipe
        >>> train = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), train, Recipe(epochs=1))
        >>> plan(problem, trainings=10).trainings
        10
    """
    wanted = _wanted(problem, sources, trainings, design, levels, repeats)
    return planned(problem, wanted)


def budget(
    problem: Problem,
    inputs: Loader | Inputs,
    *,
    sources: Sequence[str] | None = None,
    trainings: int = 26,
    design: Kind = "latin",
    levels: Mapping[str, int] | None = None,
    repeats: int = 1,
    level: float = 0.95,
    folder: str | Path | None = None,
    progress: bool = True,
) -> Budget:
    """How much of retraining uncertainty each source of randomness brings.

    Networks are trained that share some of their sources and differ in others, by a design, and
    the variance of their predictions is split by analysis of variance. Anchors that are there are
    used where the design has them, and so is every training of an earlier design.

    Args:
        problem: Network, training set and recipe, or a training function that takes seeds apart.
        inputs: What is asked about, as `predict` takes it.
        sources: What is told apart: some of `init`, `order`, `augmentation`, `dropout` (masks) and
            `data` (a bootstrap of the training set), or several that vary together, as
            `order+augmentation`. None is all that a retraining of this problem draws anew, and
            masks. What is not named is held.
        trainings: How many trainings at most, repetitions and those that are there among them.
        design: `latin`, `crossed` or `one-factor` (`thalweg.sources.Design`).
        levels: The number of levels of each source, instead of a choice.
        repeats: How often one training is done again with the same seeds, to see what remains
            where nothing is varied.
        level: The coverage of intervals.
        folder: Where trained networks are kept between runs, as by a problem's cache.
        progress: Whether a terminal shows what will be trained, and how far that is.

    Raises:
        InputError: The recipe does not have a source, or can't tell it from another; the trainings
            are too few; or inputs can't be predicted on.
        TrainingFailed: A training came to no network; it says at which levels. Others are kept.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Recipe
        >>> x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
        >>> train = Batches(x, (x[:, 0] > 0).long(), size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), train, Recipe(epochs=2))
        >>> found = budget(problem, x[:20], trainings=10)
        >>> [row.name for row in found.rows], problem.cost.trainings
        (['init', 'order', 'interactions', 'repeat'], 10.0)
    """
    check_range("level", level, 0.5, 0.999)
    wanted = _wanted(problem, sources, trainings, design, levels, repeats)
    asked = check_inputs(problem, inputs, "inputs", alike=False).inputs
    if folder is not None:
        check_no_cache(problem)
    other, numbers = designed(problem, wanted)
    if folder is not None:
        other = kept_in(other, folder)
    watched = progress and is_terminal()
    if watched:
        _tell(planned(problem, wanted))
    with other.measured() as spent:
        with shown("training", _share(other, numbers), wanted=watched):
            networks = _trained(other, wanted, numbers)
        predictions = predict(other, Members(networks), asked)
    return budget_of(predictions, wanted, level=level, cost=spent.cost)


def _wanted(
    problem: Problem,
    sources: Sequence[str] | None,
    trainings: int,
    kind: Kind,
    levels: Mapping[str, int] | None,
    repeats: int,
) -> Design:
    factors = checking.present(problem) if sources is None else sources
    if sources is None and not factors:
        raise InputError("this problem draws nothing anew: all its retrainings are the same")
    found = Design.of(factors, trainings, kind, levels, repeats)
    checking.check(problem, found)
    return found


def _trained(problem: Problem, design: Design, numbers: Sequence[int]) -> tuple[Weights, ...]:
    """The networks of a design; first those that show whether each source changes anything."""
    first = _first_looks(design) if problem.train is not None else {}
    train_together([(problem, numbers[place]) for place in (0, *first.values())] if first else [])
    networks = {0: _network(problem, design, numbers, 0)} if first else {}
    for factor, place in first.items():
        networks[place] = _network(problem, design, numbers, place)
        if _same(networks[0], networks[place]):
            raise InputError(
                f"the training function gave the same network with another {factor}: let it draw "
                f"from what it is given as {factor.split(JOINT)[-1]}, or leave {factor!r} out of "
                "sources"
            )
    train_together([(problem, k) for k in numbers])
    return tuple(_network(problem, design, numbers, place) for place in range(design.trainings))


def _first_looks(design: Design) -> dict[str, int]:
    """The place of a training that differs from the first in one factor only, for each factor that
    has one.
    """
    found: dict[str, int] = {}
    for place, row in enumerate(design.levels):
        moved = [f for f, a, b in zip(design.factors, row, design.levels[0], strict=True) if a != b]
        if len(moved) == 1:
            found.setdefault(moved[0], place)
    return found


def _network(problem: Problem, design: Design, numbers: Sequence[int], place: int) -> Weights:
    try:
        return problem.anchor(numbers[place])
    except TrainingFailed as error:
        row = design.levels[place] if place < len(design.levels) else design.levels[0]
        told = ", ".join(f"{f} {level}" for f, level in zip(design.factors, row, strict=True))
        raise type(error)(f"{error} (at {told}; what was trained before it is kept)") from error


def _same(one: Weights, other: Weights) -> bool:
    return all(bool((p == other.params[name]).all()) for name, p in one.params.items())


def _share(problem: Problem, numbers: Sequence[int]) -> Callable[[], float]:
    """How far the trainings are, 0 to 1."""
    missing = sum(not problem.has(k) for k in numbers)
    there, begun = problem.in_memory, problem.meter.backward_yet

    def done() -> float:
        unit = problem.training_examples or float("inf")
        metered = (problem.meter.backward_yet - begun) / unit
        return max(problem.in_memory - there, metered) / missing if missing else 1.0

    return done


def _tell(found: Planned) -> None:
    if found.seconds is None or found.seconds > DELAY:
        print(f"budget of sources: {found}", file=sys.stderr)  # noqa: T201  a terminal
