"""The tasks of a study: a class for each kind, in the order in which they are done."""

import hashlib
import sys
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from thalweg.explorers.learned_curve import LearnedCurve
from thalweg.explorers.thalweg import Thalweg
from thalweg.predicting import predict
from thalweg.seeds import derive
from thalweg.study.context import StudyContext, fingerprint_of
from thalweg.study.exploring import explore
from thalweg.study.landscape import GRID, IMAGES, PATHS, RETRAININGS, curve_of, curve_trainings
from thalweg.study.mapping import survey
from thalweg.study.plan import Plan
from thalweg.study.rows import Row
from thalweg.study.store import Store
from thalweg.study.task import Key, Networks, Result, Task, Training


@dataclass(frozen=True)
class Retraining(Task):
    """A retraining and its predictions.

    Attributes:
        role: `reference` or `pool`.
        number: Which retraining.
    """

    role: str
    number: int

    @property
    def key(self) -> Key:
        return Key(self.role, self.number)

    @property
    def training(self) -> Training:
        return Training(self.role, self.number)

    @property
    def problem(self) -> Training:
        return self.training

    def title(self, plan: Plan) -> str:
        return f"{self.role} {self.number}"

    def compute(self, context: StudyContext, store: Store) -> Result:
        problem = context.problem(self.role, store)
        weights = problem.anchor(self.number)
        parts = context.parts().items()
        predictions = {part: predict(problem, weights, loader) for part, loader in parts}
        return predictions, {"cost": problem.cost.as_dict()}

    def trainings(self, context: StudyContext, found: Networks) -> float:
        return float(not found.has(context.problem_key(*self.training)))

    def forwards(self, context: StudyContext, *, batch_norm: bool) -> int:
        return _inputs(context)

    def size(self, context: StudyContext, parameters: int) -> float:
        return 4.0 * (parameters + _inputs(context) * context.dataset.columns)


@dataclass(frozen=True)
class Anchor(Task):
    """A training that methods start from.

    Attributes:
        base: Of which base.
        number: Which of its anchors.
    """

    recorded: ClassVar[bool] = False

    base: int
    number: int

    @property
    def key(self) -> Key:
        return Key("anchor", self.base)

    @property
    def training(self) -> Training:
        return Training(f"base {self.base}", self.number)

    def title(self, plan: Plan) -> str:
        return f"base {self.base}, anchor {self.number}"

    def compute(self, context: StudyContext, store: Store) -> Result:
        context.problem(self.training.role, store).anchor(self.number)
        return {}, {}

    def trainings(self, context: StudyContext, found: Networks) -> float:
        return 1.0


@dataclass(frozen=True)
class MethodRun(Task):
    """One row of the plan from one base.

    Attributes:
        base: Which base.
        number: Which row.
    """

    base: int
    number: int

    @property
    def key(self) -> Key:
        return Key("method", self.base, self.number)

    def row(self, plan: Plan) -> Row:
        """The row."""
        return plan.methods[self.number]

    def title(self, plan: Plan) -> str:
        return f"{self.row(plan).label}, base {self.base}"

    def anchors(self, plan: Plan) -> int:
        return self.row(plan).method.anchors

    def facts(self, context: StudyContext) -> list[Any]:
        plan, row = context.plan, self.row(context.plan)
        protocol = plan.protocol
        seed = draw_seed(plan, self.base)
        parts = (row.method.explorer, row.method.emulator)
        code = [code for code in map(_code, parts) if code]
        return [row.facts(), protocol.draws, protocol.emulator_draws, seed, *code]

    def about(self, plan: Plan) -> dict[str, Any]:
        row = self.row(plan)
        return {"method": row.label, "base": self.base, **row.facts()}

    def compute(self, context: StudyContext, store: Store) -> Result:
        seed = draw_seed(context.plan, self.base)
        return explore(context, store, self.row(context.plan), self.base, seed)

    def trainings(self, context: StudyContext, found: Networks) -> float:
        method = self.row(context.plan).method
        return method.trainings - method.anchors

    def forwards(self, context: StudyContext, *, batch_norm: bool) -> int:
        method = self.row(context.plan).method
        trained = method.explorer.retrainings
        inputs = _inputs(context)
        if method.emulator is not None:
            inputs += len(context.splits.validation)
        inputs *= 1 + method.averages
        if batch_norm and not trained:
            examples = context.problem("preflight", None).bn_examples
            inputs += min(examples, len(context.train.targets))
        return inputs * (method.anchors if trained else context.plan.protocol.draws)

    def size(self, context: StudyContext, parameters: int) -> float:
        protocol = context.plan.protocol
        emulated = self.row(context.plan).method.emulator is not None
        draws = protocol.emulator_draws if emulated else protocol.draws
        return 4.0 * draws * _inputs(context) * context.dataset.columns


@dataclass(frozen=True)
class Landscape(Task):
    """The picture of the landscape, through networks of base 0."""

    @property
    def key(self) -> Key:
        return Key("landscape", 0)

    def title(self, plan: Plan) -> str:
        return "landscape 0"

    def anchors(self, plan: Plan) -> int:
        return {"anchors": 3, PATHS: 1 + RETRAININGS}.get(plan.protocol.landscape, 0)

    def facts(self, context: StudyContext) -> list[Any]:
        led, plan = context.plan.protocol.landscape == PATHS, context.plan
        explorer = curve_of(plan, Thalweg) if led else curve_of(plan, LearnedCurve)
        code = _code(explorer)
        facts = ["landscape", context.plan.protocol.landscape, asdict(explorer)]
        return facts if code is None else [*facts, code]

    def stored(self, context: StudyContext) -> Collection[str]:
        return ["landscape"]

    def is_whole(self, context: StudyContext, store: Store, name: str) -> bool:
        return store.is_whole(name, ())

    def compute(self, context: StudyContext, store: Store) -> Result:
        folder = store.run_folder(fingerprint(context, self))
        survey(context, store, folder / "landscape.safetensors")
        return {}, {}

    def trainings(self, context: StudyContext, found: Networks) -> float:
        return curve_trainings(context.plan)

    def forwards(self, context: StudyContext, *, batch_norm: bool) -> int:
        return GRID**2 * ((IMAGES if batch_norm else 0) + 2 * IMAGES)

    def size(self, context: StudyContext, parameters: int) -> float:
        return 1e4


def tasks(plan: Plan) -> list[Task]:
    """All tasks of a plan, trainings first."""
    protocol, rows = plan.protocol, range(len(plan.methods))
    bases, depth = range(protocol.bases), max(row.method.anchors for row in plan.methods)
    shown = [] if protocol.landscape == "none" else [Landscape()]
    beside = range(depth, max((task.anchors(plan) for task in shown), default=0))
    return [
        *(Retraining("reference", number) for number in range(protocol.reference)),
        *(Retraining("pool", number) for number in range(protocol.pool)),
        *(Anchor(base, number) for base in bases for number in range(depth)),
        *(Anchor(0, number) for number in beside),
        *(MethodRun(base, number) for number in rows for base in bases),
        *shown,
    ]


def fingerprint(context: StudyContext, task: Task) -> str:
    """A name of everything that can change a task's result."""
    problem = context.problem_key(*task.problem)
    return fingerprint_of([context.identity_of_predictions, problem, *task.facts(context)])


def draw_seed(plan: Plan, base: int) -> int:
    """The seed of the draws of a base: bases are independent, so each has its own."""
    return derive(plan.protocol.seed, f"base {base}", "draws")


def _inputs(context: StudyContext) -> int:
    """How many inputs every run predicts on."""
    return sum(len(part.targets) for part in context.parts().values())


def _code(thing: Any) -> str | None:
    """What tells this explorer's or emulator's code from earlier code of the same name: SHA-256 of
    another package's file; thalweg's own `revision`, where it has one. The rest of thalweg's code
    is in `RESULTS_VERSION`.
    """
    if thing is None:
        return None
    if type(thing).__module__.startswith("thalweg."):
        revision = getattr(thing, "revision", 0)
        return f"revision {revision}" if revision else None
    file = getattr(sys.modules.get(type(thing).__module__), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else "no source"
