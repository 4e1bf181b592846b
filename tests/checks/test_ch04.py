"""Chapter 4's checks accept right answers, however written, and say to each wrong one what belongs to it."""

import numpy as np
import pytest
import torch

from resnet_edu import checks
from resnet_edu.blocks import BasicBlock

# ---------------------------------------------------------------- 4.1 which shortcut

SHORTCUTS = {
    "a": ("identity", 4_672, 32),
    "b": ("zeros", 13_952, 16),
    "c": ("projection", 14_528, 16),
    "d": ("projection", 14_528, 32),
    "e": ("zeros", 18_560, 8),
    "f": ("projection", 4_960, 32),
}


@pytest.mark.parametrize("kind", [tuple, list])
def test_4_1_accepts_the_predictions(verdict, earns, kind) -> None:
    answer = {name: kind(parts) for name, parts in SHORTCUTS.items()}
    assert verdict(checks.ex_4_1, answer) == "Exercise 4.1: right."
    assert earns(checks.ex_4_1, answer)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("b", ("zeros", 13_952, 32 / 2)),
        ("b", ("zeros", np.int64(13_952), 16)),
        ("b", ("zeros", torch.tensor(13_952), 16)),
        ("e", ("zeros", 18_560, np.ceil(15 / 2))),
        ("f", ("projection", 4_960.0, 32)),
    ],
)
def test_4_1_accepts_a_whole_number_of_any_type(verdict, earns, name, parts) -> None:
    assert verdict(checks.ex_4_1, SHORTCUTS | {name: parts}) == "Exercise 4.1: right."
    assert earns(checks.ex_4_1, SHORTCUTS | {name: parts})


def test_4_1_knows_the_stub(verdict, earns) -> None:
    stub = dict.fromkeys(SHORTCUTS, ...)
    assert verdict(checks.ex_4_1, stub) == "Exercise 4.1: not attempted yet."
    assert "not attempted" in verdict(checks.ex_4_1, SHORTCUTS | {"d": ("projection", ..., 32)})
    assert not earns(checks.ex_4_1, stub)


@pytest.mark.parametrize(
    ("name", "parts", "words"),
    [
        ("a", ("projection", 4_960, 32), "nothing changes here"),
        ("a", ("zeros", 4_672, 32), "nothing changes here"),
        ("a", ("identity", 4_608, 32), "two numbers for each of its channels"),
        ("a", ("identity", 4_640, 32), "a scale AND a shift"),
        ("c", ("projection", 14_432, 16), "a scale AND a shift"),
        ("a", ("identity", 4_704, 32), "no bias"),
        ("b", ("identity", 13_952, 16), "only if channels AND size"),
        ("b", ("projection", 14_528, 16), "no projections at all"),
        ("b", ("zeros", 14_528, 16), "this shortcut has no parameters"),
        ("b", ("zeros", 18_560, 16), "the first convolution reads"),
        ("b", ("zeros", 9_344, 16), "the second convolution reads"),
        ("b", ("zeros", 13_920, 16), "`planes` channels"),
        ("b", ("zeros", 13_952, 32), "the stride is missing"),
        ("c", ("zeros", 13_952, 16), "it projects"),
        ("c", ("projection", 13_952, 16), "has weights, and a BatchNorm"),
        ("c", ("projection", 14_464, 16), "three with a projection"),
        ("c", ("projection", 18_624, 16), "not nine"),
        ("c", ("projection", 14_624, 16), "no bias"),
        ("d", ("identity", 13_952, 32), "only if channels AND size"),
        ("e", ("identity", 18_560, 8), "only if channels AND size"),
        ("e", ("zeros", 18_560, 7), "rounds halves up"),
        ("f", ("identity", 4_672, 32), "in every block"),
        ("f", ("projection", 1, 32), "count once more"),
        ("f", ("nothing", 1, 32), "one of identity, zeros, projection"),
        ("c", ("projection", 14_528, 17), "only the stride shrinks it"),
        ("f", ("projection", 4_960), "a word and two integers"),
        ("f", (4_960, "projection", 32), "a word and two integers"),
        ("e", ("zeros", 18_560, 15 / 2), "the output height should be a whole number"),
        ("f", ("projection", "4961", 32), "the parameters should be one number"),
        ("f", None, "a word and two integers"),
    ],
)
def test_4_1_names_the_mistake(verdict, earns, name, parts, words) -> None:
    said = verdict(checks.ex_4_1, SHORTCUTS | {name: parts})
    assert words in said and f"`{name}`" in said
    assert str(SHORTCUTS[name][1]) not in said or SHORTCUTS[name][1] in (parts or ())  # it does not give it away
    assert not earns(checks.ex_4_1, SHORTCUTS | {name: parts})


@pytest.mark.parametrize("answer", [None, {}, list(SHORTCUTS.values())])
def test_4_1_asks_for_the_keys(verdict, answer) -> None:
    assert "dict with the keys a, b" in verdict(checks.ex_4_1, answer)


# ---------------------------------------------------------------- 4.2 the block, and 4.4 the broken one

BLOCK = """
class MyBlock(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Identity()
        if stride != 1 or inplanes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))
"""
SHORTCUT_FIRST = """
class MyBlock(nn.Module):
    def __init__(self, i, p, s=1):
        super().__init__()
        self.project = None
        if (s, i) != (1, p):
            self.project = nn.Sequential(nn.Conv2d(i, p, 1, stride=s, bias=False), nn.BatchNorm2d(p))
        self.body = nn.Sequential(
            nn.Conv2d(i, p, (3, 3), s, 1, bias=False), nn.BatchNorm2d(p), nn.ReLU(True),
            nn.Conv2d(p, p, 3, padding="same", bias=False), nn.BatchNorm2d(p))

    def forward(self, x):
        identity = self.project(x) if self.project else x
        return (identity + self.body(x)).clamp_min(0)
"""
SHUFFLED = """
class MyBlock(nn.Module):
    def __init__(self, i, p, stride=1):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(p) for _ in range(2))
        self.two = nn.Conv2d(p, p, 3, padding=1, bias=False)
        self.one = nn.Conv2d(i, p, 3, stride, padding=1, bias=False)
        self.fit = nn.ModuleList()
        if stride > 1 or i - p:
            self.fit = nn.ModuleList([nn.Conv2d(i, p, 1, stride, bias=False), nn.BatchNorm2d(p)])

    def forward(self, x):
        y = self.norms[1](self.two(F.relu(self.norms[0](self.one(x)))))
        for layer in self.fit:
            x = layer(x)
        return torch.relu(torch.add(x, y))
"""
STUB = """
class MyBlock(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        raise NotImplementedError
"""


@pytest.mark.parametrize("source", [BLOCK, SHORTCUT_FIRST, SHUFFLED])
@pytest.mark.parametrize("check", [checks.ex_4_2, checks.ex_4_4])
def test_the_block_checks_accept_right_answers(verdict, earns, write, check, source) -> None:
    assert verdict(check, write(source, "MyBlock")).endswith(": right.")
    assert earns(check, write(source, "MyBlock"))


@pytest.mark.parametrize("check", [checks.ex_4_2, checks.ex_4_4])
def test_the_block_checks_know_the_stub(verdict, earns, write, check) -> None:
    assert verdict(check, write(STUB, "MyBlock")).endswith("not attempted yet.")
    assert not earns(check, write(STUB, "MyBlock"))


LAST = "return F.relu(out + self.shortcut(x))"
IF = "if stride != 1 or inplanes != planes:"
PROJECTION = "nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))"
MISTAKES = [
    # the addition
    (LAST, "return F.relu(out)", "The shortcut is not added"),
    (LAST, "return F.relu(self.shortcut(x))", "The branch is not added"),
    (LAST, "return F.relu(out - self.shortcut(x))", "are ADDED"),
    (LAST, "return F.relu(self.shortcut(x) - out)", "are ADDED"),
    (LAST, "return F.relu(out * self.shortcut(x))", "not multiplied"),
    (LAST, "return F.relu((out + self.shortcut(x)) / 2)", "not averaged"),
    (LAST, "return F.relu(torch.cat([out, self.shortcut(x)], dim=1))", "should have shape"),
    # the ReLUs
    (LAST, "return out + self.shortcut(x)", "after the addition is missing"),
    (LAST, "return F.relu(out) + self.shortcut(x)", "belongs after the addition"),
    (LAST, "return F.relu(F.relu(out) + self.shortcut(x))", "belongs after the addition"),
    (LAST, "return F.relu(out + F.relu(self.shortcut(x)))", "ReLU on the shortcut"),
    ("F.relu(self.bn1(self.conv1(x)))", "self.bn1(self.conv1(x))", "after the first BatchNorm is missing"),
    ("F.relu(self.bn1(self.conv1(x)))", "self.bn1(F.relu(self.conv1(x)))", "not before it"),
    ("F.relu(self.bn1(self.conv1(x)))", "F.relu6(self.bn1(self.conv1(x)))", "values are off"),
    ("self.bn2(self.conv2(out))\n        return F.relu(out + self.shortcut(x))",
     "self.conv2(out)\n        return F.relu(self.bn2(out + self.shortcut(x)))", "comes before the addition"),
    (LAST, "return F.leaky_relu(out + self.shortcut(x))", "layer by layer"),
    (LAST, "return F.relu(out + self.shortcut(x.relu_()))", "ReLU on the shortcut"),
    # the stride
    ("stride=stride, padding=1, bias=False", "padding=1, stride=1, bias=False", "RuntimeError in your line"),
    # the shortcut
    (IF, "if True:", "no layers, not even unused ones"),
    (IF, "if stride != 1:", "size OR the channels"),
    (IF, "if inplanes != planes:", "size OR the channels"),
    (IF, "if False:", "size OR the channels"),
    (IF, "if (stride != 1) != (inplanes != planes):", "size OR the channels"),
    (IF, "if stride != 1 or planes > inplanes:", "size OR the channels"),
    (IF, "if stride == 2 or inplanes != planes:", "size OR the channels"),
    (PROJECTION, PROJECTION.replace("1, stride,", "1, stride if inplanes == planes else 1,"), "RuntimeError in"),
    (PROJECTION, "nn.Conv2d(inplanes, planes, 1, stride, bias=False)", "the projection too"),
    (PROJECTION, "nn.Conv2d(inplanes, planes, 1, stride)", "has a BatchNorm, not a bias"),
    (PROJECTION, PROJECTION.replace("stride, bias=False", "stride"), "The projection needs no bias"),
    (PROJECTION, PROJECTION.replace("1, stride,", "3, stride, 1,"), "not a 3x3"),
    ("inplanes, planes, stride=1)", "inplanes, planes, stride)", "missing 1 required positional argument"),
    ("inplanes, planes, stride=1)", "inplanes, planes, stride=2)", "Block(6, 6) has parameters too many"),
    # the layers
    ("padding=1, bias=False", "padding=1", "need no bias"),
    ("padding=1, bias=False)\n        self.bn2", "padding=1)\n        self.bn2", "needs no bias"),
    ("self.bn2(self.conv2(out))", "self.bn1(self.conv2(out))", "is used twice"),
    ("self.bn2 = nn.BatchNorm2d(planes)", "self.bn2 = nn.Identity()", "one is missing or shared"),
    ("self.bn2 = nn.BatchNorm2d(planes)", "self.bn2 = self.bn1", "one is missing or shared"),
    ("self.bn2 = nn.BatchNorm2d(planes)", "self.bn2 = nn.BatchNorm2d(planes, affine=False)", "missing or shared"),
    ("self.bn1 = nn.BatchNorm2d(planes)", "self.bn1 = nn.InstanceNorm2d(planes, affine=True)", "layer by layer"),
    ("super().__init__()\n", "super().__init__()\n        self.extra = nn.Conv2d(planes, planes, 3, bias=False); "
     "self.bn3 = nn.BatchNorm2d(planes)\n", "a basic block has two"),
    ("nn.Conv2d(planes, planes, 3, padding=1", "nn.Conv2d(planes, planes, (1, 9), padding=(0, 4)", "Print the names"),
    # gradients, form
    (LAST, "return F.relu(out + self.shortcut(x.detach()))", "detach()"),
    (LAST, "return F.relu(out + self.shortcut(x).detach())", "detach()"),
    (LAST, "F.relu(out + self.shortcut(x))", "should be a tensor"),
    ("def forward", "def foward", "forward"),
    ("super().__init__()", "pass", "AttributeError in your line"),
]  # fmt: skip


@pytest.mark.parametrize("check", [checks.ex_4_2, checks.ex_4_4])
@pytest.mark.parametrize(("old", "new", "words"), MISTAKES)
def test_the_block_checks_name_the_mistake(verdict, earns, write, check, old, new, words) -> None:
    answer = write(BLOCK, "MyBlock", (old, new))
    print(verdict(check, answer))
    assert words in verdict(check, answer)
    assert not earns(check, answer)


@pytest.mark.parametrize("check", [checks.ex_4_2, checks.ex_4_4])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("(3, 3), s, 1,", "3, 1, 1,"), ('3, padding="same"', "3, s, 1")], "stride is on the second"),
        ([("self.project(x) if", "F.relu(self.project(x)) if")], "ReLU on the shortcut"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_where_the_shortcut_comes_first(verdict, earns, write, check, changes, words) -> None:
    answer = write(SHORTCUT_FIRST, "MyBlock", *changes)
    assert words in verdict(check, answer)
    assert not earns(check, answer)


def test_the_projection_is_normalised_last(verdict, write) -> None:
    early = "nn.Sequential(nn.BatchNorm2d(inplanes), nn.Conv2d(inplanes, planes, 1, stride, bias=False))"
    assert "after its convolution" in verdict(checks.ex_4_2, write(BLOCK, "MyBlock", (PROJECTION, early)))
    # here the first block with a projection keeps its channels: the numbers are the same, the values are not
    assert "values are off" in verdict(checks.ex_4_4, write(BLOCK, "MyBlock", (PROJECTION, early)))


@pytest.mark.parametrize("check", [checks.ex_4_2, checks.ex_4_4])
def test_the_stride_is_on_the_second_convolution(verdict, earns, write, check) -> None:
    changes = [
        ("stride=stride, padding=1, bias=False", "padding=1, stride=1, bias=False"),
        ("nn.Conv2d(planes, planes, 3,", "nn.Conv2d(planes, planes, 3, stride,"),
    ]
    assert "saves half the work" in verdict(check, write(BLOCK, "MyBlock", *changes))
    assert not earns(check, write(BLOCK, "MyBlock", *changes))
    both = write(BLOCK, "MyBlock", ("nn.Conv2d(planes, planes, 3,", "nn.Conv2d(planes, planes, 3, stride,"))
    assert "RuntimeError in your line" in verdict(check, both)


@pytest.mark.parametrize("check", [checks.ex_4_2, checks.ex_4_4])
def test_the_block_checks_want_a_class_of_ones_own(verdict, write, check) -> None:
    assert "without parentheses" in verdict(check, BasicBlock(4, 4))
    assert "somebody else" in verdict(check, BasicBlock)
    assert "should be an nn.Module" in verdict(check, lambda inplanes, planes, stride=1: None)


BROKEN = (
    BLOCK
    + """

class Broken(MyBlock):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__(inplanes, planes, stride)
        self.shortcut = nn.Identity()
        if stride != 1:
            self.shortcut = nn.Conv2d(inplanes, planes, 1, stride, bias=False)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return out + self.shortcut(x)
"""
)
RELU = ("out = F.relu(self.bn2(self.conv2(out)))\n        return out + self.shortcut(x)",
        "out = self.bn2(self.conv2(out))\n        return F.relu(out + self.shortcut(x))")  # fmt: skip
NORM = ("self.shortcut = nn.Conv2d(inplanes, planes, 1, stride, bias=False)", f"self.shortcut = {PROJECTION}")
WHEN = ("if stride != 1:", IF)


@pytest.mark.parametrize(
    ("mended", "words"),
    [
        ([], "belongs after the addition"),
        ([RELU], "the projection too"),
        ([RELU, NORM], "size OR the channels"),
        ([RELU, WHEN], "the projection too"),
        ([NORM, WHEN], "belongs after the addition"),
    ],
)
def test_4_4_names_what_is_still_wrong(verdict, earns, write, mended, words) -> None:
    answer = write(BROKEN, "Broken", *mended)
    assert words in verdict(checks.ex_4_4, answer)
    assert not earns(checks.ex_4_4, answer)
    assert verdict(checks.ex_4_4, write(BROKEN, "Broken", RELU, NORM, WHEN)) == "Exercise 4.4: right."


# ---------------------------------------------------------------- 4.3 a projection that skips no pixel

POOLED = """
def pooled_projection(inplanes, planes, stride):
    return nn.Sequential(
        nn.AvgPool2d(stride, stride, ceil_mode=True),
        nn.Conv2d(inplanes, planes, 1, bias=False),
        nn.BatchNorm2d(planes),
    )
"""
CONV_FIRST = """
class pooled_projection(nn.Module):
    def __init__(self, inplanes, planes, stride):
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(planes), nn.Conv2d(inplanes, planes, 1, bias=False)
        self.stride = stride

    def forward(self, x):
        x = self.conv(x)  # averaging and a 1x1 convolution may change places
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride, ceil_mode=True)
        return self.bn(x)
"""


@pytest.mark.parametrize("source", [POOLED, CONV_FIRST])
def test_4_3_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_4_3, write(source, "pooled_projection")) == "Exercise 4.3: right."
    assert earns(checks.ex_4_3, write(source, "pooled_projection"))


def test_4_3_knows_the_stub(verdict, earns, write) -> None:
    stub = write("def pooled_projection(inplanes, planes, stride):\n    raise NotImplementedError", "pooled_projection")
    assert verdict(checks.ex_4_3, stub) == "Exercise 4.3: not attempted yet."
    assert not earns(checks.ex_4_3, stub)


POOL, CONV = "nn.AvgPool2d(stride, stride, ceil_mode=True)", "nn.Conv2d(inplanes, planes, 1, bias=False)"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (f"        {POOL},\n", "", "too large"),
        (POOL, "nn.Identity()", "too large"),
        (POOL, "nn.AvgPool2d(stride, padding=stride // 2)", "nothing is padded"),
        (POOL, "nn.AvgPool2d(stride, padding=stride // 2, ceil_mode=True)", "nothing is padded"),
        (CONV, "nn.Conv2d(inplanes, planes, 1, stride, bias=False)", "the convolution has stride 1"),
        (POOL, "nn.AvgPool2d(1, stride)", "one pixel in four"),
        (POOL, "nn.AvgPool2d(stride)", "sizes round up"),
        (POOL, "nn.MaxPool2d(stride, ceil_mode=True)", "largest of each window"),
        (POOL, "nn.AvgPool2d(3, stride, padding=1)", "yours is 3x3"),
        (POOL, "nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)", "yours is 3x3"),
        ("        nn.BatchNorm2d(planes),\n", "", "The BatchNorm is missing"),
        ("bias=False", "bias=True", "no bias"),
        ("planes, 1, bias", "planes, 3, padding=1, bias", "1x1"),
        ("        nn.BatchNorm2d(planes),\n", "        nn.BatchNorm2d(planes),\n        nn.ReLU(),\n", "no ReLU"),
        (f"{POOL},\n        {CONV},\n        nn.BatchNorm2d(planes)",
         f"{CONV},\n        nn.BatchNorm2d(planes),\n        {POOL}", "BatchNorm comes last"),
        (f"{POOL},\n        {CONV},\n        nn.BatchNorm2d(planes)",
         f"{POOL},\n        nn.BatchNorm2d(inplanes),\n        {CONV}", "after the convolution"),
        (POOL, "nn.AvgPool2d(2, 2, ceil_mode=True)", "by the stride, once"),
        (POOL, "nn.AvgPool2d(min(stride, 2), ceil_mode=True)", "too large"),
        ("return nn.Sequential", "nn.Sequential", "NoneType"),
        ("    return nn", f"    if inplanes == planes:\n        return {POOL}\n    return nn",
         "also where the channels stay"),
        ("    return nn", "    if (inplanes, stride) == (planes, 1):\n        return nn.Identity()\n    return nn",
         "also where the channels stay"),
    ],
)  # fmt: skip
def test_4_3_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    answer = write(POOLED, "pooled_projection", (old, new))
    print(verdict(checks.ex_4_3, answer))
    assert words in verdict(checks.ex_4_3, answer)
    assert not earns(checks.ex_4_3, answer)


ODD = """
class pooled_projection(nn.Module):
    def __init__(self, inplanes, planes, stride):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(inplanes, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.stride = stride

    def forward(self, x):
        if self.stride > 1:
            x = SHRINK
        return self.bn(self.conv(x))
"""


@pytest.mark.parametrize(
    ("shrink", "words"),
    [
        ("F.adaptive_avg_pool2d(x, [-(-side // 2) for side in x.shape[2:]])", "windows that overlap"),
        ("F.avg_pool2d(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)), 2)", "without zeros"),
        ("x[:, :, ::2, ::2]", "one pixel in four"),
        ("x[:, :, 1::2, 1::2]", "Average each window"),
    ],
)
def test_4_3_looks_at_odd_sizes(verdict, earns, write, shrink, words) -> None:
    answer = write(ODD, "pooled_projection", ("SHRINK", shrink))
    assert words in verdict(checks.ex_4_3, answer)
    assert not earns(checks.ex_4_3, answer)


@pytest.mark.parametrize("check", [checks.ex_4_2, checks.ex_4_4])
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (".clamp_min(0)", "", "after the addition is missing"),
        ("identity + self.body(x)", "identity - self.body(x)", "are ADDED"),
        ("identity + self.body(x)", "identity + self.body(x).relu()", "belongs after the addition"),
        ("identity + self.body(x)", "self.body(x)", "The shortcut is not added"),
        ("nn.BatchNorm2d(p), nn.ReLU(True)", "nn.BatchNorm2d(p)", "after the first BatchNorm is missing"),
    ],
)
def test_the_block_checks_name_the_mistake_where_the_shortcut_is_first(verdict, earns, write, check, old, new, words):
    answer = write(SHORTCUT_FIRST, "MyBlock", (old, new))
    assert words in verdict(check, answer)
    assert not earns(check, answer)
