"""The folder that keeps the trainings of a budget of sources, or of `train_until_stable`."""

from pathlib import Path

from thalweg import files
from thalweg.errors import InputError
from thalweg.storing.networks import NetworkStore
from thalweg.training.naming import name_of, parts_of
from thalweg.training.problem import Problem


def check_no_cache(problem: Problem) -> None:
    """Checks that nothing else keeps the trainings of a problem.

    Raises:
        InputError: It has a cache.
    """
    if problem.cache is not None:
        raise InputError(
            "folder got a path, and the problem has a cache, which keeps its trainings already: "
            "leave one of both out"
        )


def kept_in(problem: Problem, folder: str | Path) -> Problem:
    """The same problem with a folder that keeps what it trains, by the name of all that can change
    it. Several problems may share a folder.

    Raises:
        InputError: The problem holds what can't be told from another of its kind.
        DiskError: The folder can't be written to.
    """
    store = NetworkStore(files.given(folder))
    store.check_writable()
    store.sweep()
    return problem.kept_in(store, name_of(parts_of(problem)))
