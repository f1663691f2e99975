"""What the forest's features cost in forward work, and what is lost with less: `python -m ideas.forward studies/NAME.toml ...`.

One network and narrow ones for a budget of 1, as `quantify` has them. Each variant of the features is measured on the same
networks, and printed as a row: total cost in trainings, K_u and K_eq with 95 % intervals.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from thalweg.baselines.narrow_ensemble import NarrowEnsemble, narrow_problem, relative_cost, train_narrow
from thalweg.emulators.evidence import Evidence
from thalweg.emulators.forest import Forest
from thalweg.errors import InputError
from thalweg.features import Geometry, training_neighbours
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.retraining import distances, retraining_equivalents, spacing
from thalweg.metrics.uncertainty import ReferenceU, u_curve, uncertainty_equivalents
from thalweg.prediction import Predictions, predict
from thalweg.study.material import Material
from thalweg.study.plan import read_plan
from thalweg.study.store import Store
from thalweg.training.problem import Problem
from thalweg.training.together import anchors
from thalweg.weights.distribution import Members

FOUR = ((0, 1), (0, -1), (1, 0), (-1, 0))
ALL = sys.maxsize
DRAWS = 30


@dataclass(frozen=True)
class Variant:
    """A way to have features.

    Attributes:
        examples: Training inputs that each network evaluates.
        shifts: Of images, for each network.
        anchors: Only the anchor is looked at; the narrow networks are given its features.
        none: There are no features.
    """

    examples: int = ALL
    shifts: tuple[tuple[int, int], ...] = FOUR
    anchors: bool = False
    none: bool = False


VARIANTS = {
    "all training inputs, 4 shifts": Variant(),
    "all, 2 shifts": Variant(shifts=((0, 1), (1, 0))),
    "all, 1 shift": Variant(shifts=((1, 1),)),
    "all, no shift": Variant(shifts=()),
    "2,000 training inputs, 1 shift": Variant(2000, ((1, 1),)),
    "anchor's alone, all, 4 shifts": Variant(anchors=True),
    "anchor's alone, all, no shift": Variant(shifts=(), anchors=True),
    "none": Variant(none=True),
}


class Base:
    """One network and narrow ones, and what they say of all parts with the features of each variant."""

    def __init__(self, material: Material, store: Store, base: int, budget: float = 1.0) -> None:
        self.problem = problem = material.problem(f"base {base}", store)
        self.share, members = NarrowEnsemble(budget=budget).chosen(problem)
        narrow = narrow_problem(problem, self.share)
        self.ratio = relative_cost(problem, narrow)
        self.parts = {"calibration": material.loader(material.splits.validation), **material.parts()}
        self.networks = [(problem, problem.anchor(0))]
        self.networks += [(narrow, weights) for weights in train_narrow(problem, narrow, members).points]
        self.trainings = 1 + members * self.ratio
        self.near = {name: training_neighbours(problem, part) for name, part in self.parts.items()}
        self.log_probs = {name: torch.stack([predict(own, weights, part).log_probs[0] for own, weights in self.networks])
                          for name, part in self.parts.items()}
        self._seen: dict[tuple[object, ...], tuple[dict[str, torch.Tensor], int]] = {}

    def evidence(self, variant: Variant) -> tuple[dict[str, Evidence], float]:
        """Evidence by part, and the total cost in trainings."""
        looking = 0 if variant.none else 1 if variant.anchors else len(self.networks)
        seen = [self._look(number, variant) for number in range(looking)]
        features: dict[str, torch.Tensor | None] = dict.fromkeys(self.parts)
        if seen:
            seen += [seen[0]] * (len(self.networks) - looking)
            features = {name: torch.stack([own[name] for own, _ in seen]) for name in self.parts}
        evidence = {name: Evidence(Predictions(own[:1]), Predictions(own[1:]), self.share, features[name])
                    for name, own in self.log_probs.items()}
        asked = sum(own.inputs for own in evidence.values()) - evidence["calibration"].inputs
        forward = 0.0
        for number in range(len(self.networks)):  # evaluations of asked inputs are counted by `evaluations_per_input`
            own = seen[number][1] - asked if number < looking else evidence["calibration"].inputs
            forward += own * (self.ratio if number else 1.0)
        return evidence, self.trainings + forward / 3 / self.problem.training_examples

    def _look(self, number: int, variant: Variant) -> tuple[dict[str, torch.Tensor], int]:
        """Features by part of one network, and its forward evaluations."""
        key = (number, variant.examples, variant.shifts)
        if key not in self._seen:
            own, weights = self.networks[number]
            features: dict[str, torch.Tensor] = {}

            def look() -> None:
                geometry = Geometry(own, weights, examples=variant.examples, shifts=variant.shifts)
                features.update({name: geometry.features(part, self.near[name]) for name, part in self.parts.items()})

            cost = own.meter.apart(look)
            self._seen[key] = features, cost.forward_examples
        return self._seen[key]


def measure(path: Path, bases: int, wanted: Sequence[str], data_dir: Path | None) -> None:
    """Prints a row a variant."""
    plan = read_plan(path)
    material, store = Material(plan, data_dir), Store(Path("results") / plan.name)
    material.check()
    sets = {}
    for role, count in (("reference", plan.protocol.reference), ("pool", plan.protocol.pool)):
        problem = material.problem(role, store)
        held_out = Members(anchors(problem, count))
        sets[role] = {name: predict(problem, held_out, part) for name, part in material.parts().items()}
    reference = sets["reference"]["test"]
    resamples = Resamples.of(reference.inputs, reference.members, seed=plan.protocol.seed)
    truth, apart = ReferenceU.of(reference, resamples), spacing(reference, resamples)
    curve = u_curve(sets["pool"]["test"], truth, seed=plan.protocol.seed)
    u_ood = float(sets["reference"]["ood"].u().mean())
    made = [Base(material, store, base) for base in range(bases)]
    print("| task | features | total cost | error of u | K_u | K_eq | spread out of distribution |\n" + "|---" * 7 + "|", flush=True)
    for name in wanted:
        variant = VARIANTS[name]
        costs, found = [], []
        for number, base in enumerate(made):
            evidence, cost = base.evidence(variant)
            costs.append(cost)
            known = evidence.pop("calibration")
            found.append(Forest(geometry=not variant.none).emulate_parts(known, evidence, draws=DRAWS, seed=number))
        u = torch.stack([own["test"].u().double() for own in found], 1)
        result = uncertainty_equivalents(u, truth, curve)
        k_eq = retraining_equivalents([distances(own["test"], reference) for own in found], apart, resamples)["k_eq"]
        elsewhere = sum(float(own["ood"].u().mean()) for own in found) / len(found) / u_ood
        print(f"| {plan.name} | {name} | {sum(costs) / len(costs):.2f} | {result['u_error'].value:.4f} | "
              f"{result['k_u'].text()} | {k_eq.text()} | {elsewhere:.2f} |", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser("python -m ideas.forward", description="What less forward work for features costs.")
    parser.add_argument("plans", nargs="+", type=Path)
    parser.add_argument("--bases", type=int, default=5)
    parser.add_argument("--features", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="KIND")
    parser.add_argument("--data-dir", type=Path, default=None)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        for path in given.plans:
            measure(path, given.bases, given.features, given.data_dir)
    except InputError as error:
        print(f"ideas.forward: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
