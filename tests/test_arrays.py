"""Predictions that are there already: `Predictions.of` of every form and kind of numbers."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from thalweg.errors import InputError
from thalweg.outputs import Binary, Classes, Values
from thalweg.predictions import Predictions

SOURCE = np.random.default_rng(0)
LOGITS = SOURCE.normal(size=(4, 30, 12))
P = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
Q = SOURCE.uniform(0.01, 0.99, size=(4, 30))


def long(array, shuffled=True) -> pd.DataFrame:
    """A table, row by row, in plain Python."""
    rows = [
        {"member": f"run {m}", "input": i} | {str(c): float(v) for c, v in enumerate(values)}
        for m, member in enumerate(array)
        for i, values in enumerate(member)
    ]
    if shuffled:
        SOURCE.shuffle(rows)
    return pd.DataFrame(rows)


def stored(path, array):
    if path.suffix == ".npz":
        np.savez(path, p=array)
    else:
        np.save(path, array)
    return path


FORMS = {
    "an array": lambda _: P,
    "a tensor": lambda _: torch.tensor(P),
    "a list of arrays": lambda _: list(P),
    "lists": lambda _: P.tolist(),
    "a data frame": lambda _: long(P),
    "columns in the order of text": lambda _: long(P)[
        ["input", "member", *sorted(map(str, range(12)))]
    ],
    "a table of pyarrow": lambda _: pa.Table.from_pandas(long(P)),
    ".npy": lambda folder: stored(folder / "p.npy", P),
    ".npz": lambda folder: str(stored(folder / "p.npz", P)),
    ".parquet": lambda folder: (
        parquet.write_table(pa.Table.from_pandas(long(P)), folder / "p.parquet")
        or folder / "p.parquet"
    ),
    "files of members": lambda folder: [
        stored(folder / f"{m}.npy", member) for m, member in enumerate(P)
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same(form, tmp_path):
    found = Predictions.of(FORMS[form](tmp_path), kind="probabilities")
    assert found.outputs == Classes()
    assert np.allclose(found.probs().numpy(), P, rtol=1e-12, atol=0)


NUMBERS = {
    "probabilities": (P, "probabilities", None, P),
    "log-probabilities": (np.log(P), "log_probabilities", None, P),
    "logits": (LOGITS + 3, "logits", None, P),
    "one probability": (Q, "probabilities", Binary(), np.stack([1 - Q, Q], -1)),
    "one in a column": (Q[..., None], "probabilities", Binary(), np.stack([1 - Q, Q], -1)),
    "both": (np.stack([1 - Q, Q], -1), "probabilities", Binary(), np.stack([1 - Q, Q], -1)),
    "its logarithm": (np.log(Q), "log_probabilities", Binary(), np.stack([1 - Q, Q], -1)),
    "its logit": (np.log(Q / (1 - Q)), "logits", Binary(), np.stack([1 - Q, Q], -1)),
    "values": (LOGITS, "values", None, LOGITS),
    "one value, in units": (10 * Q, "values", Values("mg/l"), 10 * Q[..., None]),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_every_kind_is_what_it_says(case):
    given, kind, outputs, expected = NUMBERS[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Predictions.of(given, kind=kind, outputs=outputs)
    assert np.allclose(found.values().numpy(), expected, rtol=1e-9, atol=1e-12)
    assert outputs is None or found.outputs == outputs


@pytest.mark.parametrize("case", ["probabilities", "both", "values"])
def test_a_table_is_written_and_read_again(case, tmp_path):
    given, kind, outputs, expected = NUMBERS[case]
    Predictions.of(given, kind=kind, outputs=outputs).to_parquet(tmp_path / "p.parquet")
    table = pd.read_parquet(tmp_path / "p.parquet")
    assert list(table)[:4] == ["member", "input", "0", "1"]
    row = table[(table["member"] == 2) & (table["input"] == 17)]
    assert np.allclose(row["1"], expected[2, 17, 1])
    again = Predictions.of(tmp_path / "p.parquet", kind=kind, outputs=outputs)
    assert np.allclose(again.values().numpy(), expected)


REFUSED = {
    "an unknown kind": (P, {"kind": "probabilitys"}, "did you mean 'probabilities'"),
    "one network alone": (P[0], {"kind": "probabilities"}, r"shape \(30, 12\), .*array\[None\]"),
    "logits of one": (LOGITS[0], {"kind": "logits"}, "thalweg.Binary"),
    "probabilities as logits": (P, {"kind": "logits"}, "say kind='probabilities'"),
    "logits as probabilities": (LOGITS, {"kind": "probabilities"}, "kind='logits'"),
    "probabilities as logarithms": (P, {"kind": "log_probabilities"}, "where their logarithms are"),
    "another last axis": (
        np.moveaxis(P, 2, 0),
        {"kind": "probabilities"},
        "needs 1: is the last axis that of classes",
    ),
    "one of them": (
        P + 0.5 * (np.arange(4) == 2)[:, None, None] * (np.arange(30) == 7)[:, None] * (1 - P) / 11,
        {"kind": "probabilities"},
        r"for member 2 and input 7, to 1\.5 over",
    ),
    "NaN": (np.where(LOGITS > 2, np.nan, LOGITS), {"kind": "logits"}, "NaN"),
    "infinite values": (
        np.where(LOGITS > 2, np.inf, LOGITS),
        {"kind": "values"},
        "finite|infinite",
    ),
    "values of classes": (P, {"kind": "values", "outputs": Classes()}, "needs probabilities"),
    "logits of values": (P, {"kind": "logits", "outputs": Values()}, "needs probabilities"),
    "two logits of one": (P[..., :2], {"kind": "logits", "outputs": Binary()}, "one logit"),
    "rows that lack": (long(P)[:-1], {"kind": "probabilities"}, "has 119 rows of 4 members and 30"),
    "rows twice": (
        pd.concat([long(P, shuffled=False)[:-1], long(P)[:1]]),
        {"kind": "probabilities"},
        "exactly one for each member and input",
    ),
    "no members": (
        long(P).drop(columns="member"),
        {"kind": "probabilities"},
        "needs 'member', 'input'",
    ),
    "text": (long(P).assign(a="x"), {"kind": "probabilities"}, "no array of numbers|no numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_something_else_is_one_line(case):
    given, settings, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        Predictions.of(given, **settings)
    assert "\n" not in str(caught.value)


def test_logits_that_may_be_probabilities_are_told_of():
    with pytest.warns(UserWarning, match="all between 0 and 1: if they are probabilities"):
        Predictions.of(Q, kind="logits", outputs=Binary())


def objects(path):
    np.save(path, np.array([{}, 1], dtype=object), allow_pickle=True)
    return path


def two(path):
    np.savez(path, a=P, b=P)
    return path


def text(path, content=b"member,input\n0,0\n"):
    path.write_bytes(content)
    return path


FILES = {
    "objects": (lambda d: objects(d / "a.npy"), "a.npy .*needs an array of plain numbers"),
    "cut": (
        lambda d: text(d / "b.npy", stored(d / "a.npy", P).read_bytes()[:500]),
        r"b\.npy .*needs an array of plain numbers",
    ),
    "two arrays": (lambda d: two(d / "a.npz"), r"holds 2 arrays \(a, b\), needs one"),
    "a text": (lambda d: text(d / "a.csv"), r"got '\.csv', needs \.npy, \.npz or \.parquet"),
    "no table": (lambda d: text(d / "a.parquet"), r"a\.parquet is a text file .*a Parquet table"),
    "absent": (lambda d: d / "a.npy", r"a\.npy does not exist"),
    "saved": (lambda d: d / "a.safetensors", r"read by Predictions\.load"),
    "of different inputs": (
        lambda d: [stored(d / "a.npy", P[0]), stored(d / "b.npy", P[0, :5])],
        "list of parts of the same shape",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_of_something_else_is_one_line(case, tmp_path):
    make, message = FILES[case]
    with pytest.raises(InputError, match=message) as caught:
        Predictions.of(make(tmp_path), kind="probabilities")
    assert "\n" not in str(caught.value)
