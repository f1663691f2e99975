"""Where retraining uncertainty comes from, and when enough networks were trained."""

from thalweg.sources.asking import budget, plan
from thalweg.sources.budget import Budget, Row, budget_of
from thalweg.sources.design import Design
from thalweg.sources.given import design_of
from thalweg.sources.planning import Planned

__all__ = [
    "Budget",
    "Design",
    "Planned",
    "Row",
    "budget",
    "budget_of",
    "design_of",
    "plan",
]
