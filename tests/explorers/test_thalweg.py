"""Paths that are led: the places, the targets against closed forms, the rates, the pull, and where
members end.
"""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

import cases
import contract
import thalweg
from thalweg.atlas.centre import Calibration
from thalweg.atlas.draws import logit_normal
from thalweg.emulators.atlas import Atlas
from thalweg.errors import Diverged, InputError
from thalweg.explorers._parts.cycles import one_cycle
from thalweg.explorers._parts.leading import Pull
from thalweg.explorers._parts.targets import Expected, deviations, expected, targets
from thalweg.explorers._parts.witnesses import witnesses
from thalweg.explorers.restarts import Restarts
from thalweg.explorers.thalweg import Thalweg, _next
from thalweg.outputs import log_softmax
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


def said_by(problem: Problem, asked, count: int, share: float = 0.5):
    members = Restarts(members=count, share=share, lr_ratio=1.0).explore(problem)
    return predict(problem, members, asked).stored


def test_deviations_are_standardised():
    said = torch.randn(6, 50, 4, generator=torch.Generator().manual_seed(0)).double()
    found = deviations(log_softmax(said))
    assert torch.allclose(found.mean(0), torch.zeros(()).double(), atol=1e-9)
    assert torch.allclose(found.square().mean((0, 2)), torch.ones(()).double())
    assert torch.allclose(found.sum(2), torch.zeros(()).double(), atol=1e-9)


def test_what_is_expected_is_what_the_emulator_says():
    """Asked by the way of `quantify`: the same observations."""
    own = cases.problem(unlabelled=KNOWN)
    asked = cases.task(100, seed=3)[0]
    usual, found = expected(own, own.anchor(0), None, KNOWN, asked)
    assert usual.centre.shape == (400, cases.CLASSES)
    quantified = thalweg.quantify(
        cases.problem(unlabelled=KNOWN), asked, budget=0, emulator=Atlas(), draws=400
    )
    assert torch.allclose(found.centre.float(), quantified.predictions.mean(), atol=0.02)
    part = found.u / quantified.predictions.u()
    assert torch.allclose(part, torch.ones_like(part), rtol=1e-3)


@pytest.mark.parametrize("reach", [0.5, 1.0])
def test_targets_have_a_centre_and_a_size(reach):
    """Against what they are told: networks of the emulator's sharpness that lie about its centre
    have that centre and `reach` times their own spread.
    """
    random = torch.Generator().manual_seed(0)
    centre = (2 * torch.randn(300, 3, generator=random)).double().softmax(1)
    noise = torch.randn(40, 300, 3, generator=random).double()
    said = logit_normal(centre, torch.full((300,), 0.1).double(), noise - noise.mean(0))
    u = said.exp().var(0).sum(-1).sqrt()
    made = targets(thalweg.Classes(), Expected(centre, u), said, reach)
    found = Predictions(made.float())
    assert torch.allclose(found.mean().double(), centre, atol=0.01)
    wrong = (found.u() / (reach * u) - 1).abs()  # a few are nearly certain
    assert float(wrong.quantile(0.9)) < 0.02 and float(wrong.median()) < 0.005
    same = torch.nn.functional.cosine_similarity(
        (made.exp() - centre).flatten(1), (said.exp() - centre).flatten(1)
    )
    assert float(same.min()) > 0.9  # each in the direction of its own network


def test_networks_that_are_less_sure_are_brought_to_the_emulator_s_sharpness():
    random = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(500, 4, generator=random).double()
    noise = 0.2 * torch.randn(8, 500, 4, generator=random).double()
    before = Expected(log_softmax(logits).exp(), torch.full((500,), 0.05).double())
    soft = log_softmax((logits + noise) / 3)
    off = (targets(thalweg.Classes(), before, soft, 1.0).exp().mean(0) - before.centre).norm(dim=1)
    plain = (soft.exp().mean(0) - before.centre).norm(dim=1)
    assert float(off.mean()) < 0.1 * float(plain.mean())


def test_networks_that_are_all_the_same_have_the_same_target():
    said = log_softmax(torch.randn(1, 50, 3, generator=torch.Generator().manual_seed(0)).double())
    before = Expected(said[0].exp(), torch.full((50,), 0.1).double())
    made = targets(thalweg.Classes(), before, said.expand(4, -1, -1), 1.0)
    assert torch.allclose(made.double(), said.expand(4, -1, -1), atol=1e-4)


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
    asked = x[:50]
    _, before = expected(own, own.anchor(0), None, x, asked)
    said = said_by(own, asked, 6)
    found = targets(own.outputs, before, said, 1.0)
    assert found.shape == (6, 50, 2)
    anchor = predict(own, own.anchor(0), asked).stored[0].double()
    assert float((found.mean(0) - anchor).norm() / anchor.norm()) < 0.1
    u = found.var(0).sum(-1).sqrt()
    slope = Calibration.of(own.outputs, before.centre, said.double().mean(0), 0.0).power
    spread = slope * said.double().var(0).sum(-1).sqrt()
    assert torch.allclose(u, (before.u * spread).sqrt())
    apart, theirs = (part - part.mean(0) for part in (found, said.double()))
    same = torch.nn.functional.cosine_similarity(apart, theirs, dim=-1)
    assert float(same.min()) > 1 - 1e-6  # each in its own direction, in units and all
    members = Thalweg(free=0.2, share=0.2).explore(own)
    ended = own.outputs.values(predict(own, members, asked).stored)
    assert float((ended.mean(0) - anchor).norm() / anchor.norm()) < 0.3


# the path


def steps(*losses: float, ahead: int = 10) -> Pull:
    pull = Pull(2.0, 0.5, torch.tensor(1.0))
    for number, loss in enumerate(losses):
        pull.see(StepInfo(number + 1, ahead, False, torch.tensor(loss)))
    return pull


def test_the_pull_is_whole_within_the_band_and_fades_above_it():
    assert Pull(2.0, 0.5, torch.tensor(1.0)).strength == 2.0
    assert float(steps(1.5).strength) == 2.0
    assert float(steps(2.0).strength) == pytest.approx(2 * math.exp(-1))
    mean = 0.8 * 2.0 + 0.2 * 1.0  # back in the band, little by little
    expected = 2 * math.exp(-(mean - 1.5) / 0.5)
    assert float(steps(2.0, 1.0).strength) == pytest.approx(expected)


def test_rates_rise_where_ends_are_too_near_and_fall_where_they_are_too_far():
    assert _next([1.0], 1.0) == 1.0
    assert _next([1.0, 1.0], 1.2) == pytest.approx(1.2**1.5)
    assert _next([1.0, 1.0], 10.0) == 2.0 and _next([1.0, 1.0], 0.01) == 0.5
    assert _next([8.0, 8.0], 1.5) == 8.0 and _next([0.125, 0.125], 0.5) == 0.125
    assert _next([1.0, 4.0], 1.0) == 2.0  # between both


def test_ends_are_brought_as_far_apart_as_they_shall_be():
    own = cases.problem(unlabelled=KNOWN)
    usual, _ = expected(own, own.anchor(0), None, KNOWN, KNOWN[:2])
    led = Thalweg(members=10, free=0.5, reach=0.5).led(own)
    said = [predict(own, part[-1], KNOWN).stored[0].exp() for part in led.free]
    apart = [float((a - b).norm(dim=1).mean()) / 2**0.5 for a, b in pairwise(said)]
    assert len(led.rates) == 10 and led.rates[0] == 1.0 and max(led.rates) < 8
    assert sum(apart[-4:]) / 4 == pytest.approx(0.5 * float(usual.u.mean()), rel=0.35)


def test_ends_that_are_the_same_are_nowhere():
    """A loss without a gradient: no distance, and no number too large."""
    own = cases.problem(loss=lambda outputs, y: 0 * outputs.sum(), unlabelled=KNOWN)
    led = Thalweg(members=3, free=0.2, share=0.2).led(own)
    assert led.rates == (1.0, 2.0, 4.0)
    assert _next([1.0], 1e299) == 2.0 and _next([1.0], 0.0) == 0.5


@pytest.mark.parametrize(
    ("end", "rate", "lost"),
    [(5.0, 2.0, True), (5.0, 1.0, False), (0.6, 2.0, True), (0.5, 2.0, False)],
)
def test_an_end_that_did_not_come_back_is_no_end(end, rate, lost, monkeypatch):
    """At the recipe's own rate it is one: there is no lower one to blame. Elsewhere it is lost from
    .35 above .2 on, the mean of all first steps."""

    def fit(_, module, recipe, *name, on_step):
        for step in range(20):
            loss = torch.tensor(0.1 if step < 18 else end)
            on_step(StepInfo(step + 1, 20, False, loss))

    lows = [torch.tensor(0.3)]

    own = cases.problem()
    anchor = own.anchor(0)
    monkeypatch.setattr(Problem, "fit", fit)
    if lost:
        with pytest.raises(Diverged, match=f"the loss is {end:g} after a short training"):
            Thalweg()._free(own, anchor, rate, 1, 0, lows)
    else:
        assert len(Thalweg()._free(own, anchor, rate, 1, 0, lows)) == 1
    assert [float(low) for low in lows] == pytest.approx([0.3, 0.1])


def test_a_rate_that_destroys_the_network_is_lowered(monkeypatch):
    """And one that is the recipe's is not to blame."""
    own = cases.problem(unlabelled=KNOWN)
    tried = []
    whole = Thalweg._free

    def fails(self, problem, anchor, rate, stops, k, lows):
        tried.append(rate)
        if rate > 3:
            raise Diverged("the loss is nan")
        return whole(self, problem, anchor, rate, stops, k, lows)

    monkeypatch.setattr(Thalweg, "_free", fails)
    led = Thalweg(members=7, free=0.2, reach=50.0).led(own)
    assert led.rates == (1.0, 2.0, 1.0, 2.0, 2.0, 2.0, 2.0)
    assert tried[:5] == [1.0, 2.0, 4.0, 1.0, 2.0] and max(tried[3:]) == 2.0
    monkeypatch.setattr(Thalweg, "_free", lambda *_: (_ for _ in ()).throw(Diverged("nan")))
    with pytest.raises(Diverged):
        Thalweg().led(cases.problem(unlabelled=KNOWN))


def test_a_led_part_that_diverges_is_made_again_at_a_lower_rate(monkeypatch):
    own, tried, whole, most = cases.problem(), [], Problem.fit, 1.0

    def fit(self, network, recipe, *name, **settings):
        if name[:2] == ("thalweg", "led"):
            tried.append(recipe.lr / own.recipe.lr)
            if tried[-1] > most:
                raise Diverged("the loss is nan")
        return whole(self, network, recipe, *name, **settings)

    monkeypatch.setattr(Problem, "fit", fit)
    led = Thalweg(members=2, lr_ratio=6.0).led(own)
    assert len(led.led) == 2 and tried[:3] == pytest.approx([6.0, 1.5, 0.375])
    most = 0.0
    with pytest.raises(Diverged):
        Thalweg(members=2).led(own)


def test_a_path_begins_with_a_training_that_goes_on():
    own = cases.problem()
    led = Thalweg(members=2, strength=0.0, free=0.3, share=0.2).led(own)
    contract.assert_same([led.anchor], [own.anchor(0)])
    for k in range(2):
        network = own.network(own.anchor(0))
        for share, rate, name, part in (
            (0.3, led.rates[k], "free", led.free[k]),
            (0.2, led.rates[k] * 0.2, "led", led.led[k]),
        ):
            recipe = one_cycle(own.recipe, share, rate * own.recipe.lr, warmup=0.1)
            own.fit(network, recipe, "thalweg", name, k)
            for key, p in network.named_parameters():
                assert torch.allclose(part[-1].params[key], p, atol=1e-6)


def test_a_led_part_goes_to_its_target():
    """To what another training says, from the anchor; and not where there is no pull."""
    own = cases.problem()
    asked = witnesses(own, 400)
    explorer = Thalweg(share=1.0, lr_ratio=0.4)
    start, one, other = (predict(own, own.anchor(k), asked).stored[0] for k in range(3))

    def away(strength: float, target: torch.Tensor) -> tuple[float, float]:
        from_there = replace(explorer, strength=strength)
        part, left = from_there._led(own, own.anchor(0), asked, target, 0.4, torch.tensor(9.0), 0)
        said = predict(own, part[-1], asked).stored[0]
        return float((said.exp() - target.exp()).square().sum(1).mean()), float(left)

    before = float((start.exp() - one.exp()).square().sum(1).mean())
    (led, left), (free, kept) = away(10.0, one), away(0.0, one)
    assert led < 0.5 * before and led < 0.5 * free
    assert left < 0.5 * kept
    assert away(10.0, other)[0] < 0.5 * float((other.exp() - start.exp()).square().sum(1).mean())


def test_points_on_the_way_are_members_too():
    own = cases.problem("conv-batchnorm")
    found = Thalweg(members=2, share=0.2, points=3).explore(own)
    ends = Thalweg(members=2, share=0.2).explore(cases.problem("conv-batchnorm"))
    assert found.size == 6
    contract.assert_same(list(found.points[2::3]), list(ends.points))
    first, second, last = (p.params["0.weight"] for p in found.points[:3])
    assert 0 < float((last - second).norm()) < float((last - first).norm())


def test_networks_along_the_free_parts_are_kept_where_they_are_asked_for():
    own = cases.problem("conv-batchnorm")
    led = Thalweg(members=2, free=0.2, share=0.2, points=2).led(own, stops=3)
    assert [len(part) for part in led.free] == [3, 3] and [len(part) for part in led.led] == [2, 2]
    plain = Thalweg(members=2, free=0.2, share=0.2).explore(cases.problem("conv-batchnorm"))
    contract.assert_same([part[-1] for part in led.led], list(plain.points))


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
    with pytest.raises(InputError, match="points got 2, and the led part of a path has 1 steps"):
        Thalweg(points=2).explore(own)
    assert own.cost.trainings == 0


def test_networks_alone_are_refused():
    own = Problem(cases.no_norm, networks=cases.no_norm(), unlabelled=KNOWN)
    with pytest.raises(InputError, match="trains by batches"):
        Thalweg().explore(own)


@pytest.mark.parametrize("norm", [False, True])
def test_all_evaluations_are_counted(norm):
    """With a backward pass: the training, one batch a step of the free parts and two of the led
    ones, and the sensitivity; without: the training set, typical and other places, which anchor and
    ends are asked about, and batch norm.
    """
    own = cases.problem("conv-batchnorm" if norm else "no-norm", unlabelled=KNOWN)
    Thalweg(members=3, free=0.4, share=0.2, places=500).explore(own)
    training, sides = own.training_examples, 100 * cases.CLASSES
    paths = 3 * (2 * training // 5 + training // 5 + 6 * cases.SIZE)  # twelve steps, and six
    assert own.cost.backward_examples == training + paths + sides
    looked = cases.EXAMPLES + len(KNOWN) + 500 + 4 * len(KNOWN) + 3 * 500
    found = 2 * cases.SIZE + 2  # the last layer
    refreshed = 2 * 3 * cases.EXAMPLES * norm  # each free end, and each led one
    assert own.cost.forward_examples == looked + found + refreshed
