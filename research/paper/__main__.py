"""Builds the paper: `python -m research.paper` writes paper/thalweg.pdf, thalweg-fr.pdf and the
web pages beside them, from committed results alone.
"""

import argparse
import json
import sys
from pathlib import Path

import typst

from research.paper.facts import facts
from research.paper.figures import drawn
from research.paper.web import page
from research.skeleton import ROOT
from thalweg import files

PAPER = ROOT / "paper"
LANGUAGES = {"en": "thalweg", "fr": "thalweg-fr"}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    options = argparse.ArgumentParser("python -m research.paper", description="Builds the paper.")
    options.add_argument("--output", type=Path, default=PAPER)
    given = options.parse_args(arguments)
    found, build = facts(), PAPER / "build"
    build.mkdir(parents=True, exist_ok=True)
    files.write_bytes(build / "facts.json", json.dumps(found).encode())
    figures = {lang: drawn(found, lang) for lang in LANGUAGES}
    for lang, pictures in figures.items():
        for name, svg in pictures.items():
            files.write_bytes(build / f"{name}-{lang}.svg", svg)
    style = (PAPER / "style.css").read_text()
    for lang, name in LANGUAGES.items():
        source = PAPER / f"{name}.typ"
        files.write_bytes(given.output / f"{name}.pdf", compiled(source, lang, "pdf"))
        web = page(compiled(source, lang, "html").decode(), figures[lang], style, lang)
        files.write_bytes(given.output / f"{name}.html", web.encode())
    return 0


def compiled(source: Path, lang: str, target: str) -> bytes:
    """Returns what typst makes of a source."""
    return bytes(
        typst.compile(
            str(source),
            root=str(PAPER),
            format=target,
            sys_inputs={"lang": lang, "target": target},
            ignore_system_fonts=True,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
