"""The problem whose trainings are those of designs, made of a user's own problem."""

from dataclasses import replace
from typing import cast

from thalweg.sources.checking import absence
from thalweg.sources.design import Design
from thalweg.training.levels import Levels
from thalweg.training.problem import Problem
from thalweg.training.sources import Source


def designed(problem: Problem, design: Design) -> tuple[Problem, list[int]]:
    """Returns the problem of a design's trainings, and the number of each of them in it.

    What the problem draws anew, and the design does not vary, is held at level 0. All designs that
    draw the same sources share their trainings, and a training whose sources are all at one level
    is the anchor of that number; what the recipe does not have is at any level. Networks that were
    given are no part of it: nobody knows what they drew.

    Args:
        problem: The user's.
        design: The design.
    """
    known = dict.fromkeys((*problem.sources, *design.sources))
    sources = cast(tuple[Source, ...], tuple(sorted(known)))
    if sources not in problem.designed:
        problem.designed[sources] = replace(
            problem, networks=None, sources=sources, levels=Levels()
        )
    other = problem.designed[sources]
    numbers, known_levels = [], cast(Levels, other.levels)
    held = [name for name in sources if name not in design.sources]
    absent = [name for name in held if absence(problem, name) is not None]
    for levels, again in design.combinations():
        drawn = {*levels.values(), *[0] * (len(held) > len(absent))}
        if len(drawn) == 1:  # whatever has no effect may have the level of all others
            levels |= dict.fromkeys(absent, *drawn)
        k = known_levels.number(levels, again)
        anchor = known_levels.anchor(k, sources)
        same = anchor is not None and sources == tuple(sorted(problem.sources))
        if anchor is not None and same and anchor >= problem.given and problem.has(anchor):
            other.share(k, problem, anchor)
        numbers.append(k)
    return other, numbers
