"""Mixed precision in a stack: what autocast does to a network outside of vmap, it does to every
member.
"""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import cases
from thalweg.models.resnet9 import resnet9
from thalweg.training.anchors import train_anchors
from thalweg.training.execution import Execution
from thalweg.training.mixed import mixed_inside_vmap
from thalweg.training.recipe import Recipe
from thalweg.training.stack import Stack

BFLOAT16 = torch.bfloat16


class Types(TorchDispatchMode):
    """Keeps the types of the results of what is computed, by its name."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        first = next(
            (t for t in (found if isinstance(found, tuple) else (found,)) if t is not None), None
        )
        if isinstance(first, torch.Tensor):
            self.seen.setdefault(func.overloadpacket.__name__, set()).add(first.dtype)
        return found


def stacked(networks, x):
    with torch.autocast("cpu", BFLOAT16):
        return Stack(networks)(x)


def test_products_are_taken_in_the_lower_precision():
    networks = [resnet9((3, 32, 32), 10, width=2) for _ in range(2)]
    with Types() as types:
        stacked(networks, torch.randn(2, 2, 3, 32, 32)).float().sum().backward()
    assert (
        types.seen["convolution"]
        == types.seen["convolution_backward"]
        == types.seen["bmm"]
        == {BFLOAT16}
    )
    assert types.seen["native_batch_norm"] == {torch.float32} and types.seen["relu"] == {
        BFLOAT16
    }, "activations are stored so"


class Without(nn.Module):
    """No bias between a product and the batch norm after it."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(5, 6, bias=False),
            nn.BatchNorm1d(6),
            nn.LayerNorm(6),
            nn.ReLU(),
            nn.Linear(6, 3),
        )
        self.last = nn.Parameter(torch.randn(3, 3))

    def forward(self, x):
        return torch.einsum("bi,ij->bj", self.layers(x) @ self.last, self.last)


def test_outputs_statistics_and_gradients_are_those_of_autocast():
    networks = [Without() for _ in range(3)]
    stack, x = Stack(networks), torch.randn(3, 40, 5)
    with torch.autocast("cpu", BFLOAT16):
        outputs = stack(x)
        alone = [network(own) for network, own in zip(networks, x, strict=True)]
    assert outputs.dtype == alone[0].dtype == BFLOAT16
    outputs.float().square().sum().backward()
    for k, own in enumerate(alone):
        assert torch.allclose(outputs[k], own, rtol=0.05, atol=0.05)
        own.float().square().sum().backward()
        for (name, p), all_p in zip(
            networks[k].named_parameters(), stack.parameters(), strict=True
        ):
            assert all_p.dtype == all_p.grad.dtype == torch.float32
            assert torch.allclose(
                all_p.grad[k], p.grad, rtol=0.05, atol=0.05 * float(p.grad.abs().max())
            ), name
        for name, b in networks[k].named_buffers():
            assert torch.allclose(
                stack.members()[k].buffers[name].double(), b.double(), rtol=0.02, atol=0.02
            ), name


def test_single_precision_where_autocast_is_off():
    """Also where it is off inside of it: nothing changes."""
    networks = [Without() for _ in range(2)]
    x = torch.randn(2, 8, 5)
    assert (
        torch.equal(Stack(networks)(x), Stack(networks)(x))
        and Stack(networks)(x).dtype == torch.float32
    )
    with torch.autocast("cpu", BFLOAT16), torch.autocast("cpu", enabled=False):
        assert Stack(networks)(x).dtype == torch.float32
    with torch.autocast("cpu", BFLOAT16), mixed_inside_vmap("cpu"):
        assert not torch.is_autocast_enabled("cpu")


def test_a_stack_learns_in_mixed_precision_what_single_members_learn():
    x, y = cases.held_out()
    recipe = Recipe(epochs=5, lr=0.1, precision="bfloat16")
    problem = cases.problem("frozen", recipe=recipe, execution=Execution(stack=3))
    for weights in train_anchors(problem, 3):
        assert all(p.dtype == torch.float32 for p in weights.params.values())
        network = problem.network(weights).eval()
        assert float((network(x).argmax(1) == y).float().mean()) > 0.9


@pytest.mark.parametrize("network", cases.NETWORKS)
def test_networks_of_all_kinds(network):
    found = stacked([cases.NETWORKS[network]() for _ in range(2)], torch.randn(2, 5, 1, 6, 6))
    assert found.shape == (2, 5, cases.CLASSES) and found.float().isfinite().all()
