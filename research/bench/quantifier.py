"""A fitted quantifier that is asked about inputs, beside the forward passes that it needs."""

import warnings
from dataclasses import replace

from research.bench import floor
from research.bench.cases import CASES, QUICK, Case
from research.bench.measure import Settings, in_fresh_process, interleaved, ratios
from thalweg import Batches, Quantifier

SIZES = {"mnist-mlp": 10_000, "mnist-cnn": 10_000, "cifar-resnet20": 1_000}  # inputs
UNLABELLED = 2000

MEMORY = """
import json, torch, warnings
warnings.simplefilter("ignore")
from research.bench.measure import peak
from research.bench.quantifier import alternatives
torch.set_num_threads(1)
work = alternatives({case!r}, {inputs}, quick={quick})
work["{what}"](100)
before = peak()
work["{what}"](None)
print(json.dumps(peak() - before))
"""


def fitted(case: Case, unlabelled: int) -> Quantifier:
    """Two narrow copies and a network, trained for a twentieth of an epoch: how well is no matter
    for speed.
    """
    images, labels = case.images(unlabelled, seed=2)
    known = Batches(images, labels, 250, shuffle=False, prepare=case.prepare)
    problem = replace(case, epochs=0.05).problem(unlabelled=known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Quantifier(budget=1.0, width_ratio=0.5, draws=100).fit(problem)


def alternatives(name: str, inputs: int, *, quick: bool) -> dict:
    """What is timed; each takes how many inputs, all if None."""
    case = (QUICK if quick else CASES)[name]
    quantifier = fitted(case, 100 if quick else UNLABELLED)
    networks = [own.architecture.network(own.weights).eval() for own in quantifier._fitted.used]
    images, _ = case.images(inputs, seed=1)
    ready = case.prepare(images)
    return {
        "plain": lambda count: floor.predict(networks, ready[:count]),
        "quantifier": lambda count: quantifier.predict(ready[:count]),
    }


def quantifier(settings: Settings) -> list[dict]:
    """`Quantifier.predict` on 10,000 inputs against the forward passes of its networks: time and
    memory.
    """
    rows = []
    for name in QUICK if settings.quick else SIZES:
        inputs = 200 if settings.quick else SIZES[name]
        work = {
            key: lambda f=f: f(None)
            for key, f in alternatives(name, inputs, quick=settings.quick).items()
        }
        own = ratios(
            f"{name}: {inputs:,} inputs", interleaved(work, settings, rounds=3), "plain", {}
        )
        for row in own:
            code = MEMORY.format(case=name, inputs=inputs, quick=settings.quick, what=row["what"])
            row["bytes"] = in_fresh_process(code)
        rows += own
    return rows
