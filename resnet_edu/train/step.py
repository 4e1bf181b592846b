"""One training step, the evaluation of a network, and the plain loop around them (chapters 1 and 2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> Tensor:
    """Take one step of gradient descent on one batch and return the loss before the step.

    Args:
        model: maps (N, C, H, W) images to (N, classes) logits.
        optimizer: holds the model's parameters.
        images: (N, C, H, W) floats.
        labels: (N,) integers from 0 to classes - 1.

    Returns:
        The mean cross-entropy of the batch in nats, a detached scalar, left on the device so that nobody waits for it.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> train_step(model, optimizer, torch.zeros(3, 1, 2, 2), torch.tensor([0, 1, 1])).shape
        torch.Size([])

    Built in chapter 1.
    """
    model.train()
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def evaluate(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 512) -> tuple[float, float]:
    """Return the mean loss (nats) and the error (percent) of a network in evaluation mode.

    The network's mode, training or evaluation, is put back afterwards, for all its parts alike.

    Args:
        model: maps (N, C, H, W) images to (N, classes) logits.
        images: (N, C, H, W) floats, N at least 1.
        labels: (N,) integers.
        batch_size: how many images go through at once; it changes memory, not the result.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
        >>> loss, error = evaluate(model, torch.zeros(3, 1, 2, 2), torch.tensor([0, 1, 1]))
        >>> round(loss, 4), round(error, 1)  # ln 2, and every tie is called class 0
        (0.6931, 66.7)

    Built in chapter 1.
    """
    was_training = model.training
    model.eval()
    loss, wrong = 0.0, 0
    batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    for some_images, some_labels in batches:
        logits = model(some_images)
        loss += F.cross_entropy(logits, some_labels, reduction="sum").item()
        wrong += (logits.argmax(dim=1) != some_labels).sum().item()
    model.train(was_training)
    return loss / len(labels), 100 * wrong / len(labels)


def fit(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    iterations: int = 300,
    batch_size: int = 64,
    lr: float = 0.02,
    drops: tuple[int, ...] = (210,),
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    seed: int = 0,
) -> Tensor:
    """Train a network with SGD on shuffled batches and return the loss of each iteration.

    Every epoch visits the images in a new random order; an epoch's last, smaller batch is left out. The order comes
    from its own generator, so that two networks trained with the same seed see the same batches.

    Args:
        model: trained in place; maps (N, C, H, W) images to (N, classes) logits.
        images: (N, C, H, W) floats, already standardised, N at least ``batch_size``.
        labels: (N,) integers.
        iterations: how many steps.
        lr: the learning rate, divided by 10 at every iteration in ``drops``.
        seed: of the order of the images; the initial weights are the caller's.

    Returns:
        (iterations,) batch losses in nats.

    Raises:
        ValueError: fewer images than one batch.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        >>> fit(model, torch.randn(8, 1, 2, 2), torch.arange(8) % 2, iterations=3, batch_size=4).shape
        torch.Size([3])

    The schedule is He et al. 2015, section 4.2, scaled down. Built in chapter 2.
    """
    if len(images) < batch_size:
        raise ValueError(f"{len(images)} images do not fill one batch of {batch_size}: pass a smaller batch_size")
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=list(drops), gamma=0.1)
    generator = torch.Generator().manual_seed(seed)
    losses: list[Tensor] = []
    while len(losses) < iterations:
        order = torch.randperm(len(images), generator=generator)
        full_batches = order[: len(order) // batch_size * batch_size].split(batch_size)
        for batch in full_batches[: iterations - len(losses)]:
            losses.append(train_step(model, optimizer, images[batch], labels[batch]))
            schedule.step()
    return torch.stack(losses)
