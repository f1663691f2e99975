"""What a budget of sources will train, and about how long that takes: said before it is paid
for.
"""

from dataclasses import dataclass

from thalweg.progress import duration
from thalweg.sources.design import Design
from thalweg.sources.designed import designed
from thalweg.training.problem import Problem
from thalweg.training.timing import timed


@dataclass(frozen=True)
class Planned:
    """What a design costs.

    Attributes:
        design: The design.
        kept: How many of its trainings are there already.
        seconds: About how long the others take, by the time of a few steps; None where a training
            function of the user's tells only by training.

    Example:
        >>> print(Planned(Design.of(("init", "order"), 10), kept=3, seconds=70.0))
        latin square design of init (3 levels) and order (3 levels): 9 trainings and 1 \
repetition; 3 of them are there, 7 to do, about 70 s
    """

    design: Design
    kept: int
    seconds: float | None

    @property
    def trainings(self) -> int:
        """How many trainings are left to do."""
        return self.design.trainings - self.kept

    def __str__(self) -> str:
        time = "" if self.seconds is None else f", about {duration(self.seconds)}"
        return f"{self.design}; {self.kept} of them are there, {self.trainings} to do{time}"


def planned(problem: Problem, design: Design) -> Planned:
    """Times a few steps of a network that is thrown away; nothing is trained."""
    other, numbers = designed(problem, design)
    missing = sum(not other.has(k) for k in numbers)
    seconds = None
    if problem.train is None:
        at_once = min(problem.execution.jobs, max(missing, 1))
        seconds = timed(problem).seconds * missing / at_once if missing else 0.0
    return Planned(design, design.trainings - missing, seconds)
