"""The benchmark of a folder of many finished runs, at a small size."""

from research.bench import finished
from thalweg.study.compare import compare
from thalweg.study.context import StudyContext
from thalweg.study.inventory import INDEX
from thalweg.study.preflight import look_ahead
from thalweg.study.store import Store


def test_the_runs_that_are_made_up_are_valid(tmp_path, monkeypatch):
    monkeypatch.setattr(finished, "BASES", 4)
    assert finished.make(tmp_path, 8) == 8 + 6
    store, context = Store(tmp_path), StudyContext(finished.plan(8))
    found = look_ahead(context, store, 1)
    assert found.preflight.todo == () and len(found.names) == 8 + 6
    assert set(compare(tmp_path)["method"]) == {row.label for row in context.plan.methods}
    assert (tmp_path / INDEX).exists()
    path = sorted(tmp_path.glob("runs/*/test.safetensors"))[0]
    path.write_bytes(path.read_bytes()[:-1])
    assert len(look_ahead(context, store, 1).preflight.todo) >= 1


def test_the_page_has_the_committed_numbers():
    assert finished.page() == finished.PAGE.read_text()
