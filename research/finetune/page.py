"""The page docs/finetuning.md, made from the committed results of studies/finetune-*. No number on
it is written by hand.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from research.finetune.reading import RETRAININGS, STUDIES, TASKS, Row, measured, study
from research.skeleton import DOCS, table
from thalweg.report.families import LOOKS

PAGE = DOCS / "finetuning.md"
CHOSEN_ON = ("finetune-cnn", "finetune-vit-head")
BUDGETS = {
    0.5: "forest on fge from the network, a half",
    1.0: "forest on deep-ensemble (members 2)",
    2.0: "forest on deep-ensemble (members 3)",
}
"""What `thalweg.finetuning` buys of each, as the plans call it."""
OVER = 0.02  # parts of a training are whole steps
CUT = ("auto", "packed-ensemble")
LOCAL = ("subspace", "trajectory")
COLUMNS = ("cost", "total", "K_eq", "K_u", "spread", "worth", "accuracy")
Tasks = Mapping[str, Sequence[Row]]

HEAD = """# Fine-tuning

Where a network starts from pre-trained weights, a retraining is another fine-tuning: a new head, another order, another augmentation, from the same weights. Narrow copies do not
exist, as nobody pre-trained them. This page says what is worth its cost there. All tasks are small: {sizes}.
They are trained on the CPU in seconds; what holds for a network that was pre-trained on millions of images is not measured here.

`python -m research.finetune pretrain` makes the pre-trained weights, {studies} run the studies, and `python -m research.finetune page` writes this page.
A cost of 1 is one fine-tuning; a method that starts from the network that is there counts it. K_eq and K_u say how many further fine-tunings the draws and the u of a method are
worth, with 95 % intervals; the spread is the method's over that of fine-tunings; *worth* is the geometric mean of K_eq and K_u. [All rows](results.md) are with those of the
other studies.
"""


def text(studies: Path = STUDIES) -> str:
    """Returns the page."""
    tasks = measured(studies)
    parts = [
        HEAD.format(
            sizes="; ".join(_size(task, studies) for task in tasks),
            studies=", ".join(f"`thalweg study studies/{t}.toml --trust-plan`" for t in tasks),
        ),
        f"## Do local subspaces shine?\n\n{shine(tasks)}",
        f"## What a budget buys\n\n{bought(tasks)}",
        *(
            f"## {TASKS[task]}\n\n{_head(task, studies)}\n\n{best(rows)}"
            for task, rows in tasks.items()
        ),
        f"## What does not run\n\n{refused(tasks, studies)}",
    ]
    return "\n".join(parts)


def shine(tasks: Tasks) -> str:
    """Returns the answer, and the table that it rests on: of each local family the best row that
    costs no more than a second fine-tuning, beside what two fine-tunings are worth, alone and with
    an emulator.
    """
    lines, won = [], dict.fromkeys(LOCAL, 0)
    for task, rows in tasks.items():
        two = _named(rows, "deep-ensemble (members 2)")
        for family in LOCAL:
            top = max(_affordable(rows, 1.0, family), key=lambda row: row.worth)
            won[family] += top.k_eq.low > two.k_eq.value and top.k_u.low > two.k_u.value
            lines.append([TASKS[task], LOOKS[family].title, *_cells(top)])
        both = two, _named(rows, "forest on deep-ensemble (members 2)")
        lines += [[TASKS[task], "a second fine-tuning", *_cells(row)] for row in both]
    said = "\n".join(
        f"- {LOOKS[family].title.capitalize()}: **{_answer(count, len(tasks))}**, on {count} of "
        f"{len(tasks)} tasks."
        for family, count in won.items()
    )
    return (
        "A local method shines here where the best of its family at a cost of 2 or less, chosen "
        "with hindsight, has both intervals, of K_eq and of K_u, above what a plain second "
        f"fine-tuning gives (about 2 and 2):\n\n{said}\n\n"
        + table(["task", "family", "best row", *COLUMNS], lines)
    )


def bought(tasks: Tasks) -> str:
    """Returns what was best at each budget on the tasks to choose on, beside what `quantify` buys;
    and the place of both on all tasks.
    """
    chosen_on = [task for task in tasks if task in CHOSEN_ON]
    lines = []
    for budget, ours in BUDGETS.items():
        by_task = {
            task: {row.method: row for row in _affordable(rows, budget) if row.own}
            for task, rows in tasks.items()
        }
        common = set.intersection(*(set(by_task[task]) for task in chosen_on))
        top = max(common, key=lambda m: math.prod(by_task[t][m].worth for t in chosen_on))
        for what, method in (("best", top), ("quantify", ours)):
            cells = []
            for by_method in by_task.values():
                ranked = sorted(by_method, key=lambda m: -by_method[m].worth)
                place = f"{ranked.index(method) + 1} of {len(ranked)}"
                cells.append(f"{by_method[method].worth:.1f} ({place})")
            lines.append([f"{budget:g}", what, method, *cells])
    marks = [f"{TASKS[t]}{', chosen on' if t in CHOSEN_ON else ', checked on'}" for t in tasks]
    return (
        "A budget is in fine-tunings beside the network that is there. *best* is the row of the "
        "largest worth (product over the two tasks that it is chosen on) among those that start "
        "from this network and cost no more; *quantify* is what [`quantify`](guide.md) buys. It "
        "keeps the forest, which it has elsewhere, too, where another emulator on the same "
        "networks is as good within the intervals; a budget below 1 buys FGE "
        "from the network, of that length, but of half a training at most. On each task, the worth and the place among all these rows:\n\n"
        + table(["budget", "", "row", *marks], lines)
    )


def best(rows: Sequence[Row]) -> str:
    """Returns a task's table: retrainings, and the best two rows of every other family."""
    shown: list[Row] = []
    for family in dict.fromkeys(row.family for row in rows):
        own = sorted((row for row in rows if row.family == family), key=lambda row: -row.worth)
        shown += own if family == RETRAININGS else own[:2]
    shown.sort(key=lambda row: row.cost)
    return table(["best rows of each family", *COLUMNS], [_cells(row) for row in shown])


def refused(tasks: Tasks, studies: Path) -> str:
    """Returns the rows that did not run, each with its line, and the tasks."""
    lines: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        for failure in study(task, studies)["failures"]:
            row = str(failure["run"]).rpartition(", base ")[0]
            key = row, str(failure["reason"]).replace("|", "\\|")
            if TASKS[task] not in lines.setdefault(key, []):
                lines[key].append(TASKS[task])
    said = table(
        ["row", "its line", "tasks"],
        [[method, error, "; ".join(where)] for (method, error), where in lines.items()],
    )
    cut = {
        TASKS[task]: [row.method for row in rows if row.method.startswith(CUT)]
        for task, rows in tasks.items()
    }
    cut = {task: methods for task, methods in cut.items() if methods}
    if cut:
        listed = "; ".join(f"{task}: {', '.join(methods)}" for task, methods in cut.items())
        said += (
            "\nRows that were measured by copies cut from pre-trained weights, before these were "
            f"refused, and would be refused now: {listed}.\n"
        )
    return said


def _affordable(rows: Sequence[Row], budget: float, family: str | None = None) -> list[Row]:
    most = 1 + budget + OVER
    return [row for row in rows if row.cost <= most and family in (None, row.family)]


def _named(rows: Sequence[Row], method: str) -> Row:
    return next(row for row in rows if row.method == method)


def _answer(won: int, of: int) -> str:
    return "yes" if won == of else "in part" if won else "no"


def _cells(row: Row) -> list[str]:
    return [
        row.method,
        f"{row.cost:.2f}",
        f"{row.total:.2f}",
        row.k_eq.text(".1f"),
        row.k_u.text(".1f"),
        row.spread.text(".2f"),
        f"{row.worth:.1f}",
        f"{row.accuracy.value:.3f}",
    ]


def _head(task: str, studies: Path) -> str:
    facts = study(task, studies)
    plan, counts = facts["plan"], facts["counts"]
    return (
        f"{plan['title']}: {counts['parameters']:,} parameters, {plan['recipe']['epochs']:g} "
        f"epochs, {plan['protocol']['reference']} reference fine-tunings, "
        f"{plan['protocol']['bases']} bases."
    )


def _size(task: str, studies: Path) -> str:
    plan = study(task, studies)["plan"]
    return f"{TASKS[task]}, {plan['data']['train']:,} images of {plan['data']['name']}"
