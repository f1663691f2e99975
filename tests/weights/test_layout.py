"""Parameters as one vector: the way there and back, in every memory order."""

import pytest
import torch
from torch import nn

import cases
from thalweg.weights.layout import Layout
from thalweg.weights.leaves import Leaves


def params(*, last: bool) -> dict[str, torch.Tensor]:
    """Convolutions of several and of one channel, of kernels of 3 x 3 and of one pixel; a matrix, a
    transposed one, vectors.
    """
    random = torch.Generator().manual_seed(0)
    shapes = {
        "norm": (5,),
        "conv": (4, 3, 3, 2),
        "bias": (4,),
        "gray": (4, 1, 3, 3),
        "pixel": (4, 6, 1, 1),
        "both": (4, 1, 1, 1),
        "lone": (),
        "matrix": (2, 7),
        "cube": (2, 3, 4),
        "solid": (2, 1, 2, 2, 2),
    }
    found = {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}
    found["turned"] = torch.randn(3, 5, generator=random).T
    if last:
        found = {
            name: p.to(memory_format=torch.channels_last) if p.dim() == 4 else p
            for name, p in found.items()
        }
    return found


def back(layout: Layout, vector: torch.Tensor) -> dict[str, torch.Tensor]:
    return layout.shaped(vector.split(layout.sizes))


@pytest.mark.parametrize("last", [False, True])
def test_there_and_back(last):
    given = params(last=last)
    layout = Layout.of(given)
    vector = layout.flatten(given)
    assert vector.shape == (sum(p.numel() for p in given.values()),)
    found = back(layout, vector)
    assert set(found) == set(given)
    for name, p in given.items():
        assert torch.equal(found[name], p) and found[name].shape == p.shape
        assert found[name].untyped_storage().data_ptr() == vector.untyped_storage().data_ptr(), (
            "a view, no copy"
        )
        if p.dim() == 4:
            assert found[name].stride() == p.stride(), "in the memory order that it had"
    vector.zero_()
    assert not any(p.any() for p in found.values())


@pytest.mark.parametrize("last", [False, True])
def test_the_vector_has_the_order_of_memory(last):
    given = {"conv": params(last=last)["conv"]}
    vector = Layout.of(given).flatten(given)
    assert torch.equal(vector, given["conv"].as_strided((vector.numel(),), (1,)))
    assert torch.equal(vector, given["conv"].flatten()) != last


def test_one_channel_and_one_pixel_laid_out_by_hand():
    """Torch calls these tensors channels-last and not, both: every possible stride must come
    back.
    """
    for shape in ((4, 1, 3, 3), (4, 6, 1, 1), (4, 1, 1, 1), (1, 3, 2, 2), (1, 1, 1, 1)):
        outputs, inputs, height, width = shape
        numbers = torch.arange(outputs * inputs * height * width, dtype=torch.float32)
        for p in (
            numbers.view(shape),
            numbers.view(outputs, height, width, inputs).permute(0, 3, 1, 2),
        ):
            layout = Layout.of({"w": p})
            found = back(layout, layout.flatten({"w": p}))["w"]
            assert torch.equal(found, p) and found.stride() == p.stride(), shape
            other = p.clone(memory_format=torch.contiguous_format)
            assert torch.equal(back(layout, layout.flatten({"w": other}))["w"], p), (
                "another point may be laid out differently"
            )


def test_matrices_come_first_in_the_order_given():
    layout = Layout.of(params(last=True))
    assert layout.names == (
        "conv",
        "gray",
        "pixel",
        "both",
        "matrix",
        "cube",
        "solid",
        "turned",
        "norm",
        "bias",
        "lone",
    )
    assert layout.matrices == sum(p.numel() for p in params(last=True).values() if p.dim() > 1)
    assert sum(layout.sizes[:8]) == layout.matrices and layout.sizes[8:] == [5, 4, 1]
    given = params(last=True)
    kept = back(layout, layout.flatten(given)[: layout.matrices].new_zeros(sum(layout.sizes)))
    assert set(kept) == set(given)
    vector = layout.flatten(given)
    vector[: layout.matrices] = 0
    assert all(bool(p.any()) == (p.dim() < 2) for p in back(layout, vector).values())


def test_mixed_types_take_the_widest_and_come_back():
    given = params(last=True)
    given["matrix"], given["bias"] = given["matrix"].double(), given["bias"].bfloat16()
    layout = Layout.of(given)
    vector = layout.flatten(given)
    assert vector.dtype == torch.float64
    found = back(layout, vector)
    assert all(
        found[name].dtype == p.dtype and torch.equal(found[name], p) for name, p in given.items()
    )


def test_a_vector_is_written_where_it_is_wanted():
    given = params(last=True)
    layout = Layout.of(given)
    rows = torch.zeros(2, sum(layout.sizes))
    assert (
        layout.join([given[name] for name in layout.names], out=rows[1]).data_ptr()
        == rows[1].data_ptr()
    )
    assert torch.equal(rows[1], layout.flatten(given)) and not rows[0].any()


def test_a_vector_is_a_copy_without_history():
    given = {"w": nn.Parameter(torch.ones(2, 2))}
    vector = Layout.of(given).flatten(given)
    vector.zero_()
    assert not vector.requires_grad and bool(given["w"].all())


@pytest.mark.parametrize("last", [False, True])
def test_leaves_are_set_as_vectors_and_give_their_gradients_as_vectors(last):
    torch.manual_seed(0)
    network, twin = (cases.groupnorm().double() for _ in range(2))
    if last:
        network = network.to(memory_format=torch.channels_last)
    names = dict(network.named_parameters())
    layout = Layout.of(names)
    leaves = Leaves(network, layout, 2)
    assert torch.equal(leaves.points[0], leaves.points[1]) and torch.equal(
        leaves.points[0], layout.flatten(names)
    )
    leaves.points.normal_()
    x, y = cases.task(12)
    seen = []
    for number in leaves.each():
        outputs = network(x.double())
        nn.functional.cross_entropy(outputs, y).backward()
        seen.append((number, outputs.detach()))
    assert leaves.collect()
    assert not leaves.collect() and not leaves.gradients.any(), "they are taken once"
    assert [number for number, _ in seen] == [0, 1]
    for number, outputs in seen:
        twin.load_state_dict(back(layout, leaves.points[number]))
        assert torch.allclose(twin(x.double()), outputs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("last", [False, True])
def test_gradients_of_leaves_equal_those_of_a_network_of_its_own(last):
    network, twin = (cases.groupnorm().double() for _ in range(2))
    if last:
        network = network.to(memory_format=torch.channels_last)
    layout = Layout.of(dict(network.named_parameters()))
    leaves = Leaves(network, layout, 3)
    torch.manual_seed(1)
    leaves.points.normal_()
    x, y = cases.task(12)
    sum(nn.functional.cross_entropy(network(x.double()), y) for _ in leaves.each()).backward()
    assert leaves.collect()
    for point, gradient in zip(leaves.points, leaves.gradients, strict=True):
        twin.load_state_dict(back(layout, point))
        twin.zero_grad()
        nn.functional.cross_entropy(twin(x.double()), y).backward()
        for name, p in back(layout, gradient).items():
            assert torch.allclose(
                p, dict(twin.named_parameters())[name].grad, rtol=0, atol=1e-10
            ), name
