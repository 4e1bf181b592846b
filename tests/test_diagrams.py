"""A diagram says what its block does: the layers, the shapes, the shortcut."""

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

from resnet_edu import diagrams
from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock, conv1x1


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def test_a_plain_block_is_a_chain_without_an_addition() -> None:
    drawn = words(diagrams.block_diagram(PlainBlock(8, 16, stride=2), (1, 8, 4, 4)))
    assert drawn == ["x", "3×3 conv, 16, /2", "BN", "ReLU", "3×3 conv, 16", "BN", "ReLU", "8×4×4", *["16×2×2"] * 6]


def test_an_identity_shortcut_has_no_box_and_the_inputs_shape() -> None:
    drawn = words(diagrams.block_diagram(BasicBlock(8, 8), (1, 8, 4, 4)))
    assert drawn.count("+") == 1
    assert [w for w in drawn if "conv" in w] == ["3×3 conv, 8", "3×3 conv, 8"]
    assert drawn.count("8×4×4") == 9  # eight edges of the branch, one of the shortcut


def test_a_projection_is_drawn_with_its_layers() -> None:
    downsample = nn.Sequential(conv1x1(8, 32, 2), nn.BatchNorm2d(32))
    drawn = words(diagrams.block_diagram(Bottleneck(8, 8, 2, downsample), (1, 8, 4, 4)))
    convs = [w for w in drawn if "conv" in w]
    assert convs == ["1×1 conv, 8", "3×3 conv, 8, /2", "1×1 conv, 32", "1×1 conv, 32, /2"]
    assert drawn.count("BN") == 4
    assert drawn[-3:].count("32×2×2") == 1  # what the shortcut adds


def test_groups_and_dilation_are_said() -> None:
    drawn = words(diagrams.block_diagram(Bottleneck(16, 4, groups=2, dilation=2), (1, 16, 4, 4)))
    assert "3×3 conv, 8, 2 groups, dilation 2" in drawn


def test_the_block_stays_as_it_was() -> None:
    block = BasicBlock(4, 4)
    before = {name: value.clone() for name, value in block.state_dict().items()}
    diagrams.block_diagram(block, (1, 4, 4, 4))
    assert block.training
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())


def test_two_additions_are_refused() -> None:
    class Twice(nn.Module):
        def forward(self, x):
            return x + x + x

    with pytest.raises(ValueError, match="adds 2 times"):
        diagrams.block_diagram(Twice(), (1, 1, 1, 1))


@pytest.mark.parametrize("to", [torch.float16, torch.float64, torch.bfloat16, "meta"])
def test_every_type_and_device_has_the_same_picture(to) -> None:
    block = BasicBlock(8, 8).to(to)
    dtype, device = block.conv1.weight.dtype, block.conv1.weight.device
    assert words(diagrams.block_diagram(block, (1, 8, 4, 4))) == words(
        diagrams.block_diagram(BasicBlock(8, 8), (1, 8, 4, 4))
    )
    assert (block.conv1.weight.dtype, block.conv1.weight.device) == (dtype, device)


def test_kernels_strides_and_dilations_that_are_not_square_are_said() -> None:
    layers = nn.Sequential(
        nn.Conv2d(3, 4, (1, 7), stride=(1, 2)),
        nn.Conv2d(4, 4, (3, 2), stride=(2, 1), dilation=(1, 2)),
    )
    drawn = words(diagrams.block_diagram(layers, (1, 3, 16, 16)))
    assert drawn[1:3] == ["1×7 conv, 4, /1×2", "3×2 conv, 4, /2×1, dilation 1×2"]


def test_two_ways_that_are_not_added_are_refused(joined_otherwise) -> None:
    with pytest.raises(ValueError, match=r"joins x, conv, and is no addition"):
        diagrams.block_diagram(joined_otherwise, (1, 4, 4, 4))


def test_a_number_a_size_and_a_parameter_are_no_second_way() -> None:
    class Scales(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4, 1, 1))

        def forward(self, x):
            return (x * self.scale + 1 + self.scale).reshape(x.size(0), -1)

    assert "+" not in words(diagrams.block_diagram(Scales(), (1, 4, 4, 4)))
