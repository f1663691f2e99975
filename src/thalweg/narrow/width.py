"""The law of width: how retrainings of a narrow network relate to those of the whole one, as
measured.

For networks of width ratio s (their hidden channels over those of the whole network), trained by
the same recipe (Fashion-MNIST, an MLP and a CNN with batch norm, s = 1/2, 0.35, 1/4; `python -m
research.ideas` measures the last two lines again), with r their mean impurity (1 - sum p^2) over
that of the whole network, which needs no labels and is the same in every retraining within a few
per cent:

    u_s = u r s^(-1/6)           mean standard uncertainty over retrainings: 1.16-1.19, 1.27-1.30,
                                 1.39-1.42 of u
    v_s = r s^(-1/3)             variance over retrainings, in those of the whole network: 1.3-1.4,
                                 1.5, 1.7-1.8
    b_s^2 = 0.04 (1/s - 1)^2     squared distance of the means, in that unit: 0.04, 0.14, 0.36
                                 (measured 0.06, 0.17-0.19, 0.41)
    r = s^(-1/12)                there, before anything is trained: 1.06, 1.09, 1.12 (measured 1.05,
                                 1.06-1.11, 1.09-1.20)

So a narrow network is a nearly unbiased witness of what a retraining would say, at a cost of about
s^2, and a short run is not. Geiger et al. (2020, arXiv 1901.01608) found as much of generalisation:
with width, fluctuations fall and averages stay. The constants were fixed on those two networks by
other runs, and are used elsewhere as they are; `docs/ideas.md` has what they miss.
"""

import math

WIDTH_RATIOS = (0.7, 0.5, 0.35, 0.25)
_BIAS = 0.04
_FEARED = 0.2


def impurity_before(width_ratio: float) -> float:
    """Returns the mean impurity of a narrow network over that of the whole one, as expected before
    either is trained.
    """
    return float(width_ratio ** (-1 / 12))


def spread(width_ratio: float, impurity: float) -> float:
    """Returns the mean standard uncertainty over retrainings of a narrow network, over that of the
    whole one.

    Args:
        width_ratio: The hidden channels of the narrow network over those of the whole one.
        impurity: The narrow network's mean impurity over that of the whole one.
    """
    return float(impurity * width_ratio ** (-1 / 6))


def variance(width_ratio: float, impurity: float) -> float:
    """Returns the variance over retrainings of a narrow network, over that of the whole one; the
    arguments are those of `spread`.
    """
    return float(impurity * width_ratio ** (-1 / 3))


def squared_bias(width_ratio: float) -> float:
    """Returns the squared distance between the mean of very many narrow networks and that of whole
    ones, in variances of a retraining.
    """
    return _BIAS * (1 / width_ratio - 1) ** 2


def feared_error(width_ratio: float, members: int) -> float:
    """Returns the squared error to expect of the mean of several narrow networks before they are
    trained, in variances of a retraining.

    It serves to choose a width ratio, and assumes five times the law's bias: that is halfway to
    what CIFAR-10 has, where a ResNet-8 in 15 epochs is far from converged and narrow ones are
    farther. Where the bias is smaller, networks that are wider than the best ones cost little.
    """
    scatter = variance(width_ratio, impurity_before(width_ratio))
    return scatter / members + _FEARED / _BIAS * squared_bias(width_ratio)


def together(first: float, second: float) -> tuple[float, float]:
    """Returns the weight of the second of two means whose errors are independent, for the least
    squared error of the weighted mean, and that error.

    Args:
        first: The squared error of the first mean.
        second: That of the second.
    """
    return first / (first + second), first * second / (first + second)


def bias_of_spread(members: int, dimensions: float = 1.0) -> float:
    """Returns c4, the mean standard deviation of a number of Gaussian draws over the true one.

    Where probability moves between many classes, the squares of several dimensions add up to one
    deviation, which is biased less. Its degrees of freedom are (members - 1) x the root of their
    number: retrainings have heavier tails than a Gaussian, and that takes back a part. On two tasks
    of Fashion-MNIST deep ensembles of 2, 3 and 5 have 0.80-0.82, 0.87-0.89 and 0.93-0.94 of the
    mean standard deviation of many (1.67 dimensions), on CIFAR-10 0.89, 0.94 and 0.97 (3.24): this
    is within 5 % of them.

    Args:
        members: How many draws there are, two or more.
        dimensions: In how many directions of like variance they differ.

    Example:
        >>> [round(bias_of_spread(n), 3) for n in (2, 3, 4, 5)]
        [0.798, 0.886, 0.921, 0.94]
        >>> [round(bias_of_spread(n, 1.67), 3) for n in (2, 3, 5)]
        [0.835, 0.91, 0.953]
    """
    freedom = (members - 1) * math.sqrt(dimensions)
    return math.sqrt(2 / freedom) * math.exp(
        math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    )
