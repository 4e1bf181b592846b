"""The checks of chapter 7: right answers pass however they are written, wrong ones get the hint that belongs."""

import numpy as np
import pytest
import torch
import torchvision

from resnet_edu import checks
from resnet_edu.checks.ch07 import PREDICTED
from resnet_edu.resnet import ResNet, resnet34, resnet50, resnet101

# ---------------------------------------------------------------- 7.1 on paper

RIGHT = {key: right for key, (right, _) in PREDICTED.items()}


def test_7_1_accepts_right_answers(verdict, earns) -> None:
    assert verdict(checks.ex_7_1, RIGHT) == "Exercise 7.1: right."
    assert verdict(checks.ex_7_1, RIGHT | {"resnet34 layer3": torch.Size([256, 10, 6])}) == "Exercise 7.1: right."
    assert earns(checks.ex_7_1, RIGHT)


@pytest.mark.parametrize("kind", [float, np.int64, torch.tensor])
def test_7_1_accepts_whole_numbers_of_any_type(verdict, kind) -> None:
    answer = {key: tuple(map(kind, v)) if isinstance(v, tuple) else kind(v) for key, v in RIGHT.items()}
    assert verdict(checks.ex_7_1, answer) == "Exercise 7.1: right."


def test_7_1_says_what_the_networks_say() -> None:
    with torch.device("meta"):
        nets = {"resnet34": resnet34, "resnet50": resnet50, "resnet101": resnet101}
        shapes = {}
        for name, layer in (("resnet34", "layer3"), ("resnet50", "layer4")):
            net = nets[name](num_classes=10)
            hook = lambda m, i, o, key=f"{name} {layer}": shapes.update({key: tuple(o.shape[1:])})  # noqa: E731
            getattr(net, layer).register_forward_hook(hook)
            shapes[f"{name} logits"] = tuple(net(torch.zeros(4, 3, 160, 96)).shape)
        count = {name: sum(p.numel() for p in build().parameters()) for name, build in nets.items()}
    assert shapes["resnet34 layer3"] == RIGHT["resnet34 layer3"]
    assert shapes["resnet50 layer4"] == RIGHT["resnet50 layer4"]
    assert shapes["resnet50 logits"] == RIGHT["resnet50 logits"]
    assert net.conv1.weight.numel() + 2 * 64 == RIGHT["stem"]
    assert net.fc.weight.numel() + net.fc.bias.numel() == RIGHT["fc"]
    assert count["resnet101"] - count["resnet50"] == RIGHT["101 minus 50"]


def test_7_1_knows_the_stub(verdict, earns) -> None:
    stub = dict.fromkeys(PREDICTED, ...)
    assert verdict(checks.ex_7_1, stub) == "Exercise 7.1: not attempted yet."
    assert not earns(checks.ex_7_1, stub)


@pytest.mark.parametrize(("key", "wrong", "words"), [
    (key, wrong, hint) for key, (_, slips) in PREDICTED.items() for wrong, hint in slips.items()
])  # fmt: skip
def test_7_1_names_the_mistake(verdict, earns, key, wrong, words) -> None:
    answer = RIGHT | {key: wrong}
    said = verdict(checks.ex_7_1, answer)
    assert words in said
    assert not earns(checks.ex_7_1, answer)


def test_7_1_says_what_kind_is_wanted(verdict) -> None:
    assert "should be a whole number, but it is 9536.5" in verdict(checks.ex_7_1, RIGHT | {"stem": 9536.5})
    assert "should be a tuple of whole numbers" in verdict(checks.ex_7_1, RIGHT | {"resnet50 logits": 40})
    assert "should have 3 numbers, but it has 4" in verdict(checks.ex_7_1, RIGHT | {"resnet34 layer3": (4, 256, 10, 6)})
    assert "with the keys resnet34 layer3" in verdict(checks.ex_7_1, {"stem": 9536})


# ---------------------------------------------------------------- 7.2 the whole class

CLASS = """
class MyResNet(nn.Module):
    def __init__(self, block, layers, num_classes=1000):
        super().__init__()
        self.inplanes = 64
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self.make_layer(block, 64, layers[0], 1)
        self.layer2 = self.make_layer(block, 128, layers[1], 2)
        self.layer3 = self.make_layer(block, 256, layers[2], 2)
        self.layer4 = self.make_layer(block, 512, layers[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * block.expansion, num_classes)

    def make_layer(self, block, planes, blocks, stride):
        out = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != out:
            downsample = nn.Sequential(nn.Conv2d(self.inplanes, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        layers = [block(self.inplanes, planes, stride, downsample)]
        self.inplanes = out
        for _ in range(1, blocks):
            layers.append(block(out, planes))
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))
"""
SHORT = """
class MyResNet(nn.Module):
    def __init__(self, block, layers, num_classes=1000):
        super().__init__()
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        into = 64
        for number, blocks in enumerate(layers):
            stage, planes = nn.Sequential(), 64 * 2 ** number
            for index in range(blocks):
                stride = 2 if number and not index else 1
                way = [nn.Conv2d(into, planes * block.expansion, 1, stride, bias=False)]
                way.append(nn.BatchNorm2d(planes * block.expansion))
                fits = stride == 1 and into == planes * block.expansion
                stage.append(block(into, planes, stride, None if fits else nn.Sequential(*way)))
                into = planes * block.expansion
            setattr(self, f"layer{number + 1}", stage)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv1 = nn.Conv2d(3, 64, (7, 7), (2, 2), (3, 3), bias=False)

    def forward(self, x):
        x = F.max_pool2d(self.bn1(self.conv1(x)), 3, 2, 1).clamp(min=0)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(x.mean(dim=(2, 3)))
"""


@pytest.mark.parametrize("source", [CLASS, SHORT])
def test_7_2_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_7_2, write(source, "MyResNet")) == "Exercise 7.2: right."
    assert earns(checks.ex_7_2, write(source, "MyResNet"))


@pytest.mark.parametrize("after", ["        super().__init__()\n", "    def forward(self, x):\n"])
def test_7_2_knows_the_stub(verdict, earns, write, after) -> None:
    stub = write(CLASS, "MyResNet", (after, after + "        raise NotImplementedError\n"))
    assert verdict(checks.ex_7_2, stub) == "Exercise 7.2: not attempted yet."
    assert not earns(checks.ex_7_2, stub)


WIDTHS = [
    ("block, 512, layers[3]", "block, 512 , layers[3]"),
    ("block, 256, layers[2]", "block, 512, layers[2]"),
    ("block, 128, layers[1]", "block, 256, layers[1]"),
    ("block, 64, layers[0]", "block, 128, layers[0]"),
]
POOL = "self.maxpool(self.relu(self.bn1(self.conv1(x))))"
CHAIN = "self.layer4(self.layer3(self.layer2(self.layer1(x))))"
HEAD = "self.fc(torch.flatten(self.avgpool(x), 1))"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (WIDTHS, "BasicBlock's layer1 meets 64 channels and puts out 64"),
        (WIDTHS[2:3], "planes of the four stages are 64, 128, 256 and 512"),
        ([("padding=3, bias=False", "padding=3")], "conv1.bias should not be there"),
        ([("if stride != 1 or self.inplanes != out", "if True")], "all its shortcuts are identities"),
        ([("if stride != 1 or self.inplanes != out", "if stride != 1")], "lacks layer1.0.downsample.0.weight. A first"),
        ([(", nn.BatchNorm2d(out))", ")")], "lacks layer2.0.downsample.1.weight. A projection is nn.Sequential"),
        ([("nn.Sequential(nn.Conv2d(", "nn.Sequential(nn.BatchNorm2d(self.inplanes), nn.Conv2d("),
          ("bias=False), nn.BatchNorm2d(out))", "bias=False))")],
         "has layer2.0.downsample.0.bias. Its BatchNorm stands behind its 1x1 convolution"),
        ([("out, 1, stride, bias", "out, 3, stride, 1, bias")], "A projection is a 1x1 convolution"),
        ([("out, 1, stride, bias", "out, 1, stride, groups=2, bias")], "groups is 1"),
        ([("block(self.inplanes, planes", "block(self.inplanes // 2 if blocks > 1 else 64, planes")],
         "planes of the four stages"),
        ([("1, stride, bias=False", "1, stride")], "downsample.0.bias should not be there"),
        ([("return self.fc(torch.flatten(self.avgpool(x), 1))", "return self.fc(F.avg_pool2d(x, 7).flatten(1))")],
         "the head stops with an error. Use nn.AdaptiveAvgPool2d(1)"),
        ([(HEAD, "self.fc((F.avg_pool2d(x, 7) if x.shape[2] > 6 else self.avgpool(x)).flatten(1))")],
         "leaves out what is beyond"),
        ([("512 * block.expansion, num", "7 * 7 * 512 * block.expansion, num")], "tie the head to one size"),
        ([("512 * block.expansion, num", "512, num")], "fc takes 512 * block.expansion numbers"),
        ([(POOL, "self.relu(self.bn1(self.conv1(x)))")], "Between the stem's ReLU and layer1 stands a max pooling"),
        ([(POOL, "self.maxpool(self.bn1(self.conv1(x)))")], "There is a ReLU behind bn1"),
        ([(POOL, "self.maxpool(self.relu(self.conv1(x)))")], "bn1 stands behind conv1"),
        ([("nn.MaxPool2d(3, stride=2, padding=1)", "nn.MaxPool2d(2, stride=2)")], "The pooling is 3x3"),
        ([("nn.MaxPool2d(3", "nn.AvgPool2d(3")], "takes the largest value, not the mean"),
        ([("layers[0], 1)", "layers[0], 2)")], "all its shortcuts are identities"),
        ([("block(out, planes)", "block(out, planes, stride if planes == 512 else 1)")],
         "first 3x3 of a stage's first block, and its projection, have a stride"),
        ([("layers[3], 2)", "layers[3], 1)")], "layer4 halve the size"),
        ([("7, stride=2, padding=3", "7, stride=1, padding=3")], "stride 2 and padding 3"),
        ([("7, stride=2, padding=3", "3, stride=2, padding=1")], "The stem is a 7x7 convolution from 3 to 64"),
        ([("range(1, blocks)", "range(blocks)")], "number of blocks in layer1"),
        ([("for _ in range(1, blocks):\n            layers.append(block(out, planes))",
           "layers += [block(out, planes)] * blocks"), ("nn.Sequential(*layers)", "nn.Sequential(*layers[:blocks])"),
          ("layers = [block(self", "layers = 0 * [block(self")],
         "one block stands in layer1 several times"),
        ([("return nn.Sequential(*layers)", "return layers")], "would not be registered"),
        ([("self.fc = ", "self.classifier = "), ("self.fc(", "self.classifier(")], "has no fc. The names are"),
        ([(HEAD, HEAD + ".softmax(dim=1)")], "the softmax belongs to the loss"),
        ([(HEAD, HEAD + ".relu()")], "logits may be negative"),
        ([(HEAD, HEAD + " / 2")], "7): its output has the right shape, but the values are off"),
        ([("AdaptiveAvgPool2d", "AdaptiveMaxPool2d")], "the mean of each map"),
        ([(HEAD, HEAD.replace("x)", "x.detach())"))], "no gradient reaches"),
        ([(CHAIN, "self.layer3(self.layer2(self.layer1(x)))")], "forward never comes to layer4.0"),
        ([(CHAIN, "x")], "forward never comes to layer1.0"),
        ([(CHAIN, "self.layer4(self.layer3(self.layer2(self.layer1(self.layer1(x)))))")], "what enters layer1"),
    ],
)  # fmt: skip
def test_7_2_names_the_mistake(verdict, earns, write, changes, words) -> None:
    answer = write(CLASS, "MyResNet", *changes)
    said = verdict(checks.ex_7_2, answer)
    assert words in said, said
    assert not earns(checks.ex_7_2, answer)


def test_7_2_wants_the_readers_own_class(verdict, write) -> None:
    assert "without parentheses" in verdict(checks.ex_7_2, torch.nn.Linear(1, 1))
    assert "uses the package's ResNet" in verdict(checks.ex_7_2, ResNet)
    assert "is torchvision's ResNet" in verdict(checks.ex_7_2, torchvision.models.ResNet)
    copied = type("MyResNet", (write(CLASS, "MyResNet"),), {"_make_layer": ResNet._make_layer})
    assert "uses the package's ResNet" in verdict(checks.ex_7_2, copied)


# ---------------------------------------------------------------- 7.3 weights for other classes

LOAD = """
def load_body(net, state):
    body = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    body["fc.weight"], body["fc.bias"] = net.fc.weight, net.fc.bias
    net.load_state_dict(body)
"""
OWN_HEAD = 'body["fc.weight"], body["fc.bias"] = net.fc.weight, net.fc.bias'
REPORT = """
def load_body(net, state):
    body = dict(state)
    del body["fc.weight"], body["fc.bias"]
    report = net.load_state_dict(body, strict=False)
    assert report.missing_keys == ["fc.weight", "fc.bias"], report
    assert not report.unexpected_keys, report
    return report
"""
MISSING = 'assert report.missing_keys == ["fc.weight", "fc.bias"], report'
FILTER = """
def load_body(net, state):
    own = net.state_dict()
    net.load_state_dict({n: t for n, t in state.items() if n in own and own[n].shape == t.shape}, strict=False)
"""
PARAMETERS = """
def load_body(net, state):
    for name, parameter in net.named_parameters():
        if "fc" not in name:
            parameter.data.copy_(state[name])
"""
COPY = """
def load_body(net, state):
    own = net.state_dict()
    assert set(own) == set(state)
    for name in own:
        if not name.startswith("fc."):
            own[name].copy_(state[name])
"""


@pytest.mark.parametrize("source", [LOAD, REPORT])
def test_7_3_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_7_3, write(source, "load_body")) == "Exercise 7.3: right."
    assert earns(checks.ex_7_3, write(source, "load_body"))


def test_7_3_knows_the_stub(verdict, earns, write) -> None:
    stub = write("def load_body(net, state):\n    raise NotImplementedError\n", "load_body")
    assert verdict(checks.ex_7_3, stub) == "Exercise 7.3: not attempted yet."
    assert not earns(checks.ex_7_3, stub)


@pytest.mark.parametrize(
    ("source", "changes", "words"),
    [
        (LOAD, [(OWN_HEAD, "pass")], "load_state_dict complains. Leave fc out"),
        (LOAD, [(' if not name.startswith("fc.")', ""), (OWN_HEAD, "pass")], "load_state_dict complains. Leave fc out"),
        (REPORT, [("dict(state)", "state")], "changes the state that it is given"),
        (REPORT, [('    assert report.missing_keys == ["fc.weight", "fc.bias"], report\n', ""),
                  ("    assert not report.unexpected_keys, report\n", "")], "without layer3.0.bn1.running_var"),
        (REPORT, [("    assert not report.unexpected_keys, report\n", "")], "with an fc2.weight"),
        (REPORT, [(MISSING, 'assert not any(n.startswith("layer") for n in report.missing_keys)')],
         "without conv1.weight"),
        (REPORT, [(MISSING, 'assert not any("running" in n for n in report.missing_keys)')], "without conv1.weight"),
        (REPORT, [(MISSING, 'assert all(n.endswith("bias") or n == "fc.weight" for n in report.missing_keys)')],
         "without layer2.0.bn2.bias"),
        (LOAD, [('"fc."', '"fc"')], "with an fc2.weight"),
        (REPORT, [("not report.un", '"fc2.weight" not in report.un')], "with a block too many"),
        (FILTER, [], "Leave fc out by its name"),
        (FILTER, [("n in own and", 'not n.startswith("fc") and n in own and')], "strict=False is silent about it"),
        (PARAMETERS, [], "parameters() knows no buffers"),
        (LOAD, [("load_state_dict(body)", "load_state_dict(body, assign=True)")], "holds the state's own tensors"),
        (COPY, [], "copy_ spreads one number"),
        (LOAD, [("    net.load", "    import copy\n    copy.deepcopy(net).load")], "are not the state's"),
    ],
)  # fmt: skip
def test_7_3_names_the_mistake(verdict, earns, write, source, changes, words) -> None:
    answer = write(source, "load_body", *changes)
    assert words in verdict(checks.ex_7_3, answer)
    assert not earns(checks.ex_7_3, answer)


# ---------------------------------------------------------------- 7.4 five bugs

FIXED = """
class Block(nn.Module):
    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        identity = x if self.downsample is None else self.downsample(x)
        return F.relu(out + identity)


class FixedResNet34(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self.stage(64, 64, 3, stride=1)
        self.layer2 = self.stage(64, 128, 4, stride=2)
        self.layer3 = self.stage(128, 256, 6, stride=2)
        self.layer4 = self.stage(256, 512, 3, stride=2)
        self.fc = nn.Linear(512, num_classes)

    def stage(self, inplanes, planes, blocks, stride):
        projection = None
        if stride != 1:
            projection = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
        first = Block(inplanes, planes, stride, projection)
        return nn.Sequential(first, *[Block(planes, planes) for _ in range(1, blocks)])

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = F.adaptive_avg_pool2d(x, 1)
        return self.fc(x.flatten(1))
"""
BIAS = ("stride=2, padding=3, bias=False", "stride=2, padding=3")
WIDER = [
    ("(256, 512, 3, stride=2)", "(512, 512, 3, stride=2)"),
    ("(128, 256, 6, stride=2)", "(256, 512, 6, stride=2)"),
    ("(64, 128, 4, stride=2)", "(128, 256, 4, stride=2)"),
    ("(64, 64, 3, stride=1)", "(64, 128, 3, stride=1)"),
]
PROJECT = ("if stride != 1", "if True")
NO_RELU = ("return F.relu(out + identity)", "return out + identity")
TIED = ("F.adaptive_avg_pool2d(x, 1)", "F.avg_pool2d(x, 7)")


PADDING = [
    ("planes, 3, 1, 1, bias", "planes, 3, padding='same', bias"),
    ("1, stride, bias", "1, stride, 'valid', bias"),
]


@pytest.mark.parametrize("changes", [[], PADDING])
def test_7_4_accepts_right_answers(verdict, earns, write, changes) -> None:
    assert verdict(checks.ex_7_4, write(FIXED, "FixedResNet34", *changes)) == "Exercise 7.4: right."
    assert earns(checks.ex_7_4, write(FIXED, "FixedResNet34", *changes))


def test_7_4_knows_the_stub(verdict, earns, write) -> None:
    line = "        super().__init__()\n        self.conv1 = nn.Conv2d(3, 64"
    stub = write(FIXED, "FixedResNet34", (line, "        raise NotImplementedError\n" + line))
    assert verdict(checks.ex_7_4, stub) == "Exercise 7.4: not attempted yet."
    assert not earns(checks.ex_7_4, stub)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        # the five bugs, one after the other
        ([BIAS, *WIDER, PROJECT, NO_RELU, TIED], "conv1.bias should not be there"),
        ([*WIDER, PROJECT, NO_RELU, TIED], "layer1 meets 64 channels and puts out 64"),
        ([PROJECT, NO_RELU, TIED], "all its shortcuts are identities"),
        ([NO_RELU, TIED], "The last ReLU is missing"),
        ([TIED], "the head stops with an error"),
        # and others
        (WIDER[:3], "planes of the four stages"),
        ([("identity = x if", "identity = x.detach() if")],
         "the logits are right, and the gradient of layer4.1.bn2.bias is not: look for detach() on the shortcut"),
        ([("planes, 3, stride, 1, bias", "planes, 1, stride, 0, bias")], "The branch's convolutions are 3x3"),
        ([("planes, 3, 1, 1, bias", "planes, 3, 1, 1, groups=2, bias")], "groups is 1"),
        ([("planes, 3, 1, 1, bias", "planes, 3, padding='valid', bias")], "A 3x3 convolution has padding 1"),
        ([("F.relu(out + identity)", "F.relu(out)")], "The shortcut is not added"),
        ([("F.relu(out + identity)", "F.relu(out) + identity")], "A ReLU stands in front of the addition"),
        ([("out = self.bn2(self.conv2(out))", "out = F.relu(self.bn2(self.conv2(out)))")],
         "A ReLU stands in front of the addition"),
        ([("out = F.relu(self.bn1(self.conv1(x)))", "out = self.bn1(self.conv1(x))")],
         "The ReLU between the convolutions is missing"),
        ([("3, stride, 1, bias=False)", "3, 1, 1, bias=False)"), ("planes, 3, 1, 1, bias=False)\n        self.bn2",
           "planes, 3, stride, 1, bias=False)\n        self.bn2")], "in the first 3x3 of their first block"),
        ([("128, 4, stride=2", "128, 3, stride=2")], "number of blocks in layer2"),
        ([("[Block(planes, planes) for _ in range(1, blocks)]", "[Block(planes, planes)] * (blocks - 1)")],
         "one block stands in layer1 several times"),
        ([(", nn.BatchNorm2d(planes))", ")")], "A projection is nn.Sequential(1x1 convolution, BatchNorm)"),
        ([("F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)", "F.relu(self.bn1(self.conv1(x)))")],
         "stands a max pooling"),
        ([("self.downsample", "self.shortcut")], "has layer2.0.shortcut.0.weight"),
        ([("F.relu(out + identity)", "F.relu(out * identity)")], "are ADDED, not multiplied"),
        ([("F.relu(out + identity)", "F.relu(out + 2 * identity)")], "Look at the block's forward"),
    ],
)  # fmt: skip
def test_7_4_names_the_mistake(verdict, earns, write, changes, words) -> None:
    answer = write(FIXED, "FixedResNet34", *changes)
    said = verdict(checks.ex_7_4, answer)
    assert words in said, said
    assert not earns(checks.ex_7_4, answer)


def test_7_4_wants_a_class_of_the_readers_own(verdict, write) -> None:
    assert "without parentheses" in verdict(checks.ex_7_4, write(FIXED, "FixedResNet34")(7))
    for whose in (ResNet, torchvision.models.ResNet):
        assert "Mend the broken one" in verdict(checks.ex_7_4, type("FixedResNet34", (whose,), {}))
