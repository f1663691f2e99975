"""Spending: a budget is spent in parts, each chosen by what the networks that are there say."""

from collections.abc import Callable
from dataclasses import replace

from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.choosing import FIRST, Purchase, choose, foreseen
from thalweg.emulators.base import Emulator
from thalweg.emulators.observations import Observations
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.method import Method
from thalweg.narrow.training import MakeNetwork, narrow_problem, relative_cost
from thalweg.training.problem import Problem


def first_part(
    problem: Problem,
    anchors: int,
    beside: NarrowEnsemble,
    emulator: Emulator,
    model: MakeNetwork | None = None,
) -> Method:
    """Returns what is trained before anything is chosen: anchors, and two narrow copies of the
    width ratio with which the whole budget is expected to do best. Nothing is trained here.

    Args:
        problem: The problem of the whole network.
        anchors: How many full trainings to start from.
        beside: The budget, and the width ratio where that is given.
        emulator: What learns from the networks.
        model: Makes a narrow network, where it can't be made from the graph of the whole one.

    Raises:
        InputError: The budget is not enough for two copies, or the network can't be narrowed.
    """
    best = foreseen(beside.costs(problem, model), beside.budget, anchors)
    narrow = replace(beside, width_ratio=best.width_ratio, members=FIRST)
    return Method(DeepEnsemble(anchors), narrow=narrow, emulator=emulator)


def cut_problem(problem: Problem, method: Method, model: MakeNetwork | None = None) -> Problem:
    """The problem of a method's narrow copies, or that of the whole network where it has none."""
    narrow = method.narrow
    if narrow is None or narrow.width_ratio is None:
        return problem
    return narrow_problem(problem, narrow.width_ratio, model)


def spend(
    problem: Problem,
    method: Method,
    look: Callable[[Method], Observations],
    model: MakeNetwork | None = None,
) -> tuple[Purchase, ...]:
    """Spends the budget of a method's narrow copies: what it has now, then one purchase after the
    other, until nothing more is worth its cost.

    Args:
        problem: The problem of the whole network.
        method: Anchors and narrow copies, to begin with.
        look: Trains the networks of a method, and gives what they say of unlabelled inputs. It is
            called after each purchase, with all that was bought so far.
        model: Makes a narrow network, where it can't be made from the graph of the whole one.

    Returns:
        The purchases; the last one buys nothing, and says why.
    """
    narrow, whole, bought = method.narrow, method.anchors, list[Purchase]()
    if narrow is None or narrow.width_ratio is None or narrow.members is None:
        look(method)
        return ()
    copies = narrow.members
    cost = relative_cost(problem, cut_problem(problem, method, model))
    while True:
        left = narrow.budget - (whole - method.anchors) - copies * cost
        beside = replace(narrow, members=copies)
        known = look(replace(method, explorer=DeepEnsemble(whole), narrow=beside))
        bought.append(choose(known, max(left, 0.0), cost))
        if bought[-1].nothing:
            return tuple(bought)
        whole, copies = whole + bought[-1].whole, copies + bought[-1].copies
