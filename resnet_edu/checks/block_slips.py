"""What a block with one mistake would compute; the checks of chapters 4 and 5 name a mistake by its result."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def same(x: Tensor) -> Tensor:
    """Return x: in the place of a ReLU, the mistake of leaving it out."""
    return x


def slip_maker(branch: Callable) -> Callable:
    """Return a function that makes blocks with a mistake: in the branch, at the addition, at the end, on the shortcut.

    Args:
        branch: ``branch(block, x, **options)`` computes F(x) with the mistakes that its options ask for.

    Example:
        >>> from resnet_edu.blocks import BasicBlock
        >>> slip = slip_maker(lambda block, x: block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x))))))
        >>> forgotten = slip(end=same)  # the last ReLU
        >>> (forgotten(BasicBlock(2, 2), torch.randn(2, 2, 4, 4)) < 0).any().item()
        True
    """

    def slip(join: Callable = torch.add, end: Callable = F.relu, shortcut: Callable = same, **options) -> Callable:
        def run(block: nn.Module, x: Tensor) -> Tensor:
            identity = x if block.downsample is None else block.downsample(x)
            return end(join(branch(block, x, **options), shortcut(identity)))

        return run

    return slip


def slips_at_the_addition(slip: Callable) -> list[tuple[Callable, str]]:
    """The mistakes that every block can have where branch and shortcut meet, each with its hint."""
    return [
        (slip(join=lambda out, identity: out), "The shortcut is not added: F(x) + x."),
        (slip(join=lambda out, identity: identity), "The branch is not added: F(x) + x."),
        (slip(join=torch.sub), "F(x) and x are ADDED."),
        (slip(join=lambda out, identity: identity - out), "F(x) and x are ADDED."),
        (slip(join=torch.mul), "F(x) and x are ADDED, not multiplied."),
        (slip(join=lambda out, identity: (out + identity) / 2), "F(x) and x are added, not averaged."),
        (slip(shortcut=F.relu), "There is a ReLU on the shortcut: it carries x, or its projection, as it is."),
    ]
