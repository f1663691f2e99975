"""Initial values of a narrower layer: those that its author's rule would have drawn.

The weights that are left of a layer have the standard deviation that they had; a rule that looks at
the number of inputs or outputs would have drawn others. Which rule it was is seen in the standard
deviations themselves.
"""

import math
from collections import Counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from thalweg.graph.axes import Axes

Rule = Literal["inputs", "outputs", "both", "constant"]
_GAINS: dict[Rule, tuple[float, ...]] = {
    "inputs": (1 / math.sqrt(3), math.sqrt(2), 1.0, 5 / 3),
    "constant": (0.02, 0.01, 0.1, 1.0, 0.05, 0.001),
    "both": (1.0, math.sqrt(2), 5 / 3),
    "outputs": (math.sqrt(2), 1.0),
}
"""Standard deviations of usual rules, in units of the root of the number that each looks at."""


def scales(network: nn.Module, axes: Axes, stays: NDArray[np.bool_]) -> dict[str, float]:
    """The factors by which what is left of parameters is multiplied, by name.

    Weights of recurrent layers are drawn by the number of their states, those of other layers by
    the number of their inputs, unless their standard deviation is that of another usual rule; a
    layer whose standard deviation is of no usual rule follows most of the others. A bias goes with
    its weight, unless it is drawn by the number of inputs, as torch's layers do.

    Args:
        network: The whole network, newly initialised.
        axes: Its axes.
        stays: Whether the channels of a label are kept.
    """
    tensors = dict(network.named_parameters())
    fewer = {
        name: len(fan) / max(int(stays[fan].sum()), 1)
        for name, fan in axes.fans.items()
        if name in tensors
    }
    rules = {name: rule(tensors[name], axes, name) for name in fewer}
    usual = Counter(found for found in rules.values() if found is not None)
    most: Rule = usual.most_common(1)[0][0] if usual else "inputs"
    result: dict[str, float] = {}
    for name, found in rules.items():
        result[name] = math.sqrt(_ratio(found or most, axes, name, fewer[name], stays))
    for prefix, module in network.named_modules():
        own = {
            key: f"{prefix}.{key}".lstrip(".") for key, _ in module.named_parameters(recurse=False)
        }
        if isinstance(module, nn.RNNBase | nn.RNNCellBase):
            cell = "weight_hh" if "weight_hh" in own else "weight_hh_l0"
            ratio = math.sqrt(fewer.get(own[cell], 1.0))
            result |= dict.fromkeys(own.values(), ratio)
        elif own.get("weight") in result and own.get("bias") in tensors:
            weight = own["weight"]
            usual_bias = 1 / math.sqrt(3 * _numbers(axes, weight)["inputs"])
            follows = _near(tensors[own["bias"]], usual_bias)
            result[own["bias"]] = math.sqrt(fewer[weight]) if follows else result[weight]
    return {
        name: factor
        for name, factor in result.items()
        if tensors[name].numel() == 1 or bool((tensors[name] != tensors[name].flatten()[0]).any())
    }  # constants stay


def rule(weight: Tensor, axes: Axes, name: str) -> Rule | None:
    """The usual rule by which a weight was drawn, as its standard deviation tells; None for no
    such rule.

    Args:
        weight: The weight, newly initialised.
        axes: The network's axes.
        name: The weight's name.
    """
    numbers = _numbers(axes, name)
    if weight.numel() < 2 or not weight.is_floating_point():
        return None
    for kind, gains in _GAINS.items():
        if any(_near(weight, gain / math.sqrt(numbers[kind])) for gain in gains):
            return kind
    return None


def _near(tensor: Tensor, expected: float) -> bool:
    """Whether a standard deviation is the expected one, but for chance."""
    found = float(tensor.detach().double().std(correction=0))
    return abs(found / expected - 1) < 2.5 / math.sqrt(tensor.numel())


def _numbers(axes: Axes, name: str) -> dict[Rule, float]:
    """What each rule looks at: the number of inputs, of outputs, the mean of both, nothing."""
    along, inputs = axes.named[name], axes.fans[name]
    inside = math.prod(len(labels) for labels in along[2:])
    total = math.prod(len(labels) for labels in along[:2])
    fan_in, fan_out = len(inputs) * inside, total / len(inputs) * inside
    return {"inputs": fan_in, "outputs": fan_out, "both": (fan_in + fan_out) / 2, "constant": 1}


def _ratio(kind: Rule, axes: Axes, name: str, fewer: float, stays: NDArray[np.bool_]) -> float:
    """How much fewer there are of what a rule looks at."""
    along = axes.named[name]
    left = math.prod(int(stays[labels].sum()) for labels in along[:2])
    outputs = math.prod(len(labels) for labels in along[:2]) / max(left, 1) / fewer
    if kind == "both":
        numbers = _numbers(axes, name)
        after = numbers["inputs"] / fewer + numbers["outputs"] / outputs
        return (numbers["inputs"] + numbers["outputs"]) / after
    return {"inputs": fewer, "outputs": outputs, "constant": 1.0}[kind]
