"""What the papers claim, measured from each base of a study's plan: its data, network and recipe,
however short that is.
"""

from dataclasses import replace
from statistics import mean

import torch

from thalweg.explorers.connecting_curve import ConnectingCurve
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.explorers.espro import ESPRO
from thalweg.explorers.learned_line import LearnedLine
from thalweg.explorers.spro import SPRO
from thalweg.graph.alignment import align
from thalweg.landscape.loss import losses
from thalweg.landscape.low_loss import low_loss
from thalweg.landscape.path import profile
from thalweg.meter import Meter
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.study.context import StudyContext
from thalweg.study.store import Store
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.weights.distribution import WeightDistribution
from thalweg.weights.point import distance

POINTS = 21  # of a path
EXAMPLES = 2000  # training images for its loss
DRAWS = 25  # of a simplex, as in the paper
SHARES = (1 / 30, 1 / 10)  # of a training for a vertex: the paper's on CIFAR-10 and on CIFAR-100


def connected(
    context: StudyContext, store: Store, base: int, share: float = 1.0
) -> dict[str, float]:
    """Garipov et al. 2018: a Bezier curve of low loss connects two trainings; trained as long as
    one of them.
    """
    problem = problem_of(context, store, base)
    ends = DeepEnsemble(2).explore(problem).points
    curve = ConnectingCurve(share=share).explore(problem)
    straight, curved = (
        profile(problem, path, points=POINTS, examples=EXAMPLES) for path in (ends, curve)
    )
    middle = predict(problem, curve.at(torch.tensor([0.25, 0.5, 0.25])), test_images(context))
    return {
        "barrier": straight.barrier,
        "barrier of the curve": curved.barrier,
        "highest loss": straight.highest,
        "highest loss of the curve": curved.highest,
        "loss of the ends": straight.loss[[0, -1]].mean().item(),
        "accuracy in the curve's middle": accuracy(context, middle),
    }


def aligned(context: StudyContext, store: Store, base: int) -> dict[str, float]:
    """Ainsworth et al. 2023: after weight matching, the straight segment is lower."""
    problem = problem_of(context, store, base)
    first, second = DeepEnsemble(2).explore(problem).points
    matched = align(problem.build("network"), first, second, seed=problem.seed)
    straight = profile(problem, [first, matched], points=POINTS, examples=EXAMPLES)
    return {
        "barrier": straight.barrier,
        "distance over that before": distance(first, matched) / distance(first, second),
    }


def connected_longer(context: StudyContext, store: Store, base: int) -> dict[str, float]:
    """The same with three times as many epochs, as the paper's VGG curves have."""
    return connected(context, store, base, share=3.0)


def learned_line(
    context: StudyContext, store: Store, base: int, longer: float = 1.0
) -> dict[str, float]:
    """Wortsman et al. 2021: the midpoint of a learned line is at least as accurate as a
    training.
    """
    problem = problem_of(context, store, base)
    problem = replace(
        problem,
        recipe=replace(problem.recipe, epochs=problem.recipe.epochs * longer),
        meter=Meter(),
    )
    line = LearnedLine().explore(problem)
    points = {"midpoint": [0.5, 0.5], "one end": [1.0, 0.0], "other end": [0.0, 1.0]}
    images = test_images(context)
    found = {
        f"accuracy of the line's {name}": accuracy(
            context, predict(problem, line.at(torch.tensor(c)), images)
        )
        for name, c in points.items()
    }
    singles = [accuracy(context, predict(problem, problem.anchor(k), images)) for k in range(2)]
    return {**found, "accuracy of a training": mean(singles)}


def learned_line_longer(context: StudyContext, store: Store, base: int) -> dict[str, float]:
    """The same where trainings and line have four times the plan's epochs: the paper's are far
    longer than the plans'.
    """
    return learned_line(context, store, base, longer=4.0)


def simplexes(context: StudyContext, store: Store, base: int) -> dict[str, float]:
    """Benton et al. 2021: ensembles of k simplexes against deep ensembles of k."""
    found: dict[str, float] = {}
    for k in (1, 2):
        problem = problem_of(context, store, base)
        found[f"accuracy of {k} trainings"] = ensemble_accuracy(
            context, problem, DeepEnsemble(k).explore(problem), k
        )
        for share in SHARES:
            problem = problem_of(context, store, base)
            ensemble = ESPRO(simplexes=k, vertices=1, share=share).explore(problem)
            found[f"cost of {k} simplexes, share 1/{1 / share:.0f}"] = problem.cost.trainings
            found[f"accuracy of {k} simplexes, share 1/{1 / share:.0f}"] = ensemble_accuracy(
                context, problem, ensemble, DRAWS
            )
    return found


def simplex(context: StudyContext, store: Store, base: int) -> dict[str, float]:
    """Benton et al. 2021: each of 25 draws of one simplex has low loss.

    And a vertex costs what five draws a step cost.
    """
    vertex_costs = []
    for draws in (1, 5):
        problem = problem_of(context, store, base)
        grown = SPRO(vertices=1, share=SHARES[1], draws=draws).explore(problem)
        vertex_costs.append(problem.cost.backward_examples - problem.training_examples)
    anchor = float(losses(problem, grown.vertices[:1], examples=EXAMPLES))
    check = low_loss(problem, grown, limit=2 * anchor, draws=DRAWS, examples=EXAMPLES)
    return {
        "loss of the anchor": anchor,
        "highest loss of 25 draws": float(check.losses.max()),
        "25 draws below twice the anchor's loss": float(check.passed),
        "cost of a vertex over that with one draw a step": vertex_costs[1] / vertex_costs[0],
    }


def problem_of(context: StudyContext, store: Store, base: int) -> Problem:
    """A base's problem with an empty meter; trained networks are kept in the study's folder."""
    return replace(context.problem(f"base {base}", store), meter=Meter())


def ensemble_accuracy(
    context: StudyContext, problem: Problem, found: WeightDistribution, draws: int
) -> float:
    return accuracy(context, predict(problem, found, test_images(context), draws=draws))


def accuracy(context: StudyContext, predictions: Predictions) -> float:
    """Of the mean probabilities, on the test images."""
    return float((predictions.mean().argmax(1) == context.splits.test_labels).double().mean())


def test_images(context: StudyContext) -> Batches:
    return context.loader(context.splits.test)


FACTS = {
    function.__name__: function
    for function in (
        connected,
        connected_longer,
        aligned,
        learned_line,
        learned_line_longer,
        simplexes,
        simplex,
    )
}
