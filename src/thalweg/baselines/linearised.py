"""Linearised networks: an ensemble of the linear model that a trained network is near its weights.
Wilson, van der Heide, Hodgkinson and Roosta 2025, arXiv 2502.02870 (NUQLS).

It is a method to compare with. It explores nothing: its members are no weights of the network, but
linear models about one anchor w*, f(x, w*) + J(x, w*) (w - w*). Member k starts at w* with normal
noise of standard deviation gamma (`scale`) on all trained weights, and is trained on the training
set with the network's own loss. Of the squared loss, members that are trained until nothing changes
are draws from the posterior of a Gaussian process, whose kernel is gamma^2 J J'. A linear model
is evaluated with batch norm and dropout as in evaluation, also while it trains, and all members
share the anchor's statistics.

As in the paper's published code, a member is trained at a constant rate, without weight decay.
Deviations: the optimiser, its momentum and the size of mini-batches are those of the recipe (the
code has SGD with momentum 0.9, also for networks that Adam trained, and sizes of its own), and so
are augmentation, clipping, label smoothing and precision (the code's is double). Order and
augmentation are drawn anew for each member, while all members of the code see the same
mini-batches. The code has settings for each network: for images 1 to 25 epochs, which are 0.5 to
100 % of a training, gamma from 0.0025 to 1 and rates from 1e-4 to 0.1. Here they are settings that
nothing tunes. The defaults are those of 18 tried whose members were about as far apart as
retrainings, with a small rate, on Fashion-MNIST with a CNN; they were not tuned elsewhere, and a
network whose outputs are far apart may need a larger gamma.

An evaluation takes one product of J with a vector, in forward mode, and a training step goes back
through it. In matrix products and convolutions that is 5/3 of the operations of a network's step,
and 2 times in the first layer, where torch multiplies zeros; a prediction is three times the
network's. `trainings` has 2; the meter is charged with counted operations. In seconds a step took
2.0 to 2.6 times as long with the package's CNN (widths 8 and 16) on a busy CPU. Predictions are
metered in the returned problem, in evaluations of a linear model.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.baselines.base import Baseline, register_baseline
from thalweg.errors import InputError, check_range, whole
from thalweg.meter import Meter
from thalweg.narrow.training import charged, relative_cost
from thalweg.seeds import generator, seeded
from thalweg.training.calling import Derived
from thalweg.training.loop import both_ways
from thalweg.training.problem import Problem
from thalweg.trees import Inputs, moved, rows
from thalweg.weights.distribution import Members
from thalweg.weights.point import Weights

_RATIO = 2  # operations of a step over those of the network's, at most


@register_baseline("linearised")
@dataclass(frozen=True)
class Linearised(Baseline):
    """Linear models about an anchor. Cost: 1 + 2 x members x share, see the module.

    Attributes:
        members: The number of linear models.
        share: The epochs of a linear model over those of a training.
        scale: The standard deviation of the noise that a linear model starts with, in units of the
            weights: the paper's gamma. Members differ in proportion to it, as far as training
            leaves them apart.
        lr_ratio: The constant learning rate over the recipe's peak. Where a linear model diverges,
            it needs a smaller one.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Problem, Recipe
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> problem = Problem(lambda: torch.nn.Linear(3, 2), data, Recipe(epochs=5))
        >>> linear, members = Linearised(members=2, share=0.2).train(problem)
        >>> members.size
        2
    """

    family: ClassVar[str] = "other"
    anchors: ClassVar[int] = 1

    members: int = 8
    share: float = 0.05
    scale: float = 0.05
    lr_ratio: float = 0.1

    def __post_init__(self) -> None:
        whole("linearised.members", self.members, 1)
        check_range("linearised.share", self.share, 1e-9)
        check_range("linearised.scale", self.scale, 0)
        check_range("linearised.lr_ratio", self.lr_ratio, 0)

    @property
    def trainings(self) -> float:
        return 1 + _RATIO * self.members * self.share

    @property
    def size(self) -> int:
        return self.members

    def train(self, problem: Problem) -> tuple[Problem, Members]:
        """As `Baseline.train`.

        Raises:
            InputError: The problem has no training set in batches, or the network evaluates
                something again in the backward pass, or has an operation that can't be
                differentiated in forward mode. Nothing is trained then.
            Diverged: The loss of the anchor or of a linear model became infinite.
        """
        problem.check_batches(self)
        problem.behaviour.check_recomputed("linearised")
        model = Derived(Linear, problem.factory)
        linear = replace(
            problem,
            model=model,
            meter=Meter(),
            networks=None,
            cache=None,
            identity="",
            # group norm has a derivative in forward mode in plain order only
            execution=replace(problem.execution, channels_last=False),
        )
        _check_differentiable(linear)
        ratio = relative_cost(problem, linear)
        recipe = replace(
            problem.recipe,
            epochs=problem.recipe.epochs * self.share,
            lr=problem.recipe.lr * self.lr_ratio,
            schedule="constant",
            warmup=0.0,
            weight_decay=0.0,
        )
        anchor, found = problem.anchor(0), list[Weights]()
        with charged(problem, linear, ratio):
            linear.meter.count(backward=rows(linear.example), forward=0)  # the trial
            for k in range(self.members):
                network = cast(Linear, linear.build("linearised", k))
                network.start(anchor, self.scale, generator(problem.seed, "linearised", k))
                linear.fit(network, recipe, "linearised", k)
                found.append(network.member(anchor))
        return linear, Members(tuple(found))


class Linear(nn.Module):
    """A network's linear model f(x, w*) + J(x, w*) (w - w*).

    Args:
        model: Makes the network.

    Attributes:
        network: The network at w*, which is not trained, with its buffers.
        weights: The weights w of the linear model, in the place of the network's trained ones.
    """

    def __init__(self, model: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.network = model()
        trained = {n: p.detach() for n, p in self.network.named_parameters() if p.requires_grad}
        self.names = tuple(trained)
        self.network.requires_grad_(requires_grad=False)
        self.weights = nn.ParameterList(p.clone() for p in trained.values())
        _load_derivatives()

    def forward(self, x: Inputs) -> Tensor:
        """`[batch, ...]` to `[batch, outputs]`; the network is in evaluation mode."""
        self.network.eval()
        anchor = dict(self.network.named_parameters())
        at = {name: anchor[name] for name in self.names}
        away = {name: w - at[name] for name, w in zip(self.names, self.weights, strict=True)}
        with _in_steps():
            outputs, change, *_ = jvp(
                lambda params: functional_call(self.network, params, (x,)), (at,), (away,)
            )
        return cast(Tensor, outputs + change)

    def start(self, anchor: Weights, noise: float, random: torch.Generator) -> None:
        """Puts w* at an anchor, and w at a distance of it: with normal noise of this standard
        deviation.
        """
        anchor.load_into(self.network)
        params = dict(self.network.named_parameters())
        with torch.no_grad():
            for name, w in zip(self.names, self.weights, strict=True):
                drawn = torch.randn(w.shape, generator=random, dtype=w.dtype)
                w.copy_(params[name] + noise * drawn.to(w.device))

    def member(self, anchor: Weights) -> Weights:
        """The weights of the linear model, those of the anchor among them, which are not copied."""
        own = {f"weights.{k}": w.detach().clone() for k, w in enumerate(self.weights)}
        params, buffers = (
            {f"network.{name}": t for name, t in (part or {}).items()}
            for part in (anchor.params, anchor.buffers)
        )
        return Weights(params | own, buffers)


def _load_derivatives() -> None:
    """Takes a derivative in forward mode: at the first one torch loads what warns of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        jvp(torch.sin, (torch.zeros(()),), (torch.zeros(()),))


@contextmanager
def _in_steps() -> Iterator[None]:
    """Attention as products and a softmax: torch's fused kernels have no derivative in forward
    mode.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _check_differentiable(linear: Problem) -> None:
    """Takes the gradient of a linear model on two inputs, before anything is paid for.

    Raises:
        InputError: It has none.
    """
    with seeded(0, "linearised"):
        network = linear.build("linearised")
        try:
            both_ways(network, moved(linear.example, linear.device))
        except Exception as error:  # a user's code may raise anything on what is no plain tensor
            message = " ".join(str(error).split())[:120]
            raise InputError(
                f"linearised got a network that can't be differentiated in forward mode "
                f"({message}), needs operations that torch.func.jvp knows: make it without them "
                "(nn.LSTM, weight norm and functions with a backward of their own are such), or "
                "take a method that trains the network itself, such as restarts"
            ) from None
