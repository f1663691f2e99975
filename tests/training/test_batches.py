"""Batches: every epoch is a permutation of its own."""

import pytest
import torch

from thalweg.data.augmentation import Augmentation
from thalweg.data.preparation import Prepare
from thalweg.errors import InputError
from thalweg.training.batches import Batches, Loader, map_batches


def numbered(**settings) -> Batches:
    return Batches(torch.arange(23.0)[:, None], torch.arange(23), size=5, **settings)


def order(batches: Batches, epoch: int = 0) -> list[int]:
    return torch.cat([y for _, y in batches.epoch(epoch)]).tolist()


def test_an_epoch_is_a_permutation():
    for epoch in range(3):
        assert sorted(order(numbered(), epoch)) == list(range(23))
    assert all(torch.equal(x[:, 0].long(), y) for x, y in numbered())


def test_epochs_and_seeds_differ_and_come_again():
    batches = numbered()
    assert (
        len({tuple(order(b, e)) for b in (batches, batches.reseeded(1, 0)) for e in range(3)}) == 6
    )
    assert order(batches, 2) == order(numbered(), 2) and order(batches.reseeded(0, 9), 2) == order(
        batches, 2
    )
    assert [y.tolist() for _, y in batches] == [y.tolist() for _, y in batches.epoch(0)]


def test_the_last_batch_is_short():
    assert len(numbered()) == 5 and [len(y) for _, y in numbered()] == [5, 5, 5, 5, 3]
    exact = Batches(torch.zeros(20, 1), torch.zeros(20).long(), size=5)
    assert len(exact) == 4 and [len(y) for _, y in exact] == [5] * 4
    large = Batches(torch.zeros(3, 1), torch.zeros(3).long(), size=5)
    assert len(large) == 1 and [len(y) for _, y in large] == [3]


def test_without_shuffling_the_order_is_that_of_the_data():
    assert order(numbered(shuffle=False), 4) == list(range(23))


def test_augmentation_has_a_seed_of_its_own():
    def augment(x, random):
        return x + torch.rand(x.shape, generator=random)

    def seen(batches, epoch=0):
        return torch.cat([x for x, _ in batches.epoch(epoch)])

    batches = numbered(augment=augment)
    assert not torch.equal(seen(batches), seen(batches.reseeded(0, 1)))
    assert torch.equal(seen(batches).floor(), seen(batches.reseeded(0, 1)).floor())
    assert torch.equal(seen(batches, 3), seen(batches, 3)) and not torch.equal(
        seen(batches, 3).frac(), seen(batches, 4).frac()
    )


def test_preparing_comes_before_augmenting():
    raw = Batches(
        torch.full((4, 1), 200, dtype=torch.uint8),
        torch.zeros(4).long(),
        prepare=lambda x: x / 100,
        augment=lambda x, _: -x,
    )
    assert next(iter(raw))[0].tolist() == [[-2.0]] * 4


def test_chosen_examples():
    chosen = numbered(shuffle=False).chosen(torch.tensor([3, 3, 1]))
    assert order(chosen) == [3, 3, 1]


def test_pairs_pick_from_any_batch():
    loader = map_batches(
        [
            {"x": torch.zeros(4, 2), "y": torch.ones(4)},
            {"x": torch.zeros(1, 2), "y": torch.ones(1)},
        ],
        lambda b: (b["x"], b["y"]),
    )
    assert len(loader) == 2 and isinstance(loader, Loader)
    assert (
        [tuple(x.shape) for x, _ in loader]
        == [(4, 2), (1, 2)]
        == [tuple(x.shape) for x, _ in loader]
    )


@pytest.mark.parametrize(
    ("inputs", "targets", "size", "message"),
    [
        (3, 4, 2, "got 3 inputs and 4 targets"),
        (0, 0, 2, "got 0 inputs"),
        (3, 3, 0, "size got 0, needs a whole number"),
    ],
)
def test_bad_batches(inputs, targets, size, message):
    with pytest.raises(InputError, match=message):
        Batches(torch.zeros(inputs, 1), torch.zeros(targets).long(), size=size)


def test_augmentation_differs_from_epoch_to_epoch_in_any_order():
    batches = numbered(
        shuffle=False, augment=lambda x, random: x + torch.rand(x.shape, generator=random)
    )
    first, second = (torch.cat([x for x, _ in batches.epoch(e)]) for e in (0, 1))
    assert (first != second).all() and torch.equal(first.floor(), second.floor())


def slow(batches: Batches, number: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One example after the other, prepared alone; augmented batch by batch, as is promised."""
    order, random, found = batches.order(number).tolist(), batches.augmenting(number), []
    for start in range(0, len(order), batches.size):
        chosen = order[start : start + batches.size]
        x = torch.cat([batches.prepare(batches.inputs[i : i + 1]) for i in chosen])
        found.append(
            (x if batches.augment is None else batches.augment(x, random), batches.targets[chosen])
        )
    return found


@pytest.mark.parametrize("together", [1, 2, 3, 100])
@pytest.mark.parametrize("augment", [None, Augmentation(padding=2)])
@pytest.mark.parametrize("examples", [40, 43])
def test_batches_that_are_gathered_together_equal_a_slow_twin(
    examples, augment, together, monkeypatch
):
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (examples, 2, 8, 8), dtype=torch.uint8, generator=random)
    batches = Batches(
        images,
        torch.arange(examples),
        size=5,
        prepare=Prepare((0.4, 0.5), (0.2, 0.3)),
        augment=augment,
    )
    monkeypatch.setattr(Batches, "_together", together)
    for number in (0, 3):
        found, expected = list(batches.epoch(number)), slow(batches, number)
        assert len(found) == len(expected) == len(batches)
        for (x, y), (wanted, labels) in zip(found, expected, strict=True):
            assert torch.equal(x, wanted) and torch.equal(y, labels)


def test_small_batches_are_prepared_several_at_once_and_large_ones_one_by_one():
    def sizes(*shape: int) -> list[int]:
        seen: list[int] = []
        batches = Batches(
            torch.zeros(24, *shape),
            torch.zeros(24).long(),
            size=4,
            prepare=lambda x: (seen.append(len(x)), x)[1],
        )
        assert [len(x) for x, _ in batches] == [4] * 6
        return seen

    assert sizes(3) == [24]
    assert sizes(2**15) == [8, 8, 8]  # 2^20 bytes are two batches of 4 x 2^15 numbers of 4 bytes
    assert sizes(2**17) == [4] * 6


def test_a_pass_that_is_left_early_prepares_no_more_than_it_needs():
    seen: list[int] = []
    batches = Batches(
        torch.zeros(24, 2**17),
        torch.zeros(24).long(),
        size=4,
        prepare=lambda x: (seen.append(len(x)), x)[1],
    )
    next(iter(batches))
    assert seen == [4]
