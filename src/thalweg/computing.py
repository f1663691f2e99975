"""Computing a method: from a problem and sets of inputs to predictions, and what they rest on."""

from dataclasses import replace

from thalweg.asking import CALIBRATION, Computed, ask, check_sets
from thalweg.method import Method
from thalweg.narrow.training import MakeNetwork
from thalweg.observing import Inputs, RecordStore
from thalweg.training.problem import Problem


def compute(
    method: Method,
    problem: Problem,
    inputs: Inputs,
    *,
    calibration: str = CALIBRATION,
    draws: int = 30,
    emulator_draws: int = 100,
    seed: int = 0,
    narrow_model: MakeNetwork | None = None,
    layer: str | None = None,
    check: bool = False,
    store: RecordStore | None = None,
) -> Computed:
    """Trains what a method needs, and predicts with it.

    Args:
        method: What to compute.
        problem: Network, training set and recipe.
        inputs: Sets of inputs by name, each as `predict` takes them.
        calibration: The name of the set that emulators learn from: inputs like those asked about
            that were not trained on. All others are asked about.
        draws: How many networks to draw where the method finds a distribution.
        emulator_draws: How many retrainings an emulator draws.
        seed: Seed of all draws, and of random changes of inputs.
        narrow_model: Makes a narrow network, where it can't be made from the graph of the whole
            one.
        layer: The layer whose output are the features, for networks that don't end with a linear
            layer.
        check: Whether to check that networks and narrow copies are alike.
        store: Where it is kept what networks say; None for nowhere.

    Returns:
        Predictions by set that is asked about, with their cost.

    Raises:
        InputError: Settings, network and inputs do not fit each other.
        Diverged: The loss of a training became infinite.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from thalweg.emulators.neighbours import Neighbours
        >>> from thalweg.explorers.deep_ensemble import DeepEnsemble
        >>> from thalweg.training.batches import Batches
        >>> from thalweg.training.recipe import Recipe
        >>> x = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> train = Batches(x, x[:, :3].argmax(1), size=20)
        >>> problem = Problem(lambda: nn.Linear(4, 3), train, Recipe(epochs=1))
        >>> method = Method(DeepEnsemble(members=2), emulator=Neighbours(neighbours=10))
        >>> inputs = {"calibration": x[:60] + 0.1, "test": x[60:] + 0.1}
        >>> computed = compute(method, problem, inputs, emulator_draws=50)
        >>> computed.predictions["test"].log_probs.shape, computed.cost.trainings
        (torch.Size([50, 40, 3]), 2.0)
    """
    check_sets(method, inputs, calibration)
    with problem.measured() as spent:
        trained = method.train(problem, draws=draws, seed=seed, narrow_model=narrow_model)
        computed = ask(
            method,
            trained,
            inputs,
            calibration=calibration,
            draws=emulator_draws,
            seed=seed,
            layer=layer,
            check=check,
            store=store,
        )
    return replace(computed, cost=spent.cost)
