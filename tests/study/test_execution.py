"""How a study's work is done: what `[execution]` says changes no result beyond rounding, and no
fingerprint.
"""

import pytest
import torch

import tiny
from thalweg import files
from thalweg.errors import Diverged, InputError
from thalweg.meter import Meter
from thalweg.predictions import Predictions
from thalweg.study import performing
from thalweg.study.context import StudyContext
from thalweg.study.run import preflight
from thalweg.study.store import Store
from thalweg.study.tasks import tasks
from thalweg.study.workers import _perform, _Study
from thalweg.training.problem import Problem
from thalweg.training.stack import Stack

ONE = [{"explorer": "deep-ensemble", "members": 2}]
STACKED = {"methods": ONE, "execution": {"stack": 4}}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    assert tiny.study(folder, methods=ONE) == []
    return folder


def assert_close(first, second):
    """The same runs, with predictions that agree up to rounding."""
    one, two = (
        sorted(p.relative_to(f) for p in (f / "runs").rglob("*.safetensors"))
        for f in (first, second)
    )
    assert one == two and one
    for path in one:
        mine, theirs = (Predictions.load(f / path).log_probs for f in (first, second))
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-4), path


def stacks(monkeypatch) -> list[int]:
    """Sizes of the stacks that are trained from now on, in this process."""
    sizes = []
    real = Stack.__init__
    monkeypatch.setattr(
        Stack,
        "__init__",
        lambda self, networks: (sizes.append(len(networks)), real(self, networks))[1],
    )
    return sizes


def test_a_stacked_study_has_the_same_runs_as_one_that_is_not(alone, tmp_path, monkeypatch):
    sizes = stacks(monkeypatch)
    assert tiny.study(tmp_path, **STACKED) == []
    assert sizes == [2, 4, 4, 2], (
        "a check with two; then 4 references, 2 of the pool and 4 anchors, in groups of 4"
    )
    assert_close(alone, tmp_path)
    for path in (tmp_path / "runs").glob("*/run.json"):
        one, other = (
            tiny.json.loads((f / "runs" / path.parent.name / "run.json").read_text())
            for f in (alone, tmp_path)
        )
        assert (
            one["cost"]["backward_examples"] == other["cost"]["backward_examples"]
            and other["cost"]["seconds"] > 0
        )
    assert tiny.again(tmp_path, methods=ONE) == [], "not part of any fingerprint"


def test_stacks_in_two_processes(alone, tmp_path):
    assert tiny.study(tmp_path, jobs=2, **STACKED) == []
    assert_close(alone, tmp_path)


def test_only_what_is_missing_is_stacked(alone, tmp_path, monkeypatch):
    tiny.study(tmp_path, methods=ONE, protocol={"reference": 5})
    sizes = stacks(monkeypatch)
    tiny.study(tmp_path, protocol={"reference": 8}, **STACKED)
    assert sizes == [2, 3], "the check, and references 5, 6 and 7"


def test_a_member_that_diverges_is_recorded_and_the_others_are_kept(alone, tmp_path, monkeypatch):
    real = Problem.build

    def built(self, *name):
        network = real(self, *name)
        if name == ("anchor", 2):  # the references' third
            with torch.no_grad():
                next(network.parameters()).fill_(float("nan"))
        return network

    monkeypatch.setattr(Problem, "build", built)
    failed = tiny.study(tmp_path, **STACKED)
    assert [r["title"] for r in failed] == ["reference 2"] and failed[0]["error"].startswith(
        Diverged.__name__
    )
    monkeypatch.undo()
    kept = {p.relative_to(tmp_path) for p in (tmp_path / "runs").rglob("*.safetensors")}
    assert len(kept) == 2 * 7
    for path in kept:
        mine, theirs = (Predictions.load(f / path).log_probs for f in (alone, tmp_path))
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-4), path


def test_a_stacked_study_that_is_killed_again_and_again_goes_on(alone, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        kills = tiny.killed_again_and_again(
            patched, "stacked", lambda: tiny.study(tmp_path, **STACKED)
        )
    assert kills > 2
    assert_close(alone, tmp_path)


def test_what_cannot_be_stacked_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "branching_nets.py").write_text(
        "from torch import nn\nclass Net(nn.Sequential):\n    def forward(self, x):\n        x "
        "= super().forward(x)\n        return x if x.sum() > 0 else 2 * x\ndef make(classes):\n "
        "   return Net(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    changes = {**STACKED, "model": {"name": "branching_nets:make", "hidden": None}}
    with pytest.raises(
        InputError, match=r"execution\.stack: this network can't be stacked \(.*\): set stack = 1"
    ) as caught:
        tiny.study(tmp_path / "out", **changes)
    assert "\n" not in str(caught.value) and not (tmp_path / "out/anchors").exists()


def test_what_goes_wrong_in_a_stack_only_is_no_failure(alone, tmp_path, monkeypatch):
    def broken(_):
        raise KeyError("no way")

    monkeypatch.setattr(performing, "train_together", broken)
    with pytest.warns(
        UserWarning, match="a stack of [24] could not be trained, its members will be one by one"
    ):
        assert tiny.study(tmp_path, **STACKED) == []
    assert tiny.predictions(alone) == tiny.predictions(tmp_path)


def test_the_estimate_counts_forward_evaluations(tmp_path, monkeypatch):
    """Against what the meters say: as many as refreshes and predictions take, within a third."""
    changes = {
        "data": {"train": 300, "ood_images": 200},
        "model": {"name": "resnet", "hidden": None, "depth": 8, "width": 2},
        "recipe": {"epochs": 1},
        "protocol": {"draws": 6},
        "methods": [{"explorer": "deep-ensemble", "members": 2}, {"explorer": "learned-line"}],
    }
    context = StudyContext(tiny.plan(**changes))
    todo = preflight(context, Store(tmp_path), 1).todo
    expected = sum(task.forwards(context, batch_norm=True) for task in todo)
    counted = []
    real = Meter.forward

    def forward(self, outputs):
        counted.append(outputs.shape[:-1].numel())
        real(self, outputs)

    monkeypatch.setattr(Meter, "forward", forward)
    assert tiny.study(tmp_path, **changes) == []
    assert 2 / 3 * sum(counted) < expected < 3 / 2 * sum(counted)
    assert expected > sum(task.forwards(context, batch_norm=False) for task in todo) > 0


def test_a_worker_that_reads_other_data_is_refused(tmp_path):
    context, store = StudyContext(tiny.plan()), Store(tmp_path)
    files.write_bytes(tmp_path / "sign", b"")
    (task, *_) = tasks(context.plan)
    with pytest.raises(InputError, match="reads other data"):
        _perform(_Study(context, store, "sign", "another identity"), [task])
    assert not store.has(context.problem_key("reference", 0))
