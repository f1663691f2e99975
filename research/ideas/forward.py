"""What the forest's features cost in forward work, and what is lost with less: `python -m
research.ideas.forward studies/NAME.toml ...`.

One network and narrow ones for a budget of 1, as `quantify` has them. Each variant of the features
is measured on the same networks, and printed as a row: total cost in trainings, K_u and K_eq with
95 % intervals.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from thalweg.baselines.narrow_ensemble import NarrowEnsemble
from thalweg.emulators.forest import Forest
from thalweg.emulators.observations import Observations
from thalweg.errors import InputError
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.features import InputFeatures, training_neighbours
from thalweg.meter import Meter
from thalweg.method import Method
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.retraining import distances, retraining_equivalents, spacing
from thalweg.metrics.uncertainty import ReferenceU, u_curve, uncertainty_equivalents
from thalweg.narrow.training import NarrowCopies
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.study.context import StudyContext
from thalweg.study.plan import read_plan
from thalweg.study.store import Store
from thalweg.training.anchors import train_anchors
from thalweg.training.batches import Batches
from thalweg.weights.distribution import Members

DRAWS = 30
ALL = sys.maxsize
FOUR = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True)
class Variant:
    """A way to have features.

    Attributes:
        examples: Training inputs that each network evaluates.
        shifts: By how many pixels (down, right) images are moved; one more feature is the logarithm
            of the probabilities' variance over the image and its shifts.
        anchors: Only the anchor is looked at; the narrow networks are given its features.
        none: There are no features.
    """

    examples: int = ALL
    shifts: tuple[tuple[int, int], ...] = ()
    anchors: bool = False
    none: bool = False


VARIANTS = {
    "all training inputs": Variant(),
    "and 1 shift": Variant(shifts=((1, 1),)),
    "and 2 shifts": Variant(shifts=((0, 1), (1, 0))),
    "and 4 shifts": Variant(shifts=FOUR),
    "2,000 training inputs": Variant(2000),
    "of the anchor alone": Variant(anchors=True),
    "none": Variant(none=True),
}


class Base:
    """One network and narrow ones, and what they say of all parts with the features of each
    variant.
    """

    def __init__(self, context: StudyContext, store: Store, base: int, budget: float = 1.0) -> None:
        self.problem = problem = context.problem(f"base {base}", store)
        method = Method(DeepEnsemble(members=1), narrow=NarrowEnsemble(budget=budget))
        trained = method.train(problem)
        copies = cast(NarrowCopies, trained.narrow)
        self.width_ratio, self.ratio = copies.width_ratio, copies.cost_ratio
        self.parts = {
            "calibration": context.loader(context.splits.validation),
            **context.parts(),
        }
        self.networks = [(problem, weights) for weights in trained.members.points]
        self.networks += [(copies.problem, weights) for weights in copies.members.points]
        self.trainings = 1 + len(copies.members.points) * self.ratio
        self.near = {name: training_neighbours(problem, part) for name, part in self.parts.items()}
        self.log_probs = {
            name: torch.stack(
                [predict(own, weights, part).log_probs[0] for own, weights in self.networks]
            )
            for name, part in self.parts.items()
        }
        self._seen: dict[tuple[object, ...], tuple[dict[str, Tensor], int]] = {}

    def evidence(self, variant: Variant) -> tuple[dict[str, Observations], float]:
        """Observations by part, and the total cost in trainings."""
        looking = 0 if variant.none else 1 if variant.anchors else len(self.networks)
        seen = [self._look(number, variant) for number in range(looking)]
        features: dict[str, Tensor | None] = dict.fromkeys(self.parts)
        if seen:
            seen += [seen[0]] * (len(self.networks) - looking)
            features = {name: torch.stack([own[name] for own, _ in seen]) for name in self.parts}
        evidence = {
            name: Observations(
                Predictions(own[:1]), Predictions(own[1:]), self.width_ratio, features[name]
            )
            for name, own in self.log_probs.items()
        }
        asked = sum(own.inputs for own in evidence.values()) - evidence["calibration"].inputs
        forward = 0.0
        for number in range(
            len(self.networks)
        ):  # evaluations of asked inputs are counted by `evaluations_per_input`
            own = seen[number][1] - asked if number < looking else evidence["calibration"].inputs
            forward += own * (self.ratio if number else 1.0)
        return evidence, self.trainings + forward / 3 / self.problem.training_examples

    def _look(self, number: int, variant: Variant) -> tuple[dict[str, Tensor], int]:
        """Features by part of one network, and its forward evaluations, those behind its
        predictions among them.
        """
        key = (number, variant.examples, variant.shifts)
        if key not in self._seen:
            own, weights = self.networks[number]
            train = own.train_loader
            if isinstance(train, Batches) and variant.examples < len(train.targets):
                train = train.chosen(torch.arange(variant.examples))
            own = replace(own, train_loader=train, meter=Meter(), networks=None)
            geometry = InputFeatures(own, weights)
            features = {
                name: geometry.features(part, self.near[name]) for name, part in self.parts.items()
            }
            if variant.shifts:
                for name, part in self.parts.items():
                    probs = [self.log_probs[name][number].exp().double()]
                    for by in variant.shifts:
                        moved = [(shifted(x, *by), y) for x, y in part]
                        probs.append(predict(own, weights, moved).probs()[0].double())
                    column = (torch.stack(probs).var(0, correction=0).sum(1) + 1e-12).log()
                    features[name] = torch.cat([features[name], column[:, None].float()], 1)
            self._seen[key] = features, int(own.cost.forward_examples)
        return self._seen[key]


def shifted(x: Tensor, down: int, right: int) -> Tensor:
    """Images moved by whole pixels; their edges are repeated."""
    rows, columns = (torch.arange(n, device=x.device) for n in x.shape[2:])
    return x[:, :, (rows - down).clamp(0, x.shape[2] - 1)][
        ..., (columns - right).clamp(0, x.shape[3] - 1)
    ]


def measure(path: Path, bases: int, wanted: Sequence[str], data_dir: Path | None) -> None:
    """Prints a row a variant."""
    plan = read_plan(path)
    context, store = StudyContext(plan, data_dir), Store(Path("results") / plan.name)
    context.check()
    sets = {}
    for role, count in (("reference", plan.protocol.reference), ("pool", plan.protocol.pool)):
        problem = context.problem(role, store)
        held_out = Members(train_anchors(problem, count))
        sets[role] = {
            name: predict(problem, held_out, part) for name, part in context.parts().items()
        }
    reference = sets["reference"]["test"]
    resamples = Resamples.of(reference.inputs, reference.members, seed=plan.protocol.seed)
    truth, apart = ReferenceU.of(reference, resamples), spacing(reference, resamples)
    curve = u_curve(sets["pool"]["test"], truth, seed=plan.protocol.seed)
    u_ood = float(sets["reference"]["ood"].u().mean())
    made = [Base(context, store, base) for base in range(bases)]
    print(
        "| task | features | total cost | error of u | K_u | K_eq | spread out of distribution |\n|"
        + "---|" * 7,
        flush=True,
    )
    for name in wanted:
        variant = VARIANTS[name]
        costs, found = [], []
        for number, base in enumerate(made):
            evidence, cost = base.evidence(variant)
            costs.append(cost)
            known = evidence.pop("calibration")
            found.append(
                Forest(geometry=not variant.none).emulate_parts(
                    known, evidence, draws=DRAWS, seed=number
                )
            )
        u = torch.stack([own["test"].u().double() for own in found], 1)
        result = uncertainty_equivalents(u, truth, curve)
        k_eq = retraining_equivalents(
            [distances(own["test"], reference) for own in found], apart, resamples
        )["k_eq"]
        elsewhere = sum(float(own["ood"].u().mean()) for own in found) / len(found) / u_ood
        print(
            f"| {plan.name} | {name} | {sum(costs) / len(costs):.2f} | "
            f"{result['u_error'].value:.4f} | {result['k_u'].text()} | {k_eq.text()} | "
            f"{elsewhere:.2f} |",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m research.ideas.forward", description="What less forward work for features costs."
    )
    parser.add_argument("plans", nargs="+", type=Path)
    parser.add_argument("--bases", type=int, default=5)
    parser.add_argument(
        "--features", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="KIND"
    )
    parser.add_argument("--data-dir", type=Path, default=None)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        for path in given.plans:
            measure(path, given.bases, given.features, given.data_dir)
    except InputError as error:
        print(f"forward: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
