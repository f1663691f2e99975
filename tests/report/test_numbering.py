"""One numbering in print and on the page, and formulas that both typeset from one source."""

import re
import unicodedata

import pytest
from matplotlib.figure import Figure

from thalweg.report import equations
from thalweg.report.blocks import Equation, Paragraph, Picture, Section, see
from thalweg.report.numbering import numbered
from thalweg.report.tables import Table


def test_blocks_are_numbered_by_kind_and_referred_to_before_and_after():
    sections, resolve = numbered(
        [
            Section("a", (Paragraph(f"{see('second')} and {see('only')}"), Equation("only", "x"))),
            Section(
                "b",
                (
                    Picture("first", "one", Figure()),
                    Table("numbers", "the table", (), ()),
                    Picture("second", f"after {see('first')}", Figure()),
                ),
            ),
        ]
    )
    assert sections[0].blocks[0] == Paragraph("Figure 2 and eq. (1)")
    numbers = [block.number for block in sections[1].blocks]
    assert numbers == ["Figure 1", "Table 1", "Figure 2"]
    assert sections[1].blocks[2].caption == "after Figure 1"
    assert resolve(see("numbers")) == "Table 1"


def test_a_reference_to_nothing_is_a_mistake():
    with pytest.raises(KeyError):
        numbered([Section("a", (Paragraph(see("nothing")),))])


def test_formulas_are_mathml():
    formulas = [b.formula for b in equations.blocks(bound=True) if isinstance(b, Equation)]
    made = equations.mathml(formulas)
    assert len(made) == len(formulas) == 6
    text = unicodedata.normalize("NFKC", re.sub(r"<[^>]+>", "", made[-1]))
    assert text == "Keq≤11+1/K−1" and "<msqrt>" in made[-1] and "<mfrac>" in made[-1]
    assert equations.mathml([]) == []
