"""Independent copies: several explorations of one kind as one distribution.

Repeated rows, MultiSWAG and ESPRO are made here and nowhere else. What makes copies independent is
how they are seeded, and each caller says that by the function that explores one: a repeated row
gives every copy a problem with a seed of its own (`reseeded`), so that everything is drawn anew,
anchors too; MultiSWAG gives each copy a name of its own for its random numbers; ESPRO starts each
from an anchor of its own.
"""

from collections.abc import Callable
from dataclasses import replace

from thalweg.seeds import derive
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Mixture, WeightDistribution


def independent(
    copies: int, explore: Callable[[int], tuple[Problem, WeightDistribution]]
) -> tuple[Problem, Mixture]:
    """The mixture of several explorations with equal weights.

    Args:
        copies: The number of copies.
        explore: Explores copy 0, 1, ... with random numbers that no other copy has. It returns the
            problem to predict with and the distribution, as `Explorer.run` does.

    Returns:
        The problem to predict with, that of copy 0, and the mixture, whose draws are spread evenly
        over the copies.
    """
    runs = [explore(k) for k in range(copies)]
    return runs[0][0], Mixture(tuple(distribution for _, distribution in runs))


def reseeded(problem: Problem, copy: int) -> Problem:
    """The problem of one copy; all copies are metered together.

    Copy 0 has the problem as it is, every other one another seed and so anchors of its own.
    """
    if copy == 0:
        return problem
    return replace(problem, seed=derive(problem.seed, "repeat", copy), networks=None)
