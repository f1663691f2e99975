"""Random kills, `python -m research.bench.kills --count 200`: nobody is left, and the same command
ends with the same bits.

A command (a study, anchors of a problem, trainings with a loader's workers, the fit of a
quantifier) is begun, gets a signal at a random moment, and is begun again in the same folder, until
it comes to its own end; then every stored tensor, table and record is compared with those of a run
that was never disturbed, bit for bit except for clocks. Then a new folder is begun.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from research.bench.commands import Case, Running, begin, hears, processes, workers
from research.bench.measure import Settings, store
from research.bench.stored import content, count, differences

LINE = "stopped: what is done is stored, the same command goes on from there"
CASES = (
    Case("study", 1, 0.25),
    Case("study", 2, 0.3),
    Case("anchors", 1, 0.05),
    Case("anchors", 2, 0.25),
    Case("loader", 1, 0.05),
    Case("loader", 2, 0.05),
    Case("fit", 1, 0.05),
)


@dataclass
class Tally:
    """What kills of one kind gave.

    Attributes:
        kills: How many.
        slowest: Longest time from the signal until all processes were gone, in seconds.
        late: How often that took more than two seconds.
        wrong: Endings that were not as they should be: exit code, and what was said.
        differing: Folders whose content differs in the end.
    """

    kills: int = 0
    slowest: float = 0.0
    late: int = 0
    wrong: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)


def kills(
    total: int,
    seed: int,
    folder: Path,
    write: Callable[[list], object] = lambda _: None,
    cases: Sequence[Case] = CASES,
) -> list[dict[str, Any]]:
    """Kills so often, all cases in turn, and says what came of it."""
    draws = random.Random(seed)
    found: dict[tuple[str, int, str, str], Tally] = {}
    left = {case: round(case.share * total) for case in cases}
    whole: dict[str, Any] = {}
    while any(left.values()):
        case = max(left, key=lambda case: left[case] / max(1, round(case.share * total)))
        if case.name not in whole:
            whole[case.name] = _undisturbed(case, folder / f"{case.name} undisturbed")
        chain = _Chain(
            case, Path(tempfile.mkdtemp(dir=folder)) / "out", draws, len(whole[case.name])
        )
        used = []
        while not chain.ended:
            kind, tally = chain.kill(may=left[case] > 0)
            if kind is not None:
                left[case] -= 1
                own = found.setdefault((case.name, case.jobs, *kind), Tally())
                own.kills, own.slowest, own.late = (
                    own.kills + 1,
                    max(own.slowest, tally.slowest),
                    own.late + tally.late,
                )
                own.wrong += tally.wrong
                used.append(own)
                done = sum(t.kills for t in found.values())
                print(
                    f"  {done}/{total} {case.name}, jobs {case.jobs}, {kind[0]} to {kind[1]}: "
                    f"gone after {tally.slowest:.2f} s {' '.join(tally.wrong)}",
                    flush=True,
                )
        for difference in differences(whole[case.name], content(chain.folder)):
            print("  DIFFERS", case.name, case.jobs, difference, flush=True)
            for own in used[-1:]:
                own.differing.append(difference)
        write(_rows(found))
    return _rows(found)


def _rows(found: dict[tuple[str, int, str, str], Tally]) -> list[dict[str, Any]]:
    return [
        {
            "case": name,
            "jobs": jobs,
            "signal": sent,
            "target": target,
            "kills": t.kills,
            "slowest": t.slowest,
            "late": t.late,
            "wrong_endings": sorted(Counter(t.wrong).items()),
            "differing": t.differing,
        }
        for (name, jobs, sent, target), t in sorted(found.items())
    ]


class _Chain:
    """A folder in which a command is begun and killed until it ends."""

    def __init__(self, case: Case, folder: Path, draws: random.Random, files: int) -> None:
        self.case, self.folder, self.draws, self.files = case, folder, draws, files
        self.ended = False
        folder.mkdir(parents=True)

    def kill(self, *, may: bool) -> tuple[tuple[str, str] | None, Tally]:
        """Begins the command and, unless it ends before, sends a signal."""
        running = begin(
            self.case, self.folder, fork=self.case.name != "study" or self.draws.random() < 0.75
        )
        target = (
            self.draws.choice(["main", "worker"])
            if self.case.jobs > 1 or self.case.name == "loader"
            else "main"
        )
        sent = self.draws.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        hit = self._wait(running) if may else None
        victims = [running.pid] if target == "main" else workers(running.pid)
        if hit is None or running.poll() is not None or not victims:
            code, error = running.end()
            self.ended = code == 0
            if not self.ended:
                raise RuntimeError(f"{self.case} ended by itself with {code}: {error}")
            return None, Tally()
        began = time.perf_counter()
        if target == "main" and sent == signal.SIGINT:
            os.killpg(running.pid, sent)  # as a terminal does
        else:
            os.kill(self.draws.choice(victims), sent)
        if (
            target == "worker"
            # the others end what they are at; Ctrl-C is not for workers, and some have nothing more
            # to
            # do
        ):
            self.ended = running.end()[0] == 0
            began = time.perf_counter()
        while running.poll() is None or (
            processes(running.pid) and time.perf_counter() < began + 60
        ):
            time.sleep(0.005)
        gone = time.perf_counter() - began
        code, error = running.end()
        right = self._is_right(code, error, sent, target)
        return (sent.name, target), Tally(
            1, gone, int(gone > 2), [] if right else [f"{code}: {error.strip()[-150:]}"]
        )

    def _wait(self, running: Running) -> bool | None:
        """Until a random moment: after so many stored files, or so many seconds.

        None if the command ended before.
        """
        while (
            self.case.name == "study"
            and running.poll() is None
            and not hears(running.pid, signal.SIGTERM)
        ):
            time.sleep(0.003)  # the interpreter has not come to thalweg yet
        begun, there = time.perf_counter(), count(self.folder)
        target = there + self.draws.randint(0, max(1, (self.files - there) // 3))
        seconds = self.draws.uniform(0.3, 10) if self.draws.random() < 0.3 else None
        while running.poll() is None:
            if (
                (count(self.folder) >= target > there)
                if seconds is None
                else time.perf_counter() > begun + seconds
            ):
                time.sleep(0.3 * self.draws.random())
                return True
            if seconds is None and target == there and count(self.folder) > 0:
                seconds = self.draws.uniform(0.3, 10)
            time.sleep(0.003)
        return None

    def _is_right(self, code: int, error: str, sent: signal.Signals, target: str) -> bool:
        if target == "worker":
            died = "a worker process died" in error or "DataLoader worker" in error
            return code == 0 if sent == signal.SIGINT else code == 0 or (code == 1 and died)
        if sent == signal.SIGKILL:
            return code == -sent
        if self.case.name == "study":
            return code == 128 + sent and error.splitlines() == [LINE]
        return code == -sent


def _undisturbed(case: Case, folder: Path) -> dict[str, Any]:
    (folder / "out").mkdir(parents=True)
    code, error = begin(Case(case.name, 1, 0), folder / "out", fork=True).end()
    if code:
        raise RuntimeError(error)
    return content(folder / "out")


def main() -> int:
    parser = argparse.ArgumentParser("python -m research.bench.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="kills")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the moments; results of seeds 0, 1, ... are files of their own",
    )
    parser.add_argument("--dry", action="store_true", help="write no results")
    given = parser.parse_args()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background job ignores it, and so would its children
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rows = kills(
            given.count,
            given.seed,
            Path(folder),
            lambda rows: given.dry or store(f"kills{given.seed or ''}", rows, Settings(repeats=1)),
        )
    bad = sum(row["late"] + len(row["differing"]) + len(row["wrong_endings"]) for row in rows)
    slowest = max(row["slowest"] for row in rows)
    print(
        f"{sum(row['kills'] for row in rows)} kills, {bad} bad; all gone after {slowest:.2f} s "
        "at most"
    )
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
