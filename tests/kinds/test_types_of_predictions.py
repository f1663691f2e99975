"""Types of predictions: any precision and container works as single precision does; others give one
line.
"""

import math

import numpy as np
import pytest
import torch

from thalweg.errors import InputError
from thalweg.predictions import Predictions

MEMBERS, INPUTS, CLASSES = 3, 6, 4
EXACT = torch.randn(
    MEMBERS, INPUTS, CLASSES, generator=torch.Generator().manual_seed(0), dtype=torch.float64
).log_softmax(-1)
PROBS = EXACT.exp().numpy()
U = np.sqrt(PROBS.var(0, ddof=1).sum(-1))


@pytest.mark.parametrize(
    ("given", "tolerance"),
    [
        (EXACT, 1e-12),
        (EXACT.float(), 1e-6),
        (EXACT.half(), 2e-3),
        (EXACT.bfloat16(), 2e-2),
        (EXACT.numpy(), 1e-12),
        (EXACT.numpy().astype(np.float16), 2e-3),
        (EXACT.numpy().astype(">f8"), 1e-12),
        (EXACT.numpy()[::-1, ::-1][::-1, ::-1], 1e-12),
        (EXACT.tolist(), 1e-12),
        (list(EXACT.float()), 1e-6),
        (tuple(EXACT.numpy()), 1e-12),
        (EXACT.clone().requires_grad_(), 1e-12),
        (EXACT.transpose(0, 1).contiguous().transpose(0, 1), 1e-12),
    ],
    ids=[
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "NumPy",
        "NumPy float16",
        "NumPy big-endian",
        "NumPy reversed",
        "list",
        "list of tensors",
        "tuple of arrays",
        "requires_grad",
        "strided",
    ],
)
def test_every_container_and_precision_gives_the_same_numbers(given, tolerance, tmp_path):
    found = Predictions(given)
    assert (
        found.log_probs.dtype in (torch.float32, torch.float64)
        and not found.log_probs.requires_grad
    )
    assert np.allclose(found.probs(), PROBS, rtol=0, atol=tolerance)
    assert np.allclose(found.mean(), PROBS.mean(0), rtol=0, atol=tolerance)
    assert np.allclose(found.u(), U, rtol=0, atol=2 * tolerance)
    low, high = found.interval()
    assert np.allclose(low, np.quantile(PROBS, 0.025, axis=0), rtol=0, atol=tolerance)
    assert np.allclose(high, np.quantile(PROBS, 0.975, axis=0), rtol=0, atol=tolerance)
    found.save(tmp_path / "a.safetensors")
    again = Predictions.load(tmp_path / "a.safetensors")
    assert again.log_probs.dtype == found.log_probs.dtype and torch.equal(
        again.log_probs, found.log_probs
    )


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_stands_beside_them_has_any_type_too(kind, tmp_path):
    u, outside = torch.rand(INPUTS).to(kind), [True, False] * (INPUTS // 2)
    found = Predictions(EXACT.to(kind), u.requires_grad_(), np.array(outside))
    found.save(tmp_path / "a.safetensors")
    again = Predictions.load(tmp_path / "a.safetensors")
    assert (
        torch.equal(again.u(), u.detach().to(again.u().dtype)) and again.outside.tolist() == outside
    )
    assert Predictions(EXACT.tolist(), u.tolist(), outside).chosen(
        torch.tensor([1])
    ).outside.tolist() == [False]


def test_what_the_user_changes_later_changes_nothing():
    given = EXACT.numpy().copy()
    found = Predictions(given)
    given[:] = math.nan
    assert torch.equal(found.log_probs, EXACT)


def test_uniform_predictions_in_half_precision_over_many_classes_are_still_normalised():
    for kind in (torch.float16, torch.bfloat16):
        for classes in (2, 1000, 5000):
            Predictions(torch.full((1, 2, classes), -math.log(classes), dtype=kind))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (EXACT.exp(), r"member 0 and input 0, probabilities .*give probabilities.log\(\)"),
        (EXACT.exp().float().numpy(), r"give probabilities.log\(\)"),
        (torch.eye(4).expand(3, 4, 4), r"give probabilities.log\(\)"),
        (EXACT + 3, r"sum to 20.1 over classes, needs 1: give torch.log_softmax"),
        (torch.cat([EXACT[:2], EXACT[2:] - 0.5]), r"member 2 and input 0, .*sum to 0.607"),
        (torch.full((1, 2, 3), -math.inf), r"sum to 0 over classes"),
        (torch.full((1, 2, 3), math.inf), r"sum to inf over classes"),
        (
            EXACT.masked_fill(torch.arange(INPUTS)[:, None] == 4, math.nan),
            "member 0 and input 4, NaN",
        ),
        (EXACT[0], r"shape \(6, 4\), needs \[members, inputs, classes\]"),
        (0.5, r"shape \(\), needs"),
        ([], r"shape \(0,\), needs"),
        (EXACT[:, :0], r"none of them 0"),
        ([EXACT[0], EXACT[1, :3]], "parts of the same shape"),
        ([[[0.0], [0.0]], [[0.0]]], "parts of the same shape"),
        ("log_probs", "as a str that is no array of numbers"),
        (None, "as a NoneType that is no array of numbers"),
        ([["a"]], "no array of numbers"),
        (EXACT.to(torch.complex64), "needs real numbers"),
        (EXACT.to_sparse(), "sparse_coo, needs dense numbers"),
        (EXACT.to("meta"), "a tensor of no data"),
        (
            torch.nested.nested_tensor([EXACT[0], EXACT[1, :3]], layout=torch.jagged),
            "nested parts, needs dense numbers",
        ),
    ],
)
def test_what_is_no_log_probabilities_is_one_line(given, message):
    with pytest.raises(InputError, match=message) as caught:
        Predictions(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("beside", "message"), [
    ({"stated_u": torch.full((INPUTS,), math.nan)}, "stated_u with NaN, infinite or negative"),
    ({"stated_u": torch.full((INPUTS,), -0.1)}, "stated_u with NaN, infinite or negative"),
    ({"stated_u": np.ones(INPUTS + 1)}, r"stated_u of shape \(7,\), needs \(6,\)"),
    ({"stated_u": "u"}, "stated_u as a str"),
    ({"outside": np.zeros(INPUTS)}, "outside of type torch.float64, needs truth values"),
    ({"outside": [True]}, r"outside of shape \(1,\), needs \(6,\)"),
])  # fmt: skip
def test_what_does_not_fit_beside_them_is_one_line(beside, message):
    with pytest.raises(InputError, match=message):
        Predictions(EXACT, **beside)


def test_a_stored_file_of_something_that_is_not_normalised_names_the_file(tmp_path):
    from thalweg import files

    files.write_tensors(tmp_path / "a.safetensors", {"log_probs": torch.rand(2, 3, 4)})
    with pytest.raises(InputError, match=r"a.safetensors holds no predictions"):
        Predictions.load(tmp_path / "a.safetensors")
