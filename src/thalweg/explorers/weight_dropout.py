"""Weight dropout: an anchor whose weights are multiplied by noise, as strongly as its training loss
allows. Hsu, Li, Hu and Chen 2024, arXiv 2402.00728.

The paper explores the Rashomon set, all networks whose loss is at most a given tolerance above that
of a trained one, by dropout at inference, without any further training. Each weight w becomes

    form "gaussian"   w x (1 + strength x z), with a standard normal z
    form "bernoulli"  0 with probability p, and w / (1 - p) otherwise

where p = strength^2 / (1 + strength^2): in both forms the strength is the standard deviation of the
factor, whose mean is 1. One strength for all members is found by bisection on its logarithm, from
0.001 to 10, each time with the same random numbers. It is the greatest one in the tolerance where
the loss grows with it, and one in the tolerance in any case.

Deviations from the paper and its code:
- the authors' code multiplies the outputs of each linear layer and convolution, biases included,
  by numbers that are drawn anew for each input. Here the parameters with two axes or more are
  multiplied, whatever they are, once for a member, which is then a network that can be kept. Those
  with one axis stay, as biases and the parameters of norm layers have as a rule. In the synthetic
  experiment of that code weights are dropped, and those that are kept are not divided by 1 - p;
- the code draws at evenly spaced strengths, up to one that is chosen by hand, and keeps all draws
  whose loss on test data is in the tolerance. Here no test data are read: the loss is that of a
  part of the training set, and it is the members' mean that is in the tolerance, so that single
  members may be above it;
- batch-norm statistics are estimated anew for each member, at each strength that is tried.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.landscape.loss import evaluate
from thalweg.seeds import generator
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.point import Tensors, Weights

WEAKEST, STRONGEST = 1e-3, 10.0
HALVINGS = 10  # of the logarithm of the strength, which is known to a hundredth then


@register_explorer("weight-dropout")
@dataclass(frozen=True)
class WeightDropout(Explorer):
    """An anchor's copies with multiplicative noise. Cost: 1.

    In addition it takes forward passes: the anchor's over `examples`, and those of all members over
    as many, and over the examples that batch norm is estimated on, at 12 strengths at most.

    Attributes:
        members: The number of copies.
        form: `gaussian` or `bernoulli`, see the module.
        tolerance: How far the members' mean training loss may be above the anchor's, in nats where
            it is the cross-entropy.
        examples: How many training examples that loss is measured on, rounded up to whole batches.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> WeightDropout(members=3).explore(problem).size
        3
    """

    family: ClassVar[str] = "other"

    members: int = 8
    form: Literal["gaussian", "bernoulli"] = "gaussian"
    tolerance: float = 0.05
    examples: int = 1000

    def __post_init__(self) -> None:
        whole("weight-dropout.members", self.members, 1)
        if self.form not in ("gaussian", "bernoulli"):
            raise InputError(
                f"weight-dropout.form got '{self.form}', needs 'gaussian' or 'bernoulli'"
            )
        check_range("weight-dropout.tolerance", self.tolerance, 1e-9)
        whole("weight-dropout.examples", self.examples, 1)

    @property
    def anchors(self) -> int:
        return 1

    @property
    def trainings(self) -> float:
        return 1.0

    @property
    def size(self) -> int:
        return self.members

    def explore(self, problem: Problem) -> Members:
        return self.strongest(problem)[1]

    def strongest(self, problem: Problem) -> tuple[float, Members]:
        """The strength that was found, and the members there, ready to predict.

        A warning says where the strongest noise of all is in the tolerance, or the weakest is not.

        Raises:
            InputError: The problem has no training set in batches, the network's batch norm can't
                be estimated at other weights, or no trained parameter has two axes.
        """
        problem.behaviour.check_new_points()
        batches = problem.training_part(self.examples)
        network, random = problem.build("network"), generator(problem.seed, "weight-dropout")
        names = [name for name, p in network.named_parameters() if p.requires_grad and p.dim() > 1]
        if not names:
            raise InputError(
                "weight-dropout got a network none of whose trained parameters has two axes or "
                "more, needs one with weights: use another explorer, such as swag"
            )
        anchor = problem.anchor(0)
        weights = {name: anchor.params[name] for name in names}
        draw = torch.randn if self.form == "gaussian" else torch.rand
        noise = [
            {name: draw(p.shape, generator=random).to(p) for name, p in weights.items()}
            for _ in range(self.members)
        ]

        def loss(points: Sequence[Weights]) -> float:
            return float(evaluate(problem, points, batches)[0].mean())

        def at(strength: float) -> list[Weights]:
            moved = [_multiplied(anchor, drawn, self.form, strength) for drawn in noise]
            return problem.refresh(network, moved)

        highest = loss([anchor]) + self.tolerance
        low, high = WEAKEST, STRONGEST
        if loss(members := at(high)) <= highest:
            _warn(f"is within {self.tolerance:g} of the anchor's at {high:g}, the strongest")
            return high, Members(tuple(members))
        if not (reached := loss(members := at(low))) <= highest:
            above = reached - highest + self.tolerance
            _warn(f"is {above:.3g} above the anchor's at {low:g}, the weakest")
            return low, Members(tuple(members))
        for _ in range(HALVINGS):
            middle = math.sqrt(low * high)
            if loss(tried := at(middle)) <= highest:
                low, members = middle, tried
            else:
                high = middle
        return low, Members(tuple(members))


def _multiplied(anchor: Weights, noise: Tensors, form: str, strength: float) -> Weights:
    """The anchor with noise of the given strength on its weights.

    Args:
        anchor: The anchor.
        noise: Standard normal numbers, or uniform ones from 0 to 1, in the shape of each weight.
        form: As in the explorer.
        strength: The standard deviation of the factors.
    """

    def factor(drawn: Tensor) -> Tensor:
        if form == "gaussian":
            return 1 + strength * drawn
        kept = 1 / (1 + strength**2)  # 1 - p
        return (drawn < kept) / kept

    moved = {name: anchor.params[name] * factor(drawn) for name, drawn in noise.items()}
    return anchor.moved_to(anchor.params | moved)


def _warn(said: str) -> None:
    warnings.warn(
        f"weight-dropout: the members' mean training loss {said} noise that is tried, and they are "
        "taken there: give another tolerance",
        stacklevel=4,
    )
