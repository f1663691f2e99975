"""The figures of a statement, in the look of the reports."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from thalweg.errors import InputError, unknown
from thalweg.statement.deferral import deferral_of
from thalweg.statement.held import Stated, root_mean_square
from thalweg.statement.sentences import of_answers
from thalweg.statement.words import decimal, percent, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 24  # inputs in a figure
_BLUE, _ORANGE = "#0072B2", "#D55E00"


def plot(statement: Stated, what: str = "estimates", lang: str = "en") -> "Figure":
    """Draws one of the figures, as `Statement.plot`.

    Raises:
        InputError: There is no such figure or language, or the statement lacks what it shows.
    """
    if what not in FIGURES:
        raise unknown("figure", what, FIGURES)
    words(lang)
    return FIGURES[what](statement, lang)


def ranked(statement: Stated, most: int = MOST) -> Tensor:
    """The numbers of the most uncertain inputs, the most uncertain first `[most or fewer]`."""
    u = of_answers(statement)
    scale = u.square().mean(0).sqrt().clamp_min(1e-300)  # outputs may have very different u
    return (u / scale).amax(-1).argsort(descending=True, stable=True)[:most]


def estimates(statement: Stated, lang: str) -> "Figure":
    """The most uncertain inputs with error bars; of several outputs a panel each."""
    from thalweg.report.families import INK, MUTED
    from thalweg.report.figures import WIDTH, styled
    from thalweg.report.labels import plain

    own, order = words(lang), ranked(statement)
    answers = statement.answers()[order]
    panels = [answers] if statement.simplex else _all_columns(statement, len(order))
    shown = panels[:4]

    def draw(figure: Any) -> None:
        grid = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, at in zip(grid, shown, strict=True):
            low, high = (end[order].gather(1, at[:, None])[:, 0] for end in statement.symmetric)
            middle = statement.estimate[order].gather(1, at[:, None])[:, 0]
            rows = range(len(order))
            axes.hlines(rows, low, high, color=_BLUE, linewidth=1.2)
            axes.plot(middle, rows, "o", color=INK, markersize=3)
            for limit in _limits(statement, int(at[0])):
                axes.axvline(limit, color=MUTED, linewidth=0.8, linestyle=(0, (4, 2)))
            axes.set_ylim(len(order) - 0.4, -0.6)
            named = own["probability"] if statement.simplex else statement.columns[int(at[0])]
            units = f" ({statement.units})" if statement.units else ""
            axes.set_xlabel(plain(f"{named}{units}"))
            axes.tick_params(axis="y", length=0)
            _ticks(axes, lang)
        grid[0].set_yticks(range(len(order)), [_label(statement, int(i), lang) for i in order])

    return styled(WIDTH, 0.6 + 0.17 * len(order), draw)


def uncertainty(statement: Stated, lang: str) -> "Figure":
    """How u goes with the probability of the answer, or with the estimate of each output."""
    from thalweg.report.figures import WIDTH, styled
    from thalweg.report.labels import plain

    own = words(lang)
    u = of_answers(statement)
    at = statement.estimate
    if statement.simplex:
        at = at.gather(1, statement.answers()[:, None])
    decided = None if statement.decision is None else statement.decision.decided

    shown = min(4, u.shape[1])
    several = not statement.simplex and len(statement.columns) > 1

    def panel(axes: Any, column: int) -> None:
        x, y = at[:, column], u[:, column]
        if decided is None:
            axes.plot(x, y, ".", color=_BLUE, markersize=3, alpha=0.6)
        else:
            for word, colour in (("accept", _BLUE), ("defer", "#B8860B"), ("reject", _ORANGE)):
                some = torch.tensor([one == word for one in decided])
                if some.any():
                    axes.plot(x[some], y[some], ".", color=colour, markersize=3.5, label=own[word])
        title = own["probability" if statement.simplex else "estimate"]
        axes.set_xlabel(plain(f"{title}, {statement.columns[column]}" if several else title))
        axes.set_ylim(bottom=0)
        _ticks(axes, lang)

    def draw(figure: Any) -> None:
        grid = figure.subplots(1, shown, squeeze=False)[0]
        for column, axes in enumerate(grid):
            panel(axes, column)
        grid[0].set_ylabel(own["u_c"])
        if decided is not None:
            grid[0].legend()

    return styled(WIDTH if shown > 1 else WIDTH * 0.7, 2.4, draw)


def pictures(statement: Stated, lang: str) -> "Figure":
    """The most uncertain inputs as images.

    Raises:
        InputError: The statement has no pictures.
    """
    from thalweg.report.figures import WIDTH, styled
    from thalweg.report.images import as_image
    from thalweg.report.labels import plain

    given = statement.pictures
    if given is None:
        raise InputError("the figure 'pictures' needs the inputs as images: state(..., pictures=x)")
    order = ranked(statement, 12).tolist()

    def draw(figure: Any) -> None:
        columns = 6
        grid = figure.subplots(-(-len(order) // columns), columns, squeeze=False)
        for axes, number in zip(grid.flat, order, strict=False):
            image = as_image(given[number].numpy())
            low, high = float(image.min()), float(image.max())
            image = (image - low) / max(high - low, 1e-12)
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(plain(_answer(statement, number, lang), 24), fontsize=6, pad=3)
        for axes in grid.flat:
            axes.set_axis_off()

    return styled(WIDTH, 0.15 + 1.25 * -(-len(order) // 6), draw)


def budget(statement: Stated, lang: str) -> "Figure":
    """The components of the uncertainty, and the sources of that of retraining where they are
    known; of several outputs a panel each.
    """
    from thalweg.report.families import INK
    from thalweg.report.figures import WIDTH, styled
    from thalweg.report.labels import plain

    own, total = words(lang), of_answers(statement)
    shown = min(4, total.shape[1])
    known = [one for one in statement.components if one.u is not None and one.counted]
    titles = [own[one.name] for one in known]
    parts = [of_answers(statement, one.u) for one in known]
    sources = statement.sources if shown == 1 else ()
    titles += [f"– {row.name}" for row in sources] + [own["combined"]]
    colours = [_BLUE] * len(known) + ["#56B4E9"] * len(sources) + [INK]

    def draw(figure: Any) -> None:
        grid = figure.subplots(1, shown, sharey=True, squeeze=False)[0]
        for column, axes in enumerate(grid):
            widths = [root_mean_square(part[:, column]) for part in parts]
            widths += [row.mean for row in sources] + [root_mean_square(total[:, column])]
            axes.barh(range(len(titles)), widths, color=colours)
            name = "" if shown == 1 else f" {statement.columns[column]}"
            units = f" ({statement.units})" if statement.units else ""
            axes.set_xlabel(plain(f"{'u' if name else own['u']}{name}{units}"))
            axes.tick_params(axis="y", length=0)
            _ticks(axes, lang)
        grid[0].set_yticks(range(len(titles)), [plain(title, 50) for title in titles])
        grid[0].set_ylim(len(titles) - 0.4, -0.6)

    return styled(WIDTH * 0.8, 0.6 + 0.24 * len(titles), draw)


def deferral(statement: Stated, lang: str) -> "Figure":
    """The risk of error of what is kept against the share that is deferred.

    Raises:
        InputError: There is nothing to err about, as by `Statement.deferral`.
    """
    from thalweg.report.figures import WIDTH, styled

    own, curve = words(lang), deferral_of(statement)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot(curve.share, curve.risk, color=_ORANGE, drawstyle="steps-post")
        axes.set(xlim=(0, 1), xlabel=own["deferred_share"], ylabel=own["error_risk"])
        axes.set_ylim(bottom=0)
        _ticks(axes, lang)

    return styled(WIDTH * 0.7, 2.4, draw)


FIGURES: dict[str, Callable[[Stated, str], "Figure"]] = {
    "estimates": estimates,
    "u": uncertainty,
    "pictures": pictures,
    "budget": budget,
    "deferral": deferral,
}


def _all_columns(statement: Stated, count: int) -> list[Tensor]:
    return [torch.full((count,), column) for column in range(len(statement.columns))]


def _limits(statement: Stated, column: int) -> list[float]:
    if statement.decision is None:
        return []
    if not statement.simplex and int(statement.decision.column[0]) != column:
        return []
    return [end for end in statement.decision.tolerance.ends() if end is not None]


def _label(statement: Stated, number: int, lang: str) -> str:
    from thalweg.report.labels import plain

    name = statement.inputs[number]
    if not statement.simplex:
        return plain(name, 24)
    return plain(f"{name}: {statement.columns[int(statement.answers()[number])]}", 24)


def _answer(statement: Stated, number: int, lang: str) -> str:
    text = statement.text(number, comma=lang == "fr")
    if not statement.simplex:
        return text
    return f"{statement.columns[int(statement.answers()[number])]}: {text}"


def _ticks(axes: "Axes", lang: str) -> None:
    """Tick labels with the language's decimal sign."""
    from matplotlib.ticker import FuncFormatter, ScalarFormatter

    for axis in (axes.xaxis, axes.yaxis):
        if isinstance(axis.get_major_formatter(), ScalarFormatter):
            axis.set_major_formatter(FuncFormatter(lambda x, _: decimal(f"{x:g}", lang)))


def share_text(share: float, lang: str) -> str:
    """A share as it stands in tables."""
    return percent(share, lang, 0 if share >= 0.1 or share == 0 else 1)
