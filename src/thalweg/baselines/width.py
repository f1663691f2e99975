"""The law of width: how retrainings of a narrow network relate to those of the whole one, as measured.

For networks with a share s of the hidden channels, trained by the same recipe (Fashion-MNIST, an MLP and a CNN with batch norm,
s = 1/2, 0.35, 1/4; `python -m ideas` measures the last two lines again):

    u_s = u s^(-1/4)             standard uncertainty over retrainings: 1.19, 1.30, 1.41 for the three shares
    v_s = s^(-1/2)               variance over retrainings, in those of the whole network (measured 1.3-1.4, 1.5, 1.7-1.8)
    b_s^2 = 0.04 (1/s - 1)^2     squared distance of the means, in that unit: 0.04, 0.14, 0.36 (measured 0.06, 0.17-0.19, 0.41)

So a narrow network is a nearly unbiased witness of what a retraining would say, at a cost of about s^2, and a short run is not.
Geiger et al. (2020, arXiv 1901.01608) found as much of generalisation: with width, fluctuations fall and averages stay. The
constants were fixed on those two networks by other runs, and are used elsewhere as they are; `docs/ideas.md` has what they miss.
"""

import math

SHARES = (0.5, 0.35, 0.25)
_BIAS = 0.04


def spread(share: float) -> float:
    """Standard uncertainty over retrainings of a narrow network, over that of the whole one."""
    return float(share**-0.25)


def proxies_error(share: float, members: int) -> float:
    """Squared error of the mean of several narrow networks, in variances of a retraining."""
    return float(share**-0.5 / members + _BIAS * (1 / share - 1) ** 2)


def proxies_weight(share: float, members: int, anchors: int) -> float:
    """How much the proxies' mean counts beside the anchors', so that the error of both together is least."""
    own, theirs = 1 / anchors, proxies_error(share, members)
    return own / (own + theirs)


def centre_error(share: float, members: int, anchors: int) -> float:
    """Squared error of anchors' and proxies' means together, in variances of a retraining; 1 / anchors without proxies."""
    return 1 / (anchors + 1 / proxies_error(share, members)) if members else 1 / anchors


def bias_of_spread(members: int) -> float:
    """c4: the mean standard deviation of so many draws of a Gaussian, over its true one.

    Retrainings behave so where what moves between two classes is one number: on Fashion-MNIST deep ensembles of 2, 3 and 5 have
    0.80-0.81, 0.88-0.89 and 0.94-0.95 of the mean standard deviation of many; on CIFAR-10 two have 0.90 (`docs/ideas.md`).

    Example:
        >>> [round(bias_of_spread(n), 3) for n in (2, 3, 4, 5)]
        [0.798, 0.886, 0.921, 0.94]
    """
    return math.sqrt(2 / (members - 1)) * math.exp(math.lgamma(members / 2) - math.lgamma((members - 1) / 2))
