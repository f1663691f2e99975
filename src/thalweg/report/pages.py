"""report.pdf and report.html of a study, made of its result files."""

from pathlib import Path

from thalweg import files
from thalweg.report.content import content
from thalweg.report.html import html
from thalweg.report.pdf import pdf
from thalweg.report.results import load


def write(directory: str | Path) -> tuple[Path, Path]:
    """Makes report.pdf and report.html in a study's folder, of `directory/results` alone.

    Args:
        directory: The study's output folder.

    Returns:
        The paths of report.pdf and report.html.

    Raises:
        InputError: A result file or a number is missing, or the extra `report` is not installed;
            the line says which.
    """
    directory = files.given(directory)
    whole = content(load(directory))
    printed, page = pdf(whole), html(whole)
    paths = directory / "report.pdf", directory / "report.html"
    files.write_bytes(paths[0], printed)
    files.write_bytes(paths[1], page.encode())
    return paths
