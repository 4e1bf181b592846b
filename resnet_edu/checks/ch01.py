"""The checks of chapter 1: exercises 1.1 and 1.2 (counting), 1.3 (BatchNorm), 1.4 (three bugs), 1.5 (a wide view)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.ch01_batchnorm import ex_1_3, make_module
from resnet_edu.checks.ch01_counting import ex_1_1, ex_1_2
from resnet_edu.checks.compare import expect_module, expect_same_function, expect_same_parameters
from resnet_edu.checks.scalars import whole_numbers
from resnet_edu.checks.verdict import NotAttempted, Wrong, exercise, expect_equal

__all__ = ["ex_1_1", "ex_1_2", "ex_1_3", "ex_1_4", "ex_1_5"]


class _PlainNet(nn.Module):
    """What exercise 1.4 asks for."""

    def __init__(self, width: int, depth: int, classes: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(1 if i == 0 else width, width, 3, padding=1, bias=False) for i in range(depth + 1)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in self.convs)
        self.fc = nn.Linear(width, classes)

    def features(self, x: Tensor, padding: int = 1) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(F.conv2d(x, conv.weight, padding=padding)))
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((2, 3)))


@exercise("1.4")
def ex_1_4(answer):
    """Check the repaired network: a class called as ``answer(width, depth, classes)``."""
    otherwise = "Every layer is a convolution, then a BatchNorm of its own, then ReLU; zip the two lists."
    slips = [
        (
            lambda net, x: net(x).relu(),
            "No logit is below 0: a ReLU on the logits cuts off what speaks against a class.",
        ),
        (lambda net, x: net(x).softmax(1), "cross_entropy takes logits: no softmax at the end."),
        (lambda net, x: net(x).log_softmax(1), "cross_entropy takes logits: no log_softmax at the end."),
        (lambda net, x: net(x).sigmoid(), "cross_entropy takes logits: no sigmoid at the end."),
        (lambda net, x: net.fc(net.features(x).amax((2, 3))), "The pooling takes the mean, not the largest value."),
        (lambda net, x: net.fc(net.features(x, 0).mean((2, 3))), "Every convolution keeps the size: padding=1."),
    ]
    for given in ((6, 3, 5), (4, 2, 3), (3, 4, 10), ()):
        width, depth, classes = given or (8, 3, 10)  # the defaults
        what = f"FixedNet({', '.join(map(str, given))})"
        net = make_module(what, answer, *given)
        expect_same_parameters(what, net, _PlainNet(width, depth, classes), _differences(width, depth))
        x = torch.randn(8, 1, 12, 11)
        expect_same_function(what, net, _PlainNet(width, depth, classes), x, slips=slips, otherwise=otherwise)
        hint = "squeeze() takes the batch away too if it is 1: flatten(1)."
        expect_equal(f"The shape of {what}'s logits for a single image", net.eval()(x[:1]).shape, (1, classes), hint)


def _differences(width: int, depth: int) -> dict[int, str]:
    """What a surplus (or a lack, below 0) of so many parameters says."""
    conv, norm = 9 * width * width, 2 * width
    listed = "Layers in a Python list are not registered, and so are not trained: use nn.ModuleList."
    copies = "[layer] * depth holds one layer `depth` times: make each in a loop."
    return {
        -depth * conv: listed,
        -depth * (conv + norm): listed,
        -(depth + 1) * norm: listed,
        -depth * norm: "All convolutions share one BatchNorm: each needs its own, in an nn.ModuleList.",
        -(depth - 1) * conv: copies,
        -(depth - 1) * norm: copies,
        -(depth - 1) * (conv + norm): copies,
        (depth + 1) * width: "The convolutions have no bias: BatchNorm would subtract it.",
        norm: "There is one BatchNorm too many: one for the stem, and one for each of the others.",
        -(conv + norm): "There is one layer too few: the stem, and then `depth` more.",
        conv + norm: "There is one layer too many: the stem, and then `depth` more.",
    }


@exercise("1.5")
def ex_1_5(layer, dilations):
    """Check ``conv_bn_relu_dilated(in_channels, out_channels, stride, dilation)`` and three dilations."""
    for options in ({}, {"dilation": 2}, {"dilation": 3}, {"stride": 2}, {"stride": 2, "dilation": 2}):
        _expect_conv_bn_relu(layer, **options)
    dilations = whole_numbers("`dilations`", dilations)
    if min(dilations, default=1) < 1:
        raise Wrong(f"`dilations` should be three positive integers, but it is {dilations!r}.")
    expect_equal("The number of dilations", len(dilations), 3, "One for each of the three layers.")
    rows = _rows_read([layer(2 if i else 1, 2, dilation=d) for i, d in enumerate(dilations)], reach=sum(dilations))
    hint = "Each 3x3 convolution of stride 1 and dilation d adds 2d to the field."
    expect_equal("The width of the field", max(rows) - min(rows) + 1, 15, hint)
    if len(rows) < 15:
        raise Wrong(
            f"The field should have no holes, but of its 15 rows the stack reads only {len(rows)}. "
            "Write down all sums of one step from each layer, -d, 0 or d: which numbers are missing?"
        )


def _expect_conv_bn_relu(make, stride: int = 1, dilation: int = 1) -> None:
    options = {name: value for name, value in (("stride", stride), ("dilation", dilation)) if value != 1}
    call = f"conv_bn_relu_dilated({', '.join(['3', '5', *(f'{name}={value}' for name, value in options.items())])})"
    met = make(3, 5, **options)
    if met is ...:
        raise NotAttempted
    expect_module(call, met)
    conv = nn.Conv2d(3, 5, 3, stride, padding=dilation, dilation=dilation, bias=False)
    expected = nn.Sequential(conv, nn.BatchNorm2d(5), nn.ReLU())
    hints = {5: "The convolution has bias=False.", -10: "The BatchNorm is missing."}
    expect_same_parameters(call, met, expected, hints)

    def other(**changed):
        return lambda net, x: net[1:](
            F.conv2d(x, net[0].weight, **({"stride": stride, "dilation": dilation} | changed))
        )

    slips = [
        (lambda net, x: net[:2](x), "There is no ReLU at the end."),
        (lambda net, x: net[1](net[0](x).relu()), "BatchNorm comes before the ReLU, not after it."),
        (lambda net, x: net[1](net[0](x).relu()).relu(), "There is one ReLU too many, before the BatchNorm."),
        (lambda net, x: net[0](x).relu(), "The BatchNorm is made, but not called."),
        (other(padding=1, dilation=1), "The dilation does not reach the convolution."),
        (other(padding=dilation, dilation=1), "The dilation does not reach the convolution."),
        (other(padding=dilation, stride=1), "The stride does not reach the convolution."),
        (other(padding=1), "To keep the size, the padding must grow with the dilation."),
        (other(padding=2 * dilation), "The padding goes on both sides: each gets half of d(k - 1)."),
        (other(padding=0), "The padding is missing."),
    ]
    otherwise = "It is a 3x3 convolution padded with zeros, then BatchNorm, then ReLU, with the arguments passed on."
    expect_same_function(call, met, expected, torch.randn(4, 3, 11, 9), slips=slips, otherwise=otherwise)


def _rows_read(layers: list[nn.Module], reach: int) -> list[int]:
    """The rows of a tall image that its middle row depends on: with positive weights nothing can cancel."""
    stack = nn.Sequential(*layers).eval()
    for parameter in stack.parameters():
        if parameter.dim() == 4:
            parameter.data.fill_(0.1)
    x = torch.ones(1, 1, 2 * reach + 1, 1, requires_grad=True)
    stack(x)[0, :, reach].sum().backward()
    return x.grad.flatten().nonzero().flatten().tolist()
