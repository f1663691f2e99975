"""Tables of a report: from numbers to cells, with intervals, the best in bold, and what may stand
in an empty cell.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from thalweg.metrics.info import MetricInfo
from thalweg.report.results import Results, records

DASH = "–"


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: The number as printed.
        interval: Its interval as printed, or nothing.
        best: Whether it is the best of its column.
        order: What the column is sorted by; None goes last.
    """

    text: str
    interval: str = ""
    best: bool = False
    order: float | None = None


@dataclass(frozen=True)
class Row:
    """One method of a table: its number, label, mark (a dagger where members are not retrainings)
    and family, and its cells.
    """

    number: int
    label: str
    mark: str
    family: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: What it shows.
        head: Titles of the columns after the method's, each with a unit (or nothing) and an arrow
            to the better side.
        rows: The methods.
        notes: Footnotes.
    """

    title: str
    head: tuple[tuple[str, str, str], ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def number(value: float, digits: str) -> str:
    """A number in a format specification, with a true minus sign, and thousands apart from 10 000
    on.

    Example:
        >>> number(-0.126, ".2f"), number(float("nan"), ".2f"), number(12345.678, ".1f")
        ('−0.13', '–', '12 346')
    """
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.0f}".replace(",", " ") if abs(value) >= 1e4 else f"{value:{digits}}"
    if float(text.replace(" ", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def cell(value: float, low: float, high: float, digits: str) -> Cell:
    """A number with its interval; `> low` where the interval has no upper end, `< high` where it
    has no lower one.

    Example:
        >>> cell(3.61, 3.29, 3.98, ".2f").text, cell(3.61, 3.29, 3.98, ".2f").interval
        ('3.61', '[3.29, 3.98]')
        >>> cell(40.0, 12.31, float("inf"), ".1f").text
        '> 12.3'
    """
    if math.isnan(value):
        return Cell(DASH)
    if math.isinf(high) and high > 0 and math.isfinite(low):
        return Cell(f"> {number(low, digits)}", order=low)
    if math.isinf(low) and low < 0 and math.isfinite(high):
        return Cell(f"< {number(high, digits)}", order=high)
    known = math.isfinite(low) and math.isfinite(high)
    interval = f"[{number(low, digits)}, {number(high, digits)}]" if known and high > low else ""
    return Cell(number(value, digits), interval, order=value)


def with_best(cells: Sequence[Cell], direction: str) -> list[Cell]:
    """Marks the best cells of a column: the highest, the lowest, or the nearest to one.

    Equal print is equally good.
    """
    scores = {"higher": lambda v: v, "lower": lambda v: -v, "one": lambda v: -abs(v - 1)}
    given = [c for c in cells if c.order is not None]
    if direction not in scores or len(given) < 2:
        return list(cells)
    best = max(given, key=lambda c: scores[direction](c.order))
    return [replace(c, best=c.order is not None and c.text == best.text) for c in cells]


def metric_column(results: Results, fact: MetricInfo) -> list[Cell]:
    """The cells `[methods]` of one metric, in the order of `results.methods`."""
    found = {
        row.method: cell(row.value, row.low, row.high, fact.digits)
        for row in records(results.metric(fact.name))
    }
    return with_best(
        [found.get(method, Cell(DASH)) for method in results.methods["method"]], fact.direction
    )


def metric_table(results: Results, title: str, facts: Iterable[MetricInfo]) -> Table:
    """A table of metrics, with training cost and total cost as its first columns."""
    columns = [
        (fact.symbol, fact.unit.replace("retrainings per ", "per "), _arrow(fact.direction))
        for fact in facts
    ]
    cells = [
        [_measured(float(v), lambda v: number(v, ".2f")) for v in results.methods[name]]
        for name in ("cost", "total")
    ]
    cells += [metric_column(results, fact) for fact in facts]
    return _table(
        results, title, [("cost", "trainings", ""), ("total", "trainings", ""), *columns], cells
    )


def cost_table(results: Results, title: str) -> Table:
    """What every method cost, a run on average."""
    show: Mapping[str, tuple[tuple[str, str, str], Callable[[float], str]]] = {
        "cost": (("cost", "trainings", ""), lambda v: number(v, ".2f")),
        "forward": (("forward only", "trainings", ""), lambda v: number(v, ".2f")),
        "total": (("total", "trainings", ""), lambda v: number(v, ".2f")),
        "seconds": (("time", "", ""), duration),
        "emulator_seconds": (("emulator", "", ""), duration),
        "relative_time": (("time", "of a training", ""), lambda v: number(v, ".1f")),
        "peak_memory": (("peak memory", "", ""), size),
        "stored_bytes": (("stored", "", ""), size),
        "evaluations_per_input": (("evaluations", "per input", ""), lambda v: number(v, ".0f")),
        "runs": (("runs", "", ""), lambda v: number(v, ".0f")),
        "failed": (("failed", "", ""), lambda v: number(v, ".0f")),
    }
    cells = [
        [_measured(float(v), text) for v in results.methods[column]]
        for column, (_, text) in show.items()
    ]
    return _table(results, title, [head for head, _ in show.values()], cells)


def _measured(value: float, text: Callable[[float], str]) -> Cell:
    return Cell(DASH) if math.isnan(value) else Cell(text(value), order=value)


def duration(seconds: float) -> str:
    """Seconds in words.

    Example:
        >>> duration(0.25), duration(75.4), duration(4000)
        ('0.25 s', '1 min 15 s', '1 h 06 min')
    """
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    whole = round(seconds)
    return (
        f"{whole // 60} min {whole % 60:02d} s"
        if whole < 3600
        else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def size(count: float) -> str:
    """Bytes in decimal units.

    Example:
        >>> size(512), size(1_234_567)
        ('512 B', '1.2 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _table(
    results: Results,
    title: str,
    head: Sequence[tuple[str, str, str]],
    columns: Sequence[Sequence[Cell]],
) -> Table:
    rows = []
    for i, method in enumerate(records(results.methods)):
        mark = "‡" if method.lost else "" if method.is_retraining else "†"
        rows.append(
            Row(
                int(method.number),
                str(method.method),
                mark,
                str(method.family),
                tuple(c[i] for c in columns),
            )
        )
    marks = {row.mark for row in rows}
    notes = [
        "Bold: the best of a column. In grey: 95 % interval. An arrow points to the better "
        "side, → 1 says that one is best."
    ]
    notes += ["†  Its members are not retrainings."] if "†" in marks else []
    notes += ["‡  Every run of it failed."] if "‡" in marks else []
    return Table(title, tuple(head), tuple(rows), tuple(notes))


def _arrow(direction: str) -> str:
    return {"higher": "↑", "lower": "↓", "one": "→ 1"}.get(direction, "")
