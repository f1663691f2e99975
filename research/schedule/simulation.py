"""A simulation, event by event, of trainings on workers that are slow at times or taken away.

Each worker takes the next training when it is free. All trainings are the same work, and what makes
one slow is where it runs: the time of each attempt is drawn anew, lognormal with a mean of 1 and a
given coefficient of variation. Workers are taken away at random, at a rate (pre-emptions in
the time of one training): what the training had done is lost. The first worker that is free begins
it again, and after a delay another worker is there in place of the one that was taken.
"""

import heapq
import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Setting:
    """What is simulated; times are in units of the mean time of one training.

    Attributes:
        trainings: How many.
        workers: How many.
        spread: The coefficient of variation of the trainings' times: stragglers.
        rate: Pre-emptions of a worker in a unit of time.
        delay: How long it takes until another worker is there.
        retries: How often a training is begun again before it is given up; None for ever.
    """

    trainings: int
    workers: int
    spread: float = 0.0
    rate: float = 0.0
    delay: float = 0.0
    retries: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a simulation found, in the mean time of one training.

    Attributes:
        wall: When the last training had ended.
        work: The time of the trainings that ended, without what was lost.
        lost: The time of work that was lost.
        preempted: How often a worker was taken away.
        failed: How many trainings were given up.
    """

    wall: float
    work: float
    lost: float
    preempted: int
    failed: int

    def over_ideal(self, setting: Setting) -> float:
        """The wall time over that of the same work spread evenly, with nothing lost."""
        return self.wall / (self.work / setting.workers)

    def efficiency(self, setting: Setting) -> float:
        """The share of the workers' time in which work was done that was kept."""
        return self.work / (setting.workers * self.wall)


def simulate(setting: Setting, seed: int) -> Outcome:
    """Simulates one study. Every worker is paid for until the last training has ended.

    Example:
        >>> simulate(Setting(trainings=10, workers=4), seed=0).wall
        3.0
    """
    random = np.random.default_rng(seed)
    sigma = math.sqrt(math.log1p(setting.spread**2))
    free = [0.0] * min(setting.workers, setting.trainings)
    fresh, broken_off = setting.trainings, list[tuple[float, int]]()  # since when, which attempt
    wall, work, lost, preempted, failed = 0.0, 0.0, 0.0, 0, 0
    while fresh or broken_off:
        begin = heapq.heappop(free)
        if broken_off and (broken_off[0][0] <= begin or not fresh):
            since, tries = heapq.heappop(broken_off)
            begin = max(begin, since)
        else:
            fresh, tries = fresh - 1, 0
        own = math.exp(sigma * random.standard_normal() - sigma**2 / 2)
        until = float(random.exponential(1 / setting.rate)) if setting.rate else math.inf
        if until >= own:
            work, wall = work + own, max(wall, begin + own)
            heapq.heappush(free, begin + own)
            continue
        preempted, lost = preempted + 1, lost + until
        heapq.heappush(free, begin + until + setting.delay)
        if tries == setting.retries:
            failed, wall = failed + 1, max(wall, begin + until)
        else:
            heapq.heappush(broken_off, (begin + until, tries + 1))
    return Outcome(wall, work, lost, preempted, failed)
