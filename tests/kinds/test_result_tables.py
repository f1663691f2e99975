"""Tables: a flipped bit in a result file, or another study's file, gives one line, and no report
shows it.
"""

import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from stored import ANYTHING, as_of_0_1, flips, one_line, resealed
from thalweg import files
from thalweg.errors import InputError
from thalweg.report.results import load

sys.path.append(str(Path(__file__).parents[1] / "report"))
from synthetic import write_results

TABLES = (
    "comparison.parquet",
    "methods.parquet",
    "inputs.parquet",
    "reliability.parquet",
    "curves.parquet",
)
FILES = (*TABLES, "uncertain.safetensors", "landscape.safetensors")
STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copied")


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_bit_reaches_a_report(name, copied):
    path = copied / "results" / name
    for data in flips(path.read_bytes(), 12, name):
        path.write_bytes(data)
        with pytest.raises(
            InputError,
            match=r"is damaged, or belongs to another study .*: run `thalweg compare .*` again, or",
        ) as caught:
            load(copied)
        assert name in one_line(caught)


@pytest.mark.parametrize("study", ["digits", "frontier-mnist-cnn"])
def test_nor_one_in_committed_results(study, tmp_path):
    folder = shutil.copytree(STUDIES / study, tmp_path / "copied")
    load(folder)
    for name in ("comparison.parquet", "methods.parquet", "study.json"):
        data = (folder / "results" / name).read_bytes()
        for damaged in flips(data, 5, study):
            (folder / "results" / name).write_bytes(damaged)
            with pytest.raises(
                InputError, match="or, if its runs are not at hand, get its results again"
            ) as caught:
                load(folder)
            one_line(caught)
        (folder / "results" / name).write_bytes(data)


def test_a_table_of_another_study_is_one_line(copied, tmp_path):
    other = write_results(tmp_path / "other", failures=False)
    shutil.copy(other / "results/methods.parquet", copied / "results")
    with pytest.raises(
        InputError, match=r"methods\.parquet is damaged, or belongs to another study"
    ):
        load(copied)


def edited(folder, name, edit) -> None:
    path = folder / "results" / name
    edit(pd.read_parquet(path)).to_parquet(path)
    resealed(
        folder / "results/study.json",
        lambda s: s["files"].update({name: files.digest(path.read_bytes())}),
    )


WRONG = {
    "text for numbers": ("comparison.parquet", lambda t: t.assign(value="3")),
    "truths for numbers": ("methods.parquet", lambda t: t.assign(cost=True)),
    "numbers for text": ("methods.parquet", lambda t: t.assign(method=range(len(t)))),
    "a label of two lines": (
        "methods.parquet",
        lambda t: t.assign(method=[f"a\nb{i}" for i in range(len(t))]),
    ),
    "nothing for text": ("inputs.parquet", lambda t: t.assign(method=None)),
    "no number in a figure": ("inputs.parquet", lambda t: t.assign(u=float("nan"))),
    "an endless cost": ("methods.parquet", lambda t: t.assign(cost=float("inf"))),
    "a method twice": ("methods.parquet", lambda t: pd.concat([t, t.head(1)])),
    "no method that succeeded": ("methods.parquet", lambda t: t.assign(failed=t["runs"])),
    "a column less": ("curves.parquet", lambda t: t.drop(columns="members")),
    "no row": ("reliability.parquet", lambda t: t.head(0)),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.filterwarnings("ignore")
def test_other_content_with_good_checksums_is_one_line(what, copied):
    """Of a stranger's results."""
    name, edit = WRONG[what]
    edited(copied, name, edit)
    with pytest.raises(InputError) as caught:
        load(copied)
    assert name in one_line(caught)


STUDY = {
    "counts.runs": lambda s: s["counts"].update(runs="many"),
    "plan.protocol": lambda s: s["plan"].pop("protocol"),
    "plan.data.name": lambda s: s["plan"]["data"].update(name=3),
    "dates.finished": lambda s: s["dates"].update(finished=[1]),
    "failures.0.reason": lambda s: s.update(failures=[{"run": "a"}]),
    "metrics.0.digits": lambda s: s["metrics"][0].update(digits="1000000000d"),
    "metrics.0.direction": lambda s: s["metrics"][0].update(direction="up"),
    "shape": lambda s: s.update(shape="1x28x28"),
    "files": lambda s: s.update(files=["comparison.parquet"]),
}


@pytest.mark.parametrize("key", STUDY)
def test_a_study_of_another_type_is_one_line_that_names_the_key(key, copied):
    resealed(copied / "results/study.json", STUDY[key])
    with pytest.raises(InputError) as caught:
        load(copied)
    assert f"study.json is damaged ({key}" in one_line(caught)


def test_results_of_0_1_are_read(copied):
    """They have no checksums."""
    as_of_0_1(copied / "results/study.json", "version", "metrics", "files")
    assert len(load(copied).methods) == 12
    assert "files" not in files.read_record(copied / "results/study.json", ANYTHING)
