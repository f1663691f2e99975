"""Blocks that a report is made of: report.typ and report.html draw each kind, so both show the
same.
"""

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from thalweg.report.tables import Table

BOLD = (
    "\x02"  # what stands between two of these is bold: no label can have one, as it can have `**`
)


def bold(text: str) -> str:
    """A part of a text in bold."""
    return f"{BOLD}{text}{BOLD}"


@dataclass(frozen=True)
class Paragraph:
    """Text; what stands between two `BOLD` is bold."""

    text: str


@dataclass(frozen=True)
class Pairs:
    """Short facts: a name and a text each."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Items:
    """A list of texts."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines to type."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: A short name for files and links.
        caption: What it shows and how to read it.
        figure: As printed.
        live: The same as a plotly figure, which the page shows instead; None where there is none.
    """

    name: str
    caption: str
    figure: Figure
    live: dict[str, Any] | None = None


Block = Paragraph | Pairs | Items | Code | Picture | Table


@dataclass(frozen=True)
class Section:
    """A titled part of the report."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Content:
    """All words, numbers and figures of a report.

    Attributes:
        title: Of the report.
        subtitle: Data, network and date in one line.
        answer: The answer in a few sentences.
        sections: The rest.
        date: When the study ended, ISO 8601.
        version: Of thalweg.
    """

    title: str
    subtitle: str
    answer: str
    sections: tuple[Section, ...]
    date: str
    version: str
