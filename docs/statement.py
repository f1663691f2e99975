"""Fills the tables of docs/statement.md from docs/statement.json: predictions of five networks.

`python docs/statement.py --train` trains the networks of `thalweg quantify --demo digits` anew and
writes the file; `--check` says whether the page is as it should be.
"""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import thalweg
from thalweg.commands.demo import digits

HERE = Path(__file__).parent
NETWORKS, ASKED = 5, 40


def trained() -> dict[str, Any]:
    """Probabilities of five networks for ten of the first forty inputs: each fourth by u."""
    demo = digits()
    members = thalweg.explorers.DeepEnsemble(members=NETWORKS).explore(demo.problem)
    predictions = thalweg.predict(demo.problem, members, demo.inputs[:ASKED])
    shown = predictions.u().argsort(descending=True)[::4].sort().values
    p = predictions.values()[:, shown].double()
    return {
        "inputs": [f"test image {i}" for i in shown.tolist()],
        "labels": demo.labels[shown].tolist(),
        "probabilities": [[[round(x, 7) for x in row] for row in one] for one in p.tolist()],
    }


def stated() -> thalweg.Statement:
    """The statement of the page."""
    record = json.loads((HERE / "statement.json").read_text())
    return thalweg.state(
        record["probabilities"],
        kind="probabilities",
        names=record["inputs"],
        labels=record["labels"],
        tolerance=thalweg.Tolerance(low=0.9, risk=0.05),
    )


def parts(made: thalweg.Statement) -> dict[str, str]:
    """The page's generated parts by name."""
    columns = ["input", "output", "stated", "u_retraining", "u_finite", "freedom", "k", "U"]
    columns += ["low", "high", "iqv", "mutual_information", "decision"]
    rows = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in made.table().to_dict("records"):
        texts = [f"{row[c]:.3g}" if isinstance(row[c], float) else str(row[c]) for c in columns]
        rows.append(f"| {' | '.join(texts)} |")
    said = "\n>\n".join(
        "\n".join(f"> {part}" for part in textwrap.wrap(line, 150))
        for line in str(made).splitlines()
    )
    return {"rows": "\n".join(rows), "said": said}


def filled(page: str, made: thalweg.Statement) -> str:
    """The page with its parts between their markers."""
    for name, text in parts(made).items():
        begin, end = f"<!-- statement {name} -->", "<!-- end -->"
        head, found, rest = page.partition(begin)
        _, closed, tail = rest.partition(end)
        if not (found and closed):
            sys.exit(f"docs/statement.md lacks {begin} or {end} after it")
        page = f"{head}{begin}\n{text}\n{end}{tail}"
    return page


def main() -> None:
    """Writes or checks the page."""
    if "--train" in sys.argv:
        (HERE / "statement.json").write_text(json.dumps(trained(), indent=None) + "\n")
    path = HERE / "statement.md"
    page = filled(path.read_text(), stated())
    if "--check" in sys.argv:
        if page != path.read_text():
            sys.exit("docs/statement.md is not that of its numbers: run python docs/statement.py")
        return
    path.write_text(page)


if __name__ == "__main__":
    main()
