"""Cyclical stochastic-gradient MCMC: cycles of exploring, then of sampling with noise (Zhang et al.
2020, arXiv 1902.03932).

One training from scratch in cosine cycles. Towards the end of each, noise n is added to the
gradient g of the mean loss over N examples, and samples are taken. A step of SGD with momentum m is

    v <- m v + g + n,   theta <- theta - lr v.   With u = -lr v:   u <- m u - lr g - lr n,   theta
    <- theta + u.

SGHMC for the density exp(-U) (Chen et al. 2014, arXiv 1402.4102) is u <- (1 - a) u - e grad U +
N(0, 2 a e). With U = N loss / T the two are equal for a = 1 - m, e = lr T / N, and noise of
variance

    var(lr n) = 2 a e   =>   var(n) = 2 (1 - m) T / (N lr).

So at small rates theta follows exp(-N loss / T), where the loss has the recipe's weight decay in
it: a Gaussian prior. Without momentum it is SGLD. Mini-batches add noise of their own, as in the
paper.

Its effective rate lr / ((1 - m) batch) is the authors' 0.5 / 64 for SGLD, that of a usual training
at its peak (0.1, momentum 0.9, batch 128). Deviations: so the rate is given in units of the
recipe's peak, at the recipe's batch size; a recipe's warm-up is kept, in the first cycle and in
proportion to it; gradients are not clipped, or the noise would be.
"""

import itertools
import math
from collections.abc import Callable, Container
from dataclasses import dataclass, replace

import torch
from torch import nn

from thalweg.errors import InputError, check_range, whole
from thalweg.explorers._parts.cycles import collect, cycles
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import Members


@dataclass(frozen=True)
class Cyclical:
    """The sampler behind `csgld` and `csghmc`, and its settings.

    Attributes:
        name: Of the explorer.
        momentum: m; 0 is SGLD.
        cycles: How many.
        samples: A cycle, at even distances.
        collect: Part of a cycle, at its end, over which the samples are spread.
        noise: Part of a cycle, at its end, that has noise.
        lr_ratio: Effective peak learning rate over the recipe's.
        temperature: T; None for 1 / N.
        budget: Length of all cycles together, in trainings.
    """

    name: str
    momentum: float
    cycles: int
    samples: int
    collect: float
    noise: float
    lr_ratio: float
    temperature: float | None
    budget: float

    def __post_init__(self) -> None:
        for name in ("cycles", "samples"):
            whole(f"{self.name}.{name}", getattr(self, name), 1)
        for name in ("collect", "noise"):
            check_range(f"{self.name}.{name}", getattr(self, name), 0, 1)
        check_range(f"{self.name}.momentum", self.momentum, 0, 0.999)
        for name in ("lr_ratio", "budget"):
            check_range(f"{self.name}.{name}", getattr(self, name), 1e-9)
        if self.temperature is not None:
            check_range(f"{self.name}.temperature", self.temperature, 0)

    def sample(self, problem: Problem) -> Members:
        """Runs the chain.

        Raises:
            InputError: The recipe's optimiser is not SGD, or its training too short for the
                samples.
        """
        own = problem.recipe
        if own.optimizer != "sgd":
            raise InputError(
                f"{self.name} got a recipe with optimizer '{own.optimizer}', needs 'sgd': the "
                "learning rate of one says nothing about that of the other"
            )
        recipe = replace(
            own,
            epochs=own.epochs * self.budget,
            lr=own.lr * self.lr_ratio * (1 - self.momentum) / (1 - own.momentum),
            final_lr=0.0,
            momentum=self.momentum,
            nesterov=False,
            schedule="cosine",
            cycles=self.cycles,
            warmup=own.warmup / self.cycles,
            clip=None,
        )
        steps = recipe.steps(len(problem.train_loader))
        taken, noisy = self._chosen(recipe, steps)
        network = problem.build(self.name)
        examples = problem.inspection.examples if problem.inspection is not None else 1
        temperature = 1 / examples if self.temperature is None else self.temperature
        before_step = langevin(network, recipe, steps, noisy, variance=temperature / examples)
        return collect(problem, network, recipe, self.name, steps=taken, before_step=before_step)

    def _chosen(self, recipe: Recipe, steps: int) -> tuple[set[int], set[int]]:
        """The steps after which samples are taken, and those with noise: at least all from the
        first sample on.
        """
        taken, noisy = set(), set()
        for own in cycles(recipe, steps):
            if len(own) < self.samples:
                raise InputError(
                    f"{self.name}.samples got {self.samples}, but a cycle has {len(own)} steps: "
                    "needs as many steps as samples; raise epochs, or lower cycles"
                )
            distance = max(1.0, self.collect * len(own) / self.samples)
            before = [round(k * distance) for k in range(self.samples)]
            taken |= {own[-1] - k for k in before}
            noisy |= set(own[-max(before[-1] + 1, round(self.noise * len(own))) :])
        return taken, noisy


def langevin(
    module: nn.Module, recipe: Recipe, steps: int, noisy: Container[int], *, variance: float
) -> Callable[[], None]:
    """Between backward pass and step: adds noise to the gradients, drawn from torch's global state.

    Args:
        module: What is trained, by plain SGD.
        recipe: Its momentum and learning rates.
        steps: That the training takes.
        noisy: The steps, counted from 0, that have noise.
        variance: T / N: what the chain's law exp(-N loss / T) would have along a direction in which
            the loss has curvature 1.
    """
    numbers = itertools.count()

    def before_step() -> None:
        step = next(numbers)
        if step not in noisy:
            return
        size = math.sqrt(2 * (1 - recipe.momentum) * variance / recipe.learning_rate(step, steps))
        for p in module.parameters():
            if p.grad is not None:
                p.grad.add_(torch.randn_like(p.grad), alpha=size)

    return before_step
