"""Points: mixing, flattening, fitting to a module."""

import pytest
import torch

import cases
from thalweg.errors import InputError
from thalweg.weights.point import Weights, distance, flatten, mix


def points(n: int, dtype=torch.float64) -> list[Weights]:
    random = torch.Generator().manual_seed(0)
    return [
        Weights(
            {
                "a": torch.randn(3, 2, generator=random, dtype=dtype),
                "b": torch.randn(4, generator=random, dtype=dtype),
            }
        )
        for _ in range(n)
    ]


def test_mix_is_the_sum_of_products():
    first, second, third = points(3)
    found = mix([first, second, third], [0.2, -0.5, 1.3])
    for name in ("a", "b"):
        expected = 0.2 * first.params[name] - 0.5 * second.params[name] + 1.3 * third.params[name]
        assert torch.allclose(found.params[name], expected, rtol=0, atol=1e-14)


def test_nobody_trained_at_a_mixture():
    """So its buffers are not valid, and those of the first point are kept for what is no
    statistic.
    """
    first, second = (Weights.of(cases.Buffers(batchnorm=True)) for _ in range(2))
    found = mix([first, second], [1.0, 0.0])
    assert found.buffers is None and torch.equal(
        found.stale["frequencies"], first.buffers["frequencies"]
    )
    assert torch.equal(
        mix([found, second], [0.5, 0.5]).stale["frequencies"], first.buffers["frequencies"]
    )
    with pytest.raises(InputError, match="refresh first"):
        found.load_into(cases.Buffers(batchnorm=True))


def test_mix_needs_as_many_coefficients_as_points():
    with pytest.raises(InputError, match="got 2 coefficients for 3 points"):
        mix(points(3), [0.5, 0.5])


def test_distance_and_flatten():
    first, second = points(2)
    assert flatten(first.params).shape == (10,) and flatten(first.params).dtype == torch.float64
    expected = sum(float((first.params[n] - second.params[n]).square().sum()) for n in "ab") ** 0.5
    assert distance(first, second) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("network", cases.NETWORKS)
def test_weights_make_a_round_trip_through_a_module(network):
    first, second = cases.NETWORKS[network](), cases.NETWORKS[network]()
    x, _ = cases.held_out()
    Weights.of(first).load_into(second)
    assert torch.equal(first.eval()(x), second.eval()(x))
    third = cases.NETWORKS[network]()
    Weights.from_state(third, first.state_dict()).load_into(third)
    assert torch.equal(first(x), third.eval()(x))


def test_weights_are_a_copy():
    network = cases.conv_batchnorm()
    weights = Weights.of(network)
    network(cases.task()[0])
    with torch.no_grad():
        network[0].weight.zero_()
    assert (
        weights.params["0.weight"].abs().sum() > 0 and weights.buffers["1.num_batches_tracked"] == 0
    )


def test_weights_are_placed_as_a_network_has_them():
    """Types and memory order are the network's; parameters that have them already are the same
    tensors, buffers are copies.
    """
    network = cases.conv_batchnorm().to(memory_format=torch.channels_last)
    other = Weights.of(cases.conv_batchnorm().double())
    own = dict([*network.named_parameters(), *network.named_buffers()])
    placed = other.placed(network)
    assert set(placed) == set(own) and not any(t.requires_grad for t in placed.values())
    for name, t in placed.items():
        given = {**other.params, **other.buffers}[name]
        assert (t.dtype, t.stride(), t.shape) == (
            own[name].dtype,
            own[name].stride(),
            own[name].shape,
        )
        assert torch.equal(t, given.to(t.dtype))
    again = Weights.of(network)
    found = again.placed(network)
    assert all(found[name].data_ptr() == p.data_ptr() for name, p in again.params.items())
    assert all(
        torch.equal(found[n], b) and found[n].data_ptr() != b.data_ptr()
        for n, b in again.buffers.items()
    )
    with pytest.raises(InputError, match="batch-norm statistics"):
        mix([again], [1.0]).placed(network)


def test_to_a_device_keeps_what_is_missing_missing():
    found = mix(points(2), [0.5, 0.5]).to("cpu")
    assert found.buffers is None and found.stale is None


def state(**changes):
    return {
        key: value
        for key, value in {**cases.no_norm().state_dict(), **changes}.items()
        if value is not None
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"1.weight": None}, "missing '1.weight'"),
        ({"extra": torch.zeros(1)}, "unexpected 'extra'"),
        (
            {"1.weight": torch.zeros(5, 5)},
            r"'1.weight' has shape \(5, 5\), the model needs \(8, 36\)",
        ),
        ({"1.weight": "text"}, "'1.weight' is a str, needs a tensor"),
    ],
)
def test_a_state_that_does_not_fit(given, message):
    with pytest.raises(InputError, match=message) as caught:
        Weights.from_state(cases.no_norm(), state(**given))
    assert "\n" not in str(caught.value)


class Extra(torch.nn.Linear):
    def get_extra_state(self):
        return {"version": 2}

    def set_extra_state(self, state):
        """Nothing to do."""


def test_extra_state_that_is_no_tensor_is_left_alone():
    module = Extra(3, 2)
    assert set(Weights.from_state(module, module.state_dict()).params) == {"weight", "bias"}
