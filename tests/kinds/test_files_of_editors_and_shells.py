"""Files of editors and shells: marks, line ends, home folders, long paths, pipes and locks work or
give one line.
"""

import os
import shutil

import pytest
import torch

import thalweg as package
import tiny
from stored import ONE, one_line
from thalweg import files
from thalweg.data.fetch import folders
from thalweg.errors import InputError
from thalweg.study.compare import compare
from thalweg.study.context import StudyContext
from thalweg.study.plan import read_plan
from thalweg.study.run import run

MEMBERS = package.Members((package.Weights({"w": torch.ones(2)}, {}),))


@pytest.fixture
def text(tmp_path):
    return tiny.write_toml(
        tmp_path / "given.toml", tiny.raw(title="größe", methods=ONE)
    ).read_text()


@pytest.mark.parametrize(
    ("encode", "right"),
    [
        (lambda t: b"\xef\xbb\xbf" + t.encode(), True),
        (lambda t: t.replace("\n", "\r\n").encode(), True),
        (lambda t: b"\xef\xbb\xbf" + t.replace("\n", "\r\n").encode(), True),
        (lambda t: t.encode() + b"\n\n# end", True),
        (lambda t: t.encode("utf-16"), "is saved as UTF-16, needs UTF-8"),
        (lambda t: b"\xfe\xff" + t.encode("utf-16-be"), "is saved as UTF-16, needs UTF-8"),
        (lambda t: t.encode("latin-1"), "is no UTF-8"),
        (lambda t: t.replace("\n", "\r").encode(), True),
        (lambda t: b"\x00" * 40, "is no TOML"),
        (lambda t: b"[" * 100_000, "is no TOML"),
        (lambda t: b" " * 2**21, "or less"),
    ],
    ids=[
        "mark",
        "windows",
        "mark, windows",
        "no end",
        "utf-16",
        "utf-16 be",
        "latin-1",
        "old mac",
        "zeros",
        "deep",
        "large",
    ],
)
def test_plans_of_editors(encode, right, text, tmp_path):  # fmt: skip
    path = tmp_path / "plan.toml"
    path.write_bytes(encode(text.replace("\\u00f6", "ö").replace("\\u00df", "ß")))
    if right is True:
        plan = read_plan(path)
        assert plan.title == "größe" and len(plan.methods) == 1
        return
    with pytest.raises(InputError, match=right) as caught:
        read_plan(path)
    one_line(caught)


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home of somebody"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_tilde_is_the_home_folder_everywhere(home, text, thalweg, monkeypatch):
    (home / "plan.toml").write_text(text)
    monkeypatch.setenv("THALWEG_DATA", "~/variable")
    assert folders("~/given")[:2] == [home / "given", home / "variable"]
    package.save(MEMBERS, "~/a.safetensors")
    assert (home / "a.safetensors").is_file() and package.load("~/a.safetensors").points
    package.Predictions(torch.zeros(1, 2, 1)).save("~/p.safetensors")
    assert package.Predictions.load("~/p.safetensors").inputs == 2
    code, out, err = thalweg(
        "study", "~/plan.toml", "--output", "~/out", "--jobs", 1, "--shard", "1/1"
    )
    assert code == 0, (out, err)
    assert (home / "out/plan.json").is_file() and not os.path.exists("~")
    run(StudyContext(read_plan("~/plan.toml")), "~/out")
    assert len(compare("~/out")) > 10 and not os.path.exists("~")


IMPOSSIBLE = ("~nobody-of-that-name/x", "x" * 256, "x" * 300 + "/y", "a\x00b", "y/" * 3000 + "x")


@pytest.mark.parametrize("path", IMPOSSIBLE, ids=lambda p: p[:12])
def test_paths_that_can_not_be_are_one_line(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for use in (
        package.load,
        read_plan,
        compare,
        package.Predictions.load,
        lambda p: package.save(MEMBERS, p),
        lambda p: run(StudyContext(tiny.plan(methods=ONE)), p),
    ):
        with pytest.raises(InputError) as caught:
            use(path)
        assert "free the disk" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_long_paths_that_can_be(tmp_path, monkeypatch):
    """300 characters in all, and a name of 255."""
    folder = tmp_path / ("a" * 100) / ("b" * 100) / ("c" * 100)
    package.save(MEMBERS, folder / ("d" * 243 + ".safetensors"))
    assert package.load(folder / ("d" * 243 + ".safetensors")).points
    with pytest.raises(InputError, match=r"File name too long\): choose a shorter path"):
        package.save(MEMBERS, folder / ("d" * 300))


def test_a_data_folder_with_a_long_name_is_looked_through():
    from thalweg.data.fetch import find

    assert find("mnist/a.gz", folders("x" * 300)) is None


@pytest.fixture
def things(tmp_path):
    """What a path may lead to beside a file."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nothing").symlink_to(tmp_path / "gone")
    return tmp_path


@pytest.mark.parametrize("what", ["folder", "pipe", "loop", "nothing"])
def test_what_is_no_file_is_one_line_and_not_waited_for(what, things):
    for use in (
        package.load,
        read_plan,
        package.Predictions.load,
        lambda p: files.read_record(p, dict),
    ):
        with pytest.raises(
            InputError, match=r"needs a file|give the path of a|does not exist|and no model"
        ) as caught:
            use(things / what)
        one_line(caught)


@pytest.mark.parametrize(
    "command", [("compare",), ("report",), ("study", "plan.toml", "--jobs", "1", "--output")]
)
@pytest.mark.parametrize("what", ["pipe", "file"])
def test_a_file_for_a_folder(command, what, things, text, thalweg):
    (things / "file").write_text("mine")
    (things / "plan.toml").write_text(text)
    code, out, err = thalweg(*command, things / what)
    assert code == 2 and len(err.splitlines()) == 1, (out, err)
    assert (things / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is locked for root")
def test_a_locked_file_is_one_line(tmp_path):
    path = shutil.copy(__file__, tmp_path / "a")
    os.chmod(path, 0)
    with pytest.raises(InputError, match="Permission denied"):
        read_plan(path)
