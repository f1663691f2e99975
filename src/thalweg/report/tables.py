"""The tables of a report: numbers become cells with intervals; what nobody knows is left out."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from thalweg.metrics.info import MetricInfo
from thalweg.report.results import Results, records

DASH = "–"


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: The number as it is printed.
        interval: The number's interval as it is printed; empty if there is none.
        order: The number by which the column is sorted; None comes last.
    """

    text: str
    interval: str = ""
    order: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table, which is a method.

    Attributes:
        number: The method's number.
        label: The method's label.
        mark: A dagger if its members are not retrainings, a double dagger if all its runs failed.
        family: The method's family.
        cells: The row's cells.
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
        name: A short name for links.
        title: What the table shows.
        head: The titles of the columns after the method's, each with its unit (or an empty text)
            and an arrow that points to the better side.
        rows: The rows, one per method.
        notes: The footnotes.
        number: Its number, such as `Table 3`; `numbered` gives it.
    """

    name: str
    title: str
    head: tuple[tuple[str, str, str], ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    number: str = ""


def number(value: float, digits: str) -> str:
    """Formats a number, with a true minus sign and, from 10 000 on, separated thousands.

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


def percent(share: float, digits: int = 0) -> str:
    """Formats a share.

    Example:
        >>> percent(0.85), percent(0.0123, 1)
        ('85 %', '1.2 %')
    """
    return f"{100 * share:.{digits}f} %"


def cell(value: float, low: float, high: float, digits: str) -> Cell:
    """Returns the cell of a number with its interval.

    It is `> low` if the interval has no upper end, and `< high` if it has no lower end.

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


def metric_column(results: Results, fact: MetricInfo) -> list[Cell]:
    """Returns the cells `[methods]` of one metric, in the order of `results.methods`."""
    cells = {
        row.method: cell(row.value, row.low, row.high, fact.digits)
        for row in records(results.metric(fact.name))
    }
    return [cells.get(method, Cell(DASH)) for method in results.methods["method"]]


def metric_table(results: Results, name: str, title: str, facts: Iterable[MetricInfo]) -> Table:
    """Returns a table of metrics, whose first columns are the training cost and the total cost."""
    columns = [
        (fact.symbol, fact.unit.replace("retrainings per ", "per "), _arrow(fact.direction))
        for fact in facts
    ]
    cells = [
        [_measured(float(v), lambda v: number(v, ".2f")) for v in results.methods[name]]
        for name in ("cost", "total")
    ]
    cells += [metric_column(results, fact) for fact in facts]
    costs = [("cost", "trainings", ""), ("total", "trainings", "")]
    return _table(results, name, title, [*costs, *columns], cells, given=len(costs))


def elsewhere_tables(results: Results, fact: MetricInfo, most: int) -> list[Table]:
    """Returns tables of a metric on each set of out-of-distribution inputs, so many sets in one;
    none where there are not several sets.
    """
    if results.elsewhere is None:
        return []
    found = results.elsewhere[results.elsewhere["metric"] == fact.name]
    sets, methods = list(found["set"].unique()), list(results.methods["method"])
    columns = []
    for name in sets:
        cells = {
            row.method: cell(row.value, row.low, row.high, fact.digits)
            for row in records(found[found["set"] == name])
        }
        column = [cells.get(method, Cell(DASH)) for method in methods]
        columns.append(column)
    title = f"The {fact.title}, by the set of these inputs."
    return [
        _table(
            results,
            f"elsewhere-{start}",
            title,
            [(name, "", _arrow(fact.direction)) for name in sets[start : start + most]],
            columns[start : start + most],
        )
        for start in range(0, len(sets), most)
    ]


def cost_table(results: Results, title: str) -> Table:
    """Returns the table of every method's cost, averaged over its runs."""
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
    return _table(results, "costs", title, [head for head, _ in show.values()], cells)


def _measured(value: float, text: Callable[[float], str]) -> Cell:
    return Cell(DASH) if math.isnan(value) else Cell(text(value), order=value)


def duration(seconds: float) -> str:
    """Returns a duration in words.

    Example:
        >>> duration(0.25), duration(75.4), duration(4000)
        ('0.25 s', '1 min 15 s', '1 h 06 min')
    """
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: float) -> str:
    """Returns a number of bytes in decimal units.

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
    name: str,
    title: str,
    head: Sequence[tuple[str, str, str]],
    columns: Sequence[Sequence[Cell]],
    *,
    given: int = 0,
) -> Table:
    """Returns a table without the columns and rows in which nothing is known.

    Args:
        results: The results, with a row per method.
        name: The table's short name.
        title: What it shows.
        head: The heads of its columns.
        columns: Their cells `[columns][methods]`.
        given: How many columns, from the first on, don't count as something that a row knows.
    """
    kept = [k for k, column in enumerate(columns) if any(c.text != DASH for c in column)]
    rows = []
    for i, method in enumerate(records(results.methods)):
        if all(columns[k][i].text == DASH for k in kept if k >= given):
            continue
        mark = "‡" if method.lost else "" if method.is_retraining else "†"
        cells = tuple(columns[k][i] for k in kept)
        rows.append(Row(int(method.number), str(method.method), mark, str(method.family), cells))
    return Table(name, title, tuple(head[k] for k in kept), tuple(rows), _notes(results, rows))


def _notes(results: Results, rows: Sequence[Row]) -> tuple[str, ...]:
    """Returns the footnotes of a table with these rows."""
    marks, cells = {row.mark for row in rows}, [cell for row in rows for cell in row.cells]
    notes = []
    if any(c.interval for c in cells):
        notes.append("The 95 % interval is grey.")
    if any(c.text == DASH for c in cells):
        notes.append(f"{DASH}  Not defined, or not measured, for that method.")
    if len(rows) < len(results.methods):
        notes.append("Methods of which nothing here is known have no row.")
    notes += ["†  The method's members are not retrainings."] if "†" in marks else []
    notes += ["‡  All runs of the method failed."] if "‡" in marks else []
    return tuple(notes)


def _arrow(direction: str) -> str:
    return {"higher": "↑", "lower": "↓", "one": "→ 1"}.get(direction, "")
