"""The centre: the mean of retrainings, from a few networks and narrow copies.

    calibrated   Narrow copies are less sure than whole networks. Their mean is brought to the
                 sharpness of the whole networks, whose probabilities serve as soft labels on the
                 unlabelled inputs: a whole network is the mean of retrainings plus an error that
                 knows nothing of the copies. One number is fitted, and shrunk (James and Stein
                 1961) where such an error alone would change it as much.
    flattened    A single network, and the mean of few, is sharper than what is the best guess of
                 the mean of many. By how much is found by simulation: a network is drawn about it
                 with the u that is known (`atlas.draws`), and the power of its probabilities is
                 chosen that leads back with the least squared error.
    pooled       The centre is half-way between the arithmetic and the geometric mean of whole
                 networks and copies, weighed by their errors.
    averaged     Where the recipe changes training inputs at random, a network's mean prediction
                 over such changes of an input has less variance, and nearly the same expectation:
                 with D the variance of the difference between both, and b its mean over networks,
                 the weight w of the mean leaves V - w (2 - w) D of the variance V, and adds
                 w^2 b^2. Of n networks the best weight is D / (D + n b^2).

Of values, the first is the slope of the network's on the copies', and the second changes nothing.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from thalweg.atlas.draws import logit_normal
from thalweg.outputs import Outputs, softmax
from thalweg.seeds import generator

_INPUTS = 500  # on which the power is simulated
_DRAWS = 8
_POWERS = (0.5, 1.1)
_TEMPERATURES = (0.3, 4.0)
_ALIGNED = 0.05  # share of a network's error that looks like another sharpness
_TYPICAL = 0.3  # of the mean of u: inputs with less count as this
_COMMON = 0.6  # squared mean of the difference over its variance, as on tasks with augmentation


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the copies' mean is brought to the whole networks' sharpness.

    Attributes:
        power: The power of probabilities; of values it is the slope about `origin`.
        origin: The mean of values over unlabelled inputs `[outputs]`.
        simplex: Whether there are probabilities.
    """

    power: float
    origin: Tensor
    simplex: bool

    @staticmethod
    def of(outputs: Outputs, whole: Tensor, copies: Tensor, expected: float) -> "Calibration":
        """From mean values of unlabelled inputs.

        Args:
            outputs: The kind of predictions.
            whole: The whole networks' mean `[inputs, outputs]`.
            copies: The narrow copies' `[inputs, outputs]`.
            expected: The mean squared distance of both, summed over outputs, that their errors
                alone make.
        """
        from scipy.optimize import minimize_scalar  # here: it takes half a second

        plain = Calibration(1.0, copies.mean(0), outputs.simplex)

        def distance(power: float) -> float:
            made = replace(plain, power=power)(copies)
            return float((made - whole).square().sum(-1).mean())

        found = minimize_scalar(distance, bounds=_TEMPERATURES, method="bounded")
        moved = replace(plain, power=float(found.x))
        change = float((moved(copies) - copies).square().sum(-1).mean())
        kept = max(0.0, 1 - _ALIGNED * expected / change) if change > 0 else 0.0
        return replace(plain, power=moved.power**kept)

    def __call__(self, mean: Tensor) -> Tensor:
        """The calibrated mean values `[..., outputs]`."""
        if self.simplex:
            return powered(mean, self.power)
        return self.origin + self.power * (mean - self.origin)


def sharpness(centre: Tensor, u: Tensor, seed: int = 0) -> float:
    """The power of a centre's probabilities that makes it the best estimate of the mean of
    retrainings.

    Args:
        centre: Mean probabilities of unlabelled inputs `[inputs, classes]`.
        u: The standard uncertainty of this centre there `[inputs]`.
        seed: Seed of the simulation.
    """
    from scipy.optimize import minimize_scalar  # here: it takes half a second

    chosen = torch.arange(len(centre))[:: max(1, len(centre) // _INPUTS)]
    centre, u = centre[chosen], u[chosen]
    noise = torch.randn(
        _DRAWS, *centre.shape, generator=generator(seed, "atlas", "power"), dtype=torch.float64
    )
    power = 1.0
    for _ in range(2):
        mean = powered(centre, power)
        single = logit_normal(mean, u, noise).exp()

        def error(power: float, mean: Tensor = mean, single: Tensor = single) -> float:
            return float((powered(single, power) - mean).square().sum(-1).mean())

        power = float(minimize_scalar(error, bounds=_POWERS, method="bounded").x)
    return power


def average_weight(apart: Tensor, networks: float, u: Tensor) -> tuple[float, float]:
    """The weight of the means over augmentations, and what it takes from a network's variance, over
    that variance.

    Inputs count in units of their u, nearly: squares alone would look at few of them, and at most
    inputs u is small, where a small bias matters. For the same reason half of the best weight is
    taken, which was chosen on six tasks.

    Args:
        apart: These means less the plain values, of unlabelled inputs `[networks, inputs,
            outputs]`.
        networks: How many whole networks these are worth as a centre.
        u: Standard uncertainties `[inputs]`.
    """
    unit = (u.square() + (_TYPICAL * u.mean()).square()).sqrt()
    apart = apart / unit.clamp_min(1e-300).sqrt()[:, None]
    square = float(apart.square().sum(-1).mean())
    if not square:
        return 0.0, 0.0
    if len(apart) > 1:
        common = float(apart.mean(0).square().sum(-1).mean())
        scatter = float(apart.var(0).sum(-1).mean())
        bias = max(0.0, common - scatter / len(apart))
    else:
        scatter, bias = square / (1 + _COMMON), square * _COMMON / (1 + _COMMON)
    weight = scatter / (scatter + networks * bias) / 2
    gained = weight * (2 - weight) * scatter - networks * weight**2 * bias
    return weight, max(0.0, gained / float((u.square() / unit).mean()))


def powered(p: Tensor, power: float) -> Tensor:
    """Probabilities to a power, which sum to one again."""
    return softmax(power * p.clamp_min(1e-12).log())


def pooled(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """The logarithmic pool of probabilities `[inputs, classes]`, the second with a weight: a
    geometric mean, which sums to one again.
    """
    one, other = (p.clamp_min(1e-12).log() for p in (first, second))
    return softmax(torch.lerp(one, other, weight))
