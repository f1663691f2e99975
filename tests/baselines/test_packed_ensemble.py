"""Packed-Ensembles: against networks that are trained alone, and against the paper's grouped
convolutions.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

import cases
import contract
from thalweg.baselines.packed_ensemble import PackedEnsemble, SideBySide
from thalweg.errors import InputError
from thalweg.graph.narrowing import narrowed
from thalweg.models.mlp import mlp
from thalweg.predicting import predict
from thalweg.training.problem import Problem
from thalweg.weights.point import Weights


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("network", ["no-norm", "groupnorm", "frozen"])
def test_a_member_is_a_narrow_network_that_was_trained_alone(network, clip):
    """On the same batches; a gradient of its own, clipped by itself."""
    given = cases.problem(network, recipe=replace(cases.RECIPE, clip=clip))
    narrow, found = PackedEnsemble(members=2, alpha=1.0).train(given)
    for k, weights in enumerate(found.points):
        alone = narrow.build("packed-ensemble", k)
        narrow.fit(alone, narrow.recipe, "packed-ensemble")
        expected = Weights.of(alone)
        for part in ("params", "buffers"):
            for key, value in getattr(expected, part).items():
                assert torch.allclose(getattr(weights, part)[key], value, rtol=1e-4, atol=1e-6), key


def test_it_is_the_paper_s_grouped_convolution():
    """The first layer gives all members' channels, the others have a group a member, the last one
    all members' classes.
    """
    torch.manual_seed(0)
    wide = [
        nn.Sequential(
            nn.Conv2d(2, 8, 3),
            nn.ReLU(),
            nn.Conv2d(8, 12, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(12, 3),
        ).double()
        for _ in range(4)
    ]
    x = torch.randn(5, 2, 8, 8, dtype=torch.float64)
    members = [narrowed(network, 0.5, x) for network in wide]
    params = [
        [
            torch.cat(same)
            for same in zip(*(list(m.parameters())[i : i + 2] for m in members), strict=True)
        ]
        for i in (0, 2, 4)
    ]
    weights = [p[0] for p in params]
    biases = [p[1] for p in params]
    hidden = functional.conv2d(x, weights[0], biases[0]).relu()
    hidden = (
        functional.conv2d(hidden, weights[1], biases[1], groups=4).relu().mean((2, 3), keepdim=True)
    )
    packed = functional.conv2d(hidden, weights[2][:, :, None, None], biases[2], groups=4).flatten(1)
    assert [tuple(w.shape) for w in weights] == [(16, 2, 3, 3), (24, 4, 3, 3), (12, 6)]
    assert torch.allclose(
        SideBySide(members)(x), packed.unflatten(1, (4, 3)).transpose(0, 1), rtol=0, atol=1e-12
    )


def test_the_original_meter_is_charged_in_its_own_unit():
    """Operations of the narrow networks, in trainings of the full one: hidden layers cost alpha^2 /
    M, the first one alpha.
    """
    given = Problem(
        lambda: mlp((1, 6, 6), cases.CLASSES, hidden=(32, 32)), cases.batches(), cases.RECIPE
    )
    narrow, found = PackedEnsemble().train(given)
    # inputs have no gradient
    full, one = (
        3 * sum(a * b for a, b in widths) - widths[0][0] * widths[0][1]
        for widths in ([(36, 32), (32, 32), (32, 3)], [(36, 16), (16, 16), (16, 3)])
    )
    assert given.cost.trainings == pytest.approx(4 * one / full, rel=1e-3) and found.size == 4
    assert narrow.cost.trainings == 4 and narrow.meter is not given.meter and given.cost.seconds > 0
    assert PackedEnsemble().trainings == 1 and PackedEnsemble(members=8, alpha=4).trainings == 2
    contract.check_points(narrow, list(found.points))


def test_a_network_without_hidden_channels_costs_a_training_a_member():
    """`trainings` is what the work would be if all layers were hidden ones; predictions are metered
    in the returned problem.
    """
    given = Problem(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), cases.batches(), cases.RECIPE
    )
    narrow, found = PackedEnsemble().train(given)
    assert given.cost.trainings == pytest.approx(4, rel=1e-3)
    predict(narrow, found, cases.held_out()[0])
    assert given.cost.forward_examples == 0 and narrow.cost.forward_examples == 4 * 60


def test_what_a_user_trained_already_is_not_needed():
    start = cases.no_norm().state_dict()
    narrow, found = PackedEnsemble(members=2).train(cases.problem("no-norm", networks=start))
    assert narrow.networks == () and found.points[0].params["1.weight"].shape == (8, 36)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": 0}, "packed-ensemble.members got 0"),
        ({"alpha": 0}, "packed-ensemble.alpha got 0"),
        ({"members": 2, "alpha": 3}, "packed-ensemble.alpha got 3, needs 1e-09 to 2"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        PackedEnsemble(**settings)


def test_a_network_that_can_not_be_narrowed_is_refused_before_anything_is_trained():
    given = Problem(cases.Named, cases.batches(), cases.RECIPE)
    with pytest.raises(InputError, match=r"can't be narrowed \(.*traced.*\): its code names"):
        PackedEnsemble().train(given)
    assert given.cost.backward_examples == 0
