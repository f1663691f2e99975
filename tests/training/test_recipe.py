"""Recipes: the schedule against a formula written by hand, and settings out of range."""

import itertools

import pytest
import torch
from torch import nn

import reference
from thalweg.errors import InputError
from thalweg.training.recipe import Recipe, optimizer_for


@pytest.mark.parametrize(
    ("schedule", "warmup", "final_lr"),
    list(itertools.product(["constant", "linear", "cosine"], [0.0, 0.25, 1.0], [0.0, 0.02])),
)
def test_schedule(schedule, warmup, final_lr):
    recipe = Recipe(lr=0.4, final_lr=final_lr, schedule=schedule, warmup=warmup)
    found = [recipe.learning_rate(step, 37) for step in range(37)]
    assert found == pytest.approx(
        [reference.learning_rate(step, 37, 0.4, final_lr, schedule, warmup) for step in range(37)],
        rel=1e-12,
    )
    assert all(0 < lr <= 0.4 for lr in found)


@pytest.mark.parametrize(
    ("schedule", "warmup"), list(itertools.product(["linear", "cosine", "triangle"], [0.0, 0.25]))
)
@pytest.mark.parametrize("cycles", [2, 3, 7])
def test_cycles_go_through_the_schedule_again(schedule, warmup, cycles):
    """Each cycle is the same schedule over its own steps; warm-up comes before the first."""
    rising, each = 35, 15
    steps = rising + cycles * each if warmup else cycles * each
    recipe = Recipe(
        lr=0.4,
        final_lr=0.02,
        schedule=schedule,
        cycles=cycles,
        warmup=rising / steps if warmup else 0.0,
    )
    found = [recipe.learning_rate(step, steps) for step in range(steps)][rising if warmup else 0 :]
    one = [
        Recipe(lr=0.4, final_lr=0.02, schedule=schedule).learning_rate(step, each)
        for step in range(each)
    ]
    assert found == pytest.approx(one * cycles, rel=1e-9)


def test_a_triangle_goes_down_and_up_again():
    found = [
        Recipe(lr=1.0, final_lr=0.2, schedule="triangle").learning_rate(step, 8)
        for step in range(8)
    ]
    assert found == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.4, 0.6, 0.8])


def test_cosine_is_that_of_torch():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20, eta_min=0.01)
    for step in range(20):
        assert Recipe(lr=0.3, final_lr=0.01).learning_rate(step, 20) == pytest.approx(
            optimizer.param_groups[0]["lr"], rel=1e-9
        )
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("epochs", "batches", "steps"),
    [(5, 6, 30), (0.5, 7, 4), (1 / 30, 6, 1), (1e-6, 1, 1), (2.4, 10, 24)],
)
def test_steps(epochs, batches, steps):
    assert Recipe(epochs=epochs).steps(batches) == steps


def test_optimizers():
    params = [nn.Parameter(torch.zeros(2))]
    sgd = optimizer_for(Recipe(lr=0.2, momentum=0.8, weight_decay=0.01), params)
    assert isinstance(sgd, torch.optim.SGD)
    assert (
        sgd.defaults["lr"],
        sgd.defaults["momentum"],
        sgd.defaults["weight_decay"],
        sgd.defaults["nesterov"],
    ) == (
        0.2,
        0.8,
        0.01,
        False,
    )
    adam = optimizer_for(Recipe(lr=0.2, momentum=0.8, weight_decay=0.01, optimizer="adamw"), params)
    assert (
        isinstance(adam, torch.optim.AdamW)
        and adam.defaults["betas"] == (0.8, 0.999)
        and adam.defaults["weight_decay"] == 0.01
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_parameters_without_weight_decay_have_a_group_of_their_own(optimizer):
    recipe = Recipe(weight_decay=0.01, optimizer=optimizer)
    first, second, third = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    second.undecayed = True
    groups = optimizer_for(recipe, [first, second, third]).param_groups
    assert [(group["params"], group["weight_decay"]) for group in groups] == [
        ([first, third], 0.01),
        ([second], 0.0),
    ]
    assert [group["lr"] for group in groups] == [recipe.lr] * 2
    (group,) = optimizer_for(recipe, [second]).param_groups
    assert group["params"] == [second] and group["weight_decay"] == 0
    assert len(optimizer_for(recipe, [first, third]).param_groups) == 1


def stepped(optimizer: torch.optim.Optimizer, params: list[nn.Parameter]) -> None:
    """Seven steps down a bowl that is narrow along some axes."""
    for _ in range(7):
        optimizer.zero_grad()
        sum((k + 1) * p.square().sum() + p.sum() for k, p in enumerate(params)).backward()
        optimizer.step()


# torch's fused optimisers round elsewhere than its default ones
@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize(
    "settings", [{}, {"momentum": 0.0}, {"nesterov": True}, {"optimizer": "adamw"}]
)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_steps_equal_those_of_torchs_default_optimisers(settings, order, dtype, near):
    recipe = Recipe(lr=0.05, weight_decay=0.01, **settings)
    torch.manual_seed(0)
    start = [
        torch.randn(4, 3, 3, 3, dtype=dtype),
        torch.randn(4, 1, 3, 3, dtype=dtype),
        torch.randn(5, 3, dtype=dtype).T,
    ]
    start = [p.to(memory_format=order) if p.dim() == 4 else p for p in start]
    mine, theirs = ([nn.Parameter(p.clone()) for p in start] for _ in range(2))
    if recipe.optimizer == "adamw":
        plain = torch.optim.AdamW(theirs, 0.05, (0.9, 0.999), weight_decay=0.01, foreach=False)
    else:
        plain = torch.optim.SGD(
            theirs,
            0.05,
            recipe.momentum,
            weight_decay=0.01,
            nesterov=recipe.nesterov,
            foreach=False,
        )
    stepped(optimizer_for(recipe, mine), mine)
    stepped(plain, theirs)
    assert all(torch.allclose(a, b, rtol=0, atol=near) for a, b in zip(mine, theirs, strict=True))
    assert not torch.allclose(mine[0], start[0], atol=0.1)


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adamw"}])
def test_parameters_with_gaps_in_their_memory(settings):
    """A part of a larger tensor, as some layers make it: nothing but the part may move."""
    whole = torch.zeros(4, 6)
    p = nn.Parameter(whole[:, :3])
    optimizer = optimizer_for(Recipe(lr=1.0, weight_decay=0.0, **settings), [p])
    p.sum().backward()
    optimizer.step()
    assert torch.allclose(whole, torch.tensor([-1.0] * 3 + [0.0] * 3).expand(4, 6))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "recipe.epochs got 0"),
        ({"epochs": float("inf")}, "recipe.epochs got inf"),
        ({"epochs": float("nan")}, "recipe.epochs got nan"),
        ({"lr": -0.1}, "recipe.lr got -0.1, needs 0 or more"),
        ({"final_lr": -1}, "recipe.final_lr"),
        ({"momentum": 1.5}, "recipe.momentum got 1.5, needs 0 to 1"),
        ({"weight_decay": -1}, "recipe.weight_decay"),
        ({"warmup": 2}, "recipe.warmup"),
        ({"label_smoothing": -0.1}, "recipe.label_smoothing"),
        ({"clip": 0}, "recipe.clip got 0, needs 1e-12 or more"),
        ({"optimizer": "adam"}, "unknown recipe.optimizer 'adam': did you mean 'adamw'"),
        ({"schedule": "cosin"}, "unknown recipe.schedule 'cosin': did you mean 'cosine'"),
        ({"precision": "bfloat"}, "unknown recipe.precision 'bfloat': did you mean 'bfloat16'"),
        (
            {"nesterov": True, "momentum": 0.0},
            "recipe.nesterov got true, needs optimizer 'sgd' and a momentum above 0",
        ),
        ({"nesterov": True, "optimizer": "adamw"}, "recipe.nesterov got true"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        Recipe(**settings)
    assert "\n" not in str(caught.value)
