"""Fine-tuned networks: what a budget buys where retrainings start from the same pre-trained
weights.

Narrow copies do not exist there: nobody pre-trained them. `docs/finetuning.md` shows what is worth
its cost instead, on small tasks.
"""

from thalweg.emulators.base import Emulator
from thalweg.errors import InputError
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.explorers.fge import FGE
from thalweg.method import Method
from thalweg.training.problem import Problem

# of the numbers in weight matrices: an embedding of places by sines is no pre-training
MOST_OF = 0.5
# of cycles, in trainings: those of a whole one led too far on one of the tasks
LONGEST = 0.5


def pre_trained(problem: Problem) -> str | None:
    """The name of a weight that is the same in all new networks, where that holds of most of their
    numbers: a factory that loads weights is noticed. None otherwise.

    Example:
        >>> import torch
        >>> from thalweg import Batches, Recipe
        >>> stored = torch.nn.Linear(3, 8).state_dict()
        >>> def network():
        ...     body = torch.nn.Linear(3, 8)
        ...     body.load_state_dict(stored)
        ...     return torch.nn.Sequential(body, torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> data = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> pre_trained(Problem(network, data, Recipe(epochs=1)))
        '0.weight'
    """
    stored = () if problem.inspection is None else problem.inspection.stored
    if not stored:
        return None
    sizes = {n: p.numel() for n, p in problem.build("network").named_parameters() if p.dim() > 1}
    share = sum(sizes[name] for name in stored) / sum(sizes.values())
    return stored[0] if share >= MOST_OF else None


def fine_tunings(problem: Problem, anchors: int, budget: float, emulator: Emulator) -> Method:
    """Returns what was best for its cost on the tasks of `docs/finetuning.md`: a further
    fine-tuning for each whole training of the budget; where it has less than one, members along
    cycles of the learning rate from the network that is there, in half a training at most.

    Args:
        problem: Network, training set and recipe.
        anchors: How many fine-tunings to start from, the given network among them.
        budget: Fine-tunings to spend beyond them.
        emulator: What learns from the networks.

    Raises:
        InputError: The budget is too small for two members.
    """
    whole = anchors + int(budget)
    if whole > 1:
        return Method(DeepEnsemble(whole), emulator=emulator)
    problem.check_batches(FGE())
    share, training = min(budget, LONGEST), problem.recipe.epochs * len(problem.train_loader)
    least = 2 * FGE.cycles / training
    if share < least:
        raise InputError(
            f"budget got {budget:g}, which buys {share * training:.0f} steps along cycles of the "
            f"learning rate, needs {2 * FGE.cycles}: give {least if least <= LONGEST else 1:.2g} "
            "or more"
        )
    return Method(FGE(start="anchor", share=share), emulator=emulator)
