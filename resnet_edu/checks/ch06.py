"""The checks of chapter 6: ResNet-101 on paper, `_make_layer`, stages with three bugs, dilation by hand."""

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace

import torch
from torch import nn

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks.compare import expect_module, expect_same_parameters, randomise
from resnet_edu.checks.verdict import Wrong, exercise, expect_close, expect_equal
from resnet_edu.resnet import ResNet

ONLY_FIRST = "Only the first block of a stage changes the shape: from the second on stride is 1 and channels stay."
FIRST_READS_AS_EVER = "The first block reads the map that comes in, so it takes the dilation from BEFORE this stage."
OTHERS_SPREAD = "The blocks behind the first take self.dilation as it is AFTER `dilate` was looked at."

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


@exercise("6.1")
def ex_6_1(answer):
    """Check the predictions about ResNet-101: a dict of integers and tuples."""
    if not isinstance(answer, dict) or set(answer) != set(RESNET101):
        raise Wrong(f"The answer should be a dict with the keys {', '.join(RESNET101)}. Fill in the stub, key by key.")
    for key, (right, slips) in RESNET101.items():
        met = tuple(answer[key]) if isinstance(answer[key], list | torch.Size) else answer[key]
        numbers = met if isinstance(met, tuple) else (met,)
        if isinstance(met, tuple) != isinstance(right, tuple) or not all(type(number) is int for number in numbers):
            kind = f"a tuple of {len(right)} integers" if isinstance(right, tuple) else "an integer"
            raise Wrong(f"`{key}` should be {kind}, but it is {met!r}.")
        if isinstance(right, tuple) and len(met) != len(right):
            raise Wrong(f"`{key}` should have {len(right)} numbers, but it has {len(met)}.")
        if met != right:
            raise Wrong(f"`{key}` is not {met}. {slips.get(met, 'Follow inplanes through the stages, call by call.')}")


# block, planes, blocks, stride, dilate; then what the builder remembers: inplanes, dilation, groups, base_width
SETTINGS = [  # each one brings one new difficulty
    ((BasicBlock, 8, 3, 1, False), (8, 1, 1, 64), nn.BatchNorm2d),
    ((BasicBlock, 16, 2, 2, False), (8, 1, 1, 64), nn.BatchNorm2d),
    ((BasicBlock, 12, 2, 1, False), (8, 1, 1, 64), nn.BatchNorm2d),
    ((BasicBlock, 8, 2, 2, False), (8, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 4, 3, 1, False), (8, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 4, 2, 1, False), (16, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 8, 1, 2, False), (16, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 8, 2, 2, False), (16, 1, 2, 32), nn.BatchNorm2d),
    ((Bottleneck, 8, 2, 2, False), (16, 1, 1, 64), partial(nn.GroupNorm, 2)),
    ((Bottleneck, 8, 3, 2, True), (16, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 8, 2, 2, True), (16, 2, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 4, 2, 2, True), (16, 1, 1, 64), nn.BatchNorm2d),
    ((Bottleneck, 8, 2, 2, False), (16, 2, 1, 64), nn.BatchNorm2d),
]


@exercise("6.2")
def ex_6_2(answer):
    """Check a class with a method ``_make_layer(block, planes, blocks, stride=1, dilate=False)``."""
    if not isinstance(answer, type):
        raise Wrong("Hand in the class itself, without parentheses: the check makes builders of its own.")
    for (block, planes, blocks, stride, dilate), (inplanes, dilation, groups, base_width), norm in SETTINGS:
        expected = _builder(inplanes, dilation, groups, base_width, norm)
        met = answer(inplanes, groups, base_width, norm)
        for name in ("inplanes", "dilation", "groups", "base_width", "_norm_layer"):
            if not hasattr(met, name):
                raise Wrong(f"MyBuilder has no attribute {name} any more: leave the given __init__ as it is.")
        met.dilation = dilation
        options = ", stride=2" * (stride == 2) + ", dilate=True" * dilate
        remembered = f"inplanes={inplanes}" + f", dilation={dilation}" * (dilation > 1)
        call = f"_make_layer({block.__name__}, {planes}, {blocks}{options}) with {remembered}"
        stage = met._make_layer(block, planes, blocks, stride=stride, dilate=dilate)
        right = ResNet._make_layer(expected, block, planes, blocks, stride=stride, dilate=dilate)
        if isinstance(stage, list | tuple):
            raise Wrong(f"{call} should return an nn.Sequential, but it returns a {type(stage).__name__}. Wrap it.")
        if stage is None:
            raise Wrong(f"{call} returns nothing. The last line is `return nn.Sequential(*layers)`.")
        _expect_stage(call, stage, right)
        hint = "From it the next stage learns how many channels it meets: planes * block.expansion."
        expect_equal(f"After {call} self.inplanes", met.inplanes, expected.inplanes, hint)
        hint = "With dilate it is multiplied by the stride, and otherwise it stays."
        expect_equal(f"After {call} self.dilation", met.dilation, expected.dilation, hint)
        _expect_same(call, stage, right, torch.randn(2, inplanes, 8, 6))


def _builder(inplanes: int, dilation: int = 1, groups: int = 1, base_width: int = 64, norm=nn.BatchNorm2d):
    """What `ResNet._make_layer` reads and writes on its network."""
    return SimpleNamespace(inplanes=inplanes, dilation=dilation, groups=groups, base_width=base_width, _norm_layer=norm)


def _blocks(stage: nn.Module) -> list[nn.Module]:
    """The blocks of a stage in order, one that stands in several places as often as it stands there."""
    found = []
    for child in stage._modules.values():
        found += [child] if isinstance(child, BasicBlock | Bottleneck) else _blocks(child)
    return found


def _expect_stage(what: str, met: nn.Module, expected: nn.Module) -> None:
    """Compare two stages block by block, in the order in which one would look."""
    expect_module(f"What {what} returns", met)
    blocks, wanted = _blocks(met), _blocks(expected)
    hint = "One block stands in front of the loop: range(1, blocks)." if abs(len(blocks) - len(wanted)) == 1 else ""
    expect_equal(f"The number of blocks of {what}", len(blocks), len(wanted), hint)
    if len(set(map(id, blocks))) < len(blocks):
        raise Wrong(f"{what}: one block stands in several places, as [block] * n makes it. Make each one in the loop.")
    for index, (block, right) in enumerate(zip(blocks, wanted, strict=True)):
        place = f"Block {index} of {what}"
        if type(block) is not type(right):
            raise Wrong(f"{place} should be a {type(right).__name__}, but it is a {type(block).__name__}.")
        for name, hint in _hints(index, block, right, wanted[0]).items():
            expect_equal(f"{place}: its {name}", _facts(block)[name], _facts(right)[name], hint)
        _expect_projection(place, index, block.downsample, right)
        for one, other in zip(_leaves(block), _leaves(right), strict=True):
            if type(one) is not type(other):
                hint = "Pass self._norm_layer on, to the blocks and to the projection."
                raise Wrong(f"{place}: {type(one).__name__} stands where {type(other).__name__} belongs. {hint}")


def _facts(block: nn.Module) -> dict[str, int]:
    convs = [getattr(block, name) for name in ("conv1", "conv2", "conv3") if hasattr(block, name)]
    return {
        "number of channels that come in": convs[0].in_channels,
        "number of channels that go out": convs[-1].out_channels,
        "middle's number of channels": convs[1].in_channels,
        "number of groups": convs[1].groups,
        "stride": max(conv.stride[0] for conv in convs),
        "dilation": max(conv.dilation[0] for conv in convs),
    }


def _hints(index: int, block: nn.Module, right: nn.Module, first: nn.Module) -> dict[str, str]:
    """What to say if a fact of this block is wrong."""
    into, wanted, before = (_facts(b)["number of channels that come in"] for b in (block, right, first))
    comes_in = "It is self.inplanes, as the block before left it."
    if not index:
        comes_in = "The first block meets self.inplanes: move it on behind the first block, not before."
    elif into == before:
        comes_in = "That is what the FIRST block met: move self.inplanes on behind it."
    elif into * right.expansion == wanted:
        comes_in = "That is planes: what the block before puts out is planes * block.expansion."
    bigger = _facts(block)["stride"] > _facts(right)["stride"]
    of_first = (
        "With dilate the stage keeps its size: the stride becomes 1." if bigger else "Pass it to the first block."
    )
    lost_groups = _facts(block)["number of groups"] < _facts(right)["number of groups"]
    return {
        "number of channels that come in": comes_in,
        "number of channels that go out": "Pass `planes` as it is: the block itself multiplies by its expansion.",
        "middle's number of channels": f"Pass self.{'groups' if lost_groups else 'base_width'} on to every block.",
        "number of groups": "Pass self.groups on to every block.",
        "stride": ONLY_FIRST if index else of_first,
        "dilation": OTHERS_SPREAD if index else FIRST_READS_AS_EVER,
    }


def _expect_projection(place: str, index: int, met: nn.Module | None, right: nn.Module) -> None:
    into, onto, stride = right.conv1.in_channels, _facts(right)["number of channels that go out"], right.stride
    if right.downsample is None:
        if met is not None:
            why = f"{into} channels come in, {onto} (planes * expansion) go out, the stride is 1: x fits as it is."
            raise Wrong(f"{place} has a projection where the identity belongs. {ONLY_FIRST if index else why}")
        return
    if met is None:
        why = f"the stride is {stride}" if stride > 1 else f"{into} channels come in and {onto} go out"
        hint = "The condition has two parts, joined by `or`; channels that go out are planes * block.expansion."
        raise Wrong(f"{place} has no projection, and needs one: {why}. {hint}")
    expect_module(f"{place}: its downsample", met)
    leaves = _leaves(met)
    relu = any(isinstance(m, nn.ReLU) for m in met.modules())
    if relu or len(leaves) != 2 or not isinstance(leaves[0], nn.Conv2d) or isinstance(leaves[1], nn.Conv2d):
        kinds = ", ".join([type(m).__name__ for m in leaves] + ["ReLU"] * relu) or "nothing"
        raise Wrong(f"{place}: its projection should be a 1x1 convolution and a norm, but it holds {kinds}.")
    for name, hint in {
        "in_channels": "It takes x as it is: self.inplanes, before that moves on.",
        "out_channels": "It must make what the block puts out: planes * block.expansion.",
        "kernel_size": "Option B is a 1x1 convolution.",
        "stride": "It has the stride of its block.",
    }.items():
        met_value, value = getattr(leaves[0], name), getattr(right.downsample[0], name)
        expect_equal(f"{place}: {name} of its projection", met_value, value, hint)
    if leaves[0].bias is not None:
        raise Wrong(f"{place}: its projection has a bias, which the norm behind it takes away: bias=False.")


def _leaves(module: nn.Module) -> list[nn.Module]:
    """The layers of a block or a projection, convolutions first: the order of registration does not matter."""
    leaves = [m for m in module.modules() if not list(m.children()) and not isinstance(m, nn.ReLU | nn.Identity)]
    return sorted(leaves, key=lambda m: not isinstance(m, nn.Conv2d))


def _expect_same(what: str, met: nn.Module, expected: nn.Module, x: torch.Tensor) -> None:
    """Compare what two networks compute whose blocks are equal, one by one: only how they are called can be wrong."""
    expect_same_parameters(what, met, expected, {})
    randomise(expected)
    for block, right in zip(_blocks(met), _blocks(expected), strict=True):
        for one, other in zip(_leaves(block), _leaves(right), strict=True):
            one.load_state_dict(other.state_dict())
    hint = "Every block is right by itself: look at the order in which they are called, and what is done in between."
    for training in (False, True):
        y = met.train(training)(x.clone())
        mode = "training" if training else "evaluation"
        expect_close(f"In {mode} mode the output of {what}", y, expected.train(training)(x), hint, 1e-3)
    y.sum().backward()
    if any(p.grad is None for p in met.parameters()):
        raise Wrong(f"Some parameters of {what} get no gradient. Look for detach(), .data or torch.no_grad().")


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
        found = _blocks(met)
        expect_equal(f"The number of blocks of {call}", len(found), sum(layers), "One for each in `layers`.")
        _expect_widths(call, found, layers, width)
        start = 0
        for number, (blocks, right) in enumerate(zip(layers, expected, strict=True), start=1):
            _expect_stage(f"layer{number} of {call}", nn.Sequential(*found[start : start + blocks]), right)
            start += blocks
        _expect_same(call, met, expected, torch.randn(2, width, 16, 16))


def _expect_widths(call: str, blocks: Sequence[nn.Module], layers: Sequence[int], width: int) -> None:
    ends = [sum(layers[: number + 1]) - 1 for number in range(4)]
    met, right = [blocks[end].conv2.out_channels for end in ends], [width, 2 * width, 4 * width, 8 * width]
    hint = "layer1 keeps the stem's width, and each later stage doubles it once: 64, 128, 256, 512 in the paper."
    expect_equal(f"The channels behind the four stages of {call}", met, right, hint)


@exercise("6.4")
def ex_6_4(answer):
    """Check a function that returns a network with its last stage dilated, and leaves the given one alone."""
    layers = (1, 1, 1, 3)
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
    _expect_dilated(met, expected)
    x = torch.randn(2, 1024, 6, 8)
    with torch.no_grad():
        maps, right = met.eval().layer4(x), expected.layer4(x)
    hint = "Compare its modules with those of ResNet(..., replace_stride_with_dilation=[False, False, True])."
    expect_close("The maps behind layer4", maps, right, hint, 1e-2)


def _settings(net: nn.Module) -> dict[str, list[tuple]]:
    convs = [(name, m) for name, m in net.named_modules() if isinstance(m, nn.Conv2d)]
    values = {name: (conv.stride, conv.padding, conv.dilation) for name, conv in convs}
    return {name: [(v, v) if isinstance(v, int) else tuple(v) for v in three] for name, three in values.items()}


def _expect_dilated(net: nn.Module, right: nn.Module) -> None:
    """Name the convolution that is wrong."""
    for (name, met), wanted in zip(_settings(net).items(), _settings(right).values(), strict=True):
        hint = FIRST_READS_AS_EVER if name.startswith("layer4.0") else OTHERS_SPREAD
        if not name.startswith("layer4"):
            hint = "Leave everything in front of layer4 as it is."
        elif "downsample" in name:
            hint = "The shortcut loses its stride too: both sides of the addition must have the same size."
        elif not name.endswith("conv2"):
            hint = "A 1x1 convolution has no neighbours: leave it as it is."
        keeps = "layer4 keeps the size now: no stride is left in it." if name == "layer4.0.conv2" else hint
        padding = "A 3x3 convolution keeps the size if its padding is equal to its dilation."
        expect_equal(f"The stride of {name}", met[0], wanted[0], keeps)
        expect_equal(f"The dilation of {name}", met[2], wanted[2], hint)
        expect_equal(f"The padding of {name}", met[1], wanted[1], padding)
