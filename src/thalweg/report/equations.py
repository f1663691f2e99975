"""The formulas of what is measured, typeset by Typst in print and, as MathML, on the page."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from thalweg import files
from thalweg.errors import InputError
from thalweg.report.blocks import Block, Equation, Paragraph, see
from thalweg.report.extras import extra

_MATH = re.compile(r"<math\b.*?</math>", re.DOTALL)

_U = (
    "u(x)^2 = sum_c 1/(R - 1) sum_(r=1)^R (p_(r c)(x) - macron(p)_c (x))^2, quad macron(p)_c = "
    "1/R sum_r p_(r c)"
)
_ENERGY = (
    'upright("ES") = 1/(M R) sum_(s, r) abs(q_s - p_r) - 1/(2 M^2) sum_(s, s\') '
    "abs(q_s - q_(s')), quad D = 1/(R (R - 1)) sum_(r != r') abs(p_r - p_(r'))"
)
_K_EQ = (
    'upright("gap") = (upright("ES") - D \\/ 2) / (D \\/ 2), quad '
    'K_upright("eq") = 1 / upright("gap")'
)
_K_U = (
    'e^2 = (chevron.l (u_upright("method") - u_upright("reference"))^2 chevron.r - sigma^2) / '
    '(chevron.l u_upright("reference") chevron.r^2), quad e_upright("ensemble") (K_u) = e'
)
_COST = 'upright("total cost") = (B + F \\/ 3) / B_1'
_BOUND = 'K_upright("eq") <= 1 / (sqrt(1 + 1 \\/ K) - 1)'


def blocks(*, bound: bool) -> list[Block]:
    """Returns the definitions of what is measured.

    Args:
        bound: Whether the report shows the bound of K_eq.
    """
    found: list[Block] = [
        Paragraph(
            "For an input x, retraining r predicts the values p of all classes c; of a regression "
            "there is one. The standard uncertainty u is their standard deviation over the R "
            "reference retrainings:"
        ),
        Equation("u", _U),
        Paragraph(
            "K_eq compares distributions. The energy score ES measures how far the M predictions q "
            "of a method are from the reference's, and D how far the reference's are from each "
            "other, with Euclidean norms over classes and means over test inputs:"
        ),
        Equation("energy", _ENERGY),
        Equation("k_eq_formula", _K_EQ),
        Paragraph(
            "K real retrainings have a gap of 1/K on average, so that K_eq of a deep ensemble of K "
            "is K. K_u compares u alone. With angle brackets for means over test inputs, and σ² "
            "for the reference's own sampling noise, it is the number of members of the deep "
            "ensembles whose u has the same error e:"
        ),
        Equation("k_u_formula", _K_U),
        Paragraph(
            "Costs are counted in network evaluations: B with a backward pass, F without one, and "
            "B₁ those of one training:"
        ),
        Equation("cost", _COST),
    ]
    if bound:
        found += [
            Paragraph(
                "If nothing is known of the retrainings' mean except the mean of K anchors, the "
                "best that is possible with the right spread is about"
            ),
            Equation("bound", _BOUND),
            Paragraph(f"A method beyond {see('bound')} knows more of the retrainings' mean."),
        ]
    return found


def mathml(formulas: Sequence[str]) -> list[str]:
    """Returns formulas as `<math>` elements, which Typst makes.

    Raises:
        InputError: typst is not installed, or is older than 0.15.
    """
    if not formulas:
        return []
    source = "\n\n".join(f"$ {formula} $" for formula in formulas)
    with tempfile.TemporaryDirectory(prefix="thalweg-equations-") as name:
        path = Path(name) / "equations.typ"
        files.write_bytes(path, source.encode())
        try:
            page = extra("typst").compile(str(path), format="html").decode()
        except RuntimeError:
            page = ""
    found = _MATH.findall(page)
    if len(found) != len(formulas):
        raise InputError("the report needs typst 0.15 or later: pip install -U thalweg[report]")
    return found
