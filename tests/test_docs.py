"""README, guide and examples: their code runs, their tables are those of the committed results."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import cases
import shapes
import thalweg
from thalweg.explorers.base import _registry, explorers
from thalweg.study.plan import read_plan

ROOT = Path(__file__).parents[1]


def code(page, marker):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return next(block for block in blocks if marker in block)


def test_readme_code_runs_in_at_most_12_lines():
    block = code("README.md", "thalweg.Problem(")
    assert len(block.strip().splitlines()) <= 12
    x, y = torch.rand(300, 64), torch.randint(0, 10, (300,))
    space = {
        "thalweg": thalweg,
        "nn": nn,
        "train": DataLoader(TensorDataset(x, y), 64, shuffle=True),
        "unlabelled": x[:50],
        "test": x[50:90],
    }
    exec(block, space)
    assert (
        space["mean"].shape
        == space["std"].shape
        == space["low"].shape
        == space["high"].shape
        == (40, 10)
    )
    torch.testing.assert_close(space["mean"].sum(1), torch.ones(40))
    assert (space["low"] <= space["high"]).all()
    assert space["problem"].cost.trainings == 2.0


def test_readme_block_is_the_examples_own():
    assert code("README.md", "thalweg.Problem(") in (ROOT / "examples/own_network.py").read_text()


class Net(nn.Module):
    """Stands for a network of the user's own."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(16, 32), nn.Linear(32, 3)

    def forward(self, x):
        return self.last(self.first(x).relu())


@pytest.mark.filterwarnings("ignore:the network is")
def test_guide_quantify_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    x = torch.randn(200, 16)
    train = DataLoader(TensorDataset(x, x[:, :3].argmax(1)), 32, shuffle=True)
    space = {
        "Net": Net,
        "network": Net(),
        "train": train,
        "unlabelled": torch.randn(300, 16),
        "inputs": torch.randn(20, 16),
    }
    exec(code("docs/guide.md", "thalweg.quantify("), space)
    assert space["u"].shape == (20,) and space["found"].narrow_copies >= 2
    exec(code("docs/guide.md", "budget=0)"), space)
    assert space["found"].narrow_copies == 0 and space["found"].cost.backward_examples == 300
    assert space["u"].shape == space["u_alone"].shape == (20,)
    exec(code("docs/guide.md", "thalweg.Quantifier("), space)
    assert torch.equal(space["u"], space["predictions"].u())
    exec(code("docs/guide.md", "thalweg.state("), space)
    assert len(space["table"]) == 20 and (tmp_path / "statement.pdf").stat().st_size > 0
    exec(code("docs/guide.md", "DeepEnsemble(members=2)"), space)
    assert space["draws"].log_probs.shape == (100, 20, 3)
    x = torch.randn(40, 4)
    space = {
        "thalweg": thalweg,
        "model": lambda: torch.nn.Linear(4, 1),
        "x": x,
        "y": 300 + x.sum(1),
        "recipe": thalweg.Recipe(epochs=1),
        "asked": torch.randn(20, 4),
    }
    exec(code("docs/guide.md", "thalweg.Values("), space)
    assert space["predictions"].u().shape == (20,)
    assert space["predictions"].mean().shape == (20, 1)


def test_guide_code_of_inputs_by_name_runs():
    words, mask, y = shapes.sentences(60)
    sentences = [
        {"input_ids": row[kept == 1], "attention_mask": kept[kept == 1], "labels": label}
        for row, kept, label in zip(words, mask, y, strict=True)
    ]
    space = {
        "thalweg": thalweg,
        "torch": torch,
        "Classifier": shapes.Reader,
        "recipe": thalweg.Recipe(epochs=1),
        "sentences": sentences,
        "more": {"input_ids": words, "attention_mask": mask},
        "ids": words[:5],
        "mask": mask[:5],
    }
    exec(code("docs/guide.md", "def collate("), space)
    assert space["predictions"].inputs == 5


def test_guide_code_on_arrays_runs(capsys):
    logits = torch.randn(20, 300, 3, generator=torch.Generator().manual_seed(0))
    p = (logits.exp() / logits.exp().sum(-1, keepdim=True)).numpy()
    space = {
        "thalweg": thalweg,
        "p_unlabelled": p[:3, :200],
        "p_asked": p[:3, 200:],
        "p_retrained": p[3:, 200:],
        "p_method": p[:3, 200:],
    }
    exec(code("docs/guide.md", "Forest(geometry=False)"), space)
    assert space["u"].shape == (100,)
    exec(code("docs/guide.md", "thalweg.compare("), space)
    assert capsys.readouterr().out.startswith("K_eq ")


@pytest.mark.filterwarnings("ignore:the network is")
def test_guide_training_code_runs():
    torch.manual_seed(0)
    x = torch.randn(100, 16)
    space = {
        "torch": torch,
        "thalweg": thalweg,
        "Net": Net,
        "network": Net(),
        "loader": DataLoader(TensorDataset(x, x[:, :3].argmax(1)), 20, shuffle=True),
        "unlabelled": torch.randn(300, 16),
        "inputs": torch.randn(20, 16),
    }
    exec(code("docs/guide.md", "def train(module, seed)"), space)
    assert space["found"].narrow_copies >= 2 and space["found"].predictions.u().min() > 0
    assert space["found"].cost.given == 1 and 1.2 < space["found"].cost.trainings <= 2


@pytest.mark.filterwarnings("ignore:the network is")
def test_guide_method_code_runs():
    space = {
        "thalweg": thalweg,
        "problem": cases.problem(),
        "unlabelled": cases.held_out(150)[0],
        "inputs": cases.task(20, seed=2)[0],
    }
    exec(code("docs/guide.md", "thalweg.Method("), space)
    assert space["u"].shape == (20,) and space["cost"] > 2


def test_guide_code_of_sources_runs(capsys):
    space = {"thalweg": thalweg, "problem": cases.problem(), "inputs": cases.task(20, seed=2)[0]}
    exec(code("docs/guide.md", "thalweg.budget("), space)
    assert "interactions" in capsys.readouterr().out
    assert space["found"].u.shape == (20,) and not space["enough"].limited


def test_guide_explorer_is_found():
    space = {"__name__": "guide"}
    try:
        exec(code("docs/guide.md", '@register_explorer("noise")'), space)
        assert explorers()["noise"] is space["Noise"]
    finally:
        _registry.registered.pop("noise", None)


def test_guide_landscape_code_runs(capsys):
    space = {"thalweg": thalweg, "problem": cases.problem("conv-batchnorm")}
    exec(code("docs/guide.md", "from thalweg.landscape"), space)
    assert (
        space["straight"].barrier >= 0
        and space["check"].losses.shape == (25,)
        and "Extent(" in capsys.readouterr().out
    )


def test_the_page_of_reliability_counts_what_is_there():
    done = subprocess.run(
        [sys.executable, ROOT / "docs/reliability.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_tables_are_those_of_the_results():
    done = subprocess.run(
        [sys.executable, ROOT / "docs/tables.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "plan", sorted((ROOT / "studies").glob("*.toml")), ids=lambda path: path.stem
)
def test_plans_are_good_in_both_forms(plan):
    whole, quick = read_plan(plan), read_plan(plan, quick=True)
    assert quick.name == f"{whole.name}-quick"
    assert quick.protocol.reference < whole.protocol.reference
    assert whole.protocol.bases >= 5
