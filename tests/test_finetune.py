"""Fine-tuning: the factory of pre-trained networks, the command, and the page of its studies."""

import pytest
import torch

from research.finetune import __main__ as command
from research.finetune import networks, page, pretraining
from research.finetune.reading import STUDIES, TASKS
from thalweg.data.digits import read_digits
from thalweg.errors import InputError
from thalweg.study.plan import read_plan
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.distribution import save
from thalweg.weights.point import Weights
from thalweg.weights.subspace import Subspace

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """Pre-trains on the embedded digits for an epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(networks.VARIABLE, str(tmp_path_factory.mktemp("weights")))
        small = pretraining.PreTraining("cnn", "digits", Recipe(epochs=1))
        patch.setitem(pretraining.PRE_TRAININGS, "cnn-digits", small)
        said = pretraining.pretrain("cnn-digits", None)
        assert pretraining.pretrain("cnn-digits", None) == said, "trained once"
        yield said.split("digest ")[1][:12]


def make(digest, **settings):
    return networks.fine_tuned(SHAPE, 4, backbone="cnn", source="digits", digest=digest, **settings)


def trained(digest, **settings):
    digits = read_digits()
    x, y = digits.train[:60], digits.train_labels[:60] % 4
    prepare = digits.preparing(digits.train)
    train = Batches(x, y, 20, prepare=prepare)
    problem = Problem(lambda: make(digest, **settings), train, Recipe(epochs=2))
    return problem, problem.network(problem.anchor(0))


def test_a_new_network_has_the_stored_backbone_and_a_new_head(digest):
    first, other = make(digest), make(digest)
    for name, tensor in first[0].state_dict().items():
        assert torch.equal(tensor, other[0].state_dict()[name]), name
    assert not torch.equal(first[1].weight, other[1].weight)
    stored = networks.stored(networks.weights_file("cnn", "digits"))
    assert torch.equal(first[0][0].weight, stored.params["0.0.weight"])


def test_the_head_alone_is_trained_and_batch_norm_keeps_its_statistics(digest):
    problem, network = trained(digest, head_only=True)
    fresh = make(digest, head_only=True)
    for name, tensor in network[0].state_dict().items():
        assert torch.equal(tensor, fresh[0].state_dict()[name]), name
    assert not torch.equal(network[1].weight, problem.build("anchor", 0)[1].weight)


def test_the_whole_network_is_trained(digest):
    problem, network = trained(digest)
    assert not torch.equal(network[0][0].weight, make(digest)[0][0].weight)
    assert "0.0.weight" in problem.inspection.stored
    assert "1.weight" not in problem.inspection.stored


@pytest.mark.parametrize("given", ["0123456789ab", ""])
def test_other_weights_are_refused_in_a_line(digest, given):
    with pytest.raises(InputError, match=r"has the digest .* and the plan asks for"):
        make(given)


def test_no_weights_say_how_they_are_made(digest):
    with pytest.raises(InputError, match=r"python -m research\.finetune pretrain vit-digits"):
        networks.fine_tuned(SHAPE, 4, backbone="vit", source="digits", digest=digest)


def test_a_file_of_no_network_is_not_taken(digest, tmp_path):
    line = Subspace((Weights.of(make(digest)), Weights.of(make(digest))))
    save(line, tmp_path / "line.safetensors")
    with pytest.raises(InputError, match="holds no network"):
        networks.stored(tmp_path / "line.safetensors")


def test_attention_is_that_of_torch():
    torch.manual_seed(0)
    block, x = networks.Block(12, 3).eval(), torch.randn(2, 5, 12)
    twin = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    twin.in_proj_weight.data, twin.in_proj_bias.data = block.qkv.weight.data, block.qkv.bias.data
    twin.out_proj.load_state_dict(block.out.state_dict())
    normed = block.norm1(x)
    mixed = x + twin(normed, normed, normed)[0]
    wide = torch.nn.functional.gelu(block.up(block.norm2(mixed)))
    torch.testing.assert_close(block(x), mixed + block.down(wide))


def test_an_unknown_pre_training_is_one_line(capsys):
    assert command.main(["pretrain", "cnn-cifar"]) == 2
    assert "cnn-cifar100" in capsys.readouterr().err


@pytest.mark.parametrize("task", TASKS)
def test_plans_are_read_and_are_code(task):
    plan = read_plan(STUDIES / f"{task}.toml")
    assert plan.protocol.reference >= 30 and plan.protocol.bases == 5 and not plan.trusted


def test_the_page_is_that_of_the_results():
    assert command.main(["page", "--check"]) == 0, "run python -m research.finetune page"
    assert page.PAGE.read_text().startswith("# Fine-tuning")
