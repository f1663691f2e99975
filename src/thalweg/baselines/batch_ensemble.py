"""BatchEnsemble: members share each weight but for a factor of rank one (Wen, Tran and Ba 2020, arXiv 2002.06715).

A row of the comparison, trained from scratch in one run; it explores nothing. Member k has the weights W o (s_k r_k'), with one
number of s_k an output and one of r_k an input of a layer, and biases of its own. Both vectors start as random signs, and have no
weight decay. Every mini-batch is divided among the members, so the run costs one training.

Deviations: which member gets which part of a mini-batch is drawn at every step (a loader that does not shuffle would else show
each member one part of the data only), and a part has two examples at least, so that in small batches some members wait. Any
network can be converted, since members are evaluated one after the other at their own weights; so batch norm normalises each
member's examples by themselves, as it does when a member predicts, and only its scale and shift are shared.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.baselines.base import Baseline, baseline
from thalweg.errors import InputError, whole
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members
from thalweg.weights.point import Tensors, Weights

Layer = (nn.Linear, nn.modules.conv._ConvNd)


@baseline("batch-ensemble")
@dataclass(frozen=True)
class BatchEnsemble(Baseline):
    """Members of rank-one factors. Cost: 1.

    Attributes:
        members: How many; the paper's 4.
    """

    members: int = 4

    def __post_init__(self) -> None:
        whole("batch-ensemble.members", self.members, 1)

    @property
    def trainings(self) -> float:
        return 1.0

    def train(self, problem: Problem) -> tuple[Problem, Members]:
        made = replace(problem, model=partial(RankOne, problem.model, self.members), start=None)
        network = cast(RankOne, made.build("batch-ensemble"))
        problem.fit(network, problem.recipe, "batch-ensemble", adjust=_undecayed(problem, network.fast))
        return problem, Members(network.members())


class RankOne(nn.Module):
    """All members as one module: inputs are divided among them.

    Args:
        model: Makes the network, whose trained linear layers and convolutions get factors.
        members: How many.

    Attributes:
        network: The shared weights.
        fast: The factors, `[members, inputs]` and `[members, outputs]` of each layer.
    """

    def __init__(self, model: Callable[[], nn.Module], members: int) -> None:
        super().__init__()
        self.network, self.size = model(), members
        names = {id(p): name for name, p in self.network.named_parameters()}
        layers = [layer for layer in self.network.modules() if isinstance(layer, Layer)]
        weights = {names[id(layer.weight)]: layer.weight for layer in layers if layer.weight.requires_grad}
        biases = {names[id(layer.bias)]: layer.bias for layer in layers if layer.bias is not None and layer.bias.requires_grad}
        if not weights:
            raise InputError("batch-ensemble got a network without a linear layer or convolution that is trained, needs one")
        self._weights, self._biases = list(weights), list(biases)
        self.fast = nn.ParameterList(_signs(members, weight, axis) for weight in weights.values() for axis in (1, 0))
        self.biases = nn.ParameterList(bias.detach().repeat(members, 1) for bias in biases.values())
        for bias in biases.values():
            bias.requires_grad = False  # each member has its own

    def forward(self, x: Tensor) -> Tensor:
        """From `[batch, ...]` to `[batch, classes]`, each part of the batch by another member."""
        parts = x.tensor_split(max(1, min(self.size, len(x) // 2)))
        chosen = torch.randperm(self.size)[: len(parts)].tolist()
        return torch.cat([functional_call(self.network, self._params(k), (part,)) for k, part in zip(chosen, parts, strict=True)])

    def members(self) -> tuple[Weights, ...]:
        """The members as weights of the network. Nobody trained their batch-norm statistics."""
        own, buffers = dict(self.network.named_parameters()), dict(self.network.named_buffers())
        stale = {name: buffer.detach().clone() for name, buffer in buffers.items()}
        return tuple(Weights({name: p.detach().clone() for name, p in {**own, **self._params(k)}.items()}, stale=stale)
                     for k in range(self.size))

    def _params(self, k: int) -> Tensors:
        """The parameters in which a member differs from the network."""
        shared = dict(self.network.named_parameters())
        found = {name: bias[k] for name, bias in zip(self._biases, self.biases, strict=True)}
        for i, name in enumerate(self._weights):
            inputs, outputs = self.fast[2 * i][k], self.fast[2 * i + 1][k]
            factor = torch.outer(outputs, inputs)
            found[name] = shared[name] * factor.reshape(*factor.shape, *[1] * (shared[name].dim() - 2))
        return found


def _signs(members: int, weight: Tensor, axis: int) -> nn.Parameter:
    """Random signs `[members, size of the axis]`."""
    return nn.Parameter(torch.randint(0, 2, (members, weight.shape[axis])).to(weight) * 2 - 1)


def _undecayed(problem: Problem, params: nn.ParameterList) -> Callable[[], None]:
    """What takes the recipe's weight decay from some parameters, before each step that adds it."""
    recipe = problem.recipe
    steps, step = recipe.steps(len(problem.train)), count()

    def adjust() -> None:
        kept = 1 - recipe.learning_rate(next(step), steps) * recipe.weight_decay
        with torch.no_grad():
            for p in params:
                if recipe.optimizer == "adamw":
                    p.div_(kept)
                elif p.grad is not None:
                    p.grad.sub_(p, alpha=recipe.weight_decay)

    return adjust
