"""The sections with figures: how each is read, and what is to be seen in it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from matplotlib.figure import Figure
from pandas import DataFrame

from thalweg.metrics.info import MetricInfo
from thalweg.report import against_cost, figures, images, landscape, landscape_words, sentences
from thalweg.report.blocks import Block, Code, Paragraph, Picture, Section, see
from thalweg.report.results import Results, need

T = TypeVar("T")
MISSING = "Another version of thalweg made these results, and they do not contain this measure."
PANELS_PER_FIGURE, LINES_PER_FIGURE = 42, 40  # the largest figures that fit on a page


def cost(results: Results, facts: Mapping[str, MetricInfo]) -> Section:
    """Returns the section on retraining equivalents against cost."""
    drawn = {
        name: (symbol, of, bound)
        for name, symbol, of, bound in (
            ("k_eq", "K_eq", "predictions", True),
            ("k_u", "K_u", "standard uncertainty", False),
        )
        if results.has(name)
    }
    told = (
        f"In {' and '.join(see(name) for name in drawn)}, each point carries its method's number "
        f"in {see('main')}. The bars are 95 % intervals; an arrow replaces the upper end where the "
        "data do not give one. The solid line shows deep ensembles, for which K equals the total "
        "cost: a method above it is worth more than it costs."
    )
    if any(bound for *_, bound in drawn.values()):
        told += f" The dashed line is the bound of K_eq, {see('bound')}."
    blocks: list[Block] = [Paragraph(told)]
    for name, (symbol, of, bound) in drawn.items():
        table = results.metric(name)
        caption = (
            f"The retraining equivalents of the {of}, {symbol}, against the total cost. "
            f"{sentences.against_cost(table, bound=bound)}"
        )
        figure = against_cost.against_cost(table, symbol, bound=bound)
        tips = against_cost.tips(table, symbol, facts[name].digits)
        blocks.append(Picture(name, caption, figure, tips))
    shown = tuple(blocks) if drawn else (Paragraph(MISSING),)
    return Section("Retraining equivalents against cost", shown)


def spread(results: Results) -> Section:
    """Returns the section on the predicted and the observed spread."""
    inputs, methods = results.inputs, _shown(results, results.inputs["method"])
    told = (
        f"{see('spread')} compares the standard uncertainty u over the reference retrainings with "
        f"the u that a method predicts. The {inputs['input'].nunique()} test inputs of the first "
        "base are put into 10 bins of equal size by their predicted u; a point shows the root mean "
        "squares of a bin. On the diagonal, prediction and reference agree. Above it, retrainings "
        "differ more than predicted. A point on the left edge lies beyond it."
    )
    caption = (
        "The reference's u against the predicted u, in bins, by method. "
        f"{sentences.spread(inputs, methods)}"
    )
    pictures = _several(
        "spread",
        caption,
        lambda part: figures.spread(inputs, part),
        methods,
        PANELS_PER_FIGURE,
    )
    return Section("Predicted and observed spread", (Paragraph(told), *pictures))


def coverage(results: Results) -> Section:
    """Returns the section on coverage."""
    if not results.has("coverage"):
        return Section("Coverage", (Paragraph(MISSING),))
    table = results.metric("coverage")
    told = (
        f"{see('coverage')} shows the fraction of the held-out retrainings' predictions that lie "
        "inside each method's 95 % interval, with its own 95 % interval. It should be 95 %; a "
        "smaller value means that the method's spread is too small."
    )
    caption = f"The coverage of held-out retrainings. {sentences.coverage(table)}"
    pictures = _several("coverage", caption, figures.coverage, table, LINES_PER_FIGURE)
    return Section("Coverage", (Paragraph(told), *pictures))


def reliability(results: Results) -> list[Section]:
    """Returns the section on reliability, if the results have bins."""
    table = results.reliability
    if table is None:
        return []
    methods = _shown(results, table["method"])
    told = (
        f"{see('reliability')} shows the reliability of the mean prediction: accuracy against "
        "confidence, in bins. Small points hold less than 2 % of the test inputs, large ones 20 % "
        "or more. Above the diagonal the confidence is too low, below it is too high."
    )
    caption = (
        "The accuracy against the confidence of the mean prediction, by method. "
        f"{sentences.reliability(table, methods)}"
    )
    pictures = _several(
        "reliability",
        caption,
        lambda part: figures.reliability(table, part),
        methods,
        PANELS_PER_FIGURE,
    )
    return [Section("Reliability", (Paragraph(told), *pictures))]


def loss_landscape(results: Results) -> list[Section]:
    """Returns the section on the loss landscape, if the plan asked for one."""
    plane = results.landscape
    if plane is None:
        return []
    told = (
        f"{see('landscape')} shows loss and error on a plane in weight space, which goes through "
        f"{plane.about.rstrip('.')}. The contours are spaced logarithmically. The orange line is "
        "the path, projected on the plane. A page on which the plane can be turned is made by"
    )
    caption = f"Loss and error on a plane. {landscape_words.seen_on_plane(plane)}"
    blocks: list[Block] = [
        Paragraph(told),
        Code(_interactive(need(results.study, "reproduce"))),
        Picture("landscape", caption, landscape.plane(plane)),
    ]
    if results.led is not None:
        along, mapped = results.led.along, results.led.functions
        seen = landscape_words.seen_along(along)
        blocks += [
            Paragraph(f"{see('paths')} goes along the paths. {landscape_words.BARRIER}"),
            Picture(
                "paths", f"Loss, error and changes along paths. {seen}", landscape.along(along)
            ),
            Paragraph(f"{see('functions')} is a map. {landscape_words.of_map(mapped)}"),
            Picture(
                "functions",
                f"A map of what networks predict. {landscape_words.seen_on_map(mapped)}".strip(),
                landscape.functions(mapped),
            ),
        ]
    return [Section("The loss landscape", tuple(blocks))]


def most_uncertain(results: Results) -> list[Section]:
    """Returns the section on the test images on which retrainings disagree most."""
    uncertain = results.uncertain
    if uncertain is None:
        return []
    count = min(images.SHOWN, len(uncertain.images))
    told = (
        f"{see('uncertain')} shows the {count} test images with the largest u over the reference "
        "retrainings. Beside each image are the most probable class according to the reference, "
        "and the mean of its probability ± the standard deviation over retrainings, which the "
        "dashed line shows, too. Each bar is a method's standard deviation of that probability, "
        f"numbered as in {see('main')} and in the colour of the method's family."
    )
    methods = _shown(results, uncertain.spread)
    caption = f"The most uncertain test images. {sentences.uncertain(uncertain, count)}"
    picture = Picture("uncertain", caption, images.grid(uncertain, methods))
    return [Section("The most uncertain test images", (Paragraph(told), picture))]


def parts(names: Sequence[T], most: int) -> list[list[T]]:
    """Splits names into parts of at most so many, as few and as equal as possible.

    Example:
        >>> parts("abcde", 2)
        [['a'], ['b', 'c'], ['d', 'e']]
    """
    count = max(1, -(-len(names) // most))
    ends = [len(names) * i // count for i in range(count + 1)]
    split = [list(names[ends[i] : ends[i + 1]]) for i in range(count)]
    return [part for part in split if part]


def _several(
    name: str, caption: str, draw: Callable[[DataFrame], Figure], methods: DataFrame, most: int
) -> list[Block]:
    """Returns one picture, or several of at most so many methods each, which fit on a page."""
    found: list[Block] = []
    for k, part in enumerate(parts(range(len(methods)), most)):
        rows = methods.iloc[part]
        first = int(rows["number"].iloc[0])
        text = (
            caption if k == 0 else f"The same as {see(name)}, for the methods from no. {first} on."
        )
        found.append(Picture(name if k == 0 else f"{name}{k + 1}", text, draw(rows)))
    return found


def _interactive(reproduce: Iterable[Any]) -> str:
    """Returns the command that makes the interactive page, given those that made the study."""
    study = "thalweg study "
    plans = [line.removeprefix(study) for line in map(str, reproduce) if line.startswith(study)]
    return f"thalweg landscape {plans[0] if plans else 'PLAN'}"


def _shown(results: Results, labels: Iterable[str]) -> DataFrame:
    """Returns the methods with successful runs that are among the labels of a figure's data."""
    methods = results.methods
    return methods[~methods["lost"] & methods["method"].isin(set(labels))]
