"""Uncertainty statements: what a laboratory files of a network's predictions.

`thalweg.state` makes a `Statement`; `Tolerance` says what conforms, and `SourceRow` is a row of a
budget of sources.
"""

from thalweg.statement.freedom import coverage_factor, freedom_of, welch_satterthwaite
from thalweg.statement.reading import read_statement
from thalweg.statement.sources import SourceRow
from thalweg.statement.statement import Statement
from thalweg.statement.stating import state
from thalweg.statement.tolerance import Decision, Tolerance

__all__ = [
    "Decision",
    "SourceRow",
    "Statement",
    "Tolerance",
    "coverage_factor",
    "freedom_of",
    "read_statement",
    "state",
    "welch_satterthwaite",
]
