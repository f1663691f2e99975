"""`thalweg quantify` and `thalweg statement`: from a problem or predictions to a folder with a
statement, and from the folder to pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from thalweg import files
from thalweg.commands.demo import DEMOS, digits
from thalweg.errors import InputError, unknown
from thalweg.models.registry import find_object, is_code
from thalweg.outputs import Binary, Outputs, Values
from thalweg.predictions import Kind, Predictions
from thalweg.quantifier import Quantifier
from thalweg.report.extras import extra
from thalweg.statement.evidence import Members
from thalweg.statement.held import root_mean_square
from thalweg.statement.measurand import Measurand
from thalweg.statement.reading import read_statement
from thalweg.statement.sentences import of_answers
from thalweg.statement.statement import Statement
from thalweg.statement.stating import check_settings, state
from thalweg.statement.tolerance import Tolerance
from thalweg.statement.words import words
from thalweg.statement.writing import to_csv
from thalweg.training.problem import Problem

FIT, ASKED, TABLE = "fit", "asked.json", "statement.csv"


@dataclass(frozen=True)
class Asked:
    """What the command line asks for; settings have the names of its options.

    Attributes:
        sources: `package.module:problem`, or files of predictions, one for all networks or one
            each; empty for a demonstration.
        out: The folder that is made.
        demo: The name of a demonstration.
        inputs: A file of inputs, for a problem.
        budget: Trainings beyond the network.
        draws: How many trainings are drawn.
        seed: Of the draws.
        keep: Whether networks are kept in the folder, so that a killed run goes on from there.
        kind: What files of predictions hold.
        binary: Whether they hold one probability or logit an input.
        units: Of values.
        members: Whether they are of trained networks or are draws.
        measurand: As in `thalweg.state`.
        level: Likewise.
        k: Likewise.
        tolerance: Likewise.
        pages: Whether to write pages, too.
        lang: Their language.
    """

    sources: tuple[str, ...]
    out: Path
    demo: str | None = None
    inputs: Path | None = None
    budget: float = 1.0
    draws: int = 100
    seed: int = 0
    keep: bool = True
    kind: str | None = None
    binary: bool = False
    units: str = ""
    members: str | None = None
    measurand: str = "retraining"
    level: float = 0.95
    k: float | None = None
    tolerance: Tolerance | None = None
    pages: bool = True
    lang: str = "en"


def quantify(asked: Asked) -> tuple[Statement, list[Path]]:
    """Makes a statement, and writes it to a folder. Everything is checked before anything is
    trained; where a training was killed, the same command goes on from what is in the folder.

    Returns:
        The statement and the files that were written.

    Raises:
        InputError: Something does not fit, or only one network is there.
    """
    _check(asked)
    folder = files.local(asked.out)
    made = _demo(asked) if asked.demo is not None else _of_sources(asked)
    made.save(folder)
    return made, [folder / "statement.json", *pages(made, folder, asked)]


def restate(
    folder: Path, lang: str, tolerance: Tolerance | None, *, wanted: bool
) -> tuple[Statement, list[Path]]:
    """Reads a folder's statement, decides anew where a tolerance is given, which the statement then
    holds, and writes its table and pages.

    Raises:
        InputError: There is no statement, or the tolerance does not fit.
    """
    words(lang)
    place = files.local(folder)
    made = read_statement(place)
    if tolerance is not None:
        made = made.decide(tolerance)
    place = place if files.is_folder(place) else place.parent
    if tolerance is not None:
        made.save(place)
    return made, pages(made, place, Asked((), place, lang=lang, pages=wanted))


def pages(made: Statement, folder: Path, asked: Asked) -> list[Path]:
    """Writes the table, and pages where they are wanted; returns their paths."""
    to_csv(made, folder / TABLE)
    written = [folder / TABLE]
    if asked.pages:
        name = "statement" if asked.lang == "en" else f"statement-{asked.lang}"
        paths = [folder / f"{name}.{suffix}" for suffix in ("pdf", "html")]
        written += [made.report(path, lang=asked.lang) for path in paths]
    return written


def facts(made: Statement, written: Sequence[Path]) -> dict[str, Any]:
    """The main numbers, for programs: `--json`."""
    flags = made.flags()
    names = sorted({name for own in flags for name in own})
    return {
        "measurand": made.measurand,
        "inputs": len(made.inputs),
        "columns": len(made.columns),
        "members": made.members,
        "from_networks": made.networks,
        "level": made.level,
        "units": made.units,
        "u_root_mean_square": root_mean_square(of_answers(made)),
        "k_median": float(made.k.median()),
        "flags": {name: sum(name in own for own in flags) for name in names},
        "decision": None if made.decision is None else made.decision.global_risks(),
        "files": [str(path) for path in written],
    }


def _check(asked: Asked) -> None:
    """Checks all that can be before a problem is made, and that the folder can be written to."""
    words(asked.lang)
    check_settings(asked.measurand, asked.level, asked.k)
    if asked.demo is not None and asked.demo not in DEMOS:
        raise unknown("demonstration", asked.demo, DEMOS)
    if (asked.demo is None) == (not asked.sources):
        raise InputError(
            "quantify got "
            + ("a demonstration and a source" if asked.sources else "nothing to state of")
            + ", needs package.module:problem, files of predictions, or --demo digits"
        )
    code = any(is_code(source) for source in asked.sources)
    if code and (len(asked.sources) > 1 or asked.inputs is None):
        raise InputError(
            "quantify got package.module:problem, needs it alone, and --inputs FILE.npy with what "
            "is asked about"
        )
    if not code and asked.inputs is not None:
        raise InputError(
            "quantify got --inputs and no problem: files of predictions have their inputs, and so "
            "has a demonstration"
        )
    if asked.pages:
        extra("typst")
        extra("jinja2")
    settings = {name: getattr(asked, name) for name in ("budget", "draws", "seed", "level")}
    record = {**settings, "sources": list(asked.sources), "measurand": asked.measurand}
    files.write_record(files.local(asked.out) / ASKED, record)


def _of_sources(asked: Asked) -> Statement:
    if is_code(asked.sources[0]):
        found = find_object(asked.sources[0])
        problem = found if isinstance(found, Problem) else found() if callable(found) else found
        if not isinstance(problem, Problem):
            raise InputError(
                f"{asked.sources[0]} gives a {type(problem).__name__}, needs a thalweg.Problem, or "
                "a function without arguments that returns one"
            )
        return _of_problem(asked, problem, _read_inputs(cast("Path", asked.inputs)))
    return state(_read_predictions(asked), **_settings(asked), members=_members(asked))


def _demo(asked: Asked) -> Statement:
    demo = digits(asked.seed)
    tolerance = Tolerance(low=0.9) if asked.tolerance is None else asked.tolerance
    beside = {"labels": demo.labels, "pictures": demo.pictures, "columns": demo.columns}
    return _of_problem(asked, demo.problem, demo.inputs, **beside, tolerance=tolerance)


def _of_problem(asked: Asked, problem: Problem, inputs: Any, **beside: Any) -> Statement:
    if asked.kind is not None or asked.binary or asked.units or asked.members is not None:
        raise InputError(
            "quantify got a problem and --kind, --binary, --units or --members, which are of "
            "files of predictions: leave them out"
        )
    settings = {**_settings(asked), **beside}
    if settings["tolerance"] is not None:
        settings["tolerance"].check_scale(simplex=problem.outputs.simplex)
    quantifier = Quantifier(
        budget=asked.budget,
        draws=asked.draws,
        seed=asked.seed,
        folder=files.local(asked.out) / FIT if asked.keep else None,
    )
    quantifier.request(problem).checked_inputs(problem, inputs)
    return state(quantifier.fit(problem), inputs, **settings)


def _settings(asked: Asked) -> dict[str, Any]:
    return {
        "measurand": cast("Measurand", asked.measurand),
        "level": asked.level,
        "k": asked.k,
        "tolerance": asked.tolerance,
    }


def _members(asked: Asked) -> Members | None:
    return cast("Members | None", asked.members)


def _read_inputs(path: Path) -> Any:
    arrays = files.read_arrays(files.local(path))
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return next(iter(tensors.values())) if len(tensors) == 1 else tensors


def _read_predictions(asked: Asked) -> Predictions:
    paths = [files.local(source) for source in asked.sources]
    if paths[0].suffix == ".safetensors":
        if len(paths) > 1:
            raise InputError(
                f"quantify got {len(paths)} files, the first a .safetensors file, needs that alone"
            )
        if asked.kind is not None or asked.binary or asked.units:
            raise InputError(
                f"quantify got {paths[0]} and --kind, --binary or --units, which it knows: leave "
                "them out"
            )
        return Predictions.load(paths[0])
    if asked.kind is None:
        raise InputError(
            f"quantify got {paths[0]} and no kind, needs --kind probabilities, log_probabilities, "
            "logits or values"
        )
    outputs: Outputs | None = Binary() if asked.binary else None
    if asked.units:
        if asked.kind != "values":
            raise InputError("quantify got --units, needs --kind values beside it")
        outputs = Values(asked.units)
    given = paths[0] if len(paths) == 1 else paths
    return Predictions.of(given, cast("Kind", asked.kind), outputs=outputs)
