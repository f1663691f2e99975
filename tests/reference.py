"""Slow, obviously right twins in float64."""

import math

import numpy as np
import scipy.linalg
import scipy.special


def bernstein(t: np.ndarray, vertices: int) -> np.ndarray:
    """Bernstein polynomials `[n, vertices]`."""
    degree = vertices - 1
    return np.array(
        [
            [
                scipy.special.binom(degree, k) * s**k * (1 - s) ** (degree - k)
                for k in range(vertices)
            ]
            for s in t
        ]
    )


def cayley_menger_log_squared_volume(points: np.ndarray) -> float:
    """log V^2 of the simplex with vertices `[k + 1, n_params]`, from pairwise distances."""
    k = len(points) - 1
    bordered = np.ones((k + 2, k + 2))
    bordered[0, 0] = 0
    for i in range(k + 1):
        for j in range(k + 1):
            bordered[i + 1, j + 1] = ((points[i] - points[j]) ** 2).sum()
    return math.log((-1) ** (k + 1) / (2**k * math.factorial(k) ** 2) * np.linalg.det(bordered))


def learning_rate(step, steps, lr, final_lr, schedule, warmup):
    """A recipe's learning rate, as its documentation says it."""
    if step < warmup * steps:
        return lr * (step + 1) / (warmup * steps + 1)
    part = (step - warmup * steps) / max(1, steps - warmup * steps)
    if schedule == "constant":
        return lr
    if schedule == "linear":
        return lr + part * (final_lr - lr)
    return final_lr + (lr - final_lr) * (1 + math.cos(math.pi * part)) / 2


def batchnorm_statistics(batches: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance `[features]` of inputs `[batch, features]`: batches' own ones, weighted
    with their examples.
    """
    n = sum(len(b) for b in batches)
    return sum(len(b) * b.mean(0) for b in batches) / n, sum(
        len(b) * b.var(0, ddof=1) for b in batches
    ) / n


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def neighbours_u(calibration: np.ndarray, anchors: np.ndarray, neighbours: int) -> np.ndarray:
    """u `[inputs]` of the neighbour emulator, from log-probabilities `[anchors, inputs, classes]`,
    one input after the other.
    """
    k = len(anchors)
    calibration = calibration - calibration.mean(-1, keepdims=True)
    anchors = anchors - anchors.mean(-1, keepdims=True)
    found = []
    for i in range(anchors.shape[1]):
        mean = anchors[:, i].mean(0)
        distances = [
            np.sqrt(((calibration[:, j].mean(0) - mean) ** 2).sum())
            for j in range(calibration.shape[1])
        ]
        probs = []
        for j in np.argsort(distances, kind="stable")[:neighbours]:
            for a in range(k):
                residual = (calibration[a, j] - calibration[:, j].mean(0)) * math.sqrt(k / (k - 1))
                probs.append(softmax(mean + residual))
        found.append(math.sqrt(np.var(probs, axis=0).sum()))
    return np.array(found)


def triangle(step, cycle, high, low):
    """Learning rate of fast geometric ensembling (Garipov et al. 2018): down in the first half of a
    cycle, up in the second.
    """
    t = (step % cycle) / cycle
    return (1 - 2 * t) * high + 2 * t * low if t <= 0.5 else (2 - 2 * t) * low + (2 * t - 1) * high


def annealing(step, cycle, peak):
    """Learning rate of snapshot ensembles and cyclical SGMCMC (Huang et al. 2017, eq. 2; Zhang et
    al. 2020, eq. 1).
    """
    return peak / 2 * (math.cos(math.pi * (step % cycle) / cycle) + 1)


def sgd_covariance(curvature: np.ndarray, lr: float, momentum: float, noise: float) -> np.ndarray:
    """Stationary covariance of SGD on 1/2 x' A x, whose gradients have independent noise of a
    variance; small steps or not.
    """
    n = len(curvature)
    one = np.eye(n)
    # v <- m v + A x + n, x <- x - lr v, as one linear map of (x, v)
    step = np.block([[one - lr * curvature, -lr * momentum * one], [curvature, momentum * one]])
    into = np.vstack([-lr * one, one])
    return scipy.linalg.solve_discrete_lyapunov(step, noise * into @ into.T)[:n, :n]
