"""Chapter 5's checks accept right answers, however written, and say to each wrong one what belongs to it."""

import numpy as np
import pytest
import torch

from resnet_edu import checks
from resnet_edu.blocks import Bottleneck

# ---------------------------------------------------------------- 5.1 widths

WIDTHS = {
    "a": (64, 256, 56, True),
    "b": (64, 256, 56, False),
    "c": (128, 512, 28, True),
    "d": (256, 512, 28, False),
    "e": (1024, 2048, 7, True),
    "f": (16, 64, 8, True),
}


WHOLE = [float, np.int64, torch.tensor]


@pytest.mark.parametrize("kind", WHOLE)
def test_5_1_accepts_whole_numbers_of_any_type(verdict, kind) -> None:
    answer = {name: (*map(kind, parts[:3]), np.bool_(parts[3])) for name, parts in WIDTHS.items()}
    assert verdict(checks.ex_5_1, answer) == "Exercise 5.1: right."


@pytest.mark.parametrize("kind", [tuple, list])
def test_5_1_accepts_the_widths(verdict, earns, kind) -> None:
    answer = {name: kind(parts) for name, parts in WIDTHS.items()}
    assert verdict(checks.ex_5_1, answer) == "Exercise 5.1: right."
    assert earns(checks.ex_5_1, answer)


def test_5_1_knows_the_stub(verdict, earns) -> None:
    stub = dict.fromkeys(WIDTHS, ...)
    assert verdict(checks.ex_5_1, stub) == "Exercise 5.1: not attempted yet."
    assert "not attempted" in verdict(checks.ex_5_1, WIDTHS | {"d": (256, ..., 28, False)})
    assert not earns(checks.ex_5_1, stub)


@pytest.mark.parametrize(
    ("name", "parts", "words"),
    [
        ("a", (64, 64, 56, False), "goes up again"),
        ("a", (64, 256, 56, False), "only if channels AND size"),
        ("b", (64, 1024, 56, True), "not the channels that come in"),
        ("b", (256, 256, 56, False), "the middle is narrow"),
        ("b", (64, 256, 56, True), "the same channels and the same size"),
        ("c", (128, 256, 28, True), "does not decide"),
        ("c", (128, 512, 56, True), "the stride is missing"),
        ("c", (256, 512, 28, True), "the first 1x1 changes the channels"),
        ("d", (8, 512, 28, False), "multiplied by `groups`"),
        ("d", (128, 512, 28, False), "base_width and groups change it"),
        ("d", (256, 1024, 28, True), "widen the middle only"),
        ("d", (4, 512, 28, False), "width of one group where"),
        ("e", (128, 2048, 7, True), "it grows with `planes`"),
        ("e", (512, 2048, 7, True), "base_width and groups change it"),
        ("e", (1024, 4096, 7, True), "not the channels that come in"),
        ("f", (16, 64, 7, True), "rounds halves up"),
        ("f", (16, 64, 8, False), "only if channels AND size"),
        ("f", (17, 64, 8, True), "read the arguments once more"),
        ("f", (16, 64, 8), "three integers and True or False"),
        ("d", (256, 512, 14, False), "the size stays"),
        ("f", (64, 64, 8, True), "the middle is narrow"),
        ("f", (16, 64, 8, 1), "three integers and True or False"),
        ("f", (16, 64, 7.5, True), "`f`, without its last part, should be a tuple of whole numbers"),
        ("f", (16.0, 64, 7.0, True), "should not be 7: a 3x3"),
        ("f", None, "three integers and True or False"),
    ],
)
def test_5_1_names_the_mistake(verdict, earns, name, parts, words) -> None:
    said = verdict(checks.ex_5_1, WIDTHS | {name: parts})
    assert words in said and f"`{name}`" in said
    assert str(WIDTHS[name]) not in said  # a prediction: the check does not give it away
    assert not earns(checks.ex_5_1, WIDTHS | {name: parts})


@pytest.mark.parametrize("answer", [None, {}, list(WIDTHS.values())])
def test_5_1_asks_for_the_keys(verdict, answer) -> None:
    assert "dict with the keys a, b" in verdict(checks.ex_5_1, answer)


# ---------------------------------------------------------------- 5.2 groups

BASE_WIDTHS = {1: 64, 2: 40, 4: 24, 8: 14, 32: 4}


def test_5_2_accepts_the_widths(verdict, earns) -> None:
    assert verdict(checks.ex_5_2, BASE_WIDTHS) == "Exercise 5.2: right."
    assert earns(checks.ex_5_2, dict(reversed(BASE_WIDTHS.items())))


def test_5_2_knows_the_stub(verdict, earns) -> None:
    stub = dict.fromkeys(BASE_WIDTHS, ...) | {1: 64}
    assert verdict(checks.ex_5_2, stub) == "Exercise 5.2: not attempted yet."
    assert not earns(checks.ex_5_2, stub)


@pytest.mark.parametrize(
    ("groups", "base_width", "words"),
    [
        (2, 32, "divide its weights"),
        (32, 2, "divide its weights"),
        (2, 80, "width of the whole middle"),
        (32, 128, "width of the whole middle"),
        (8, 13, "One neighbour is closer"),
        (2, 41, "One neighbour is closer"),
        (4, 10, "Too few: try more"),
        (4, 64, "Too many: try less"),
        (8, 0, "should be positive"),
        (8, 13.5, "whole number"),
        (8, None, "should be one number"),
    ],
)
def test_5_2_names_the_mistake(verdict, earns, groups, base_width, words) -> None:
    answer = BASE_WIDTHS | {groups: base_width}
    assert words in verdict(checks.ex_5_2, answer)
    assert not earns(checks.ex_5_2, answer)


@pytest.mark.parametrize("answer", [{}, {2: 40}, [64, 40, 24, 14, 4]])
def test_5_2_asks_for_the_keys(verdict, answer) -> None:
    assert "keys 1, 2, 4, 8 and 32" in verdict(checks.ex_5_2, answer)


# ---------------------------------------------------------------- 5.3 the bottleneck, and 5.4 the broken one

BLOCK = """
class MyBottleneck(nn.Module):
    def __init__(self, inplanes, planes, stride=1, groups=1, base_width=64):
        super().__init__()
        width, out = int(planes * (base_width / 64)) * groups, 4 * planes
        self.conv1 = nn.Conv2d(inplanes, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.shortcut = nn.Identity()
        if stride != 1 or inplanes != out:
            self.shortcut = nn.Sequential(nn.Conv2d(inplanes, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + self.shortcut(x))
"""
SHORTCUT_FIRST = """
class MyBottleneck(nn.Module):
    def __init__(self, i, p, s=1, groups=1, base_width=64, **unused):
        super().__init__()
        s = unused.get("stride", s)
        w = p * base_width // 64 * groups
        self.project = None
        if (s, i) != (1, 4 * p):
            self.project = nn.Sequential(nn.Conv2d(i, 4 * p, 1, stride=s, bias=False), nn.BatchNorm2d(4 * p))
        self.body = nn.Sequential(
            nn.Conv2d(i, w, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(True),
            nn.Conv2d(w, w, 3, s, 1, 1, groups, False), nn.BatchNorm2d(w), nn.ReLU(True),
            nn.Conv2d(w, 4 * p, 1, bias=False), nn.BatchNorm2d(4 * p))

    def forward(self, x):
        short = self.project(x) if self.project else x
        return (short + self.body(x)).clamp(min=0)
"""
REVERSED = """
class MyBottleneck(nn.Module):
    def __init__(self, inplanes, planes, stride=1, groups=1, base_width=64):
        super().__init__()
        width = int(base_width / 64 * planes) * groups
        shapes = [(inplanes, width, 1, 1, 1), (width, width, 3, stride, groups), (width, 4 * planes, 1, 1, 1)]
        if inplanes != 4 * planes or stride > 1:
            shapes.append((inplanes, 4 * planes, 1, stride, 1))
        for number, (i, o, k, s, g) in reversed(list(enumerate(shapes))):
            setattr(self, f"bn{number}", nn.BatchNorm2d(o))
            setattr(self, f"conv{number}", nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False))
        self.projects = len(shapes) == 4

    def layer(self, number, x):
        return getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x))

    def forward(self, x):
        y = self.layer(2, self.layer(1, self.layer(0, x).relu()).relu())
        y += self.layer(3, x) if self.projects else x
        return y.relu_()
"""
LAZY = BLOCK.replace("nn.Conv2d(inplanes, ", "nn.LazyConv2d(").replace("nn.BatchNorm2d(width)", "nn.LazyBatchNorm2d()")
STUB = """
class MyBottleneck(nn.Module):
    def __init__(self, inplanes, planes, stride=1, groups=1, base_width=64):
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        raise NotImplementedError
"""
CHECKS = [(checks.ex_5_3, "5.3"), (checks.ex_5_4, "5.4")]


@pytest.mark.parametrize("source", [BLOCK, SHORTCUT_FIRST, REVERSED, LAZY])
@pytest.mark.parametrize(("check", "label"), CHECKS)
def test_5_3_and_5_4_accept_right_answers(verdict, earns, write, check, label, source) -> None:
    assert verdict(check, write(source, "MyBottleneck")) == f"Exercise {label}: right."
    assert earns(check, write(source, "MyBottleneck"))


@pytest.mark.parametrize(("check", "label"), CHECKS)
def test_5_3_and_5_4_know_the_stub(verdict, earns, write, check, label) -> None:
    assert verdict(check, write(STUB, "MyBottleneck")) == f"Exercise {label}: not attempted yet."
    assert not earns(check, write(STUB, "MyBottleneck"))


LAST = "return F.relu(out + self.shortcut(x))"
BN3 = "out = self.bn3(self.conv3(out))"
SHORT_FIRST = "return (short + self.body(x)).clamp(min=0)"
PROJECT = "nn.Sequential(nn.Conv2d(inplanes, out, 1, stride, bias=False), nn.BatchNorm2d(out))"
MISTAKES = [  # what both exercises must see
    ((LAST, "return F.relu(out)"), "The shortcut is not added"),
    ((LAST, "return F.relu(self.shortcut(x))"), "The branch is not added"),
    ((LAST, "return F.relu(out - self.shortcut(x))"), "are ADDED"),
    ((LAST, "return F.relu(self.shortcut(x) - out)"), "are ADDED"),
    ((LAST, "return F.relu(out * self.shortcut(x))"), "not multiplied"),
    ((LAST, "return out + self.shortcut(x)"), "ReLU after the addition is missing"),
    ((LAST, "return F.relu(out) + self.shortcut(x)"), "A ReLU follows the last BatchNorm"),
    ((LAST, "return F.relu(F.relu(out) + self.shortcut(x))"), "A ReLU follows the last BatchNorm"),
    ((LAST, "return F.relu(out + F.relu(self.shortcut(x)))"), "There is a ReLU on the shortcut"),
    (("F.relu(self.bn1(self.conv1(x)))", "self.bn1(self.conv1(x))"), "after the first BatchNorm is missing"),
    (("F.relu(self.bn2(self.conv2(out)))", "self.bn2(self.conv2(out))"), "after the second BatchNorm"),
    (("F.relu(self.bn1(self.conv1(x)))", "self.bn1(F.relu(self.conv1(x)))"), "ReLU comes behind the BatchNorm"),
    (("F.relu(self.bn2(self.conv2(out)))", "self.bn2(F.relu(self.conv2(out)))"), "ReLU comes behind the BatchNorm"),
    (("F.relu(self.bn1(self.conv1(x)))", "F.relu(self.conv1(x))"), "A BatchNorm is made and never called"),
    (("F.relu(self.bn2(self.conv2(out)))", "F.relu(self.conv2(out))"), "A BatchNorm is made and never called"),
    (("out = F.relu(self.bn2", "out = self.conv1.weight.mean() * F.relu(self.bn2"), "Compare your forward"),
    ((LAST, LAST + ".detach()"), "No gradient"),
    ((LAST, "out + self.shortcut(x)"), "NoneType"),
    ((PROJECT, "nn.Conv2d(inplanes, out, 1, stride, bias=False)"), "the projection too"),
    ((PROJECT, "nn.Conv2d(inplanes, out, 1, stride)"), "A bias does not replace"),
    ((PROJECT, "nn.Sequential(nn.Conv2d(inplanes, out, 1, stride), nn.BatchNorm2d(out))"), "projection needs no bias"),
    ((PROJECT, "nn.Sequential(nn.Conv2d(inplanes, out, 1, bias=False), nn.BatchNorm2d(out))"), "must match the size"),
    (("stride != 1 or inplanes != out", "stride != 1"), "the stride is not 1 OR the channels change"),
    (("stride != 1 or inplanes != out", "inplanes != out"), "the stride is not 1 OR the channels change"),
    (("stride != 1 or inplanes != out", "True"), "not even unused ones"),
    (("nn.Identity()", "nn.BatchNorm2d(out)"), "not even unused ones"),
    ((BN3, "out = self.conv3(out)"), "A BatchNorm is made and never called"),
    (("        self.bn3 = nn.BatchNorm2d(out)\n", "        self.bn3 = nn.Identity()\n"), "after EVERY convolution"),
    (("self.bn2(self.conv2", "self.bn1(self.conv2"), "Compare your forward"),
    (("        self.bn2 = nn.BatchNorm2d(width)\n", "        self.bn2 = self.bn1\n"), "each convolution has its own"),
    (("bias=False", "bias=True"), "need no bias"),
    (("out = int(planes * (base_width / 64)) * groups, 4 * planes",
      "out = int(planes * (base_width / 64)) * groups, 4 * inplanes"), "not 4 * inplanes"),
    (("out = int(planes * (base_width / 64)) * groups, 4 * planes",
      "out = int(planes * (base_width / 64)) * groups, planes"), "goes up again"),
    (("padding=1", "padding=0"), "RuntimeError"),
    (("width, out, 1", "width, out, 3, padding=1"), "where"),
    (("nn.Conv2d(inplanes, width, 1, bias=False)\n",
      "nn.Linear(inplanes, width, False)\n        move = lambda x, *to: x.permute(to)\n"
      "        self.conv1.register_forward_pre_hook(lambda m, i: move(i[0], 0, 2, 3, 1))\n"
      "        self.conv1.register_forward_hook(lambda m, i, o: move(o, 0, 3, 1, 2))\n"),
     "(20, 5) has a parameter of shape (5, 20). Write the 1x1 as a convolution: its weights have four"),
]  # fmt: skip
STRIDES = [
    (
        "self.conv1 = nn.Conv2d(inplanes, width, 1,",
        "self.conv1 = nn.Conv2d(inplanes, width, 1, stride,",
        "v1.5 the 3x3",
    ),
    ("self.conv3 = nn.Conv2d(width, out, 1,", "self.conv3 = nn.Conv2d(width, out, 1, stride,", "on the last 1x1"),
]


@pytest.mark.parametrize(("change", "words"), MISTAKES)
@pytest.mark.parametrize(("check", "label"), CHECKS)
def test_5_3_and_5_4_name_the_mistake(verdict, earns, write, check, label, change, words) -> None:
    answer = write(BLOCK, "MyBottleneck", change)
    assert words in verdict(check, answer)
    assert not earns(check, answer)


def test_5_3_and_5_4_see_relus_in_front_of_every_batchnorm(verdict, write) -> None:
    changes = [("F.relu(self.bn1(self.conv1(x)))", "self.bn1(F.relu(self.conv1(x)))"),
               ("F.relu(self.bn2(self.conv2(out)))", "self.bn2(F.relu(self.conv2(out)))")]  # fmt: skip
    for check, _ in CHECKS:
        assert "ReLU comes behind the BatchNorm" in verdict(check, write(BLOCK, "MyBottleneck", *changes))


@pytest.mark.parametrize(("old", "new", "words"), STRIDES)
@pytest.mark.parametrize(("check", "label"), CHECKS)
def test_5_3_and_5_4_see_where_the_stride_is(verdict, earns, write, check, label, old, new, words) -> None:
    answer = write(BLOCK, "MyBottleneck", ("3, stride=stride,", "3,"), (old, new))
    assert words in verdict(check, answer)
    assert not earns(check, answer)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("short + self.body(x)", "ReLU after the addition is missing"),
        ("return short + self.body(x).relu()", "A ReLU follows the last BatchNorm"),
        ("return self.body(x).relu()", "The shortcut is not added"),
    ],
)
def test_5_3_names_the_mistake_where_the_shortcut_comes_first(verdict, write, new, words) -> None:
    new = new if new.startswith("return") else f"return {new}"
    assert words in verdict(checks.ex_5_3, write(SHORTCUT_FIRST, "MyBottleneck", (SHORT_FIRST, new)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("i, w, 1, ", "i, w, 1, s, "), ("w, w, 3, s,", "w, w, 3, 1,")], "v1.5 the 3x3"),
        ([("w, 4 * p, 1, ", "w, 4 * p, 1, s, "), ("w, w, 3, s,", "w, w, 3, 1,")], "on the last 1x1"),
        ([("self.project(x) if", "self.project(x).relu() if")], "a ReLU on the shortcut"),
    ],
)
def test_5_3_names_the_mistake_at_a_projection_that_comes_first(verdict, earns, write, changes, words) -> None:
    answer = write(SHORTCUT_FIRST, "MyBottleneck", *changes)
    assert words in verdict(checks.ex_5_3, answer)
    assert not earns(checks.ex_5_3, answer)


WIDTH = "int(planes * (base_width / 64)) * groups"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((" groups=groups,", ""), "`groups` does not reach the 3x3"),
        ((WIDTH, "planes"), "The middle has int(planes"),
        ((WIDTH, "int(planes * (base_width / 64))"), "The middle has int(planes"),
        ((WIDTH, "int(planes * (base_width / 64) * groups)"), "Round the width of one group"),
        ((", 4 * planes", ", 4 * (" + WIDTH + ")"), "change the middle only"),
        ((WIDTH, "planes * groups"), "The middle has int(planes"),
        ((WIDTH, "round(planes * (base_width / 64)) * groups"), "rounds DOWN"),
        (("inplanes, width, 1,", "inplanes, width, 1, groups=groups,"), "belongs to the 3x3 alone"),
        (("width, out, 1,", "width, out, 1, groups=groups,"), "belongs to the 3x3 alone"),
    ],
)
def test_5_3_names_the_mistake_in_the_width(verdict, earns, write, change, words) -> None:
    answer = write(BLOCK, "MyBottleneck", change)
    assert words in verdict(checks.ex_5_3, answer)
    assert not earns(checks.ex_5_3, answer)


def test_5_3_wants_layers_of_ones_own(verdict, write) -> None:
    class Borrowed(Bottleneck):
        pass

    assert "somebody else wrote" in verdict(checks.ex_5_3, Borrowed)
    assert "without parentheses" in verdict(checks.ex_5_3, write(BLOCK + "\nblock = MyBottleneck(16, 4)", "block"))


BROKEN = """
class FixedBottleneck(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, stride=stride, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU()
        self.shortcut = nn.Identity()
        if stride != 1 or inplanes != 4 * planes:
            self.shortcut = nn.Conv2d(inplanes, 4 * planes, 1, stride, bias=False)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.relu(self.bn3(self.conv3(out)))
        return self.relu(out + self.shortcut(x))
"""
RELU = ("out = self.relu(self.bn3(self.conv3(out)))", "out = self.bn3(self.conv3(out))")
PROJECTION = "nn.Conv2d(inplanes, 4 * planes, 1, stride, bias=False)"
NORM = (PROJECTION, f"nn.Sequential({PROJECTION}, nn.BatchNorm2d(4 * planes))")
STRIDE = [("planes, 3, ", "planes, 3, stride, "), ("1, stride=stride, ", "1, ")]


def test_5_4_names_what_is_still_wrong(verdict, earns, write) -> None:
    for changes, words in (
        ([], "A ReLU follows the last BatchNorm"),
        ([NORM], "A ReLU follows the last BatchNorm"),
        (STRIDE, "A ReLU follows the last BatchNorm"),
        ([NORM, *STRIDE], "A ReLU follows the last BatchNorm"),
        ([RELU], "A BatchNorm is missing"),
        ([RELU, *STRIDE], "A BatchNorm is missing"),
        ([RELU, NORM], "The stride is on the last 1x1"),
    ):
        answer = write(BROKEN, "FixedBottleneck", *changes)
        assert words in verdict(checks.ex_5_4, answer), changes
        assert not earns(checks.ex_5_4, answer)
    assert verdict(checks.ex_5_4, write(BROKEN, "FixedBottleneck", RELU, NORM, *STRIDE)) == "Exercise 5.4: right."
