"""Paths that are led: the places, the targets against closed forms, the pull, and where members
end.
"""

import math

import pytest
import torch
from torch import nn

import cases
import contract
import thalweg
from thalweg.emulators.atlas import Atlas
from thalweg.errors import InputError
from thalweg.explorers._parts.cycles import one_cycle
from thalweg.explorers._parts.targets import deviations, targets
from thalweg.explorers._parts.witnesses import witnesses
from thalweg.explorers.thalweg import Thalweg, _Pull
from thalweg.predicting import predict
from thalweg.predictions import Predictions
from thalweg.training.batches import Batches
from thalweg.training.loop import StepInfo
from thalweg.training.problem import Problem
from thalweg.training.recipe import Recipe

KNOWN = cases.held_out(400)[0]


def of_inputs(x, y, model, **settings) -> Problem:
    return Problem(model, Batches(x, y, 10), Recipe(epochs=5), **settings)


# places


def test_places_lie_between_two_training_inputs():
    x = torch.eye(6)[torch.arange(60) % 6]
    found = witnesses(of_inputs(x, torch.arange(60) % 2, lambda: nn.Linear(6, 2)), 500)
    assert found.shape == (500, 6)
    assert torch.allclose(found.sum(1), torch.ones(500)) and float(found.min()) >= 0
    largest, second, third = found.topk(3).values.T
    assert float(largest.min()) >= 0.5 and float(third.max()) == 0
    assert float(second.max()) > 0.45


def test_places_of_words_keep_half_of_their_words_or_more():
    x = torch.arange(40)[:, None].expand(-1, 200).contiguous()
    model = lambda: nn.Sequential(nn.Embedding(40, 3), nn.Flatten(), nn.Linear(600, 2))  # noqa: E731
    found = witnesses(of_inputs(x, torch.arange(40) % 2, model), 300)
    assert found.dtype == x.dtype
    kept = torch.stack([row.bincount(minlength=40).max() for row in found])
    assert all(len(row.unique()) <= 2 for row in found) and int(kept.min()) >= 85
    assert 0.6 < float(kept.double().mean()) / 200 < 0.9


def test_images_are_shifted_in_a_circle_by_a_fourteenth():
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 10, 20] = 1.0
    x, y = image.expand(30, -1, -1, -1).contiguous(), torch.arange(30) % 2
    model = lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 2))  # noqa: E731
    found = witnesses(of_inputs(x, y, model), 400)
    places = found.flatten(1).argmax(1)
    down, right = places // 28 - 10, places % 28 - 20
    assert torch.allclose(found.sum((1, 2, 3)), torch.ones(400))
    for moved in (down, right):
        assert set(moved.tolist()) == {-2, -1, 0, 1, 2}


def test_places_of_several_tensors_stay_together():
    a, y = torch.arange(50.0)[:, None].repeat(1, 3), torch.arange(50) % 2

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 2)

        def forward(self, left, right):
            return self.layer(torch.cat([left, right], 1))

    left, right = witnesses(of_inputs((a, 2 * a), y, Two), 100)
    assert torch.allclose(2 * left, right)


def test_a_mask_stays_that_of_its_own_text():
    words = torch.randint(1, 50, (60, 12), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(12) < 1 + torch.arange(60)[:, None] % 12).long()

    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.head = nn.Embedding(50, 4), nn.Linear(4, 2)

        def forward(self, ids, attention_mask):
            return self.head((self.words(ids) * attention_mask[..., None]).sum(1))

    x = {"ids": words * mask, "attention_mask": mask}
    found = witnesses(of_inputs(x, torch.arange(60) % 2, Text), 200)
    rows = {tuple(row) for row in torch.cat([x["ids"], mask], 1).tolist()}
    there = torch.cat([found["ids"], found["attention_mask"]], 1)
    assert all(tuple(row) in rows for row in there.tolist())


def test_images_in_bytes_are_averaged():
    x = torch.tensor([0, 200], dtype=torch.uint8)[torch.arange(40) % 2].reshape(40, 1, 1, 1)
    x = x.expand(-1, 1, 12, 12).contiguous()

    class Bytes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(144, 2)

        def forward(self, x):
            return self.layer(x.flatten(1).float() / 255)

    found = witnesses(of_inputs(x, torch.arange(40) % 2, Bytes), 200)
    assert found.dtype == torch.uint8 and all(len(image.unique()) == 1 for image in found)
    assert len(found.unique()) > 20


def test_unequal_batches_are_refused_before_anything_is_paid():
    batches = [(torch.ones(4, size), torch.arange(4) % 2) for size in (5, 7)]

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 2)

        def forward(self, x):
            return self.layer(x.mean(1, keepdim=True))

    own = Problem(Mean, batches, Recipe(epochs=5))
    with pytest.raises(InputError, match="can't be put together"):
        Thalweg().explore(own)
    assert own.cost.trainings == 0


# targets


def test_deviations_are_standardised_functions():
    found = deviations(cases.problem(), KNOWN, 6)
    assert found.shape == (6, 400, cases.CLASSES)
    assert torch.allclose(found.mean(0), torch.zeros(()).double(), atol=1e-9)
    assert torch.allclose(found.square().mean((0, 2)), torch.ones(()).double())
    again = deviations(cases.problem(), KNOWN[:50], 6)
    assert again.shape[1] == 50  # of any inputs: functions


def test_a_network_that_is_born_without_a_say_has_a_constant_direction():
    def model() -> nn.Module:
        network = cases.no_norm()
        nn.init.zeros_(network[-1].weight)
        nn.init.zeros_(network[-1].bias)
        return network

    found = deviations(cases.problem(model=model), KNOWN, 4)
    assert torch.allclose(found, found[:, :1].expand_as(found))
    assert torch.allclose(found.square().mean((0, 2)), torch.ones(()).double())


@pytest.mark.parametrize("reach", [0.5, 1.0])
def test_targets_have_the_emulator_s_centre_and_a_multiple_of_its_u(reach):
    """Against the emulator itself, asked by the way of `quantify`: the same observations."""
    own = cases.problem(unlabelled=KNOWN)
    asked = cases.task(100, seed=3)[0]
    found = Predictions(targets(own, own.anchor(0), None, KNOWN, asked, 40, reach).float())
    quantified = thalweg.quantify(
        cases.problem(unlabelled=KNOWN), asked, budget=0, emulator=Atlas(), draws=400
    )
    assert torch.allclose(found.mean(), quantified.predictions.mean(), atol=0.02)
    part = found.u() / (reach * quantified.predictions.u())
    assert float(part.median()) == pytest.approx(1.0, abs=0.05)


def test_targets_of_a_regression():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    y = x @ torch.tensor([[1.0, 0.0], [2.0, 30.0], [0.0, 1.0]])
    outputs = thalweg.Values(units="mg", mean=(0.0, 0.0), std=(2.0, 30.0))
    own = Problem(
        lambda: nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)),
        Batches(x, y, 20),
        Recipe(epochs=10, lr=0.02),
        outputs=outputs,
    )
    found = targets(own, own.anchor(0), None, x, x[:50], 30, 2.0)
    said = own.outputs.values(predict(own, Thalweg().explore(own), x[:50]).stored)
    assert found.shape == (30, 50, 2) and said.shape == (8, 50, 2)
    assert float((found.mean(0) - said.mean(0)).norm() / y[:50].norm()) < 0.3
    anchor = predict(own, own.anchor(0), x[:50]).stored[0].double()
    u = found.var(0, correction=0).sum(-1).sqrt() / 2
    assert float(((found.mean(0) - anchor).norm(dim=1) / u).mean()) < 0.1
    apart = found - found.mean(0)
    first, second = apart.flatten(0, 1).T / apart.flatten(0, 1).std(0)[:, None]
    assert abs(float((first * second).mean())) < 0.5  # no output leaks into the other


# the path


def steps(*losses: float, ahead: int = 10) -> _Pull:
    pull = _Pull(2.0, 0.5)
    for number, loss in enumerate(losses):
        pull.see(StepInfo(number + 1, ahead, False, torch.tensor(loss)))
    return pull


def test_the_pull_is_whole_within_the_band_and_fades_above_it():
    assert steps(1.0).strength == 2.0
    assert float(steps(1.0, 1.5).strength) == 2.0
    assert float(steps(1.0, 2.0).strength) == pytest.approx(2 * math.exp(-1))
    mean = 0.8 * 2.0 + 0.2 * 1.0  # back in the band, little by little
    expected = 2 * math.exp(-(mean - 1.5) / 0.5)
    assert float(steps(1.0, 2.0, 1.0).strength) == pytest.approx(expected)


def test_without_a_pull_a_path_is_a_training_that_goes_on():
    own = cases.problem()
    found = Thalweg(members=2, strength=0.0, share=0.2, stem=0).explore(own)
    for k in range(2):
        network = own.network(own.anchor(0))
        recipe = one_cycle(own.recipe, 0.2, 0.4 * own.recipe.lr, warmup=0.1)
        own.fit(network, recipe, "thalweg", "branch", k)
        for name, p in network.named_parameters():
            assert torch.allclose(found.points[k].params[name], p, atol=1e-7)


def test_members_go_to_their_own_targets():
    own = cases.problem(unlabelled=KNOWN)
    asked = witnesses(own, 400)
    wanted = targets(own, own.anchor(0), None, KNOWN, asked, 6, 2.0).exp()
    said = predict(own, Thalweg(members=6, share=1.0, places=400).explore(own), asked).probs()
    said = said.double() - said.double().mean(0)
    apart = torch.cdist(said.flatten(1), (wanted - wanted.mean(0)).flatten(1))
    assert apart.argmin(1).tolist() == list(range(6))


def test_a_longer_reach_is_a_wider_spread():
    found = []
    for reach in (0.0, 2.0):
        own = cases.problem(unlabelled=KNOWN)
        members = Thalweg(share=0.2, reach=reach, tolerance=1.0).explore(own)
        found.append(float(predict(own, members, cases.held_out()[0]).u().mean()))
    assert found[1] > 1.3 * found[0]


def test_points_on_the_way_are_members_too():
    own = cases.problem("conv-batchnorm")
    found = Thalweg(members=2, share=0.2, points=3).explore(own)
    ends = Thalweg(members=2, share=0.2).explore(cases.problem("conv-batchnorm"))
    assert found.size == 6
    contract.assert_same(list(found.points[2::3]), list(ends.points))
    first, second, last = (p.params["0.weight"] for p in found.points[:3])
    assert 0 < float((last - second).norm()) < float((last - first).norm())


def test_what_was_led_begins_at_the_anchor():
    own = cases.problem("conv-batchnorm")
    led = Thalweg(members=2, share=0.2, points=2).led(own, stops=2)
    contract.assert_same([led.anchor], [own.anchor(0)])
    assert len(led.stem) == 2 and [len(branch) for branch in led.branches] == [2, 2]
    plain = Thalweg(members=2, share=0.2).explore(cases.problem("conv-batchnorm"))
    contract.assert_same([branch[-1] for branch in led.branches], list(plain.points))


def test_copies_are_charged():
    own = cases.problem("groupnorm", unlabelled=KNOWN)
    Thalweg(copies=2, width_ratio=0.5).explore(own)
    alone = cases.problem("groupnorm", unlabelled=KNOWN)
    Thalweg().explore(alone)
    assert own.cost.trainings > alone.cost.trainings + 0.5


def test_a_network_whose_end_is_not_linear():
    model = lambda: nn.Sequential(cases.no_norm(), nn.Tanh())  # noqa: E731
    own = cases.problem(model=model, unlabelled=KNOWN)
    assert Thalweg().explore(own).size == 8


def test_more_points_than_steps_are_refused_before_anything_is_paid():
    own = cases.problem()
    with pytest.raises(InputError, match="points got 2, and a branch has 1 steps"):
        Thalweg(points=2).explore(own)
    assert own.cost.trainings == 0


def test_networks_alone_are_refused():
    own = Problem(cases.no_norm, networks=cases.no_norm(), unlabelled=KNOWN)
    with pytest.raises(InputError, match="trains by batches"):
        Thalweg().explore(own)


@pytest.mark.parametrize("norm", [False, True])
def test_all_evaluations_are_counted(norm):
    """With a backward pass: the training, two batches a step, and the sensitivity; without: the
    training set, typical and other places, which each random network is asked about, and batch
    norm.
    """
    own = cases.problem("conv-batchnorm" if norm else "no-norm", unlabelled=KNOWN)
    Thalweg(members=3, share=0.2, stem=0.4, places=500).explore(own)
    training, sides = own.training_examples, 100 * cases.CLASSES
    paths = 5 * (training // 5 + 6 * cases.SIZE)  # six steps of each branch, twelve of the stem
    assert own.cost.backward_examples == training + paths + sides
    looked = cases.EXAMPLES + len(KNOWN) + 500 + 3 * 500
    found = 2 * cases.SIZE + 2  # the last layer
    refreshed = 3 * cases.EXAMPLES * norm
    assert own.cost.forward_examples == looked + found + refreshed
