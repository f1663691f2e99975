"""The command line. Each command calls one function of the library.

The exit code is 0 if all went well, 1 if a run failed and 2 if the input was wrong.
"""

import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from thalweg import __version__
from thalweg.errors import InputError, TrainingFailed, WorkerDied
from thalweg.meter import now
from thalweg.progress import bars, duration
from thalweg.stopping import LINE, STOPPED, stopping_at_once

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="How much would this network's predictions change if it were trained again, and what "
    "does it cost to find out?",
    epilog="Examples:  thalweg study studies/digits.toml   ·   thalweg explain k_eq   ·   thalweg "
    "explorers",
)
# click's class, or the one of the copy of click that newer versions of typer contain
UsageError: Any = typer.BadParameter.__bases__[0]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Folder that is searched first for data files. Default: THALWEG_DATA."
    ),
]
TrustPlan = Annotated[
    bool,
    typer.Option(
        "--trust-plan",
        help="Import the network that the plan names as package.module:factory. "
        "This runs its code, so be sure who wrote it.",
    ),
]
Folder = Annotated[
    str,
    typer.Argument(help="A study's folder, such as results/digits or s3://bucket/digits."),
]


def _version(asked: bool) -> None:  # noqa: FBT001  typer's way to call it
    if asked:
        _say(f"thalweg {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """The options of the command itself."""


@app.command(
    epilog="Examples:  thalweg study studies/digits.toml   ·   thalweg study plan.toml --quick "
    "--jobs 4   ·   thalweg study plan.toml --shard 2/5   ·   thalweg study plan.toml "
    "--model mypackage.nets:make   ·   thalweg study plan.toml --engine ray --address auto"
)
def study(
    plan: Annotated[Path, typer.Argument(help="The plan, a TOML file.")],
    output: Annotated[
        str | None,
        typer.Option(
            help="Folder for the results: a path, or an address such as s3://bucket/prefix. "
            "Default: results/NAME, NAME being the plan's."
        ),
    ] = None,
    data_dir: DataDir = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of single-threaded processes. Default: one per core, or one per GPU.",
        ),
    ] = None,
    shard: Annotated[
        str,
        typer.Option(
            help="K/N runs only the K-th of N parts. Copy their folders into one to merge them."
        ),
    ] = "1/1",
    model: Annotated[
        str | None, typer.Option(help="A network of your own, as package.module:factory.")
    ] = None,
    quick: Annotated[  # noqa: FBT002
        bool, typer.Option("--quick", help="Run the plan's short form, which takes minutes.")
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            help="Run the study's tasks by an engine instead of --jobs processes: ray or slurm."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="The head of the Ray cluster, as host:port, or auto. Default: this machine."
        ),
    ] = None,
    engine_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A setting of the engine, such as gpus=0.25 or partition=long. Repeatable.",
        ),
    ] = None,
    trust_plan: TrustPlan = False,  # noqa: FBT002
    dry_run: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--dry-run",
            help="Check everything, say what is left to do and what it will take, and stop.",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --dry-run: the number of workers, on all machines together, that the wall "
            "time is for. Default: --jobs.",
        ),
    ] = None,
    seconds_per_training: Annotated[
        float | None,
        typer.Option(
            help="With --dry-run: how long one training takes where it will run. Default: from a "
            "few steps that are timed here."
        ),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option(help="With --dry-run: the price of a device-hour, in any currency."),
    ] = None,
    as_json: Annotated[  # noqa: FBT002
        bool, typer.Option("--json", help="With --dry-run: print JSON for other programs.")
    ] = False,
) -> None:
    """Run what a study still lacks, compare its methods and write the report.

    Runs are stored as they finish. A study that was stopped, or even killed, continues where it was
    when the command is given again.
    """
    from thalweg.files import given
    from thalweg.study.compare import compare as compare_study
    from thalweg.study.context import StudyContext
    from thalweg.study.plan import read_plan
    from thalweg.study.run import Store, preflight, run

    executor = _engine(engine, address, engine_option or [], jobs)
    planning = {
        "--workers": workers,
        "--seconds-per-training": seconds_per_training,
        "--price": price,
        "--json": as_json or None,
    }
    _check_planning(planning, dry_run=dry_run)
    checked = read_plan(plan, quick=quick, model=model, trust=trust_plan)
    part = _shard(shard)
    folder = given(output or Path("results") / checked.name)
    context = StudyContext(checked, data_dir)
    jobs = jobs or (_jobs(checked.protocol.device) if executor is None else 1)
    if dry_run:
        if executor is not None:
            executor.check(checked.protocol.device)
        store, jobs = Store(folder), workers or jobs
        store.check_reachable()
        context.check()
        ahead = preflight(context, store, jobs, part, training_seconds=seconds_per_training)
        _say(json.dumps(ahead.facts(jobs, price)) if as_json else ahead.plan(jobs, price))
        return
    with closing(_Progress(checked, jobs)) as progress:
        failed = run(context, folder, jobs=jobs, executor=executor, shard=part, progress=progress)
    if part[1] > 1:
        _say(
            f"shard {shard} is in {folder}: copy all shards into one folder, then run 'thalweg "
            "compare' and 'thalweg report' on it"
        )
    else:
        _say("comparing ...")
        _show(folder, compare_study(folder, data_dir))
        _report(folder)
    if failed:
        for record in failed[:5]:
            _say(f"failed: {record['title']}: {record['error']}")
        raise typer.Exit(1)


@app.command(
    epilog="Examples:  thalweg compare results/digits   ·   thalweg compare retrainings.npy "
    "method.npy --kind probabilities"
)
def compare(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER_OR_REFERENCE",
            help="A study's folder, or a file of retrainings' predictions: .npy, .npz, .parquet.",
        ),
    ],
    method: Annotated[
        str | None, typer.Argument(help="A file with a method's predictions of the same inputs.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="What the files hold: probabilities, log_probabilities or logits (members x "
            "inputs x classes), or values."
        ),
    ] = None,
    binary: Annotated[  # noqa: FBT002
        bool, typer.Option("--binary", help="One probability or logit an input: members x inputs.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Evaluate a study's methods again from the stored predictions, or compare the predictions in
    one file with those of retrainings in another.
    """
    from thalweg.study.compare import compare as compare_study

    if method is None:
        if kind is not None or binary:
            raise InputError(
                "compare got one path and what files hold, needs the files of retrainings and of "
                "a method, or a study's folder alone"
            )
        _show(source, compare_study(source, data_dir))
        return
    from thalweg.metrics.comparison import compare as compare_predictions

    _say(
        str(compare_predictions(*(_predictions(p, kind, binary=binary) for p in (source, method))))
    )


@app.command(
    epilog="Example:  thalweg report results/digits   ·   thalweg report studies/mnist-mlp"
)
def report(folder: Folder) -> None:
    """Write report.pdf and report.html from a study's result files."""
    _report(folder)


@app.command(
    epilog="Examples:  thalweg landscape studies/digits.toml --quick   ·   "
    "thalweg landscape results/digits --through segment   ·   "
    "thalweg landscape plan.toml --weights found.safetensors"
)
def landscape(
    source: Annotated[
        str,
        typer.Argument(metavar="PLAN_OR_FOLDER", help="A plan, a TOML file, or a study's folder."),
    ],
    through: Annotated[
        str | None,
        typer.Option(
            help="What the plane goes through: random (around one anchor), segment (two anchors), "
            "anchors (three anchors), learned-curve, connecting-curve, thalweg (paths that are "
            "led). Default: the plan's choice."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="A weight distribution stored by thalweg.save, to draw instead."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(help="Folder for the pictures. Default: landscape/ in the study's folder."),
    ] = None,
    grid: Annotated[int, typer.Option(min=2, help="Points per side of the grid.")] = 17,
    quick: Annotated[bool, typer.Option("--quick", help="Use the plan's short form.")] = False,  # noqa: FBT002
    trust_plan: TrustPlan = False,  # noqa: FBT002
    data_dir: DataDir = None,
) -> None:
    """Draw the loss landscape through the networks of a plan's base 0, and measure barriers.

    The pictures are PNG and SVG files and an interactive page. Anchors are read from the study's
    folder (results/NAME for a plan); missing ones are trained and kept there. Curves are trained
    anew at each call.
    """
    from thalweg.report.extras import extra
    from thalweg.report.landscape_page import CHANCE, draw
    from thalweg.study.looking import look

    extra("plotly.graph_objects")  # fails before the work, not after it
    folder = look(
        source,
        through=through,
        weights=weights,
        output=output,
        quick=quick,
        data_dir=data_dir,
        grid=grid,
        trust=trust_plan,
        say=_say,
    )
    drawn = draw(folder)
    if drawn.profiles:
        table = Table(
            "path",
            "losses at the ends (nats)",
            "barrier (nats)",
            "highest loss (nats)",
            "highest training error",
            "ends disagree on",
        )
        for name, profile in drawn.profiles.items():
            table.add_row(
                name,
                f"{profile.loss[0]:#.3g}, {profile.loss[-1]:#.3g}",
                f"{profile.barrier:#.3g}",
                f"{profile.highest:#.3g}",
                f"{float(profile.error.max()):.1%}",
                f"{float(profile.disagreement[-1]):.1%} of inputs",
            )
        _console().print(table)
    if drawn.chance:
        _say(CHANCE)
    _say(
        f"cost: {drawn.trainings:.2f} trainings (stored ones included), "
        f"{drawn.total:.2f} with forward evaluations"
    )
    for path in drawn.paths:
        _say(f"wrote {path}")


@app.command(epilog="Example:  thalweg explorers")
def explorers() -> None:
    """List the explorers, emulators and baselines that plans can name, with their settings."""
    import dataclasses

    from thalweg.baselines.base import baselines
    from thalweg.emulators.base import emulators
    from thalweg.explorers.base import explorers as known

    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        ("explorer", known()),
        ("emulator", emulators()),
        ("baseline", baselines()),
    )
    for title, classes in kinds:
        table = Table(title, "what it is", "settings")
        for name, cls in classes.items():
            settings = ", ".join(f"{f.name} = {_short(f.default)}" for f in dataclasses.fields(cls))
            module = sys.modules.get(cls.__module__)
            about = (module and module.__doc__) or cls.__doc__ or ""
            table.add_row(name, about.split("\n\n")[0].replace("\n", " "), settings)
        _console().print(table)


@app.command(epilog="Example:  thalweg datasets")
def datasets() -> None:
    """List the data sets, and the sets of out-of-distribution images."""
    from thalweg.data import DATASETS, ood_names

    table = Table("data set", "what it shows", "input", "classes", "train", "test", "source")
    for name, entry in DATASETS.items():
        shape = "x".join(map(str, entry.shape))
        counts = map(str, (entry.classes or "values", entry.train, entry.test))
        table.add_row(name, entry.about, shape, *counts, entry.source)
    _console().print(table)
    _say(f"out of distribution: {', '.join(ood_names())}")


Low = Annotated[float | None, typer.Option(help="Lower tolerance limit, or least probability.")]
High = Annotated[float | None, typer.Option(help="Upper tolerance limit.")]
OutputName = Annotated[
    str | None,
    typer.Option(help="The output or class that limits are of. Default: the most probable class."),
]
Guard = Annotated[float, typer.Option(min=0, help="Guard band, in expanded uncertainties U.")]
Risk = Annotated[
    float | None, typer.Option(help="Largest risk of a decision, instead of a guard band.")
]
Lang = Annotated[str, typer.Option(help="The language of the pages: en or fr.")]
Json = Annotated[bool, typer.Option("--json", help="Print the main numbers as JSON, alone.")]
Pages = Annotated[bool, typer.Option("--pages/--no-pages", help="Write statement.pdf and .html.")]


@app.command(
    epilog="Examples:  thalweg quantify --demo digits --out digits   ·   thalweg quantify "
    "mypackage.task:problem --inputs x.npy --out folder   ·   thalweg quantify networks.npy --kind "
    "probabilities --out folder"
)
def quantify(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROBLEM_OR_FILES",
            help="A thalweg.Problem as package.module:problem, whose code is run; or predictions "
            "of networks: .npy, .npz, .parquet, .safetensors, one file for all or one each.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the statement, which is made.")] = Path(
        "statement"
    ),
    demo: Annotated[str | None, typer.Option(help="digits: a demonstration.")] = None,
    inputs: Annotated[
        Path | None, typer.Option(help="What a problem is asked about: .npy or .npz.")
    ] = None,
    budget: Annotated[float, typer.Option(min=0, help="Trainings beyond the network.")] = 1.0,
    draws: Annotated[int, typer.Option(min=2, help="How many trainings are drawn.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    keep: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--keep/--no-keep", help="Keep networks in the folder: a killed run goes on from there."
        ),
    ] = True,
    kind: Annotated[
        str | None,
        typer.Option(help="What files hold: probabilities, log_probabilities, logits or values."),
    ] = None,
    binary: Annotated[  # noqa: FBT002
        bool, typer.Option("--binary", help="One probability or logit an input: members x inputs.")
    ] = False,
    units: Annotated[str, typer.Option(help="The units of values, such as mg/l.")] = "",
    members: Annotated[
        str | None,
        typer.Option(help="What files are of: networks, or draws. Default: as they say."),
    ] = None,
    measurand: Annotated[
        str,
        typer.Option(help="retraining (what one more training predicts) or mean (over all)."),
    ] = "retraining",
    level: Annotated[float, typer.Option(help="Coverage probability.")] = 0.95,
    k: Annotated[
        float | None, typer.Option(help="Coverage factor, such as 2. Default: Student's.")
    ] = None,
    low: Low = None,
    high: High = None,
    output: OutputName = None,
    guard: Guard = 1.0,
    risk: Risk = None,
    lang: Lang = "en",
    pages: Pages = True,  # noqa: FBT002
    json: Json = False,  # noqa: FBT002
) -> None:
    """State the uncertainty of a network's predictions: a table, files and pages in a folder."""
    from thalweg.commands.stating import Asked
    from thalweg.commands.stating import quantify as quantify_all

    tolerance = _tolerance(low, high, output, guard, risk)
    asked = Asked(
        sources=tuple(sources or ()),
        out=out,
        demo=demo,
        inputs=inputs,
        budget=budget,
        draws=draws,
        seed=seed,
        keep=keep,
        kind=kind,
        binary=binary,
        units=units,
        members=members,
        measurand=measurand,
        level=level,
        k=k,
        tolerance=tolerance,
        pages=pages,
        lang=lang,
    )
    _stated(*quantify_all(asked), lang, as_json=json)


@app.command(
    epilog="Examples:  thalweg statement folder   ·   thalweg statement folder --lang fr   ·   "
    "thalweg statement folder --low 0.9 --risk 0.01"
)
def statement(
    folder: Annotated[Path, typer.Argument(help="What thalweg quantify or Statement.save wrote.")],
    lang: Lang = "en",
    low: Low = None,
    high: High = None,
    output: OutputName = None,
    guard: Guard = 1.0,
    risk: Risk = None,
    pages: Pages = True,  # noqa: FBT002
    json: Json = False,  # noqa: FBT002
) -> None:
    """Write a statement's table and pages again, in English or French, or with other limits."""
    from thalweg.commands.stating import restate

    tolerance = _tolerance(low, high, output, guard, risk)
    _stated(*restate(folder, lang, tolerance, wanted=pages), lang, as_json=json)


@app.command(epilog="Examples:  thalweg explain k_eq   ·   thalweg explain anchor")
def explain(
    word: Annotated[
        str, typer.Argument(help="A heading or word, such as K_u or anchor. 'all' lists them.")
    ],
) -> None:
    """Explain a heading of a table or a word: what it means, with formula, unit and source."""
    from thalweg.glossary import TERMS, told
    from thalweg.metrics.info import FACTS

    if word == "all":
        for fact in FACTS.values():
            _say(f"{fact.name:24} {fact.title}")
        for term, meaning in TERMS.items():
            _say(f"{term:24} {meaning.split('. ')[0].rstrip('.')}")
        return
    _say(told(word))


def main() -> None:
    """Runs the command line. A user's mistake gives one line and exit code 2."""
    try:
        with stopping_at_once():
            code = app(sys.argv[1:] or ["--help"], prog_name="thalweg", standalone_mode=False) or 0
    except InputError as error:
        code = _complain(f"thalweg: {error}", 2)
    except UsageError as error:
        message = " ".join(error.format_message().split())
        code = _complain(f"thalweg: {message} (see 'thalweg --help')", 2)
    except (WorkerDied, TrainingFailed) as error:
        code = _complain(f"thalweg: {error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    if code == STOPPED:
        _complain(LINE, code)
    sys.exit(code)


def _complain(text: str, code: int) -> int:
    """Prints one line on stderr and returns the exit code."""
    Console(stderr=True).print(text, style="red", soft_wrap=True, highlight=False, markup=False)
    return code


class _Progress:
    """Shows progress: a bar with the remaining time on a terminal, plain lines in a log."""

    def __init__(self, plan: Any, jobs: int) -> None:
        self.plan, self.jobs, self.begun, self.done, self.told = plan, jobs, 0.0, 0.0, 0.0
        self.bars: Any = None

    def begin(self, preflight: Any) -> None:
        """Says what is left to do."""
        _say(f"{self.plan.title}: {preflight.text(self.jobs)}")
        self.begun, self.total, self.preflight = now(), len(preflight.todo), preflight
        if _console().is_terminal and preflight.todo:
            self.bars = bars(_console(), counted=True)
            self.bars.start()
            self.bar = self.bars.add_task("study", total=self.total)

    def step(self, task: Any, record: dict[str, Any]) -> None:
        """Says what has been done, and about how long the rest will take."""
        self.done += 1
        failed = record["status"] == "failed"
        if self.bars is not None:
            self.bars.update(self.bar, advance=1, description=task.title(self.plan)[:48])
            return
        elapsed = now() - self.begun
        if failed or self.done == self.total or elapsed - self.told > 10:
            self.told = elapsed
            left = elapsed / self.done * (self.total - self.done)
            word = f"FAILED ({record['error']})" if failed else "done"
            _say(
                f"[{self.done:.0f}/{self.total}] {task.title(self.plan)} {word}; "
                f"{duration(elapsed)} so far, about {duration(left)} left"
            )

    def close(self) -> None:
        """Restores the terminal, however the study ended."""
        if self.bars is not None:
            self.bars.stop()


def _report(folder: Any) -> None:
    from thalweg.report import write

    for path in write(folder):
        _say(f"wrote {path}")


def _show(folder: Any, comparison: Any) -> None:
    """Prints the main columns of the comparison."""
    from thalweg.files import given
    from thalweg.metrics.costs import completed
    from thalweg.metrics.info import FACTS
    from thalweg.metrics.intervals import Estimate
    from thalweg.report.reading import ResultFiles

    methods = ResultFiles(given(folder) / "results").table("methods")
    scores = ("accuracy", "calibrated_nll", "squared_error", "crps")  # of classes, and of values
    judged = set(comparison["metric"])
    columns = [
        name for name in ("k_eq", "k_u", *scores, "spread_ratio", "coverage") if name in judged
    ]
    table = Table(
        "method",
        "cost",
        "total",
        *(FACTS[c].symbol for c in columns),
        title="mean over bases (95 % interval)",
    )
    texts = {
        (r["method"], r["metric"]): Estimate(r["value"], r["low"], r["high"]).text(
            FACTS[r["metric"]].digits
        )
        for r in comparison.to_dict("records")
        if r["metric"] in columns
    }
    for row in completed(methods).to_dict("records"):
        cells = [texts.get((row["method"], column), "failed") for column in columns]
        table.add_row(row["method"], f"{row['cost']:.2f}", f"{row['total']:.2f}", *cells)
    _console().print(table)


def _tolerance(
    low: float | None, high: float | None, output: str | None, guard: float, risk: float | None
) -> Any:
    """Returns what conforms; None where no limit is given."""
    from thalweg.statement.tolerance import Tolerance

    if low is None and high is None:
        if output is not None or risk is not None or guard != 1:
            raise InputError("got --output, --guard or --risk and no limit, needs --low or --high")
        return None
    return Tolerance(low, high, output, guard, risk)


def _stated(made: Any, written: list[Path], lang: str, *, as_json: bool) -> None:
    """Prints a statement: its first rows and what it says in words, or the numbers as JSON."""
    from json import dumps

    from thalweg.commands.stating import facts
    from thalweg.statement.sentences import summary

    if as_json:
        print(dumps(facts(made, written), indent=1))  # noqa: T201  nothing else is on stdout
        return
    rows = made.table().head(10)
    columns = ["input", "output", "stated", "u_retraining", "u_finite", "k", "U", "low", "high"]
    columns += [name for name in ("decision", "flags") if name in rows]
    table = Table(*columns, title=f"the first {len(rows)} rows")
    for row in rows.to_dict("records"):
        table.add_row(*(_short(row[column]) for column in columns))
    _console().print(table)
    _say(summary(made, lang))
    for path in written:
        _say(f"wrote {path}")


def _predictions(source: str, kind: Any, *, binary: bool) -> Any:
    """Returns the predictions in a file: of an array or a table the kind must be said."""
    from thalweg.files import given
    from thalweg.outputs import Binary
    from thalweg.predictions import Predictions

    path = given(source)
    if path.suffix == ".safetensors":
        return Predictions.load(path)
    if kind is None:
        raise InputError(
            f"compare got {path} and no kind, needs --kind probabilities, log_probabilities, "
            "logits or values"
        )
    return Predictions.of(path, kind, outputs=Binary() if binary else None)


def _check_planning(given: dict[str, Any], *, dry_run: bool) -> None:
    """Checks the options that only `--dry-run` has."""
    from thalweg.errors import check_range

    named = {name: value for name, value in given.items() if value is not None}
    if named and not dry_run:
        raise InputError(f"study got {', '.join(named)}, which needs --dry-run beside it")
    for name in ("--seconds-per-training", "--price"):
        if name in named:
            check_range(name, named[name], 0)


def _shard(text: str) -> tuple[int, int]:
    number, _, shards = text.partition("/")
    if not (number.isdecimal() and shards.isdecimal() and 1 <= int(number) <= int(shards)):
        raise InputError(f"--shard got '{text}', needs K/N such as 2/5, with K from 1 to N")
    return int(number), int(shards)


def _engine(name: str | None, address: str | None, options: list[str], jobs: int | None) -> Any:
    """Returns the engine that was asked for, or None."""
    if name is None:
        if address is not None or options:
            given = "--address" if address is not None else "--engine-option"
            raise InputError(f"{given} got a value without --engine: give --engine ray or slurm")
        return None
    if jobs is not None:
        raise InputError(
            f"--jobs got {jobs} beside --engine {name}, which says itself how many tasks it runs "
            "at once: leave one of both out"
        )
    from thalweg.engines import engine

    return engine(name, options, address)


def _jobs(device: str) -> int:
    """Returns one process per core, or one per GPU if the plan does not name a certain GPU."""
    if device == "cpu":
        affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
        return len(affinity) or os.cpu_count() or 1
    import torch

    return max(1, torch.cuda.device_count()) if device == "cuda" else 1


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _console() -> Console:
    # a log has no width, and rich would fold tables at 80 columns; labels are text, not markup
    width = None if sys.stdout.isatty() else 200
    return Console(width=width, markup=False, emoji=False)


def _say(text: str) -> None:
    _console().print(text, soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    main()
