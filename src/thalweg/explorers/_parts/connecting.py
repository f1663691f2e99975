"""Anchors to be connected: aligned where that is asked for, with their untrained parts in common.

It is of thalweg's own. A curve or complex lies in the trained parameters only: frozen parameters
and buffers (random features, say) are those of anchor 0 on all of it. So connect anchors that share
these, as with a pretrained part. Where they do not, the trained parameters of another anchor meet
untrained ones that they were not made for, and what is found there is poor: a warning says so.
"""

import warnings
from dataclasses import replace

import torch

from thalweg.graph import alignment
from thalweg.graph.symmetry import symmetries
from thalweg.training.anchors import train_anchors
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights


def connectable(problem: Problem, count: int, *, align: bool) -> list[Weights]:
    """The problem's first anchors, ready to be connected.

    Args:
        problem: What was trained.
        count: The number of anchors.
        align: Permutes the units of all others towards anchor 0 (`graph.alignment`), which changes
            no network's outputs. Units beside a frozen part stay where they are.

    Raises:
        InputError: The network's permutations are asked for and can't be found. Then nothing is
            trained.
    """
    apart = (
        problem.inspection.constants
        if problem.inspection is not None and "init" in problem.sources
        else ()
    )
    if apart and count > 1:
        warnings.warn(
            f"'{apart[0]}' is not trained, and differs from network to network: whatever "
            "connects the anchors has that of the first one, which the others were not trained "
            "with; make it the same in all",
            stacklevel=3,
        )
    network = problem.build("network")
    if align:
        symmetries(network)
    first, *others = train_anchors(problem, count)
    if align:
        others = [alignment.align(network, first, other, seed=problem.seed) for other in others]
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    return [first, *(_with(other, first, frozen) for other in others)]


def _with(point: Weights, other: Weights, names: list[str]) -> Weights:
    """The point with some parameters from another; the point itself where they are equal."""
    if all(torch.equal(point.params[name], other.params[name]) for name in names):
        return point
    return replace(point, params=point.params | {name: other.params[name] for name in names})
