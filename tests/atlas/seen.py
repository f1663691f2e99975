"""What small trained networks say of inputs, of each kind of outputs, with real features."""

from dataclasses import dataclass
from functools import cache

from torch import Tensor, nn

import cases
from thalweg.features import InputFeatures, training_neighbours
from thalweg.outputs import Binary, Classes, Outputs, Values
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem

KINDS = ("classes", "binary", "values", "words")


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network says of unlabelled inputs, the first 150, and of asked ones, the last 50."""

    outputs: Outputs
    stored: Tensor
    features: Tensor
    names: tuple[str, ...]

    def part(self, part: slice) -> tuple[Tensor, Tensor]:
        return self.stored[part], self.features[part]


KNOWN, ASKED = slice(0, 150), slice(150, 200)


def _problem(kind: str) -> Problem:
    x, y = cases.task()
    if kind == "words":  # whole numbers: there is no input space
        words = (x.flatten(1)[:, :9] * 2).round().clamp(-4, 5).long() + 4
        return Problem(
            lambda: nn.Sequential(nn.Embedding(10, 3), nn.Flatten(), nn.Linear(27, 3)),
            Batches(words, y, 16),
            cases.RECIPE,
        )
    count = {"classes": 3, "binary": 1, "values": 2}[kind]
    targets = {"classes": y, "binary": (y > 0).long(), "values": x.flatten(1)[:, :2]}[kind]
    outputs: Outputs = {"classes": Classes(), "binary": Binary(), "values": Values()}[kind]
    return Problem(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, count)),
        Batches(x, targets, 16),
        cases.RECIPE,
        outputs=outputs,
    )


@cache
def seen(kind: str, network: int = 0) -> Seen:
    problem = _problem(kind)
    x, _ = cases.task(200, seed=1)
    if kind == "words":
        x = (x.flatten(1)[:, :9] * 2).round().clamp(-4, 5).long() + 4
    geometry = InputFeatures(problem, problem.anchor(network))
    stored, features = geometry.look(x, training_neighbours(problem, x))
    return Seen(problem.outputs, stored, features, geometry.names)
