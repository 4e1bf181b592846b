"""Images standardised: their statistics, always those of the training set, and what is subtracted and divided."""

import torch
from torch import Tensor

from resnet_edu.data.datasets import Dataset


def standardised_splits(dataset: Dataset) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return training images and labels, test images and labels, the images standardised channel by channel.

    Both sets are standardised with the TRAINING set's statistics: the test images must not influence anything that
    is fitted, and a network must see both through the same lens.

    Args:
        dataset: what `load` returned; it stays as it was.

    Returns:
        float32 (N, C, H, W), int64 (N,), float32 (M, C, H, W), int64 (M,).

    Example:
        >>> from resnet_edu.data import load
        >>> train_x, train_y, test_x, test_y = standardised_splits(load("digits"))
        >>> train_x.shape, test_y.shape
        (torch.Size([1437, 1, 8, 8]), torch.Size([360]))
        >>> abs(train_x.mean().item()) < 1e-5, abs(train_x.std().item() - 1) < 1e-4
        (True, True)

    First used in chapter 1.
    """
    mean, std = channel_statistics(dataset.train_images)
    train_x = standardise(dataset.train_images, mean, std)
    return train_x, dataset.train_labels, standardise(dataset.test_images, mean, std), dataset.test_labels


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel over all images and pixels, on the scale where 255 is 1.

    The deviation is that of the whole population (divided by the number of values, not by one less).

    Args:
        images: uint8 (N, C, H, W), N at least 1.

    Returns:
        float64 (C,) and float64 (C,).

    Raises:
        ValueError: the images are not uint8 of four dimensions.

    Example:
        >>> images = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
        >>> channel_statistics(images)
        (tensor([0.5000], dtype=torch.float64), tensor([0.5000], dtype=torch.float64))

    First used in chapter 1.
    """
    _expect_images(images)
    # 256 counts a channel say it all: exact, and no float copy of 150 million pixels
    counts = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(dim=1)])
    share = counts.double() / counts.sum(dim=1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64, device=images.device) / 255
    mean = share @ values
    return mean, (share * (values - mean[:, None]) ** 2).sum(dim=1).sqrt()


def pixel_mean(images: Tensor) -> Tensor:
    """Return the mean image, on the scale where 255 is 1: what the paper subtracts on CIFAR-10.

    Args:
        images: uint8 (N, C, H, W), N at least 1.

    Returns:
        float64 (C, H, W).

    Raises:
        ValueError: the images are not uint8 of four dimensions.

    Example:
        >>> images = torch.tensor([[0, 255], [255, 255]], dtype=torch.uint8).reshape(2, 1, 1, 2)
        >>> pixel_mean(images)
        tensor([[[0.5000, 1.0000]]], dtype=torch.float64)

    He et al. 2015, section 4.2. Used in chapters 8 and 9.
    """
    _expect_images(images)
    # part by part, because torch widens its whole input to int64 before it adds
    return sum(part.sum(dim=0) for part in images.split(2000)).double() / len(images) / 255


def standardise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return ``(images / 255 - mean) / std`` as float32, on the images' device; the images stay as they are.

    Args:
        images: uint8 (N, C, H, W).
        mean: (C,) for a mean of each channel, or (C, H, W) for one of each pixel, on the scale where 255 is 1.
        std: (C,) or (C, H, W), on the same scale, positive; ``torch.ones(C)`` to subtract the mean only.

    Returns:
        float32 (N, C, H, W).

    Raises:
        ValueError: the images are not uint8 of four dimensions, the shapes do not belong together, or std holds a zero.

    Example:
        >>> images = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
        >>> standardise(images, *channel_statistics(images))
        tensor([[[[-1.,  1.]]]])

    First used in chapter 1.
    """
    _expect_images(images)
    shape = tuple(images.shape[1:])
    for what, values in (("mean", mean), ("std", std)):
        if tuple(values.shape) not in (shape[:1], shape):
            raise ValueError(f"{what} should have shape {shape[:1]} or {shape}, but it has {tuple(values.shape)}")
    if not (std > 0).all():
        raise ValueError("std should be positive everywhere: a value that never varies cannot be scaled to 1")
    mean, std = (
        (values * 255).to(images.device, torch.float32).reshape(*values.shape, *[1] * (3 - values.dim()))
        for values in (mean, std)
    )
    return images.float().sub_(mean).div_(std)  # in place: one float copy of the images, not three


def _expect_images(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.dim() != 4 or not len(images):
        met = f"{images.dtype} of {tuple(images.shape)}"
        raise ValueError(f"images should be torch.uint8 of shape (N, C, H, W), N at least 1, but they are {met}")
