"""Training, or drawing, until u is known to the digits that are wanted."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from thalweg.errors import InputError, whole
from thalweg.inputs import check_inputs
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.progress import is_terminal
from thalweg.sources.keeping import check_no_cache, kept_in
from thalweg.sources.stability import LEAST, Over, Stability, check_settings, stability
from thalweg.training.anchors import train_anchors
from thalweg.training.batches import Loader
from thalweg.training.problem import Problem
from thalweg.trees import Inputs
from thalweg.weights.distribution import Members

More = Callable[[int, int], Predictions]
"""From the number that there are, and the number that is wanted more, to the predictions of
these."""
LOOKS = 2
"""How often in a row u must be stable: a single look may find few networks alike by chance."""


@dataclass(frozen=True)
class Enough:
    """Networks, or draws, that were made until u was known.

    Attributes:
        predictions: Of all of them `[members, inputs, outputs]`.
        history: How well u was known after each block.
        limited: Whether their largest number came before u was known.
    """

    predictions: Predictions
    history: tuple[Stability, ...]
    limited: bool

    @property
    def last(self) -> Stability:
        """How well u is known now."""
        return self.history[-1]

    def __str__(self) -> str:
        if self.limited:
            return f"the limit of {self.last.members} came first: {self.last}"
        return str(self.last)


def train_until_stable(
    problem: Problem,
    inputs: Loader | Inputs,
    *,
    digits: int = 1,
    relative: float | None = None,
    over: Over = "mean",
    smallest: int = 10,
    largest: int = 100,
    block: int = 5,
    folder: str | Path | None = None,
    progress: bool = True,
) -> Enough:
    """Trains networks until their u is known to some significant digits.

    After each block of trainings it is asked how well u is known (`thalweg.sources.stability`,
    after JCGM 101:2008, clause 7.9); it ends where two blocks in a row say that it is. The networks
    are `anchor(0)`, `anchor(1)`, ..., so that those that are there are not trained again, and a
    run that was stopped, or is asked for more digits, goes on.

    Args:
        problem: Network, training set and recipe.
        inputs: What is asked about, as `predict` takes it.
        digits: To how many significant digits u is wanted, 1 or 2.
        relative: The tolerance as a part of u, instead of digits: 0.1 is a tenth.
        over: Whether u is the root mean square over inputs (`mean`), or is wanted at `each` input,
            which takes many more networks.
        smallest: How many networks there are at least.
        largest: How many there are at most.
        block: How many are trained before it is asked again.
        folder: Where trained networks are kept between runs, as by a problem's cache.
        progress: Whether a terminal shows a line after each block.

    Raises:
        InputError: A setting is out of range, or inputs can't be predicted on.
        TrainingFailed: A training came to no network; others are kept.

    Example:
        >>> from thalweg import Batches, Recipe
        >>> x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
        >>> train = Batches(x, (x[:, 0] > 0).long(), size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), train, Recipe(epochs=1))
        >>> found = train_until_stable(problem, x[:20], relative=0.5, largest=30)
        >>> found.last.is_stable, found.limited
        (True, False)
    """
    asked = check_inputs(problem, inputs, "inputs", alike=False).inputs
    if folder is not None:
        check_no_cache(problem)
        problem = kept_in(problem, folder)

    def more(there: int, wanted: int) -> Predictions:
        networks = train_anchors(problem, there + wanted)[there:]
        return predict(problem, Members(networks), asked)

    settings = {"digits": digits, "relative": relative, "over": over}
    bounds = {"smallest": smallest, "largest": largest, "block": block}
    return until_stable(more, progress=progress, **settings, **bounds)  # type: ignore[arg-type]


def until_stable(
    more: More,
    *,
    digits: int = 1,
    relative: float | None = None,
    over: Over = "mean",
    smallest: int = 1000,
    largest: int = 100_000,
    block: int = 1000,
    progress: bool = True,
) -> Enough:
    """Asks for draws, of an emulator say, until their u is known to some significant digits.

    This is about the number of draws alone, as in JCGM 101: what they are drawn from may rest on
    few networks, and no number of draws mends that.

    Args:
        more: It maps the number of draws that there are, and how many more are wanted, to the
            predictions of these, independent of the ones before.
        digits: As in `train_until_stable`, and so are the other arguments.
        relative: The tolerance as a part of u.
        over: `mean` or `each`.
        smallest: How many draws there are at least.
        largest: How many at most.
        block: How many are drawn before it is asked again.
        progress: Whether a terminal shows a line after each block.

    Raises:
        InputError: A setting is out of range, or `more` gives another number than was wanted.

    Example:
        >>> random = torch.Generator().manual_seed(0)
        >>> draw = lambda there, wanted: Predictions.from_values(
        ...     torch.randn(wanted, 5, generator=random)
        ... )
        >>> found = until_stable(draw, relative=0.02)
        >>> found.last.members, found.limited
        (3000, False)
    """
    check_settings(digits, relative, over)
    whole("smallest", smallest, LEAST)
    whole("block", block, 1)
    whole("largest", largest, smallest)
    watched = progress and is_terminal()
    found: Predictions | None = None
    history: list[Stability] = []
    stable, wanted = 0, smallest
    while True:
        there = 0 if found is None else found.members
        new = more(there, wanted)
        if new.members != wanted:
            raise InputError(f"more({there}, {wanted}) gave {new.members} draws, needs {wanted}")
        found = new if found is None else _joined(found, new)
        history.append(stability(found, digits, relative=relative, over=over))
        stable = stable + 1 if history[-1].is_stable else 0
        if watched:
            print(history[-1], file=sys.stderr)  # noqa: T201  a terminal
        wanted = min(block, largest - found.members)
        if stable == LOOKS or not wanted:
            return Enough(found, tuple(history), limited=stable < LOOKS)


def _joined(one: Predictions, other: Predictions) -> Predictions:
    return replace(one, stored=torch.cat([one.stored, other.stored]), stated_u=None, outside=None)
