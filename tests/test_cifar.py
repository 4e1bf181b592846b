"""The 6n+2 networks: the paper's counts, the three shortcuts by value, the same start for plain and residual."""

import warnings

import numpy as np
import pytest
import torch
import torchvision.models.resnet as tv
from torch import nn

from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock
from resnet_edu.cifar import CifarNet, ZeroPadShortcut, blocks_per_stage, cifar_plain, cifar_resnet, make_shortcut

PAPER = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962, 1202: 19_421_274}
SMALL = {"widths": (4, 8, 16), "in_channels": 1}


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("depth", PAPER)
def test_parameter_counts(depth):
    assert count(cifar_resnet(depth)) == PAPER[depth]
    assert count(cifar_plain(depth)) == PAPER[depth]
    assert count(cifar_resnet(depth, "B")) == PAPER[depth] + 2752


@pytest.mark.parametrize("depth", [8, 20, 56])
def test_depth_counts_the_weighted_layers(depth):
    net = cifar_resnet(depth, **SMALL)
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in net.modules()) == depth
    assert [len(stage) for stage in (net.layer1, net.layer2, net.layer3)] == [(depth - 2) // 6] * 3
    assert sum(isinstance(m, BasicBlock) for m in net.modules()) == (depth - 2) // 2
    assert sum(isinstance(m, PlainBlock) for m in cifar_plain(depth, **SMALL).modules()) == (depth - 2) // 2


@pytest.mark.parametrize("build", [cifar_plain, cifar_resnet])
def test_stages_work_at_the_papers_sizes(build):
    net, shapes = build(8), {}
    for name, module in net.named_children():
        module.register_forward_hook(lambda module, args, out, name=name: shapes.update({name: tuple(out.shape)}))
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    expected = {"layer1": (2, 16, 32, 32), "layer2": (2, 32, 16, 16), "layer3": (2, 64, 8, 8), "avgpool": (2, 64, 1, 1)}
    assert {name: shapes[name] for name in expected} == expected


def test_option_a_by_hand():
    x = torch.arange(1.0, 19.0).reshape(1, 2, 3, 3)  # channel 1: 1 to 9, channel 2: 10 to 18
    out = ZeroPadShortcut(2, 5, stride=2)(x)
    assert out.shape == (1, 5, 2, 2)
    assert out[0, 0].tolist() == [[1, 3], [7, 9]]
    assert out[0, 1].tolist() == [[10, 12], [16, 18]]
    assert out[0, 2:].abs().sum() == 0
    assert count(ZeroPadShortcut(2, 5, stride=2)) == 0
    assert ZeroPadShortcut(2, 1, stride=2)(x).tolist() == [[[[1, 3], [7, 9]]]]  # fewer: the last are dropped


def test_option_a_passes_the_gradient_to_the_kept_pixels_only():
    x = torch.zeros(1, 1, 4, 4, requires_grad=True)
    ZeroPadShortcut(1, 3, stride=2)(x).sum().backward()
    assert x.grad[0, 0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_a_projection_is_a_1x1_convolution_and_a_norm():
    projection = make_shortcut("B", 4, 8, 2).eval()
    x = torch.randn(2, 4, 5, 5)
    conv, norm = projection
    by_hand = torch.einsum("oi,nihw->nohw", conv.weight[:, :, 0, 0], x[:, :, ::2, ::2])
    torch.testing.assert_close(projection(x), norm(by_hand))
    assert conv.bias is None


def test_where_each_option_projects():
    def kinds(option):
        net = cifar_resnet(14, option, **SMALL)
        return [[type(b.downsample).__name__ for b in stage] for stage in (net.layer1, net.layer2, net.layer3)]

    none, pad, projection = "NoneType", "ZeroPadShortcut", "Sequential"
    assert kinds("A") == [[none, none], [pad, none], [pad, none]]
    assert kinds("B") == [[none, none], [projection, none], [projection, none]]
    assert kinds("C") == [[projection, projection]] * 3


@pytest.mark.parametrize("norm_layer", [None, nn.Identity])
@pytest.mark.parametrize("depth", [8, 20, 56])
def test_plain_and_residual_start_from_the_same_weights(depth, norm_layer):
    states = []
    for build in (cifar_plain, cifar_resnet):
        torch.manual_seed(3)
        states.append(build(depth, norm_layer=norm_layer, **SMALL).state_dict())
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_plain_and_residual_differ_by_the_shortcuts_alone():
    torch.manual_seed(0)
    plain, residual = cifar_plain(8, **SMALL).eval(), cifar_resnet(8, **SMALL).eval()
    residual.load_state_dict(plain.state_dict(), strict=True)
    x = torch.randn(2, 1, 8, 8)
    assert not torch.equal(plain(x), residual(x))
    for block in (b for stage in (residual.layer1, residual.layer2, residual.layer3) for b in stage):
        block.forward = PlainBlock.forward.__get__(block)
    assert torch.equal(plain(x), residual(x))


def test_without_batch_normalisation_only_weights_and_the_head_are_left():
    net = cifar_plain(8, norm_layer=nn.Identity, **SMALL)
    assert {name.split(".")[-1] for name in net.state_dict()} == {"weight", "bias"}
    assert [name for name in net.state_dict() if name.endswith("bias")] == ["fc.bias"]


@pytest.mark.parametrize("option", ["A", "B", "C"])
@pytest.mark.parametrize("widths", [(4, 6, 9), (4, 4, 4), (8, 4, 2), (3, 20, 21)])
def test_widths_need_not_double(widths, option):
    net = cifar_resnet(8, option, widths=widths, in_channels=2, num_classes=7)
    logits = net(torch.randn(3, 2, 9, 9))  # odd sizes too
    assert logits.shape == (3, 7)
    assert net.fc.in_features == widths[2]
    logits.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(
    ("depth", "nearest"), [(21, "20 or 26"), (18, "14 or 20"), (55, "50 or 56"), (2, "8 or 14"), (-5, "8 or 14")]
)
@pytest.mark.parametrize("build", [cifar_plain, cifar_resnet])
def test_a_depth_that_is_not_6n_plus_2_names_its_neighbours(build, depth, nearest):
    with pytest.raises(ValueError, match=f"6n\\+2 .* got {depth}; nearest: {nearest}"):
        build(depth)


def test_blocks_per_stage():
    assert [blocks_per_stage(depth) for depth in (8, 50, 110, 1202)] == [1, 8, 18, 200]


@pytest.mark.parametrize("depth", [20.0, "20", None])
@pytest.mark.parametrize("build", [cifar_plain, cifar_resnet])
def test_a_depth_that_is_no_integer(build, depth):
    with pytest.raises(TypeError, match=f"depth must be an integer, 6n\\+2, got {depth!r}"):
        build(depth)
    assert blocks_per_stage(np.int64(20)) == 3


def test_wrong_blocks_and_wrong_numbers_of_them():
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"at least 1 block a stage, got {n}"):
            CifarNet(BasicBlock, n, widths=(4, 4, 4))
    with pytest.raises(TypeError, match=r"n must be an integer, .* got 1\.0"):
        CifarNet(BasicBlock, 1.0, **SMALL)
    with pytest.raises(ValueError, match="Bottleneck gives 4 times as many"):
        CifarNet(Bottleneck, 1, **SMALL)


@pytest.mark.parametrize("option", ["D", "a", "", "AB", None])
def test_a_wrong_shortcut_letter(option):
    with pytest.raises(ValueError, match='shortcut must be "A".*got ' + repr(option)):
        cifar_resnet(8, option)


@pytest.mark.parametrize("widths", [(16, 32), (16, 32, 64, 128), (), (16, 0, 64)])
def test_wrong_widths(widths):
    with pytest.raises(ValueError, match="widths must be three positive numbers") as error:
        cifar_plain(8, widths=widths)
    assert str(widths) in str(error.value)


def test_torchvisions_basic_block_fits_and_computes_the_same():
    results = []
    for block in (BasicBlock, tv.BasicBlock):
        torch.manual_seed(0)
        net = CifarNet(block, 1, "A", **SMALL)
        results.append(net(torch.randn(2, 1, 8, 8)))
    assert torch.equal(*results)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("net", [cifar_resnet(8, "A", **SMALL), cifar_resnet(8, "C", **SMALL), cifar_plain(8, **SMALL)])
def test_networks_can_be_scripted_traced_compiled_and_exported(net):
    net.eval()
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        expected = net(x)
        assert torch.equal(torch.jit.script(net)(x), expected)
        assert torch.equal(torch.jit.trace(net, x)(x), expected)
        assert torch.equal(torch.compile(net, backend="eager", fullgraph=True)(x), expected)
        assert torch.equal(torch.export.export(net, (x,)).module()(x), expected)
