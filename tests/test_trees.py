"""Inputs of one or several tensors, and batches put together."""

import numpy as np
import pytest
import torch

from thalweg.errors import InputError
from thalweg.training.padding import joined
from thalweg.trees import (
    as_inputs,
    check_form,
    described,
    equal,
    flattened,
    form,
    is_space,
    mapped,
    moved,
    rows,
    shapes,
    split,
    taken,
    tensors,
)

A, B = torch.arange(12.0).reshape(6, 2), torch.arange(18).reshape(6, 3)
ALL = [A, (A, B), {"b": B, "a": A}]


@pytest.mark.parametrize("x", ALL)
def test_whatever_is_done_to_inputs_is_done_to_each_tensor(x):
    assert rows(x) == 6 and form(taken(x, slice(2))) == form(x)
    for index in (slice(1, 4), torch.tensor([5, 0]), [3]):
        for part, whole in zip(tensors(taken(x, index)), tensors(x), strict=True):
            assert torch.equal(part, whole[index])
    assert [rows(part) for part in split(x, 4)] == [4, 2]
    assert equal(joined(split(x, 4)), x)
    assert equal(mapped(lambda part: part + 1, x), mapped(lambda part: part + 1, x))
    assert not equal(mapped(lambda part: part + 1, x), x)
    assert not equal(mapped(torch.Tensor.double, x), x)
    assert moved(x, "cpu") is x and as_inputs(x, "x") is x
    assert moved(x, "meta") is not x and shapes(moved(x, "meta")) == shapes(x)


def test_the_parts_of_a_dictionary_have_one_order():
    one, other = {"b": B, "a": A}, {"a": A, "b": B}
    assert form(one) == form(other) == ("a", "b") and equal(one, other)
    assert torch.equal(flattened(one), torch.cat([A, B], 1))
    assert described(one) == "'a' (6, 2) and torch.float32, 'b' (6, 3) and torch.int64"
    check_form(one, form(other), "x")


def test_whole_numbers_are_no_space():
    assert [is_space(x) for x in (A, (A, A), (A, B), B, A > 0)] == [True, True, False, False, False]


def test_what_can_be_inputs():
    assert torch.equal(
        as_inputs([[1.0, 2.0]], "x"), torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    )
    assert torch.equal(as_inputs((1, 2), "x"), torch.tensor([1, 2]))
    found = as_inputs({0: np.ones((6, 1)), "b": B}, "x")
    assert form(found) == ("0", "b") and found["b"] is B


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"a": A, "b": B[:5]}, r"'a' \(6, 2\).*'b' \(5, 3\).*equally many rows"),
        ((A, torch.tensor(1)), r"\(\) and torch.int64, needs one or more"),
        ({}, "the parts none"),
        ({"a": A, "b": None}, "x\\['b'\\] got a NoneType"),
    ],
)
def test_what_can_not(given, match):
    with pytest.raises(InputError, match=match):
        as_inputs(given, "x")


def padded(*sentences, fill=9, left=False, **more):
    """One batch, padded to its longest sentence."""
    longest = max(map(len, sentences))
    ids, mask = [], []
    for words in sentences:
        rest = longest - len(words)
        parts = (words, [fill] * rest), ([1] * len(words), [0] * rest)
        for kept, (one, other) in zip((ids, mask), parts, strict=True):
            kept.append(other + one if left else one + other)
    return {"ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), **more}


@pytest.mark.parametrize("left", [False, True])
def test_padded_batches_are_padded_on_as_their_loader_does(left):
    sentences = [[1, 2, 3], [4], [5, 6], [7], [1, 2, 3, 4, 5]]
    batches = [padded(*part, left=left) for part in (sentences[:2], sentences[2:4], sentences[4:])]
    assert equal(joined(batches), padded(*sentences, left=left))


def test_states_are_padded_and_numbers_joined():
    states = [torch.randn(2, 3, 4), torch.randn(1, 2, 4)]
    states[0][1, 1:] = 0
    batches = [
        padded([1, 2, 3], [4], states=states[0], age=torch.ones(2, 1)),
        padded([5, 6], states=states[1], age=torch.zeros(1, 1)),
    ]
    found = joined(batches)
    assert found["states"].shape == (3, 3, 4) and not found["states"][2, 2].any()
    assert found["age"].flatten().tolist() == [1, 1, 0]


REFUSED = {
    "no mask": [{"ids": B}, {"ids": B[:, :2]}],
    "tensors": [A, A[:, :1]],
    "tuples": [(A, B), (A, B[:, :2])],
    "nothing was padded": [padded([1, 2]), padded([1])],
    "padded with several numbers": [padded([1, 2], [1], fill=7), padded([1, 2, 3], [1], fill=8)],
    "padded on both sides": [
        padded([1, 2], [1]),
        padded([1, 2, 3], [1], left=True),
    ],
    "holes": [
        {"ids": B[:1], "attention_mask": torch.tensor([[1, 0, 1]])},
        padded([1, 2], [1]),
    ],
    "another axis": [
        padded([1, 2], [1], image=torch.ones(2, 5)),
        padded([1, 2, 3], image=torch.ones(1, 6)),
    ],
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_put_together(case):
    with pytest.raises(InputError, match="can't be put together: pad all of them") as caught:
        joined(REFUSED[case])
    assert "\n" not in str(caught.value)
