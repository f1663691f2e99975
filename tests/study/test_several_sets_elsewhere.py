"""Several sets of out-of-distribution images in one plan."""

import pandas as pd
import pytest

import tiny
from thalweg.errors import InputError
from thalweg.report import write
from thalweg.study.context import StudyContext

SETS = ["rotated", "noise", "noisy"]


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    tiny.study(folder, data={"ood": SETS})
    tiny.table(folder)
    return folder


@pytest.mark.parametrize("name", SETS)
def test_each_set_is_judged_as_if_it_were_the_only_one(several, tmp_path, name):
    """But for an emulator, whose draws at an input depend on those before it."""
    tiny.study(tmp_path, data={"ood": name})
    alone = tiny.table(tmp_path)
    alone = alone[alone["metric"].str.startswith("ood_")].set_index(["method", "metric"])
    found = pd.read_parquet(several / "results" / "elsewhere.parquet")
    found = found[found["set"] == name].set_index(["method", "metric"])
    found, alone = (
        t[~t.index.get_level_values(0).str.startswith("neighbours")] for t in (found, alone)
    )
    assert len(found) == 12
    columns = ["value", "low", "high"]
    pd.testing.assert_frame_equal(
        found[columns].sort_index(), alone[columns].sort_index(), rtol=1e-12
    )
    assert not (tmp_path / "results" / "elsewhere.parquet").exists()


def test_all_sets_together_are_one(several):
    table = pd.read_parquet(several / "results" / "comparison.parquet")
    values = table[table["metric"] == "ood_spread_ratio"].set_index("method")["value"]
    each = pd.read_parquet(several / "results" / "elsewhere.parquet")
    each = each[each["metric"] == "ood_spread_ratio"].groupby("method")["value"]
    assert ((each.min() <= values) & (values <= each.max())).all(), "a ratio of means"


def test_the_report_shows_each_set(several):
    page = next(path for path in write(several) if path.suffix == ".html").read_text()
    assert "by the set of these inputs" in page and "rotated, noise, noisy: 60 images" in page
    shown = page[page.index("by the set of these inputs") :]
    assert all(f">{name}" in shown or f"{name} " in shown for name in SETS)


def test_a_plan_of_one_set_leaves_nothing_of_several(several, tmp_path):
    for path in several.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(several)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    tiny.study(tmp_path, data={"ood": "rotated"}, methods=tiny.PLAN["methods"][:1])
    tiny.table(tmp_path)
    assert not (tmp_path / "results" / "elsewhere.parquet").exists()
    page = next(path for path in write(tmp_path) if path.suffix == ".html").read_text()
    assert "by the set of these inputs" not in page


@pytest.mark.parametrize(
    "sets, words",
    [
        (["rotated", "rotated"], "data.ood.*'rotated' twice"),
        (["rotated", "rotatd"], "data.ood.*did you mean 'rotated'"),
        (["none", "rotated"], "data.ood.*none"),
        ([], "data.ood"),
    ],
)
def test_mistakes_name_the_key(sets, words):
    with pytest.raises(InputError, match=words):
        StudyContext(tiny.plan(data={"ood": sets})).check()
