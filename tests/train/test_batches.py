"""An epoch visits every image at most once, and processes share its batches without overlap."""

import pytest
import torch

from resnet_edu import data
from resnet_edu.train.batches import Images, shuffled


@pytest.fixture
def numbered():
    """22 images, each labelled with its own number."""
    images = torch.arange(22, dtype=torch.uint8)[:, None, None, None].expand(22, 1, 4, 4).contiguous()
    return Images(images, torch.arange(22), torch.zeros(1, 4, 4), "cpu")


def epoch(images, generator, **kwargs):
    return [labels.tolist() for _, labels, _ in shuffled(images, 4, generator, pad=1, mirror=True, **kwargs)]


def test_each_image_comes_at_most_once_and_other_ones_are_left_out_each_time(numbered):
    generator = torch.Generator().manual_seed(0)
    left_out = set()
    for _ in range(20):
        batches = epoch(numbered, generator)
        seen = [number for batch in batches for number in batch]
        assert [len(batch) for batch in batches] == [4] * 5
        assert len(set(seen)) == 20
        left_out |= set(range(22)) - set(seen)
    assert len(left_out) > 10


def test_images_and_labels_stay_together(numbered):
    for images, labels, _ in shuffled(numbered, 4, torch.Generator(), pad=0, mirror=False):
        assert torch.equal(images[:, 0, 0, 0].long(), labels)


def test_two_processes_see_what_one_sees(numbered):
    alone = epoch(numbered, torch.Generator().manual_seed(3))
    shares = [epoch(numbered, torch.Generator().manual_seed(3), rank=rank, processes=2) for rank in (0, 1)]
    assert [first + second for first, second in zip(*shares, strict=True)] == alone


def test_preparation_is_the_books_standardisation():
    digits = data.load("digits")
    mean = data.pixel_mean(digits.train_images)
    images = Images(digits.train_images, digits.train_labels, mean, "cpu")
    ones = torch.ones(1, dtype=torch.float64)
    expected = data.standardise(digits.train_images, mean, ones)
    torch.testing.assert_close(images.prepare(images.images), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_memory_format_is_the_one_asked_for(channels_last):
    pixels = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
    images = Images(pixels, torch.arange(4), torch.zeros(3, 8, 8), "cpu", channels_last=channels_last)
    _, _, views = next(shuffled(images, 4, torch.Generator(), pad=1, mirror=True))
    prepared = images.prepare(pixels, views, 1)
    assert prepared.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert prepared.is_contiguous() != channels_last


def test_what_does_not_fit_is_refused(numbered):
    with pytest.raises(ValueError, match="22 images do not fill one batch of 23"):
        next(shuffled(numbered, 23, torch.Generator(), pad=0, mirror=False))
    with pytest.raises(ValueError, match="batch of 4 cannot be shared equally by 3"):
        next(shuffled(numbered, 4, torch.Generator(), pad=0, mirror=False, processes=3))
