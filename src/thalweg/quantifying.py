"""Quantify: the recommended way from one trained network and a budget to u(x) and draws of its
retrainings, in one call. It fits a `Quantifier` (`thalweg.quantifier`), and asks it once.
"""

from dataclasses import dataclass

from thalweg.choosing import Purchase
from thalweg.emulators.base import Emulator
from thalweg.emulators.level import Level
from thalweg.emulators.transfer import Transfer
from thalweg.looking import check_problem
from thalweg.meter import Cost
from thalweg.narrow.training import MakeNetwork
from thalweg.predictions import Predictions
from thalweg.quantifier import Quantifier, nothing_lost, summary
from thalweg.training.batches import Loader
from thalweg.training.problem import Problem
from thalweg.trees import Inputs


@dataclass(frozen=True)
class Quantified:
    """What retraining would change.

    Attributes:
        predictions: Draws of retrainings `[draws, inputs, classes]`; `u()` is the standard
            uncertainty `[inputs]`, and `outside` says which inputs are unlike all unlabelled ones,
            so that u is a guess there.
        width_ratio: The hidden channels of a narrow copy over those of the network.
        narrow_copies: How many narrow copies it rests on: those that learned the task.
        transfer: The check that narrow copies and network are alike, as they are by one recipe;
            None where no narrow copy learned the task, or none was trained.
        cost: All that it rests on, the network's own training included, whenever that was done.
        bought: What was bought after the first part of the budget, and why; the last of these
            purchases is nothing, with the reason. Empty with a budget of 0.
        level: The mean of u over the unlabelled inputs with its interval, as
            `Quantifier.level_`; None with an emulator that knows no interval.
        centre_error: The squared error of the draws' centre from having few networks, in variances
            of one training; None where nobody knows it.

    Example:
        >>> import torch
        >>> from thalweg.predictions import Predictions
        >>> draws = Predictions(torch.tensor([[[0.6, 0.4]], [[0.8, 0.2]]]).log())
        >>> cost = Cost(backward_examples=200, training_examples=100)
        >>> print(Quantified(draws, width_ratio=0.5, narrow_copies=2, transfer=None, cost=cost))
        mean u 0.2000 over 1 inputs, 0.0% of them outside of what the method knows
        2 narrow copies of width ratio 0.5; cost: 2.00 trainings, the network's own among them, \
2.00 with forward work; the emulator took 0.0 s
        not checked: no narrow copy learned the task
    """

    predictions: Predictions
    width_ratio: float
    narrow_copies: int
    transfer: Transfer | None
    cost: Cost
    bought: tuple[Purchase, ...] = ()
    level: Level | None = None
    centre_error: float | None = None

    def __str__(self) -> str:
        known = self.predictions.outside
        outside = 0.0 if known is None else float(known.float().mean())
        return (
            f"mean u {float(self.predictions.u().mean()):.4f} over {self.predictions.inputs} "
            f"inputs, {outside:.1%} of them outside of what the method knows\n"
            + summary(
                self.narrow_copies,
                self.width_ratio,
                self.cost,
                self.transfer,
                self.bought,
                self.level,
            )
        )


def quantify(
    problem: Problem,
    inputs: Loader | Inputs,
    *,
    budget: float = 1.0,
    anchors: int | None = None,
    draws: int = 100,
    seed: int = 0,
    emulator: Emulator | None = None,
    narrow: MakeNetwork | None = None,
    width_ratio: float | None = None,
    layer: str | None = None,
    averages: int = 0,
) -> Quantified:
    """How much the network's predictions would change if it were trained again.

    Args:
        problem: Network, training set and recipe. `networks` are those that are trained already
            (one is trained here if there are none), `unlabelled` are some thousand inputs like
            those that are asked about, which were not trained on.
        inputs: What is asked about, as `predict` takes it.
        budget: Trainings to spend beyond the anchors, at most: two narrow copies come first, and
            what they show decides on the rest (`thalweg.choosing`). With 0 nothing is trained
            beyond the anchors.
        anchors: How many full trainings to start from, the given networks first; None for these,
            and for one where there are none.
        draws: How many retrainings to draw.
        seed: Seed of the draws.
        emulator: What learns from the networks; if None, `Forest()`, or `Atlas()` with a budget of
            0.
        narrow: Makes a narrow network, where it can't be made from the graph of the whole one;
            `width_ratio` then says how narrow.
        width_ratio: The hidden channels of a narrow copy over those of the network, above 0 and up
            to 1; chosen if None.
        layer: The layer whose output are the features, for networks that don't end with a linear
            layer.
        averages: How many random changes of each input, as the recipe's augmentation makes them,
            predictions are averaged over; 0 for none. See `Quantifier`.

    Returns:
        Draws, u, the check and the cost.

    Raises:
        InputError: There are no unlabelled inputs, the budget is too small, the network can't be
            narrowed, or it has no layer whose output are the features; or, with a budget of 0, the
            emulator needs more networks than there are, or a narrow network is given; or there is
            nothing to average over.
        Diverged: The loss of a training became infinite.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from thalweg.training.batches import Batches
        >>> from thalweg.training.recipe import Recipe
        >>> x = torch.randn(700, 6, generator=torch.Generator().manual_seed(0))
        >>> network = lambda: nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))
        >>> train = Batches(x[:200], x[:200, :3].argmax(1), size=20)
        >>> problem = Problem(network, train, Recipe(epochs=10), unlabelled=x[200:600])
        >>> quantified = quantify(problem, x[600:], budget=1.0, draws=20)
        >>> quantified.predictions.u().shape, quantified.width_ratio, quantified.narrow_copies
        (torch.Size([100]), 0.5, 2)

        Right after training, from the network alone:

        >>> at_once = quantify(problem, x[600:], budget=0, draws=20)
        >>> at_once.predictions.u().shape, at_once.narrow_copies, at_once.cost.trainings
        (torch.Size([100]), 0, 1.15)
    """
    check_problem(problem)
    quantifier = Quantifier(
        budget=budget,
        anchors=anchors,
        draws=draws,
        seed=seed,
        emulator=emulator,
        narrow=narrow,
        width_ratio=width_ratio,
        layer=layer,
        averages=averages,
    )
    request = quantifier.request(problem)
    asked = request.checked_inputs(problem, inputs)
    with problem.measured() as spent:
        quantifier.fit(problem)
        with nothing_lost(request.anchors + quantifier.narrow_copies_):
            predictions = quantifier.predict(asked.inputs)
    return Quantified(
        predictions,
        quantifier.width_ratio_,
        quantifier.narrow_copies_,
        quantifier.check_,
        spent.cost,
        quantifier.bought_,
        quantifier.level_,
        quantifier.centre_error_,
    )
