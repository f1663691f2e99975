"""Jobs with workers: `jobs=2` with a DataLoader that has workers gives the same bits as one job, or
one line.
"""

import multiprocessing
import threading

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import cases
from thalweg.errors import InputError
from thalweg.training.anchors import train_anchors
from thalweg.training.batches import map_batches
from thalweg.training.execution import Execution
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe

SHORT = Recipe(epochs=1)


class Own(Dataset):
    """Of a module, so that any process can import it."""

    def __init__(self, kept: object = None) -> None:
        self.x, self.y, self.kept = *cases.task(64), kept

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[i] + 0.1 * torch.randn(()), self.y[i]


def own() -> Dataset:
    """Of a class that no other process can import."""
    return type("Local", (Own,), {})()


LOADERS = {
    "fork": lambda: DataLoader(
        own(), 32, shuffle=True, num_workers=2, multiprocessing_context="fork"
    ),
    "the system's way": lambda: DataLoader(Own(), 32, shuffle=True, num_workers=2),
    "persistent": lambda: DataLoader(
        Own(), 32, shuffle=True, num_workers=1, persistent_workers=True
    ),
    "wrapped": lambda: map_batches(
        DataLoader(own(), 32, num_workers=1, multiprocessing_context="fork"), lambda pair: pair
    ),
    "own start": lambda: DataLoader(
        Own(),
        32,
        num_workers=1,
        multiprocessing_context="fork",
        worker_init_fn=lambda number: torch.manual_seed(number),
    ),
}


@pytest.mark.parametrize("name", LOADERS)
def test_the_same_bits_as_one_job(name):
    found = [
        train_anchors(
            Problem(cases.no_norm, LOADERS[name](), SHORT, execution=Execution(jobs=jobs)), 2
        )
        for jobs in (1, 2)
    ]
    assert all(
        torch.equal(p, b.params[n])
        for a, b in zip(*found, strict=True)
        for n, p in a.params.items()
    )


@pytest.mark.slow
@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_other_ways_to_start(start):
    loader = DataLoader(
        TensorDataset(*cases.task(64)),
        32,
        shuffle=True,
        num_workers=1,
        multiprocessing_context=start,
    )
    found = [
        train_anchors(Problem(cases.no_norm, loader, SHORT, execution=Execution(jobs=jobs)), 2)
        for jobs in (1, 2)
    ]
    assert all(
        torch.equal(p, b.params[n])
        for a, b in zip(*found, strict=True)
        for n, p in a.params.items()
    )


def test_a_data_set_that_cannot_be_sent_is_one_line():
    loader = DataLoader(Own(threading.Lock()), 32, num_workers=1, multiprocessing_context="fork")
    problem = Problem(cases.no_norm, loader, SHORT, execution=Execution(jobs=2))
    with pytest.raises(
        InputError, match=r"can't be sent to other processes .*lock.*: set jobs = 1"
    ) as caught:
        train_anchors(problem, 2)
    assert "\n" not in str(caught.value)
    assert len(train_anchors(Problem(cases.no_norm, loader, SHORT), 2)) == 2, "which works"


def test_a_worker_that_cannot_send_it_on_is_one_line():
    """The class comes as a whole to our worker, but the loader's own way there is to name it."""
    made = type("Nameless", (Own,), {"__module__": "__main__"})()
    loader = DataLoader(made, 32, num_workers=1, multiprocessing_context="spawn")
    problem = Problem(cases.no_norm, [*DataLoader(made, 32)], SHORT, execution=Execution(jobs=2))
    object.__setattr__(problem, "train_loader", loader)  # a look at it would tell before
    with pytest.raises(
        InputError, match=r"can't be sent to other processes .*Nameless.*: set jobs = 1"
    ):
        train_anchors(problem, 2)


def _train(jobs: int, line) -> None:
    try:
        weights = train_anchors(cases.problem(execution=Execution(jobs=jobs), recipe=SHORT), 2)
        line.send([w.params["1.bias"].tolist() for w in weights])
    except InputError as error:
        line.send(str(error))


@pytest.mark.parametrize(("jobs", "daemon"), [(1, True), (2, False), (2, True)])
def test_in_a_process_that_was_forked(jobs, daemon):
    """Its parent has workers already, which are not its own."""
    expected = [
        w.params["1.bias"].tolist()
        for w in train_anchors(cases.problem(execution=Execution(jobs=2), recipe=SHORT), 2)
    ]
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_train, args=(jobs, theirs), daemon=daemon)
    process.start()
    assert ours.poll(60)
    found = ours.recv()
    process.join(10)
    assert process.exitcode == 0
    if jobs > 1 and daemon:
        assert (
            found.startswith("jobs got more than 1 in a daemonic process")
            and "set jobs = 1" in found
        )
    else:
        assert found == expected
    assert (
        len(train_anchors(cases.problem(execution=Execution(jobs=2), recipe=SHORT, seed=1), 2)) == 2
    ), "the parent's workers are still there"


def test_the_network_is_an_ordinary_one():
    """A check of the tests' own: training moves it."""
    weights = train_anchors(Problem(cases.no_norm, LOADERS["fork"](), SHORT), 1)[0]
    assert isinstance(cases.no_norm(), nn.Module) and not torch.equal(
        weights.params["1.bias"], torch.zeros(8)
    )
