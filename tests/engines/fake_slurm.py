"""A Slurm of one machine, for tests: sbatch, srun, sacct, scancel and scontrol, with arrays.

`install` puts the commands into a folder. Jobs run one after the other; what each was told is kept
in the folder's `jobs`, a file per job: its state, its script.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

COMMANDS = ("sbatch", "srun", "sacct", "scancel", "scontrol")


def install(folder: Path) -> None:
    (folder / "jobs").mkdir(parents=True)
    for name in COMMANDS:
        command = folder / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {folder} {name} "$@"\n')
        command.chmod(0o755)


def sbatch(folder: Path, script: str) -> None:
    text = Path(script).read_text()
    number = 100 * (1 + len(list(folder.glob("scripts/*"))))
    (folder / "scripts").mkdir(exist_ok=True)
    (folder / "scripts" / str(number)).write_text(text)
    if "--partition=nowhere" in text:
        sys.exit("sbatch: error: invalid partition specified: nowhere")
    array = re.search(r"--array=0-(\d+)", text)
    count = int(array[1]) + 1 if array else 0
    names = [f"{number}_{k}" for k in range(count)] or [str(number)]
    for name in names:
        (folder / "jobs" / name).write_text("PENDING")
    subprocess.Popen(
        [sys.executable, __file__, str(folder), "controller", script, *names],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    print(f"Submitted batch job {number}")


def controller(folder: Path, script: str, *names: str) -> None:
    for name in names:
        state = folder / "jobs" / name
        while state.read_text() in ("PENDING", "REQUEUED"):
            state.write_text("RUNNING")
            number, _, index = name.partition("_")
            told = {"SLURM_JOB_ID": f"{int(number) + int(index or 0)}", "SLURM_PROCID": "0"}
            if index:
                told |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": index}
            running = subprocess.Popen(
                ["bash", script], env=os.environ | told, start_new_session=True
            )
            (folder / "jobs" / f".{name}").write_text(str(running.pid))
            code = running.wait()
            if state.read_text() == "RUNNING":
                state.write_text("FAILED" if code else "COMPLETED")


def srun(folder: Path, *arguments: str) -> None:
    given, log = list(arguments), ""
    while given[0].startswith("--"):
        option = given.pop(0)
        if option in ("--output", "--error"):
            log = given.pop(0).replace("%j", os.environ["SLURM_JOB_ID"])
    with open(re.sub("%.", "0", log), "a") as file:
        sys.exit(subprocess.run(given, stdout=file, stderr=file, check=False).returncode)


def sacct(folder: Path, *_: str) -> None:
    print("JobID|State")
    for job in sorted(folder.glob("jobs/[0-9]*")):
        print(f"{job.name}|{job.read_text()}")


def scancel(folder: Path, name: str) -> None:
    for job in [job for job in folder.glob("jobs/[0-9]*") if job.name == name]:
        running = job.read_text() == "RUNNING"
        job.write_text("CANCELLED")
        if running:
            os.killpg(int((folder / "jobs" / f".{name}").read_text()), 9)


def scontrol(folder: Path, requeue: str, name: str) -> None:
    assert requeue == "requeue"
    (folder / "jobs" / name).write_text("REQUEUED")


if __name__ == "__main__":
    globals()[sys.argv[2]](Path(sys.argv[1]), *sys.argv[3:])
