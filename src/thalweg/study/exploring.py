"""One row of a comparison from one base."""

from dataclasses import dataclass
from typing import Any

from thalweg.computing import compute
from thalweg.observing import NetworkRecord
from thalweg.predictions import Predictions
from thalweg.study.context import StudyContext, fingerprint_of
from thalweg.study.rows import Row
from thalweg.study.store import Store

CALIBRATION = "validation"


def explore(
    context: StudyContext, store: Store, row: Row, base: int, draw_seed: int
) -> tuple[dict[str, Predictions], dict[str, Any]]:
    """Computes the method of a row from a base, and predicts on every part.

    Returns:
        Predictions by part, and what goes into the record beside them.
    """
    protocol = context.plan.protocol
    problem = context.problem(f"base {base}", store)
    computed = compute(
        row.method,
        problem,
        {CALIBRATION: context.loader(context.splits.validation), **context.parts()},
        calibration=CALIBRATION,
        draws=protocol.draws,
        emulator_draws=protocol.emulator_draws,
        seed=draw_seed,
        store=_Records(context, store),
    )
    # in a process with as many threads; None where the base's first training is not kept
    first = problem.cost_of(0)
    facts = {
        # evaluations of test inputs are counted by `evaluations_per_input`
        "cost": computed.cost_of_knowing.as_dict(),
        "seconds_exploring": computed.seconds_exploring,
        "evaluations_per_input": computed.evaluations_per_input,
        "stored_bytes": computed.stored_bytes,
        "training_seconds": None if first is None else first.seconds,
    }
    if row.method.one_by_one:
        facts |= {"share": computed.width_ratio, "proxies_trained": computed.narrow_trained}
    return computed.predictions, facts


@dataclass(frozen=True)
class _Records:
    """What networks say, in a study's store: by network, and by everything else that can change
    it.
    """

    context: StudyContext
    store: Store

    def recorded(self, name: str, *, features: bool) -> NetworkRecord | None:
        return self.store.recorded(self._key(name), features=features)

    def keep(self, name: str, record: NetworkRecord) -> None:
        self.store.keep(self._key(name), record)

    def _key(self, name: str) -> str:
        return fingerprint_of([self.context.identity_of_predictions, name, "witness"])
