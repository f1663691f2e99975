"""The blocks of a report. report.typ and report.html draw every kind, so both show the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from thalweg.report.tables import Table

# Text between two of these characters is bold. A label can contain `**`, but not this character.
BOLD = "\x02"
# The name of a block between two of these characters becomes its number, such as "Figure 2".
SEEN = "\x03"


def bold(text: str) -> str:
    """Returns a text that is drawn in bold."""
    return f"{BOLD}{text}{BOLD}"


def see(name: str) -> str:
    """Returns a reference to the figure, table or equation of that name."""
    return f"{SEEN}{name}{SEEN}"


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
class Equation:
    """A formula on a line of its own.

    Attributes:
        name: A short name for links.
        formula: The formula, in the language of Typst.
        number: Its number, such as `eq. (1)`; `numbered` gives it.
    """

    name: str
    formula: str
    number: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: A short name for files and links.
        caption: What the figure shows, and what is to be seen in it.
        figure: The figure as it is printed.
        tips: What parts of the figure say under the pointer, by their ids in the drawing.
        live: The same figure as a plotly figure, which the page shows instead; None if there is
            none.
        number: Its number, such as `Figure 2`; `numbered` gives it.
    """

    name: str
    caption: str
    figure: Figure
    tips: Mapping[str, str] = field(default_factory=dict)
    live: dict[str, Any] | None = None
    number: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of texts, whatever they are; `Table` is that of methods.

    Attributes:
        name: A short name for links.
        title: What the table shows.
        head: The titles of the columns, each with its unit or an empty text.
        rows: The rows, a text for each column. The first column stands to the left, others to the
            right.
        notes: The footnotes.
        number: Its number, such as `Table 3`; `numbered` gives it.
    """

    name: str
    title: str
    head: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    number: str = ""


Block = Paragraph | Pairs | Items | Code | Equation | Picture | Table | Grid


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
        answer: The answer, in a few paragraphs.
        sections: The sections.
        date: The date on which the study ended, in ISO 8601.
        version: The version of thalweg.
        lang: The language of its words: `en` or `fr`.
    """

    title: str
    subtitle: str
    answer: tuple[str, ...]
    sections: tuple[Section, ...]
    date: str
    version: str
    lang: str = "en"
