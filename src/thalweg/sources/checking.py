"""Whether a recipe has the sources that shall be told apart, and whether they can be: found before
anything is trained.
"""

from typing import Any

from thalweg.errors import InputError
from thalweg.seeds import generator, seeded
from thalweg.sources.design import JOINT, Design
from thalweg.training.batches import Batches
from thalweg.training.function import NOTHING, seeds_of
from thalweg.training.problem import Problem
from thalweg.trees import equal, taken

_EXAMPLES = 64  # that the augmentation is tried on
WITH_ORDER = ("order", "augmentation")


def present(problem: Problem) -> tuple[str, ...]:
    """Returns the factors of a problem: what its retrainings draw anew and a design can vary,
    together where it can't be told apart.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from thalweg import Batches, Recipe
        >>> train = Batches(torch.randn(20, 3), torch.arange(20) % 2, size=10)
        >>> present(Problem(lambda: nn.Linear(3, 2), train, Recipe(epochs=1)))
        ('init', 'order')
    """
    drawn: list[str] = [name for name in problem.sources if absence(problem, name) is None]
    if _masks(problem) and "dropout" not in drawn:
        drawn.append("dropout")
    together = tuple(name for name in WITH_ORDER if name in drawn)
    if together and not _tells_order(problem):
        drawn = [name for name in drawn if name not in together]
        drawn.append(JOINT.join(WITH_ORDER))
    return tuple(drawn)


def check(problem: Problem, design: Design) -> None:
    """Checks that the recipe has each factor of a design, and can vary it alone.

    Raises:
        InputError: It has not, or can't; or the problem has trained networks alone, or trains
            stacks, in which masks differ from those of single trainings.
    """
    if not problem.can_train:
        raise InputError(NOTHING)
    for factor in design.factors:
        _check_apart(problem, factor, design)
        for source in factor.split(JOINT):
            reason = absence(problem, source)
            if reason is not None:
                raise InputError(f"sources got {source!r}, but {reason}: leave it out{_do(source)}")
    if problem.execution.stack > 1 and problem.behaviour.random:
        raise InputError(
            f"execution.stack got {problem.execution.stack} with a network that draws masks, which "
            "are other ones in a stack, so that they can't be held: give Execution(stack=1)"
        )
    _check_augmentation(problem)


def _do(source: str) -> str:
    return {
        "init": ", or give a model that draws its weights",
        "order": ", or give shuffle=True and batches smaller than the training set",
        "augmentation": ", or give Batches(..., augment=...)",
        "dropout": ", or give a network with dropout",
        "data": ", or give thalweg.Batches",
    }[source]


def absence(problem: Problem, source: str) -> str | None:
    """Why a source changes nothing in a training; None where it does."""
    inspection, loader = problem.inspection, problem.train_loader
    redrawn = () if inspection is None else inspection.redrawn
    if source == "init":
        same = "model() gives the same weights after every seed (it loads them?)"
        return None if "init" in redrawn else same
    if problem.train is not None:
        return None  # what its seeds change only training tells
    if source == "data":
        return None if isinstance(loader, Batches) else "the loader can't be bootstrapped"
    if source == "dropout":
        return None if _masks(problem) else "the network draws no masks while it trains"
    if source not in redrawn:
        return {
            "order": "the training loader gives the same batches after every seed",
            "augmentation": "the training set has no augmentation",
        }[source]
    if source == "order" and isinstance(loader, Batches) and len(loader) == 1:
        return "the whole training set is one batch, and its order changes nothing but rounding"
    return None


def _masks(problem: Problem) -> bool:
    """Whether masks are a source of their own."""
    if problem.train is not None:
        return "dropout" in seeds_of(problem.train)
    return bool(problem.behaviour.random) and isinstance(problem.train_loader, Batches)


def _tells_order(problem: Problem) -> bool:
    """Whether the order of batches can be drawn anew without the augmentation."""
    if problem.train is not None:
        return "seed" not in seeds_of(problem.train)
    return isinstance(problem.train_loader, Batches)


def _check_apart(problem: Problem, factor: str, design: Design) -> None:
    sources = factor.split(JOINT)
    joint = JOINT.join(WITH_ORDER)
    if any(name in sources for name in WITH_ORDER) and not _tells_order(problem):
        if not all(name in sources for name in WITH_ORDER):
            whose = "a training function with one seed" if problem.train else "a loader of your own"
            raise InputError(
                f"sources got {factor!r} with {whose}, which can't tell order from augmentation: "
                f"name both together, as {joint!r}, or give "
                + ("train(module, order, augmentation)" if problem.train else "thalweg.Batches")
            )
        return
    if problem.train is None:
        return
    named = seeds_of(problem.train)
    missing = [name for name in sources if name not in ("init", *named)]
    if missing:
        raise InputError(
            f"sources got {missing[0]!r}, and train(module, {', '.join(named)}) takes no seed of "
            "that name: let it take one, and draw from it"
        )


def _check_augmentation(problem: Problem) -> None:
    """Tries the augmentation on some examples.

    Raises:
        InputError: It draws from the global generators, which another source seeds.
    """
    loader = problem.train_loader
    if problem.train is not None or not isinstance(loader, Batches) or loader.augment is None:
        return
    x = taken(loader.inputs, slice(_EXAMPLES))
    x = x if loader.prepare is None else loader.prepare(x)
    one, again, other = (_tried(loader, x, *seeds) for seeds in _SEEDS)
    if not equal(one, again):
        raise InputError(
            "the augmentation draws from torch's, NumPy's or Python's own generator, which the "
            "order of batches or dropout seeds, so that they can't be told apart: let it draw from "
            "its second argument, a torch.Generator"
        )
    if equal(one, other):
        raise InputError(
            "the augmentation gives the same after every seed: let it draw from its second "
            "argument, a torch.Generator, or leave augment= out"
        )


_SEEDS = ((0, 0), (0, 1), (1, 0))  # of the augmentation, and of the global generators


def _tried(loader: Batches, x: Any, own: int, shared: int) -> Any:
    """An augmented batch, by the seed of the augmentation and that of the global generators."""
    with seeded(shared, "trial of augmentation"):
        return loader.augment(x.clone(), generator(own, "trial of augmentation"))  # type: ignore[misc]
