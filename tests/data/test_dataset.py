import pickle
from dataclasses import replace

import numpy as np
import pytest
import sklearn.datasets
import torch

from thalweg.data import Dataset, Prepare, fingerprint, load, load_ood, splits
from thalweg.data.ood import adapted
from thalweg.errors import InputError


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def small(**change):
    facts = {
        "name": "small",
        "class_names": ("a", "b"),
        "train": torch.zeros(4, 3, 5, 6, dtype=torch.uint8),
        "train_labels": torch.tensor([0, 1, 1, 0]),
        "test": torch.zeros(2, 3, 5, 6, dtype=torch.uint8),
        "test_labels": torch.tensor([1, 0]),
        "mean": (0.5,) * 3,
        "std": (0.2,) * 3,
    }
    return Dataset(**(facts | change))


def test_facts_of_a_data_set():
    assert small().shape == (3, 5, 6) and small().classes == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": torch.zeros(4, 3, 5, 6)}, "small: train: got images of type torch.float32"),
        (
            {"test": torch.zeros(0, 3, 5, 6, dtype=torch.uint8)},
            "small: test: got images .*none of them 0",
        ),
        ({"test": torch.zeros(2, 3, 5, 5, dtype=torch.uint8)}, "need the same"),
        ({"train_labels": torch.tensor([0, 1, 2, 0])}, "labels from 0 to 2, needs 0 to 1"),
        ({"train_labels": torch.tensor([0, 1, -1, 0])}, "labels from -1 to 1"),
        ({"test_labels": torch.tensor([1])}, r"needs int64 \(2,\)"),
        ({"test_labels": torch.tensor([1.0, 0.0])}, "labels of type torch.float32"),
        ({"mean": (0.5,)}, "got 1 means and 3 standard deviations, needs 3"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(InputError, match=message) as error:
        small(**change)
    assert "\n" not in str(error.value)


def test_fingerprint_sees_every_part():
    original = fingerprint(small())
    assert fingerprint(small()) == original
    changes = [
        {"train": torch.ones(4, 3, 5, 6, dtype=torch.uint8)},
        {"test_labels": torch.tensor([0, 0])},
        {"name": "other"},
    ]
    assert len({original, *(fingerprint(small(**change)) for change in changes)}) == 4


def test_digits_are_scikit_learns(digits):
    bunch = sklearn.datasets.load_digits()
    ours = torch.cat([digits.train, digits.test]).numpy()[:, 0]
    assert ours.dtype == np.uint8 and len(digits.train) == 1197 and len(digits.test) == 600
    # as multisets of (image, label): nothing lost, nothing twice, no label moved
    labels = torch.cat([digits.train_labels, digits.test_labels]).tolist()
    got = sorted((image.tobytes(), label) for image, label in zip(ours, labels, strict=True))
    scaled = [
        [[int(value * 255 / 16 + 0.5) for value in row] for row in image] for image in bunch.images
    ]
    want = sorted(
        (np.array(image, np.uint8).tobytes(), int(label))
        for image, label in zip(scaled, bunch.target, strict=True)
    )
    assert got == want


def test_digits_order_is_fixed(digits):
    # another order would make committed results incomparable
    assert digits.test_labels[:12].tolist() == [0, 5, 0, 4, 7, 0, 6, 9, 9, 6, 4, 2]


def test_prepared_training_images_have_mean_0_and_deviation_1(digits):
    prepare = pickle.loads(pickle.dumps(Prepare(digits.mean, digits.std)))
    x = prepare(digits.train)
    assert x.dtype == torch.float32 and abs(x.mean()) < 1e-3 and abs(x.std() - 1) < 1e-3
    one = digits.train[7, 0, 3, 4].item()
    assert x[7, 0, 3, 4].item() == pytest.approx(
        (one / 255 - digits.mean[0]) / digits.std[0], rel=1e-5
    )


def test_every_channel_is_prepared_with_its_own_numbers():
    means, stds = (0.49, 0.1, 0.9), (0.2, 0.05, 0.3)
    images = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 3, 16, 16)
    expected = [
        [(value / 255 - m) / s for value in range(256)] for m, s in zip(means, stds, strict=True)
    ]
    kept = images.clone()
    for _ in range(2):  # its constants are kept, and must stay what they are
        found = Prepare(means, stds)(images)
        assert np.allclose(found.flatten(2)[0], expected, rtol=0, atol=1e-5) and torch.equal(
            images, kept
        )
        found.zero_()
    other = Prepare(means[::-1], stds[::-1])(images)
    assert np.allclose(other.flip(1).flatten(2)[0], expected, rtol=0, atol=1e-5)


def test_prepare_refuses_what_would_broadcast():
    prepare = Prepare((0.5,) * 3, (0.2,) * 3)
    with pytest.raises(InputError, match=r"needs uint8 \[batch, 3"):
        prepare(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))
    with pytest.raises(InputError, match="float32"):
        prepare(torch.zeros(2, 3, 4, 4))
    with pytest.raises(InputError, match="above 0"):
        Prepare((0.5,), (0.0,))


def counted(train=50, test=20):
    """A data set whose images are numbered, so that one can see where each went."""
    numbers = torch.arange(train + test, dtype=torch.uint8).view(-1, 1, 1, 1)
    labels = torch.arange(train + test) % 2
    return Dataset(
        "counted",
        tuple("ab"),
        numbers[:train],
        labels[:train],
        numbers[train:],
        labels[train:],
        (0.5,),
        (0.5,),
    )


def test_splits_are_disjoint_and_keep_their_labels():
    parts = splits(counted(), train=30, validation=15, test=12)
    numbers = [part.flatten().tolist() for part in (parts.train, parts.validation, parts.test)]
    assert [len(part) for part in numbers] == [30, 15, 12]
    assert len(set().union(*numbers)) == 57 and max(numbers[0] + numbers[1]) < 50 <= min(numbers[2])
    for part, labels in zip(
        numbers, (parts.train_labels, parts.validation_labels, parts.test_labels), strict=True
    ):
        assert [number % 2 for number in part] == labels.tolist()


def test_splits_are_nested_and_fixed():
    few, many = splits(counted(), train=5, validation=15, test=3), splits(counted(), validation=15)
    assert len(many.train) == 35 and len(many.test) == 20
    assert torch.equal(few.validation, many.validation)
    assert torch.equal(few.train, many.train[:5]) and torch.equal(few.test, many.test[:3])
    assert many.train.flatten()[:6].tolist() == [31, 2, 7, 3, 22, 43]


def test_splits_leave_the_callers_random_state():
    before = torch.get_rng_state()
    splits(counted(), validation=3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train": 40, "validation": 11}, "40 training and 11 validation images, .*50 at most"),
        ({"validation": 50}, "got 0 training"),
        ({"validation": -1}, "got 51 training and -1 validation"),
        ({"train": 0, "validation": 1}, "got 0 training"),
        ({"validation": 1, "test": 21}, "got 21 test images, needs 1 to 20"),
        ({"validation": 1, "test": 0}, "got 0 test"),
    ],
)
def test_splits_that_can_not_be_had(sizes, message):
    with pytest.raises(InputError, match=message):
        splits(counted(), **sizes)


def test_ood_images_made_of_the_test_images(digits):
    originals = {image.numpy().tobytes() for image in digits.test}
    for name, back in (
        ("rotated", lambda image: np.rot90(image, -1)),
        ("inverted", lambda image: 255 - image),
    ):
        images = load_ood(name, digits)
        assert (
            images.shape == digits.test.shape and images.dtype == torch.uint8
        )  # there are only 600
        assert all(
            np.ascontiguousarray(back(image[0].numpy())).tobytes() in originals for image in images
        )
        assert torch.equal(load_ood(name, digits, count=7), images[:7])
    noise = load_ood("noise", digits, count=2000).float()
    assert (
        len(noise) == 2000
        and abs(noise.mean() - 127.5) < 1
        and noise.min() == 0
        and noise.max() == 255
    )


def test_noisy_images_have_the_noise_of_the_third_severity(digits):
    grey = replace(digits, test=torch.full_like(digits.test, 128))
    images = load_ood("noisy", grey)
    assert images.float().std().item() == pytest.approx(0.18 * 255, rel=0.05)
    assert abs(images.float().mean() - 128) < 3 and images.dtype == torch.uint8


def test_adapted_images():
    colour = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    colour[:, 1] = 200  # green
    assert adapted(colour, (1, 4, 4)).unique().tolist() == [round(0.587 * 200)]
    grey = torch.full((2, 1, 4, 4), 9, dtype=torch.uint8)
    assert torch.equal(adapted(grey, (3, 8, 2)), torch.full((2, 3, 8, 2), 9, dtype=torch.uint8))
    assert torch.equal(adapted(colour, (3, 4, 4)), colour)


def test_ood_names_that_do_not_work(digits):
    with pytest.raises(InputError, match="did you mean 'rotated'"):
        load_ood("rotatd", digits)
    with pytest.raises(InputError, match="which is the data set itself"):
        load_ood("digits", digits)
    with pytest.raises(InputError, match="count 0"):
        load_ood("noise", digits, count=0)
    other = replace(digits, name="letters")
    assert load_ood("digits", other, count=3).shape == (3, 1, 8, 8)
