"""Every reader of files, given arbitrary bytes and damaged files: a result or a one-line error, in
bounded memory. Nothing else.

The quick tests draw the same examples every time; `pytest -m slow tests/fuzz` draws many more, and
others each time.
"""

import gzip
import io
import json
import resource
import shutil
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thalweg
import tiny
from thalweg import files
from thalweg.data.cifar import read_names, read_records
from thalweg.data.idx import read_images, read_labels
from thalweg.data.svhn import read_svhn
from thalweg.errors import InputError
from thalweg.report.reading import ResultFiles, Study
from thalweg.report.results import load
from thalweg.storing.records import AnchorRecord
from thalweg.study.plan import make_plan, plan_of, read_plan
from thalweg.study.records import PlanRecord, RunRecord
from thalweg.study.store import Store

sys.path.append(str(Path(__file__).parents[1] / "report"))
from synthetic import METHODS, write_results

HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
QUICK = settings(
    derandomize=True, database=None, deadline=None, max_examples=40, suppress_health_check=HEALTH
)
LONG = settings(database=None, deadline=None, max_examples=3000, suppress_health_check=HEALTH)
MEMORY = 300_000  # kB that the process may grow by during a test

COST = {
    "backward_examples": 128,
    "forward_examples": 60,
    "training_examples": 128,
    "seconds": 0.5,
    "peak_memory": 10**8,
}
RUN = {
    "kind": "method",
    "index": 0,
    "title": "swag, base 0",
    "status": "ok",
    "error": None,
    "started": 1.0,
    "ended": 2.5,
    "fingerprint": "0123456789abcdef0123",
    "cost": {**COST, "trainings": 1.0, "forward_trainings": 0.5},
    "stored_bytes": 100,
    "evaluations_per_input": 4,
}
PLANNED = {
    "plan": tiny.plan().facts(),
    "data_fingerprint": "a",
    "images_fingerprint": "b",
    "ood": None,
    "augmented": False,
    "parameters": 610,
    "runs": [{"kind": "pool", "index": 0, "method": 0, "fingerprint": "0" * 20}],
    "environment": {"versions": {"torch": "2"}, "hardware": {}, "system": "Linux"},
}
WEIGHTS = thalweg.Weights({"w": torch.arange(4.0), "b": torch.ones(1)}, {"n": torch.tensor(3)})


@dataclass(frozen=True)
class Reader:
    """A reader, a file that it reads, and whether a checksum says that the file is whole."""

    valid: Callable[[Path], None]
    read: Callable[[Path], object]
    name: str = "file"
    summed: bool = False


def idx(path, shape) -> None:
    header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    path.write_bytes(
        gzip.compress(header + bytes(k % 250 for k in range(int(np.prod(shape)))), mtime=0)
    )


def svhn(path, write) -> None:
    buffer = io.BytesIO()
    write(buffer, np.arange(2 * 3072, dtype=np.uint32).astype(np.uint8))
    path.write_bytes(buffer.getvalue())


def in_folder(path: Path) -> torch.Tensor:
    """SVHN's files are looked for by their names."""
    (path.parent / "svhn").mkdir(exist_ok=True)
    for name in ("test_32x32.mat", "train_first1083.npz"):
        (path.parent / "svhn" / name).unlink(missing_ok=True)
    shutil.copy(path, path.parent / "svhn" / path.name)
    return read_svhn([path.parent])


def record(content, form) -> Reader:
    return Reader(
        lambda path: files.write_record(path, content),
        lambda path: files.read_record(path, form),
        summed=True,
    )


def parquet(path: Path) -> None:
    buffer = io.BytesIO()
    import pandas as pd

    pd.DataFrame({"metric": ["nll", "ece"], "members": [1, 2], "value": [0.5, 0.25]}).to_parquet(
        buffer
    )
    path.write_bytes(buffer.getvalue())


def table(path: Path) -> object:
    """A table whose checksum is right: that of a stranger."""
    folder = ResultFiles(path.parent)
    folder.__dict__["study"] = {"files": {path.name: files.digest(path.read_bytes())}}
    return folder.table("curves")


PREDICTED = thalweg.Predictions(
    torch.full((2, 3, 4), 0.25).log(), torch.ones(3), torch.tensor([True, False, True])
)
READERS = {
    "idx images": Reader(lambda path: idx(path, (2, 3, 4)), read_images),
    "idx labels": Reader(lambda path: idx(path, (7,)), read_labels),
    "cifar": Reader(
        lambda path: path.write_bytes(bytes(2 * 3073)),
        lambda path: read_records(path, labels=1, records=2),
    ),
    "class names": Reader(
        lambda path: path.write_text("apple\nbear\n"), lambda path: read_names(path, 2)
    ),
    "svhn excerpt": Reader(
        lambda path: svhn(path, lambda f, x: np.savez_compressed(f, X=x.reshape(2, 32, 32, 3))),
        in_folder,
        "train_first1083.npz",
    ),
    "svhn published": Reader(
        lambda path: svhn(
            path,
            lambda f, x: scipy.io.savemat(f, {"X": x.reshape(32, 32, 3, 2)}, do_compression=True),
        ),
        in_folder,
        "test_32x32.mat",
    ),
    "weights": Reader(
        lambda path: thalweg.save(thalweg.Members((WEIGHTS,)), path), thalweg.load, summed=True
    ),
    "predictions": Reader(
        lambda path: PREDICTED.save(path, of="x"),
        lambda path: thalweg.Predictions.load(path, of="x"),
        summed=True,
    ),
    "plan": Reader(lambda path: tiny.write_toml(path, tiny.raw()), read_plan),
    "run.json": record(RUN, RunRecord),
    "anchor.json": record(COST, AnchorRecord),
    "plan.json": record(PLANNED, PlanRecord),
    "parquet": Reader(parquet, table, "curves.parquet"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzzed")


@pytest.fixture(autouse=True)
def _bounded_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY


def outcome(read, path) -> object:
    """What was read, or None for a one-line error; anything else is raised."""
    try:
        return read(path)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000, str(error)
        return None


@st.composite
def damaged(draw, data: bytes) -> bytes:
    """A few of: flipped bits, other bytes, parts that are cut out, doubled, overwritten or
    inserted.
    """
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, max(len(data) - 1, 0))), draw(st.integers(1, 16))
        kind = draw(
            st.sampled_from(["flip", "flip", "byte", "cut", "end", "double", "insert", "number"])
        )
        if not data:
            break
        if kind == "flip":
            data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
        elif kind == "byte":
            data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at] + data[at + length :]
        elif kind == "end":
            data = data[:at]
        elif kind == "double":
            data = data[: at + length] + data[at:]
        elif kind == "insert":
            data = data[:at] + draw(st.binary(max_size=16)) + data[at:]
        else:
            number = struct.pack(
                draw(st.sampled_from(["<I", ">I", "<Q"])),
                draw(st.sampled_from([0, 1, 2**31, 2**32 - 1])),
            )
            data = data[:at] + number + data[at + len(number) :]
    return data


def arbitrary_bytes(name: str, place: Path, profile: settings) -> None:
    reader = READERS[name]
    path = place / reader.name

    @profile
    @given(st.binary(max_size=600))
    def test(data: bytes) -> None:
        path.write_bytes(data)
        outcome(reader.read, path)

    test()


def damaged_files(name: str, place: Path, profile: settings) -> None:
    reader = READERS[name]
    path = place / reader.name
    reader.valid(path)
    whole = path.read_bytes()
    assert reader.read(path) is not None, "the file is one that it reads"

    @profile
    @given(damaged(whole))
    def test(data: bytes) -> None:
        path.write_bytes(data)
        found = outcome(reader.read, path)
        assert found is None or not reader.summed or data.replace(b"\r\n", b"\n") == whole

    test()


@pytest.mark.parametrize("name", READERS)
def test_arbitrary_bytes(name, place):
    arbitrary_bytes(name, place, QUICK)


@pytest.mark.parametrize("name", READERS)
def test_damaged_files(name, place):
    damaged_files(name, place, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_arbitrary_bytes(name, place):
    arbitrary_bytes(name, place, LONG)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_files(name, place):
    damaged_files(name, place, LONG)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["../x", "ok", "method", "deep-ensemble", "swag", "a:b", "nan", "\x00"]),
)
KEYS = st.text(max_size=6)
VALUES = st.recursive(
    LEAVES, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(KEYS, v, max_size=3))
)


@st.composite
def changed(draw, content):
    """The same content with a few parts taken out or put in the place of others."""
    content = json.loads(json.dumps(content))
    for _ in range(draw(st.integers(1, 3))):
        node = content
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
                node = node[key]
                continue
            if draw(st.integers(0, 4)) == 0:
                del node[key]
            else:
                node[key] = draw(VALUES)
            break
    return content


def strange_plans(profile: settings) -> None:
    @profile
    @given(changed(tiny.raw(quick={"protocol": {"reference": 4}})))
    def test(content: dict) -> None:
        outcome(make_plan, {k: v for k, v in content.items() if k != "quick"})

    test()


def strange_records(place: Path, profile: settings) -> None:
    """Of a store: well sealed, with any content."""
    store = Store(place / "study")

    @profile
    @given(
        changed(RUN),
        changed(PLANNED),
        changed(COST),
        changed({"log_probs": COST, "features_cost": COST, "key": "k"}),
    )
    def test(run: dict, planned: dict, cost: dict, facts: dict) -> None:
        name = RUN["fingerprint"]
        for path, content in (
            (store.run_folder(name) / "run.json", run),
            (store.folder / "plan.json", planned),
            (store._anchor("k").with_suffix(".json"), cost),
        ):
            files.write_bytes(
                path, files._sealed(content).encode() if "sha256" not in content else b""
            )
        found = store.record(name)
        assert (
            found is None
            or (found["cost"]["training_examples"] >= 1 and found["ended"] >= 0)
            or found["status"] == "failed"
        )
        store.get("k"), store.is_whole(name, ["test"])
        facts_of_plan = outcome(
            lambda path: files.read_record(path, PlanRecord), store.folder / "plan.json"
        )
        if facts_of_plan is not None:
            outcome(plan_of, facts_of_plan["plan"])
        files.write_tensors(store._network_record("k"), {"log_probs|a": torch.zeros(2)}, facts)
        store.recorded("k", features=False)

    thalweg.save(thalweg.Members((WEIGHTS,)), store._anchor("k"), key="k")
    test()


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    few = [m for m in METHODS if m[0] in ("deep ensemble of 2", "swag")]
    return write_results(tmp_path_factory.mktemp("reported"), few, failures=False)


def strange_results(folder: Path, profile: settings) -> None:
    """`study.json` well sealed, with any content: it is read whole, or not at all."""
    path = folder / "results/study.json"
    whole = files.read_record(path, Study)

    @profile
    @given(changed(whole))
    def test(content: dict) -> None:
        files.write_bytes(path, files._sealed(content).encode())
        found = outcome(load, folder)
        assert found is None or found.study["counts"]["runs"] >= 0

    try:
        test()
    finally:
        files.write_record(path, whole)


def test_strange_plans():
    strange_plans(QUICK)


def test_strange_records(place):
    strange_records(place, QUICK)


def test_strange_results(reported):
    strange_results(reported, QUICK)


@pytest.mark.slow
def test_many_strange_plans_records_and_results(place, reported):
    strange_plans(LONG)
    strange_records(place, LONG)
    strange_results(reported, LONG)
