"""Chapter 1's checks accept right answers, however written, and say to each wrong one what belongs to it."""

import numpy as np
import pytest
import torch

from resnet_edu import checks

# ---------------------------------------------------------------- 1.1 shapes

SHAPES = {
    "conv1": (4, 16, 25, 21),
    "pool": (4, 16, 13, 11),
    "conv2": (4, 32, 13, 11),
    "conv3": (4, 32, 6, 5),
    "average": (4, 32, 1, 1),
    "flat": (4, 32),
    "logits": (4, 10),
}


@pytest.mark.parametrize(
    "kind", [tuple, list, torch.Size, np.array, torch.tensor, lambda shape: (*shape[:-1], 1.0 * shape[-1])]
)
def test_1_1_accepts_the_shapes(verdict, earns, kind) -> None:
    answer = {name: kind(shape) for name, shape in SHAPES.items()}
    assert verdict(checks.ex_1_1, answer) == "Exercise 1.1: right."
    assert earns(checks.ex_1_1, answer)


def test_1_1_knows_the_stub(verdict, earns) -> None:
    stub = dict.fromkeys(SHAPES, ...)
    assert verdict(checks.ex_1_1, stub) == "Exercise 1.1: not attempted yet."
    assert "not attempted" in verdict(checks.ex_1_1, SHAPES | {"pool": ...})
    assert not earns(checks.ex_1_1, stub)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("conv1", (16, 25, 21), "batch of four dimensions"),
        ("conv1", (1, 16, 25, 21), "batch size"),
        ("conv1", (4, 3, 25, 21), "its second argument"),
        ("conv1", (4, 16, 26, 22), "rounds down"),
        ("conv1", (4, 16, 24, 20), "first position counts"),
        ("conv1", (4, 16, 22, 18), "padding is missing"),
        ("conv1", (4, 16, 50, 42), "stride is missing"),
        ("conv1", (4, 16, 21, 25), "Height stands before width"),
        ("conv1", (4, 16, 25, 25), "Look at the width"),
        ("conv1", (4, 16, 25.5, 21), "tuple of whole numbers"),
        ("conv1", (4, 16, "25", 21), "tuple of whole numbers"),
        ("conv1", None, "tuple of whole numbers"),
        ("conv1", torch.tensor([4, 16, 22, 18]), "padding is missing"),
        ("pool", (4, 1, 13, 11), "loses no channel"),
        ("pool", (4, 16, 12, 10), "first position counts"),
        ("pool", (4, 16, 12, 10), "Or: The padding is missing"),
        ("conv2", (4, 32, 15, 13), "spans d(k - 1) + 1"),
        ("conv2", (4, 32, 9, 7), "padding is missing"),
        ("conv2", (4, 32, 11, 9), "both sides"),
        ("conv3", (4, 32, 7, 6), "no padding unless it says so"),
        ("average", (4, 32), "only Flatten takes them away"),
        ("average", (4, 32, 6, 5), "size that comes OUT"),
        ("flat", (4, 32, 1, 1), "two dimensions are left"),
        ("flat", (128,), "two dimensions are left"),
        ("flat", (4, 960), "the shape of `average`"),
        ("logits", (10,), "the last number of a shape"),
        ("logits", (4, 32), "as its second argument says"),
    ],
)
def test_1_1_names_the_mistake(verdict, earns, name, shape, words) -> None:
    said = verdict(checks.ex_1_1, SHAPES | {name: shape})
    assert words in said and f"`{name}`" in said
    assert str(SHAPES[name]) not in said  # a prediction: the check does not give the shape away
    assert not earns(checks.ex_1_1, SHAPES | {name: shape})


@pytest.mark.parametrize("answer", [None, {}, list(SHAPES.values()), {"conv1": (4, 16, 25, 21)}])
def test_1_1_asks_for_the_keys(verdict, answer) -> None:
    assert "dict with the keys conv1, pool" in verdict(checks.ex_1_1, answer)


# ---------------------------------------------------------------- 1.2 costs

COST = """
def conv_out(size, kernel, stride=1, padding=0, dilation=1):
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1

def conv_cost(height, width, in_channels, out_channels, kernel, stride=1, padding=0, dilation=1, bias=True):
    weights = kernel * kernel * in_channels * out_channels
    rows = conv_out(height, kernel, stride, padding, dilation)
    columns = conv_out(width, kernel, stride, padding, dilation)
    return weights + (out_channels if bias else 0), weights * rows * columns
"""
MEASURED = """
def conv_cost(height, width, in_channels, out_channels, kernel, **options):
    conv = nn.Conv2d(in_channels, out_channels, kernel, **options)
    out = conv(torch.zeros(1, in_channels, height, width))
    return [sum(p.numel() for p in conv.parameters()), conv.weight.numel() * out.numel() // out_channels]
"""
STUB_COST = """
def conv_cost(height, width, in_channels, out_channels, kernel, stride=1, padding=0, dilation=1, bias=True):
    raise NotImplementedError
"""


@pytest.mark.parametrize("source", [COST, MEASURED])
def test_1_2_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_1_2, write(source, "conv_cost")) == "Exercise 1.2: right."
    assert earns(checks.ex_1_2, write(source, "conv_cost"))


@pytest.mark.parametrize("body", ["raise NotImplementedError", "return ..."])
def test_1_2_knows_the_stub(verdict, earns, write, body) -> None:
    stub = write(STUB_COST, "conv_cost", ("raise NotImplementedError", body))
    assert verdict(checks.ex_1_2, stub) == "Exercise 1.2: not attempted yet."
    assert not earns(checks.ex_1_2, stub)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("(out_channels if bias else 0)", "0", "one bias for each output channel"),
        ("(out_channels if bias else 0)", "out_channels", "there is no bias to count"),
        ("(out_channels if bias else 0)", "(in_channels if bias else 0)", "OUTPUT channel"),
        ("(out_channels if bias else 0)", "bias", "not one for the layer"),
        ("kernel * kernel * in_channels *", "kernel * kernel *", "every input channel"),
        ("in_channels * out_channels", "in_channels", "every input channel"),
        ("kernel * kernel *", "kernel *", "k * k weights, not k"),
        ("kernel * kernel *", "(dilation * (kernel - 1) + 1) ** 2 *", "does not add any"),
        ("weights * rows * columns", "weights * height * width", "not of the input"),
        ("weights * rows * columns", "weights * rows * rows", "may differ"),
        ("weights * rows * columns", "weights", "height and width of the OUTPUT"),
        ("weights * rows * columns", "2 * weights * rows * columns", "ONE multiply-add"),
        ("weights * rows * columns", "(weights + out_channels) * rows * columns", "bias is not counted"),
        ("weights * rows * columns", "(weights + bias * out_channels) * rows * columns", "bias is not counted"),
        ("weights * rows * columns", "kernel ** 2 * out_channels * rows * columns", "every input channel"),
        ("kernel, stride, padding, dilation)", "kernel, stride)", "The padding is missing"),
        ("// stride", "/ stride", "should be an integer"),
        ("return weights", "return 1.0 * weights", "should be an integer"),
        ("(size + 2 * padding - dilation * (kernel - 1) - 1) // stride",
         "-((dilation * (kernel - 1) + 1 - size - 2 * padding) // stride)", "rounds down"),
        ("size + 2 * padding", "size + padding", "on both sides"),
        ("// stride + 1", "// stride", "first position counts"),
        ("// stride + 1", "+ 1", "Or: The stride is missing"),
        ("kernel, stride, padding, dilation)", "kernel, stride, padding)", "the kernel spans"),
        ("in_channels * out_channels", "1", "every input channel"),
        ("weights * rows * columns", "weights + rows * columns", "pencil and paper"),
        ("return weights + (out_channels if bias else 0), ", "return ", "two integers"),
        ("return weights", "weights", "returns None"),
        ("return weights + (out_channels if bias else 0), weights * rows * columns",
         "return weights * rows * columns, weights + (out_channels if bias else 0)", "other order"),
        ("bias=True):", "):", "unexpected keyword argument 'bias'"),
        ("rows = conv_out(", "rows = conv_size(", "NameError in your line `rows = conv_size("),
    ],
)  # fmt: skip
def test_1_2_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    answer = write(COST, "conv_cost", (old, new))
    assert words in verdict(checks.ex_1_2, answer)
    assert not earns(checks.ex_1_2, answer)


# ---------------------------------------------------------------- 1.3 BatchNorm

NORM = """
class MyBatchNorm2d(nn.Module):
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x):
        if self.training:
            mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
            with torch.no_grad():
                unbiased = x.var(dim=(0, 2, 3), unbiased=True)
                self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
                self.running_var = (1 - self.momentum) * self.running_var + self.momentum * unbiased
        else:
            mean, var = self.running_mean, self.running_var
        y = (x - mean[:, None, None]) / torch.sqrt(var[:, None, None] + self.eps)
        return y * self.scale[:, None, None] + self.shift[:, None, None]
"""
OTHER_NORM = """
class MyBatchNorm2d(nn.Module):
    def __init__(self, c, eps=1e-5, momentum=0.1):
        super().__init__()
        self.register_buffer("v", torch.ones(1, c, 1, 1))
        self.register_buffer("m", torch.zeros(1, c, 1, 1))
        self.register_buffer("seen", torch.tensor(0))
        self.b = nn.Parameter(torch.zeros(1, c, 1, 1))
        self.g = nn.Parameter(torch.ones(1, c, 1, 1))
        self.e, self.share = eps, momentum

    def forward(self, x):
        if not self.training:
            return self.g * (x - self.m) * (self.v + self.e).rsqrt() + self.b
        n = x.numel() // x.shape[1]
        centred = x - x.mean((0, 2, 3), keepdim=True)
        v = centred.square().mean((0, 2, 3), keepdim=True)
        self.seen += 1
        self.m.lerp_(x.detach().mean((0, 2, 3), keepdim=True), self.share)
        self.v.lerp_(v.detach() * n / (n - 1), self.share)
        return self.g * centred * (v + self.e).rsqrt() + self.b
"""
FUNCTIONAL_NORM = """
class MyBatchNorm2d(nn.Module):
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.register_parameter("weight", nn.Parameter(torch.ones(channels)))
        self.register_parameter("bias", nn.Parameter(torch.zeros(channels)))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))

    def forward(self, x):
        rows = x.transpose(0, 1).flatten(1)
        mean, var = self.mean, self.var
        if self.training:
            mean, var = rows.mean(1), rows.var(1, correction=0)
            self.mean.mul_(1 - self.momentum).add_(self.momentum * mean.detach())
            self.var.mul_(1 - self.momentum).add_(self.momentum * rows.detach().var(1))
        x = (x - mean.view(1, -1, 1, 1)).div(var.view(1, -1, 1, 1).add(self.eps).sqrt())
        return torch.einsum("nchw,c->nchw", x, self.weight) + self.bias.view(-1, 1, 1)
"""
STUB_NORM = """
class MyBatchNorm2d(nn.Module):
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        raise NotImplementedError
"""


HIDDEN = """
    def forward(self, x):
        return self.helper(x)

    def helper(self, x):
        state = self.running_mean, self.running_var, self.scale, self.shift
        return F.batch_norm(x, *state, self.training, self.momentum, self.eps)

    def unused(self, x):
"""


@pytest.mark.parametrize("source", [NORM, OTHER_NORM, FUNCTIONAL_NORM])
def test_1_3_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_1_3, write(source, "MyBatchNorm2d")) == "Exercise 1.3: right."
    assert earns(checks.ex_1_3, write(source, "MyBatchNorm2d"))


def test_1_3_knows_the_stub(verdict, earns, write) -> None:
    stub = write(STUB_NORM, "MyBatchNorm2d")
    assert verdict(checks.ex_1_3, stub) == "Exercise 1.3: not attempted yet."
    assert not earns(checks.ex_1_3, stub)


def test_1_3_takes_half_an_answer_for_an_answer(verdict, write) -> None:
    started = ("super().__init__()\n        raise NotImplementedError", "super().__init__()")
    assert "register two parameters" in verdict(checks.ex_1_3, write(STUB_NORM, "MyBatchNorm2d", started))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        # what is registered
        ("nn.Parameter(torch.ones(channels))", "torch.ones(channels)", "nn.Parameter"),
        ('self.register_buffer("running_mean", torch.zeros(channels))', "self.running_mean = torch.zeros(channels)",
         "register_buffer"),
        ('self.register_buffer("running_mean", torch.zeros(channels))',
         "self.running_mean = nn.Parameter(torch.zeros(channels), requires_grad=False)", "register two parameters"),
        ('"running_mean", torch.zeros(channels)', '"running_mean", torch.zeros(channels), persistent=False',
         "saved but not learned"),
        ('"running_var", torch.ones', '"running_var", torch.zeros', "running variance should be 1"),
        ("self.scale = nn.Parameter(torch.ones", "self.scale = nn.Parameter(torch.randn", "scale should be 1"),
        # training mode
        ("x.var(dim=(0, 2, 3), unbiased=False)", "x.var(dim=(0, 2, 3))", "BIASED"),
        ("mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)",
         "mean, var = x.mean(), x.var(unbiased=False)", "too many indices"),
        ("if self.training:", "if False:", "normalised by the running statistics"),
        ("        y =", "        mean, var = self.running_mean, self.running_var\n        y =",
         "by the running statistics"),
        ("torch.sqrt(var[:, None, None] + self.eps)", "(var[:, None, None] + self.eps)", "square ROOT"),
        ("(x - mean[:, None, None])", "x", "mean is not subtracted"),
        ("/ torch.sqrt(var[:, None, None] + self.eps)", "", "not divided by the standard deviation"),
        ("y = (x - mean[:, None, None])", "x -= mean[:, None, None]; y = x", "writes into its input"),
        ("mean[:, None, None]", "mean", "RuntimeError in your line"),
        # running statistics
        ("self.running_mean = (1 - self.momentum)", "ignored = (1 - self.momentum)", "has not moved"),
        ("(1 - self.momentum) * self.running_mean + self.momentum * mean",
         "self.momentum * self.running_mean + (1 - self.momentum) * mean", "share of the NEW"),
        ("(1 - self.momentum) * self.running_mean +", "self.running_mean +", "forgotten too much or too little"),
        ("(1 - self.momentum) * self.running_mean + self.momentum * mean", "mean", "keep nine tenths"),
        ("self.momentum * unbiased", "self.momentum * var", "UNBIASED"),
        ("self.momentum * unbiased", "self.momentum * var * len(x) / (len(x) - 1)", "not the images"),
        ("(1 - self.momentum) * self.running_var +", "self.running_var +", "times 0.9 before"),
        ("self.momentum * unbiased", "self.momentum * unbiased.sqrt()", "Keep the variance"),
        ("self.eps, self.momentum = eps, momentum", "self.eps, self.momentum = eps, 0.1", "momentum that was passed"),
        # eps, scale and shift
        ("self.eps, self.momentum = eps, momentum", "self.eps, self.momentum = 1e-5, momentum", "eps that was passed"),
        (" + self.eps)", ")", "eps is not added"),
        ("torch.sqrt(var[:, None, None] + self.eps)", "(torch.sqrt(var[:, None, None]) + self.eps)", "under the root"),
        ("return y * self.scale[:, None, None] + self.shift[:, None, None]", "return y", "shift are not used"),
        ("y * self.scale[:, None, None] +", "y +", "scale is not multiplied"),
        (" + self.shift[:, None, None]", "", "shift is not added"),
        ("y * self.scale[:, None, None] + self.shift[:, None, None]",
         "(y + self.shift[:, None, None]) * self.scale[:, None, None]", "Scale first"),
        # evaluation mode
        ("mean, var = self.running_mean, self.running_var",
         "mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)", "use the running ones"),
        ("mean, var = self.running_mean, self.running_var", "return x", "evaluation mode"),
        ("        else:\n            mean, var = self.running_mean, self.running_var\n",
         "        else:\n            mean, var = self.running_mean, self.running_var\n"
         "            self.running_mean = 0.9 * self.running_mean + 0.1 * x.mean(dim=(0, 2, 3))\n",
         "only if self.training"),
        # gradients
        ("mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)",
         "mean, var = x.detach().mean(dim=(0, 2, 3)), x.detach().var(dim=(0, 2, 3), unbiased=False)",
         "depend on the input"),
        ("with torch.no_grad():", "if True:", "torch.no_grad()"),
        ("self.scale[:", "self.scale.data[:", "No gradient reaches the scale"),
        ("self.shift[:", "self.shift.detach()[:", "No gradient reaches the shift"),
        ("self.shift = nn.Parameter(torch.zeros(channels))",
         "self.shift = nn.Parameter(torch.zeros(channels), requires_grad=False)", "No gradient reaches the shift"),
        ("    def forward", "    @torch.no_grad()\n    def forward", "carries no gradient"),
        # sizes
        ("super().__init__()", "super().__init__()\n        channels = 3", "RuntimeError"),
        ("eps=1e-5", "eps=1e-3", "toy numbers"),
        # not from scratch, not a module
        ("self.eps, self.momentum = eps, momentum",
         "self.eps, self.momentum, self.inner = eps, momentum, nn.BatchNorm2d(channels)", "PyTorch's own"),
        ("if self.training:\n", "if self.training:\n            return F.batch_norm(x, None, None, training=True)\n",
         "PyTorch's own"),
        ("    def forward(self, x):\n", HIDDEN, "PyTorch's own"),
        ("mean, var = self.running_mean, self.running_var",
         "return F.batch_norm(x, self.running_mean, self.running_var, self.scale, self.shift)", "PyTorch's own"),
        ("def forward", "def foward", "forward"),
        ("super().__init__()", "pass", "AttributeError in your line"),
    ],
)  # fmt: skip
def test_1_3_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    answer = write(NORM, "MyBatchNorm2d", (old, new))
    assert words in verdict(checks.ex_1_3, answer)
    assert not earns(checks.ex_1_3, answer)


@pytest.mark.parametrize(
    ("dims", "words"),
    [
        ("(0,)", "not over N only"),
        ("(2, 3)", "over the batch too"),
        ("(1, 2, 3)", "not (1, 2, 3)"),
        ("(0, 1, 2, 3)", "not all four"),
    ],
)
def test_1_3_names_the_wrong_dimensions(verdict, write, dims, words) -> None:
    changes = [
        ("mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)",
         f"mean, var = x.mean(dim={dims}, keepdim=True), x.var(dim={dims}, unbiased=False, keepdim=True)"),
        ("mean[:, None, None]", "mean"),
        ("var[:, None, None]", "var"),
        ("self.running_mean + self.momentum * mean", "self.running_mean"),
    ]  # fmt: skip
    assert words in verdict(checks.ex_1_3, write(NORM, "MyBatchNorm2d", *changes))


MOVES_ALWAYS = """
    def forward(self, x):
        mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
        KEPT
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(x.var(dim=(0, 2, 3)), self.momentum)
        if not self.training:
            mean, var = NORMAL
        y = (x - mean[:, None, None]) / torch.sqrt(var[:, None, None] + self.eps)
        return y * self.scale[:, None, None] + self.shift[:, None, None]

    def unused(self, x):
"""


@pytest.mark.parametrize(
    ("kept", "normal", "words"),
    [
        ("pass", "self.running_mean, self.running_var", "move in evaluation mode too"),
        ("kept = self.running_mean.clone(), self.running_var.clone()", "kept", "only if self.training"),
        ("pass", "mean, var", "still uses the batch's"),
    ],
)
def test_1_3_names_statistics_that_always_move(verdict, earns, write, kept, normal, words) -> None:
    always = MOVES_ALWAYS.replace("KEPT", kept).replace("NORMAL", normal)
    answer = write(NORM, "MyBatchNorm2d", ("    def forward(self, x):\n", always))
    assert words in verdict(checks.ex_1_3, answer)
    assert not earns(checks.ex_1_3, answer)


def test_1_3_rejects_an_instance_and_pytorchs_own(verdict, write) -> None:
    assert "without parentheses" in verdict(checks.ex_1_3, write(NORM + "\nlayer = MyBatchNorm2d(3)", "layer"))
    assert "PyTorch's own" in verdict(checks.ex_1_3, torch.nn.BatchNorm2d)


# ---------------------------------------------------------------- 1.4 three bugs

BROKEN = """
class FixedNet(nn.Module):
    def __init__(self, width=8, depth=3, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.convs = [nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(depth)]
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)))
        for conv in self.convs:
            x = F.relu(self.norm(conv(x)))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return F.relu(self.fc(x))
"""
FIXED = """
class FixedNet(nn.Module):
    def __init__(self, width=8, depth=3, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(depth))
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)))
        for conv, norm in zip(self.convs, self.norms):
            x = F.relu(norm(conv(x)))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.fc(x)
"""
SEQUENTIAL = """
class FixedNet(nn.Sequential):
    def __init__(self, width=8, depth=3, classes=10):
        planes, body = 1, []
        for _ in range(depth + 1):
            body += [nn.Conv2d(planes, width, (3, 3), padding="same", bias=False), nn.BatchNorm2d(width), nn.ReLU(True)]
            planes = width
        super().__init__(*body, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(width, classes))
"""
REVERSED = """
class FixedNet(nn.Module):
    def __init__(self, width=8, depth=3, classes=10):
        super().__init__()
        self.head = nn.Linear(width, classes)
        for i in reversed(range(depth + 1)):
            setattr(self, f"bn{i}", nn.BatchNorm2d(width))
            setattr(self, f"conv{i}", nn.Conv2d(width if i else 1, width, 3, padding=1, bias=False))
        self.depth = depth

    def forward(self, x):
        for i in range(self.depth + 1):
            x = getattr(self, f"conv{i}")(x)
            x = getattr(self, f"bn{i}")(x).clamp(min=0)
        return self.head(x.mean(dim=(2, 3)))
"""


@pytest.mark.parametrize("source", [FIXED, SEQUENTIAL, REVERSED])
def test_1_4_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_1_4, write(source, "FixedNet")) == "Exercise 1.4: right."
    assert earns(checks.ex_1_4, write(source, "FixedNet"))


def test_1_4_knows_the_stub(verdict, earns, write) -> None:
    changes = [("MyBatchNorm2d", "FixedNet"), ("channels, eps=1e-5, momentum=0.1", "width, depth, classes")]
    stub = write(STUB_NORM, "FixedNet", *changes)
    assert verdict(checks.ex_1_4, stub) == "Exercise 1.4: not attempted yet."
    assert not earns(checks.ex_1_4, stub)


ZIP = "for conv, norm in zip(self.convs, self.norms):\n            x = F.relu(norm(conv(x)))"


@pytest.mark.parametrize(
    ("source", "old", "new", "words"),
    [
        (BROKEN, "pass", "pass", "not registered"),
        (BROKEN, "[nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(depth)]",
         "nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(depth))", "needs its own"),
        (FIXED, "return self.fc(x)", "return F.relu(self.fc(x))", "No logit is below 0"),
        (FIXED, "return self.fc(x)", "return self.fc(x).softmax(dim=1)", "no softmax"),
        (FIXED, "return self.fc(x)", "return F.log_softmax(self.fc(x), dim=1)", "no log_softmax"),
        (FIXED, "nn.ModuleList(nn.BatchNorm2d(width) for _ in range(depth))",
         "[nn.BatchNorm2d(width) for _ in range(depth)]", "nn.ModuleList"),
        (FIXED, "nn.ModuleList(nn.BatchNorm2d(width) for _ in range(depth))",
         "nn.ModuleList([nn.BatchNorm2d(width)] * depth)", "make each in a loop"),
        (FIXED, "nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(depth))",
         "nn.ModuleList([nn.Conv2d(width, width, 3, padding=1, bias=False)] * depth)", "make each in a loop"),
        (FIXED, "bias=False", "bias=True", "no bias"),
        (FIXED, ZIP, ZIP.replace("norm(conv(x))", "self.norm(conv(x))"), "BatchNorm of its own"),
        (FIXED, ZIP, ZIP.replace("norm(conv(x))", "conv(x)"), "BatchNorm of its own"),
        (FIXED, ZIP, ZIP.replace("F.relu(norm(conv(x)))", "norm(F.relu(conv(x)))"), "BatchNorm of its own"),
        (FIXED, ZIP, ZIP.replace("F.relu(norm(conv(x)))", "norm(conv(x))"), "BatchNorm of its own"),
        (FIXED, "F.adaptive_avg_pool2d", "F.adaptive_max_pool2d", "not the largest"),
        (FIXED, "F.relu(self.norm(self.stem(x)))", "F.relu(self.stem(x))", "BatchNorm of its own"),
        (FIXED, "range(depth)", "range(depth + 1)", "one layer too many"),
        (FIXED, "range(depth)", "range(depth - 1)", "one layer too few"),
        (FIXED, "range(depth)", "range(2)", "one layer too few"),
        (FIXED, "padding=1", "padding=0", "keeps the size"),
        (FIXED, "return self.fc(x)", "self.fc(x)", "should be a tensor"),
        (FIXED, "return self.fc(x)", "return self.fc(x).sigmoid()", "no sigmoid"),
        (FIXED, "flatten(1)", "squeeze()", "squeeze() takes the batch away"),
    ],
)  # fmt: skip
def test_1_4_names_the_mistake(verdict, earns, write, source, old, new, words) -> None:
    answer = write(source + "\npass", "FixedNet", (old, new))
    assert words in verdict(checks.ex_1_4, answer)
    assert not earns(checks.ex_1_4, answer)


# ---------------------------------------------------------------- 1.5 a wide view

WIDE = """
def conv_bn_relu_dilated(in_channels, out_channels, stride=1, dilation=1):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
"""
WIDE_MODULE = """
class conv_bn_relu_dilated(nn.Module):
    def __init__(self, into, onto, stride=1, dilation=1):
        super().__init__()
        self.norm = nn.BatchNorm2d(onto)
        self.weight = nn.Parameter(torch.randn(onto, into, 3, 3))
        self.options = dict(stride=stride, dilation=dilation)

    def forward(self, x):
        p = self.options["dilation"]
        return self.norm(F.conv2d(F.pad(x, (p, p, p, p)), self.weight, **self.options)).clamp_min(0)
"""


@pytest.mark.parametrize("source", [WIDE, WIDE_MODULE])
@pytest.mark.parametrize(
    "dilations",
    [
        (1, 2, 4),
        [4, 2, 1],
        (1, 1, 5),
        (3, 1, 3),
        (2, 1, 4),
        (1.0, 2.0, 4.0),
        np.array([1, 2, 4]),
        torch.tensor([1, 2, 4]),
    ],
)
def test_1_5_accepts_right_answers(verdict, earns, write, source, dilations) -> None:
    layer = write(source, "conv_bn_relu_dilated")
    assert verdict(checks.ex_1_5, layer, dilations) == "Exercise 1.5: right."
    assert earns(checks.ex_1_5, layer, dilations)


def test_1_5_knows_the_stub(verdict, earns, write) -> None:
    layer = write(WIDE, "conv_bn_relu_dilated")
    stub = write(STUB_COST, "conv_cost", ("height, width, in_channels", "in_channels"), ("kernel, ", ""))
    assert verdict(checks.ex_1_5, layer, (..., ..., ...)) == "Exercise 1.5: not attempted yet."
    assert verdict(checks.ex_1_5, stub, (1, 2, 4)) == "Exercise 1.5: not attempted yet."
    assert not earns(checks.ex_1_5, stub, (..., ..., ...))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("padding=dilation", "padding=1", "padding must grow with the dilation"),
        ("padding=dilation, ", "", "padding is missing"),
        ("padding=dilation", "padding=2 * dilation", "each gets half"),
        (" dilation=dilation,", "", "dilation does not reach"),
        ("padding=dilation, dilation=dilation,", "padding=1,", "dilation does not reach"),
        ("stride=stride, ", "", "stride does not reach"),
        ("        nn.ReLU(),\n", "", "no ReLU at the end"),
        ("        nn.BatchNorm2d(out_channels),\n", "", "BatchNorm is missing"),
        ("nn.BatchNorm2d(out_channels),\n        nn.ReLU(),", "nn.ReLU(),\n        nn.BatchNorm2d(out_channels),",
         "before the ReLU, not after"),
        ("nn.BatchNorm2d(out_channels),", "nn.ReLU(), nn.BatchNorm2d(out_channels),", "one ReLU too many"),
        ("bias=False", "bias=True", "bias=False"),
        ("out_channels, 3,", "out_channels, 5,", "(5, 3, 5, 5)"),
        ("padding=dilation", 'padding=dilation, padding_mode="circular"', "padded with zeros"),
        ("nn.BatchNorm2d(out_channels)", "nn.BatchNorm2d(out_channels, affine=False)", "(5,)"),
        ("return nn.Sequential", "nn.Sequential", "NoneType"),
    ],
)  # fmt: skip
def test_1_5_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    layer = write(WIDE, "conv_bn_relu_dilated", (old, new))
    assert words in verdict(checks.ex_1_5, layer, (1, 2, 4))
    assert not earns(checks.ex_1_5, layer, (1, 2, 4))


@pytest.mark.parametrize(
    ("dilations", "words"),
    [
        ((2, 2, 3), "should have no holes"),
        ((7,), "number of dilations should be 3, but it is 1"),
        ((1, 1, 1), "should be 15, but it is 7"),
        ((3, 3, 3), "should be 15, but it is 19"),
        ((5, 5, 5), "adds 2d"),
        ((100, 1, 1), "should be 15, but it is 205"),
        ((7, 0, 0), "three positive integers"),
        ((7, 7, -7), "three positive integers"),
        ((1.5, 2, 4), "`dilations` should be a tuple of whole numbers"),
        ((True, 2, 4), "`dilations` should be a tuple of whole numbers"),
        (7, "`dilations` should be a tuple of whole numbers"),
    ],
)
def test_1_5_names_the_wrong_dilations(verdict, earns, write, dilations, words) -> None:
    layer = write(WIDE, "conv_bn_relu_dilated")
    assert words in verdict(checks.ex_1_5, layer, dilations)
    assert not earns(checks.ex_1_5, layer, dilations)
