"""BatchEnsemble: members share each weight up to a factor of rank one.
Wen, Tran and Ba 2020, arXiv 2002.06715.

It is a method to compare with, trained from scratch in one run; it explores nothing. Member k has
the weights W o (s_k r_k'), with one number of s_k per output and one of r_k per input of a layer,
and biases of its own. Both vectors start as random signs, and have no weight decay. Every
mini-batch is divided among the members, so a run of a training's length costs one training.

Deviations: one training is far less than published results had (about five in
google/uncertainty-baselines, where every member sees all of every mini-batch): `budget=5.0` is as
long as theirs. A trap: a member's factors and biases get the gradient of its own part only,
1/members of the mini-batch's mean, so in a short run they move little. Which member gets which part
is drawn at every step (a loader that does not shuffle would otherwise show each member one part of
the data only), and a part has two examples at least, so that in small batches some members wait.
Any network can be converted, since members are evaluated one after the other at their own weights;
so batch norm normalises each member's examples by themselves, as it does when a member predicts,
and only its scale and shift are shared.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.baselines.base import Baseline, register_baseline
from thalweg.errors import InputError, check_range, whole
from thalweg.training.calling import Derived
from thalweg.training.problem import Problem
from thalweg.trees import Inputs, rows, taken
from thalweg.weights.distribution import Members
from thalweg.weights.point import Tensors, Weights

Layer = (nn.Linear, nn.modules.conv._ConvNd)


@register_baseline("batch-ensemble")
@dataclass(frozen=True)
class BatchEnsemble(Baseline):
    """Members that differ by rank-one factors. Cost: budget.

    Attributes:
        members: The number of members; the paper's 4.
        budget: The length of the run, in trainings; that of published results is about 5.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> _, members = BatchEnsemble(members=2).train(problem)
        >>> members.size
        2
    """

    family: ClassVar[str] = "embedded"

    members: int = 4
    budget: float = 1.0

    def __post_init__(self) -> None:
        whole("batch-ensemble.members", self.members, 1)
        check_range("batch-ensemble.budget", self.budget, 1e-9)

    @property
    def trainings(self) -> float:
        return self.budget

    @property
    def size(self) -> int:
        return self.members

    def train(self, problem: Problem) -> tuple[Problem, Members]:
        problem.check_batches(self)
        problem.behaviour.check_new_points()  # members' batch-norm statistics are not trained
        problem.behaviour.check_recomputed("batch-ensemble")
        model = Derived(RankOne, problem.factory, self.members)
        converted = replace(problem, model=model, networks=None)
        network = cast(RankOne, converted.build("batch-ensemble"))
        recipe = replace(problem.recipe, epochs=problem.recipe.epochs * self.budget)
        problem.fit(network, recipe, "batch-ensemble")
        return problem, Members(network.members())


class Factor(nn.Parameter):
    """A parameter without weight decay (`training.recipe.optimizer_for`)."""

    undecayed = True


class RankOne(nn.Module):
    """All members as one module: inputs are divided among them.

    Args:
        model: Makes the network, whose trained linear layers and convolutions get factors.
        members: The number of members.

    Attributes:
        network: The shared weights.
        fast: The factors, `[members, inputs]` and `[members, outputs]` of each layer.

    Raises:
        InputError: It has no such layer, or one whose weight or bias is not a parameter of its own.
    """

    def __init__(self, model: Callable[[], nn.Module], members: int) -> None:
        super().__init__()
        self.network, self.size = model(), members
        weights, biases = _trained(self.network, "weight"), _trained(self.network, "bias")
        if not weights:
            raise InputError(
                "batch-ensemble got a network without a linear layer or convolution that is "
                "trained, needs one"
            )
        self._weights, self._biases = list(weights), list(biases)
        self.fast = nn.ParameterList(
            Factor(_signs(members, weight, axis)) for weight in weights.values() for axis in (1, 0)
        )
        self.biases = nn.ParameterList(bias.detach().repeat(members, 1) for bias in biases.values())
        for bias in biases.values():
            bias.requires_grad = False  # each member has its own

    def forward(self, x: Inputs) -> Tensor:
        """`[batch, ...]` to `[batch, classes]`, each part of the batch by another member."""
        count = max(1, min(self.size, rows(x) // 2))
        parts = [taken(x, index) for index in torch.arange(rows(x)).tensor_split(count)]
        chosen = torch.randperm(self.size)[: len(parts)].tolist()
        outputs = [
            functional_call(self.network, self._params(k), (part,))
            for k, part in zip(chosen, parts, strict=True)
        ]
        return torch.cat(outputs)

    def members(self) -> tuple[Weights, ...]:
        """The members as weights of the network. Their batch-norm statistics are not valid."""
        shared = Weights.of(self.network)
        members = [self._params(k) for k in range(self.size)]
        copies = [{name: p.detach().clone() for name, p in params.items()} for params in members]
        return tuple(shared.moved_to(shared.params | params) for params in copies)

    def _params(self, k: int) -> Tensors:
        """The parameters in which a member differs from the network."""
        shared = dict(self.network.named_parameters())
        params = {name: bias[k] for name, bias in zip(self._biases, self.biases, strict=True)}
        for i, name in enumerate(self._weights):
            inputs, outputs = self.fast[2 * i][k], self.fast[2 * i + 1][k]
            factor = torch.outer(outputs, inputs)
            axes = [1] * (shared[name].dim() - 2)
            params[name] = shared[name] * factor.reshape(*factor.shape, *axes)
        return params


def _trained(network: nn.Module, part: str) -> dict[str, Tensor]:
    """The trained weights, or biases, of linear layers and convolutions, by name."""
    names = {id(p): name for name, p in network.named_parameters()}
    trained: dict[str, Tensor] = {}
    for where, layer in network.named_modules():
        tensor = getattr(layer, part) if isinstance(layer, Layer) else None
        if tensor is None or not tensor.requires_grad:
            continue
        if id(tensor) not in names:
            raise InputError(
                f"batch-ensemble got a layer '{where}' whose {part} is made by a "
                "parametrisation, needs a plain parameter: remove it with "
                "torch.nn.utils.parametrize.remove_parametrizations"
            )
        trained[names[id(tensor)]] = tensor
    return trained


def _signs(members: int, weight: Tensor, axis: int) -> Tensor:
    """Random signs `[members, size of the axis]`."""
    return torch.randint(0, 2, (members, weight.shape[axis])).to(weight) * 2 - 1
