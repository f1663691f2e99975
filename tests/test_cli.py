"""The command line: examples in every help, one line for every mistake, exit codes 0, 1 and 2."""

import errno
import gzip
import io
import os
import struct
import sys
from importlib.metadata import version

import numpy as np
import pooch
import pytest
import torch

import tiny
from thalweg import cli
from thalweg.data import datasets
from thalweg.data.digits import read_digits

COMMANDS = (
    "study",
    "compare",
    "report",
    "landscape",
    "explorers",
    "datasets",
    "explain",
    "quantify",
    "statement",
)
ONE = [{"explorer": "deep-ensemble", "members": 2}]


@pytest.fixture
def refused(thalweg):
    """Runs the command line, which ends with one line on stderr and exit code 2; gives the line."""

    def command(*arguments) -> str:
        code, out, err = thalweg(*arguments)
        assert code == 2, (code, out, err)
        assert len(err.splitlines()) == 1 and err.startswith("thalweg: "), err
        assert "Traceback" not in out and "\x1b" not in err
        return err.strip()

    return command


@pytest.fixture
def written(tmp_path):
    """Writes a plan of one method."""
    return lambda **changes: tiny.write_toml(
        tmp_path / "plan.toml", tiny.raw(**{"methods": ONE} | changes)
    )


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studied")
    tiny.study(folder, methods=ONE)
    return folder


# what it says


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example(name, thalweg):
    code, out, err = thalweg(name, "--help")
    assert code == 0 and not err
    assert "Example" in out and f"thalweg {name}" in out.split("Example")[1]


def test_version(thalweg):
    assert thalweg("--version") == (0, f"thalweg {version('thalweg')}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help_names_every_command(arguments, thalweg):
    code, out, err = thalweg(*arguments)
    assert code == 0 and not err and all(name in out for name in COMMANDS) and "Example" in out


def test_explorers(thalweg):
    from thalweg.emulators.base import emulators
    from thalweg.explorers.base import explorers

    code, out, _ = thalweg("explorers")
    assert code == 0 and "members = 5" in out
    assert all(name in out for name in [*explorers(), *emulators()])


def test_datasets(thalweg):
    code, out, _ = thalweg("datasets")
    assert code == 0 and all(name in out for name in datasets.DATASETS) and "svhn" in out


def test_explain(thalweg):
    from thalweg.metrics.info import FACTS

    code, out, _ = thalweg("explain", "all")
    assert code == 0 and len(out.splitlines()) > len(FACTS) and all(name in out for name in FACTS)
    code, out, _ = thalweg("explain", "k_eq")
    assert code == 0 and "retraining" in out


def test_a_whole_study(thalweg, written, tmp_path):
    """In a log: plain lines, with the time left."""
    plan = written(methods=[{"explorer": "learned-curve"}], protocol={"landscape": "learned-curve"})
    code, out, err = thalweg("study", plan, "--jobs", 1)
    assert code == 0 and not err and "\x1b" not in out
    assert "tiny: 9 of 9 runs to do: 9.0 trainings, about " in out
    assert "[9/9] landscape 0 done; " in out and "about 0 s left" in out
    assert "K_eq" in out and "learned-curve" in out
    for name in ("report.pdf", "report.html", "results/comparison.parquet", "plan.json"):
        assert (tmp_path / "results/tiny" / name).stat().st_size > 0
    code, out, _ = thalweg("study", plan, "--jobs", 1)
    assert code == 0 and "all 9 runs are stored: nothing to do" in out


def test_compare(thalweg, studied):
    code, out, _ = thalweg("compare", studied)
    assert code == 0 and "deep-ensemble (members 2)" in out and "K_eq" in out


def test_compare_files(thalweg, refused, tmp_path):
    source = torch.Generator().manual_seed(0)
    for name, members in (("retrainings", 12), ("method", 3)):
        logits = torch.randn(members, 200, 3, generator=source).numpy()
        np.save(tmp_path / f"{name}.npy", logits)
    files = (tmp_path / "retrainings.npy", tmp_path / "method.npy")
    code, out, err = thalweg("compare", *files, "--kind", "logits")
    assert code == 0 and not err and out.startswith("K_eq ") and "12 retrainings, 200 inputs" in out
    np.save(tmp_path / "one.npy", torch.rand(12, 200, generator=source).numpy())
    np.save(tmp_path / "two.npy", torch.rand(3, 200, generator=source).numpy())
    one = (tmp_path / "one.npy", tmp_path / "two.npy")
    code, out, err = thalweg("compare", *one, "--kind", "probabilities", "--binary")
    assert code == 0 and not err and "K_u" in out
    assert "needs --kind probabilities, " in refused("compare", *files)
    assert "NaN or outside of 0 .. 1" in refused("compare", *files, "--kind", "probabilities")
    assert "did you mean 'logits'" in refused("compare", *files, "--kind", "logit")
    assert "needs the files of retrainings" in refused("compare", files[0], "--kind", "logits")


def test_dry_run(thalweg, written, tmp_path):
    code, out, err = thalweg("study", written(), "--dry-run", "--jobs", 2)
    assert (
        code == 0
        and not err
        and "12 of 12 runs to do: 10.0 trainings, about " in out
        and "with 2 jobs" in out
    )
    assert [p.name for p in tmp_path.iterdir()] == ["plan.toml"]


def test_shards(thalweg, written, tmp_path):
    import shutil

    for k in (1, 2):
        code, out, _ = thalweg(
            "study", written(), "--jobs", 1, "--shard", f"{k}/2", "--output", tmp_path / f"part{k}"
        )
        assert (
            code == 0
            and f"shard {k}/2 is in " in out
            and not (tmp_path / f"part{k}/results").exists()
        )
    shutil.copytree(tmp_path / "part1", tmp_path / "part2", dirs_exist_ok=True)
    assert thalweg("compare", tmp_path / "part2")[0] == 0


def test_a_run_that_fails(thalweg, written, tmp_path):
    """Shown at once, in the table, in the report; exit code 1."""
    plan = written(
        methods=[*ONE, {"explorer": "snapshot", "cycles": 2, "lr_ratio": 1e9, "label": "wild"}]
    )
    code, out, err = thalweg("study", plan, "--jobs", 1)
    assert code == 1 and not err
    assert (
        "wild, base 0 FAILED (Diverged: the loss is " in out
        and "failed: wild, base 1: Diverged" in out
        and " at step " in out
    )
    assert "wild" in (tmp_path / "results/tiny/report.html").read_text()
    assert thalweg("study", plan, "--jobs", 1)[0] == 1


def test_quick(thalweg, written):
    _, out, _ = thalweg(
        "study", written(quick={"protocol": {"reference": 5}}), "--dry-run", "--quick"
    )
    assert "13 of 13 runs" in out


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("full", [False, True])
def test_bars_on_a_terminal(full, thalweg, written, monkeypatch):
    """The cursor comes back, even where the study ends early."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(cli, "_report", lambda _: None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    left = iter(range(8 if full else 1000))
    real = os.fsync

    def filling(handle):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", filling)
    code, _, err = thalweg("study", written(), "--jobs", 1, "--shard", "1/1")
    shown = terminal.getvalue()
    assert code == (2 if full else 0) and ("No space left" in err) == full
    assert "━" in shown and "/12" in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l") > -1


# what it refuses


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["bogus"], "bogus"),
        (["study"], "plan"),
        (["study", "none.toml"], "can't read the plan none.toml"),
        (["study", "plan.toml", "--jobs", "0"], "--jobs"),
        (["study", "plan.toml", "--jobs", "many"], "--jobs"),
        (["study", "plan.toml", "--job", "2"], "--job"),
        (
            ["study", "plan.toml", "--shard", "6/5"],
            "--shard got '6/5', needs K/N such as 2/5, with K from 1 to N",
        ),
        (["study", "plan.toml", "--shard", "0/5"], "--shard got '0/5'"),
        (["study", "plan.toml", "--shard", "1"], "--shard got '1'"),
        (["study", "plan.toml", "--shard", "²/5"], "--shard got '²/5'"),
        (["study", "plan.toml", "--model", "nowhere:make"], "no module 'nowhere'"),
        (["study", "plan.toml", "--model", "mpl"], "unknown model 'mpl': did you mean 'mlp'?"),
        (["explain", "k_equ"], "unknown word 'k_equ': did you mean 'k_eq'?"),
        (["explain"], "word"),
        (["compare", "nowhere"], "nowhere/plan.json does not exist"),
        (["report", "nowhere"], "nowhere"),
        (["datasets", "all"], "all"),
    ],
)
def test_mistakes_on_the_command_line(arguments, expected, refused, written):
    written()
    assert expected in refused(*arguments)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data": {"name": "digit"}}, "unknown data set 'digit': did you mean 'digits'?"),
        (
            {"data": {"ood": "rotatd"}},
            "unknown out-of-distribution set 'rotatd': did you mean 'rotated'?",
        ),
        ({"data": {"trian": 3}}, "data.trian is not known: did you mean 'train'?"),
        ({"data": {"train": 5000}}, "got 5000 training and 40 validation images"),
        ({"data": {"test": 5000}}, "got 5000 test images, needs 1 to 600"),
        ({"model": {"name": "cnm"}}, "unknown model 'cnm': did you mean 'cnn'?"),
        (
            {"model": {"hiden": [8]}},
            "unknown setting 'hiden' of model 'mlp': did you mean 'hidden'?",
        ),
        ({"model": {"hidden": "wide"}}, "model 'mlp' with hidden = 'wide'"),
        ({"protocol": {"device": "cud"}}, "protocol.device got 'cud': "),
        (
            {"methods": [{"explorer": "swagg"}]},
            "methods[0].explorer: unknown explorer 'swagg': did you mean 'swag'?",
        ),
    ],
)
def test_mistakes_in_a_plan(changes, expected, refused, written):
    assert expected in refused("study", written(**changes), "--jobs", 1)
    assert expected in refused("study", written(**changes), "--dry-run")


def test_no_accelerator(refused, written):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert "protocol.device got 'cuda': " in refused("study", written(protocol={"device": "cuda"}))


MODELS = {
    "wrong-shape": (
        "def make():\n    return nn.Flatten(0)",
        "the network's output is (128,) for 2 inputs, needs [batch, classes]",
    ),
    "too few outputs": (
        "def make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5))",
        "needs 0 to 4: the network has 5 outputs",
    ),
    "wrong inputs": (
        "def make():\n    return nn.Linear(3, 10)",
        "the network can't evaluate inputs of shape (2, 1, 8, 8)",
    ),
    "no module": ("def make():\n    return 3", "returned of type int, needs a torch.nn.Module"),
    "same module": (
        "net = nn.Linear(64, 10)\ndef make():\n    return net",
        "the same module twice",
    ),
    "not callable": (
        "make = 3",
        "is of type int, needs a class or a function that returns a torch.nn.Module",
    ),
    "another name": ("def maker():\n    pass", "unknown name in module"),
    "no python": ("def make(:", "importing "),
    "broken": ("def make():\n    raise KeyError('x\\ny')", "failed (KeyError"),
    "lacks a package": (
        "import nosuchpackage\nmake = 3",
        "needs 'nosuchpackage', which is not installed",
    ),
    "a setting that is lacking": (
        "def make(width):\n    return nn.Flatten()",
        "needs the setting 'width'",
    ),
}


@pytest.mark.parametrize("what", MODELS)
def test_a_users_network(what, refused, written, tmp_path):
    source, expected = MODELS[what]
    module = f"mine_{list(MODELS).index(what)}"
    (tmp_path / f"{module}.py").write_text(f"from torch import nn\n{source}\n")
    line = refused("study", written(), "--jobs", 1, "--model", f"{module}:make")
    assert expected in line
    assert not (tmp_path / "results").exists()


def test_a_users_network_works(thalweg, written, tmp_path):
    (tmp_path / "mine_good.py").write_text(
        "from torch import nn\ndef make(inputs, classes):\n    return "
        "nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    code, out, _ = thalweg("study", written(), "--dry-run", "--model", "mine_good:make")
    assert code == 0 and "12 of 12 runs to do" in out


def test_weights_that_do_not_fit(thalweg, written, tmp_path, monkeypatch):
    """A network that changed behind thalweg's back, in a file that its module imports: recorded,
    one line a run.
    """
    monkeypatch.setattr(cli, "_report", lambda _: None)
    (tmp_path / "mine_width.py").write_text("WIDTH = 8\n")
    (tmp_path / "mine_outer.py").write_text(
        "from torch import nn\nimport mine_width\ndef make(classes):\n    return "
        "nn.Sequential(nn.Flatten(), nn.Linear(64, mine_width.WIDTH), "
        "nn.Linear(mine_width.WIDTH, classes))\n"
    )
    command = ("study", written(), "--jobs", 1, "--model", "mine_outer:make")
    assert thalweg(*command)[0] == 0
    sys.modules["mine_width"].WIDTH = 9
    written(methods=[*ONE, {"explorer": "deep-ensemble", "members": 1}])
    code, out, err = thalweg(*command)
    assert (
        code == 1
        and not err
        and "weights does not fit the model: '1.weight' has shape (8, 64), the model needs (9, 64)"
        in out
    )


def digits_with(**changes):
    from dataclasses import replace

    return lambda _: replace(read_digits(), **changes)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (
            digits_with(mean=(float("nan"),)),
            "batch 0 of the training loader has NaN or infinite inputs: clean the data",
        ),
        (digits_with(std=(0.0,)), "standard deviations above 0"),
        (
            digits_with(class_names=tuple("01234")),
            "got labels from 0 to 9, needs 0 to 4: there are 5 classes",
        ),
        (
            digits_with(
                train=torch.zeros(0, 1, 8, 8, dtype=torch.uint8), train_labels=torch.zeros(0).long()
            ),
            "got images of type torch.uint8",
        ),
    ],
)
def test_data_with_mistakes(read, expected, refused, written, monkeypatch):
    from dataclasses import replace

    monkeypatch.setitem(
        datasets.DATASETS, "digits", replace(datasets.DATASETS["digits"], read=read)
    )
    assert expected in refused("study", written(), "--jobs", 1)


def idx(path, array) -> None:
    shape = array.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        gzip.compress(
            bytes([0, 0, 8, len(shape)])
            + struct.pack(f">{len(shape)}I", *shape)
            + array.numpy().tobytes()
        )
    )


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """A folder with files in the form of MNIST's, and no other place where they are."""
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for part, n in (("train", 120), ("t10k", 70)):
        idx(
            tmp_path / f"data/mnist/{part}-images-idx3-ubyte.gz",
            (torch.arange(n * 64) % 251).reshape(n, 8, 8).to(torch.uint8),
        )
        idx(
            tmp_path / f"data/mnist/{part}-labels-idx1-ubyte.gz",
            (torch.arange(n) % 10).to(torch.uint8),
        )
    return tmp_path / "data/mnist"


MNIST = {"name": "mnist", "ood": "rotated"}


def test_data_files_are_read(small_mnist, thalweg, written):
    assert thalweg("study", written(data=MNIST), "--dry-run")[0] == 0


@pytest.mark.parametrize("damage", ["truncated", "empty", "no idx", "labels out of range"])
def test_damaged_data_files(damage, small_mnist, refused, written):
    path = small_mnist / (
        "train-labels-idx1-ubyte.gz"
        if damage.startswith("labels")
        else "train-images-idx3-ubyte.gz"
    )
    if damage == "labels out of range":
        idx(path, torch.full((120,), 11, dtype=torch.uint8))
        assert "mnist: train: got labels from 11 to 11, needs 0 to 9" in refused(
            "study", written(data=MNIST)
        )
        return
    path.write_bytes(
        {"truncated": path.read_bytes()[:-40], "empty": b"", "no idx": gzip.compress(b"hello")}[
            damage
        ]
    )
    assert f"{path} is damaged or truncated (" in refused("study", written(data=MNIST))


def test_data_that_are_absent(small_mnist, refused, written, monkeypatch):
    """Without a network: one line, at once, that says where the file should be."""
    import socket

    def unreachable(*_, **__):
        raise OSError("Network is unreachable")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, unreachable)
    told = io.StringIO()
    monkeypatch.setattr(pooch.get_logger().handlers[0], "stream", told)
    (small_mnist / "t10k-labels-idx1-ubyte.gz").unlink()
    line = refused("study", written(data=MNIST))
    assert (
        "mnist/t10k-labels-idx1-ubyte.gz is not in " in line
        and "set THALWEG_DATA or --data-dir to the folder that has it" in line
    )
    assert not told.getvalue()


def test_a_folder_that_cannot_be_written_to(refused, written, tmp_path):
    (tmp_path / "file").write_text("")
    line = refused("study", written(), "--jobs", 1, "--output", tmp_path / "file" / "out")
    assert f"can't write {tmp_path}/file/out/" in line and "choose another folder" in line


def test_a_full_disk(refused, written, monkeypatch):
    left = iter(range(9))
    real = os.fsync

    def filling(handle):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", filling)
    assert "(No space left on device): free the disk or choose another folder" in refused(
        "study", written(), "--jobs", 1
    )


def test_results_that_are_damaged(refused, studied, tmp_path):
    import shutil

    copied = shutil.copytree(studied, tmp_path / "copied")
    path = next(copied.glob("runs/*/test.safetensors"))
    path.write_bytes(path.read_bytes()[:-9])
    assert f"{path} is damaged or truncated" in refused("compare", copied)


def test_an_error_of_thalwegs_own_is_not_hidden(thalweg, monkeypatch):
    """A mistake of ours keeps its traceback: it is no bad input."""
    monkeypatch.setattr(cli, "_say", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        thalweg("explain", "k_eq")
