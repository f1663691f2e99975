"""The loop against a plain PyTorch loop, up to rounding; what it counts; how it stops."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import cases
from thalweg.errors import Diverged, InputError
from thalweg.meter import Meter
from thalweg.outputs import cross_entropy
from thalweg.training.loop import _check, train
from thalweg.training.recipe import Recipe


def plain(network, batches, *, epochs, lr, smoothing=0.0, clip=None):
    """As in a tutorial: SGD with momentum, weight decay and a cosine."""
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)
    steps, step = epochs * len(batches), 0
    network.train()
    for epoch in range(epochs):
        for x, y in batches.epoch(epoch):
            optimizer.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimizer.zero_grad()
            criterion(network(x), y).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimizer.step()
            step += 1


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.1, "clip": 0.5}])
@pytest.mark.parametrize("network", ["conv-batchnorm", "tied", "layernorm"])
def test_it_equals_a_plain_loop(network, settings):
    torch.manual_seed(0)
    mine, theirs = cases.NETWORKS[network]().double(), cases.NETWORKS[network]().double()
    theirs.load_state_dict(mine.state_dict())
    batches = replace(cases.batches(), inputs=cases.batches().inputs.double())
    torch.manual_seed(1)  # of dropout
    plain(
        theirs,
        batches,
        epochs=3,
        lr=0.05,
        smoothing=settings.get("label_smoothing", 0.0),
        clip=settings.get("clip"),
    )
    torch.manual_seed(1)
    train(mine, batches, Recipe(epochs=3, lr=0.05, **settings), Meter())
    for name, value in theirs.state_dict().items():
        # the loop's optimiser is torch's fused one, which rounds elsewhere
        assert torch.allclose(
            mine.state_dict()[name].double(), value.double(), rtol=0, atol=1e-10
        ), name


def test_all_parameters_have_the_learning_rate_of_the_schedule():
    """Those without weight decay, too: without any, they are trained as all others."""
    mine, theirs = cases.no_norm(), cases.no_norm()
    theirs.load_state_dict(mine.state_dict())
    mine[1].weight.undecayed = True
    for network in (mine, theirs):
        train(
            network,
            cases.batches(),
            Recipe(epochs=2, lr=0.1, warmup=0.3, weight_decay=0.0),
            Meter(),
        )
    assert all(
        torch.allclose(a, b, rtol=0, atol=1e-6)
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True)
    )


def test_several_draws_are_averaged():
    outputs, y = torch.randn(4, 6, 3, dtype=torch.float64), torch.randint(0, 3, (6,))
    expected = torch.stack([nn.functional.cross_entropy(o, y) for o in outputs]).mean()
    assert torch.allclose(cross_entropy()(outputs, y), expected, rtol=0, atol=1e-12)
    assert torch.equal(cross_entropy()(outputs[0], y), nn.functional.cross_entropy(outputs[0], y))


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_labels_of_any_whole_type(dtype):
    outputs, y = torch.randn(6, 3), torch.randint(0, 3, (6,))
    assert torch.equal(cross_entropy()(outputs, y.to(dtype)), cross_entropy()(outputs, y))


def test_it_counts_and_tells_every_step():
    meter, ticks = Meter(), []
    train(cases.no_norm(), cases.batches(), Recipe(epochs=1.5), meter, on_step=ticks.append)
    assert [t.step for t in ticks] == list(range(1, 10)) and {t.steps for t in ticks} == {9}
    assert [t.epoch_ended for t in ticks] == [False] * 5 + [True] + [False] * 3
    assert meter.cost.backward_examples == 95 + 3 * 16 and meter.cost.forward_examples == 0
    assert all(t.loss.shape == () and not t.loss.requires_grad for t in ticks)
    assert float(ticks[0].loss) == pytest.approx(math.log(3), abs=0.5)


def test_a_penalty_is_added():
    network = cases.no_norm()
    train(
        network,
        cases.batches(),
        Recipe(epochs=5, lr=0.05),
        Meter(),
        penalty=lambda: 10 * sum(p.square().sum() for p in network.parameters()),
    )
    assert sum(float(p.detach().square().sum()) for p in network.parameters()) < 1e-2


def test_a_loss_of_ones_own():
    network, seen = cases.no_norm(), []

    def loss(outputs, targets):
        seen.append((tuple(outputs.shape), tuple(targets.shape)))
        return outputs.square().mean()

    train(network, cases.batches(), Recipe(epochs=1), Meter(), loss=loss)
    assert seen == [((16, 3), (16,))] * 5 + [((15, 3), (15,))]


@pytest.mark.parametrize("step", [1, 3, 4, 12])
def test_a_training_that_diverges_says_the_step_and_stops_at_once(step):
    network, meter, calls = cases.no_norm(), Meter(), []
    kept = {}

    def loss(outputs, targets):
        calls.append(1)
        kept.update({name: p.detach().clone() for name, p in network.named_parameters()})
        return cross_entropy()(outputs, targets) * (float("nan") if len(calls) == step else 1)

    with pytest.raises(
        Diverged, match=f"nan at step {step} of 12: lower the learning rate"
    ) as caught:
        train(network, cases.batches(), Recipe(epochs=2), meter, loss=loss)
    assert len(calls) == step and "\n" not in str(caught.value)
    assert all(torch.equal(p, kept[name]) for name, p in network.named_parameters())


def test_of_several_steps_that_are_looked_at_together_the_first_bad_one_is_named():
    """As on a GPU, which is asked every 50 steps."""
    losses = [torch.tensor(value) for value in (1.0, float("inf"), 2.0, float("nan"))]
    with pytest.raises(Diverged, match="the loss is inf at step 18 of 60"):
        _check(losses, 20, 60, Recipe())
    _check([losses[0], losses[2]], 20, 60, Recipe())


def test_a_large_learning_rate_diverges():
    with pytest.raises(Diverged, match=r"at step \d+ of 60"):
        train(
            cases.no_norm(),
            cases.batches(),
            Recipe(epochs=10, lr=1e30, schedule="constant"),
            Meter(),
        )


def test_a_training_whose_last_step_leaves_no_numbers_diverged_too():
    network = cases.no_norm()

    def loss(outputs, _):
        return (outputs - outputs.detach()).sum() * 1e37  # zero, but its gradient is not

    with pytest.raises(Diverged, match="after step 1"):
        train(network, cases.batches(), Recipe(epochs=1 / 6, lr=1e5), Meter(), loss=loss)


def test_nothing_to_train():
    with pytest.raises(InputError, match="nothing to train"):
        train(cases.no_norm().requires_grad_(False), cases.batches(), Recipe(epochs=1), Meter())


class Once:
    """Has a length, but can be read once only."""

    def __init__(self):
        self.left = iter(list(cases.batches()))

    def __len__(self):
        return 6

    def __iter__(self):
        return self.left


def test_a_loader_that_can_be_read_once_only():
    with pytest.raises(InputError, match="read once only"):
        train(cases.no_norm(), Once(), Recipe(epochs=2), Meter())


def test_nesterov_equals_torchs():
    mine, theirs = cases.no_norm().double(), cases.no_norm().double()
    theirs.load_state_dict(mine.state_dict())
    batches = replace(cases.batches(), inputs=cases.batches().inputs.double())
    train(mine, batches, Recipe(epochs=2, lr=0.05, nesterov=True, schedule="constant"), Meter())
    optimizer = torch.optim.SGD(
        theirs.parameters(), 0.05, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    for epoch in range(2):
        for x, y in batches.epoch(epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(theirs(x), y).backward()
            optimizer.step()
    assert all(
        torch.allclose(a, b, rtol=0, atol=1e-10)
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True)
    )


def test_half_precision_is_autocast():
    """Convolutions see bfloat16, weights and loss stay in single precision; the result is another,
    but near.
    """
    seen = []

    class Looks(nn.Module):
        def forward(self, x):
            seen.append(x.dtype)
            return x

    def trained(precision):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 4, 3), Looks(), nn.Flatten(), nn.Linear(64, 3))
        ticks = []
        train(
            network,
            cases.batches(),
            Recipe(epochs=2, lr=0.05, precision=precision),
            Meter(),
            on_step=ticks.append,
        )
        return network[3].weight.detach(), ticks[-1].loss

    (half, loss), (single, _) = trained("bfloat16"), trained("float32")
    assert seen[0] == torch.bfloat16 and seen[-1] == torch.float32
    assert half.dtype == loss.dtype == torch.float32
    assert not torch.equal(half, single) and torch.allclose(half, single, atol=0.02)


def test_what_happens_between_backward_and_step():
    network = cases.no_norm()
    before = [p.detach().clone() for p in network.parameters()]

    def stop() -> None:
        for p in network.parameters():
            p.grad.zero_()

    train(
        network,
        cases.batches(),
        Recipe(epochs=1, lr=0.1, weight_decay=0.0),
        Meter(),
        before_step=stop,
    )
    assert all(torch.equal(p, b) for p, b in zip(network.parameters(), before, strict=True))


def test_nothing_that_is_trained_takes_part():
    class Deaf(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.other = nn.Linear(36, 3), nn.Linear(2, 2)
            self.used.requires_grad_(False)

        def forward(self, x):
            return self.used(x.flatten(1)).requires_grad_()

    with pytest.raises(InputError, match="no parameter got a gradient"):
        train(Deaf(), cases.batches(), Recipe(epochs=1), Meter())
