"""What the commands share: their command line, results that are kept as they are measured, and the
pages that are made of them.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from thalweg import files
from thalweg.errors import InputError

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def parser(command: str, about: str, names: str, results: Path) -> argparse.ArgumentParser:
    """Returns the options that commands which measure studies have in common.

    Args:
        command: The command's name, as in `python -m research.NAME`.
        about: What it does.
        names: What can be named on the command line.
        results: Where its results are kept.
    """
    made = argparse.ArgumentParser(f"python -m research.{command}", description=about)
    made.add_argument("names", nargs="+", help=names)
    made.add_argument("--data-dir", type=Path, default=None)
    made.add_argument("--results", type=Path, default=results)
    made.add_argument("--quick", action="store_true", help="the plans' short form")
    made.add_argument(
        "--check", action="store_true", help="with page: only say whether it is up to date"
    )
    return made


def run(
    options: argparse.ArgumentParser,
    arguments: list[str] | None,
    work: Callable[[argparse.Namespace], int],
) -> int:
    """Runs a command: mistakes of the user's are one line and exit code 2."""
    given, kept = options.parse_args(arguments), options.get_default("results")
    torch.set_num_threads(1)
    try:
        if given.quick and given.results == kept:
            raise InputError(
                "--quick got no --results: give another folder, what is measured quickly is not "
                "for the pages"
            )
        return work(given)
    except InputError as error:
        print(f"{options.prog.rpartition('.')[2]}: {error}", file=sys.stderr)
        return 2


def kept(file: Path, identity: str, begun: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a file has, or what a new one begins with, beside `identity` and the version of
    torch.

    Raises:
        InputError: The file was measured with something else.
    """
    if not file.exists():
        return {**begun, "identity": identity, "torch": torch.__version__}
    found = json.loads(file.read_text())
    if found.get("identity", identity) != identity:
        raise InputError(
            f"{file} was measured with another plan, torch or version of thalweg: move it away "
            "to measure anew"
        )
    return found


def stored(folder: Path) -> list[dict[str, Any]]:
    """Returns the content of the JSON files of a folder, in the order of their names."""
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


def put(pages: Mapping[Path, str], *, check: bool = False) -> int:
    """Writes pages; with `check` it only looks.

    Returns:
        The exit code: 1 if it only looked, and one is out of date.
    """
    stale = {
        path: text for path, text in pages.items() if not path.exists() or path.read_text() != text
    }
    if check:
        return 1 if stale else 0
    for path, text in stale.items():
        files.write_bytes(path, text.encode())
    return 0


def table(head: list[str], rows: list[list[Any]]) -> str:
    """Returns a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines) + "\n"
