"""The report of a study: one PDF and one page, of its result files alone."""

from thalweg.report.pages import write

__all__ = ["write"]
