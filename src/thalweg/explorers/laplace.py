"""Last-layer Laplace: a Gaussian about a network's last layer, with its full covariance.
Daxberger et al. 2021, arXiv 2106.14806.

The covariance is the inverse of the generalised Gauss-Newton matrix of the likelihood that belongs
to the outputs, summed over the training set without augmentation, plus a prior precision that
maximises the marginal likelihood (paper). The likelihood is categorical for classes, Bernoulli for
one logit, and for values Gaussian with the variance of the training set's residuals. Deviations:
predictions average draws, where the paper has closed approximations; the likelihood is the same
whatever the problem's loss.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from thalweg.errors import InputError, check_range
from thalweg.explorers._parts.curvature import curvature
from thalweg.explorers._parts.evidence import best_precision
from thalweg.explorers.base import Explorer, register_explorer
from thalweg.graph.penultimate import last_linear
from thalweg.seeds import seeded, seeded_loader
from thalweg.training.batches import Batches, Loader
from thalweg.training.problem import Problem
from thalweg.trees import moved
from thalweg.weights.laplace import LastLayerGaussian
from thalweg.weights.point import Weights

# weights of the last layer: their matrix takes 2 GiB, and its factorisation some 40 s on one core
LARGEST = 16_384
Precision = float | Literal["evidence", "recipe"]


@register_explorer("last-layer-laplace")
@dataclass(frozen=True)
class LastLayerLaplace(Explorer):
    """The posterior of the last linear layer of an anchor, 16,384 weights at most. Cost: 1.

    In addition it takes a forward pass over the training set, and inputs x (features x classes)^2 /
    2 products for the curvature, which no count of evaluations includes: with a small network
    before a wide last layer they can take a hundred times its training.

    Attributes:
        precision: The precision of the Gaussian prior of the last layer's weights: `evidence` (the
            largest marginal likelihood), `recipe` (that of a training with SGD: examples x weight
            decay) or a number.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=1))
        >>> LastLayerLaplace().explore(problem).factor.shape
        torch.Size([8, 8])
    """

    family: ClassVar[str] = "other"
    one_training: ClassVar[bool] = True

    precision: Precision = "evidence"

    def __post_init__(self) -> None:
        if not isinstance(self.precision, str):
            check_range("last-layer-laplace.precision", self.precision, 1e-12)
        elif self.precision not in ("evidence", "recipe"):
            raise InputError(
                f"last-layer-laplace.precision got '{self.precision}', needs 'evidence', "
                "'recipe' or a number"
            )

    @property
    def anchors(self) -> int:
        return 1

    @property
    def trainings(self) -> float:
        return 1.0

    def explore(self, problem: Problem) -> LastLayerGaussian:
        if self.precision == "recipe":
            problem.check_batches(self)
        recipe = problem.recipe
        if self.precision == "recipe" and recipe.optimizer != "sgd":
            raise InputError(
                f"last-layer-laplace.precision got 'recipe' with optimizer '{recipe.optimizer}', "
                "needs 'sgd', as a decoupled weight decay is that of no prior: give 'evidence' "
                "or a number"
            )
        if self.precision == "recipe" and not recipe.weight_decay:
            raise InputError(
                "last-layer-laplace.precision got 'recipe' with a weight decay of 0, needs one "
                "above 0: give 'evidence' or a number"
            )
        with _training_set(problem) as batches:
            # raises before a training where there is none
            _last_linear(problem, problem.build("network").eval(), batches)
        return posterior(problem, problem.anchor(0), self.precision)


def posterior(problem: Problem, anchor: Weights, precision: Precision) -> LastLayerGaussian:
    """The Laplace approximation about the last layer of a network.

    Args:
        problem: Architecture, training set, recipe and meter.
        anchor: The network.
        precision: The precision of the prior, as in the explorer.

    Raises:
        InputError: The network does not end with a linear layer of its own, or that is too large.
    """
    network = problem.network(anchor).eval()
    with _training_set(problem) as batches, torch.no_grad():
        layer = _last_linear(problem, network, batches)
        names = {id(p): name for name, p in network.named_parameters()}
        weight, bias = (
            names[id(layer.weight)],
            None if layer.bias is None else names[id(layer.bias)],
        )
        losses: list[Tensor] = []
        matrix = curvature(
            _evaluated(problem, network, layer, batches, losses), problem.outputs.hessian
        )
        total, examples_seen = torch.stack(losses).sum(0)
        mean_loss = float(total / examples_seen)
        dispersion = problem.outputs.dispersion(mean_loss, layer.out_features)
        matrix /= dispersion
        if precision == "evidence":
            squares = sum(float(p.double().square().sum()) for p in layer.parameters())
            precision = best_precision(matrix, squares, problem.seed)
        elif precision == "recipe":
            examples = problem.inspection.examples if problem.inspection is not None else 0
            precision = problem.recipe.weight_decay * examples / dispersion
        matrix.diagonal().add_(float(precision))
        factor = _factor(matrix).to(layer.weight.dtype, memory_format=torch.contiguous_format)
        return LastLayerGaussian(anchor, weight, bias, factor)


@contextmanager
def _training_set(problem: Problem) -> Iterator[Loader]:
    """The training set of the first anchor, not augmented (a user's own loader as it is)."""
    batches = problem.batches("anchor", 0)
    if isinstance(batches, Batches):
        batches = replace(batches, augment=None)
    with problem.meter.clock(), seeded(0, "laplace"), seeded_loader(batches, 0, "laplace"):
        yield batches


def _factor(matrix: Tensor) -> Tensor:
    """The lower triangular Cholesky factor of a symmetric matrix, computed in its memory."""
    by_column, info = matrix.mT, torch.empty((), dtype=torch.int32, device=matrix.device)
    torch.linalg.cholesky_ex(by_column, out=(by_column, info))
    if info:
        raise InputError(
            "last-layer-laplace got a precision that is too small beside the curvature of the "
            "last layer: raise it"
        )
    return by_column


def _last_linear(problem: Problem, network: nn.Module, batches: Loader) -> nn.Linear:
    """The linear layer whose output is the network's, found by evaluating a batch."""
    last, times, outputs = last_linear(network, moved(next(iter(batches))[0], problem.device))
    problem.meter.forward(outputs)
    plain = (nn.Parameter, type(None))
    if last is None or not (isinstance(last.weight, plain) and isinstance(last.bias, plain)):
        raise InputError(
            "last-layer-laplace got a network whose outputs are not those of an nn.Linear with "
            "parameters of its own, needs one that ends with such a layer and returns its "
            "outputs: change its forward, or use another explorer"
        )
    owners = [
        module
        for module in network.modules()
        for p in module.parameters(recurse=False)
        if p is last.weight
    ]
    if len(owners) > 1 or times > 1:
        raise InputError(
            "last-layer-laplace got a network that uses the weights of its last layer twice, "
            "needs one whose features do not change with them"
        )
    if (size := sum(p.numel() for p in last.parameters())) > LARGEST:
        raise InputError(
            f"last-layer-laplace got a last layer of {size} weights, needs {LARGEST} or fewer, "
            "as their covariance takes memory with the square: give a network that pools before "
            "its last layer, or has fewer features"
        )
    return last


def _evaluated(
    problem: Problem,
    network: nn.Module,
    layer: nn.Linear,
    batches: Loader,
    losses: list[Tensor],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields the layer's inputs `[batch, features]` and the outputs `[batch, outputs]`.

    The inputs have a last feature of 1 where the layer has a bias. Each batch's summed loss and
    number of examples are added to `losses`.
    """
    usual = problem.outputs.loss()
    seen: list[Tensor] = []
    layer.register_forward_pre_hook(
        lambda _, given, named: seen.append(given[0] if given else named["input"]), with_kwargs=True
    )
    for x, y in batches:
        outputs = network(moved(x, problem.device))
        problem.meter.forward(outputs)
        loss = usual(outputs, y.to(problem.device)).detach().double() * len(y)
        losses.append(torch.stack([loss.cpu(), torch.tensor(float(len(y)), dtype=torch.float64)]))
        features = seen.pop()
        yield (
            features
            if layer.bias is None
            else torch.cat([features, features.new_ones(len(features), 1)], 1),
            outputs,
        )
