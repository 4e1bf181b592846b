"""The two ways to train that are compared: the usual teaching loop, and this book's engine with its parts to choose."""

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from resnet_edu import data
from resnet_edu.cifar import cifar_resnet
from resnet_edu.train.batches import Images, shuffled
from resnet_edu.train.epoch import make_objective, train_epoch
from resnet_edu.train.recipe import FULL_LENGTH, Recipe, make_optimizer, make_schedule

BATCH = 128
PAD = 4


def images_for(steps: int, source: str) -> tuple[Tensor, Tensor]:
    """Return as many images, uint8 (N, 3, 32, 32), and labels as fill ``steps`` batches.

    Args:
        steps: batches of 128.
        source: ``"synthetic"`` for random bytes, which need no data and cost the same, or ``"cifar10"``.

    Raises:
        ValueError, FileNotFoundError: see :func:`resnet_edu.data.load`; or CIFAR-10 has fewer images.
    """
    if steps < 1:
        raise ValueError(f"at least one step is needed, and {steps} were asked for")
    count = steps * BATCH
    if source == "synthetic":
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
        return images, torch.randint(10, (count,), generator=generator)
    dataset = data.load(source)
    if count > len(dataset.train_images):
        most = len(dataset.train_images) // BATCH
        raise ValueError(f"{source} has images for 1 to {most} steps of {BATCH} images, and {steps} were asked for")
    return dataset.train_images[:count], dataset.train_labels[:count]


class PILImages(Dataset):
    """Images one by one, as most tutorials have them: an array, a PIL image, and torchvision's transforms for it."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = labels.tolist()
        mean, std = data.channel_statistics(images)
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(images.shape[-1], padding=PAD),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(mean.tolist(), std.tolist()),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def usual_loop(images: Tensor, labels: Tensor, device: torch.device, workers: int) -> Callable[[], None]:
    """Return a function that trains ResNet-20 for one epoch as most tutorials do."""
    loader = DataLoader(
        PILImages(images, labels),
        BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    torch.manual_seed(0)
    model = cifar_resnet(20).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

    def objective(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        logits = model(images)
        return F.cross_entropy(logits, labels), (logits.argmax(dim=1) != labels).sum()

    return lambda: _asking_each_step(objective, loader, optimizer)


def engine(
    images: Tensor,
    labels: Tensor,
    device: torch.device,
    *,
    ask_each_step: bool = False,
    channels_last: bool = True,
    precision: str = "fp32",
    compiled: bool = False,
    graphs: bool = True,
) -> Callable[[], None]:
    """Return a function that trains ResNet-20 for one epoch with the engine.

    Args:
        images, labels: see :func:`images_for`.
        device: where.
        ask_each_step: ask for loss and errors after each step, as the usual loop does, not once an epoch.
        channels_last, precision, compiled, graphs: see :class:`resnet_edu.train.plan.Plan`.
    """
    kept = Images(images, labels, data.pixel_mean(images), device, channels_last=channels_last)
    torch.manual_seed(0)
    model = cifar_resnet(20).to(device, memory_format=kept.format)
    optimizer = make_optimizer(model, Recipe())
    schedule = make_schedule(optimizer, Recipe(), FULL_LENGTH)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    objective = make_objective(model, kept, pad=PAD, precision=precision)
    if compiled:  # as resnet_edu.train.run does it
        mode = "reduce-overhead" if graphs and device.type == "cuda" else "default"
        objective = torch.compile(objective, mode=mode, dynamic=False)
    generator = torch.Generator().manual_seed(0)

    def epoch() -> None:
        batches = shuffled(kept, BATCH, generator, pad=PAD, mirror=True)
        if ask_each_step:
            _asking_each_step(objective, batches, optimizer)
        else:
            losses, wrong = train_epoch(objective, batches, optimizer, schedule, scaler)
            torch.cat([losses.double(), wrong.double()[None]]).tolist()

    return epoch


def _asking_each_step(objective: Callable, batches, optimizer: torch.optim.Optimizer) -> None:
    total, wrong = 0.0, 0
    for batch in batches:
        loss, errors = objective(*batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        wrong += errors.item()
