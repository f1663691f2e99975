"""The centre: the mean of retrainings, against closed forms and what was made up."""

import pytest
import torch
from torch import Tensor

from thalweg.atlas.centre import Calibration, average_weight, pooled, powered, sharpness
from thalweg.atlas.draws import logit_normal
from thalweg.outputs import Classes, Values
from thalweg.seeds import generator


def probabilities(inputs: int = 200, classes: int = 4) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return (2 * torch.randn(inputs, classes, generator=random, dtype=torch.float64)).softmax(1)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.7, 3.0])
def test_a_known_power_of_the_copies_is_found(power):
    whole = probabilities()
    copies = powered(whole, 1 / power)
    found = Calibration.of(Classes(), whole, copies, 0.0)
    assert found.power == pytest.approx(power, rel=1e-4)
    assert torch.allclose(found(copies), whole, atol=1e-5)


def test_errors_of_the_whole_network_leave_the_power():
    """They know nothing of the copies."""
    mean = probabilities(5000)
    noise = torch.randn(9, *mean.shape, generator=generator(1, "test"), dtype=torch.float64)
    whole = logit_normal(mean, torch.full((5000,), 0.05, dtype=torch.float64), noise)[0].exp()
    found = Calibration.of(Classes(), whole, powered(mean, 1 / 1.5), 0.0)
    assert found.power == pytest.approx(1.5, rel=0.03)


@pytest.mark.parametrize("slope", [0.5, 2.0])
def test_of_values_it_is_a_slope_about_the_copies_mean(slope):
    random = torch.Generator().manual_seed(0)
    copies = 7 + torch.randn(300, 2, generator=random, dtype=torch.float64)
    whole = copies.mean(0) + slope * (copies - copies.mean(0))
    found = Calibration.of(Values(), whole, copies, 0.0)
    assert found.power == pytest.approx(slope, rel=1e-4)
    assert torch.allclose(found(copies), whole, atol=1e-3)
    assert torch.allclose(found(copies.mean(0)), copies.mean(0))


def test_no_u_leaves_the_network_as_it_is():
    mean = probabilities()
    assert sharpness(mean, torch.zeros(200, dtype=torch.float64)) == pytest.approx(1, abs=1e-3)


def test_the_more_u_the_flatter():
    mean = probabilities()
    found = [sharpness(mean, torch.full((200,), u).double()) for u in (0.0, 0.1, 0.2, 0.3)]
    assert found == sorted(found, reverse=True) and found[-1] < 0.9


def test_sharpness_is_that_of_a_search_over_a_grid():
    """Its twin in plain loops: the power that leads networks back to the mean that they were drawn
    about, which is the centre with the power before.
    """
    centre, u = probabilities(60, 3), torch.full((60,), 0.25, dtype=torch.float64)
    noise = torch.randn(8, 60, 3, generator=generator(0, "atlas", "power"), dtype=torch.float64)
    power = 1.0
    for _ in range(2):
        mean = (power * centre.log()).softmax(1)
        single = logit_normal(mean, u, noise)
        errors = {}
        for tried in torch.linspace(0.5, 1.1, 601).tolist():
            total = 0.0
            for draw in single:
                total += float(((tried * draw).softmax(1) - mean).square().sum())
            errors[tried] = total
        power = min(errors, key=errors.__getitem__)
    assert sharpness(centre, u) == pytest.approx(power, abs=2e-3)
    assert sharpness(centre, u) == sharpness(centre, u)


def test_many_inputs_are_simulated_on_some():
    mean, u = probabilities(2000), torch.full((2000,), 0.2, dtype=torch.float64)
    assert sharpness(mean, u) == sharpness(mean[::4], u[::4])


def test_powered_is_softmax_of_scaled_logarithms():
    p = torch.tensor([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]], dtype=torch.float64)
    expected = p.square() / p.square().sum(1, keepdim=True)
    assert torch.allclose(powered(p, 2.0), expected)
    assert torch.allclose(powered(p, 1.0), p, atol=1e-11)


def test_the_pool_is_a_geometric_mean():
    first, second = probabilities()[:50], probabilities()[50:100]
    for weight in (0.0, 0.3, 1.0):
        product = first ** (1 - weight) * second**weight
        expected = product / product.sum(1, keepdim=True)
        assert torch.allclose(pooled(first, second, weight), expected)


def test_a_power_that_errors_alone_would_make_is_shrunk():
    whole = probabilities()
    copies = powered(whole, 1 / 1.1)
    change = float((whole - copies).square().sum(1).mean())
    powers = [Calibration.of(Classes(), whole, copies, own * change).power for own in (0, 10, 100)]
    assert powers[0] == pytest.approx(1.1, rel=1e-3)
    assert powers[1] == pytest.approx(1.1**0.5, rel=1e-3)
    assert powers[2] == 1


ALIKE = torch.full((100,), 0.5, dtype=torch.float64)


def test_without_bias_half_of_all_weight_is_on_the_averages():
    """Differences of many networks that are 0 in the mean: the best weight is 1."""
    random = torch.Generator().manual_seed(0)
    apart = torch.randn(4, 100, 3, generator=random, dtype=torch.float64)
    apart -= apart.mean(0)
    weight, gained = average_weight(apart, 4, ALIKE)
    assert weight == 0.5
    assert gained == pytest.approx(0.75 * float(apart.var(0).sum(-1).mean()) / 0.25)


def test_without_scatter_there_is_no_weight():
    apart = torch.ones(3, 100, 2, dtype=torch.float64)
    assert average_weight(apart, 3, ALIKE) == (0, 0)
    assert average_weight(torch.zeros(3, 100, 2), 3, ALIKE) == (0, 0)


@pytest.mark.parametrize("networks", [1.0, 2.5, 10.0])
def test_the_weight_is_half_of_that_with_the_least_error(networks):
    """Of n networks V / n - w (2 - w) D / n + w^2 b^2, whatever V."""
    random = torch.Generator().manual_seed(0)
    scatter = torch.randn(5, 4000, 2, generator=random, dtype=torch.float64)
    bias = 0.5 * torch.randn(4000, 2, generator=random, dtype=torch.float64)
    weight, gained = average_weight(scatter + bias, networks, ALIKE[:1].expand(4000))
    d, b2 = 2.0, 2 * 0.25

    def error(w: float) -> float:
        return -w * (2 - w) * d / networks + w * w * b2

    grid = torch.linspace(0, 1, 1001).tolist()
    assert 2 * weight == pytest.approx(min(grid, key=error), abs=0.02)
    assert gained == pytest.approx(max(0.0, -networks * error(weight)) / 0.25, rel=0.05)


def test_inputs_count_in_units_of_their_u():
    """A bias where u is small takes the weight away."""
    random = torch.Generator().manual_seed(0)
    u = torch.cat([torch.full((100,), 1.0), torch.full((100,), 0.01)]).double()
    apart = u[:, None] * torch.randn(4, 200, 2, generator=random, dtype=torch.float64)
    apart -= apart.mean(0)
    biased = apart.clone()
    biased[:, 100:] += 0.3
    before, after = (average_weight(own, 4, u)[0] for own in (apart, biased))
    plain = average_weight(biased, 4, torch.ones(200, dtype=torch.float64))[0]
    assert after < 0.4 and before == plain == 0.5


def test_of_one_network_the_share_of_the_bias_is_that_of_other_tasks():
    apart = torch.full((1, 100, 1), 0.4, dtype=torch.float64)
    weight, gained = average_weight(apart, 2, ALIKE)
    scatter, bias = 0.16 / 1.6, 0.16 * 0.6 / 1.6
    assert weight == pytest.approx(scatter / (scatter + 2 * bias) / 2)
    left = weight * (2 - weight) * scatter - 2 * weight**2 * bias
    assert gained == pytest.approx(left / 0.25)
