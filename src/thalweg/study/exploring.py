"""One row of a comparison from one base: explore, train proxies, look at inputs, emulate."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from thalweg.narrow.training import charged, narrow_problem, relative_cost, train_narrow
from thalweg.predicting import predict, sample
from thalweg.predictions import Predictions
from thalweg.quantify import gather
from thalweg.study.context import StudyContext, fingerprint_of
from thalweg.study.rows import Method
from thalweg.study.store import Store
from thalweg.training.problem import Problem
from thalweg.weights.distribution import Members, WeightDistribution

CALIBRATION = "validation"


def explore(
    context: StudyContext, store: Store, method: Method, base: int, draw_seed: int
) -> tuple[dict[str, Predictions], dict[str, Any]]:
    """Explores from a base and predicts on every part; an emulator turns what the members know into
    its own predictions.

    Returns:
        Predictions by part, and what goes into the record beside them.
    """
    protocol = context.plan.protocol
    problem = context.problem(f"base {base}", store)
    predicting, found = method.explore(problem)
    drawn = Members(tuple(sample(predicting, found, found.size or protocol.draws, seed=draw_seed)))
    if method.proxies is not None or (
        method.emulator is not None and method.emulator.uses_features
    ):
        return _with_evidence(context, store, method, problem, drawn, draw_seed)
    explored = problem.cost
    members = {part: predict(predicting, drawn, loader) for part, loader in context.parts().items()}
    # refreshes are work of the exploration; evaluations of test inputs are counted by
    # `evaluations_per_input`
    evaluated = (
        sum(p.members * p.inputs for p in members.values())
        if predicting.meter is problem.meter
        else 0
    )
    stored = stored_bytes(found)
    if method.emulator is not None:
        whole = predicting.meter is problem.meter
        with (
            nullcontext()
            if whole
            else charged(problem, predicting, relative_cost(problem, predicting))
        ):
            calibration = predict(predicting, drawn, context.loader(context.splits.validation))
        with problem.meter.emulating():
            members = method.emulator.emulate_parts(
                calibration, members, draws=protocol.emulator_draws, seed=draw_seed
            )
        stored += calibration.stored.numel() * calibration.stored.element_size()
    cost = replace(problem.cost, forward_examples=problem.cost.forward_examples - evaluated)
    return members, {
        "cost": cost.as_dict(),
        "seconds_exploring": explored.seconds,
        "evaluations_per_input": drawn.size,
        "stored_bytes": stored,
        "training_seconds": _training_seconds(problem),
    }


def _with_evidence(
    context: StudyContext,
    store: Store,
    method: Method,
    problem: Problem,
    drawn: Members,
    draw_seed: int,
) -> tuple[dict[str, Predictions], dict[str, Any]]:
    """The same with narrow networks beside the members, or with features of the inputs."""
    plan = context.plan
    share, narrow, proxies = 1.0, None, None
    if method.proxies is not None:
        share, count = method.proxies.chosen(problem)
        narrow = narrow_problem(problem, share)
        proxies = train_narrow(problem, narrow, count)
    explored = problem.cost
    keys = _keys(context, method, problem, drawn, narrow, proxies)
    parts = {CALIBRATION: context.loader(context.splits.validation), **context.parts()}
    features = method.emulator is not None and method.emulator.uses_features
    evidence = gather(
        problem, drawn, narrow, proxies, share, parts, features=features, archive=store, keys=keys
    )
    calibration = evidence.pop(CALIBRATION)
    ratio = 0.0 if narrow is None else relative_cost(problem, narrow)
    evaluated = sum(
        own.inputs * (len(drawn.points) + ratio * (own.members - len(drawn.points)))
        for own in evidence.values()
    )
    if method.emulator is None:
        members = {
            part: Predictions(own.stored, outputs=own.outputs) for part, own in evidence.items()
        }
    else:
        with problem.meter.emulating():
            members = method.emulator.emulate_parts(
                calibration, evidence, draws=plan.protocol.emulator_draws, seed=draw_seed
            )
    stored = [calibration.stored] + ([] if calibration.features is None else [calibration.features])
    networks: list[WeightDistribution] = [drawn, *([] if proxies is None else [proxies])]
    cost = replace(problem.cost, forward_examples=problem.cost.forward_examples - evaluated)
    return members, {
        "cost": cost.as_dict(),
        "seconds_exploring": explored.seconds,
        "evaluations_per_input": calibration.members,
        "stored_bytes": sum(map(stored_bytes, networks))
        + sum(t.numel() * t.element_size() for t in stored),
        "share": share,
        "proxies_trained": 0 if proxies is None else proxies.size,
        "training_seconds": _training_seconds(problem),
    }


def _training_seconds(problem: Problem) -> float | None:
    """How long the base's first training took, in a process with as many threads; None where it is
    not kept.
    """
    cost = problem.cost_of(0)
    return None if cost is None else cost.seconds


def _keys(
    context: StudyContext,
    method: Method,
    problem: Problem,
    drawn: Members,
    narrow: Problem | None,
    proxies: Members | None,
) -> tuple[str, ...]:
    """Names under which it is kept what networks say: of retrainings and narrow ones, which other
    rows have, too.
    """
    if not method.explores_nothing or method.repeat > 1:
        return ()
    names = [problem.fingerprint(k) for k in range(len(drawn.points))]
    if narrow is not None and proxies is not None:
        names += [narrow.fingerprint(k) for k in range(len(proxies.points))]
    return tuple(
        fingerprint_of([context.identity_of_predictions, name, "witness"]) for name in names
    )


def stored_bytes(found: WeightDistribution) -> int:
    """Bytes that the distribution takes when stored."""
    return sum(t.numel() * t.element_size() for t in found.tensors()[0].values())
