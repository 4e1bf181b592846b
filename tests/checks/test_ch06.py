"""Chapter 6's checks accept right answers, however written, and say to each wrong one what belongs to it."""

import numpy as np
import pytest
import torch

from resnet_edu import checks

# ---------------------------------------------------------------- 6.1 ResNet-101 on paper

RESNET101 = {
    "projections": 4,
    "identities": 29,
    "layer1[0]": (64, 64, 256, 1),
    "layer3[0]": (512, 256, 1024, 2),
    "layer3[22]": (1024, 256, 1024, 1),
    "shape": (2048, 8, 10),
    "shape dilated": (2048, 16, 20),
    "dilations": (2, 2, 2),
}


@pytest.mark.parametrize("kind", [tuple, list])
def test_6_1_accepts_the_predictions(verdict, earns, kind) -> None:
    answer = {key: kind(value) if isinstance(value, tuple) else value for key, value in RESNET101.items()}
    assert verdict(checks.ex_6_1, answer) == "Exercise 6.1: right."
    assert earns(checks.ex_6_1, answer)


@pytest.mark.parametrize("kind", [float, np.int64, torch.tensor])
def test_6_1_accepts_whole_numbers_of_any_type(verdict, kind) -> None:
    answer = {key: tuple(map(kind, v)) if isinstance(v, tuple) else kind(v) for key, v in RESNET101.items()}
    assert verdict(checks.ex_6_1, answer) == "Exercise 6.1: right."


def test_6_1_knows_the_stub(verdict, earns) -> None:
    stub = dict.fromkeys(RESNET101, ...)
    assert verdict(checks.ex_6_1, stub) == "Exercise 6.1: not attempted yet."
    assert not earns(checks.ex_6_1, stub)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("projections", 3, "64 channels coming in and 256"),
        ("projections", 33, "Only a stage's first block"),
        ("projections", "four", "should be one number, but it is 'four'"),
        ("projections", True, "should be one number, but it is True"),
        ("projections", 3.0, "is not 3. At stride 1 layer1"),
        ("projections", 4.5, "should be a whole number, but it is 4.5"),
        ("identities", 30, "layer1 projects too"),
        ("identities", 97, "not convolutions"),
        ("layer1[0]", (64, 64, 64, 1), "4 * planes"),
        ("layer1[0]", (256, 64, 256, 1), "stem's channels"),
        ("layer1[0]", (64, 64, 256, 2), "layer1 has stride 1"),
        ("layer1[0]", (64, 64, 256), "4 numbers"),
        ("layer3[0]", (256, 256, 1024, 2), "what layer2 puts out"),
        ("layer3[0]", (512, 256, 2048, 2), "not 4 * inplanes"),
        ("layer3[0]", (512, 256, 1024, 1), "halves the size"),
        ("layer3[22]", (512, 256, 1024, 1), "Only the first block meets"),
        ("layer3[22]", (1024, 256, 1024, 2), "Only the first block of a stage"),
        # wrong answers that nobody foresaw
        ("projections", 7, "the rule for each stage's first block"),
        ("identities", 7, "the other blocks need no projection"),
        ("layer1[0]", (7, 64, 256, 1), "Follow inplanes"),
        ("layer3[22]", (7, 256, 1024, 2), "Follow inplanes"),
        ("shape", (7, 8, 10), "each stride left by 2"),
        ("shape dilated", (2048, 7, 20), "each stride left by 2"),
        ("dilations", (7, 7, 7), "Follow self.dilation"),
        ("shape", (512, 8, 10), "4 * planes"),
        ("shape", (2048, 7, 7), "224x224"),
        ("shape", (2048, 10, 8), "Rows come first"),
        ("shape", 2048, "should be a tuple of whole numbers, but it is 2048"),
        ("shape", (2048.0, 10, 8), "is not (2048, 10, 8). Rows come first"),
        ("shape", (1, 2048, 8, 10), "should have 3 numbers, but it has 4"),
        ("shape dilated", (2048, 8, 10), "keeps the size now"),
        ("shape dilated", (2048, 32, 40), "layer4 still has its stride"),
        ("dilations", (1, 1, 1), "Nothing sets self.dilation back"),
        ("dilations", (1, 2, 2), "already 2"),
        ("dilations", (2, 4, 4), "does not multiply"),
    ],
)
def test_6_1_names_the_mistake(verdict, earns, key, value, words) -> None:
    said = verdict(checks.ex_6_1, RESNET101 | {key: value})
    assert words in said and f"`{key}`" in said
    assert not earns(checks.ex_6_1, RESNET101 | {key: value})


def test_6_1_asks_for_the_keys(verdict) -> None:
    assert "dict with the keys projections" in verdict(checks.ex_6_1, {"projections": 4})


# ---------------------------------------------------------------- 6.2 _make_layer

HEAD = """
from collections import OrderedDict
from resnet_edu.blocks import BasicBlock, Bottleneck, conv1x1


class MyBuilder:
    def __init__(self, inplanes=64, groups=1, base_width=64, norm_layer=nn.BatchNorm2d):
        self.inplanes, self.dilation = inplanes, 1
        self.groups, self.base_width = groups, base_width
        self._norm_layer = norm_layer
"""
BUILDER = (
    HEAD
    + """
    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        norm, outplanes = self._norm_layer, planes * block.expansion
        previous = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        downsample = None
        if stride != 1 or self.inplanes != outplanes:
            downsample = nn.Sequential(conv1x1(self.inplanes, outplanes, stride), norm(outplanes))
        first = block(self.inplanes, planes, stride, downsample, self.groups, self.base_width, previous, norm)
        layers = [first]
        self.inplanes = outplanes
        for _ in range(1, blocks):
            layers.append(block(self.inplanes, planes, 1, None, self.groups, self.base_width, self.dilation, norm))
        return nn.Sequential(*layers)
"""
)
ONE_LOOP = (
    HEAD
    + """
    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        out, dilation = planes * block.expansion, self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        stage = OrderedDict()
        for i in range(blocks):
            fits = stride == 1 and self.inplanes == out
            shortcut = None if fits else nn.Sequential(OrderedDict(
                conv=nn.Conv2d(self.inplanes, out, kernel_size=(1, 1), stride=stride, bias=False),
                norm=self._norm_layer(out),
            ))
            stage[f"unit{i}"] = block(
                inplanes=self.inplanes, planes=planes, stride=stride, downsample=shortcut, norm_layer=self._norm_layer,
                dilation=dilation, groups=self.groups, base_width=self.base_width,
            )
            self.inplanes, stride, dilation = out, 1, self.dilation
        return nn.Sequential(stage)
"""
)
OWN_PROJECTION = """
class Projection(nn.Module):
    def __init__(self, into, onto, stride, norm):
        super().__init__()
        self.norm = norm(onto)
        self.conv = nn.Conv2d(into, onto, 1, stride, bias=False)

    def forward(self, x):
        return self.norm(self.conv(x))
"""
STUB = (
    HEAD
    + "\n    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):\n        raise NotImplementedError\n"
)


@pytest.mark.parametrize("source", [BUILDER, ONE_LOOP])
def test_6_2_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_6_2, write(source, "MyBuilder")) == "Exercise 6.2: right."
    assert earns(checks.ex_6_2, write(source, "MyBuilder"))


def test_6_2_accepts_a_projection_of_ones_own(verdict, write) -> None:
    own = "Projection(self.inplanes, outplanes, stride, norm)"
    change = ("nn.Sequential(conv1x1(self.inplanes, outplanes, stride), norm(outplanes))", own)
    assert verdict(checks.ex_6_2, write(OWN_PROJECTION + BUILDER, "MyBuilder", change)) == "Exercise 6.2: right."


@pytest.mark.parametrize("nothing", ["nn.Identity()", "nn.Sequential()", "nn.Sequential(nn.Identity())"])
def test_6_2_accepts_an_identity_that_is_a_module(verdict, write, nothing) -> None:
    changes = [("downsample = None", f"downsample = {nothing}"), ("planes, 1, None", f"planes, 1, {nothing}")]
    assert verdict(checks.ex_6_2, write(BUILDER, "MyBuilder", *changes)) == "Exercise 6.2: right."


def test_6_2_knows_the_stub(verdict, earns, write) -> None:
    assert verdict(checks.ex_6_2, write(STUB, "MyBuilder")) == "Exercise 6.2: not attempted yet."
    assert not earns(checks.ex_6_2, write(STUB, "MyBuilder"))


PROJECTION = "nn.Sequential(conv1x1(self.inplanes, outplanes, stride), norm(outplanes))"
OTHERS = "block(self.inplanes, planes, 1, None, self.groups, self.base_width, self.dilation, norm)"
FIRST = "block(self.inplanes, planes, stride, downsample, self.groups, self.base_width, previous, norm)"
LATE = "        first = "


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        # in-planes
        ("        self.inplanes = outplanes\n", "", "move self.inplanes on behind it"),
        ("self.inplanes = outplanes", "self.inplanes = planes", "That is planes"),
        (LATE, "        self.inplanes = outplanes\n        first = ", "not before"),
        ("        downsample = None\n", "        downsample = None\n        self.inplanes = outplanes\n", "not before"),
        ("        return nn.Sequential(*layers)",
         "        self.inplanes = planes\n        return nn.Sequential(*layers)", "After _make_layer(Bottleneck"),
        (OTHERS, OTHERS.replace("self.inplanes", "planes"), "That is planes"),
        (FIRST, FIRST.replace("planes, stride", "outplanes, stride"), "multiplies by its expansion"),
        # strides
        (OTHERS, OTHERS.replace(", 1, None", ", stride, None"), "Only the first block"),
        (FIRST, FIRST.replace("stride", "1"), "Pass it to the first block"),
        ("            stride = 1\n", "", "in every stage with dilate"),
        # projections
        ("stride != 1 or self.inplanes != outplanes", "stride != 1", "8 channels come in and 12 go out"),
        ("stride != 1 or self.inplanes != outplanes", "self.inplanes != outplanes", "the stride is 2"),
        ("stride != 1 or self.inplanes != outplanes", "stride != 1 and self.inplanes != outplanes", "joined by `or`"),
        ("stride != 1 or self.inplanes != outplanes", "stride != 1 or self.inplanes != planes", "(planes * expansion)"),
        ("stride != 1 or self.inplanes != outplanes", "self.inplanes < outplanes or stride > 1", "12 channels"),
        ("stride != 1 or self.inplanes != outplanes", "True", "where the identity belongs"),
        (OTHERS, OTHERS.replace("None", "downsample"), "where the identity belongs"),
        (FIRST, FIRST.replace("downsample", "None"), "has no projection"),
        (FIRST, FIRST.replace("downsample", "nn.Identity()"), "has no projection"),
        ("downsample = None", "downsample = nn.AvgPool2d(3, 1, 1)", "where the identity belongs"),
        ("downsample = None", "downsample = nn.ReLU()", "where the identity belongs"),
        ("planes * block.expansion\n", "planes\n", "must make what the block puts out"),
        (PROJECTION, PROJECTION.replace(", stride)", ")"), "the stride of its block"),
        (PROJECTION, PROJECTION.replace("outplanes", "planes"), "out_channels of its projection"),
        (PROJECTION, "conv1x1(self.inplanes, outplanes, stride)", "it holds Conv2d"),
        (PROJECTION, PROJECTION[:-1] + ", nn.ReLU())", "it holds Conv2d, BatchNorm2d, ReLU"),
        (PROJECTION, PROJECTION.replace("conv1x1(self.inplanes, outplanes, stride)",
                                        "nn.Conv2d(self.inplanes, outplanes, 1, stride)"), "has a bias"),
        (PROJECTION, PROJECTION.replace("conv1x1(self.inplanes, outplanes, stride)",
                                        "nn.Conv2d(self.inplanes, outplanes, 3, stride, 1, bias=False)"), "Option B"),
        (PROJECTION, PROJECTION.replace("norm(", "nn.BatchNorm2d("), "BatchNorm2d stands where GroupNorm"),
        # how many, and which
        ("range(1, blocks)", "range(blocks)", "range(1, blocks)"),
        ("range(1, blocks)", "range(2, blocks)", "range(1, blocks)"),
        ("        for _ in range(1, blocks):\n            layers.append(" + OTHERS + ")\n",
         "        layers += [" + OTHERS + "] * (blocks - 1)\n", "one block stands in several places"),
        ("return nn.Sequential(*layers)", "return layers", "returns a list"),
        ("return nn.Sequential(*layers)", "return nn.ModuleList(layers)", "returns a ModuleList"),
        ("return nn.Sequential(*layers)", "nn.Sequential(*layers)", "returns nothing"),
        ("return nn.Sequential(*layers)", "return nn.Sequential(*reversed(layers))", "channels that come in"),
        # what every block gets
        (OTHERS, OTHERS.replace("self.groups", "1"), "Pass self.groups"),
        (OTHERS, OTHERS.replace("self.base_width", "64"), "Pass self.base_width"),
        (FIRST, FIRST.replace("self.groups, self.base_width", "1, 64"), "Pass self.groups"),
        (OTHERS, OTHERS.replace(", norm)", ")"), "BatchNorm2d stands where GroupNorm"),
        # dilation
        (FIRST, FIRST.replace("previous", "self.dilation"), "BEFORE this stage"),
        (FIRST, FIRST.replace("previous", "1"), "BEFORE this stage"),
        (OTHERS, OTHERS.replace("self.dilation", "previous"), "AFTER `dilate`"),
        (OTHERS, OTHERS.replace("self.dilation", "1"), "AFTER `dilate`"),
        ("self.dilation *= stride", "self.dilation = stride", "its dilation should be 4"),
        ("self.dilation *= stride", "pass", "AFTER `dilate`"),
        ("self.dilation *= stride", "self.dilation *= 2", "AFTER `dilate`"),
        ("        if dilate:\n            self.dilation *= stride\n            stride = 1\n",
         "        if dilate:\n            stride = 1\n            self.dilation *= stride\n", "AFTER `dilate`"),
        ("        return nn", "        self.dilation = previous\n        return nn", "multiplied by the stride"),
        ("def _make_layer(", "def make_layer(", "_make_layer"),
        ("stride=1, dilate=False", "stride=1", "dilate"),
    ],
)  # fmt: skip
def test_6_2_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    answer = write(BUILDER, "MyBuilder", (old, new))
    assert words in verdict(checks.ex_6_2, answer)
    assert not earns(checks.ex_6_2, answer)


def test_6_2_decides_about_the_projection_behind_the_dilation(verdict, write) -> None:
    early = [
        ("        previous = self.dilation\n",
         "        previous = self.dilation\n        needed = stride != 1 or self.inplanes != outplanes\n"),
        ("if stride != 1 or self.inplanes != outplanes:", "if needed:"),
    ]  # fmt: skip
    assert "where the identity belongs" in verdict(checks.ex_6_2, write(BUILDER, "MyBuilder", *early))


def test_6_2_wants_the_class(verdict, write) -> None:
    assert "without parentheses" in verdict(checks.ex_6_2, write(BUILDER + "\nbuilder = MyBuilder()", "builder"))
    emptied = write(BUILDER, "MyBuilder", ("self.groups, self.base_width = groups, base_width", "pass"))
    assert "leave the given __init__" in verdict(checks.ex_6_2, emptied)


# ---------------------------------------------------------------- 6.3 three bugs

STAGES = """
from resnet_edu.blocks import BasicBlock, Bottleneck, conv1x1
from resnet_edu.blocks import BasicBlock as Block


class FixedStages(nn.Module):
    def __init__(self, width=64, layers=(3, 4, 6, 3)):
        super().__init__()
        self.layer1 = self.stage(width, width, layers[0], stride=1)
        self.layer2 = self.stage(width, 2 * width, layers[1], stride=2)
        self.layer3 = self.stage(2 * width, 4 * width, layers[2], stride=2)
        self.layer4 = self.stage(4 * width, 8 * width, layers[3], stride=2)

    def stage(self, inplanes, planes, blocks, stride):
        projection = None
        if stride != 1 or inplanes != planes:
            projection = nn.Sequential(conv1x1(inplanes, planes, stride), nn.BatchNorm2d(planes))
        first = Block(inplanes, planes, stride, projection)
        others = [BasicBlock(planes, planes) for _ in range(blocks - 1)]
        return nn.Sequential(first, *others)

    def forward(self, x):
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))
"""
FLAT = """
from resnet_edu.blocks import BasicBlock, conv1x1


class FixedStages(nn.Sequential):
    def __init__(self, width=64, layers=(3, 4, 6, 3)):
        units, into = [], width
        for number, blocks in enumerate(layers):
            onto = width << number
            for i in range(blocks):
                stride = 2 if number and not i else 1
                fit = into == onto and stride == 1
                way = None if fit else nn.Sequential(nn.Conv2d(into, onto, 1, stride, bias=False), nn.BatchNorm2d(onto))
                units.append(BasicBlock(into, onto, stride, way))
                into = onto
        super().__init__(*units)
"""
SUBCLASS = STAGES.replace("\n\nclass", "\n\nclass Block(Block):\n    pass\n\n\nclass", 1)
NO_PROJECTION = ("projection = None", "projection = nn.Identity()")
TORCHVISION = "import torchvision\n" + STAGES.replace(
    "\n\nclass", "\n\nBasicBlock = Block = torchvision.models.resnet.BasicBlock\n\n\nclass", 1
)
IF = "if stride != 1 or inplanes != planes:"
DOUBLED = [
    ("self.stage(width, width, layers[0]", "self.stage(width, 2 * width, layers[0]"),
    ("self.stage(width, 2 * width, layers[1]", "self.stage(2 * width, 4 * width, layers[1]"),
    ("self.stage(2 * width, 4 * width, layers[2]", "self.stage(4 * width, 8 * width, layers[2]"),
    ("self.stage(4 * width, 8 * width, layers[3]", "self.stage(8 * width, 8 * width, layers[3]"),
]
SHARED = ("[BasicBlock(planes, planes) for _ in range(blocks - 1)]", "[BasicBlock(planes, planes)] * (blocks - 1)")


@pytest.mark.parametrize("source", [STAGES, FLAT, SUBCLASS, STAGES.replace(*NO_PROJECTION)])
def test_6_3_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_6_3, write(source, "FixedStages")) == "Exercise 6.3: right."
    assert earns(checks.ex_6_3, write(source, "FixedStages"))


def test_6_3_knows_the_stub(verdict, earns, write) -> None:
    stub = write(STAGES, "FixedStages", ("super().__init__()", "super().__init__()\n        raise NotImplementedError"))
    assert verdict(checks.ex_6_3, stub) == "Exercise 6.3: not attempted yet."
    assert not earns(checks.ex_6_3, stub)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        # the three bugs, one after the other
        ([*DOUBLED, (IF, "if True:"), SHARED], "layer1 keeps the stem's width"),
        ([(IF, "if True:"), SHARED], "layer1 of FixedStages(4, (3, 4, 6, 3)): one block stands in several places"),
        ([(IF, "if True:")], "4 channels come in, 4 (planes * expansion) go out"),
        ([SHARED], "Make each one in the loop"),
        (DOUBLED, "64, 128, 256, 512 in the paper"),
        # and others
        ([(IF, "if inplanes != planes and stride == 1:")], "has no projection"),
        ([("[BasicBlock(planes, planes) for", "[BasicBlock(planes, planes, stride, nn.AvgPool2d(stride)) for")],
         "Only the first block"),
        ([("Block(inplanes, planes, stride, projection)", "Block(inplanes, planes, 1, projection)")],
         "Pass it to the first block"),
        ([("layers[1], stride=2", "layers[1], stride=1")], "Pass it to the first block"),
        ([("layers[0], stride=1", "layers[0], stride=2")], "its stride should be 1"),
        ([("layers[0], stride=1", "layers[0], stride=2")], "has stride 1, as in layer1"),
        ([("range(blocks - 1)", "range(blocks)")], "One for each in `layers`"),
        ([("nn.Sequential(first, *others)", "[first, *others]")], "does not register"),
        ([("range(blocks - 1)", "range(2)")], "One for each in `layers`"),
        ([(", nn.BatchNorm2d(planes))", ")")], "it holds Conv2d"),
        ([("self.layer4(self.layer3(", "self.layer4.eval()(self.layer3(")], "training mode"),
        ([("return self.layer4(self.layer3(", "return F.relu(-1 + self.layer4(self.layer3("),
          ("self.layer1(x))))", "self.layer1(x)))))")], "order in which they are called"),
        ([("self.layer4(self.layer3(", "self.layer4(self.layer3(x.new_tensor(1) * ("),
          ("self.layer1(x))))", "self.layer1(x)).detach())))")], "get no gradient"),
        ([("nn.Module", "nn.Sequential"), ("self.layer1(x))))", "self.layer1(x)))).mean()")], "shape"),
    ],
)  # fmt: skip
def test_6_3_names_the_mistake(verdict, earns, write, changes, words) -> None:
    answer = write(STAGES, "FixedStages", *changes)
    assert words in verdict(checks.ex_6_3, answer)
    assert not earns(checks.ex_6_3, answer)


def test_6_3_asks_for_the_packages_block(verdict, earns, write) -> None:
    said = verdict(checks.ex_6_3, write(TORCHVISION, "FixedStages"))
    assert "Stack the package's BasicBlock: the check reads its parts by name." in said and "register" not in said
    assert not earns(checks.ex_6_3, write(TORCHVISION, "FixedStages"))


def test_6_3_wants_the_class(verdict, write) -> None:
    assert "without parentheses" in verdict(checks.ex_6_3, write(STAGES + "\nnet = FixedStages(4)", "net"))


# ---------------------------------------------------------------- 6.4 dilation by hand

SURGERY = """
import copy
from resnet_edu.blocks import Bottleneck
from resnet_edu.resnet import ResNet


def dilate_layer4(net):
    net = copy.deepcopy(net)
    first, *others = net.layer4
    first.conv2.stride = (1, 1)
    first.downsample[0].stride = (1, 1)
    for block in others:
        block.conv2.dilation = (2, 2)
        block.conv2.padding = (2, 2)
    return net
"""
ANEW = """
from resnet_edu.blocks import Bottleneck
from resnet_edu.resnet import ResNet


def dilate_layer4(net):
    layers = [len(stage) for stage in (net.layer1, net.layer2, net.layer3, net.layer4)]
    new = ResNet(Bottleneck, layers, net.fc.out_features, replace_stride_with_dilation=[False, False, True])
    new.load_state_dict(net.state_dict())
    return new
"""


@pytest.mark.parametrize(
    "source",
    [
        SURGERY,
        ANEW,
        SURGERY.replace("(1, 1)", "1").replace("(2, 2)", "2"),
        SURGERY.replace("padding = (2, 2)", "padding = 'same'"),
        SURGERY.replace("block.conv2.dilation", "block.conv1.dilation = block.conv2.dilation = block.conv3.dilation"),
    ],
)
def test_6_4_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_6_4, write(source, "dilate_layer4")) == "Exercise 6.4: right."
    assert earns(checks.ex_6_4, write(source, "dilate_layer4"))


def test_6_4_knows_the_stub(verdict, earns, write) -> None:
    stub = write("def dilate_layer4(net):\n    raise NotImplementedError\n", "dilate_layer4")
    assert verdict(checks.ex_6_4, stub) == "Exercise 6.4: not attempted yet."
    assert not earns(checks.ex_6_4, stub)


@pytest.mark.parametrize(
    ("source", "old", "new", "words"),
    [
        (SURGERY, "copy.deepcopy(net)", "net", "Work on a copy"),
        (SURGERY, "    return net\n", "", "returns nothing"),
        (SURGERY, "    return net\n", "    return net.layer4\n", "weights are not those"),
        (SURGERY, "    first.conv2.stride = (1, 1)\n", "", "no stride is left in it"),
        (SURGERY, "    first.downsample[0].stride = (1, 1)\n", "", "loses its stride too"),
        (SURGERY, "        block.conv2.padding = (2, 2)\n", "", "padding is equal to its dilation"),
        (SURGERY, "        block.conv2.dilation = (2, 2)\n", "", "AFTER `dilate`"),
        (SURGERY, "in others", "in [first, *others]", "BEFORE this stage"),
        (SURGERY, "(2, 2)", "(4, 4)", "should be (2, 2), but it is (4, 4)"),
        (SURGERY, "in others:", "in others[:1]:", "layer4.2.conv2"),
        (SURGERY, "in others:", "in [*net.layer3, *others]:", "in front of layer4"),
        (SURGERY, "in others:", "in net.layer4[1:3]:", "dilation of layer4.3.conv2 should be (2, 2)"),
        (SURGERY, "block.conv2.padding", "block.conv1.padding = block.conv2.padding", "a 1x1 with none"),
        (SURGERY, "block.conv2.dilation", "block.conv1.stride = 2, 2; block.conv2.dilation", "no stride is left in it"),
        (SURGERY, "    return net", "    nn.init.zeros_(net.fc.weight)\n    return net", "weights are not those"),
        (ANEW, "    new.load_state_dict(net.state_dict())\n", "", "weights are not those"),
        (ANEW, "[False, False, True]", "[False, True, False]", "in front of layer4"),
        (ANEW, "[False, False, True]", "None", "no stride is left in it"),
        (SURGERY, "    return net", "    net.maxpool = nn.Identity()\n    return net", "leave the stem"),
        (ANEW, "    return new", "    new.fc = net.fc\n    return new", "share weights"),
        (ANEW, "(net.state_dict())", "(net.state_dict(), assign=True)", "share weights"),
    ],
)
def test_6_4_names_the_mistake(verdict, earns, write, source, old, new, words) -> None:
    answer = write(source, "dilate_layer4", (old, new))
    assert words in verdict(checks.ex_6_4, answer)
    assert not earns(checks.ex_6_4, answer)
