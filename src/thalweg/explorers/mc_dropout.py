"""MC dropout: a network keeps dropping units when it predicts.
Gal and Ghahramani 2016, arXiv 1506.02142.

It is a cheap method to compare with: its draws are thinned networks, not retrainings. Deviations:
inputs are not dropped (the paper has dropout before every weight layer); before convolutions whole
channels are dropped, as neighbouring pixels are strongly correlated (Tompson et al. 2015, arXiv
1411.4280); the weight decay is the recipe's (in the paper it follows from a prior's length scale).
It works on any network: dropout is inserted by hooks.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from thalweg.errors import InputError, check_range
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.training.problem import Problem
from thalweg.weights.dropout import Dropped
from thalweg.weights.masks import insert
from thalweg.weights.point import Weights


@register_explorer("mc-dropout")
@dataclass(frozen=True)
class MCDropout(Explorer):
    """One network, whose units are dropped at random. Cost: 1.

    Attributes:
        rate: The rate of the dropout before every linear layer and convolution but the first, with
            which a network is trained from scratch; the paper's experiments have 0.05 to 0.5. With
            `own` it is the first anchor, with whatever it drops itself when it trains, in layers,
            functions or code of its own.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> MCDropout(rate=0.1).explore(problem).rate
        0.1
    """

    family: ClassVar[str] = "other"
    one_training: ClassVar[bool] = True

    rate: float | Literal["own"] = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.rate, str):
            check_range("mc-dropout.rate", self.rate, 0, 0.99)
        elif self.rate != "own":
            raise InputError(f"mc-dropout.rate got '{self.rate}', needs 'own' or a number")

    @property
    def anchors(self) -> int:
        return int(self.rate == "own")

    @property
    def trainings(self) -> float:
        return 1.0

    def explore(self, problem: Problem) -> Dropped:
        if self.rate == "own":
            problem.behaviour.dropping()  # raises before a training where nothing drops
            return Dropped(problem.anchor(0))
        problem.check_batches(self)
        network = problem.build("mc-dropout")
        insert(network, self.rate)
        problem.fit(network, problem.recipe, "mc-dropout")
        return Dropped(Weights.of(network), self.rate)
