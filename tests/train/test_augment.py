"""Each image gets its own crop and its own flip, and the batched gather is what slicing one by one gives."""

import torch
from torch.nn import functional as F

from resnet_edu.train.augment import Views, crop_and_flip, draw_views


def one_by_one(images, views, pad):
    """The same, slowly: pad, slice, mirror, an image at a time."""
    height, width = images.shape[-2:]
    result = []
    for image, top, left, mirrored in zip(images, *views, strict=True):
        window = F.pad(image, (pad,) * 4)[:, top : top + height, left : left + width]
        result.append(window.flip(-1) if mirrored else window)
    return torch.stack(result)


def test_the_gather_is_the_loop():
    generator = torch.Generator().manual_seed(0)
    for shape, pad in (((64, 3, 32, 32), 4), ((16, 1, 8, 8), 1), ((5, 2, 6, 9), 3), ((4, 3, 7, 7), 0)):
        images = torch.randn(shape, generator=generator)
        views = draw_views(shape[0], pad, True, generator)
        assert torch.equal(crop_and_flip(images, views, pad), one_by_one(images, views, pad))


def test_every_place_and_both_flips_are_drawn_equally_often():
    views = draw_views(90_000, 1, True, torch.Generator().manual_seed(1))
    counts = torch.bincount(9 * views.mirrored + 3 * views.top + views.left, minlength=18)
    assert len(counts) == 18
    assert (counts - 5000).abs().max() < 350  # five standard deviations


def test_without_padding_and_mirror_the_images_stay():
    images = torch.randn(4, 3, 8, 8)
    views = draw_views(4, 0, False, torch.Generator())
    assert torch.equal(crop_and_flip(images, views, 0), images)


def test_the_images_are_not_written_to():
    images = torch.randn(2, 1, 4, 4)
    before = images.clone()
    crop_and_flip(images, Views(torch.tensor([0, 2]), torch.tensor([1, 0]), torch.tensor([True, False])), 1)
    assert torch.equal(images, before)
