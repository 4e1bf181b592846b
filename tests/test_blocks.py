"""The blocks: values against their formulas and torchvision's, the errors, and every way to capture a graph."""

import ast
import inspect
import warnings

import pytest
import torch
import torchvision.models.resnet as tv
from torch import nn

from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock, add_shortcut, conv1x1, conv3x3, init_weights

PROJECTED = [(BasicBlock, 8, 16), (Bottleneck, 8, 8)]


def make(block, inplanes, planes, stride=2, **kwargs):
    """A block whose shape changes, with the projection that it needs."""
    out = planes * block.expansion
    downsample = nn.Sequential(conv1x1(inplanes, out, stride), nn.BatchNorm2d(out))
    return block(inplanes, planes, stride, downsample, **kwargs)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [7, 8])
def test_convolutions_have_the_documented_shape(size, stride, dilation):
    x = torch.zeros(2, 4, size, size)
    expected = (2, 6, -(-size // stride), -(-size // stride))
    assert conv3x3(4, 6, stride, groups=2, dilation=dilation)(x).shape == expected
    assert conv1x1(4, 6, stride)(x).shape == expected


def test_convolutions_have_no_bias():
    assert conv3x3(4, 6).bias is None
    assert conv1x1(4, 6).bias is None
    assert conv3x3(4, 6, groups=2).weight.shape == (6, 2, 3, 3)


def test_basic_block_computes_the_formula():
    block, x = BasicBlock(4, 4).eval(), torch.randn(2, 4, 5, 5)
    branch = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
    assert torch.equal(block(x), torch.relu(branch + x))


def test_plain_block_is_the_branch_alone():
    torch.manual_seed(0)
    plain = PlainBlock(4, 8, 2, downsample=nn.Conv2d(1, 1, 1)).eval()
    x = torch.randn(2, 4, 6, 6)
    branch = plain.bn2(plain.conv2(torch.relu(plain.bn1(plain.conv1(x)))))
    assert torch.equal(plain(x), torch.relu(branch))
    assert not isinstance(plain, BasicBlock)
    assert list(plain.state_dict()) == [name for name in BasicBlock(4, 8).state_dict()]  # nothing of `downsample`


def test_bottleneck_strides_on_the_3x3():
    block = make(Bottleneck, 8, 4)
    assert [conv.stride for conv in (block.conv1, block.conv2, block.conv3)] == [(1, 1), (2, 2), (1, 1)]
    assert block(torch.zeros(2, 8, 7, 7)).shape == (2, 16, 4, 4)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("block", "kwargs"),
    [
        (BasicBlock, {}),
        (BasicBlock, {"norm_layer": nn.InstanceNorm2d}),
        (Bottleneck, {}),
        (Bottleneck, {"groups": 4, "base_width": 24}),
        (Bottleneck, {"dilation": 2, "base_width": 100}),
    ],
)
def test_block_equals_torchvisions_bit_for_bit(block, kwargs, train):
    results = []
    for cls in (block, getattr(tv, block.__name__)):
        torch.manual_seed(0)
        net = make(cls, 8, 16, **kwargs).train(train)
        x = torch.randn(2, 8, 6, 6, requires_grad=True)
        out = net(x)
        out.square().sum().backward()
        results.append([out, x.grad, *(p.grad for p in net.parameters()), *net.state_dict().values()])
    assert len(results[0]) == len(results[1])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*results, strict=True))


def test_a_hook_keeps_what_it_saw_of_the_branch():
    block, seen = BasicBlock(4, 4).eval(), []
    block.bn2.register_forward_hook(lambda module, args, out: seen.extend([out, out.clone()]))
    block(torch.randn(2, 4, 5, 5))
    assert torch.equal(seen[0], seen[1])  # with `out += identity` the first would be the sum


@pytest.mark.parametrize(
    ("block", "x", "words"),
    [
        (BasicBlock(8, 16), (2, 8, 4, 4), ["[2, 16, 4, 4]", "[2, 8, 4, 4]", "Channels differ, 16 and 8", "downsample"]),
        (BasicBlock(8, 8, stride=2), (2, 8, 4, 4), ["[2, 8, 2, 2]", "[2, 8, 4, 4]", "Sizes differ", "stride"]),
        (BasicBlock(1, 8), (2, 1, 4, 4), ["[2, 8, 4, 4]", "[2, 1, 4, 4]", "broadcast the one channel over all 8"]),
        (Bottleneck(16, 16), (2, 16, 4, 4), ["Channels differ, 64 and 16", "planes * expansion"]),
        (BasicBlock(8, 16, 2, conv1x1(8, 16)), (2, 8, 4, 4), ["Sizes differ, [2, 2] and [4, 4]", "stride"]),
        (BasicBlock(8, 8, downsample=nn.Flatten()), (2, 8, 4, 4), ["[2, 128]", "same N", "downsample"]),
    ],
)
def test_a_mismatch_at_the_addition_says_both_shapes_and_the_cause(block, x, words):
    with pytest.raises(ValueError, match="The branch") as error:
        block(torch.zeros(x))
    assert [word for word in words if word not in str(error.value)] == []


def test_add_shortcut_refuses_what_plain_addition_broadcasts():
    out, identity = torch.ones(2, 8, 4, 4), torch.ones(2, 1, 4, 4)
    assert (out + identity).shape == (2, 8, 4, 4)
    with pytest.raises(ValueError, match="broadcast"):
        add_shortcut(out, identity)
    with pytest.raises(ValueError, match="same N"):
        add_shortcut(out, out[:1])
    assert torch.equal(add_shortcut(out, out), 2 * out)
    assert out.sum() == out.numel()  # its arguments stay as they were


@pytest.mark.parametrize("block", [BasicBlock, PlainBlock])
def test_only_a_bottleneck_takes_groups_width_and_dilation(block):
    with pytest.raises(ValueError, match=f"{block.__name__} only supports groups=1 and base_width=64, got 2 and 64"):
        block(8, 8, groups=2)
    with pytest.raises(ValueError, match="got 1 and 32"):
        block(8, 8, base_width=32)
    with pytest.raises(NotImplementedError, match=f"Dilation > 1 not supported in {block.__name__}, got 2"):
        block(8, 8, dilation=2)
    assert Bottleneck(32, 8, groups=2, base_width=32, dilation=2)(torch.zeros(1, 32, 6, 6)).shape == (1, 32, 6, 6)


def test_init_weights_leaves_linear_layers_and_norms_without_weights_alone():
    torch.manual_seed(0)
    net = nn.Sequential(conv3x3(4, 400), nn.BatchNorm2d(400, affine=False), nn.GroupNorm(2, 400), nn.Linear(3, 3))
    linear = net[3].weight.clone()
    net[2].weight.data.fill_(7)
    init_weights(net)
    assert torch.equal(net[3].weight, linear)
    assert torch.equal(net[2].weight, torch.ones(400))
    assert net[0].weight.std().item() == pytest.approx((2 / (400 * 9)) ** 0.5, rel=0.03)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("block", "inplanes", "planes"), PROJECTED)
@pytest.mark.parametrize("project", [True, False])
def test_blocks_can_be_scripted_traced_compiled_and_exported(block, inplanes, planes, project):
    inplanes = inplanes if project else planes * block.expansion
    net = (make(block, inplanes, planes) if project else block(inplanes, planes)).eval()
    x = torch.randn(2, inplanes, 6, 6)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        expected = net(x)
        assert torch.equal(torch.jit.script(net)(x), expected)
        assert torch.equal(torch.jit.trace(net, x)(x), expected)
        assert torch.equal(torch.fx.symbolic_trace(net)(x), expected)
        assert torch.equal(torch.compile(net, backend="eager", fullgraph=True)(x), expected)
        assert torch.equal(torch.export.export(net, (x,)).module()(x), expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_block_still_explains_a_mismatch():
    with pytest.raises(torch.jit.Error, match="broadcast the one channel over all 8"):
        torch.jit.script(BasicBlock(1, 8))(torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize("block", [PlainBlock, BasicBlock, Bottleneck])
def test_signatures_are_torchvisions(block):
    theirs = inspect.signature(tv.Bottleneck).parameters
    ours = inspect.signature(block).parameters
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]
    assert block.expansion == (4 if block is Bottleneck else 1)


@pytest.mark.parametrize("block", [PlainBlock, BasicBlock, Bottleneck])
def test_a_block_fits_in_one_cell_of_the_book(block):
    tree = ast.parse(inspect.getsource(block))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            node.body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    assert len(ast.unparse(tree).splitlines()) <= 30
