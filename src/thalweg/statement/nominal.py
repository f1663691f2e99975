"""Nominal properties: how a probability mass function over classes is concentrated.

A class is no number and has no standard uncertainty; indices of its probability mass function take
that place (Bilson et al. 2025, arXiv 2504.03359). Each is that of the mean prediction, and has the
standard deviation over trainings of the same index of one training beside it. Of C classes with
probabilities p:

    iqv         index of qualitative variation, C / (C - 1) (1 - sum p^2): 0 to 1
    cnv         coefficient of nominal variation, 1 - sqrt(1 - iqv): 0 to 1 (Kvalseth 1995)
    entropy     Shannon's, - sum p log p, in nats: 0 to log C
    evenness    entropy / log C: 0 to 1
    vr          variation ratio, 1 - max p: 0 to 1 - 1 / C (Freeman 1965)
    mutual_information   the entropy of the mean less the mean entropy, in nats: what trainings
                         disagree on; it has no value for one training
    disagreement         the share of trainings whose most probable class is not that of the mean

`iqv` and `cnv` are functions of each other; both are there because both are used.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

INDICES = ("iqv", "cnv", "entropy", "evenness", "vr")


@dataclass(frozen=True, eq=False)
class Nominal:
    """Indices of the probability mass function of each input.

    Attributes:
        value: Of the mean prediction, by name `[inputs]`.
        u: The standard deviation over trainings, by name `[inputs]`.
        mutual_information: In nats `[inputs]`.
        disagreement: A share `[inputs]`.

    Example:
        >>> p = torch.tensor([[[1.0, 0.0]], [[0.5, 0.5]]], dtype=torch.float64)
        >>> found = nominal(p)
        >>> round(float(found.value["iqv"]), 4), round(float(found.u["iqv"]), 4)
        (0.75, 0.7071)
    """

    value: dict[str, Tensor]
    u: dict[str, Tensor]
    mutual_information: Tensor
    disagreement: Tensor


def nominal(probabilities: Tensor, mean: Tensor | None = None) -> Nominal:
    """The indices of members' probabilities `[members, inputs, classes]`.

    Args:
        probabilities: Of each training, or of each draw of one.
        mean: Their mean `[inputs, classes]`, where it is known better.
    """
    p = probabilities.double()
    mean = p.mean(0) if mean is None else mean.double()
    whole, single = indices(mean), indices(p)
    spread = {name: own.std(0) for name, own in single.items()}
    shared = (indices(p.mean(0))["entropy"] - single["entropy"].mean(0)).clamp_min(0)
    answers = mean.argmax(-1)
    apart = (p.argmax(-1) != answers).double().mean(0)
    return Nominal(whole, spread, shared, apart)


def indices(p: Tensor) -> dict[str, Tensor]:
    """The indices of probability mass functions `[..., classes]`, by name `[...]`.

    Example:
        >>> {k: round(float(v), 4) for k, v in indices(torch.tensor([0.5, 0.5])).items()}
        {'iqv': 1.0, 'cnv': 1.0, 'entropy': 0.6931, 'evenness': 1.0, 'vr': 0.5}
    """
    classes = p.shape[-1]
    ranked = p.sort(-1, descending=True).values
    rest = ranked[..., 1:].sum(-1)  # 1 - max p, exact where max p is nearly 1
    impurity = ranked[..., 0] * rest + (ranked[..., 1:] * (1 - ranked[..., 1:])).sum(-1)
    iqv = (impurity * classes / (classes - 1)).clamp(0, 1)
    entropy = torch.special.entr(p).sum(-1)
    return {
        "iqv": iqv,
        "cnv": 1 - (1 - iqv).sqrt(),
        "entropy": entropy,
        "evenness": entropy / math.log(classes),
        "vr": rest,
    }
