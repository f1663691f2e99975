"""Cyclical stochastic-gradient MCMC: cycles of exploring, then of sampling with noise.

Zhang et al. 2020, arXiv 1902.03932. One training from scratch in cosine cycles. Towards the end of
each, noise n is added to the gradient g of the mean loss over N examples, and samples are taken. A
step of SGD with momentum m is

    v <- m v + g + n,   theta <- theta - lr v.
    With u = -lr v:   u <- m u - lr g - lr n,   theta <- theta + u.

SGHMC for the density exp(-U) (Chen et al. 2014, arXiv 1402.4102) is u <- (1 - a) u - e grad U +
N(0, 2 a e). With U = N loss / T the two are equal for a = 1 - m, e = lr T / N, and noise of
variance

    var(lr n) = 2 a e   =>   var(n) = 2 (1 - m) T / (N lr).

So at small rates theta follows exp(-N loss / T), where the loss includes the recipe's weight decay,
a Gaussian prior. Without momentum it is SGLD. Mini-batches add noise of their own, as in the paper.

Its effective rate lr / ((1 - m) batch) is the authors' 0.5 / 64 for SGLD, that of a usual training
at its peak (0.1, momentum 0.9, batch 128). Deviations: therefore the rate is given in units of the
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
        name: The name of the explorer.
        momentum: m; 0 is SGLD.
        cycles: The number of cycles.
        samples: Samples per cycle, at even distances.
        collect: The fraction of a cycle, at its end, over which the samples are spread.
        noise: The fraction of a cycle, at its end, that has noise.
        lr_ratio: The effective peak learning rate over the recipe's.
        temperature: T; None for 1 / N.
        budget: The length of all cycles together, in trainings.
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
            InputError: The recipe's optimiser is not SGD, or its training is too short for the
                samples.
        """
        base = problem.recipe
        if base.optimizer != "sgd":
            raise InputError(
                f"{self.name} got a recipe with optimizer '{base.optimizer}', needs 'sgd': the "
                "learning rate of one optimizer says nothing about that of another"
            )
        recipe = replace(
            base,
            epochs=base.epochs * self.budget,
            lr=base.lr * self.lr_ratio * (1 - self.momentum) / (1 - base.momentum),
            final_lr=0.0,
            momentum=self.momentum,
            nesterov=False,
            schedule="cosine",
            cycles=self.cycles,
            warmup=base.warmup / self.cycles,
            clip=None,
        )
        steps = recipe.steps(len(problem.train_loader))
        sampled, noisy = self._chosen(recipe, steps)
        network = problem.build(self.name)
        examples = problem.inspection.examples if problem.inspection is not None else 1
        temperature = 1 / examples if self.temperature is None else self.temperature
        before_step = langevin(network, recipe, steps, noisy, variance=temperature / examples)
        return collect(problem, network, recipe, self.name, steps=sampled, before_step=before_step)

    def _chosen(self, recipe: Recipe, steps: int) -> tuple[set[int], set[int]]:
        """The steps after which samples are sampled, and those with noise.

        At least all steps from the first sample on have noise.
        """
        sampled, noisy = set(), set()
        for cycle in cycles(recipe, steps):
            if len(cycle) < self.samples:
                raise InputError(
                    f"{self.name}.samples got {self.samples}, but a cycle has {len(cycle)} steps "
                    "and needs as many steps as samples: raise epochs, or lower cycles"
                )
            distance = max(1.0, self.collect * len(cycle) / self.samples)
            before = [round(k * distance) for k in range(self.samples)]
            sampled |= {cycle[-1] - k for k in before}
            noisy |= set(cycle[-max(before[-1] + 1, round(self.noise * len(cycle))) :])
        return sampled, noisy


def langevin(
    module: nn.Module, recipe: Recipe, steps: int, noisy: Container[int], *, variance: float
) -> Callable[[], None]:
    """Adds noise to the gradients between backward pass and step, from torch's global state.

    Args:
        module: What is trained, by plain SGD.
        recipe: Its momentum and learning rates.
        steps: The number of steps of the training.
        noisy: The steps, counted from 0, that have noise.
        variance: T / N, the variance that the chain's law exp(-N loss / T) would have along a
            direction in which the loss has curvature 1.
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
