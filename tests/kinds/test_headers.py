"""Headers: the checksum of a safetensors file covers its metadata, and a contradiction gives one
line.
"""

import json

import pytest
import safetensors.torch
import torch

import thalweg
from stored import flips, one_line
from thalweg import files
from thalweg.errors import InputError
from thalweg.weights.coefficients import Bezier, Complex
from thalweg.weights.distribution import WeightDistribution

MATRIX = torch.arange(6.0).reshape(2, 3)
WEIGHTS = [
    thalweg.Weights({"w": MATRIX + k, "b": torch.ones(2)}, {"n": torch.tensor(3)}) for k in range(3)
]
GAUSSIAN = thalweg.weights.LowRankGaussian(
    WEIGHTS[0],
    {"w": torch.ones(2, 3), "b": torch.ones(2)},
    {"w": torch.ones(2, 2, 3), "b": torch.ones(2, 2)},
    scale=0.5,
)
DISTRIBUTIONS = {
    "members": thalweg.Members(tuple(WEIGHTS)),
    "gaussian": GAUSSIAN,
    "curve": thalweg.weights.Subspace(tuple(WEIGHTS), Bezier()),
    "complex": thalweg.weights.Subspace(tuple(WEIGHTS), Complex(((0, 1), (1, 2)))),
    "mixture": thalweg.weights.Mixture((GAUSSIAN, thalweg.Members(tuple(WEIGHTS)))),
}  # fmt: skip


def same(first: WeightDistribution, second: WeightDistribution) -> bool:
    """Whether they draw the same."""
    pairs = zip(first.draw(3, seed=0), second.draw(3, seed=0), strict=True)
    named = [(list(a.params.items()), list(b.params.items())) for a, b in pairs]
    return all(
        n == m and torch.equal(p, q)
        for one, other in named
        for (n, p), (m, q) in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("what", DISTRIBUTIONS)
def test_no_flipped_bit_is_read(what, tmp_path):
    """Neither in the numbers nor in a scale, a kind, the name of a layer."""
    path = tmp_path / "a.safetensors"
    thalweg.save(DISTRIBUTIONS[what], path)
    assert same(thalweg.load(path), DISTRIBUTIONS[what])
    for data in flips(path.read_bytes(), 150, what):
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            thalweg.load(path)
        one_line(caught)


def test_a_scale_of_a_half_is_not_read_as_one_and_a_half(tmp_path):
    path = tmp_path / "a.safetensors"
    thalweg.save(GAUSSIAN, path)
    data = path.read_bytes()
    assert b'scale\\": 0.5' in data
    path.write_bytes(data.replace(b'scale\\": 0.5', b'scale\\": 1.5'))
    with pytest.raises(
        InputError,
        match=r"is damaged or truncated \(ValueError: its checksum is wrong\): give a whole copy",
    ):
        thalweg.load(path)


FACTS = {"kind": "LowRankGaussian", "settings": {"scale": 0.5}}
WRONG = {
    "no kind": {"settings": {}},
    "a kind that is none": FACTS | {"kind": "Gausian"},
    "a kind that is a list": FACTS | {"kind": ["Members"]},
    "no settings": {"kind": "LowRankGaussian"},
    "settings that are a number": FACTS | {"settings": 3},
    "no scale": FACTS | {"settings": {}},
    "a scale below zero": FACTS | {"settings": {"scale": -1.0}},
    "a scale that is text": FACTS | {"settings": {"scale": "0.5"}},
    "another kind": {
        "kind": "Subspace",
        "settings": {"coefficients": {"kind": "Bezier"}, "layerwise": False},
    },
    "unknown coefficients": {
        "kind": "Subspace",
        "settings": {"coefficients": {"kind": "Spline"}, "layerwise": False},
    },
    "a mixture of nothing": {"kind": "Mixture", "settings": {"parts": []}},
    "members": {"kind": "Members", "settings": {}},
}


@pytest.mark.parametrize("what", WRONG)
def test_metadata_that_do_not_fit_are_one_line(what, tmp_path):
    """Of a stranger's file, whose checksum is right."""
    path = tmp_path / "a.safetensors"
    files.write_tensors(path, GAUSSIAN.tensors()[0], WRONG[what])
    with pytest.raises(InputError) as caught:
        thalweg.load(path)
    assert str(path) in one_line(caught)


@pytest.mark.parametrize("gone", ["variance|w", "deviations|b"])
def test_tensors_that_are_missing_are_one_line(gone, tmp_path):
    tensors, settings = GAUSSIAN.tensors()
    del tensors[gone]
    files.write_tensors(
        tmp_path / "a.safetensors", tensors, {"kind": "LowRankGaussian", "settings": settings}
    )
    with pytest.raises(InputError, match="holds no whole LowRankGaussian") as caught:
        thalweg.load(tmp_path / "a.safetensors")
    one_line(caught)


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "3",
        "null",
        '{"schema": "x"}',
        '{"schema": 2}',
        '{"order": 3}',
        '{"tensors": {}}',
        '{"schema": 2, "tensors": [], "metadata": []}',
        "{",
        '{"metadata": 3}',
    ],
)
def test_headers_of_any_json_are_one_line(header, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(
        safetensors.torch.save({"x": torch.zeros(2)}, {"thalweg": header})
    )
    with pytest.raises(InputError) as caught:
        thalweg.load(tmp_path / "a.safetensors")
    one_line(caught)


def test_files_of_0_1_are_read(tmp_path):
    """Its checksum is of the numbers alone; its order that of the writer."""
    import zlib

    tensors, settings = GAUSSIAN.tensors()
    checksum = 0
    for tensor in tensors.values():
        checksum = zlib.crc32(tensor.numpy().tobytes(), checksum)
    facts = {
        "metadata": {"kind": "LowRankGaussian", "settings": settings},
        "order": list(tensors),
        "crc32": checksum,
    }
    data = safetensors.torch.save(tensors, {"thalweg": json.dumps(facts)})
    (tmp_path / "a.safetensors").write_bytes(data)
    assert same(thalweg.load(tmp_path / "a.safetensors"), GAUSSIAN)
    (tmp_path / "a.safetensors").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputError, match="its checksum is wrong"):
        thalweg.load(tmp_path / "a.safetensors")
