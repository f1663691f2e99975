"""The tables of docs that show what improves the centre, made from the files of
research/ideas/results.

No number in them is written by hand. They are between `<!-- ideas FAMILY -->` and `<!-- end -->`,
where `all` means every family. The tables of wrongly stated recipes are between
`<!-- recipes ROLE -->` and `<!-- end -->`, where `summary` counts all roles; that of own loops is
between `<!-- loops -->` and `<!-- end -->`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from research.ideas import loops, recipes
from research.ideas.centre import Pair, average, least, most, standard_error
from research.ideas.kinds import KINDS
from research.skeleton import DOCS, stored, table
from thalweg.errors import unknown

RESULTS = Path(__file__).parent / "results"
RECIPES = re.compile(r"(<!-- recipes (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
LOOPS = re.compile(r"(<!-- loops -->\n).*?(<!-- end -->)", re.DOTALL)
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
    """Returns the pages whose tables are out of date, with their new texts."""
    studies, told, own = (stored(results / part) for part in ("", "recipes", "loops"))
    pages = {path: path.read_text() for path in sorted(docs.glob("*.md"))}
    new = {path: filled(text, studies, told, own) for path, text in pages.items()}
    return {path: text for path, text in new.items() if text != pages[path]}


def filled(
    text: str,
    studies: list[dict[str, Any]],
    told: Sequence[dict[str, Any]] = (),
    own: Sequence[dict[str, Any]] = (),
) -> str:
    """Returns a page with its tables filled: of kinds of networks, of wrong recipes, and of own
    loops.
    """
    text = MARK.sub(lambda mark: mark[1] + rows(studies, mark[2]) + mark[3], text)
    text = LOOPS.sub(lambda mark: mark[1] + loops.filled(own) + mark[2], text)
    return RECIPES.sub(lambda mark: mark[1] + recipes.filled(mark[2], told) + mark[3], text)


def rows(studies: list[dict[str, Any]], family: str) -> str:
    """Returns the table of a family, with the control in every study.

    Raises:
        InputError: There is no such family.
    """
    families = {kind.family for kind in KINDS.values()}
    if family not in families | {"all"}:
        raise unknown("family of ideas", family, [*families, "all"])
    return table(
        HEAD,
        [
            cells(study, name)
            for study in studies
            for name, kind in KINDS.items()
            if name in study["kinds"] and (kind.family in ("control", family) or family == "all")
        ],
    )


def cells(study: dict[str, Any], name: str) -> list[str]:
    """Returns the cells of one row."""
    kind, first = study["kinds"][name], study["kinds"][next(iter(KINDS))]
    bases = min(len(kind["bases"]), len(first["bases"]))
    pairs = [Pair(**base) for base in kind["bases"][:bases]]
    control = [Pair(**base) for base in first["bases"][:bases]]
    mean, k, v = average(pairs), kind["copies"], least(pairs)
    over = ""
    if kind is not first:
        over = f"{v - least(control):+.3f} ± {standard_error(pairs, control):.3f}"
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
