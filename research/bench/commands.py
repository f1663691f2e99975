"""Commands that are killed: a study, anchors of a problem, trainings with a loader's workers, the
fit of a quantifier; and the processes that they are.

One start in four of a study is the command itself, so that it is killed while it imports, too. The
others are forks of this process, which has imported all already: importing would be most of the
time. Workers are started as ever.
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from research.skeleton import ROOT
from thalweg import cli, report  # noqa: F401  the latter before this process is forked
from thalweg.processes.crew import dismiss
from thalweg.stopping import stop_at_once
from thalweg.study import compare, run  # noqa: F401

PLAN = """
name = "kills"
[data]
name = "digits"
train = 128
validation = 40
test = 60
batch_size = 16
ood_images = 20
[model]
name = "mlp"
hidden = [16]
[recipe]
epochs = 24
[protocol]
reference = 6
pool = 4
bases = 2
draws = 4
emulator_draws = 8
replicates = 100
landscape = "none"
[[methods]]
explorer = "deep-ensemble"
members = [1, 2]
[[methods]]
explorer = "learned-line"
[[methods]]
explorer = "deep-ensemble"
members = 2
emulator = "neighbours"
"""
START = """
import sys, torch
from pathlib import Path
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from thalweg import Batches, Execution, Problem, Recipe, train_anchors
from thalweg.study.store import Store
torch.set_num_threads(1)
random = torch.Generator().manual_seed(0)
x = torch.randn(2000, 20, generator=random)
y = x[:, :3].argmax(1)
execution = Execution(jobs=int(sys.argv[2]))
kept = {"execution": execution, "cache": Store(Path(sys.argv[1])), "identity": "kills"}
model = lambda: nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
"""
ANCHORS = (
    START
    + """
problem = Problem(model, Batches(x, y, 20), Recipe(epochs=3), **kept)
train_anchors(problem, 10)
"""
)
LOADER = (
    START
    + """
loader = DataLoader(TensorDataset(x[:400], y[:400]), 20, shuffle=True, num_workers=2)
problem = Problem(model, loader, Recipe(epochs=3), **kept)
train_anchors(problem, 4)
"""
)
FIT = (
    START
    + """
import warnings
from thalweg import Quantifier
warnings.simplefilter("ignore")
problem = Problem(model, Batches(x[:400], y[:400], 20), Recipe(epochs=6), unlabelled=x[400:800])
Quantifier(budget=2.0, anchors=2, folder=sys.argv[1]).fit(problem)
"""
)
SCRIPTS = {"anchors": ANCHORS, "loader": LOADER, "fit": FIT}


@dataclass(frozen=True)
class Case:
    """What is killed.

    Attributes:
        name: Of the command.
        jobs: Processes.
        share: Of all kills.
    """

    name: str
    jobs: int
    share: float

    def command(self, folder: Path) -> list[str]:
        """What is typed after `python`."""
        if self.name == "study":
            plan = folder.parent / "plan.toml"
            plan.write_text(PLAN)
            return [
                "-m",
                "thalweg.cli",
                "study",
                str(plan),
                "--output",
                str(folder),
                "--jobs",
                str(self.jobs),
            ]
        return ["-c", SCRIPTS[self.name], str(folder), str(self.jobs)]


@dataclass
class Running:
    """A command that runs, in a session of its own.

    Attributes:
        pid: Of its first process.
        said: Where its errors go.
        poll: Its exit code as `subprocess` gives it, or None.
    """

    pid: int
    said: Path
    poll: Callable[[], int | None]

    def end(self) -> tuple[int, str]:
        """Waits for it: exit code and errors."""
        while (code := self.poll()) is None:
            time.sleep(0.005)
        return code, self.said.read_text()


def begin(case: Case, folder: Path, *, fork: bool) -> Running:
    said = folder.parent / "errors.txt"
    command = case.command(folder)
    if fork:
        pid = os.fork()
        if not pid:
            _be(command, said)
        return Running(pid, said, _Poll(pid))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    with said.open("w") as file:
        running = subprocess.Popen(
            [sys.executable, *command],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=file,
            env=environment,
        )
    return Running(running.pid, said, running.poll)


class _Poll:
    """The exit code of a process that this one has forked."""

    def __init__(self, pid: int) -> None:
        self.pid, self.code = pid, None

    def __call__(self) -> int | None:
        if self.code is None and (status := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.code = os.waitstatus_to_exitcode(status[1])
        return self.code


def _be(command: list[str], said: Path) -> None:
    """Becomes the command, in a process that was forked."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    sys.stdout, sys.stderr = (
        os.fdopen(1, "w", closefd=False),
        os.fdopen(2, "w", closefd=False),
    )  # not what tests put there
    sys.argv = command[1:]
    code = 1
    try:
        if command[0] == "-m":
            stop_at_once()  # as the command does when it begins
            cli.main()
        else:
            exec(compile(command[1], "script", "exec"), {"__name__": "__main__"})
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except KeyboardInterrupt:  # as the interpreter does
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    dismiss()  # what this process registered for its end is not for its forks
    sys.stderr.flush()
    os._exit(code)


def processes(session: int) -> list[int]:
    """All processes of a session that live; those that are dead but not yet asked for do not
    count.
    """
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(entry.name))
    return found


def workers(session: int) -> list[int]:
    """Those of them that work: all but the first, and the standard library's tracker of
    resources.
    """
    found = []
    for process in processes(session):
        try:
            command = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if process != session and b"resource_tracker" not in command:
            found.append(process)
    return found


def hears(process: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
    caught = next(
        (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt")), 0
    )
    return bool(caught >> (number - 1) & 1)
