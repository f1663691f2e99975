"""A plan whose landscape shows led paths: losses and a map of functions are in its report."""

from typing import Any

import pytest

import tiny
from thalweg import files
from thalweg.errors import InputError
from thalweg.report import write
from thalweg.report.results import load

METHODS = [
    {"explorer": "deep-ensemble", "members": 1},
    {"explorer": "thalweg", "members": 3, "places": 50, "free": 0.5, "share": 0.5},
]


@pytest.fixture(scope="module")
def led(tmp_path_factory):
    folder = tmp_path_factory.mktemp("led")
    tiny.study(folder, protocol={"landscape": "thalweg"}, methods=METHODS)
    tiny.table(folder)
    return folder


def test_the_plane_goes_through_the_anchor_and_two_members(led):
    shown = load(led).landscape
    assert shown.point_names == ("anchor", "member 0", "member 1")


def test_losses_along_paths_and_the_map_of_functions_are_in_the_results(led):
    found = load(led).led
    assert set(found.functions.points) == {
        "anchor",
        "retrainings",
        "ends of free parts",
        "members",
        "targets",
    }
    assert [len(p) for p in found.functions.points.values()] == [1, 2, 3, 3, 3]
    assert 0 < found.functions.shown <= 1 and found.functions.inputs == 50
    assert len(found.along) == 4  # two paths, and straight segments to their ends
    first = next(iter(found.along.values()))
    assert first.loss[0] == pytest.approx(float(min(p.loss[0] for p in found.along.values())))
    assert first.highest == first.loss.max()


def test_the_report_shows_both(led):
    page = next(path for path in write(led) if path.suffix == ".html").read_text()
    assert "multidimensional scaling" in page and "changes along paths" in page


@pytest.mark.parametrize("lost", ["path_names", "shown", "group_names"])
def test_a_file_that_lacks_something_is_one_line(led, tmp_path, lost):
    results = tmp_path / "results"
    results.mkdir()
    for path in (led / "results").iterdir():
        (results / path.name).write_bytes(path.read_bytes())
    tensors, about = files.read_tensors(results / "landscape.safetensors")
    files.write_tensors(
        results / "landscape.safetensors",
        tensors,
        {key: value for key, value in about.items() if key != lost},
    )
    study = files.read_record(results / "study.json", dict[str, Any])
    study["files"]["landscape.safetensors"] = files.digest(
        (results / "landscape.safetensors").read_bytes()
    )
    files.write_record(results / "study.json", study)
    with pytest.raises(InputError, match=f"lacks something of led paths.*{lost}"):
        load(tmp_path)
