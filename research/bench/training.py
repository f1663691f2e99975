"""One training, and explorers that cost one: against the plain loop."""

from dataclasses import replace

from research.bench import floor
from research.bench.cases import CASES, QUICK
from research.bench.measure import Settings, interleaved, ratios
from thalweg.data.augmentation import Augmentation
from thalweg.explorers.learned_simplex import LearnedSimplex
from thalweg.explorers.spro import SPRO
from thalweg.explorers.swag import SWAG
from thalweg.meter import Cost
from thalweg.weights.point import Weights

SLOWEST = "cifar-wrn16-4"


def _cases(settings: Settings, without: str = "") -> dict:
    return {
        name: case for name, case in (QUICK if settings.quick else CASES).items() if name != without
    }


def training(settings: Settings) -> list[dict]:
    """One training by `Problem.fit` against the plain loop (target 1.05)."""
    rows = []
    for name, case in _cases(settings).items():
        problem = case.problem(device=settings.device)

        def thalweg(problem=problem) -> None:
            problem.fit(problem.build("bench"), problem.recipe, "bench")

        alternatives = {
            "plain": case.plain(settings.device),
            "thalweg": thalweg,
            "plain, fused optimiser": case.plain(settings.device, fused=True),
        }
        if not case.mlp:
            alternatives["plain, channels-last"] = case.plain(settings.device, channels_last=True)
            alternatives["plain, both"] = case.plain(
                settings.device, channels_last=True, fused=True
            )
        rows += ratios(name, interleaved(alternatives, settings), "plain", {"thalweg": 1.05})
    return rows + _augmented(settings)


def _augmented(settings: Settings) -> list[dict]:
    """Crops and mirrors of whole batches on both sides, as CIFAR is trained."""
    name = "mnist-cnn" if settings.quick else "cifar-resnet20"
    case = _cases(settings)[name]
    problem = case.problem(device=settings.device)
    problem = replace(problem, train_loader=replace(problem.train_loader, augment=Augmentation()))
    alternatives = {
        "plain": case.plain(settings.device, augment=floor.augment),
        "thalweg": lambda: problem.fit(problem.build("bench"), problem.recipe, "bench"),
        "plain, both": case.plain(
            settings.device, augment=floor.augment, channels_last=True, fused=True
        ),
    }
    return ratios(
        f"{name}, augmented", interleaved(alternatives, settings), "plain", {"thalweg": 1.05}
    )


def simplex(settings: Settings) -> list[dict]:
    """A learned simplex of three vertices against plain training of the network (target 1.10)."""
    rows = []
    for name, case in _cases(settings).items():
        problem = case.problem(device=settings.device)
        alternatives = {
            "plain": case.plain(settings.device),
            "learned simplex": lambda problem=problem: LearnedSimplex().explore(problem),
        }
        if not case.mlp:  # what three vertices cost beside the gain of channels-last
            alternatives["plain, channels-last"] = case.plain(settings.device, channels_last=True)
        if name != SLOWEST:
            alternatives["mixing alone (beta = 0)"] = lambda problem=problem: LearnedSimplex(
                beta=0.0
            ).explore(problem)
        rows += ratios(
            name,
            interleaved(alternatives, settings),
            "plain",
            {"learned simplex": 1.10} if case.target else {},
        )
    return rows


def spro(settings: Settings) -> list[dict]:
    """A SPRO vertex, five draws a step, against as many plain steps of five evaluations."""
    rows = []
    for name, case in _cases(settings, without=SLOWEST).items():
        problem = case.problem(device=settings.device)
        problem.keep(
            0, Weights.of(problem.build("anchor", 0)), Cost()
        )  # untrained: how fast it is does not depend on that
        share = max(1 / 5, 2 / problem.recipe.steps(len(problem.train_loader)))
        short = replace(case, epochs=case.epochs * share)
        explorer = SPRO(vertices=1, share=share)
        alternatives = {
            "plain, five evaluations a step": short.plain(settings.device, evaluations=5),
            "SPRO vertex": lambda problem=problem, explorer=explorer: explorer.explore(problem),
        }
        rows += ratios(
            name, interleaved(alternatives, settings), "plain, five evaluations a step", {}
        )
    return rows


def swag(settings: Settings) -> list[dict]:
    """SWAG (20 iterates, rank 20) against plain training of the same epochs."""
    rows = []
    for name, case in _cases(settings, without=SLOWEST).items():
        problem = case.problem(device=settings.device)
        alternatives = {
            "plain": case.plain(settings.device),
            "SWAG": lambda problem=problem: SWAG().explore(problem),
        }
        rows += ratios(name, interleaved(alternatives, settings), "plain", {})
    return rows
