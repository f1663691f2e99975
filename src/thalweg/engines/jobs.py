"""One job of submitit: what it needs, how it is sent, what runs in it, and what came of it.

This is the only module that imports submitit. What a call shares is written once, to a file that
all of its jobs read; each item travels with its job.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from thalweg.engines.arriving import Call, Done, do, leave
from thalweg.errors import InputError
from thalweg.meter import now
from thalweg.processes.sending import Flat

_SHORTEST = 30.0  # minutes of a time limit that is measured
_TIMES = 10**6  # submitit would end a job that was pre-empted so often
_GB = 10**9


@dataclass(frozen=True)
class Site:
    """Where jobs run.

    Attributes:
        where: "slurm", "local" or "debug".
        folder: The folder of logs, and of what jobs are sent.
        options: Options of sbatch by name.
        at_once: How many jobs run at once, at most.
    """

    where: str
    folder: Path
    options: Mapping[str, Any]
    at_once: int


@dataclass(frozen=True)
class Limits:
    """What a job may use.

    Attributes:
        minutes: Wall-clock time, in minutes.
        memory: Main memory, in GB; None for the partition's default.
    """

    minutes: float
    memory: float | None

    @staticmethod
    def measured(seconds: float, size: int) -> "Limits":
        """Limits for jobs like one that took so many seconds and so many bytes of memory.

        Example:
            >>> Limits.measured(3600.0, 2 * 10**9)
            Limits(minutes=180.0, memory=3)
        """
        minutes = max(_SHORTEST, math.ceil(3 * seconds / 60))
        return Limits(float(minutes), max(1, math.ceil(1.5 * size / _GB)))


class OutOfTime(BaseException):
    """A job's time limit is near; it ends an item that no handler of a user's may hold up."""


@dataclass
class Work:
    """What runs in a job.

    Attributes:
        call: The file of the call.
        key: The call's key.
        minutes: The time limit of the job.
    """

    call: Path
    key: str
    minutes: float
    begun: float = 0.0

    def __call__(self, item: Flat) -> Done | None:
        """Does the item; returns None where the time was too short."""
        self.begun = now()
        try:
            return do(self.key, lambda: _read(self.call), item)
        except OutOfTime:
            return None

    def checkpoint(self, item: Flat) -> Any:
        """Is called by submitit when a job is pre-empted, or shortly before its time limit.

        Returns:
            What is queued again. It begins anew; a study's task finds what it stored.

        Raises:
            OutOfTime: It was the time limit, with which it would not end the next time either.
        """
        leave()
        if now() - self.begun > 60 * self.minutes - 300:
            raise OutOfTime
        from submitit.core.utils import DelayedSubmission

        return DelayedSubmission(Work(self.call, self.key, self.minutes), item)


def check_installed() -> None:
    """Checks that submitit is installed.

    Raises:
        InputError: It is not.
    """
    if find_spec("submitit") is None:
        raise InputError("the engine 'slurm' needs submitit: pip install 'thalweg[slurm]'")


def write(call: Call, site: Site) -> Path:
    """Writes what the jobs of a call share, and returns the file."""
    from submitit.core.utils import cloudpickle_dump

    with _told(site):
        site.folder.mkdir(parents=True, exist_ok=True)
        path = site.folder / f"call-{call.key.replace(' ', '-')}.pkl"
        cloudpickle_dump(call, path)
    return path


def _read(path: Path) -> Call:
    from submitit.core.utils import pickle_load

    found: Call = pickle_load(path)
    return found


def send(work: Work, items: Sequence[Flat], site: Site, limits: Limits) -> list[Any]:
    """Sends jobs, as one array where they are several.

    Raises:
        InputError: Slurm refuses them.
    """
    import submitit

    with _told(site):
        if site.where == "debug":
            executor: Any = submitit.DebugExecutor(site.folder)
        elif site.where == "local":
            executor = submitit.LocalExecutor(site.folder, max_num_timeout=_TIMES)
            executor.update_parameters(timeout_min=limits.minutes)
        else:
            executor = submitit.SlurmExecutor(site.folder, max_num_timeout=_TIMES)
            memory = {} if limits.memory is None else {"mem": f"{round(limits.memory * 1024)}M"}
            executor.update_parameters(
                time=math.ceil(limits.minutes),
                job_name="thalweg",
                array_parallelism=site.at_once,
                additional_parameters={"requeue": True, **memory, **site.options},
            )
        if len(items) == 1:
            return [executor.submit(work, items[0])]
        return list(executor.map_array(work, items))


@contextmanager
def _told(site: Site) -> Iterator[None]:
    """Says in one line what the disk or Slurm refuses."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        yield
    except OSError as error:
        raise InputError(
            f"{site.folder} can't be used for jobs ({error.strerror or error}): give a folder that "
            "all machines can read and write"
        ) from error
    except (FailedJobError, FailedSubmissionError) as error:
        reason = " ".join(str(error).split())[-300:]
        raise InputError(
            f"Slurm refuses the jobs ({reason}): correct the settings of the engine"
        ) from error


def came(job: Any) -> Done | Literal["out of time", "lost"]:
    """What a job that has ended gives back, or what became of it.

    Raises:
        InputError: Its machine can't do thalweg's jobs.
    """
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        found: Done | None = job.result()
    except (
        FailedJobError
    ) as error:  # a kind of the next; raised outside of the item: thalweg can't be imported, say
        lines = [line for line in str(error).splitlines() if line.strip(" -")]
        raise InputError(
            f"a job can't do thalweg's work ({' '.join(lines[-4:])[:300]}): see its log, "
            f"{job.paths.stderr}"
        ) from None
    except UncompletedJobError:
        return "lost"
    for path in (job.paths.result_pickle, job.paths.submitted_pickle):
        with suppress(OSError):
            path.unlink()
    return found or "out of time"
