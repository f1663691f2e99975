"""The look at network and training set when a problem is made."""

from research.bench.cases import CASES, QUICK
from research.bench.measure import Settings, interleaved, ratios
from thalweg.training.inspection import inspect
from thalweg.training.recipe import Recipe

STEPS = 10


def looking(settings: Settings) -> list[dict]:
    """The look at a network and its training set, before anything is trained, against ten steps
    (target 1).
    """
    rows = []
    for name, case in (QUICK if settings.quick else CASES).items():
        problem = case.problem(device=settings.device)
        recipe = Recipe(epochs=STEPS / len(problem.train_loader))

        def steps(problem=problem, recipe=recipe) -> None:
            problem.fit(problem.build("steps"), recipe, "steps")

        def look(problem=problem) -> None:
            inspect(problem.model, problem.train_loader, problem.device, recipe=problem.recipe)

        rows += ratios(
            name,
            interleaved({"ten steps": steps, "look": look}, settings),
            "ten steps",
            {"look": 1.0},
        )
    return rows
