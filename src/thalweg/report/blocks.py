"""The blocks of a report. report.typ and report.html draw every kind, so both show the same."""

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from thalweg.report.tables import Table

# Text between two of these characters is bold. A label can contain `**`, but not this character.
BOLD = "\x02"


def bold(text: str) -> str:
    """Returns a text that is drawn in bold."""
    return f"{BOLD}{text}{BOLD}"


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text, in which text between two `BOLD` is bold."""

    text: str


@dataclass(frozen=True)
class Pairs:
    """Short facts, each with a name and a text."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Items:
    """A list of texts."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines that the reader can type."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: A short name for files and links.
        caption: What the figure shows and how to read it.
        figure: The figure as it is printed.
        live: The same figure as a plotly figure, which the page shows instead; None if there is
            none.
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
        title: The title of the report.
        subtitle: The data, the network and the date, in one line.
        answer: The answer, in a few sentences.
        sections: The sections.
        date: The date on which the study ended, in ISO 8601.
        version: The version of thalweg.
    """

    title: str
    subtitle: str
    answer: str
    sections: tuple[Section, ...]
    date: str
    version: str
