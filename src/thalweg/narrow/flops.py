"""The work of a network's evaluations, counted: what one costs beside one of another network."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from thalweg.errors import InputError
from thalweg.seeds import seeded
from thalweg.training.loop import both_ways
from thalweg.training.problem import Problem
from thalweg.trees import Inputs, described, moved


def flops(problem: Problem) -> float:
    """Floating point operations of evaluating a problem's network on two examples, with the
    backward pass. Nothing is metered.

    They are counted on tensors without numbers, torch's "meta" device: nothing is computed, so that
    a network that is only considered takes no time and can't fail in a kernel. One that needs
    numbers on its way is evaluated, with its weights in the order in which they were made. Where
    there are no operations that are counted, the parameters are.
    """
    x = problem.example
    with seeded(0, "flops"):
        network = problem.build("flops").to("meta")
        try:
            operations = _counted(network, moved(x, "meta"))
        except Exception:  # a user's network may raise anything where there are no numbers
            try:
                operations = _counted(_contiguous(problem.build("flops")), moved(x, problem.device))
            except (RuntimeError, ValueError, TypeError, IndexError) as error:
                message = " ".join(str(error).split())[:200]
                raise InputError(
                    "the network can't be evaluated with a backward pass on inputs of shape "
                    f"{described(x)}: {message}"
                ) from None
    return operations or sum(p.numel() for p in network.parameters())


def _contiguous(network: nn.Module) -> nn.Module:
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def _counted(network: nn.Module, x: Inputs) -> float:
    with FlopCounterMode(display=False) as counter:
        both_ways(network, x)
    return float(counter.get_total_flops())
