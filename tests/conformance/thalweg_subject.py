"""thalweg as a subject of the conformance suite.

Arrays are numpy's, weights vectors in the order of `network.parameters()`.
"""

import numpy as np
import torch
from torch import nn

from thalweg.explorers._parts.sgmcmc import langevin
from thalweg.explorers.laplace import posterior
from thalweg.graph import alignment
from thalweg.meter import Meter
from thalweg.outputs import Values
from thalweg.seeds import seeded
from thalweg.training.batches import Batches
from thalweg.training.loop import train
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.coefficients import Simplex, bernstein, hats
from thalweg.weights.gaussian import Moments
from thalweg.weights.point import Weights, flatten
from thalweg.weights.subspace import Subspace
from thalweg.weights.volume import log_squared_volume


def weights_of(network: nn.Module, vector: np.ndarray) -> Weights:
    """A vector as a network's weights."""
    params, start = {}, 0
    for name, p in network.named_parameters():
        params[name] = torch.as_tensor(vector[start : start + p.numel()]).reshape(p.shape).to(p)
        start += p.numel()
    return Weights(params, dict(network.named_buffers()))


def vectors(points) -> np.ndarray:
    return torch.stack([flatten(point.params) for point in points]).numpy()


def moments(network: nn.Module, iterates: np.ndarray, rank: int = 20) -> Moments:
    found = Moments(rank)
    for iterate in iterates:
        found.add(weights_of(network, iterate))
    return found


def swa_mean(network: nn.Module, iterates: np.ndarray) -> np.ndarray:
    """Stochastic weight averaging: the mean `[params]` of iterates `[n, params]`."""
    return vectors([Weights(moments(network, iterates).mean)])[0]


def swag_draws(network: nn.Module, iterates: np.ndarray, rank: int, draws: int) -> np.ndarray:
    """SWAG with the paper's scale 1/2 fitted to iterates `[n, params]`: draws `[draws, params]`."""
    return vectors(moments(network, iterates, rank).gaussian(0.5).draw(draws, seed=0))


def curve_points(kind: str, vertices: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points `[n, params]` at t `[n]` in 0 .. 1 of a `bezier` curve or a polygonal `chain` with
    vertices `[k, params]`.
    """
    coefficients = {"bezier": bernstein, "chain": hats}[kind](torch.as_tensor(t), len(vertices))
    curve = Subspace(tuple(Weights({"w": torch.as_tensor(v)}) for v in vertices))
    return vectors([curve.at(c) for c in coefficients])


def simplex_draws(vertices: np.ndarray, draws: int) -> np.ndarray:
    """Draws `[draws, params]`, uniform on the simplex with vertices `[k, params]`."""
    points = tuple(Weights({"w": torch.as_tensor(v)}) for v in vertices)
    return vectors(Subspace(points, Simplex()).draw(draws, seed=0))


def log_volume(vertices: np.ndarray) -> float:
    """The logarithm of the volume of the simplex with vertices `[k + 1, params]`."""
    return float(log_squared_volume([[torch.as_tensor(v)] for v in vertices])) / 2


def langevin_draws(
    precision: np.ndarray, mean: np.ndarray, *, copies: int, lr: float, steps: int, momentum: float
) -> np.ndarray:
    """Stochastic-gradient Langevin (momentum 0) or Hamiltonian dynamics at a constant step size on
    a Gaussian.

    Independent chains from zero; their last positions `[copies, dims]`, whose law is exp(-1/2 (x -
    mean)' precision (x - mean)).
    """
    module = Chains(copies, torch.as_tensor(precision).float(), torch.as_tensor(mean).float())
    recipe = Recipe(epochs=steps, lr=lr, schedule="constant", momentum=momentum, weight_decay=0.0)
    noise = langevin(module, recipe, steps, range(steps), variance=1.0)
    batch = (torch.zeros(1, 1), torch.zeros(1))
    with seeded(0, "langevin"):
        train(
            module,
            [batch],
            recipe,
            Meter(),
            loss=lambda outputs, _: outputs.sum(),
            before_step=noise,
        )
    return module.position.detach().numpy()


class Chains(nn.Module):
    """Positions of many chains as one parameter; the output is the energy of each."""

    def __init__(self, copies: int, precision: torch.Tensor, mean: torch.Tensor) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(copies, len(mean)))
        self.precision, self.mean = precision, mean

    def forward(self, _) -> torch.Tensor:
        away = self.position - self.mean
        return ((away @ self.precision) * away).sum(1, keepdim=True) / 2


class UnitVariance(Values):
    """Values with noise of variance 1, whatever the residuals are."""

    def dispersion(self, mean_loss: float, columns: int) -> float:
        return 1.0


def laplace_draws(
    features: np.ndarray, weights: np.ndarray, precision: float, draws: int
) -> np.ndarray:
    """Laplace about a linear layer `weights` `[outputs, features]`: draws `[draws, outputs,
    features]`.

    The likelihood is Gaussian with unit variance about `features @ weights.T`, the prior N(0, 1 /
    precision).
    """
    x = torch.as_tensor(features).float()
    problem = Problem(
        lambda: nn.Linear(weights.shape[1], weights.shape[0], bias=False),
        Batches(x, torch.zeros(len(x), weights.shape[0])),
        outputs=UnitVariance(),
    )
    anchor = Weights({"weight": torch.as_tensor(weights).float()}, {})
    found = posterior(problem, anchor, precision)
    return torch.stack([w.params["weight"] for w in found.draw(draws, seed=0)]).double().numpy()


def align(network: nn.Module, fixed: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Weights `moved` `[params]` of a network without batch norm, their hidden units permuted
    towards `fixed`.
    """
    return vectors(
        [alignment.align(network, weights_of(network, fixed), weights_of(network, moved))]
    )[0]
