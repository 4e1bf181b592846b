"""A network's picture has the layers and the shortcuts that its forward pass has."""

import matplotlib.pyplot as plt
import pytest
import torch
import torchvision
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import nn

from resnet_edu.blocks import BasicBlock, PlainBlock
from resnet_edu.cifar import cifar_resnet
from resnet_edu.network_diagram import Shortcut, network_diagram, outline
from resnet_edu.resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152

IMAGE = (1, 3, 224, 224)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def meta(build, *args):
    with torch.device("meta"):
        return build(*args)


def plain34():
    return ResNet(PlainBlock, [3, 4, 6, 3])


@pytest.mark.parametrize("build", [resnet18, resnet34, resnet50, resnet101, resnet152, plain34])
def test_boxes_and_shortcuts_are_the_models(build) -> None:
    net = meta(build)
    layers, shortcuts = outline(net, IMAGE)
    weighted = {name: m for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    on_main_path = [m for name, m in weighted.items() if "downsample" not in name]
    assert len(layers) == len(on_main_path) + 2  # and the two poolings
    assert sum(layer.words.endswith(", /2") for layer in layers) == 5
    blocks = [m for m in net.modules() if hasattr(m, "downsample")]
    assert [s.changes_shape for s in shortcuts] == [block.downsample is not None for block in blocks]
    convolutions = 3 if build in (resnet50, resnet101, resnet152) else 2
    assert {s.end - s.start for s in shortcuts} <= {convolutions}


def test_depth_is_what_the_name_says() -> None:
    for depth, build in {18: resnet18, 34: resnet34, 50: resnet50, 101: resnet101, 152: resnet152}.items():
        layers, _ = outline(meta(build), IMAGE)
        assert sum("pool" not in layer.words for layer in layers) == depth


def test_words_sizes_and_parts_of_resnet34() -> None:
    layers, shortcuts = outline(meta(resnet34), IMAGE)
    assert [layer.words for layer in layers[:3]] == ["7×7 conv, 64, /2", "3×3 max pool, /2", "3×3 conv, 64"]
    assert [layer.words for layer in layers[-3:]] == ["3×3 conv, 512", "avg pool, 7×7", "fc, 1000"]
    assert layers[8] == ("3×3 conv, 128, /2", "layer2", (128, 28, 28))
    assert layers[-1].shape == (1000,)
    assert shortcuts[0] == Shortcut(1, 3, changes_shape=False)
    assert shortcuts[3] == Shortcut(7, 9, changes_shape=True)


def test_torchvisions_network_has_the_same_outline() -> None:
    for name, build in {"resnet34": resnet34, "resnet50": resnet50}.items():
        assert outline(meta(getattr(torchvision.models, name)), IMAGE) == outline(meta(build), IMAGE)


def test_zero_padding_is_a_shortcut_that_changes_the_shape() -> None:
    _, shortcuts = outline(cifar_resnet(20), (1, 3, 32, 32))
    assert [i for i, s in enumerate(shortcuts) if s.changes_shape] == [3, 6]


def test_what_does_not_run_is_not_drawn() -> None:
    class Forgetful(BasicBlock):
        def forward(self, x):
            return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))

    layers, shortcuts = outline(nn.Sequential(BasicBlock(8, 8), Forgetful(8, 8)), (1, 8, 4, 4))
    assert len(layers) == 4
    assert shortcuts == [Shortcut(-1, 1, changes_shape=False)]


def test_the_order_of_the_sum_does_not_matter() -> None:
    class Swapped(BasicBlock):
        def forward(self, x):
            return self.relu(x + self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))

    one, other = (outline(nn.Sequential(block(8, 8), block(8, 8)), (1, 8, 4, 4)) for block in (BasicBlock, Swapped))
    assert one == other


def test_the_figure_holds_one_patch_for_each() -> None:
    figure = network_diagram({"plain": meta(plain34), "residual": meta(resnet34)}, IMAGE)
    counts = []
    for ax in figure.axes:
        boxes = [p for p in ax.patches if isinstance(p, FancyBboxPatch)]
        arcs = [p for p in ax.patches if isinstance(p, FancyArrowPatch)]
        counts.append((len(boxes), len(arcs), sum(arc.get_linestyle() != "-" for arc in arcs)))
    assert counts == [(36, 0, 0), (36, 16, 3)]
    assert [ax.get_title() for ax in figure.axes] == ["plain", "residual"]
    sizes = [t.get_text() for t in figure.axes[1].texts if t.get_ha() == "right"]
    assert sizes == ["112×112", "56×56", "28×28", "14×14", "7×7", "1×1", "1000"]


def test_the_network_stays_as_it_was() -> None:
    net = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    outline(net, (1, 3, 64, 64))
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_kernels_and_strides_that_are_not_square_are_said() -> None:
    layers = [
        nn.Conv2d(3, 4, (1, 7), stride=(1, 2)),
        nn.Conv2d(4, 4, 1, groups=2),
        nn.MaxPool2d((1, 2)),
        nn.AvgPool2d(2),
    ]
    drawn, _ = outline(nn.Sequential(*layers), (1, 3, 16, 16))
    assert [layer.words for layer in drawn] == [
        "1×7 conv, 4, /1×2",
        "1×1 conv, 4, 2 groups",
        "1×2 max pool, /1×2",
        "2×2 avg pool, /2",
    ]


def test_an_adaptive_pool_says_the_map_that_it_averages_or_the_one_that_it_leaves() -> None:
    layers = [nn.AdaptiveAvgPool2d((4, None)), nn.AdaptiveAvgPool2d(2), nn.AdaptiveAvgPool2d(1)]
    drawn, _ = outline(nn.Sequential(*layers), (1, 3, 8, 6))
    assert [layer.words for layer in drawn] == ["avg pool to 4×6", "avg pool to 2×2", "avg pool, 2×2"]


class Around(nn.Module):
    """An addition around a block, so that the block lies on a way and not on the path behind it."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return x + self.block(x)


def test_two_ways_that_are_not_added_are_refused(joined_otherwise) -> None:
    for net in nn.Sequential(nn.ReLU(), joined_otherwise), Around(joined_otherwise):
        with pytest.raises(ValueError, match="and is no addition"):
            outline(net, (1, 4, 4, 4))


def test_a_number_a_size_and_a_parameter_are_no_second_way() -> None:
    class Scales(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.scale = nn.Conv2d(4, 4, 1), nn.Parameter(torch.ones(4, 1, 1))

        def forward(self, x):
            return (self.conv(x) * self.scale + 1 + self.scale).reshape(x.size(0), -1)

    layers, shortcuts = outline(Scales(), (1, 4, 4, 4))
    assert [layer.words for layer in layers] == ["1×1 conv, 4"] and not shortcuts


def test_half_precision_has_the_same_outline() -> None:
    assert outline(cifar_resnet(8).half(), (1, 3, 32, 32)) == outline(cifar_resnet(8), (1, 3, 32, 32))
