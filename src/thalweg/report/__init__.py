"""The report of a study: a PDF file and an HTML page, made from its result files only."""

from thalweg.report.pages import write

__all__ = ["write"]
