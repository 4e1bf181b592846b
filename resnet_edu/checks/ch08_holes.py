"""The check of exercise 8.5: one square hole in each image, every place equally likely."""

import torch
from torch import Tensor

from resnet_edu.checks.verdict import NotAttempted, Wrong, exercise


@exercise("8.5")
def ex_8_5(answer):
    """Check ``punch_holes(images, size, generator)``: one square in each image, each place equally likely."""
    _expect_holes(answer, (6, 3, 6, 5), 2)
    _expect_holes(answer, (4, 1, 4, 7), 1)
    _expect_uniform(answer)
    _expect_holes(answer, (3, 2, 4, 4), 4)  # one place only; last, for randint(0) raises


def _expect_holes(answer, shape: tuple[int, ...], size: int) -> None:
    images = 1 + torch.rand(shape)
    kept = images.clone()
    met = answer(images, size, torch.Generator().manual_seed(1))
    if met is ...:
        raise NotAttempted
    if not isinstance(met, Tensor) or met.shape != images.shape:
        what = tuple(met.shape) if isinstance(met, Tensor) else type(met).__name__
        raise Wrong(f"For images of shape {shape} it should return a tensor of that shape, but it returns {what}.")
    if met.dtype != images.dtype:
        raise Wrong(f"For images of {images.dtype} it should return the same, but it returns {met.dtype}.")
    if not torch.equal(images, kept):
        raise Wrong(
            "The images that came in have changed: the data set would fill with holes. Write into a new tensor."
        )
    _expect_squares(met, kept, size)


def _expect_squares(met: Tensor, images: Tensor, size: int) -> None:
    zero = met == 0
    if not torch.equal(met[~zero], images[~zero]):
        raise Wrong("Outside the holes the pixels should stay as they are, but some have changed.")
    if not (zero == zero[:, :1]).all():
        raise Wrong("A hole goes through all channels of its image at the same place, but here the channels differ.")
    holes = zero[:, 0]
    if all(_is_square(~hole, size) and not _is_square(hole, size) for hole in holes):
        raise Wrong("The square is kept, and all around it is zero: turn the mask round, with ~.")
    for number, hole in enumerate(holes):
        rows, columns = hole.any(1).sum().item(), hole.any(0).sum().item()
        if not _is_square(hole, size):
            what = f"{hole.sum()} zeros in {rows} rows and {columns} columns" if hole.any() else "no zero"
            hint = (
                f"It is {size} long in each direction and lies wholly inside the image: look at its limits."
                if hole.sum() == rows * columns
                else "Rows and columns both belong to the hole: combine their masks with &."
            )
            raise Wrong(
                f"With size={size} image {number} should have a square of {size}x{size} zeros, but it has {what}. "
                f"{hint}"
            )


def _is_square(hole: Tensor, size: int) -> bool:
    rows, columns = hole.any(1).sum().item(), hole.any(0).sum().item()
    return (rows, columns) == (size, size) and hole.sum().item() == size * size


def _places(met: Tensor) -> tuple[Tensor, Tensor]:
    zero = met[:, 0] == 0
    return zero.any(2).int().argmax(1), zero.any(1).int().argmax(1)


def _expect_uniform(answer) -> None:
    count, height, width, size = 6000, 5, 6, 3
    down, across = height - size + 1, width - size + 1
    images = torch.ones(count, 1, height, width)
    met = answer(images, size, torch.Generator().manual_seed(2))
    top, left = _places(met)
    if len(met.unique(dim=0)) == 1:
        raise Wrong("All images have the same hole: draw one number for each image, not one for the batch.")
    if len(top.unique()) == 1 or len(left.unique()) == 1:
        which = "row" if len(top.unique()) == 1 else "column"
        raise Wrong(f"All holes begin in the same {which}: draw rows and columns, for each image.")
    if top.max() < down - 1 or left.max() < across - 1:
        edge = "lower" if top.max() < down - 1 else "right"
        raise Wrong(f"In {count} images no hole touches the {edge} edge: randint(n) draws from 0 to n - 1.")
    counts = torch.bincount(top * across + left, minlength=down * across)
    if (counts == 0).any():
        raise Wrong("Some places never occur: are row and column drawn apart, or is one number used for both?")
    expected = count / (down * across)
    if (counts - expected).abs().max() > 6 * expected**0.5:
        raise Wrong(
            f"Each of {down * across} places should occur about {expected:.0f} times, but the counts go from "
            f"{counts.min()} to {counts.max()}: draw whole numbers, each equally likely."
        )
    if (met[1:] == met[:-1]).flatten(1).all(1).float().mean() > 0.5:
        raise Wrong("Neighbouring images mostly share their hole: draw one number for each image.")
    torch.manual_seed(77)
    again = answer(images, size, torch.Generator().manual_seed(2))
    if not torch.equal(again, met):
        raise Wrong(
            "The same generator should give the same holes, but it does not: pass generator=generator to every draw."
        )
    if torch.equal(answer(images, size, torch.Generator().manual_seed(3)), met):
        raise Wrong("Another generator gives the same holes: draw from the one that is passed in.")
