"""Dangerous advice: an error names the format of a foreign file and how to use it, and never says
to delete it.
"""

import gzip
import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import thalweg
import tiny
from stored import one_line
from thalweg import files
from thalweg.errors import InputError

NETWORK = nn.Linear(6, 3)


def checkpoint(old: bool = False, **extra) -> bytes:
    buffer = io.BytesIO()
    torch.save({**NETWORK.state_dict(), **extra}, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


def script() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # as torch.jit.save lays it out
        for name in ("net/data.pkl", "net/code/x.py", "net/constants.pkl", "net/version"):
            archive.writestr(name, "x")
    return buffer.getvalue()


def arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weight=np.zeros(3))
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights"), io.BytesIO())
    return buffer.getvalue()


STATE = "Problem(networks='{path}')"
FILES = {
    "net.pt": (checkpoint(), "is a PyTorch checkpoint", STATE),
    "net.safetensors": (checkpoint(epoch=3), "is a PyTorch checkpoint", STATE),
    "old.pth": (checkpoint(old=True), "is a PyTorch checkpoint", STATE),
    "script.pt": (script(), "is a TorchScript file", "torch.jit.load('{path}').state_dict()"),
    "net.pkl": (
        pickle.dumps({"a": 1}),
        "is a Python pickle",
        "state_dict() as Problem(networks=...)",
    ),
    "net.h5": (
        b"\x89HDF\r\n\x1a\n" + bytes(100),
        "is an HDF5 file",
        "state_dict() as Problem(networks=...)",
    ),
    "net.npz": (arrays(), "is an archive of NumPy arrays", "state_dict()"),
    "net.tar": (tarred(), "is a tar archive", "unpack it first"),
    "net.gguf": (
        b"GGUF" + bytes(100),
        "is a GGUF file",
        "state_dict() as Problem(networks=...)",
    ),
    "a.png": (b"\x89PNG\r\n\x1a\n" + bytes(50), "is a PNG picture", ""),
    "net.pt.gz": (gzip.compress(checkpoint()), "is a gzip file", "unpack it first"),
    "plan.toml": (b'name = "digits"\n', "is a text file", ""),
    "utf16.txt": ("größe".encode("utf-16"), "is a text file", ""),
    "empty.pt": (b"", "is an empty file", ""),
    "foreign.safetensors": (
        safetensors.torch.save(NETWORK.state_dict()),
        "holds no weight distribution",
        "Problem(networks='{path}')",
    ),
    "noise.bin": (bytes(range(256)) * 9, "is damaged or truncated", "give a whole copy of it"),
}
READERS = {"load": thalweg.load, "Predictions.load": thalweg.Predictions.load}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_program(name, reader, tmp_path):
    path = tmp_path / name
    data, what, way = FILES[name]
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        READERS[reader](path)
    text = one_line(caught)
    assert "delete" not in text and str(path) in text
    if not (name == "foreign.safetensors" and reader == "Predictions.load"):
        assert what in text and way.format(path=path) in text
    assert path.read_bytes() == data


@pytest.mark.parametrize("name", ["net.pt", "old.pth", "foreign.safetensors"])
def test_the_way_that_is_told_works(name, tmp_path):
    (tmp_path / name).write_bytes(FILES[name][0])
    batches = thalweg.Batches(torch.randn(20, 6), torch.arange(20) % 3, 10)
    problem = thalweg.Problem(
        lambda: nn.Linear(6, 3),
        batches,
        thalweg.Recipe(epochs=1),
        networks=tmp_path / name,
    )
    assert torch.equal(problem.anchor(0).params["weight"], NETWORK.weight)


def test_a_checkpoint_given_to_the_command_line(tmp_path, thalweg):
    (tmp_path / "net.pt").write_bytes(checkpoint())
    tiny.write_toml(tmp_path / "plan.toml", tiny.raw(methods=tiny.PLAN["methods"][:1]))
    code, _, err = thalweg("landscape", "plan.toml", "--weights", "net.pt")
    assert code == 2 and "net.pt is a PyTorch checkpoint" in err and "delete" not in err


@pytest.mark.parametrize("length", [-1, 9, 100])
def test_a_cut_file_of_thalwegs_own_is_the_users_too(length, tmp_path):
    """It may be the only copy: it is whole elsewhere, or not at all."""
    path = tmp_path / "a.safetensors"
    thalweg.save(thalweg.Members((thalweg.Weights.of(NETWORK),)), path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(
        InputError, match=r"is damaged or truncated .*: give a whole copy of it$"
    ) as caught:
        thalweg.load(path)
    assert "delete" not in one_line(caught)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_may_not_be_read_is_one_line(reader, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    thalweg.save(thalweg.Members((thalweg.Weights.of(NETWORK),)), path)

    def denied(self, *arguments, **settings):  # who runs tests may read everything
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", denied)
    with pytest.raises(
        InputError,
        match=r"a\.safetensors can't be read \(Permission denied\): give a file that can be",
    ):
        READERS[reader](path)
    with pytest.raises(InputError, match="got a NoneType, needs text"):
        READERS[reader](None)


def test_a_file_of_a_study_that_holds_something_else_is_made_anew(tmp_path):
    (tmp_path / "test.safetensors").write_bytes(b"")  # as after a full disk
    with pytest.raises(InputError, match=r"is an empty file, .*: run 'thalweg study' again"):
        files.read_tensors(tmp_path / "test.safetensors", "run 'thalweg study' again")


def test_no_error_of_thalweg_says_to_delete_a_file():
    """Study folders heal by themselves, so that there is no need to."""
    from pathlib import Path

    sources = Path(files.__file__).parent.rglob("*.py")
    assert not [path.name for path in sources if "delete it" in path.read_text()]
