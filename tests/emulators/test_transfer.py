"""Transfer: readings on made-up networks, by hand."""

import math
import statistics

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

import cases
from thalweg.emulators.scale import Group
from thalweg.emulators.transfer import (
    EXAMPLES,
    LIMITS,
    Portrait,
    Reading,
    Transfer,
    portrait,
    transfer,
)
from thalweg.training.batches import Batches
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe
from thalweg.weights.point import Weights

INPUTS = 3000


def probabilities(
    members: int, *, seed: int, scale: float = 1.0, sharper: float = 1.0, shift: float = 0.0
) -> Tensor:
    """Networks of one mean, whose logits vary."""
    random = [torch.Generator().manual_seed(s) for s in (100, seed)]
    mean = 3 * torch.randn(INPUTS, 4, generator=random[0], dtype=torch.float64)
    bias = shift * torch.randn(INPUTS, 4, generator=random[1], dtype=torch.float64)
    own = scale * torch.randn(members, INPUTS, 4, generator=random[1], dtype=torch.float64)
    return torch.log_softmax(sharper * (mean + bias + own), -1).exp()


def group(own: Tensor, proxies: Tensor, share: float = 1.0) -> Group:
    return Group(torch.cat([own, proxies]), len(own), share)


def checked(
    own: Tensor, proxies: Tensor, share: float = 1.0, portraits: list[Portrait] | None = None
) -> dict[str, Reading]:
    found = transfer(
        group(own, proxies, share), portraits or [Portrait(0.0, 0.0)] * (len(own) + len(proxies))
    )
    assert found is not None
    return {reading.name: reading for reading in found.readings}


def test_networks_of_one_recipe_are_alike():
    found = checked(probabilities(1, seed=1), probabilities(4, seed=2))
    assert list(found) == ["impurity", "overconfidence", "weights", "centre"]
    for name, reading in found.items():
        assert reading.holds and reading.low < reading.ratio < reading.high, name
        assert reading.ratio == pytest.approx(1, abs=0.1), name


@pytest.mark.parametrize("proxies", [1, 2, 3, 10])
def test_a_network_that_is_less_sure_is_noticed_by_any_number_of_proxies(proxies):
    others = probabilities(proxies, seed=2)
    alike, softer, sharper = (
        checked(probabilities(1, seed=1, sharper=s), others) for s in (1.05, 0.5, 8.0)
    )
    assert alike["impurity"].holds
    assert not softer["impurity"].holds and softer["impurity"].ratio > 1.5
    assert not sharper["impurity"].holds and sharper["impurity"].ratio < 0.25
    assert ("centre" in alike) == (proxies > 1)


def test_a_centre_that_is_biased_is_no_sign():
    """The proxies' mean is off by a deviation and more, and the network no surer or less sure than
    they are.
    """
    found = checked(probabilities(1, seed=1), probabilities(4, seed=2, shift=1.3))
    assert found["centre"].ratio > 1.3
    assert all(reading.holds for name, reading in found.items() if name != "impurity")
    far = checked(probabilities(1, seed=1), probabilities(4, seed=2, scale=0.1, shift=6.0))
    assert not far["centre"].holds


@pytest.mark.parametrize(
    ("proxies", "values"), [(1, [0.3]), (2, [0.3, 0.34]), (4, [0.3, 0.35, 0.2, 0.4])]
)
def test_intervals_by_hand(proxies, values):
    """The usual deviation counts as four differences beside those of the proxies."""
    portraits = [Portrait(0.5, math.nan), *(Portrait(value, math.nan) for value in values)]
    found = checked(probabilities(1, seed=1), probabilities(proxies, seed=2), 0.25, portraits)
    assert "weights" not in found
    reading, squares = (
        found["overconfidence"],
        statistics.variance(values) * (proxies - 1) if proxies > 1 else 0.0,
    )
    deviation = math.sqrt((4 * LIMITS["overconfidence"].usual ** 2 + squares) / (4 + proxies - 1))
    reach = stats.t.ppf(0.975, 4 + proxies - 1) * deviation * math.sqrt(1 + 1 / proxies)
    assert math.log(reading.ratio) == pytest.approx(0.5 - statistics.fmean(values))
    assert [
        math.log(reading.ratio / reading.low),
        math.log(reading.high / reading.ratio),
    ] == pytest.approx([reach, reach])
    limits = LIMITS["overconfidence"]
    assert (math.log(reading.least), math.log(reading.most)) == pytest.approx(
        (2 * limits.least, limits.most)
    )


def test_what_it_says():
    off, fine = (
        Reading("weights", 0.5, 0.4, 0.6, 0.8, 1.1),
        Reading("overconfidence", 1.0, 0.9, 1.1, 0.8, 1.1),
    )
    assert Transfer((fine,)).holds and str(Transfer((fine,))).endswith(
        "overconfidence 1.00 (0.90 to 1.10; 0.80 to 1.10 is usual): no sign that they are unlike"
    )
    found = Transfer((fine, off))
    assert found.off == (off,) and not found.holds
    text = str(found)
    assert (
        "its weights grew less (0.50 times theirs); do not trust the scale of u. See first that "
        "the network was" in text
    )
    assert (
        text.index("it, too: rate and schedule") < text.index("larger width_ratio")
        and "\n" not in text
    )


def test_without_a_proxy_there_is_nothing_to_compare():
    assert transfer(Group(probabilities(2, seed=1), 2, 1.0), [Portrait(0.0, 0.0)] * 2) is None


def test_a_portrait_by_hand():
    x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), torch.tensor([0, 1, 1])
    given = Problem(lambda: nn.Linear(2, 2), Batches(x, y, 2), Recipe(epochs=1))
    first = given.build("growth").weight.detach()
    weights = Weights(
        {"weight": torch.tensor([[1.0, -1.0], [0.0, 2.0]]), "bias": torch.zeros(2)}, {}
    )
    log_probs = torch.log_softmax(x @ weights.params["weight"].T, -1)
    loss = -(log_probs[0, 0] + log_probs[1, 1] + log_probs[2, 1]) / 3
    impurity = (1 - log_probs.exp().square().sum(1)).mean()
    found = portrait(given, weights, given.training_part(EXAMPLES))
    assert found.overconfidence == pytest.approx(
        math.log((loss + 1e-3) / (impurity + 1e-3)), rel=1e-5
    )
    assert found.weights == pytest.approx(
        math.log(math.sqrt(6 / 4) / first.square().mean().sqrt()), rel=1e-5
    )
    assert given.cost.forward_examples == 3 and given.cost.backward_examples == 0


def test_a_portrait_leaves_out_what_is_not_trained_or_begins_at_nothing():
    def model() -> nn.Module:
        network = nn.Sequential(
            nn.Flatten(), nn.Linear(36, 8), nn.BatchNorm1d(8), nn.Linear(8, 8), nn.Linear(8, 3)
        )
        network[1].requires_grad_(False)
        nn.init.zeros_(network[4].weight)
        return network

    given = cases.problem(model=model)
    weights = given.anchor(0)
    expected = (
        weights.params["3.weight"].square().mean()
        / given.build("growth")[3].weight.detach().square().mean()
    ).sqrt()
    assert portrait(given, weights, given.training_part(EXAMPLES)).weights == pytest.approx(
        math.log(expected), rel=1e-5
    )
    assert math.isnan(
        portrait(cases.problem(model=lambda: Frozen()), Weights.of(Frozen()), []).weights
    )


class Frozen(nn.Module):
    """Has no matrix that is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.last = nn.Linear(36, 3).requires_grad_(requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x.flatten(1)) * self.scale


@pytest.mark.parametrize(("start", "read"), [(0.0, False), (math.log(2) / 4, True)])
def test_growth_is_not_read_where_starts_do_not_depend_on_the_width(start, read):
    """As those of transformers, 0.02 at any width."""
    whole, narrow = Portrait(0.0, 0.0, start=0.0), Portrait(0.0, 0.5, start=start)
    probs = probabilities(3, seed=1)
    found = transfer(Group(probs, 1, 0.5), [whole, narrow, narrow])
    assert found is not None
    assert ("weights" in [reading.name for reading in found.readings]) == read
