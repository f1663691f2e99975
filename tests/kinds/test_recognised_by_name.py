"""Recognition by name: methods state themselves what they are, and no word in a name or a label
changes it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest

import tiny
from thalweg.baselines.base import baselines
from thalweg.emulators import base as emulating
from thalweg.emulators.base import emulators
from thalweg.emulators.trivial import Trivial
from thalweg.explorers import base as exploring
from thalweg.explorers.base import Explorer, explorers
from thalweg.explorers.deep_ensemble import DeepEnsemble
from thalweg.metrics.info import FACTS
from thalweg.predictions import Predictions
from thalweg.report import measures
from thalweg.report.families import LOOKS, described
from thalweg.report.results import load
from thalweg.report.tables import cost_table
from thalweg.study.context import StudyContext
from thalweg.study.tasks import MethodRun
from thalweg.weights.distribution import Members

STUDIES = Path(__file__).parents[2] / "studies"
CLASSES = {**explorers(), **baselines(), **emulators()}


@dataclass(frozen=True)
class DeepKernel(Explorer):
    """One network, called as if it were an ensemble. A method of our own, for tests."""

    members: int = 1

    @property
    def anchors(self) -> int:
        return 1

    @property
    def trainings(self) -> float:
        return 1.0

    def explore(self, problem) -> Members:
        return Members((problem.anchor(0),))


@dataclass(frozen=True)
class OurRetrainings(DeepKernel):
    """The first anchors under another name. For tests."""

    family: ClassVar[str] = "deep ensemble"
    retrainings: ClassVar[bool] = True
    members: int = 2

    @property
    def anchors(self) -> int:
        return 2

    def explore(self, problem) -> Members:
        return DeepEnsemble(2).explore(problem)


@dataclass(frozen=True)
class NonTrivial(emulating.Emulator):
    """Passes the anchors on. For tests."""

    def emulate(self, calibration, asked, *, draws, seed) -> Predictions:
        return Trivial().emulate(calibration, asked, draws=draws, seed=seed)


@pytest.fixture(scope="module", autouse=True)
def others():
    """Methods of another package whose names hold words of ours."""
    added = (
        (
            exploring,
            {
                "deep-kernel": DeepKernel,
                "online-swap": OurRetrainings,
                "pooled-restartable": DeepKernel,
            },
        ),
        (emulating, {"non-trivial": NonTrivial}),
    )
    for room, classes in added:
        room._registry.registered |= classes
    yield
    for room, classes in added:
        for name in classes:
            del room._registry.registered[name]


METHODS = [
    {"explorer": "deep-ensemble", "members": 2},
    {
        "explorer": "deep-ensemble",
        "members": 1,
        "proxies": {"budget": 1.0},
        "label": "deep ensemble of 3",
    },
    {"explorer": "deep-kernel", "label": "trivial to say"},
    {"explorer": "online-swap"},
    {"explorer": "deep-ensemble", "members": 2, "emulator": "non-trivial"},
    {"explorer": "deep-ensemble", "members": 2, "emulator": "trivial", "label": "another name"},
    {"explorer": "pooled-restartable", "label": "deep-ensemble (members 7)"},
]
FAMILIES = ["deep ensemble", "other", "other", "deep ensemble", "emulator", "trivial", "other"]
REAL = [True, False, False, True, False, False, False]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("study")
    assert tiny.study(found, methods=METHODS, protocol={"bases": 1}) == []
    tiny.table(found)
    return found


def test_every_registered_class_names_a_family_that_reports_draw():
    assert {name: cls.family for name, cls in CLASSES.items() if cls.family not in LOOKS} == {}
    assert [name for name, cls in explorers().items() if cls.retrainings] == [
        "deep-ensemble",
        "online-swap",
    ]
    for cls in explorers().values():
        if cls.__module__.startswith("thalweg."):  # the contract's own word is for others
            own = cls.__mro__[: cls.__mro__.index(Explorer)]
            assert any("family" in vars(base) for base in own), cls


def test_a_study_stores_what_its_methods_are(folder):
    methods = pd.read_parquet(folder / "results" / "methods.parquet")
    assert methods["family"].tolist() == FAMILIES and methods["is_retraining"].tolist() == REAL
    assert described(methods)["family"].tolist() == FAMILIES


def test_the_report_marks_what_is_no_retraining(folder):
    results = load(folder)
    rows = {row.label: (row.mark, row.family) for row in cost_table(results, "Cost").rows}
    labels = [m.label for m in tiny.plan(methods=METHODS).methods]
    assert rows == {
        label: ("" if real else "†", name)
        for label, name, real in zip(labels, FAMILIES, REAL, strict=True)
    }
    assert {row.label for row in cost_table(results, "Cost").rows if row.number <= 2} == {
        labels[0],
        labels[3],
    }, "first in tables"


def test_forward_work_is_foreseen_by_what_a_method_is():
    def forwards(entry):
        context = StudyContext(tiny.plan(methods=[entry], protocol={"bases": 1}))
        return MethodRun(0, 0).forwards(context, batch_norm=True)

    assert forwards({"explorer": "online-swap"}) == forwards(
        {"explorer": "deep-ensemble", "members": 2}
    )
    assert forwards({"explorer": "deep-kernel"}) > forwards({"explorer": "online-swap"})


def test_results_of_earlier_versions_are_read_by_whole_names(folder):
    """The committed studies' rows, whose files say no family; and one of another package."""
    methods = pd.read_parquet(folder / "results" / "methods.parquet").drop(columns="family")
    methods["is_retraining"] = (methods["explorer"] == "deep-ensemble") & methods[
        "emulator"
    ].isna()  # as it was written
    assert described(methods)["family"].tolist() == [
        "deep ensemble",
        "other",
        "other",
        "other",
        "emulator",
        "trivial",
        "other",
    ]
    assert described(methods)["is_retraining"].tolist() == [True, *[False] * 6]
    strange = methods.assign(family="their own")
    assert set(described(strange)["family"]) == {"other"}


@pytest.mark.parametrize(
    "name", sorted(path.parent.parent.name for path in STUDIES.glob("*/results/methods.parquet"))
)
def test_committed_results_are_what_today_s_classes_say(name):
    methods = described(pd.read_parquet(STUDIES / name / "results" / "methods.parquet"))
    for row in methods.itertuples():
        if isinstance(row.emulator, str):
            expected = CLASSES[row.emulator].family
        elif row.explorer == "deep-ensemble":
            members = json.loads(row.settings)["settings"]["members"]
            expected = (
                "deep ensemble" if row.cost == members else "other"
            )  # narrow networks beside them cost less than one each
        else:
            expected = CLASSES[row.explorer].family
        assert row.family == expected, row.method
        assert row.is_retraining == (expected == "deep ensemble"), row.method


def test_metrics_are_grouped_by_whole_names():
    grouped = [name for names in measures.GROUPS.values() for name in names]
    assert len(grouped) == len(set(grouped)) and set(grouped) <= set(FACTS) - set(measures.MAIN)
