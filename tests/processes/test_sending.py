"""Parcels: what arrives is what was sent; large arrays are shared, small ones copied, and nothing
is left behind.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from thalweg.processes.sending import LARGE, SHARES, pack, unpack

pytestmark = pytest.mark.skipif(not SHARES, reason="nothing is shared here")
N = LARGE  # elements, at least as many bytes


def sent(value):
    """The same, as another process gets it."""
    parcel = pack(value)
    found = unpack(
        parcel.pickled, parcel.places, os.dup(parcel.file.fileno()) if parcel.file else None
    )
    parcel.close()
    return found


TENSORS = {
    "float": torch.randn(N),
    "half": torch.randn(N).bfloat16(),
    "bytes": torch.randint(0, 255, (4, N), dtype=torch.uint8),
    "bool": torch.rand(2 * N) < 0.5,
    "channels last": torch.randn(2, 3, 128, 128).to(memory_format=torch.channels_last),
    "transposed": torch.randn(256, 300).T,
    "complex": torch.randn(N, dtype=torch.complex64),
}


@pytest.mark.parametrize("name", TENSORS)
def test_large_tensors_are_shared(name):
    tensor = TENSORS[name]
    parcel = pack({"own": tensor})
    assert parcel.file is not None and len(parcel.pickled) < 2000 and len(parcel.places) == 1
    parcel.close()
    found = sent({"own": tensor})["own"]
    assert (
        torch.equal(found, tensor)
        and found.dtype == tensor.dtype
        and found.stride() == tensor.stride()
    )


OTHERS = {
    "small": torch.randn(3),
    "empty": torch.empty(0, 5),
    "parameter": nn.Parameter(torch.randn(N)),
    "needs gradients": torch.randn(N).requires_grad_(),
    "conjugate": torch.randn(N, dtype=torch.complex64).conj(),
    "sparse": torch.eye(300).to_sparse(),
    "expanded": torch.randn(1, 3).expand(N, 3),
    "every second": torch.randn(2 * N)[::2],
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_arrive_as_well(name):
    tensor = OTHERS[name]
    found = sent([tensor])[0]
    assert type(found) is type(tensor) and found.requires_grad == tensor.requires_grad
    assert torch.equal(found.detach().to_dense(), tensor.detach().to_dense())


def test_a_tensor_with_an_attribute_keeps_it():
    tensor = torch.randn(N)
    tensor.about = "mine"
    assert sent(tensor).about == "mine"


def test_what_is_one_thing_stays_one():
    x = torch.randn(2, N)
    array = np.arange(N)
    parcel = pack([x, x, x.view(-1), array, {"again": array}])
    assert len(parcel.places) == 3 and len(set(parcel.places)) == 2, (
        "the view has the bytes of the tensor"
    )
    parcel.close()
    a, b, view, one, two = sent([x, x, x.view(-1), array, {"again": array}])
    assert a is b and one is two["again"] and np.array_equal(one, array)
    view[0] = 7.0
    assert a[0, 0] == 7.0


def test_each_side_changes_its_own_only():
    x = torch.zeros(N)
    parcel = pack(x)
    first, second = (
        unpack(parcel.pickled, parcel.places, os.dup(parcel.file.fileno())) for _ in range(2)
    )
    parcel.close()
    first += 1
    assert x.sum() == 0 and second.sum() == 0 and first.sum() == N, (
        "and lives longer than the parcel"
    )


def test_no_file_is_left_and_no_handle():
    def handles():
        return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0

    before = handles(), sorted(Path("/dev/shm").iterdir()) if Path("/dev/shm").exists() else []
    found = sent(torch.randn(N))
    assert torch.isfinite(found).all()
    del found
    assert before == (
        handles(),
        sorted(Path("/dev/shm").iterdir()) if Path("/dev/shm").exists() else [],
    )


def test_a_loader_leaves_its_running_workers_at_home():
    loader = DataLoader(
        TensorDataset(torch.arange(8)),
        4,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context="fork",
    )
    assert len(list(loader)) == 2 and loader._iterator is not None
    found = sent(loader)
    assert found._iterator is None and found.batch_size == 4 and loader._iterator is not None
    assert [batch[0].tolist() for batch in found] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_lambda_with_what_it_holds():
    rows = torch.randn(3, N)
    found = sent(lambda: rows.sum())
    assert found() == rows.sum()
