"""Names: a study's name is always a single folder's name, and a label is plain text wherever it is
shown.
"""

import io
import re
import sys
from pathlib import Path

import pytest

import tiny
from stored import one_line
from thalweg import cli, files
from thalweg.errors import InputError
from thalweg.report.html import html
from thalweg.report.labels import plain
from thalweg.report.results import load
from thalweg.study.plan import make_plan, plan_of, read_plan

sys.path.append(str(Path(__file__).parents[1] / "report"))
from synthetic import METHODS, write_results

FOLDERS = {
    "../../x",
    "/abs",
    ".",
    "..",
    "",
    " ",
    "a/b",
    "a\\b",
    "C:",
    "a\x00b",
    "a\nb",
    "CON",
    "nul.txt",
    "com1",
    "a?",
    "a*",
    "<a>",
    'a"b',
    "a|b",
    "a.",
    " a",
    "a ",
    "x" * 300,
    "\u00e9" * 150,
    "a\x7f",
    "~/x",
    "\ud800",
}


@pytest.mark.parametrize("name", sorted(FOLDERS), ids=repr)
def test_names_that_are_no_folder_are_one_line(name):
    with pytest.raises(InputError, match=r"^plan: name got ") as caught:
        make_plan(tiny.raw(name=name))
    one_line(caught)
    facts = tiny.plan().facts() | {"name": name}
    with pytest.raises(InputError, match=r"^plan\.json: name"):
        plan_of(facts)


@pytest.mark.parametrize(
    "name",
    ["digits", "a b", "été 2026", ".hidden", "a.b", "console", "$x$", "x" * 200, "\u65e5\u672c"],
)
def test_names_that_are(name, tmp_path):
    assert make_plan(tiny.raw(name=name)).name == name
    (tmp_path / name).mkdir()


def test_the_command_makes_no_folder_elsewhere(thalweg, tmp_path):
    (tmp_path / "deep").mkdir()
    plan = tiny.write_toml(tmp_path / "deep/plan.toml", tiny.raw(name="../../x"))
    for command in ("study", "landscape"):
        code, _, err = thalweg(command, plan)
        assert code == 2 and "name got '../../x'" in err and len(err.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep"]


@pytest.mark.parametrize("name", [3, True, ["a"], {"a": 1}])
def test_names_of_another_type(name, tmp_path):
    path = tiny.write_toml(tmp_path / "plan.toml", tiny.raw(name="x"))
    text = {3: "3", True: "true"}.get(
        name if isinstance(name, int) else None, '["a"]' if name == ["a"] else "{ a = 1 }"
    )
    path.write_text(path.read_text().replace('name = "x"', f"name = {text}", 1))
    with pytest.raises(InputError, match=r"plan\.toml: name got .*valid string"):
        read_plan(path)


@pytest.mark.parametrize(
    "label", ["a\nb", "a\x00", "\x02", "x" * 1001, 3, ["a"], "\u2028"], ids=repr
)
def test_labels_that_are_no_line_of_text(label):
    methods = [{"explorer": "deep-ensemble", "members": 2, "label": label}]
    with pytest.raises(InputError, match=r"plan: methods\[0\]\.label got ") as caught:
        make_plan(tiny.raw(methods=methods))
    one_line(caught)


LABELS = [
    r"$\frac$",
    "a_b^c_{",
    "#set page(width: 1cm)",
    "<script>alert(1)</script>",
    "*bold* **x",
    "`code` ```",
    "[red]x[/]",
    "[/]",
    "\U0001f600 :smile:",
    "reference",
    "w" * 300,
    "&amp; \\ % ~",
    "{{ 7 * 7 }}",
    "</script><b>",
    "=1+1",
    "\u65e5\u672c",
    "K_eq $",
]


def test_labels_are_text_everywhere(tmp_path):
    """Page, PDF and figures are made, and the page shows every label as it is."""
    from thalweg.report.content import content
    from thalweg.report.pdf import pdf

    methods = [
        (label, *m[1:])
        for label, m in zip(LABELS, [METHODS[k % 9 + 1] for k in range(len(LABELS))], strict=True)
    ]
    whole = content(load(write_results(tmp_path, methods, failures=False)))
    assert pdf(whole).startswith(b"%PDF")
    page = html(whole)
    from html import escape

    shown = set(re.findall(r'<span class="dot"[^>]*></span>(.*?)<sup>', page))
    assert shown == {
        escape(label).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") for label in LABELS
    }
    assert "<script>alert" not in page


@pytest.mark.parametrize("label", LABELS)
def test_no_label_is_mathematics_in_a_figure(label):
    from matplotlib.figure import Figure

    text = Figure().text(0, 0, plain(label, 1000))
    shown, mathematics = text._preprocess_math(text.get_text())
    assert not mathematics and shown == label


def test_labels_are_text_on_a_terminal(tmp_path, monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    methods = [(label, *METHODS[1][1:]) for label in LABELS if len(label) < 60]
    folder = write_results(tmp_path, methods, failures=False)
    cli._show(folder, load(folder).comparison)
    shown = out.getvalue()
    assert all(label in shown for label, *_ in methods)


def test_a_label_that_is_also_ours(tmp_path):
    """`reference` is what the retrainings' own spread is stored under."""
    methods = [{"explorer": "deep-ensemble", "members": 2, "label": "reference"}]
    tiny.study(tmp_path, methods=methods)
    tiny.table(tmp_path)
    found = load(tmp_path).uncertain
    tensors, _ = files.read_tensors(tmp_path / "results/uncertain.safetensors")
    assert (found.reference_std == tensors["reference|std"].numpy()).all()
    assert (found.spread["reference"] == tensors["method|reference|std"].numpy()).all()
    assert (found.spread["reference"] != found.reference_std).any()
