"""Pages to file: in both languages, with the statement's numbers, in plain words."""

import re

import pytest
import torch

import thalweg
from thalweg.errors import InputError
from thalweg.report.blocks import Grid, Picture
from thalweg.statement.pages import content

pytest.importorskip("typst")
pytest.importorskip("jinja2")
OWN_WORDS = re.compile(r"\b(K_u|K_eq|anchor|explorer|proxy|proxies|ancre|reference)\b")


@pytest.fixture(scope="module")
def made():
    random = torch.Generator().manual_seed(0)
    centre = 3 * torch.randn(30, 3, generator=random, dtype=torch.float64)
    given = centre + torch.randn(4, 30, 3, generator=random, dtype=torch.float64)
    rows = [thalweg.statement.SourceRow("init", 0.05, freedom=6, share=0.7, low=0.03, high=0.08)]
    settings = {"tolerance": thalweg.Tolerance(low=0.7), "sources": rows}
    return thalweg.state(given, kind="logits", columns=["oak", "ash", "elm"], **settings)


def grids(made, lang):
    blocks = [block for section in content(made, lang).sections for block in section.blocks]
    return {block.name: block for block in blocks if isinstance(block, Grid)}, blocks


def test_the_numbers_are_the_statements(made):
    found, blocks = grids(made, "en")
    first = found["results"].rows[0]
    number = made.inputs.index(first[0])
    assert (
        made.u[number].gather(0, made.answers()[number])
        == made.u.gather(1, made.answers()[:, None]).amax()
    )
    assert first[2] == made.text(number) and first[7] == made.decision.decided[number]
    assert len(found["results"].rows) == 20 and "20 of 30" in found["results"].notes[-1]
    assert [row[0] for row in found["sources"].rows] == ["init"]
    risk = made.decision.global_risks()["false_acceptance"]
    assert found["risks"].rows[3][1] == f"{100 * risk:.2f}\u00a0%"
    assert sum(isinstance(block, Picture) for block in blocks) == 4


def test_french_is_written_as_french(made):
    found, _ = grids(made, "fr")
    assert "," in found["results"].rows[0][2] and "." not in found["results"].rows[0][2]
    whole = content(made, "fr")
    said = " ".join(whole.answer)
    for term in ("mesurande", "incertitude-type composée", "facteur d’élargissement"):
        assert term in said
    assert found["results"].number == "Tableau 1"
    conformity = " ".join(str(block) for section in whole.sections for block in section.blocks)
    assert "bande de garde" in conformity and "degrés de liberté effectifs" in said


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_pages_are_written(made, lang, tmp_path):
    page = made.report(tmp_path / "statement.html", lang=lang).read_text()
    assert f'<html lang="{lang}">' in page
    number = int(made.u.gather(1, made.answers()[:, None]).argmax())
    assert made.text(number, comma=lang == "fr") in page
    text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not OWN_WORDS.search(text)
    printed = made.report(tmp_path / "statement.pdf", lang=lang).read_bytes()
    assert printed.startswith(b"%PDF") and 20_000 < len(printed) < 2_000_000


def test_values_without_a_decision_have_pages(tmp_path):
    values = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(2))
    made = thalweg.state(values, kind="values", outputs=thalweg.Values(units="K"))
    assert made.report(tmp_path / "s.html").stat().st_size > 10_000
    found, _ = grids(made, "en")
    assert [title for title, _ in found["components"].head[1:3]] == ["output 0", "output 1"]


def test_other_names_and_languages_are_refused(made, tmp_path):
    with pytest.raises(InputError, match=r"ends with \.pdf or \.html"):
        made.report(tmp_path / "statement.doc")
    with pytest.raises(InputError, match="unknown language 'de'"):
        made.report(tmp_path / "statement.pdf", lang="de")
    assert not list(tmp_path.iterdir())
