"""The page docs/papers.md, made from research/papers/results. No number on it is written by hand."""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from research.skeleton import DOCS, stored, table

RESULTS = Path(__file__).parent / "results"
PAGE = DOCS / "papers.md"

HEAD = """# What the papers claim, and what we found

This page tests the claims of the papers in kind, with data and schedules that two cores can handle, each from several bases (that is, other anchors and other random numbers).
A value is the mean over bases, followed by the standard deviation over bases. Accuracies are those of the mean probabilities on the plan's test images. The schedules are far
shorter than the papers', so the networks are trained less than theirs, and a claim that is not confirmed here may be true there. `python -m research.papers {plans}` makes the
measurements, and `python -m research.papers page` writes this page.
"""

Facts = dict[str, dict[str, float]]
Studies = list[dict[str, Any]]
SHARES = ("1/30", "1/10")
HIGHEST = "highest loss of 25 draws"


def text(results: Path = RESULTS) -> str:
    """Returns the page."""
    studies = stored(results)
    parts = [HEAD.format(plans=" ".join(f"studies/{study['plan']}" for study in studies))]
    parts += [f"## {title}\n\n{about}\n\n{lines(studies)}" for title, about, lines in SECTIONS]
    return "\n".join(parts)


def connected(studies: Studies) -> str:
    """Returns the table of connecting curves."""
    head = ("study", "share", "bases", "loss of the ends", "barrier, straight", "barrier, curve")
    measured = ("loss of the ends", "barrier", "barrier of the curve")
    rows = []
    for study, part, bases in having(studies, "connected", "connected_longer"):
        lower = [
            base[part]["barrier"] / max(base[part]["barrier of the curve"], 1e-9) for base in bases
        ]
        row = [study["title"], "3" if "longer" in part else "1", len(bases)]
        row += [spread(bases, part, name) for name in measured]
        row += [f"{min(lower):.0f} to {max(lower):.0f}"]
        row += [f"{sum(ratio >= 10 for ratio in lower)} of {len(bases)}"]
        rows.append(row)
    return table([*head, "times lower", "ten times or more in"], rows)


def aligned(studies: Studies) -> str:
    """Returns the table of aligned networks."""
    rows = [
        [
            study["title"],
            len(bases),
            spread(bases, "connected", "barrier"),
            spread(bases, part, "barrier"),
            spread(bases, part, "distance over that before"),
        ]
        for study, part, bases in having(studies, "aligned")
    ]
    return table(
        ["study", "bases", "barrier", "barrier, aligned", "distance over that before"], rows
    )


def line(studies: Studies) -> str:
    """Returns the table of learned lines."""
    names = (
        "accuracy of a training",
        "accuracy of the line's midpoint",
        "accuracy of the line's one end",
        "accuracy of the line's other end",
    )
    rows = []
    for study, part, bases in having(studies, "learned_line", "learned_line_longer"):
        won = sum(base[part][names[1]] >= base[part][names[0]] for base in bases)
        row = [study["title"], "4" if "longer" in part else "1"]
        row += [spread(bases, part, name, 4) for name in names]
        rows.append([*row, f"{won} of {len(bases)}"])
    head = ["study", "epochs", "a training", "midpoint", "one end", "other end"]
    return table([*head, "midpoint as good in"], rows)


def simplexes(studies: Studies) -> str:
    """Returns the table of ensembles of simplexes."""
    rows = []
    for study, part, bases in having(studies, "simplexes"):
        for k in (1, 2):
            deep = f"accuracy of {k} trainings"
            for share in SHARES:
                name = f"{k} simplexes, share {share}"
                won = sum(base[part][f"accuracy of {name}"] > base[part][deep] for base in bases)
                row = [study["title"], k, share, spread(bases, part, f"cost of {name}", 2)]
                row += [spread(bases, part, n, 4) for n in (deep, f"accuracy of {name}")]
                rows.append([*row, f"{won} of {len(bases)}"])
    return table(["study", "k", "share", "cost", "k trainings", "k simplexes", "better in"], rows)


def simplex(studies: Studies) -> str:
    """Returns the table of the cost and the losses of a simplex."""
    head = ["study", "cost of five draws per step over one", "anchor's loss"]
    rows = []
    for study, part, bases in having(studies, "simplex"):
        passed = sum(base[part]["25 draws below twice the anchor's loss"] for base in bases)
        row = [study["title"]]
        row += [spread(bases, part, "cost of a vertex over that with one draw a step", 2)]
        row += [spread(bases, part, name) for name in ("loss of the anchor", HIGHEST)]
        rows.append([*row, f"{passed:.0f} of {len(bases)}"])
    return table([*head, HIGHEST, "below twice in"], rows)


SECTIONS = (
    (
        "Does a curve of low loss connect two trainings?",
        "Garipov et al. 2018 (arXiv 1802.10026): the loss along a trained Bézier curve between "
        "two anchors stays low, while the straight segment between them has a barrier. A barrier "
        "is the largest rise of the training loss above the straight line between the ends' "
        "losses, at 21 points of the path. `share` is the number of the curve's epochs over an "
        "anchor's (in the paper 1 for ResNets and 3 for VGG).",
        connected,
    ),
    (
        "Does alignment lower the barrier?",
        "Ainsworth et al. 2023 (arXiv 2209.04836): after weight matching, which changes no "
        "outputs, the straight segment has a lower loss. The paper finds that no barrier remains "
        "for very wide ResNets.",
        aligned,
    ),
    (
        "Is the midpoint of a learned line as accurate as a training?",
        "Wortsman et al. 2021 (arXiv 2102.10472) claim that it is, at the same cost of one "
        "training. `epochs` is in units of the plan's epochs, for trainings and lines alike.",
        line,
    ),
    (
        "Is an ensemble of k simplexes more accurate than one of k trainings?",
        "Benton et al. 2021 (arXiv 2102.13042) claim that it is. Here k simplexes with one grown "
        "vertex each and 25 draws are compared with k trainings, which cost k. `share` is the "
        "number of a vertex's epochs over a training's, in the paper 10 of 300 on CIFAR-10 and 20 "
        "of 200 on CIFAR-100. The standard error of one accuracy is 0.002 to 0.009 here, and most "
        "differences are smaller. `cost` is the training cost; forward work was not stored.",
        simplexes,
    ),
    (
        "What does a simplex cost, and is its loss low everywhere?",
        "With five draws per step, a vertex costs five times as much as its epochs suggest. "
        "`below twice` counts the bases in which each of 25 draws of a simplex (share 1/10) has a "
        "training loss below twice its anchor's.",
        simplex,
    ),
)


def having(studies: Studies, *parts: str) -> Iterator[tuple[dict[str, Any], str, list[Facts]]]:
    """Yields each study and part with the bases for which it was measured, if there are any."""
    for study in studies:
        for part in parts:
            bases = [base for _, base in sorted(study["bases"].items()) if part in base]
            if bases:
                yield study, part, bases


def spread(bases: list[Facts], part: str, name: str, digits: int = 3) -> str:
    """Returns the mean and the standard deviation over bases."""
    values = [base[part][name] for base in bases]
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


def is_up_to_date(results: Path = RESULTS) -> bool:
    """Whether the page agrees with the results."""
    return PAGE.exists() and PAGE.read_text() == text(results)
