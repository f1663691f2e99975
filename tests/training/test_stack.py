"""Stacks: in double precision they equal separate trainings, and nothing of one member reaches
another.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn

import cases
import contract
from thalweg.data import Augmentation
from thalweg.errors import InputError
from thalweg.models.mlp import mlp
from thalweg.models.resnet import resnet
from thalweg.training.anchors import train_anchors
from thalweg.training.batches import Batches
from thalweg.training.execution import Execution
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.training.stack import Stack, summed
from thalweg.training.stacked_batches import StackedBatches
from thalweg.weights.point import Weights

STACKABLE = ["groupnorm", "layernorm", "no-norm", "tied", "frozen", "buffers", "buffers-batchnorm"]
NETWORKS = {
    **{name: cases.NETWORKS[name] for name in STACKABLE},
    "mlp": lambda: mlp((1, 6, 6), cases.CLASSES, hidden=(8,)),
    "cnn": lambda: nn.Sequential(
        *(m for m in cases.conv_batchnorm() if not isinstance(m, nn.Dropout))
    ),
    "resnet": lambda: resnet((1, 6, 6), cases.CLASSES, depth=8, width=2),
}


def double(network: str, **settings) -> Problem:
    x, y = cases.task()
    batches = Batches(x.double(), y, 16, augment=Augmentation(padding=1))
    return Problem(
        lambda: NETWORKS[network]().double(),
        batches,
        **{"recipe": Recipe(epochs=2.5, lr=0.05), **settings},
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_stack_equals_separate_trainings(network, optimizer):
    """Each member with its own initialisation, order and augmentation; batch-norm statistics
    too.
    """
    recipe = Recipe(
        epochs=2.5,
        lr=0.05 if optimizer == "sgd" else 1e-3,
        optimizer=optimizer,
        label_smoothing=0.1,
        warmup=0.2,
    )
    alone, stacked = (
        double(network, recipe=recipe),
        double(network, recipe=recipe, execution=Execution(stack=3)),
    )
    for one, other in zip(train_anchors(alone, 3), train_anchors(stacked, 3), strict=True):
        for part in ("params", "buffers"):
            mine, theirs = getattr(other, part), getattr(one, part)
            assert set(mine) == set(theirs)
            for name, tensor in theirs.items():
                assert mine[name].dtype == tensor.dtype
                assert torch.allclose(mine[name].double(), tensor.double(), rtol=0, atol=1e-9), name
    assert (
        alone.cost.backward_examples == stacked.cost.backward_examples
        and stacked.cost.trainings == 3
    )


@pytest.mark.parametrize("clip", [0.3, 1.0])
def test_each_members_gradient_is_clipped_by_its_own_norm(clip):
    recipe = Recipe(
        epochs=2, lr=0.05, clip=clip
    )  # most gradients are clipped by the one, some by the other
    alone, stacked = (
        train_anchors(double("resnet", recipe=recipe), 3),
        train_anchors(double("resnet", recipe=recipe, execution=Execution(stack=3)), 3),
    )
    for one, other in zip(alone, stacked, strict=True):
        assert all(
            torch.allclose(other.params[n], p, rtol=0, atol=1e-9) for n, p in one.params.items()
        )
    free = train_anchors(double("resnet", recipe=replace(recipe, clip=None)), 1)[0]
    assert any(not torch.allclose(free.params[n], p, atol=1e-6) for n, p in alone[0].params.items())


def test_where_every_member_has_data_of_its_own():
    """A bootstrap of the training set: there is nothing to share."""
    settings = {"sources": ("init", "order", "augmentation", "data")}
    alone, stacked = (
        train_anchors(double("mlp", **settings), 2),
        train_anchors(double("mlp", execution=Execution(stack=2), **settings), 2),
    )
    for one, other in zip(alone, stacked, strict=True):
        assert all(
            torch.allclose(other.params[n], p, rtol=0, atol=1e-9) for n, p in one.params.items()
        )


def test_a_loss_of_the_users_own():
    def loss(outputs, targets):
        return nn.functional.multi_margin_loss(outputs, targets) + outputs.square().mean().sqrt()

    alone, stacked = (
        train_anchors(double("mlp", loss=loss), 2),
        train_anchors(double("mlp", loss=loss, execution=Execution(stack=2)), 2),
    )
    for one, other in zip(alone, stacked, strict=True):
        assert all(
            torch.allclose(other.params[n], p, rtol=0, atol=1e-9) for n, p in one.params.items()
        )


def test_shapes_and_the_members_weights():
    networks = [cases.groupnorm() for _ in range(3)]
    stack = Stack(networks)
    x = torch.randn(3, 5, 1, 6, 6)
    outputs = stack(x)
    assert outputs.shape == (3, 5, cases.CLASSES)
    for network, own, images in zip(networks, outputs, x, strict=True):
        assert torch.allclose(own, network(images), atol=1e-6)
    for network, member in zip(networks, stack.members(), strict=True):
        assert all(torch.equal(p, member.params[n]) for n, p in Weights.of(network).params.items())


class Counts(nn.Module):
    """Its buffers: one is changed in place, one is made anew at every call, one is a whole number,
    one is nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(36, cases.CLASSES)
        self.register_buffer("seen", torch.zeros(36))
        self.register_buffer("largest", torch.zeros(()))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("nothing", None)

    def forward(self, x):
        x = x.flatten(1)
        self.seen += x.detach().sum(0)
        self.largest = torch.maximum(self.largest, x.detach().amax())
        self.calls = self.calls + 1
        return self.layer(x)


def test_buffers_of_all_kinds_are_kept():
    networks = [Counts() for _ in range(3)]
    stack = Stack(networks)
    for _ in range(2):
        x = torch.randn(3, 5, 1, 6, 6)
        stack(x)
        for network, images in zip(networks, x, strict=True):
            network(images)
    for network, member in zip(networks, stack.members(), strict=True):
        expected = Weights.of(network)
        assert set(member.buffers) == set(expected.buffers) == {"seen", "largest", "calls"}
        assert (
            all(torch.allclose(member.buffers[n], b) for n, b in expected.buffers.items())
            and member.buffers["calls"] == 2
        )


def test_it_is_a_module_like_any_other():
    """Names, devices and types are those of a network, with the members as a first axis; the
    networks given stay as they were.
    """
    networks = [cases.NETWORKS["conv-batchnorm"]() for _ in range(2)]
    before = [Weights.of(network) for network in networks]
    stack = Stack(networks)
    own = {name.removeprefix("network."): tuple(p.shape) for name, p in stack.named_parameters()}
    assert own == {name: (2, *p.shape) for name, p in networks[0].named_parameters()}
    assert stack(torch.randn(2, 5, 1, 6, 6)).requires_grad
    assert stack.double()(torch.randn(2, 5, 1, 6, 6, dtype=torch.float64)).dtype == torch.float64
    for network, weights in zip(networks, before, strict=True):
        assert all(torch.equal(p, weights.params[n]) for n, p in network.named_parameters())
        assert all(torch.equal(b, weights.buffers[n]) for n, b in network.named_buffers())


def test_dropout_is_drawn_for_each_member_and_leaves_the_callers_random_state():
    stack = Stack([nn.Dropout(0.5)] * 3)
    first, second, third = stack(torch.ones(3, 400))
    assert (
        not torch.equal(first, second)
        and not torch.equal(second, third)
        and 100 < int((first == 0).sum()) < 300
    )
    before = contract.states()
    found = train_anchors(cases.problem("conv-batchnorm", execution=Execution(stack=2)), 2)
    contract.assert_states(before)
    torch.rand(3)
    again = train_anchors(cases.problem("conv-batchnorm", execution=Execution(stack=2)), 2)
    assert all(
        torch.equal(a.params[n], p)
        for a, b in zip(found, again, strict=True)
        for n, p in b.params.items()
    )


def test_the_loss_is_a_sum_over_members():
    outputs, targets = torch.randn(4, 6, 3, dtype=torch.float64), torch.randint(0, 3, (4, 6))
    expected = sum(nn.functional.cross_entropy(o, t) for o, t in zip(outputs, targets, strict=True))
    for is_mean in (False, True):
        found = summed(nn.functional.cross_entropy, is_mean=is_mean)(outputs, targets)
        assert torch.allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "augment",
    [None, Augmentation(padding=1), lambda x, random: x + torch.rand(1, generator=random)],
)
def test_batches_are_those_of_the_members(augment):
    x, y = cases.task()
    members = tuple(
        Batches(
            x,
            y,
            16,
            prepare=lambda x: 2 * x,
            augment=augment,
            order_seed=k,
            augmentation_seed=10 + k,
        )
        for k in range(3)
    )
    stacked = list(StackedBatches(members).epoch(1))
    assert len(stacked) == len(StackedBatches(members)) == 6 and stacked[-1][0].shape[:2] == (
        3,
        95 - 5 * 16,
    )
    for k, member in enumerate(members):
        for (inputs, labels), (own, own_labels) in zip(stacked, member.epoch(1), strict=True):
            assert torch.equal(inputs[k], own) and torch.equal(labels[k], own_labels)


class Branches(nn.Module):
    """What it does depends on a value: there is no such thing for several members at once."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(36, cases.CLASSES)

    def forward(self, x):
        out = self.layer(x.flatten(1))
        return out * 2 if out.sum() > 0 else out


def test_networks_and_settings_that_cannot_be_stacked():
    with pytest.raises(InputError, match=r"can't be stacked .* set stack = 1"):
        train_anchors(
            Problem(Branches, cases.batches(), cases.RECIPE, execution=Execution(stack=2)), 2
        )
    with pytest.raises(InputError, match="momentum=None"):
        Stack([nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, momentum=None))])
    with pytest.raises(InputError, match="got no network"):
        Stack([])
    with pytest.raises(
        InputError, match=r"differ in '1.bias' \(shape \(8,\) and shape \(9,\)\), .* set stack = 1"
    ):
        Stack([mlp((1, 6, 6), 3, hidden=(width,)) for width in (8, 9)])
    with pytest.raises(
        InputError, match=r"differ in '0.bias' \(shape \(6,\), not trained and shape \(6,\)\)"
    ):
        Stack([cases.frozen(), cases.frozen().requires_grad_(True)])
    with pytest.raises(InputError, match="a loader of your own can't be stacked"):
        train_anchors(cases.problem("no-norm", "tuples", execution=Execution(stack=2)), 2)
