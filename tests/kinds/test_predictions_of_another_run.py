"""Foreign predictions: those of another run, shape or type, or with NaN, are refused despite a
right checksum.
"""

import pytest
import torch

import thalweg
import tiny
from stored import ONE, flips, one_line, runs
from thalweg import files
from thalweg.errors import InputError
from thalweg.study.compare import compare

LOG_PROBS = torch.tensor([[[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]]]).log()  # one probability is 0


def swapped(first, second):
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other), second.write_bytes(one)


@pytest.mark.parametrize("what", ["two references", "reference and pool", "two parts of one run"])
def test_files_that_changed_places_are_found_and_done_again(what, whole, copied):
    references, pool = runs(copied, "reference"), runs(copied, "pool")
    first, second = {
        "two references": (references[0] / "test.safetensors", references[1] / "test.safetensors"),
        "reference and pool": (references[0] / "ood.safetensors", pool[0] / "ood.safetensors"),
        "two parts of one run": (pool[0] / "test.safetensors", pool[0] / "ood.safetensors"),
    }[what]
    swapped(first, second)
    with pytest.raises(
        InputError, match=r"holds those of .*, needs .*: run 'thalweg study' again, which makes it"
    ) as caught:
        compare(copied)
    one_line(caught)
    assert len(tiny.again(copied, methods=ONE)) == (1 if what == "two parts of one run" else 2)
    tiny.assert_same(whole, copied)


def of(path) -> dict:
    return files.read_tensors(path)[1]


WRONG = {
    "NaN": lambda t: {"log_probs": t.index_fill(1, torch.tensor(3), float("nan"))},
    "no logarithms": lambda t: {"log_probs": t.exp() + 1},
    "half precision": lambda t: {"log_probs": t.half()},
    "whole numbers": lambda t: {"log_probs": t.long()},
    "two axes": lambda t: {"log_probs": t[0]},
    "fewer inputs": lambda t: {"log_probs": t[:, :-1]},
    "fewer classes": lambda t: {"log_probs": t[..., :-1]},
    "no member": lambda t: {"log_probs": t[:0]},
    "u that is infinite": lambda t: {
        "log_probs": t,
        "stated_u": torch.full(t.shape[1:2], float("inf")),
    },
    "another name": lambda t: {"probs": t},
}


@pytest.mark.parametrize("what", WRONG)
def test_other_content_with_a_good_checksum_is_one_line(what, copied):
    path = runs(copied, "reference")[0] / "test.safetensors"
    tensors, metadata = files.read_tensors(path)
    files.write_tensors(path, WRONG[what](tensors["log_probs"]), metadata)
    with pytest.raises(InputError, match="run 'thalweg study' again") as caught:
        compare(copied)
    assert str(path) in one_line(caught)


def test_what_is_damaged_is_done_again_by_the_study(whole, copied):
    """One bit of the numbers, of a shape, of the name of the run."""
    paths = [f / "test.safetensors" for f in runs(copied, "reference")[:3]]
    for path, place in zip(paths, (b"log_probs", b"shape", b"order"), strict=True):
        data = bytearray(path.read_bytes())
        at = data.rindex(b'"data_offsets"') if place == b"order" else data.index(place)
        data[len(data) - 9 if place == b"log_probs" else at + 3] ^= 4
        path.write_bytes(bytes(data))
    assert len(tiny.again(copied, methods=ONE)) == 3
    tiny.assert_same(whole, copied)


def test_no_flipped_bit_is_read(tmp_path):
    """Header and numbers; a probability of 0 is a number like any other."""
    path = tmp_path / "p.safetensors"
    given = thalweg.Predictions(
        LOG_PROBS, torch.tensor([0.1, 0.2, 0.3]), torch.tensor([True, False, False])
    )
    given.save(path, of="a test")
    found = thalweg.Predictions.load(path, of="a test")
    assert torch.equal(found.log_probs, LOG_PROBS) and torch.equal(found.outside, given.outside)
    for data in flips(path.read_bytes(), 400, "predictions"):
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            thalweg.Predictions.load(path, of="a test")
        one_line(caught)


def test_predictions_of_0_1_are_read(whole, copied):
    """Their headers say neither schema nor run."""
    for path in copied.glob("runs/*/*.safetensors"):
        write_as_of_0_1(path, files.read_tensors(path)[0])
    for path in copied.glob("runs/*/run.json"):
        record = files.read_record(path, dict)
        del record["fingerprint"]
        files.write_json(path, record)
    assert tiny.again(copied, methods=ONE) == []
    compare(copied)
    data = bytearray(path.with_name("test.safetensors").read_bytes())
    data[-5] ^= 1
    path.with_name("test.safetensors").write_bytes(bytes(data))
    assert len(tiny.again(copied, methods=ONE)) == 1


def write_as_of_0_1(path, tensors) -> None:
    import json
    import zlib

    import safetensors.torch

    checksum = 0
    for tensor in tensors.values():
        checksum = zlib.crc32(tensor.numpy().tobytes(), checksum)
    facts = {"metadata": {}, "order": list(tensors), "crc32": checksum}
    path.write_bytes(
        safetensors.torch.save(tensors, {"thalweg": json.dumps(facts, sort_keys=True)})
    )
