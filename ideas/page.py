"""The tables of docs that say what moves the centre, made of the JSON files of ideas/results.

No number there is written by hand.

They stand between `<!-- ideas FAMILY -->` and `<!-- end -->`, where `all` is every family; those of
recipes told wrongly between `<!-- recipes ROLE -->` and `<!-- end -->`, where `summary` counts all
roles.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from papers.page import table

from ideas import recipes
from ideas.centre import Pair, average, least, most, standard_error
from ideas.kinds import KINDS
from thalweg.errors import unknown

RESULTS = Path(__file__).parent / "results"
DOCS = RESULTS.parent.parent / "docs"
RECIPES = re.compile(r"(<!-- recipes (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
MARK = re.compile(r"(<!-- ideas (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = [
    "study",
    "beside the anchor",
    "cost",
    "copies",
    "var",
    "bias²",
    "shared",
    "w",
    "v, equal",
    "v",
    "over the first row",
    "K_eq at most",
]


def stale(results: Path = RESULTS, docs: Path = DOCS) -> dict[Path, str]:
    """Pages whose tables are out of date, with what they should be."""
    found = [json.loads(file.read_text()) for file in sorted(results.glob("*.json"))]
    told = [json.loads(file.read_text()) for file in sorted((results / "recipes").glob("*.json"))]
    pages = {path: path.read_text() for path in sorted(docs.glob("*.md"))}
    return {path: new for path, text in pages.items() if (new := filled(text, found, told)) != text}


def filled(text: str, found: list[dict[str, Any]], told: Sequence[dict[str, Any]] = ()) -> str:
    """A page with its tables filled: of kinds of networks, and of recipes told wrongly."""
    text = MARK.sub(lambda mark: mark[1] + rows(found, mark[2]) + mark[3], text)
    return RECIPES.sub(lambda mark: mark[1] + recipes.filled(mark[2], told) + mark[3], text)


def rows(found: list[dict[str, Any]], family: str) -> str:
    """The table of a family, with the control in every study.

    Raises:
        InputError: There is no such family.
    """
    families = {kind.family for kind in KINDS.values()}
    if family not in families | {"all"}:
        raise unknown("family of ideas", family, [*families, "all"])
    return table(
        HEAD,
        [
            cells(own, name)
            for own in found
            for name, kind in KINDS.items()
            if name in own["kinds"] and (kind.family in ("control", family) or family == "all")
        ],
    )


def cells(study: dict[str, Any], name: str) -> list[str]:
    """One row."""
    kind, first = (study["kinds"][own] for own in (name, next(iter(KINDS))))
    bases = min(len(kind["bases"]), len(first["bases"]))
    pairs, control = ([Pair(**base) for base in own["bases"][:bases]] for own in (kind, first))
    mean, k, v = average(pairs), kind["copies"], least(pairs)
    over = (
        f"{v - least(control):+.3f} ± {standard_error(pairs, control):.3f}"
        if kind is not first
        else ""
    )
    return [
        study["name"],
        name,
        f"{kind['cost']:.2f}",
        str(k),
        f"{kind['var']:.2f}",
        f"{kind['bias2']:.2f}",
        f"{mean.shared:.2f}",
        f"{mean.best():.2f}",
        f"{mean.mixed(k / (k + 1)):.3f}",
        f"{v:.3f} ± {standard_error(pairs):.3f}",
        over,
        f"{most(v):.1f}",
    ]
