"""Facts of the papers: the command measures and goes on where it was, the page says what was
measured.
"""

import json

import pytest

from research.papers import __main__ as command
from research.papers import page
from research.papers.facts import FACTS

PLAN = """
[data]
name = "digits"
train = 64
validation = 40
test = 60
batch_size = 32

[model]
name = "mlp"
hidden = [8]

[recipe]
epochs = 5

[[methods]]
explorer = "snapshot"

[quick.recipe]
epochs = 1
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("papers")
    (folder / "tiny.toml").write_text(PLAN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert command.main(["tiny.toml", "--bases", "2", "--results", str(folder / "found")]) == 0
    return folder


def test_every_fact_is_measured_from_every_base(measured):
    found = json.loads((measured / "found" / "tiny.json").read_text())
    assert set(found["bases"]) == {"0", "1"} and all(
        set(own) == set(FACTS) for own in found["bases"].values()
    )
    first = found["bases"]["0"]
    assert first["connected"]["barrier"] == pytest.approx(first["connected_longer"]["barrier"]), (
        "the same anchors"
    )
    assert first["aligned"]["distance over that before"] < 1
    assert first["simplex"]["cost of a vertex over that with one draw a step"] == 5
    assert first["simplexes"]["cost of 2 simplexes, share 1/10"] == pytest.approx(3)
    assert first != found["bases"]["1"]


def test_what_is_measured_is_not_measured_again(measured, monkeypatch, capsys):
    monkeypatch.chdir(measured)
    before = (measured / "found" / "tiny.json").read_bytes()
    command.main(["tiny.toml", "--bases", "2", "--results", "found"])
    assert not capsys.readouterr().out and (measured / "found" / "tiny.json").read_bytes() == before
    command.main(
        ["tiny.toml", "--bases", "1", "--results", "found", "--quick", "--facts", "connected"]
    )
    assert "tiny-quick, base 0, connected" in capsys.readouterr().out


def test_the_page_has_every_section(measured):
    text = page.text(measured / "found")
    assert text.count("## ") == 5 and text.count("| tiny |") == 2 + 1 + 2 + 4 + 1


@pytest.mark.parametrize(("arguments", "words"), [
    (["no.toml"], "can't read the plan no.toml"),
    (["tiny.toml", "--quick"], "--quick got no --results"),
    (["other.toml", "--results", "found"], "was measured with another plan"),
])  # fmt: skip
def test_mistakes_are_one_line(arguments, words, measured, monkeypatch, capsys):
    monkeypatch.chdir(measured)
    (measured / "other.toml").write_text(
        'name = "tiny"\n' + PLAN.replace("epochs = 5", "epochs = 6")
    )
    before = (measured / "found" / "tiny.json").read_bytes()
    assert command.main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert (measured / "found" / "tiny.json").read_bytes() == before


def test_the_page_says_what_the_results_say():
    assert page.is_up_to_date(), "run: python -m research.papers page"
