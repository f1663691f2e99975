"""Where retraining uncertainty comes from, and when enough networks were trained."""

from thalweg.sources.asking import budget, plan
from thalweg.sources.budget import Budget, budget_of
from thalweg.sources.design import Design
from thalweg.sources.given import design_of
from thalweg.sources.planning import Planned
from thalweg.sources.rows import Row
from thalweg.sources.stability import Stability, stability
from thalweg.sources.until import Enough, train_until_stable, until_stable

__all__ = [
    "Budget",
    "Design",
    "Enough",
    "Planned",
    "Row",
    "Stability",
    "budget",
    "budget_of",
    "design_of",
    "plan",
    "stability",
    "train_until_stable",
    "until_stable",
]
