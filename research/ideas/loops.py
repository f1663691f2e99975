"""Is u right where the user's own loop trains? `python -m research.ideas loops` measures; a table
of docs/recipes.md is made of what it finds.

For each task, many networks are trained by its loop alone: the truth (`REFERENCE`), the deep
ensembles that K_u is read from (`POOL`), and those that are given to `quantify` (`BASES`).
`quantify` is told the loop (`train=`), with and without a loader of the training set, or the
nearest `Recipe`, which has no mixup. Beside it stands the trivial row, at the price of a second
training. Networks are kept in results/loops, so that a run that was stopped goes on.
"""

import json
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from research.ideas.tasks import Part, images
from research.skeleton import table
from thalweg import files
from thalweg.emulators.trivial import Trivial
from thalweg.metrics.evaluate import Truth, evaluate
from thalweg.metrics.info import FACTS
from thalweg.metrics.intervals import Estimate
from thalweg.models.cnn import cnn
from thalweg.models.mlp import mlp
from thalweg.predictions import Predictions, baseline
from thalweg.quantifying import quantify
from thalweg.seeds import derive, seeded
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe

TRAIN, KNOWN, ASKED = 5000, 2000, 2000
REFERENCE, POOL, BASES = 30, 20, 5
BUDGET = 1.0
EPOCHS, SIZE = 15, 64
METRICS = ("spread_ratio", "k_u", "k_eq", "coverage")


def mixup_with_adam(module: nn.Module, seed: int, data: Part, lr: float) -> None:
    """Adam, mixup with alpha 1 (Zhang et al. 2018, arXiv 1710.09412) and a cosine schedule."""
    x, y = data
    optimizer = torch.optim.Adam(module.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    module.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(SIZE):
            other, share = batch[torch.randperm(len(batch))], np.random.beta(1, 1)  # noqa: NPY002
            outputs = module(share * x[batch] + (1 - share) * x[other])
            losses = [cross_entropy(outputs, y[part]) for part in (batch, other)]
            optimizer.zero_grad()
            (share * losses[0] + (1 - share) * losses[1]).backward()
            optimizer.step()
        schedule.step()


def adamw_with_warmup(module: nn.Module, seed: int, data: Part, lr: float) -> None:
    """AdamW with one cycle of rate and momentum: up for three tenths of the steps, then down."""
    x, y = data
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=0.05)
    steps = EPOCHS * math.ceil(len(x) / SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    module.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(SIZE):
            loss = cross_entropy(module(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@dataclass(frozen=True)
class OwnLoop:
    """A task with a loop that no `Recipe` describes.

    Attributes:
        about: In words.
        model: Makes the network.
        loop: It trains a module on data, by a peak rate.
        nearest: The recipe that comes nearest to it.
        pooled: How many pixels, squared, are averaged to one.
    """

    about: str
    model: Callable[[], nn.Module]
    loop: Callable[[nn.Module, int, Part, float], None]
    nearest: Recipe
    pooled: int = 1

    def parts(self) -> tuple[Part, Tensor, Part]:
        """Training set, unlabelled inputs, and what is asked about with its labels."""
        (x, y), _ = images("fashion-mnist", TRAIN + KNOWN + ASKED, self.pooled)
        train, known, asked = (slice(0, TRAIN), slice(TRAIN, -ASKED), slice(-ASKED, None))
        return (x[train], y[train]), x[known], (x[asked], y[asked])

    @property
    def train(self) -> Callable[[nn.Module, int], None]:
        """The training function that a user would give."""
        return partial(self.loop, data=self.parts()[0], lr=self.nearest.lr)

    def problem(self, network: dict[str, Tensor], seed: int, told: str) -> Problem:
        """What is told to `quantify`, with a trained network."""
        (x, y), known, _ = self.parts()
        if told == "without loader":
            own: dict[str, Any] = {"train": self.train}
        elif told == "the loop":
            own = {"train": self.train, "train_loader": Batches(x, y, SIZE)}
        else:
            own = {"recipe": self.nearest, "train_loader": Batches(x, y, SIZE)}
        return Problem(self.model, networks=[network], seed=seed, unlabelled=known, **own)


_ADAM = partial(Recipe, epochs=EPOCHS, optimizer="adamw", weight_decay=0.0)
_CYCLE = partial(Recipe, epochs=EPOCHS, optimizer="adamw", weight_decay=0.05, warmup=0.3)
_MLP = partial(mlp, (1, 28, 28), 10, hidden=(128, 128))
_CNN = partial(cnn, (1, 14, 14), 10, widths=(16, 32))
LOOPS = {
    "mlp-mixup": OwnLoop("MLP, Adam, mixup, cosine", _MLP, mixup_with_adam, _ADAM(lr=1e-3)),
    "mlp-adamw": OwnLoop("MLP, AdamW, one cycle", _MLP, adamw_with_warmup, _CYCLE(lr=3e-3)),
    "cnn-mixup": OwnLoop(
        "14 x 14, CNN with batch norm, Adam, mixup, cosine",
        _CNN,
        mixup_with_adam,
        _ADAM(lr=3e-3),
        pooled=2,
    ),
    "cnn-adamw": OwnLoop(
        "14 x 14, CNN with batch norm, AdamW, one cycle",
        _CNN,
        adamw_with_warmup,
        _CYCLE(lr=5e-3),
        pooled=2,
    ),
}
TOLD = {
    "the loop": "the loop, `train=`, and a loader of the training set",
    "without loader": "the loop, `train=`, alone",
    "a recipe": "the nearest `Recipe`",
}
TRIVIAL = "trivial row, on two trainings"


def retrained(kept: Path, name: str, number: int) -> tuple[dict[str, Tensor], Tensor]:
    """A network that the loop alone trained, with its log-probabilities of all inputs that were not
    trained on `[inputs, classes]`.
    """
    path, own = kept / name / f"{number}.safetensors", LOOPS[name]
    if not path.exists():
        _, known, (asked, _) = own.parts()
        with seeded(derive(0, "loops", name), number):
            network = own.model()
            own.train(network, number)
        network.eval()
        with torch.no_grad():
            log_probs = network(torch.cat([known, asked])).log_softmax(-1)
        files.write_tensors(path, {"log_probs": log_probs, **network.state_dict()})
    tensors, _ = files.read_tensors(path)
    return {key: t for key, t in tensors.items() if key != "log_probs"}, tensors["log_probs"]


def measure(results: Path, kept: Path, names: Sequence[str], bases: int = BASES) -> None:
    """Measures what is not in the results yet."""
    for name in names:
        file = results / f"{name}.json"
        found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"rows": {}}
        wanted = [told for told in (*TOLD, TRIVIAL) if told not in found["rows"]]
        if not wanted:
            continue
        networks = [retrained(kept, name, k) for k in range(REFERENCE + POOL + 2 * bases)]
        log_probs = torch.stack([own for _, own in networks])
        first, last = log_probs[:, :KNOWN], log_probs[:, KNOWN:]
        asked, labels = LOOPS[name].parts()[2]
        reference, pool = last[:REFERENCE], last[REFERENCE : REFERENCE + POOL]
        truth = Truth.of(Predictions(reference), Predictions(pool), labels)
        given = range(REFERENCE + POOL, len(networks), 2)  # each with the next for the trivial row
        trivial = [baseline(Predictions(last[k : k + 1])) for k in given]
        accuracy = float((reference.argmax(-1) == labels).double().mean())
        found |= {"name": name, "about": LOOPS[name].about, "accuracy": round(accuracy, 4)}
        for told in wanted:
            if told == TRIVIAL:
                pairs = [
                    (Predictions(first[k : k + 2]), Predictions(last[k : k + 2])) for k in given
                ]
                said = [Trivial().emulate(*pair, draws=2, seed=0) for pair in pairs]
                more = {"cost": 2.0}
            else:
                said, more = asked_of(name, told, [networks[k][0] for k in given], asked)
            estimates = evaluate(truth, said, trivial)
            more["u"] = [round(float(p.u().mean() / truth.uncertainty.u.mean()), 4) for p in said]
            found["rows"][told] = more | {
                metric: [round(v, 4) for v in _numbers(estimates[metric])] for metric in METRICS
            }
            files.write_json(file, found)
            print(f"{name}, {told}: {found['rows'][told]}", flush=True)


def asked_of(
    name: str, told: str, networks: Sequence[dict[str, Tensor]], asked: Tensor
) -> tuple[list[Predictions], dict[str, Any]]:
    """What `quantify` says from each network, and how it was done."""
    answers = []
    for number, network in enumerate(networks):
        seed = derive(0, "loops", name, told, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that the recipe is off is counted
            problem = LOOPS[name].problem(network, seed, told)
            answers.append(quantify(problem, asked, budget=BUDGET))
    return [own.predictions for own in answers], {
        "cost": round(sum(own.cost.trainings for own in answers) / len(answers), 3),
        "width_ratio": answers[0].width_ratio,
        "narrow_copies": answers[0].narrow_copies,
        "warned": sum(own.transfer is not None and not own.transfer.holds for own in answers),
    }


def filled(found: Sequence[dict[str, Any]]) -> str:
    """The table of all tasks."""
    head = ["Fashion-MNIST", "told", "cost", "mean u / true", *map(_symbol, METRICS[1:]), "warned"]
    names = list(LOOPS)
    rows = [
        [
            own["about"],
            TOLD.get(told, told),
            f"{row['cost']:.2f}",
            *(_text(row[metric], metric) for metric in METRICS),
            f"{row['warned']} of {len(row['u'])}" if "warned" in row else "",
        ]
        for own in sorted(found, key=lambda own: names.index(own["name"]))
        for told in (*TOLD, TRIVIAL)
        if (row := own["rows"].get(told)) is not None
    ]
    return table(head, rows)


def _numbers(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _text(numbers: list[float], metric: str) -> str:
    return Estimate(*numbers).text(FACTS[metric].digits)


def _symbol(metric: str) -> str:
    return FACTS[metric].symbol
