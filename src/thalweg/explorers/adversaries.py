"""Adversaries: networks that disagree with an anchor as much as they can, and are as good on the
training set. Schweighofer et al. 2023, arXiv 2307.03217; Raghavan et al. 2024, arXiv 2205.00334.

Each member is one short search from the anchor, a cosine of the recipe. A step raises the
divergence of its predictions from the anchor's at places, which are changed training inputs of its
own, and lowers what holds it on a batch of training inputs:

    loss      the training loss, of which the anchor's on the same batch is subtracted
    outputs   the divergence from the anchor's predictions on that batch; no label is looked at

The first is the idea of QUAM (Schweighofer et al.): adversarial models have a high posterior and
predictions of high divergence. The second is that of functionally invariant paths (Raghavan et
al.): along a path, outputs change as little as possible, and a second objective improves. Both cost
the same here. Where what holds a member has risen by more than `tolerance`, the push fades, so that
the rest leads it back. The divergence is that of Kullback and Leibler, or half the squared distance
of values in units of their scatter over places, the divergence of Gaussians.

Deviations of `form="loss"` from the paper and its authors' code, of which the abstract and the code
were read: there, each test input has searches of its own, one for each class, which no deployed
network can afford; here the places of a member stand for all inputs. There, a search lowers the
cross-entropy of its class at the test input; here it raises the divergence from the anchor. There,
a weight of the loss above that of the reference rises with the steps, by a schedule; here the push
fades where that difference is too large, which is the same up to the length of the step. There,
predictions along the search count; here the ends do, all alike.

Deviations of `form="outputs"` from the paper, of which the abstract and one caption were read: it
takes steps of fixed length in weights, which it finds by the metric that the outputs induce, and
has other second objectives, such as few weights or other tasks; here the divergence itself is a
loss of ordinary training, and the second objective is disagreement. The recipe's weight decay,
which the training loss held in balance, stays.

Deviations of both: the divergence at a place counts up to `reach`, as it has no upper end of its
own. Its gradient at the anchor is zero, so that the push is away from the anchor's predictions with
some noise, of standard deviation 0.3 in each log-probability (of values, of 0.3 of their scatter):
another direction for each member, at each place. Where the anchor is certain, the divergence is
flat all the same, and a search of few steps gets nowhere. Batch norm is as in training, at places
too, and is estimated anew at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers._parts.cycles import one_cycle
from thalweg.explorers._parts.leading import Pull, distances, shown, unit_of
from thalweg.explorers._parts.witnesses import witnesses
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.predicting import predict
from thalweg.seeds import Rewind, generator
from thalweg.training.anchors import train_anchors
from thalweg.training.problem import Problem
from thalweg.trees import Inputs, taken
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

_NOISE = 0.3  # of the predictions from which the push starts


@register_explorer("adversaries")
@dataclass(frozen=True)
class Adversaries(Explorer):
    """Members that disagree with an anchor as much as they can, at low loss.

    The cost is 1 + members x 2 x share, or less where there are fewer places than a batch has
    examples: each step has a batch of training inputs and one of places. Beyond that it takes
    forward passes: the anchor's on each of these batches of training inputs and once at the places,
    and those that estimate batch norm.

    Attributes:
        members: The number of searches.
        share: The epochs of a search over those of a training.
        form: What holds a member: `loss` or `outputs`, see the module.
        lr_ratio: The peak learning rate over the recipe's.
        strength: The weight of the divergence at places beside what holds the member.
        tolerance: How far the training loss may be above the anchor's before the push fades, in
            nats where it is the cross-entropy; of `outputs`, how far predictions on training inputs
            may be from the anchor's, in nats.
        places: How many inputs each member has of its own, two or more.
        reach: Up to which divergence a place counts, in nats.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(40, 3), torch.arange(40) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=5))
        >>> Adversaries(members=3, form="outputs").explore(problem).size
        3
    """

    family: ClassVar[str] = "other"

    members: int = 8
    share: float = 1 / 30
    form: Literal["loss", "outputs"] = "loss"
    lr_ratio: float = 1.0
    strength: float = 1.0
    tolerance: float = 0.05
    places: int = 64
    reach: float = 1.0

    def __post_init__(self) -> None:
        whole("adversaries.members", self.members, 1)
        whole("adversaries.places", self.places, 2)
        for name in ("share", "tolerance", "reach"):
            check_range(f"adversaries.{name}", getattr(self, name), 1e-9)
        for name in ("lr_ratio", "strength"):
            check_range(f"adversaries.{name}", getattr(self, name), 0)
        if self.form not in ("loss", "outputs"):
            raise InputError(f"adversaries.form got '{self.form}', needs 'loss' or 'outputs'")

    @property
    def anchors(self) -> int:
        return 1

    @property
    def trainings(self) -> float:
        return 1 + self.members * 2 * self.share

    @property
    def size(self) -> int:
        return self.members

    def explore(self, problem: Problem) -> Members:
        """Explores the landscape.

        Raises:
            InputError: The problem has no training set in batches, or batches that can't be put
                together; or the network can't be evaluated where nobody trained.
            Diverged: The loss became infinite.
        """
        problem.check_batches(self)
        problem.behaviour.check_new_points()
        asked = witnesses(problem, self.members * self.places, "adversaries")
        (anchor,) = train_anchors(problem, 1)
        said = predict(problem, anchor, asked).stored[0]
        found = []
        for k in range(self.members):
            own = slice(k * self.places, (k + 1) * self.places)
            found.append(self._search(problem, anchor, taken(asked, own), said[own], k))
        return Members(tuple(problem.refresh(problem.build("network"), found)))

    def _search(
        self, problem: Problem, anchor: Weights, asked: Inputs, said: Tensor, k: int
    ) -> Weights:
        """Where a search ends, its batch norm as it was trained.

        Args:
            problem: What was trained.
            anchor: Where it starts.
            asked: The places.
            said: What is stored of the anchor's predictions there `[places, columns]`.
            k: Which member.
        """
        network, first = problem.network(anchor), problem.network(anchor).train()
        kind = problem.outputs
        unit = unit_of(kind, said)
        noise = torch.randn(
            said.shape, generator=generator(problem.seed, "adversaries", "start", k)
        )
        start = kind.back(kind.line(said) + _NOISE * unit * noise)
        places = shown(problem, asked, start, "adversaries", "places", k)
        pull = Pull(self.strength, self.tolerance, 0.0)

        def ask(x: Inputs) -> Tensor:
            again = Rewind()  # the network drops the same units as the anchor
            with torch.no_grad():
                outputs: Tensor = first(x)
            again()
            problem.meter.forward(outputs)
            return outputs

        both = _Beside(network, ask)

        def loss(outputs: Tensor, y: Tensor) -> Tensor:
            before = both.before.to(outputs.dtype)
            if self.form == "loss":
                return problem.criterion(outputs, y) - problem.criterion(before, y)
            return distances(kind, outputs, kind.store(before), unit).mean()

        def penalty() -> Tensor:
            x, wanted = next(places)
            outputs = network(x)
            problem.meter.backward(outputs)
            push = distances(kind, outputs, wanted, unit).clamp(max=self.reach).mean()
            return -pull.strength * push

        recipe = one_cycle(
            problem.recipe, self.share, problem.recipe.lr * self.lr_ratio, warmup=0.1
        )
        problem.fit(both, recipe, "adversaries", k, penalty=penalty, on_step=pull.see, loss=loss)
        return Weights.of(network)


class _Beside(nn.Module):
    """A network in training, and what the anchor says of the same batch.

    Attributes:
        before: The anchor's outputs for the last batch `[batch, outputs]`, without a gradient.
    """

    before: Tensor

    def __init__(self, network: nn.Module, ask: Callable[[Inputs], Tensor]) -> None:
        super().__init__()
        self.network, self._ask = network, ask

    def forward(self, x: Inputs) -> Tensor:
        self.before = self._ask(x)
        outputs: Tensor = self.network(x)
        return outputs
