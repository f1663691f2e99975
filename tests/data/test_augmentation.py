import numpy as np
import pytest
import torch

from thalweg.data import Augmentation
from thalweg.errors import InputError


def by_loop(x, padding, border, shift, mirror):
    """The textbook's way: pad every image with numpy, cut, mirror."""
    mode = {"reflect": {"mode": "reflect"}, "zero": {"mode": "constant"}}[border]
    height, width = x.shape[2:]
    images = []
    for image, (down, right), mirrored in zip(
        x.numpy(), shift.tolist(), mirror.tolist(), strict=True
    ):
        padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)), **mode)
        cut = padded[
            :, padding + down : padding + down + height, padding + right : padding + right + width
        ]
        images.append(cut[:, :, ::-1] if mirrored else cut)
    return torch.from_numpy(np.stack(images))


@pytest.mark.parametrize("border", ["reflect", "zero"])
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("shape", [(64, 3, 9, 7), (5, 1, 8, 8)])
def test_equals_a_loop_over_images(border, flip, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    got = Augmentation(4, flip, border)(x, torch.Generator().manual_seed(1))
    shift, mirror = Augmentation(4).draw(len(x), torch.Generator().manual_seed(1))
    assert torch.equal(got, by_loop(x, 4, border, shift, mirror & flip))


def test_shifts_cover_the_whole_range_evenly_and_half_are_mirrored():
    shift, mirror = Augmentation(2).draw(20_000, torch.Generator().manual_seed(0))
    counts = torch.bincount((shift + 2).flatten(), minlength=5)
    assert len(counts) == 5 and counts.min() > 7_600 and counts.max() < 8_400
    assert 0.48 < mirror.float().mean() < 0.52


def test_padding_as_large_as_the_image_needs_another_border():
    x = torch.ones(2, 1, 4, 4)
    with pytest.raises(InputError, match="less padding or border 'zero'"):
        Augmentation(4)(x, torch.Generator())
    assert Augmentation(4, border="zero")(x, torch.Generator()).shape == x.shape


def test_bad_settings():
    with pytest.raises(InputError, match="padding -1"):
        Augmentation(-1)
    with pytest.raises(InputError, match="border 'wrap'"):
        Augmentation(1, border="wrap")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_same_change_on_every_device():
    x = torch.randn(16, 3, 32, 32)
    on_cpu = Augmentation()(x, torch.Generator().manual_seed(3))
    assert torch.equal(Augmentation()(x.cuda(), torch.Generator().manual_seed(3)).cpu(), on_cpu)
