"""What needs no network: K_eq with its bootstrap, importing, memory.

In processes of their own, so that memory is theirs.
"""

import statistics

from research.bench.measure import Settings, fresh_process, in_fresh_process, interleaved, ratios

K_EQ = """
import json, time, torch
from research.bench.measure import peak
from thalweg.metrics.intervals import Resamples
from thalweg.metrics.retraining import distances, retraining_equivalents, spacing
from thalweg.predictions import Predictions
torch.set_num_threads({threads})
random = torch.Generator().manual_seed(0)
def made():
    found = torch.empty({members}, {inputs}, {classes})
    for row in found:
        row.copy_(torch.log_softmax(2 * torch.randn({inputs}, {classes}, generator=random), -1))
    return Predictions(found)
method, reference = made(), made()
begin = time.perf_counter()
resamples = Resamples.of({inputs}, {members}, 1000, 0)
retraining_equivalents([distances(method, reference)], spacing(reference, resamples), resamples)
seconds = time.perf_counter() - begin
print(json.dumps([seconds, peak()]))
"""

IMPORT = """
import json, time
begin = time.perf_counter()
import torch
between = time.perf_counter()
import thalweg
print(json.dumps([between - begin, time.perf_counter() - between]))
"""

MEMORY = """
import json, torch
from research.bench.measure import peak
torch.set_num_threads(1)
from thalweg.explorers.learned_simplex import LearnedSimplex
from research.bench.cases import CASES
case = CASES['{case}']
problem, plain = case.problem(), case.plain()
before = peak()
{work}
print(json.dumps(peak() - before))
"""
WORK = {
    "plain": "plain()",
    "thalweg": "problem.fit(problem.build('bench'), problem.recipe, 'bench')",
    "learned simplex": "LearnedSimplex().explore(problem)",
}


def k_eq(settings: Settings) -> list[dict]:
    """K_eq with a 1,000-fold bootstrap, 100 members, 100 retrainings, 10,000 inputs, 100 classes
    (20 s, 2 GB).
    """
    members, inputs, classes = (10, 500, 10) if settings.quick else (100, 10_000, 100)
    rows = []
    for threads in (1, 2):
        code = K_EQ.format(threads=threads, members=members, inputs=inputs, classes=classes)
        found = [in_fresh_process(code, threads) for _ in range(1 if settings.quick else 2)]
        rows.append(
            {
                "case": f"M = R = {members}, {inputs:,} x {classes}",
                "what": f"{threads} thread{'s' * (threads > 1)}",
                "seconds": statistics.median(s for s, _ in found),
                "bytes": max(b for _, b in found),
                "target": 20.0,
                "bytes_target": 2e9,
            }
        )
    return rows


def imports(settings: Settings) -> list[dict]:
    """`import thalweg` beyond `import torch` (0.3 s), and `thalweg --help` beside a process that
    only imports torch (1.3 times).
    """
    rounds = 2 if settings.quick else 7
    found = [in_fresh_process(IMPORT) for _ in range(rounds)]
    commands = {
        "import torch": lambda: fresh_process("-c", "import torch"),
        "thalweg --help": lambda: fresh_process("-m", "thalweg.cli", "--help"),
    }
    return [
        {"case": "import", "what": "torch", "seconds": statistics.median(a for a, _ in found)},
        {
            "case": "import",
            "what": "thalweg, beyond torch",
            "seconds": statistics.median(b for _, b in found),
            "target": 0.3,
        },
        *ratios(
            "the command",
            interleaved(commands, settings, rounds=rounds),
            "import torch",
            {"thalweg --help": 1.3},
        ),
    ]


def memory(settings: Settings) -> list[dict]:
    """Largest memory of a training and of a learned simplex, beyond what was there before, against
    the plain loop's.
    """
    rows = []
    for case in (
        ["digits"]
        if settings.quick
        else ["mnist-mlp", "mnist-cnn", "cifar-resnet20", "cifar-wrn16-4"]
    ):
        found = {
            what: in_fresh_process(MEMORY.format(case=case, work=work))
            for what, work in WORK.items()
        }
        rows += [
            {"case": case, "what": what, "bytes": own, "ratio": own / max(found["plain"], 1)}
            for what, own in found.items()
        ]
    return rows
