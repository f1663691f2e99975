"""Wrong lengths: a loader is counted as it is, or refused before anything is trained."""

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, get_worker_info

import thalweg
from small import X, Y, problem
from thalweg.errors import InputError


class Says:
    """Says that it has so many batches, and gives others."""

    def __init__(self, says, gives):
        self.says, self.gives = says, gives

    def __len__(self):
        return self.says

    def __iter__(self):
        return (
            (X[i * 10 : i * 10 + 10], Y[i * 10 : i * 10 + 10])
            for i in torch.randperm(20)[: self.gives].tolist()
        )


class Stream(IterableDataset):
    """An iterable data set; each worker reads all of it, or its own part."""

    def __init__(self, *, parted):
        self.parted = parted

    def __len__(self):
        return len(X)

    def __iter__(self):
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if self.parted and worker else (0, 1)
        return ((X[i], Y[i]) for i in range(first, len(X), step))


@pytest.mark.parametrize(
    ("says", "gives", "said"), [(10, 4, "gave 4"), (4, 10, "gave more"), (5, 20, "gave more")]
)
def test_a_wrong_length_is_refused_before_training(says, gives, said):
    with pytest.raises(InputError, match=f"says that it has {says} batches, and {said}") as caught:
        problem(train_loader=Says(says, gives))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Length of IterableDataset")
def test_workers_that_each_read_everything_are_refused():
    with pytest.raises(
        InputError, match=r"gave more.*each worker of an iterable data set must read its own part"
    ):
        problem(train_loader=DataLoader(Stream(parted=False), 50, num_workers=2))
    found = problem(
        train_loader=DataLoader(Stream(parted=True), 50, num_workers=2),
        sources=("init",),
        recipe=thalweg.Recipe(epochs=1),
    )
    assert found.training_examples == len(X)


def test_a_length_that_changes_later_is_an_error_and_no_wrong_cost():
    class Shrinks(Says):
        passes = 0

        def __iter__(self):
            self.passes += 1
            self.gives = 10 if self.passes < 6 else 7
            return super().__iter__()

    found = problem(train_loader=Shrinks(10, 10))
    with pytest.raises(InputError, match=r"gave 7 in epoch"):
        found.anchor(0)


@pytest.mark.parametrize(
    ("settings", "examples"),
    [
        ({"batch_size": 64}, 200),
        ({"batch_size": 64, "drop_last": True}, 192),
        ({"batch_size": 33}, 200),
    ],
)
def test_examples_are_counted_as_they_are(settings, examples):
    found = problem(
        train_loader=DataLoader(TensorDataset(X, Y), shuffle=True, **settings),
        recipe=thalweg.Recipe(epochs=2),
    )
    assert found.training_examples == 2 * examples
    found.anchor(0)
    assert found.cost.backward_examples == 2 * examples and found.cost.trainings == 1
