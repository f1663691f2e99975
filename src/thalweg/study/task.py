"""The contract of a study's tasks: what one is, needs, does, stores and costs."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from thalweg.predictions import Predictions
from thalweg.study.context import StudyContext
from thalweg.study.plan import Plan
from thalweg.study.store import Store

Result = tuple[dict[str, Predictions], dict[str, Any]]


@dataclass(frozen=True)
class Key:
    """The name of a task in plan.json.

    Attributes:
        kind: `reference` or `pool`: a retraining; `anchor`; `method`; `landscape`.
        index: Which retraining, or which base.
        method: Which row of the plan; 0 where it is of none.
    """

    kind: str
    index: int
    method: int = 0


class Networks(Protocol):
    """Something that says which trained networks are stored."""

    def has(self, key: str) -> bool:
        """Whether a trained network is kept."""


class Training(NamedTuple):
    """A training of a study's problem: the role of the problem, and the number of its anchor."""

    role: str
    number: int


class Task(ABC):
    """One thing to do in a study. Subclasses are frozen dataclasses."""

    recorded: ClassVar[bool] = True
    """Whether it has a result of its own, with a record."""

    @property
    @abstractmethod
    def key(self) -> Key:
        """Its name."""

    @property
    def training(self) -> Training | None:
        """The training that it does, which can be done together with others; None for none."""
        return None

    @property
    def problem(self) -> Training:
        """The role of its problem and a number, for the fingerprint."""
        return Training(f"base {self.key.index}", self.key.index)

    @abstractmethod
    def title(self, plan: Plan) -> str:
        """What progress and records call it."""

    def anchors(self, plan: Plan) -> int:
        """How many anchors of its base it starts from, which are tasks themselves."""
        return 0

    def starts_from(self, plan: Plan) -> list[Training]:
        """The trainings whose networks it starts from, which other tasks may do."""
        return [Training(f"base {self.key.index}", k) for k in range(self.anchors(plan))]

    def shard(self, shards: int) -> int:
        """Which of several shards does it: all of a base's work is together."""
        return self.key.index % shards

    def facts(self, context: StudyContext) -> list[Any]:
        """Everything that can change its result, beside problem and inputs."""
        return []

    def about(self, plan: Plan) -> dict[str, Any]:
        """What its record says of it, beside its key."""
        return {}

    def stored(self, context: StudyContext) -> Collection[str]:
        """The names of the files of its result."""
        return context.part_names

    def is_whole(self, context: StudyContext, store: Store, name: str) -> bool:
        """Whether the files of its result are there and undamaged; all of them are read."""
        return store.is_whole(name, context.part_names)

    @abstractmethod
    def compute(self, context: StudyContext, store: Store) -> Result:
        """Does it: predictions by part, and what goes into the record beside them."""

    @abstractmethod
    def trainings(self, context: StudyContext, found: Networks) -> float:
        """What it will cost, in trainings, beside anchors that are tasks themselves."""

    def forwards(self, context: StudyContext, *, batch_norm: bool) -> int:
        """Its forward-only evaluations, in examples: predictions, and refreshes of batch norm where
        nobody trained.
        """
        return 0

    def size(self, context: StudyContext, parameters: int) -> float:
        """The size of the files that it will store; `parameters` are those of the network."""
        return 4.0 * parameters
