"""A study: the same numbers every time and on any number of processes, and nothing is done
twice.
"""

import importlib
import random
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import tiny
from thalweg.baselines.base import baselines
from thalweg.errors import InputError
from thalweg.metrics.evaluate import Truth
from thalweg.predicting import predict
from thalweg.predictions import impurity
from thalweg.study.compare import compare
from thalweg.study.context import StudyContext
from thalweg.study.run import preflight, run
from thalweg.study.store import Store
from thalweg.study.tasks import draw_seed


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study that nobody changes."""
    folder = tmp_path_factory.mktemp("whole")
    assert tiny.study(folder) == []
    tiny.table(folder)
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    """A study that a test may change."""
    return shutil.copytree(whole, tmp_path / "copied")


def test_the_same_plan_twice_gives_the_same_bits(whole, tmp_path):
    tiny.study(tmp_path)
    tiny.assert_same(whole, tmp_path)


def test_two_processes_give_the_same_bits_as_one(whole, tmp_path):
    tiny.study(tmp_path, jobs=2)
    tiny.assert_same(whole, tmp_path)


def test_the_table_has_every_method_with_an_interval(whole):
    table = tiny.table(whole)
    methods = pd.read_parquet(whole / "results/methods.parquet")
    assert (
        list(table.method.unique())
        == [m.label for m in tiny.plan().methods]
        == list(methods.method)
    )
    assert (
        methods.cost.tolist() == [1, 2, 1, 2]
        and (methods.failed == 0).all()
        and (methods.runs == 2).all()
    )
    assert methods.is_retraining.tolist() == [True, True, False, False]
    assert methods.total[:3].tolist() == [1, 2, 1]
    assert methods.total[3] == 2 + 2 * 40 / 3 / 128, "two networks, 40 calibration inputs"
    assert (methods.relative_time > 0).all() and methods.relative_time[1] > methods.relative_time[
        0
    ] >= 1
    assert (
        methods.emulator_seconds[:3].tolist() == [0, 0, 0]
        and 0 < methods.emulator_seconds[3] < methods.seconds[3]
    )
    efficiency = table[table.metric == "efficiency"].set_index("method").value
    values = table[table.metric == "k_eq"].set_index("method").value
    assert efficiency.tolist() == (values / methods.set_index("method").total).tolist()
    k_eq = table[table.metric == "k_eq"]
    assert len(k_eq) == 4 and (k_eq.low <= k_eq.value).all() and (k_eq.value <= k_eq.high).all()


def test_running_again_does_nothing(copied):
    before = tiny.predictions(copied)
    assert tiny.again(copied) == []
    ahead = preflight(StudyContext(tiny.plan()), Store(copied), 1)
    assert (
        ahead.text(1) == f"all {tiny.RUNS + 4} runs are stored: nothing to do"
        and ahead.seconds == 0
    )
    assert tiny.predictions(copied) == before


def test_the_trained_networks_may_be_deleted(copied):
    shutil.rmtree(copied / "anchors")
    assert tiny.again(copied) == []


def test_changing_a_method_does_only_its_runs(copied):
    methods = [
        *tiny.PLAN["methods"][:1],
        {"explorer": "learned-line", "beta": 0.5},
        *tiny.PLAN["methods"][2:],
    ]
    assert tiny.again(copied, methods=methods) == [
        f"learned-line (beta 0.5), base {b}" for b in (0, 1)
    ]
    assert tiny.again(copied) == []


def test_a_method_that_needs_more_anchors_trains_only_these(copied):
    methods = [*tiny.PLAN["methods"], {"explorer": "deep-ensemble", "members": 3}]
    assert tiny.again(copied, methods=methods) == [
        "base 0, anchor 2",
        "base 1, anchor 2",
        "deep-ensemble (members 3), base 0",
        "deep-ensemble (members 3), base 1",
    ]


def test_another_label_does_nothing(copied):
    methods = [{**tiny.PLAN["methods"][1], "label": "mine"}]
    assert tiny.again(copied, methods=methods) == []
    assert set(tiny.table(copied).method) == {"mine"}


@pytest.mark.parametrize(("changes", "expected"), [
    ({"reference": 5}, ["reference 4"]),
    ({"pool": 3}, ["pool 2"]),
    ({"replicates": 200}, []),
    ({"reference": 4, "bases": 1}, []),
])  # fmt: skip
def test_a_larger_protocol_does_only_what_is_new(changes, expected, copied):
    assert tiny.again(copied, protocol=changes) == expected


EVERYTHING = tiny.RUNS + 4
METHOD_RUNS = 8
FINGERPRINTED = {
    "seed": ({"protocol": {"seed": 1}}, EVERYTHING),
    "sources": ({"protocol": {"sources": ["order"]}}, EVERYTHING),
    "recipe": ({"recipe": {"momentum": 0.8}}, EVERYTHING),
    "network": ({"model": {"hidden": [9]}}, EVERYTHING),
    "training images": ({"data": {"train": 65}}, EVERYTHING),
    "validation images": ({"data": {"validation": 41}}, EVERYTHING),
    "batch size": ({"data": {"batch_size": 31}}, EVERYTHING),
    "test images": ({"data": {"test": 61}}, tiny.RUNS),
    "out-of-distribution set": ({"data": {"ood": "inverted"}}, tiny.RUNS),
    "out-of-distribution images": ({"data": {"ood_images": 21}}, tiny.RUNS),
    "draws": ({"protocol": {"draws": 5}}, METHOD_RUNS),
    "draws of emulators": ({"protocol": {"emulator_draws": 9}}, METHOD_RUNS),
}  # fmt: skip


@pytest.mark.parametrize("what", FINGERPRINTED)
def test_what_can_change_results_is_in_the_fingerprint(what, whole):
    changes, todo = FINGERPRINTED[what]
    found = preflight(StudyContext(tiny.plan(**changes)), Store(whole), 1).todo
    anchors = [t for t in found if not t.recorded]
    assert len(found) == todo and bool(anchors) == (todo == EVERYTHING)


def test_other_data_are_noticed(whole, monkeypatch):
    from dataclasses import replace

    from thalweg.study import context

    real = context.load

    def changed(*args):
        data = real(*args)
        images = data.train.clone()
        images[0, 0, 0, 0] += 1
        return replace(data, train=images)

    monkeypatch.setattr(context, "load", changed)
    assert len(preflight(StudyContext(tiny.plan()), Store(whole), 1).todo) == EVERYTHING
    with pytest.raises(
        InputError, match=r"plan\.json was made with other data.*: run 'thalweg study' again"
    ):
        compare(whole)


def test_other_out_of_distribution_images_are_noticed(whole, monkeypatch):
    from thalweg.study import context

    real = context.load_ood
    monkeypatch.setattr(context, "load_ood", lambda *args: 255 - real(*args))
    assert len(preflight(StudyContext(tiny.plan()), Store(whole), 1).todo) == tiny.RUNS


def test_a_method_whose_code_changed_is_done_again(whole, monkeypatch):
    """And no other one, nor an anchor."""
    context = StudyContext(tiny.plan())
    rows = context.plan.methods
    (changed,) = [k for k, row in enumerate(rows) if row.label.startswith("learned-line")]
    explorer = rows[changed].method.explorer
    monkeypatch.setattr(type(explorer), "revision", explorer.revision + 1)
    todo = preflight(context, Store(whole), 1).todo
    assert [(task.base, task.number) for task in todo] == [(0, changed), (1, changed)]


def test_a_users_network_is_known_by_its_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = (
        "from torch import nn\ndef make(classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    changes = {
        "model": {"name": "source_nets:make", "hidden": None},
        "methods": [{"explorer": "deep-ensemble", "members": 1}],
    }
    (tmp_path / "source_nets.py").write_text(source)
    tiny.study(tmp_path / "out", **changes)
    assert preflight(StudyContext(tiny.plan(**changes)), Store(tmp_path / "out"), 1).todo == ()
    (tmp_path / "source_nets.py").write_text(source + "# changed\n")
    assert len(preflight(StudyContext(tiny.plan(**changes)), Store(tmp_path / "out"), 1).todo) == 10


def test_a_repeated_method_has_other_seeds_each_time_and_costs_as_often(tmp_path):
    """Its first part is what it finds alone."""
    context = StudyContext(
        tiny.plan(methods=[{"explorer": "snapshot", "cycles": 2, "repeat": [1, 3]}])
    )
    (problem, alone), (other, thrice) = (
        row.method.explore(context.problem("base 0", None)) for row in context.plan.methods
    )
    assert (problem.cost.trainings, other.cost.trainings) == pytest.approx((1, 3))
    drawn = list(thrice.draw(6, seed=0))
    for mine, theirs in zip(alone.points, drawn[:2], strict=True):
        assert all(torch.equal(p, theirs.params[name]) for name, p in mine.params.items())
    assert len({float(w.params["1.weight"].sum()) for w in drawn}) == 6


def test_a_baseline_is_a_row(tmp_path):
    methods = [{"baseline": name} for name in baselines()]
    assert not tiny.study(tmp_path / "study", methods=methods)
    found = tiny.table(tmp_path / "study")
    k_eq = found[found["metric"] == "k_eq"].set_index("method")["value"]
    assert set(k_eq.index) == set(baselines()) and (k_eq > 0).all()


def test_the_landscape_follows_the_curve_that_it_shows():
    def todo(beta):
        changes = {
            "protocol": {"landscape": "learned-curve"},
            "methods": [{"explorer": "learned-curve", "beta": beta}],
        }
        context = StudyContext(tiny.plan(**changes))
        from thalweg.study.tasks import fingerprint, tasks

        return [fingerprint(context, t) for t in tasks(context.plan) if t.key.kind == "landscape"]

    assert todo(0.0) != todo(1.0) and todo(1.0) == todo(1.0)


@pytest.mark.parametrize("jobs", [1])
def test_the_callers_random_state_is_untouched(jobs, tmp_path):
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002  the state of all three
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    tiny.study(tmp_path, jobs=jobs, protocol={"reference": 4, "bases": 1})
    compare(tmp_path)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1]) and before[2] == random.getstate()  # noqa: NPY002


def test_dropout_does_not_draw_from_the_callers_random_state(tmp_path, monkeypatch):
    """Nor does the network that is timed for the estimate."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dropout_nets.py").write_text(
        "from torch import nn\ndef make(classes):\n    return nn.Sequential(nn.Flatten(), "
        "nn.Dropout(), nn.Linear(64, classes))\n"
    )
    context = StudyContext(tiny.plan(model={"name": "dropout_nets:make", "hidden": None}))
    before = torch.get_rng_state()
    context.check()
    preflight(context, Store(tmp_path), 1)
    assert torch.equal(before, torch.get_rng_state())


def test_one_thread_works_and_the_callers_come_back(tmp_path, monkeypatch):
    """Several threads add in another order: the last bits would depend on the machine."""
    torch.set_num_threads(2)
    used = []
    real = Truth.of
    monkeypatch.setattr(
        Truth,
        "of",
        lambda *args, **settings: used.append(torch.get_num_threads()) or real(*args, **settings),
    )
    try:
        tiny.study(tmp_path, methods=[{"explorer": "deep-ensemble", "members": 1}])
        compare(tmp_path)
        assert torch.get_num_threads() == 2 and used == [1]
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_are_merged_by_copying(shards, whole, tmp_path):
    for k in range(1, shards + 1):
        tiny.study(tmp_path / str(k), shard=(k, shards))
    for k in range(2, shards + 1):
        shutil.copytree(tmp_path / str(k), tmp_path / "1", dirs_exist_ok=True)
    tiny.assert_same(whole, tmp_path / "1")
    assert tiny.again(tmp_path / "1") == []


def test_a_shard_alone_is_not_compared(tmp_path):
    tiny.study(tmp_path, shard=(1, 2))
    with pytest.raises(
        InputError,
        match=r"7 of 14 runs are not stored in .*reference 1.*copy the other shards",
    ):
        compare(tmp_path)


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0)])
def test_a_shard_that_is_none(shard, tmp_path):
    with pytest.raises(InputError, match=r"shard got .*, needs 1/"):
        tiny.study(tmp_path, shard=shard)


def test_results_are_rebuilt_from_the_runs(copied):
    before = {p.name: p.read_bytes() for p in (copied / "results").iterdir()}
    shutil.rmtree(copied / "results")
    compare(copied)
    assert {p.name: p.read_bytes() for p in (copied / "results").iterdir()} == before


def test_a_landscape(tmp_path):
    from thalweg.files import read_tensors

    changes = {
        "protocol": {"landscape": "anchors"},
        "methods": [{"explorer": "deep-ensemble", "members": 3}],
    }
    assert tiny.study(tmp_path, **changes) == []
    compare(tmp_path)
    tensors, facts = read_tensors(tmp_path / "results/landscape.safetensors")
    assert tensors["train_loss"].shape == (17, 17) and torch.isfinite(tensors["train_loss"]).all()
    assert facts["point_names"] == ["anchor 0", "anchor 1", "anchor 2"]


def test_missing_runs(copied):
    shutil.rmtree(next((copied / "runs").iterdir()))
    with pytest.raises(
        InputError, match=r"1 of 14 runs are not stored in .*: run 'thalweg study' first"
    ) as caught:
        compare(copied)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_study(tmp_path):
    with pytest.raises(InputError, match=r"has no plan\.json: give a folder"):
        compare(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"plan": {}, "environment": {}}'])
def test_a_damaged_plan(text, copied):
    (copied / "plan.json").write_text(text)
    with pytest.raises(InputError, match=r"plan\.json") as caught:
        compare(copied)
    assert "\n" not in str(caught.value)
    assert tiny.again(copied) == [], "the study writes it anew"


def test_the_estimate_is_sane(tmp_path):
    """It counts the trainings and says the size of what is then stored.

    Its seconds no test can judge.
    """
    changes = {
        "data": {"train": 600, "batch_size": 16},
        "recipe": {"epochs": 6},
        "methods": [{"explorer": "deep-ensemble", "members": 1}],
    }
    context = StudyContext(tiny.plan(**changes))
    watch = tiny.Watch()
    run(context, tmp_path, progress=watch)
    assert watch.preflight.trainings == 8
    assert watch.preflight.seconds > 0
    stored = sum(p.stat().st_size for p in (tmp_path / "runs").rglob("*.safetensors"))
    stored += sum(p.stat().st_size for p in (tmp_path / "anchors").rglob("*.safetensors"))
    assert stored / 5 < watch.preflight.disk < stored * 5


def test_every_method_is_compared_with_the_same_network_of_its_base(tmp_path, monkeypatch):
    """What partial correlations take out is the base's anchor 0, whatever the method's own first
    member is.
    """
    tiny.study(tmp_path)
    seen = []

    def evaluate(truth, methods, trivial, ood):
        seen.append(trivial)
        return real(truth, methods, trivial, ood)

    module = importlib.import_module("thalweg.study.compare")
    real = module.evaluate
    monkeypatch.setattr(module, "evaluate", evaluate)
    compare(tmp_path)
    context = StudyContext(tiny.plan())
    for base in range(2):
        problem = context.problem(f"base {base}", None)
        own = impurity(predict(problem, problem.anchor(0), context.parts()["test"]))
        assert all(torch.allclose(trivial[base], own) for trivial in seen)
    assert len(seen) == 4


def test_bases_have_draws_of_their_own():
    plan = tiny.plan()
    assert len({draw_seed(plan, base) for base in range(5)}) == 5
