"""`thalweg quantify` and `thalweg statement`: what is checked first, files, exit codes."""

import json
import sys

import numpy as np
import pytest
import torch

import thalweg as package
from thalweg.commands import stating
from thalweg.commands.demo import Demo, digits

PROBLEM = """
import torch, thalweg
from torch import nn
x = torch.randn(260, 6, generator=torch.Generator().manual_seed(0))
made = []
def network():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
def problem():
    made.append(1)
    train = thalweg.Batches(x[:100], x[:100, :3].argmax(1), size=20)
    return thalweg.Problem(network, train, thalweg.Recipe(epochs=2), unlabelled=x[100:200])
number = 3
"""


@pytest.fixture
def task(tmp_path, monkeypatch):
    name = f"task_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(PROBLEM)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32))
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def networks(tmp_path):
    logits = torch.randn(4, 15, 3, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "p.npy", logits.softmax(-1).numpy())
    return tmp_path / "p.npy"


@pytest.mark.filterwarnings("ignore:quantify got 100 unlabelled")
def test_a_problem_in_a_module(task, thalweg, tmp_path):
    asked = ("quantify", f"{task}:problem", "--inputs", "x.npy", "--budget", 0, "--draws", 30)
    code, out, err = thalweg(*asked, "--out", "found", "--no-pages", "--low", 0.5)
    assert code == 0, err
    assert "what one more training by the same recipe would predict" in out
    made = package.read_statement(tmp_path / "found")
    assert len(made.inputs) == 20 and made.members == 30 and not made.networks
    assert made.identity["trainings"] >= 1 and len(made.identity["weights_sha256"]) == 1
    assert made.decision is not None
    again = thalweg(*asked, "--out", "found", "--no-pages")  # the fit in the folder is taken
    assert again[0] == 0 and package.read_statement(tmp_path / "found").u.equal(made.u)


def test_files_of_predictions(thalweg, networks, tmp_path):
    folder = tmp_path / "out"
    code, out, err = thalweg(
        "quantify", networks, "--kind", "probabilities", "--out", folder, "--no-pages", "--json"
    )
    assert code == 0 and not err
    told = json.loads(out)
    assert told["members"] == 4 and told["from_networks"] and told["inputs"] == 15
    made = package.read_statement(folder)
    wanted = package.state(np.load(networks), kind="probabilities")
    assert torch.equal(made.u, wanted.u) and (folder / "statement.csv").stat().st_size
    code, out, err = thalweg("statement", folder, "--no-pages", "--low", 0.9, "--risk", 0.1)
    assert code == 0 and "decision" in out and "left to a human" in out
    code, out, _ = thalweg("statement", folder, "--no-pages", "--lang", "fr")
    assert code == 0 and "incertitude-type composée" in out


def test_one_file_each(thalweg, networks, tmp_path):
    paths = []
    for number, own in enumerate(np.load(networks)):
        paths.append(tmp_path / f"{number}.npy")
        np.save(paths[-1], own)
    code, _, err = thalweg(
        "quantify", *paths, "--kind", "probabilities", "--out", tmp_path / "o", "--no-pages"
    )
    assert code == 0, err
    assert package.read_statement(tmp_path / "o").members == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to state of"),
        (("--demo", "digit"), "did you mean 'digits'"),
        (("{task}:problem",), "needs it alone, and --inputs"),
        (("{task}:number", "--inputs", "x.npy"), "gives a int, needs a thalweg.Problem"),
        (("{task}:problems", "--inputs", "x.npy"), "did you mean 'problem'"),
        (("{task}:problem", "--inputs", "x.npy", "--kind", "logits"), "leave them out"),
        (("{task}:problem", "--inputs", "x.npy", "--low", "2"), "between 0 and 1"),
        (("{task}:problem", "--inputs", "y.npy"), "does not exist"),
        (("p.npy",), "needs --kind"),
        (("p.npy", "--kind", "logits", "--units", "mg/l"), "needs --kind values"),
        (("p.npy", "--kind", "logits", "--inputs", "x.npy"), "--inputs and no problem"),
        (("p.npy", "--kind", "logits", "--level", "95"), "level got 95"),
        (("p.npy", "--kind", "logits", "--lang", "de"), "unknown language"),
        (("p.npy", "--kind", "logits", "--risk", "0.1"), "needs --low or --high"),
        (("one.npy", "--kind", "values"), "1 network, which tell nothing"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_trained(arguments, said, task, thalweg, tmp_path):
    np.save(tmp_path / "p.npy", np.random.default_rng(0).normal(size=(3, 5, 2)))
    np.save(tmp_path / "one.npy", np.random.default_rng(0).normal(size=(1, 5, 2)))
    given = [text.format(task=task) for text in arguments]
    code, _, err = thalweg("quantify", *given, "--out", "o", "--no-pages")
    assert code == 2 and len(err.splitlines()) == 1 and said in err, err
    assert not (tmp_path / "o/fit").exists() and not (tmp_path / "o/statement.json").exists()


def test_the_demonstration(thalweg, monkeypatch, tmp_path):
    """The embedded digits, here with two epochs and a budget of 0; the whole one takes ten seconds
    of one quiet core.
    """
    whole = digits()
    assert len(whole.inputs) == len(whole.labels) == len(whole.pictures) == 200

    def short(seed):
        problem = whole.problem
        brief = package.Problem(
            problem.model,
            problem.train_loader,
            package.Recipe(epochs=2),
            unlabelled=problem.unlabelled,
        )
        return Demo(brief, whole.inputs[:30], whole.labels[:30], whole.pictures[:30], whole.columns)

    monkeypatch.setattr(stating, "digits", short)
    code, out, err = thalweg("quantify", "--demo", "digits", "--budget", 0, "--out", tmp_path / "d")
    assert code == 0, err
    for name in ("statement.json", "statement.csv", "statement.pdf", "statement.html"):
        assert (tmp_path / "d" / name).stat().st_size > 0 and name in out
    made = package.read_statement(tmp_path / "d")
    assert made.decision is not None and made.pictures is not None and made.labels is not None


def test_no_statement_in_a_folder(thalweg, tmp_path):
    code, _, err = thalweg("statement", tmp_path)
    assert code == 2 and "does not exist" in err
