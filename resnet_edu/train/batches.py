"""The whole data set on the device as bytes, and batches made from it there, so that nothing is copied (chapter 8)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from resnet_edu.train.augment import Views, crop_and_flip, draw_views


class Images:
    """Images and labels on a device, and how they become what a network takes.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        mean: (C, H, W), the mean training image on the scale where 255 is 1; it is subtracted.
        device: where they are kept.
        channels_last: the memory format of what the network takes.

    Example:
        >>> images = torch.full((4, 1, 2, 2), 255, dtype=torch.uint8)
        >>> four = Images(images, torch.arange(4), mean=torch.full((1, 2, 2), 0.25), device="cpu")
        >>> four.prepare(four.images[:1]).flatten().tolist()
        [0.75, 0.75, 0.75, 0.75]
        >>> [labels.tolist() for _, labels in four.in_order(3)]
        [[0, 1, 2], [3]]
    """

    def __init__(
        self, images: Tensor, labels: Tensor, mean: Tensor, device: str | torch.device, *, channels_last: bool = True
    ) -> None:
        self.images = images.to(device)
        self.labels = labels.to(device)
        self.mean = mean.to(device, torch.float32)
        self.format = torch.channels_last if channels_last else torch.contiguous_format

    def prepare(self, images: Tensor, views: Views | None = None, pad: int = 0) -> Tensor:
        """Return float images with the mean subtracted, cropped and flipped where ``views`` are given."""
        images = images / 255 - self.mean
        if views is not None:
            images = crop_and_flip(images, views, pad)
        return images.contiguous(memory_format=self.format)

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images, as bytes, and labels in their order; the last batch may be smaller."""
        return zip(self.images.split(batch_size), self.labels.split(batch_size), strict=True)


def shuffled(
    data: Images,
    batch_size: int,
    generator: torch.Generator,
    *,
    pad: int,
    mirror: bool,
    rank: int = 0,
    processes: int = 1,
) -> Iterator[tuple[Tensor, Tensor, Views]]:
    """Yield one epoch of batches: images as bytes, labels, and how each image is to be looked at.

    The order and the views of the epoch are drawn at its start, on the CPU, from ``generator`` alone. Every image comes
    at most once: those that fill no whole batch at the end of the order are left out, other ones in each epoch. Of each
    batch, process ``rank`` of ``processes`` gets its own part, and together they get what one process would.

    Args:
        data: the training images.
        batch_size: over all processes together; a multiple of their number.
        generator: on the CPU, in the same state in every process.
        pad: pixels of padding before the crop; 0 leaves the images where they are.
        mirror: flip half of the images.

    Raises:
        ValueError: the images do not fill one batch, or the batch cannot be shared equally.

    Used in chapter 8.
    """
    count, device = len(data.images), data.images.device
    if count < batch_size:
        raise ValueError(f"{count} images do not fill one batch of {batch_size}: ask for a smaller batch")
    if batch_size % processes:
        raise ValueError(f"a batch of {batch_size} cannot be shared equally by {processes} processes")
    order = torch.randperm(count, generator=generator)[: count // batch_size * batch_size]
    mine = order.reshape(-1, processes, batch_size // processes)[:, rank].flatten()
    views = (part[mine] for part in draw_views(count, pad, mirror, generator))
    mine, *views = (_send(part, device) for part in (mine, *views))
    # gathered once an epoch, so that a batch is a slice, which costs nothing
    parts = (part.split(batch_size // processes) for part in (data.images[mine], data.labels[mine], *views))
    for images, labels, *looks in zip(*parts, strict=True):
        yield images, labels, Views(*looks)


def _send(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)  # from pinned memory, so that nobody waits
