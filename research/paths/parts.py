"""Members of a method whose centre, spread or directions are replaced by those of retrainings.

What a replaced part is worth says what that part falls short by. The retrainings are those of the
pool, which no method has seen, and which are not the ones that members are judged against.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from thalweg.atlas.draws import logit_normal
from thalweg.explorers._parts.targets import deviations
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.predictions import Predictions


class Parts:
    """Centre `[inputs, classes]`, u `[inputs]` and directions `[members, inputs, classes]` of some
    networks.
    """

    def __init__(self, networks: Predictions) -> None:
        """They are those of these networks `[members, inputs, classes]`, in double precision."""
        stored = networks.stored.double()
        p = stored.exp()
        self.centre, self.u = p.mean(0), p.var(0).sum(-1).sqrt()
        self.directions = deviations(stored.clamp_min(-30.0))

    def made(
        self,
        centre: Tensor | None = None,
        u: Tensor | None = None,
        directions: Tensor | None = None,
    ) -> Predictions:
        """Members with these parts, and with their own where none is given."""
        return Predictions(
            logit_normal(
                self.centre if centre is None else centre,
                self.u if u is None else u,
                self.directions if directions is None else directions,
            ).float()
        )


SWAPS: dict[str, Callable[[Parts, Parts], Predictions]] = {
    "own parts": lambda own, true: own.made(),
    "true centre": lambda own, true: own.made(centre=true.centre),
    "true u": lambda own, true: own.made(u=true.u),
    "true mean u": lambda own, true: own.made(u=own.u * (true.u.mean() / own.u.mean())),
    "true directions": lambda own, true: own.made(
        directions=true.directions[: len(own.directions)]
    ),
    "true centre and u": lambda own, true: own.made(centre=true.centre, u=true.u),
}


def measured(
    truth: Truth, bases: list[Predictions], pool: Predictions
) -> dict[str, dict[str, list[float]]]:
    """K_eq and K_u, each with its interval, of a method's members as they are, and with each part
    replaced.

    Args:
        truth: What they are judged against.
        bases: The members from each base `[members, inputs, classes]`.
        pool: The retrainings whose parts are taken.
    """
    true = Parts(pool)
    rows = {"as they are": bases}
    for name, swap in SWAPS.items():
        rows[name] = [swap(Parts(members), true) for members in bases]
    result = {}
    for name, made in rows.items():
        estimates = evaluate(truth, made)
        result[name] = {
            metric: [estimates[metric].value, estimates[metric].low, estimates[metric].high]
            for metric in ("k_eq", "k_u")
        }
    error = torch.stack([_centre_error(members, truth, pool) for members in bases]).mean()
    return result | {"centre": {"error": [float(error)]}}


def _centre_error(members: Predictions, truth: Truth, pool: Predictions) -> Tensor:
    """The squared error of the members' mean over the variance of a retraining, both summed over
    inputs and classes; the chance that is in the mean of the retrainings is taken away.
    """
    true = torch.cat([truth.reference.stored, pool.stored]).double().exp()
    variance = true.var(0).sum()
    apart = (members.stored.double().exp().mean(0) - true.mean(0)).square().sum()
    return apart / variance - 1 / len(true)
