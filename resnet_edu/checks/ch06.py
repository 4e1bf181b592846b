"""The checks of chapter 6: ResNet-101 on paper, `_make_layer`, stages with three bugs, dilation by hand."""

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace

import torch
from torch import nn

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks.compare import expect_module, randomise
from resnet_edu.checks.scalars import whole_number, whole_numbers
from resnet_edu.checks.stages import (
    FIRST_READS_AS_EVER,
    ONLY_FIRST,
    OTHERS_SPREAD,
    blocks_of,
    expect_same,
    expect_stage,
    settings_of,
)
from resnet_edu.checks.verdict import Wrong, exercise, expect_close, expect_equal
from resnet_edu.resnet import ResNet

# What ResNet-101 has, and for each entry the plausible wrong answers with the hint that belongs to them
RESNET101 = {
    "projections": (4, {3: "At stride 1 layer1 has 64 channels coming in and 256 going out.", 1: "Each stage has one.",
                        33: "Only a stage's first block can need one."}),
    "identities": (29, {30: "layer1 projects too.", 33: "Subtract the blocks that project.",
                        97: "Count blocks, not convolutions."}),
    "layer1[0]": ((64, 64, 256, 1), {(64, 64, 64, 1): "A Bottleneck puts out 4 * planes.",
                                     (256, 64, 256, 1): "It is the first of all blocks: it meets the stem's channels.",
                                     (64, 64, 256, 2): "layer1 has stride 1: the stem has halved twice already."}),
    "layer3[0]": ((512, 256, 1024, 2), {(128, 256, 1024, 2): "What leaves layer2 is 4 times its planes.",
                                        (256, 256, 1024, 2): "In-planes are what layer2 puts out, 4 times its planes.",
                                        (1024, 256, 1024, 2): "It is the FIRST block: it meets what layer2 puts out.",
                                        (512, 256, 2048, 2): "What comes out is 4 * planes, not 4 * inplanes.",
                                        (512, 256, 1024, 1): "The first block of layer3 halves the size."}),
    "layer3[22]": ((1024, 256, 1024, 1), {(512, 256, 1024, 1): "Only the first block meets what layer2 puts out.",
                                          (256, 256, 1024, 1): "It meets the 4 * planes of the block before it.",
                                          (1024, 256, 1024, 2): ONLY_FIRST,
                                          (1024, 256, 4096, 1): "What comes out is 4 * planes, not 4 * inplanes."}),
    "shape": ((2048, 8, 10), {(512, 8, 10): "A Bottleneck puts out 4 * planes.", (2048, 10, 8): "Rows come first.",
                              (2048, 7, 7): "7x7 belongs to an image of 224x224.",
                              (2048, 16, 20): "The stem divides by 4, and three of the stages by 2 each."}),
    "shape dilated": ((2048, 16, 20), {(2048, 8, 10): "layer3 keeps the size now.",
                                       (2048, 32, 40): "Only layer3 keeps the size: layer4 still has its stride.",
                                       (512, 16, 20): "A Bottleneck puts out 4 * planes."}),
    "dilations": ((2, 2, 2), {(1, 1, 1): "Nothing sets self.dilation back: layer3 has left it at 2.",
                              (1, 2, 2): "The flag of layer4 is False, and the dilation before it is already 2.",
                              (2, 4, 4): "layer4 keeps its stride, so it does not multiply the dilation.",
                              (2, 1, 1): "Nothing sets self.dilation back: layer3 has left it at 2."}),
}  # fmt: skip
# What to say to any other wrong answer
SHAPE = "(C, H, W): a Bottleneck puts out 4 * planes; the stem divides the size by 4, and each stride left by 2."
OTHERWISE = {
    "projections": "Ask the rule for each stage's first block.",
    "identities": "Ask the rule for each stage's first block; the other blocks need no projection.",
    "shape": SHAPE,
    "shape dilated": SHAPE,
    "dilations": "Follow self.dilation through the stages, call by call.",
}


@exercise("6.1")
def ex_6_1(answer):
    """Check the predictions about ResNet-101: a dict of integers and tuples."""
    if not isinstance(answer, dict) or set(answer) != set(RESNET101):
        raise Wrong(f"The answer should be a dict with the keys {', '.join(RESNET101)}. Fill in the stub, key by key.")
    for key, (right, slips) in RESNET101.items():
        met = (whole_numbers if isinstance(right, tuple) else whole_number)(f"`{key}`", answer[key])
        if isinstance(right, tuple) and len(met) != len(right):
            raise Wrong(f"`{key}` should have {len(right)} numbers, but it has {len(met)}.")
        if met != right:
            otherwise = OTHERWISE.get(key, "Follow inplanes through the stages, call by call.")
            raise Wrong(f"`{key}` is not {met}. {slips.get(met, otherwise)}")


# block, planes, blocks, stride, dilate; then what the builder remembers: inplanes, dilation, groups, base_width
SETTINGS = [  # each one brings one new difficulty
    ((BasicBlock, 8, 3, 1, False), (8, 1, 1, 64), nn.BatchNorm2d),
    ((BasicBlock, 16, 2, 2, False), (8, 1, 1, 64), nn.BatchNorm2d),
    ((BasicBlock, 12, 2, 1, False), (8, 1, 1, 64), nn.BatchNorm2d),
    ((BasicBlock, 8, 2, 2, False), (8, 1, 1, 64), nn.BatchNorm2d),
    ((BasicBlock, 8, 2, 1, False), (12, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 4, 3, 1, False), (8, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 4, 2, 1, False), (16, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 8, 1, 2, False), (16, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 8, 2, 2, False), (16, 1, 2, 32), nn.BatchNorm2d),
    ((Bottleneck, 8, 2, 2, False), (16, 1, 1, 64), partial(nn.GroupNorm, 2)),
    ((Bottleneck, 8, 3, 2, True), (16, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 8, 2, 2, True), (16, 2, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 4, 2, 2, True), (16, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 8, 2, 1, True), (16, 2, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 8, 2, 2, False), (16, 2, 1, 64), nn.BatchNorm2d),
]


@exercise("6.2")
def ex_6_2(answer):
    """Check a class with a method ``_make_layer(block, planes, blocks, stride=1, dilate=False)``."""
    if not isinstance(answer, type):
        raise Wrong("Hand in the class itself, without parentheses: the check makes builders of its own.")
    _expect_start(answer)
    for (block, planes, blocks, stride, dilate), (inplanes, dilation, groups, base_width), norm in SETTINGS:
        expected = _builder(inplanes, dilation, groups, base_width, norm)
        met = answer(inplanes, groups, base_width, norm)
        met.dilation = dilation
        given = {"stride": 2} if stride == 2 else {}  # what is left out is 1, and False
        given |= {"dilate": True} if dilate else {}
        options = "".join(f", {name}={value}" for name, value in given.items())
        remembered = f"inplanes={inplanes}" + f", dilation={dilation}" * (dilation > 1)
        call = f"_make_layer({block.__name__}, {planes}, {blocks}{options}) with {remembered}"
        stage = met._make_layer(block, planes, blocks, **given)
        right = ResNet._make_layer(expected, block, planes, blocks, stride=stride, dilate=dilate)
        if isinstance(stage, list | tuple | nn.ModuleList):
            raise Wrong(f"{call} should return an nn.Sequential, but it returns a {type(stage).__name__}. Wrap it.")
        if stage is None:
            raise Wrong(f"{call} returns nothing. The last line is `return nn.Sequential(*layers)`.")
        expect_stage(call, stage, right)
        hint = "From it the next stage learns how many channels it meets: planes * block.expansion."
        expect_equal(f"After {call} self.inplanes", met.inplanes, expected.inplanes, hint)
        hint = "With dilate it is multiplied by the stride, and otherwise it stays."
        expect_equal(f"After {call} self.dilation", met.dilation, expected.dilation, hint)
        expect_same(call, stage, right, torch.randn(2, inplanes, 8, 6))


def _expect_start(answer: type) -> None:
    """The given ``__init__``: the attributes of a new builder, by default and as passed."""
    names = ("inplanes", "groups", "base_width", "_norm_layer", "dilation")
    for arguments, values in (
        ((), (64, 1, 64, nn.BatchNorm2d, 1)),
        ((8, 2, 32, nn.Identity), (8, 2, 32, nn.Identity, 1)),
    ):
        made = answer(*arguments)
        for name, value in zip(names, values, strict=True):
            if getattr(made, name, None) != value:
                raise Wrong(
                    f"MyBuilder has lost its {name}, or starts with another: leave the given __init__ as it is."
                )


def _builder(inplanes: int, dilation: int = 1, groups: int = 1, base_width: int = 64, norm=nn.BatchNorm2d):
    """What `ResNet._make_layer` reads and writes on its network."""
    return SimpleNamespace(inplanes=inplanes, dilation=dilation, groups=groups, base_width=base_width, _norm_layer=norm)


@exercise("6.3")
def ex_6_3(answer):
    """Check the stages of ResNet-34: a class called as ``answer(width, layers)``."""
    if not isinstance(answer, type):
        raise Wrong("Hand in the class itself, without parentheses: the check makes networks of its own.")
    for width, layers in ((4, (3, 4, 6, 3)), (6, (2, 1, 2, 1))):
        call = f"FixedStages({width}, {layers})"
        met, builder = answer(width, layers), _builder(width)
        expect_module(call, met)
        expected = nn.Sequential()
        for number, blocks in enumerate(layers):
            planes, stride = width * 2**number, 1 if number == 0 else 2
            expected.append(ResNet._make_layer(builder, BasicBlock, planes, blocks, stride))
        found = _as_called(met, torch.randn(2, width, 16, 16))
        if not found and any(isinstance(module, nn.Conv2d) for module in met.modules()):
            block = "Stack the package's BasicBlock: the check reads its parts by name."
            raise Wrong(f"{call} has convolutions, but no block that the check knows. {block}")
        hint = "One for each in `layers`." if found else "A list does not register its blocks: use nn.Sequential."
        expect_equal(f"The number of blocks of {call}", len(found), sum(layers), hint)
        _expect_widths(call, found, layers, width)
        start = 0
        for number, (blocks, right) in enumerate(zip(layers, expected, strict=True), start=1):
            expect_stage(f"layer{number} of {call}", nn.Sequential(*found[start : start + blocks]), right)
            start += blocks
        expect_same(call, met, expected, torch.randn(2, width, 16, 16), found)


def _as_called(net: nn.Module, x: torch.Tensor) -> list[nn.Module]:
    """The blocks in the order of the calls; as registered where a call fails, or one of them is not called once."""
    registered, called = blocks_of(net), []
    hooks = [block.register_forward_hook(lambda block, _, __: called.append(block)) for block in set(registered)]
    try:
        with torch.no_grad():
            net(x)
    except Exception:
        return registered
    finally:
        for hook in hooks:
            hook.remove()
    return called if sorted(map(id, called)) == sorted(map(id, registered)) else registered


def _expect_widths(call: str, blocks: Sequence[nn.Module], layers: Sequence[int], width: int) -> None:
    ends = [sum(layers[: number + 1]) - 1 for number in range(4)]
    met, right = [blocks[end].conv2.out_channels for end in ends], [width, 2 * width, 4 * width, 8 * width]
    hint = "layer1 keeps the stem's width, and each later stage doubles it once: 64, 128, 256, 512 in the paper."
    expect_equal(f"The channels behind the four stages of {call}", met, right, hint)


@exercise("6.4")
def ex_6_4(answer):
    """Check a function that returns a network with its last stage dilated, and leaves the given one alone."""
    for layers in ((1, 1, 1, 3), (1, 1, 2, 4)):
        _expect_surgery(answer, layers)


def _expect_surgery(answer: Callable, layers: tuple[int, ...]) -> None:
    given = ResNet(Bottleneck, layers, num_classes=5)
    randomise(given)
    given.eval()
    before = {name: tensor.clone() for name, tensor in given.state_dict().items()}
    settings = _settings(given)
    met = answer(given)
    if met is None:
        raise Wrong("dilate_layer4 returns nothing. Return the network with the dilated stage.")
    expect_module("What dilate_layer4(net) returns", met)
    changed = [name for name, tensor in given.state_dict().items() if not torch.equal(tensor, before[name])]
    if met is given or changed or _settings(given) != settings:
        raise Wrong("The network that was handed in has changed. Work on a copy: copy.deepcopy(net).")
    expected = ResNet(Bottleneck, layers, num_classes=5, replace_stride_with_dilation=[False, False, True]).eval()
    expected.load_state_dict(before)
    state = met.state_dict()
    if list(state) != list(before) or any(not torch.equal(state[name], before[name]) for name in before):
        raise Wrong("The weights are not those of the given network. Copy it, or load its state dict, strictly.")
    theirs = {parameter.data_ptr() for parameter in given.parameters()}
    if any(parameter.data_ptr() in theirs for parameter in met.parameters()):
        raise Wrong("Both networks share weights: training one would change the other. Copy them: copy.deepcopy(net).")
    _expect_dilated(met, expected)
    x = torch.randn(2, 1024, 6, 8)
    with torch.no_grad():
        maps, right = met.eval().layer4(x), expected.layer4(x)
    hint = "Compare its modules with those of ResNet(..., replace_stride_with_dilation=[False, False, True])."
    expect_close("The maps behind layer4", maps, right, hint, 1e-2)
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        logits, right = met(image), expected(image)
    hint = "layer4 is right by itself: leave the stem, the pooling and the head as they are."
    expect_close("What the network makes of an image", logits, right, hint, 1e-2)


def _settings(net: nn.Module) -> dict[str, dict[str, tuple[int, int]]]:
    return {name: settings_of(module) for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}


def _expect_dilated(net: nn.Module, right: nn.Module) -> None:
    """Name the convolution that is wrong."""
    for (name, met), wanted in zip(_settings(net).items(), _settings(right).values(), strict=True):
        hints = {
            "stride": "layer4 keeps the size now: no stride is left in it.",
            "dilation": FIRST_READS_AS_EVER if name.startswith("layer4.0") else OTHERS_SPREAD,
            "padding": "A 3x3 convolution keeps the size if its padding is equal to its dilation, a 1x1 with none.",
        }
        if not name.startswith("layer4"):
            hints = dict.fromkeys(hints, "Leave everything in front of layer4 as it is.")
        elif "downsample" in name:
            hints["stride"] = "The shortcut loses its stride too: both sides of the addition must have the same size."
        for setting, hint in hints.items():
            expect_equal(f"The {setting} of {name}", met[setting], wanted[setting], hint)
