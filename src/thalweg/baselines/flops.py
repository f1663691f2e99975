"""The work of a network's evaluations, measured: what one costs beside one of another network."""

from torch.utils.flop_counter import FlopCounterMode

from thalweg.meter import Meter
from thalweg.seeds import seeded, seeded_loader
from thalweg.training.loop import train
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe


def flops(problem: Problem) -> float:
    """Floating point operations of evaluating a problem's network on two examples, with the backward pass. Nothing is metered."""
    loader = problem.batches("flops")
    with seeded(0, "flops"), seeded_loader(loader, 0, "flops"):
        x, y = next(iter(loader))
        network = problem.build("flops")
        with FlopCounterMode(display=False) as counter:
            train(network, [(x[:2], y[:2])], Recipe(epochs=1), Meter(), loss=problem.criterion)
    return counter.get_total_flops()
