"""Writing report.pdf and report.html of a study, from its result files."""

from thalweg import files
from thalweg.places import Place
from thalweg.report.content import content
from thalweg.report.html import html
from thalweg.report.pdf import pdf
from thalweg.report.results import load


def write(directory: str | Place) -> tuple[Place, Place]:
    """Writes report.pdf and report.html to a study's folder, from `directory/results` only.

    Args:
        directory: The study's folder.

    Returns:
        The paths of report.pdf and report.html.

    Raises:
        InputError: A result file or a number is missing, or the extra `report` is not installed;
            the line says which.

    Example:
        >>> printed, page = write("results/digits")  # doctest: +SKIP
    """
    directory = files.given(directory)
    stored = load(directory)
    files.check_writable(directory)  # before the work, not after it
    whole = content(stored)
    printed, page = pdf(whole), html(whole)
    paths = directory / "report.pdf", directory / "report.html"
    files.write_bytes(paths[0], printed)
    files.write_bytes(paths[1], page.encode())
    return paths
