"""docs/papers.md, made of the JSON files of papers/results. No number there is written by hand."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from thalweg import files

RESULTS = Path(__file__).parent / "results"
PAGE = RESULTS.parent.parent / "docs" / "papers.md"

HEAD = """# What the papers claim, and what we found

Facts of the papers in kind, on data and schedules that two cores can do: each from several bases (other anchors, other random numbers). A value is the mean over bases, with
the standard deviation over bases behind it; accuracies are of the mean probabilities on the plan's test images. The schedules are far shorter than the papers', so
that the networks are less trained than theirs: what does not come back here may be true there. `python -m papers {plans}` measures, `python -m papers page` writes this page.
"""

Facts = dict[str, dict[str, float]]
Found = list[dict[str, Any]]
SHARES = ("1/30", "1/10")


def text(results: Path = RESULTS) -> str:
    """The page."""
    found = [json.loads(file.read_text()) for file in sorted(results.glob("*.json"))]
    parts = [HEAD.format(plans=" ".join(f"studies/{own['plan']}" for own in found))]
    parts += [f"## {title}\n\n{about}\n\n{lines(found)}" for title, about, lines in SECTIONS]
    return "\n".join(parts)


def connected(found: Found) -> str:
    rows = []
    for own, part, bases in having(found, "connected", "connected_longer"):
        lower = [
            base[part]["barrier"] / max(base[part]["barrier of the curve"], 1e-9) for base in bases
        ]
        rows.append(
            [
                own["title"],
                "3" if "longer" in part else "1",
                len(bases),
                *(
                    spread(bases, part, name)
                    for name in ("loss of the ends", "barrier", "barrier of the curve")
                ),
                f"{min(lower):.0f} to {max(lower):.0f}",
                f"{sum(ratio >= 10 for ratio in lower)} of {len(bases)}",
            ]
        )
    return table(
        [
            "study",
            "share",
            "bases",
            "loss of the ends",
            "barrier, straight",
            "barrier, curve",
            "times lower",
            "ten times or more in",
        ],
        rows,
    )


def aligned(found: Found) -> str:
    rows = [
        [
            own["title"],
            len(bases),
            spread(bases, "connected", "barrier"),
            spread(bases, part, "barrier"),
            spread(bases, part, "distance over that before"),
        ]
        for own, part, bases in having(found, "aligned")
    ]
    return table(
        ["study", "bases", "barrier", "barrier, aligned", "distance over that before"], rows
    )


def line(found: Found) -> str:
    names = (
        "accuracy of a training",
        "accuracy of the line's midpoint",
        "accuracy of the line's one end",
        "accuracy of the line's other end",
    )
    rows = []
    for own, part, bases in having(found, "learned_line", "learned_line_longer"):
        won = sum(base[part][names[1]] >= base[part][names[0]] for base in bases)
        rows.append(
            [
                own["title"],
                "4" if "longer" in part else "1",
                *(spread(bases, part, name, 4) for name in names),
                f"{won} of {len(bases)}",
            ]
        )
    return table(
        [
            "study",
            "epochs",
            "a training",
            "midpoint",
            "one end",
            "other end",
            "midpoint as good in",
        ],
        rows,
    )


def simplexes(found: Found) -> str:
    rows = []
    for own, part, bases in having(found, "simplexes"):
        for k in (1, 2):
            deep = f"accuracy of {k} trainings"
            for share in SHARES:
                name = f"{k} simplexes, share {share}"
                won = sum(base[part][f"accuracy of {name}"] > base[part][deep] for base in bases)
                rows.append(
                    [
                        own["title"],
                        k,
                        share,
                        spread(bases, part, f"cost of {name}", 2),
                        spread(bases, part, deep, 4),
                        spread(bases, part, f"accuracy of {name}", 4),
                        f"{won} of {len(bases)}",
                    ]
                )
    return table(["study", "k", "share", "cost", "k trainings", "k simplexes", "better in"], rows)


def simplex(found: Found) -> str:
    rows = []
    for own, part, bases in having(found, "simplex"):
        passed = sum(base[part]["25 draws below twice the anchor's loss"] for base in bases)
        rows.append(
            [
                own["title"],
                spread(bases, part, "cost of a vertex over that with one draw a step", 2),
                spread(bases, part, "loss of the anchor"),
                spread(bases, part, "highest loss of 25 draws"),
                f"{passed:.0f} of {len(bases)}",
            ]
        )
    return table(
        [
            "study",
            "cost of five draws a step over one",
            "anchor's loss",
            "highest loss of 25 draws",
            "below twice in",
        ],
        rows,
    )


SECTIONS = (
    (
        "Does a curve of low loss connect two trainings?",
        "Garipov et al. 2018 (arXiv 1802.10026): the loss along a trained Bezier curve between "
        "two anchors stays low where the straight segment between them has a barrier. A barrier "
        "is how far the training loss rises above the line between the ends' losses, at 21 "
        "points of the path. `share` is the curve's epochs over an anchor's (the paper's: 1 for "
        "ResNets, 3 for VGG).",
        connected,
    ),
    (
        "Does alignment lower the barrier?",
        "Ainsworth et al. 2023 (arXiv 2209.04836): after weight matching, which changes no "
        "outputs, the straight segment is lower. The paper finds no barrier left for very wide "
        "ResNets.",
        aligned,
    ),
    (
        "Is the midpoint of a learned line as accurate as a training?",
        "Wortsman et al. 2021 (arXiv 2102.10472), at the same cost of one training. `epochs` is "
        "in units of the plan's: trainings and line are then as much longer.",
        line,
    ),
    (
        "Is an ensemble of k simplexes more accurate than one of k trainings?",
        "Benton et al. 2021 (arXiv 2102.13042): k simplexes with one grown vertex each, 25 "
        "draws, against k trainings, which cost k. `share` is a vertex's epochs over a "
        "training's: the paper's 10 of 300 on CIFAR-10, and 20 of 200 on CIFAR-100. The "
        "standard error of one accuracy is 0.002 to 0.009 here, so that most differences are "
        "within it. `cost` is training cost; forward work was not stored.",
        simplexes,
    ),
    (
        "What does a simplex cost, and is its loss low everywhere?",
        "With five draws a step a vertex costs five times what its epochs say. `below twice` "
        "counts the bases in which each of 25 draws of a simplex (share 1/10) has a training "
        "loss below twice its anchor's.",
        simplex,
    ),
)


def having(found: Found, *parts: str) -> Iterator[tuple[dict[str, Any], str, list[Facts]]]:
    """Each study and part with the bases of which it was measured, where there are any."""
    for own in found:
        for part in parts:
            bases = [base for _, base in sorted(own["bases"].items()) if part in base]
            if bases:
                yield own, part, bases


def spread(bases: list[Facts], part: str, name: str, digits: int = 3) -> str:
    """Mean and standard deviation over bases."""
    values = [base[part][name] for base in bases]
    return f"{mean(values):.{digits}f}" + (
        f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    )


def table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, own)) + " |" for own in lines) + "\n"


def write(results: Path = RESULTS) -> None:
    files.write_bytes(PAGE, text(results).encode())


def is_up_to_date(results: Path = RESULTS) -> bool:
    return PAGE.exists() and PAGE.read_text() == text(results)
