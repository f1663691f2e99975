"""Slow, obviously right twins of the metrics: for-loops in float64."""

import math

import numpy as np
import scipy.optimize


def retraining_gap(q, p):
    """gap, fair gap of members `[members, inputs, classes]` and retrainings `[retrainings, inputs,
    classes]`.
    """
    members, retrainings, inputs = len(q), len(p), q.shape[1]
    across = np.mean(
        [
            np.linalg.norm(q[s, n] - p[r, n])
            for s in range(members)
            for r in range(retrainings)
            for n in range(inputs)
        ]
    )
    pairs = [(s, t) for s in range(members) for t in range(members)]
    within = np.mean([np.linalg.norm(q[s, n] - q[t, n]) for s, t in pairs for n in range(inputs)])
    different = [(s, t) for s, t in pairs if s != t]
    fair = (
        np.mean([np.linalg.norm(q[s, n] - q[t, n]) for s, t in different for n in range(inputs)])
        if different
        else math.nan
    )
    d = spacing(p)
    return tuple((across - w / 2 - d / 2) / (d / 2) for w in (within, fair))


def spacing(p, weights=None):
    """D; with weights, each pair counts by the product of its retrainings' weights."""
    weights = np.ones(len(p)) if weights is None else weights
    total = mass = 0.0
    for r in range(len(p)):
        for t in range(len(p)):
            if r != t:
                total += (
                    weights[r]
                    * weights[t]
                    * np.mean([np.linalg.norm(p[r, n] - p[t, n]) for n in range(p.shape[1])])
                )
                mass += weights[r] * weights[t]
    return total / mass


def u(p, weights=None):
    """Standard uncertainty `[inputs]`, from pairs: half the mean squared distance of two different
    members.
    """
    weights = np.ones(len(p)) if weights is None else weights
    result = []
    for n in range(p.shape[1]):
        pairs = [(r, t) for r in range(len(p)) for t in range(len(p)) if r != t]
        mass = sum(weights[r] * weights[t] for r, t in pairs)
        square = (
            sum(weights[r] * weights[t] * ((p[r, n] - p[t, n]) ** 2).sum() for r, t in pairs) / 2
        )
        result.append(math.sqrt(square / mass) if mass else 0.0)
    return np.array(result)


def calibrated_nll(log_mean, labels, halvings):
    """Cross-fitted NLL `[inputs]`; `halvings` are pairs of index arrays."""
    total = np.zeros(len(labels))

    def nll(temperature, index):
        z = log_mean[index] / temperature
        return np.array(
            [
                np.log(np.exp(row - row.max()).sum()) + row.max() - row[y]
                for row, y in zip(z, labels[index], strict=True)
            ]
        )

    for first, second in halvings:
        for fitted, held in ((first, second), (second, first)):
            found = scipy.optimize.minimize_scalar(
                lambda t, fitted=fitted: nll(math.exp(t), fitted).mean(),
                bounds=(-4, 4),
                method="bounded",
                options={"xatol": 1e-10},
            )
            total[held] += nll(math.exp(found.x), held)
    return total / len(halvings)


def ece(confidence, right, bins):
    """Expected calibration error with bins of equal mass, of inputs in any order (a multiple of the
    bins).
    """
    order = np.argsort(confidence, kind="stable")
    total = 0.0
    for part in np.array_split(order, bins):
        total += len(part) / len(order) * abs(right[part].mean() - confidence[part].mean())
    return total


def disagreement(answers):
    """Share of pairs of different members that answer differently, mean over inputs; `[members,
    inputs]`.
    """
    members = len(answers)
    pairs = [(s, t) for s in range(members) for t in range(members) if s != t]
    return np.mean([answers[s] != answers[t] for s, t in pairs]) if pairs else 0.0


def coverage(q, p, least=0.01):
    """Share of `p[r, n, c]` inside the central 95 % of `q[:, n, c]`, where the mean of `p[:, n, c]`
    is above `least`.
    """
    hits = []
    for n in range(p.shape[1]):
        for c in range(p.shape[2]):
            if p[:, n, c].mean() > least:
                low, high = np.quantile(q[:, n, c], [0.025, 0.975])
                hits += [low <= p[r, n, c] <= high for r in range(len(p))]
    return np.mean(hits)


def deep_ensemble_equivalent(value, sizes, curve):
    """Smallest size whose curve (falling, linear between points) is at the value or below."""
    best = list(np.minimum.accumulate(curve))
    if best[0] <= value:
        return sizes[0]
    for (k, a), (m, b) in zip(
        zip(sizes, best, strict=True), zip(sizes[1:], best[1:], strict=False), strict=False
    ):
        if b <= value:
            return k + (a - value) / (a - b) * (m - k)
    return math.inf
