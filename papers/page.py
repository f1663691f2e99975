"""docs/papers.md, made of the JSON files of papers/results. No number there is written by hand."""

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from thalweg import files

RESULTS = Path(__file__).parent / "results"
PAGE = RESULTS.parent.parent / "docs" / "papers.md"

HEAD = """# What the papers found, found again

Facts of the papers in kind, on data and schedules that two cores can do: each from several bases (other anchors, other random numbers). `python -m papers {plans}`
measures them and `python -m papers page` writes this page. A value is the mean over bases, with the standard deviation over bases behind it; accuracies are of
the mean probabilities on the plan's test images. The schedules are far shorter than the papers', so that most networks are less trained than theirs.
"""

Facts = dict[str, dict[str, float]]


def text() -> str:
    """The page."""
    found = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]
    parts = [HEAD.format(plans=" ".join(f"studies/{own['plan']}" for own in found))]
    for title, about, lines in (
        ("A curve of low loss connects two trainings", "Garipov et al. 2018 (arXiv 1802.10026): the loss along a trained Bezier curve between two anchors stays low "
         "where the straight segment between them has a barrier. A barrier is how far the training loss rises above the line between the ends' losses, at 21 "
         "points of the path. `share` is the curve's epochs over an anchor's (the paper's are 1 for ResNets, 3 for VGG); `lower` is the segment's barrier over "
         "the curve's, smallest and largest over bases.", connected),
        ("Aligned trainings have a lower barrier", "Ainsworth et al. 2023 (arXiv 2209.04836): after weight matching, which changes no outputs, the straight segment is "
         "lower. The paper has no barrier left for wide networks that are trained long, and a good part of it for narrow ones.", aligned),
        ("The midpoint of a learned line is as accurate as a training", "Wortsman et al. 2021 (arXiv 2102.10472), at the same cost of one training. `epochs` is in units of the plan's: trainings and line are then as much "
         "longer.", line),
        ("Ensembles of simplexes against deep ensembles", "Benton et al. 2021 (arXiv 2102.13042): k simplexes with one grown vertex each, 25 draws, against k trainings. `share` is a "
         "vertex's epochs over a training's: the paper's 10 of 300 on CIFAR-10, and 20 of 200 on CIFAR-100. `better in` counts bases.", simplexes),
        ("What a simplex costs, and that it is low everywhere", "With five draws a step a vertex costs five times what its epochs say: the paper's own plots have it, its text has not. "
         "`below twice` counts the bases in which each of 25 draws has a training loss below twice the anchor's.", cost),
    ):
        parts.append(f"## {title}\n\n{about}\n\n{lines(found)}")
    return "\n".join(parts)


def connected(found: list[dict[str, Any]]) -> str:
    rows = []
    for own in found:
        for part, share in (("connected", 1), ("connected_longer", 3)):
            bases = having(own, part)
            lower = [base[part]["barrier"] / max(base[part]["barrier of the curve"], 1e-9) for base in bases]
            if bases:
                rows.append([own["title"], share, len(bases), *(spread(bases, part, name) for name in ("loss of the ends", "barrier", "barrier of the curve")),
                             f"{min(lower):.0f} to {max(lower):.0f}"])
    return table(["study", "share", "bases", "loss of the ends", "barrier, straight", "barrier, curve", "lower"], rows)


def aligned(found: list[dict[str, Any]]) -> str:
    rows = []
    for own in found:
        bases = [base for base in having(own, "aligned") if "connected" in base]
        if bases:
            rows.append([own["title"], len(bases), spread(bases, "connected", "barrier"), spread(bases, "aligned", "barrier"),
                         spread(bases, "aligned", "distance over that before")])
    return table(["study", "bases", "barrier", "barrier, aligned", "distance over that before"], rows)


def line(found: list[dict[str, Any]]) -> str:
    names = ("accuracy of a training", "accuracy of the line's midpoint", "accuracy of the line's one end", "accuracy of the line's other end")
    rows = []
    for own in found:
        for part, epochs in (("learned_line", "1"), ("learned_line_longer", "4")):
            bases = having(own, part)
            won = sum(base[part][names[1]] >= base[part][names[0]] for base in bases)
            if bases:
                rows.append([own["title"], epochs, *(spread(bases, part, name, 4) for name in names), f"{won} of {len(bases)}"])
    return table(["study", "epochs", "a training", "midpoint", "one end", "other end", "midpoint as good in"], rows)


def simplexes(found: list[dict[str, Any]]) -> str:
    rows = []
    for own in found:
        bases = having(own, "simplexes")
        for k in (1, 2) if bases else ():
            deep = f"accuracy of {k} trainings"
            for share in ("1/30", "1/10"):
                name = f"{k} simplexes, share {share}"
                won = sum(base["simplexes"][f"accuracy of {name}"] > base["simplexes"][deep] for base in bases)
                rows.append([own["title"], k, share, spread(bases, "simplexes", f"cost of {name}", 2), spread(bases, "simplexes", deep, 4),
                             spread(bases, "simplexes", f"accuracy of {name}", 4), f"{won} of {len(bases)}"])
    return table(["study", "k", "share", "cost", "k trainings", "k simplexes", "better in"], rows)


def cost(found: list[dict[str, Any]]) -> str:
    rows = []
    for own in found:
        bases = having(own, "simplexes")
        if not bases:
            continue
        passed = sum(base["simplexes"]["25 draws below twice the anchor's loss"] for base in bases)
        rows.append([own["title"], spread(bases, "simplexes", "cost of a vertex over that with one draw a step", 2), spread(bases, "simplexes", "loss of the simplex's anchor"),
                     spread(bases, "simplexes", "highest loss of 25 draws"), f"{passed:.0f} of {len(bases)}"])
    return table(["study", "cost of five draws a step over one", "anchor's loss", "highest loss of 25 draws", "below twice in"], rows)


def having(own: dict[str, Any], part: str) -> list[Facts]:
    """The bases of which a part was measured."""
    return [base for _, base in sorted(own["bases"].items()) if part in base]


def spread(bases: list[Facts], part: str, name: str, digits: int = 3) -> str:
    """Mean and standard deviation over bases."""
    values = [base[part][name] for base in bases]
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, own)) + " |" for own in lines) + "\n"


def write() -> None:
    files.write_bytes(PAGE, text().encode())


def is_up_to_date() -> bool:
    return PAGE.exists() and PAGE.read_text() == text()
