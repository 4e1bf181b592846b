"""Chapter 3's checks accept right answers, however written, and say to each wrong one what belongs to it."""

import pytest

from resnet_edu import checks

# ---------------------------------------------------------------- 3.1 units of one number

ZERO, NEGATIVE = "output, F(x) = 0, x = 3", "output, F(x) = 0, x = -2"
SHIFT, HALF = "slope, F(x) = -5, x = 3", "slope, F(x) = -x/2, x = 3"
TEN, PLAIN = "slope, 10 units, F(x) = 0, x = 3", "slope, 10 layers relu(x/2), x = 3"
GROWING, CLOSED = (
    "slope, 10 units, F(x) = x/2, x = 3",
    "slope, 10 units, one with F(x) = -5, the others 0, x = 3",
)
PREDICTIONS = {ZERO: 3, NEGATIVE: 0, SHIFT: 0, HALF: 1 / 2, TEN: 1, PLAIN: 0.5**10, GROWING: 1.5**10, CLOSED: 0}


@pytest.mark.parametrize("changes", [{}, {PLAIN: 1 / 1024, GROWING: 57.665, ZERO: 3.0}])
def test_3_1_accepts_the_numbers(verdict, earns, changes) -> None:
    assert verdict(checks.ex_3_1, PREDICTIONS | changes) == "Exercise 3.1: right."
    assert earns(checks.ex_3_1, PREDICTIONS | changes)


def test_3_1_knows_the_stub(verdict, earns) -> None:
    assert verdict(checks.ex_3_1, dict.fromkeys(PREDICTIONS, ...)) == "Exercise 3.1: not attempted yet."
    assert "not attempted" in verdict(checks.ex_3_1, PREDICTIONS | {TEN: ...})
    assert not earns(checks.ex_3_1, dict.fromkeys(PREDICTIONS, ...))


@pytest.mark.parametrize(
    ("name", "number", "words"),
    [
        (ZERO, 0, "shortcut still carries x"),
        (NEGATIVE, -2, "after the addition"),
        (NEGATIVE, 2, "does not turn the sign"),
        (SHIFT, 1, "before the ReLU"),
        (SHIFT, -4, "slope is 0"),
        (SHIFT, -5, "its slope is asked"),
        (HALF, -0.5, "add the shortcut's"),
        (HALF, 1.5, "goes DOWN"),
        (TEN, 0, "1 + F'"),
        (TEN, 10, "multiplies the slopes"),
        (PLAIN, 1.5**10, "nothing is added"),
        (PLAIN, 5, "multiplies the slopes"),
        (PLAIN, 0.001, "do not round"),
        (PLAIN, 0.00098, "do not round"),
        (GROWING, 58, "do not round"),
        (PLAIN, 7, "relu(x/2)"),
        (GROWING, 0.5**10, "plain product"),
        (GROWING, 1 + 0.5**10, "in EVERY unit"),
        (GROWING, 15, "multiplies the slopes"),
        (GROWING, 2**10, "slope of F alone"),
        (GROWING, 3 * 1.5**10, "That is the output"),
        (CLOSED, 1, "what does the tenth do"),
        (CLOSED, 7, "follow x through it"),
        (CLOSED, "0", "should be one number"),
        (ZERO, True, "should be one number"),
        (ZERO, float("nan"), "is not nan"),
    ],
)
def test_3_1_names_the_mistake(verdict, earns, name, number, words) -> None:
    said = verdict(checks.ex_3_1, PREDICTIONS | {name: number})
    assert words in said and f"`{name}`" in said
    assert not earns(checks.ex_3_1, PREDICTIONS | {name: number})


@pytest.mark.parametrize("answer", [None, {}, {ZERO: 3}, list(PREDICTIONS.values())])
def test_3_1_asks_for_the_keys(verdict, answer) -> None:
    assert "dict with 8 keys" in verdict(checks.ex_3_1, answer)


# ---------------------------------------------------------------- 3.2 a unit of any length

LONG = """
class LongUnit(nn.Module):
    def __init__(self, channels, convs):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(convs))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(convs))

    def forward(self, x):
        out = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            if i > 0:
                out = F.relu(out)
            out = norm(conv(out))
        return F.relu(out + x)
"""
SEQUENTIAL = """
class LongUnit(nn.Sequential):
    def __init__(self, channels, convs):
        layers = []
        for _ in range(convs):
            layers += [nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(True)]
        super().__init__(*layers[:-1])

    def forward(self, x):
        return super().forward(x).add(x).clamp(min=0)
"""
NAMED = """
class LongUnit(nn.Module):
    def __init__(self, channels, convs):
        super().__init__()
        self.n, self.relu = convs, nn.ReLU()
        for i in reversed(range(convs)):
            setattr(self, f"bn{i}", nn.BatchNorm2d(channels))
            setattr(self, f"conv{i}", nn.Conv2d(channels, channels, (3, 3), padding="same", bias=False))

    def forward(self, x):
        shortcut = x.clone()
        for i in range(self.n):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            if i < self.n - 1:
                x = self.relu(x)
        x += shortcut
        return self.relu(x)
"""
END = "return F.relu(out + x)"


@pytest.mark.parametrize("source", [LONG, SEQUENTIAL, NAMED])
def test_3_2_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_3_2, write(source, "LongUnit")) == "Exercise 3.2: right."
    assert earns(checks.ex_3_2, write(source, "LongUnit"))


def test_3_2_knows_the_stub(verdict, earns, write) -> None:
    stub = write(LONG, "LongUnit", ("self.convs =", "raise NotImplementedError\n        self.convs ="))
    assert verdict(checks.ex_3_2, stub) == "Exercise 3.2: not attempted yet."
    assert not earns(checks.ex_3_2, stub)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (END, "return F.relu(out)", "no shortcut"),
        (END, "return out", "neither a shortcut nor"),
        (END, "return F.relu(x)", "Only the shortcut"),
        (END, "return x.clone()", "comes out as it is"),
        ("out = F.relu(out)\n", "out = F.relu6(out)\n", "caps the values"),
        (END, "return (out + x).clamp(0, 20)", "caps the values"),
        (END, "return F.relu(out - x)", "x is subtracted"),
        (END, "return F.relu(x - out)", "F(x) is subtracted"),
        (END, "return F.relu(out * x)", "multiplied"),
        (END, "return F.relu(torch.maximum(out, x))", "no maximum"),
        (END, "return F.relu((out + x) / 2)", "not their mean"),
        (END, "return out + x", "last ReLU is missing"),
        (END, "return F.relu(out) + x", "BEFORE the addition"),
        (END, "return F.relu(F.relu(out) + x)", "one ReLU too many"),
        (END, "x = out\n        return F.relu(out + x)", "added to itself"),
        (END, "return F.relu(out + 2 * x)", "added twice"),
        (END, "return F.relu(torch.cat([out, x], dim=1))", "should have shape"),
        (END, "return F.relu(out + x.detach())", "detach()"),
        ("out = norm(conv(out))", "out = norm(conv(out)) + (x if i == 0 and len(self.convs) > 1 else 0)",
         "second shortcut"),
        ("out = norm(conv(out))\n        " + END,
         "x, out = out, norm(conv(out))\n        " + END, "last convolution only"),
        ("out = norm(conv(out))\n", "out = norm(conv(out))\n            if i == 0 and len(self.convs) > 1: x = out\n",
         "values are off"),
        ("if i > 0:", "if i == 1:\n                x = out = F.relu(out)\n            elif i > 0:", "values are off"),
        ("if i > 0:", "if i > 0 and i == len(self.convs) - 1:", "values are off"),
        ("if i > 0:", "if i < 0:", "ReLU between two convolutions"),
        ("if i > 0:", "if True:", "starts with the convolution"),
        ("if i > 0:\n                out = F.relu(out)\n            out = norm(conv(out))\n        " + END,
         "out = F.relu(norm(conv(out)) + out)\n        return out", "around each convolution"),
        ("out = norm(conv(out))\n        " + END,
         "out = conv(out) if norm is self.norms[-1] else norm(conv(out))\n        return F.relu(norm(out + x))",
         "before the addition, not after"),
        ("if i > 0:\n                out = F.relu(out)\n            out = norm(conv(out))\n",
         "out = conv(out)\n            out = norm(out if i == len(self.convs) - 1 else F.relu(out))\n",
         "after the BatchNorm, not before"),
        ("out = norm(conv(out))\n", "out = norm(F.relu(conv(out)))\n", "values are off"),
        ("if i > 0:\n                out = F.relu(out)\n            out = norm(conv(out))\n",
         "out = norm(F.relu(conv(out)))\n", "behind the last convolution"),
        ("bias=False", "bias=True", "no bias"),
        ("channels, 3, padding=1", "channels, 1", "kernels are 3x3"),
        ("padding=1, ", "", "RuntimeError in your line"),
        ("channels, 3, padding=1", "channels, 5, padding=2", "kernels are 3x3"),
        ("nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(convs))",
         "[nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(convs)]", "Python list"),
        ("nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(convs))",
         "nn.ModuleList([nn.Conv2d(channels, channels, 3, padding=1, bias=False)] * convs)", "make them in a loop"),
        ("nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(convs))",
         "nn.ModuleList([nn.BatchNorm2d(channels)] * convs)", "BatchNorm"),
        ("nn.BatchNorm2d(channels) for _ in range(convs)", "nn.BatchNorm2d(channels) for _ in range(convs + 1)",
         "one BatchNorm too many"),
        ("super().__init__()", "super().__init__()\n        convs = 2", "how many convolutions"),
        ("out = x\n", "out = x.relu_()\n", "writes into its input"),
        (END, "F.relu(out + x)", "should be a tensor"),
    ],
)  # fmt: skip
def test_3_2_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    answer = write(LONG, "LongUnit", (old, new))
    said = verdict(checks.ex_3_2, answer)
    assert "not right yet" in said and words in said, said
    assert not earns(checks.ex_3_2, answer)


def test_3_2_rejects_an_instance(verdict, write) -> None:
    assert "without parentheses" in verdict(checks.ex_3_2, write(LONG + "\nunit = LongUnit(4, 2)", "unit"))


# ---------------------------------------------------------------- 3.3 the gradient by hand

BACKWARD = """
def unit_backward(x, w1, w2, g):
    inner = w1 @ x
    total = w2 @ F.relu(inner) + x
    at_sum = g * (total > 0)
    at_inner = (w2.T @ at_sum) * (inner > 0)
    return w1.T @ at_inner + at_sum
"""
JACOBIAN = """
def unit_backward(x, w1, w2, g):
    inside = torch.diag((torch.mv(w1, x) > 0).to(x.dtype))
    J = w2 @ inside @ w1 + torch.eye(len(x))
    outer = torch.diag((w2.mv(w1.mv(x).clamp(min=0)).add(x) > 0).float())
    return g @ outer @ J
"""
LOOPED = """
def unit_backward(x, w1, w2, g):
    h = [max(0.0, sum(w * v for w, v in zip(row, x)).item()) for row in w1]
    s = [sum(w * v for w, v in zip(row, h)) + v0 for row, v0 in zip(w2, x)]
    d = [gi if si > 0 else 0 * gi for gi, si in zip(g, s)]
    out = []
    for j in range(len(x)):
        out.append(d[j] + sum(d[i] * w2[i, k] * w1[k, j] * (h[k] > 0) for i in range(len(x)) for k in range(len(h))))
    return torch.stack(out)
"""


@pytest.mark.parametrize("source", [BACKWARD, JACOBIAN, LOOPED])
def test_3_3_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_3_3, write(source, "unit_backward")) == "Exercise 3.3: right."
    assert earns(checks.ex_3_3, write(source, "unit_backward"))


@pytest.mark.parametrize("body", ["raise NotImplementedError", "return ..."])
def test_3_3_knows_the_stub(verdict, earns, write, body) -> None:
    stub = write(BACKWARD, "unit_backward", ("inner = w1 @ x", body))
    assert verdict(checks.ex_3_3, stub) == "Exercise 3.3: not attempted yet."
    assert not earns(checks.ex_3_3, stub)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("at_sum = g * (total > 0)", "at_sum = g", "gates the sum"),
        ("at_inner + at_sum", "at_inner + g", "the shortcut's too"),
        ("w2.T @ at_sum", "w2.T @ g", "the branch's too"),
        ("w1.T @ at_inner + at_sum", "w1.T @ at_inner", "shortcut's part is missing"),
        ("w1.T @ at_inner + at_sum", "at_sum", "branch's part is missing"),
        (" * (inner > 0)", "", "ReLU inside the branch"),
        ("at_inner + at_sum", "at_inner + 1", "not 1"),
        ("(total > 0)", "(x > 0)", "whether the SUM"),
        ("w2 @ F.relu(inner) + x", "w2 @ inner + x", "contains the inner ReLU"),
        ("w2 @ F.relu(inner) + x", "w2 @ F.relu(inner)", "x is part of the sum"),
        ("g * (total > 0)", "g * total.relu()", "The outer gate multiplies by 1 or 0"),
        (" * (inner > 0)", " * inner.relu()", "The inner gate multiplies by 1 or 0"),
        ("g * (total > 0)", "(total > 0).float()", "Start from g"),
        (
            "return w1.T @ at_inner + at_sum",
            "return (total > 0) * (g + w1.T @ ((w2.T @ g) * (inner > 0)))",
            "comes first on the way back",
        ),
        (
            "return w1.T @ at_inner + at_sum",
            "return (w2 @ torch.diag((inner > 0).float()) @ w1 + torch.eye(len(x))) @ at_sum",
            "transposes",
        ),
        (
            "return w1.T @ at_inner + at_sum",
            "with torch.enable_grad():\n        x = x.clone().requires_grad_()\n"
            "        F.relu(w2 @ F.relu(w1 @ x) + x).backward(g)\n    return x.grad",
            "RuntimeError",
        ),
        ("return w1.T @ at_inner + at_sum", "return total.relu()", "unit's output"),
        ("(total > 0)", "(g > 0)", "step by step"),
        ("w1.T @ at_inner", "at_inner", "RuntimeError"),
        ("w2.T @ at_sum", "w2 @ at_sum", "RuntimeError"),
        ("at_sum = g * (total > 0)", "at_sum = g.mul_(total > 0)", "writes into its arguments"),
        ("return w1.T @ at_inner + at_sum", "return (w1.T @ at_inner + at_sum).tolist()", "should be a tensor"),
        ("return w1.T @ at_inner + at_sum", "return (w1.T @ at_inner + at_sum)[:, None]", "should have shape"),
    ],
)
def test_3_3_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    answer = write(BACKWARD, "unit_backward", (old, new))
    assert words in verdict(checks.ex_3_3, answer)
    assert not earns(checks.ex_3_3, answer)


# ---------------------------------------------------------------- 3.4 a residual block that is none

FIXED = """
from resnet_edu.blocks import PlainBlock

class FixedBlock(PlainBlock):
    def __init__(self, inplanes, planes, stride=1, downsample=None, **others):
        super().__init__(inplanes, planes, stride, **others)
        self.downsample = downsample

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        identity = x
        if self.downsample is not None:
            identity = self.downsample(x)
        return F.relu(out + identity)
"""
OTHER = """
from resnet_edu.blocks import BasicBlock

class FixedBlock(BasicBlock):
    def forward(self, x):
        total = x if self.downsample is None else self.downsample(x)
        total = total + self.bn2(self.conv2(self.bn1(self.conv1(x)).clamp(min=0)))
        return total.clamp(min=0)
"""
EARLY = ("out = self.bn2(self.conv2(out))", "out = F.relu(self.bn2(self.conv2(out)))")
ONLY_AT_CHANGE = ("identity = x\n", "identity = torch.zeros_like(out)\n")


@pytest.mark.parametrize("source", [FIXED, OTHER])
def test_3_4_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_3_4, write(source, "FixedBlock")) == "Exercise 3.4: right."
    assert earns(checks.ex_3_4, write(source, "FixedBlock"))


def test_3_4_knows_the_stub(verdict, earns, write) -> None:
    stub = write(FIXED, "FixedBlock", ("identity = x\n", "raise NotImplementedError\n"))
    assert verdict(checks.ex_3_4, stub) == "Exercise 3.4: not attempted yet."
    assert not earns(checks.ex_3_4, stub)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([EARLY, ONLY_AT_CHANGE], ["without `downsample` has a shortcut too"]),
        ([ONLY_AT_CHANGE], ["without `downsample` has a shortcut too"]),
        ([EARLY], ["ReLU stands before the addition"]),
        ([("identity = x\n", "identity = out\n")], ["added to itself"]),
        ([("return F.relu(out + identity)", "return F.relu(out)")], ["shortcut"]),
        ([("return F.relu(out + identity)", "return out + identity")], ["after the addition is missing"]),
        ([("return F.relu(out + identity)", "return F.relu(out) + identity")], ["before", "after"]),
        ([("out = F.relu(self.bn1(self.conv1(x)))", "x = out = F.relu(self.bn1(self.conv1(x)))"),
          ("identity = self.downsample(x)", "identity = out")], ["overwritten by the first half"]),
        ([("return F.relu(out + identity)", "return F.relu(out - identity)")], ["are ADDED"]),
        ([("return F.relu(out + identity)", "return F.relu((out + identity) / 2)")], ["not averaged"]),
        ([("return F.relu(out + identity)", "return F.relu(out + F.relu(identity))")], ["ReLU on the shortcut"]),
        ([("F.relu(self.bn1(self.conv1(x)))", "self.bn1(self.conv1(x))")], ["after the first BatchNorm is missing"]),
        ([("F.relu(self.bn1(self.conv1(x)))", "F.relu6(self.bn1(self.conv1(x)))")], ["caps the values"]),
        ([("return F.relu(out + identity)", "return F.gelu(out + identity)")], ["line by line"]),
        ([("return F.relu(out + identity)", "return F.relu(out + x)")], ["RuntimeError in your line"]),
        ([("identity = x\n", "identity = x.relu_()\n")], ["FixedBlock"]),
    ],
)  # fmt: skip
def test_3_4_names_what_is_left(verdict, earns, write, changes, words) -> None:
    answer = write(FIXED, "FixedBlock", *changes)
    said = verdict(checks.ex_3_4, answer)
    assert "not right yet" in said and all(word in said for word in words), said
    assert not earns(checks.ex_3_4, answer)


# ---------------------------------------------------------------- 3.5 weights by hand

SWAP = """
@torch.no_grad()
def set_to_swap(conv1, conv2):
    for conv in conv1, conv2:
        conv.weight.zero_()
    conv1.weight[:, :, 1, 1] = torch.eye(2)
    conv2.weight[:, :, 1, 1] = torch.tensor([[-1.0, 1], [1, -1]])
"""
SCALED = """
def set_to_swap(conv1, conv2):
    first, second = torch.zeros(2, 2, 2, 3, 3)
    first[0, 1, 1, 1] = 2
    first[1, 0, 1, 1] = 4
    second[:, :, 1, 1] = torch.tensor([[0.5, -0.25], [-0.5, 0.25]])
    conv1.weight.data, conv2.weight.data = first, second
"""
SUMS = """
def set_to_swap(conv1, conv2):
    a, b = torch.zeros(2, 2, 2, 3, 3)
    a[:, :, 1, 1] = torch.tensor([[1.0, 1], [0, 1]])
    b[:, :, 1, 1] = torch.tensor([[-1.0, 2], [1, -2]])
    conv1.weight, conv2.weight = nn.Parameter(a), nn.Parameter(b)
"""
SECOND = "torch.tensor([[-1.0, 1], [1, -1]])"


@pytest.mark.parametrize("source", [SWAP, SCALED, SUMS])
def test_3_5_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_3_5, write(source, "set_to_swap")) == "Exercise 3.5: right."
    assert earns(checks.ex_3_5, write(source, "set_to_swap"))


def test_3_5_accepts_one_difference_in_each_channel(verdict, write) -> None:
    """(b - a)+ and (a - b)+ lose nothing together: their difference is b - a."""
    changes = [("torch.eye(2)", SECOND), (f"conv2.weight[:, :, 1, 1] = {SECOND}",
               "conv2.weight[:, :, 1, 1] = torch.tensor([[1.0, -1], [-1, 1]])")]  # fmt: skip
    assert verdict(checks.ex_3_5, write(SWAP, "set_to_swap", *changes[::-1])) == "Exercise 3.5: right."


def test_3_5_knows_the_stub(verdict, earns, write) -> None:
    stub = write(SWAP, "set_to_swap", ("for conv in conv1, conv2:", "raise NotImplementedError\n    for conv in ():"))
    assert verdict(checks.ex_3_5, stub) == "Exercise 3.5: not attempted yet."
    assert not earns(checks.ex_3_5, stub)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (SECOND, "torch.zeros(2, 2)", "still the identity"),
        (SECOND, "torch.tensor([[0.0, 1], [1, 0]])", "then x is added"),
        (SECOND, "torch.tensor([[0.0, -1], [-1, 0]])", "wrong sign"),
        (SECOND, "torch.tensor([[1.0, -1], [-1, 1]])", "turn its sign"),
        (SECOND, "-torch.eye(2)", "Everything is 0"),
        (SECOND, "torch.eye(2)", "doubles"),
        ("torch.eye(2)", "-torch.eye(2)", "lets nothing through"),
        ("for conv in conv1, conv2:", "return\n    for conv in conv1, conv2:", "what they were"),
        (f"torch.eye(2)\n    conv2.weight[:, :, 1, 1] = {SECOND}",
         f"{SECOND}\n    conv2.weight[:, :, 1, 1] = torch.eye(2)", "cuts off one of the differences"),
        ("conv1.weight[:, :, 1, 1] = torch.eye(2)", "conv1.weight[:] = torch.eye(2)[:, :, None, None]",
         "neighbours"),
        ("[:, :, 1, 1] = torch.eye(2)", "[:, :, 0, 0] = torch.eye(2)", "neighbours"),
        (SECOND, "torch.tensor([[-1.0, 2], [2, -1]])", "swapped x minus x"),
        ("    conv1.weight[:, :, 1, 1] = torch.eye(2)\n",
         "    conv1.weight = nn.Parameter(torch.eye(2)[:, :, None, None])\n    return\n", "keep its shape"),
        # right for small inputs only: the differences are shifted, so that the ReLU cuts nothing off up to 100
        (f"torch.eye(2)\n    conv2.weight[:, :, 1, 1] = {SECOND}",
         f"{SECOND}\n    conv2.weight[:, :, 1, 1] = torch.eye(2)\n"
         "    conv1.bias, conv2.bias = nn.Parameter(torch.full((2,), 100.0)), nn.Parameter(torch.full((2,), -100.0))",
         "set their weights only"),
    ],
)  # fmt: skip
def test_3_5_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    answer = write(SWAP, "set_to_swap", (old, new))
    assert words in verdict(checks.ex_3_5, answer)
    assert not earns(checks.ex_3_5, answer)
