"""Batched augmentation: an own random crop and an own flip for every image of a batch, in one gather (chapter 8).

The random numbers are drawn apart from their use: an epoch's views are drawn once, on the CPU, so that they are the
same on every device and for any number of processes.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Views(NamedTuple):
    """How each of N images is looked at: where its crop starts, and whether it is mirrored."""

    top: Tensor  # int64 (N,), rows from the padded image's top, 0 to 2 * pad
    left: Tensor  # int64 (N,), columns from its left edge, 0 to 2 * pad
    mirrored: Tensor  # bool (N,)


def draw_views(count: int, pad: int, mirror: bool, generator: torch.Generator) -> Views:
    """Draw a crop for each of ``count`` images and, where ``mirror`` is set, a fair coin for its flip.

    Args:
        count: how many images, N.
        pad: pixels of padding on each side, at least 0.
        mirror: flip half of the images; leave it off where left and right differ in meaning, as for digits.
        generator: on the CPU.

    Example:
        >>> top, left, mirrored = draw_views(5, pad=4, mirror=True, generator=torch.Generator().manual_seed(0))
        >>> top.shape, mirrored.dtype, int(top.max()) <= 8
        (torch.Size([5]), torch.bool, True)

    Built in chapter 8.
    """
    top, left = torch.randint(2 * pad + 1, (2, count), generator=generator)
    mirrored = torch.rand(count, generator=generator) < 0.5 if mirror else torch.zeros(count, dtype=torch.bool)
    return Views(top, left, mirrored)


def crop_and_flip(images: Tensor, views: Views, pad: int) -> Tensor:
    """Pad each image with zeros, cut a window of the old size out at its own place, and mirror it if its coin says so.

    Args:
        images: (N, C, H, W), already standardised, so that the zeros of the padding are the mean.
        views: of N images, on the images' device.
        pad: pixels on each side, the same as when the views were drawn.

    Shape: (N, C, H, W) -> (N, C, H, W), in the memory format channels_last.

    Example:
        >>> image = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
        >>> mirrored = Views(torch.tensor([1]), torch.tensor([1]), torch.tensor([True]))
        >>> crop_and_flip(image, mirrored, pad=1).flatten().tolist()
        [2.0, 1.0, 4.0, 3.0]
        >>> shifted = Views(torch.tensor([2]), torch.tensor([1]), torch.tensor([False]))
        >>> crop_and_flip(image, shifted, pad=1).flatten().tolist()
        [3.0, 4.0, 0.0, 0.0]

    He et al. 2015, section 4.2: 4 pixels on each side of 32x32 images, and a horizontal flip. Built in chapter 8.
    """
    count, _, height, width = images.shape
    device = images.device
    rows = views.top[:, None] + torch.arange(height, device=device)  # (N, H)
    columns = torch.arange(width, device=device)
    columns = torch.where(views.mirrored[:, None], width - 1 - columns, columns)  # (N, W)
    columns = columns + views.left[:, None]
    padded = F.pad(images, (pad, pad, pad, pad)).permute(0, 2, 3, 1)  # channels last: a gather copies whole pixels
    image = torch.arange(count, device=device)[:, None, None]
    return padded[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
