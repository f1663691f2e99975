"""One study by one process, processes, Ray, submitit and two shards: the same tables."""

import shutil

import pytest

import tiny
from thalweg.engines import Ray, Slurm
from thalweg.study.context import StudyContext
from thalweg.study.run import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    assert tiny.study(folder) == []
    return folder


def test_processes(alone, tmp_path):
    assert tiny.study(tmp_path, jobs=2) == []
    tiny.assert_same(alone, tmp_path)


def test_ray(alone, tmp_path):
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'thalweg[ray]'")
    try:
        assert run(StudyContext(tiny.plan()), tmp_path, executor=Ray()) == []
    finally:
        ray.shutdown()
    tiny.assert_same(alone, tmp_path)


def test_jobs_of_submitit(alone, tmp_path):
    pytest.importorskip("submitit", reason="needs submitit: pip install 'thalweg[slurm]'")
    engine = Slurm(where="local", folder=tmp_path / "logs", at_once=2)
    assert run(StudyContext(tiny.plan()), tmp_path / "out", executor=engine) == []
    tiny.assert_same(alone, tmp_path / "out")


def test_two_shards(alone, tmp_path):
    for number in (1, 2):
        assert tiny.study(tmp_path / str(number), shard=(number, 2)) == []
        shutil.copytree(tmp_path / str(number), tmp_path / "whole", dirs_exist_ok=True)
    tiny.assert_same(alone, tmp_path / "whole")
