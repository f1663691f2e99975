"""statement.pdf and statement.html: the content of a statement's pages, drawn by the reports'
templates.
"""

from pathlib import Path

from thalweg import files
from thalweg.errors import InputError
from thalweg.report.blocks import (
    Block,
    Content,
    Equation,
    Pairs,
    Paragraph,
    Picture,
    Section,
    bold,
)
from thalweg.report.html import html
from thalweg.report.numbering import numbered
from thalweg.report.pdf import pdf
from thalweg.statement import plots, sentences
from thalweg.statement.deferral import deferral_of
from thalweg.statement.grids import budget, indices, results, risks, sources
from thalweg.statement.held import Stated
from thalweg.statement.words import decimal, percent, words

_EXPANDED = (
    'U = k u, quad k = t_p (nu_upright("eff")), quad '
    'nu_upright("eff") = u^4 \\/ (sum_i u_i^4 \\/ nu_i)'
)
SHOWN = 20  # inputs in the table of results


def write(statement: Stated, path: str | Path, lang: str = "en") -> Path:
    """Writes the pages, as `Statement.report`."""
    place = files.local(path)
    words(lang)
    if place.suffix == ".pdf":
        data = pdf(content(statement, lang))
    elif place.suffix in (".html", ".htm"):
        data = html(content(statement, lang)).encode()
    else:
        raise InputError(f"report got '{place.name}', needs a name that ends with .pdf or .html")
    files.write_bytes(place, data)
    return place


def content(statement: Stated, lang: str) -> Content:
    """All words, numbers and figures of the pages."""
    own = words(lang)
    sections = [
        Section(own["results"], tuple(_results(statement, lang))),
        Section(own["budget_section"], tuple(_budget(statement, lang))),
    ]
    if statement.decision is not None or statement.nominal is not None:
        title = own["conformity" if statement.decision is not None else "nominal_section"]
        sections.append(Section(title, tuple(_conformity(statement, lang))))
    if statement.decision is not None and statement.nominal is not None:
        sections.append(Section(own["nominal_section"], (indices(statement, lang),)))
    sections.append(Section(own["method_section"], tuple(_method(statement, lang))))
    sections.append(Section(own["identification"], (_identification(statement, lang),)))
    shown, _ = numbered(sections, lang)
    answer = [
        bold(sentences.measurand(statement, lang)),
        sentences.typical(statement, lang),
        sentences.expanded(statement, lang),
        sentences.decided(statement, lang),
        sentences.flagged(statement, lang),
    ]
    made = str(statement.identity.get("made", "1970-01-01T00:00:00+00:00"))
    what = own["classes" if statement.simplex else "outputs"]
    return Content(
        title=own["title"],
        subtitle=own["subtitle"].format(
            inputs=len(statement.inputs),
            columns=len(statement.columns),
            what=what,
            date=made[:10],
        ),
        answer=tuple(text for text in answer if text),
        sections=shown,
        date=made,
        version=str(statement.identity.get("versions", {}).get("thalweg", "unknown")),
        lang=lang,
    )


def _results(statement: Stated, lang: str) -> list[Block]:
    own = words(lang)
    found: list[Block] = [results(statement, lang, SHOWN)]
    shown = min(len(statement.inputs), plots.MOST)
    level = percent(statement.level, lang)
    caption = own["estimates_caption"].format(shown=shown, level=level)
    found.append(Picture("estimates", caption, plots.estimates(statement, lang)))
    if statement.pictures is not None:
        drawn = plots.pictures(statement, lang)
        found.append(Picture("pictures", own["pictures_caption"], drawn))
    against = own["against_confidence" if statement.simplex else "against_estimate"]
    caption = own["u_caption"].format(against=against)
    found.append(Picture("u", caption, plots.uncertainty(statement, lang)))
    return found


def _budget(statement: Stated, lang: str) -> list[Block]:
    own = words(lang)
    found: list[Block] = [budget(statement, lang)]
    if statement.sources:
        found.append(sources(statement, lang))
    found.append(Picture("budget", own["budget_caption"], plots.budget(statement, lang)))
    return found


def _conformity(statement: Stated, lang: str) -> list[Block]:
    own = words(lang)
    found: list[Block] = []
    if statement.decision is None:
        found.append(indices(statement, lang))
    else:
        found += [Paragraph(sentences.rule(statement, lang)), risks(statement, lang)]
    curve = deferral_of(statement)
    basis = own[f"basis_error_{curve.basis}"]
    caption = own["deferral_caption"].format(basis=basis)
    found.append(Picture("deferral", caption, plots.deferral(statement, lang)))
    return found


def _method(statement: Stated, lang: str) -> list[Block]:
    own = words(lang)
    method = statement.component("method")
    unknown = method is not None and method.u is None
    how = {"student": "how_student", "order": "how_order", "mean": "how_mean_interval"}
    terms = " + ".join(
        f'u_upright("{own[one.name].split(",")[0]}")^2'
        for one in statement.components
        if one.counted and one.u is not None
    )
    return [
        Paragraph(sentences.measurand(statement, lang)),
        Equation("combination", f"u^2 = {terms}"),
        Equation("expansion", _EXPANDED),
        Paragraph(own[f"how_{statement.measurand}"]),
        *([Paragraph(own["how_unknown"])] if unknown else []),
        Paragraph(own[how[statement.intervals]]),
        Paragraph(own["not_covered"]),
        Paragraph(own["documents"]),
    ]


def _identification(statement: Stated, lang: str) -> Pairs:
    own, facts = words(lang), statement.identity
    versions = ", ".join(f"{name} {number}" for name, number in facts.get("versions", {}).items())
    held = own["check_held"] if statement.checked else own["check_not_done"]
    rows = [(own["made"], str(facts.get("made", "–"))), (own["versions"], versions or "–")]
    rows.append((own["checked"], "; ".join(statement.checks) or held))
    for name in ("seed", "trainings", "inputs_sha256", "predictions_sha256", "weights_sha256"):
        value = facts.get(name)
        if value is not None:
            text = ", ".join(value) if isinstance(value, list) else f"{value}"
            rows.append((own[name], decimal(f"{value:.2f}", lang) if name == "trainings" else text))
    return Pairs(tuple(rows))
