"""The numbers of figures, tables and equations, the same in print and on the page."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from thalweg.report.blocks import (
    SEEN,
    Block,
    Equation,
    Grid,
    Pairs,
    Paragraph,
    Picture,
    Section,
)
from thalweg.report.tables import Table

Resolve = Callable[[str], str]
_REFERENCE = re.compile(f"{SEEN}([^{SEEN}]+){SEEN}")


_WORDS = {
    "en": {"equation": "eq. ({})", "figure": "Figure {}", "table": "Table {}"},
    "fr": {"equation": "éq. ({})", "figure": "Figure {}", "table": "Tableau {}"},
}


def numbered(sections: Sequence[Section], lang: str = "en") -> tuple[tuple[Section, ...], Resolve]:
    """Numbers the blocks in their order, and puts the numbers where texts refer to them.

    Args:
        sections: The sections.
        lang: The language of the words before numbers: `en` or `fr`.

    Returns:
        The sections, and a function that does the same with other texts.
    """
    counts: Counter[str] = Counter()
    numbers: dict[str, str] = {}
    counted = []
    for section in sections:
        blocks: list[Block] = []
        for block in section.blocks:
            kind = _WORDS[lang][_kind(block)]
            if isinstance(block, Equation | Picture | Table | Grid):
                counts[kind] += 1
                block = replace(block, number=kind.format(counts[kind]))
                numbers[block.name] = block.number
            blocks.append(block)
        counted.append(Section(section.title, tuple(blocks)))

    def resolve(text: str) -> str:
        return _REFERENCE.sub(lambda found: numbers[found[1]], text)

    done = (
        Section(s.title, tuple(_resolved(block, resolve) for block in s.blocks)) for s in counted
    )
    return tuple(done), resolve


def _kind(block: Block) -> str:
    match block:
        case Equation():
            return "equation"
        case Picture():
            return "figure"
        case _:
            return "table"


def _resolved(block: Block, resolve: Resolve) -> Block:
    match block:
        case Paragraph(text):
            return Paragraph(resolve(text))
        case Pairs(rows):
            return Pairs(tuple((name, resolve(text)) for name, text in rows))
        case Picture():
            return replace(block, caption=resolve(block.caption))
        case Table() | Grid():
            return replace(block, title=resolve(block.title))
        case _:
            return block
