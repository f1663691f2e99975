"""The paper: it is built from committed results alone, and a number that is missing stops it."""

import json
import re

import pytest

pytest.importorskip("typst")

import typst

from research.paper import __main__ as command
from research.paper.facts import facts
from research.paper.figures import FIGURES


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    assert command.main(["--output", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("name", ["thalweg", "thalweg-fr"])
def test_a_document_and_a_page_in_both_languages(built, name):
    assert (built / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    page = (built / f"{name}.html").read_text()
    assert page.count("<svg") == len(FIGURES) and "<title>" in page and "<math" in page
    assert len(page) < 2_000_000
    assert re.findall(r'class="number">([^<]*)<', page) == [f"({k})" for k in range(1, 7)]
    algorithms = re.findall(r'<div class="algorithm">(.*?)</div>', page, flags=re.DOTALL)
    assert len(algorithms) == 5 and all(len(text) > 300 for text in algorithms)


def test_both_languages_have_the_same_numbers_in_their_tables(built):
    def numbers(name):
        page = (built / name).read_text().replace(",", ".")
        cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
        return [re.findall(r"[0-9.]+", cell) for cell in cells if re.search("[0-9]", cell)]

    english, french = numbers("thalweg.html"), numbers("thalweg-fr.html")
    assert english == french and len(english) > 100


def test_a_missing_number_stops_the_build(tmp_path, built, monkeypatch):
    copy = tmp_path / "paper"
    for path in [*command.PAPER.glob("*.typ"), command.PAPER / "references.yml"]:
        (copy / path.name).parent.mkdir(exist_ok=True)
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "build").mkdir()
    for path in (command.PAPER / "build").iterdir():
        (copy / "build" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(command, "PAPER", copy)
    found = facts()
    del found["studies"]["explorers"]["methods"]["swag (repeat 1)"]["k_eq"]
    (copy / "build" / "facts.json").write_text(json.dumps(found))
    with pytest.raises(typst.TypstError, match="k_eq"):
        command.compiled(copy / "thalweg.typ", "en", "pdf")


# what the text says, in numbers

OF_ONE = ("restarts", "fge", "swag", "adversaries", "weight-dropout", "linearised")


def _value(study, method, metric):
    return facts()["studies"][study]["methods"][method][metric][0]


def test_what_the_text_says_of_explorers():
    one = [
        f"{name} (repeat 1)"
        for name in ("learned-line", "learned-curve", "learned-simplex", "swag", "fge", "snapshot")
    ]
    bound = 1 / (2**0.5 - 1)  # one network
    assert _value("explorers", "packed-ensemble (repeat 1)", "k_eq") > bound
    for method in (*one, "mc-dropout (repeat 1)", "last-layer-laplace (repeat 1)"):
        assert _value("explorers", method, "k_eq") < bound
    found = [_value("explorers", method, "k_eq") for method in one]
    assert min(found) == _value("explorers", "snapshot (repeat 1)", "k_eq")
    assert max(found) == _value("explorers", "fge (repeat 1)", "k_eq")
    assert all(_value("explorers", method, "k_eq") < 1.1 for method in one[:3])
    assert _value("explorers", "last-layer-laplace (repeat 1)", "k_u") < 1.2


def test_what_the_text_says_of_rates():
    mlp = "restarts (members 10, share 0.05, lr_ratio {})"
    assert _value("paths-fashion-mlp", mlp.format("2.0"), "k_eq") < 0.5 * _value(
        "paths-fashion-mlp", mlp.format("1.0"), "k_eq"
    )
    assert _value("paths-fashion-vit", mlp.format("4.0"), "k_eq") > 1.5 * _value(
        "paths-fashion-vit", mlp.format("1.0"), "k_eq"
    )
    assert _value("paths-mnist-cnn", mlp.format("1.0"), "spread_ratio") < 0.1
    for study in ("paths-fashion-mlp", "paths-fashion-vit", "paths-fashion-cnn", "paths-mnist-cnn"):
        assert abs(_value(study, "thalweg", "spread_ratio") - 1) < 0.25


def test_what_the_text_says_of_the_seed_works():
    claims = facts()["claims"]
    middle, whole = "accuracy of the line's midpoint", "accuracy of a training"
    fashion, mnist = claims["fashion-cnn"], claims["mnist-cnn"]
    assert fashion["learned_line"][middle] < fashion["learned_line"][whole]
    assert fashion["learned_line_longer"][middle] > fashion["learned_line_longer"][whole]
    assert mnist["learned_line_longer"][middle] < mnist["learned_line_longer"][whole]
    for number in (1, 2):
        simplexes = fashion["simplexes"][f"accuracy of {number} simplexes, share 1/10"]
        assert abs(simplexes - fashion["simplexes"][f"accuracy of {number} trainings"]) < 0.005
    assert fashion["connected"]["barrier of the curve"] < fashion["connected"]["barrier"] / 5


def test_what_the_text_says_of_sets_out_of_distribution():
    study = facts()["studies"]["paths-fashion-cnn"]
    one = [name for name in study["elsewhere"] if name.startswith(OF_ONE)]
    assert len(one) >= 8
    for where, led in study["elsewhere"]["thalweg"].items():
        others = [study["elsewhere"][name][where][0] for name in one]
        assert max(others) < led[0] < 1
        assert led[0] < study["elsewhere"]["deep-ensemble (members 2)"][where][0]


def test_what_the_text_says_of_values():
    assert _value("friedman", "trivial on deep-ensemble (members 2)", "k_u") > 10
    assert _value("friedman", "forest on deep-ensemble (members 2)", "k_u") > 10


def test_the_tasks_on_the_left_are_those_that_the_text_names():
    """K_u of one: labels that are random in part, values, and one fine-tuned network."""
    left = [task for task in facts()["tasks"] if task["k_u"] == 1]
    assert len(left) >= 6
    for task in left:
        named = "random" in task["about"] or "fine-tuned" in task["about"]
        assert named or task["kind"] == "values" or task["network"] == "mobile"
        assert task["k_u_true_scale"] > 3


def test_student_factors_are_those_of_tables():
    """GUM, table G.2, 95 %: 12.71, 2.26 and 2.09 for 1, 9 and 19 degrees of freedom."""
    student = facts()["student"]
    assert [round(student[k], 2) for k in ("1", "9", "19")] == [12.71, 2.26, 2.09]
