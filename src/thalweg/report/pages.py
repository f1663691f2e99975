"""report.pdf and report.html of a study, made of its result files."""

from pathlib import Path

from thalweg import files
from thalweg.errors import InputError
from thalweg.metrics.facts import FACTS
from thalweg.report.content import content
from thalweg.report.html import html
from thalweg.report.pdf import pdf
from thalweg.report.results import load


def write(directory: Path) -> tuple[Path, Path]:
    """Makes report.pdf and report.html in a study's folder, of `directory/results` alone.

    Args:
        directory: The study's output folder.

    Returns:
        The paths of report.pdf and report.html.

    Raises:
        InputError: A result file or a number is missing, or the extra `report` is not installed; the line says which.
    """
    results = load(directory, FACTS)
    unknown = sorted(set(results.comparison["metric"]) - set(FACTS))
    if unknown:
        raise InputError(f"{directory}/results/comparison.parquet has the metric '{unknown[0]}' that has no entry in "
                         "metrics/facts.py: run `thalweg compare` with this version")  # fmt: skip
    whole = content(results, FACTS)
    printed, page = pdf(whole), html(whole)
    paths = directory / "report.pdf", directory / "report.html"
    files.write_bytes(paths[0], printed)
    files.write_bytes(paths[1], page.encode())
    return paths
