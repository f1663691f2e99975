"""report.pdf: the content, typeset by Typst with the fonts of its package, and figures with
those of matplotlib.
"""

import json
import tempfile
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib

from thalweg import files
from thalweg.errors import InputError
from thalweg.report.blocks import (
    Block,
    Code,
    Content,
    Equation,
    Grid,
    Items,
    Pairs,
    Paragraph,
    Picture,
)
from thalweg.report.extras import extra
from thalweg.report.svg import svg
from thalweg.report.tables import Table

_TALL = 1.25  # a figure whose height is more than so many widths has a page to itself


def pdf(content: Content) -> bytes:
    """Returns the report as a PDF file.

    Raises:
        InputError: typst is not installed, or can't typeset the report.
    """
    typst = extra("typst")
    with tempfile.TemporaryDirectory(prefix="thalweg-report-") as name:
        root = Path(name)
        lay_out(content, root)
        try:
            return bytes(
                typst.compile(
                    str(root / "report.typ"),
                    root=str(root),
                    font_paths=[str(Path(matplotlib.get_data_path()) / "fonts" / "ttf")],
                    ignore_system_fonts=True,
                    timestamp=_moment(content.date),
                )
            )
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"typst can't typeset the PDF file ({reason}): report this as an issue, with the "
                "results that it is of"
            ) from None


def lay_out(content: Content, root: Path) -> None:
    """Writes the template, the content as JSON and the figures to a folder that Typst compiles."""
    template = resources.files("thalweg.report").joinpath("report.typ").read_bytes()
    files.write_bytes(root / "report.typ", template)
    sections = [
        {"title": section.title, "blocks": [_block(block) for block in section.blocks]}
        for section in content.sections
    ]
    data = {
        "title": content.title,
        "subtitle": content.subtitle,
        "answer": content.answer,
        "sections": sections,
        "version": content.version,
        "lang": content.lang,
    }
    files.write_bytes(root / "content.json", json.dumps(data).encode())
    for section in content.sections:
        for block in section.blocks:
            if isinstance(block, Picture):
                drawing = svg(block.figure, block.name, words=True).encode()
                files.write_bytes(root / f"{block.name}.svg", drawing)


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Paragraph(text):
            return {"kind": "paragraph", "text": text}
        case Pairs(rows):
            return {"kind": "pairs", "rows": rows}
        case Items(texts):
            return {"kind": "items", "texts": texts}
        case Code(text):
            return {"kind": "code", "text": text}
        case Equation():
            return {"kind": "equation", "formula": block.formula, "number": block.number}
        case Picture():
            width, height = block.figure.get_size_inches()
            return {
                "kind": "picture",
                "file": f"{block.name}.svg",
                "caption": block.caption,
                "number": block.number,
                "tall": bool(height > _TALL * width),
            }
        case Grid():
            return {
                "kind": "grid",
                "number": block.number,
                "title": block.title,
                "head": block.head,
                "rows": block.rows,
                "notes": block.notes,
            }
        case Table():
            body = [
                [row.number, row.label, row.mark, [[c.text, c.interval] for c in row.cells]]
                for row in block.rows
            ]
            return {
                "kind": "table",
                "number": block.number,
                "title": block.title,
                "head": block.head,
                "rows": body,
                "notes": block.notes,
            }


def _moment(date: str) -> int:
    """Returns the study's end in seconds since 1970, so that equal results give equal files."""
    try:
        return int(datetime.fromisoformat(date).timestamp())
    except ValueError:
        raise InputError(
            f"the results have the date '{date}', needs ISO 8601 such as 2025-01-31T12:00:00+00:00"
        ) from None
