"""ResNet against torchvision's, bit for bit: first weights, state dicts, logits, gradients; and its errors."""

import copy
import inspect
import random
import warnings
from functools import partial

import pytest
import torch
import torchvision.models.resnet as tv
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import FrozenBatchNorm2d

from resnet_edu import resnet
from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock
from resnet_edu.resnet import ResNet

PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "resnext101_64x4d": 83_455_272,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
}
NORMS = {
    "batch": None,
    "group": partial(nn.GroupNorm, 4),
    "instance": nn.InstanceNorm2d,
    "frozen": FrozenBatchNorm2d,
    "none": nn.Identity,
}


def count(net):
    return sum(p.numel() for p in net.parameters())


def seeded(build, *args, **kwargs):
    torch.manual_seed(0)
    return build(*args, **kwargs)


def assert_equal_states(ours, theirs):
    mine, others = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(others)
    assert [name for name in mine if not torch.equal(mine[name], others[name])] == []


def assert_equal_runs(ours, theirs, x):
    """One step in train mode (logits, gradients, running statistics), then the logits in eval mode."""
    assert_equal_states(ours, theirs)
    results = []
    for net in (ours, theirs):
        image = x.clone().requires_grad_()
        logits = net.train()(image)
        logits.square().mean().backward()
        results.append((logits, image.grad))
    assert results[0][0].isfinite().all()
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    gradients = zip(ours.named_parameters(), theirs.named_parameters(), strict=True)
    assert [name for (name, mine), (_, other) in gradients if not torch.equal(mine.grad, other.grad)] == []
    assert_equal_states(ours, theirs)
    with torch.no_grad():
        assert torch.equal(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_ten_networks_equal_torchvisions_bit_for_bit(name):
    ours, theirs = seeded(getattr(resnet, name)), seeded(getattr(tv, name))
    assert count(ours) == PARAMETERS[name]
    assert_equal_runs(ours, theirs, torch.randn(1, 3, 64, 64))
    with torch.device("meta"):
        fresh_ours, fresh_theirs = getattr(resnet, name)(), getattr(tv, name)()
    fresh_ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    fresh_theirs.load_state_dict(ours.state_dict(), strict=True, assign=True)
    assert_equal_states(fresh_ours, fresh_theirs)


OWN = {
    "resnext50_32x4d": {"groups": 32, "width_per_group": 4},
    "resnext101_32x8d": {"groups": 32, "width_per_group": 8},
    "resnext101_64x4d": {"groups": 64, "width_per_group": 4},
    "wide_resnet50_2": {"width_per_group": 128},
    "wide_resnet101_2": {"width_per_group": 128},
}


@pytest.mark.parametrize("name", OWN)
def test_what_makes_a_network_can_be_repeated_but_not_changed(name):
    for build in (getattr(resnet, name), getattr(tv, name)):
        with torch.device("meta"):
            assert count(build(**OWN[name])) == PARAMETERS[name]
            for argument, value in OWN[name].items():
                with pytest.raises(ValueError, match=f"{argument}.*{value}.* got {2 * value}"):
                    build(**{argument: 2 * value})


def draw_configuration(seed):
    """Arguments of ResNet at random, among them some that it must refuse."""
    rng = random.Random(seed)
    bottleneck = rng.random() < 0.7
    return ("Bottleneck" if bottleneck else "BasicBlock", [rng.choice([1, 1, 2]) for _ in range(4)]), {
        "num_classes": rng.randint(1, 12),
        "zero_init_residual": rng.random() < 0.4,
        "groups": rng.choice([1, 2, 4]) if bottleneck else 1,
        "width_per_group": rng.choice([8, 12, 20, 32]) if bottleneck else 64,
        "replace_stride_with_dilation": rng.choice([None, *([rng.random() < 0.5 for _ in range(3)] for _ in range(3))]),
        "norm_layer": rng.choice(["batch", "batch", *NORMS]),
    }


@pytest.mark.parametrize("seed", range(24))
def test_random_configurations_equal_torchvisions_bit_for_bit(seed):
    (block, layers), kwargs = draw_configuration(seed)
    kwargs["norm_layer"] = NORMS[kwargs["norm_layer"]]
    try:
        theirs = seeded(tv.ResNet, getattr(tv, block), layers, **kwargs)
    except Exception as error:
        with pytest.raises(type(error)):
            seeded(ResNet, getattr(resnet, block), layers, **kwargs)
        return
    ours = seeded(ResNet, getattr(resnet, block), layers, **kwargs)
    assert_equal_runs(ours, theirs, torch.randn(2, 3, 64, 64))


def test_the_draw_reaches_every_kind_of_configuration():
    drawn = [draw_configuration(seed) for seed in range(24)]
    assert {block for (block, _), _ in drawn} == {"BasicBlock", "Bottleneck"}
    assert {kwargs["norm_layer"] for _, kwargs in drawn} == set(NORMS)
    assert {kwargs["groups"] for _, kwargs in drawn} == {1, 2, 4}
    assert any(kwargs["zero_init_residual"] for _, kwargs in drawn)
    assert any(kwargs["replace_stride_with_dilation"] == [False, True, True] for _, kwargs in drawn)


@pytest.mark.parametrize("block", ["BasicBlock", "Bottleneck"])
def test_blocks_can_be_exchanged(block):
    layers, x = [1, 2, 1, 1], torch.randn(2, 3, 64, 64)
    mine, others = getattr(resnet, block), getattr(tv, block)
    reference = seeded(tv.ResNet, others, layers, num_classes=5)
    for build, cls in ((ResNet, others), (tv.ResNet, mine)):
        assert_equal_runs(seeded(build, cls, layers, num_classes=5), copy.deepcopy(reference), x)
    mixed = ResNet(others, layers, zero_init_residual=True)
    assert not getattr(mixed.layer4[0], "bn3" if block == "Bottleneck" else "bn2").weight.any()


def test_signature_and_attributes_are_torchvisions():
    ours, theirs = inspect.signature(ResNet).parameters, inspect.signature(tv.ResNet).parameters
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]
    a, b = ResNet(Bottleneck, [1, 1, 1, 1], groups=2), tv.ResNet(tv.Bottleneck, [1, 1, 1, 1], groups=2)
    assert [name for name, _ in a.named_modules()] == [name for name, _ in b.named_modules()]
    for name in ("inplanes", "dilation", "groups", "base_width", "_norm_layer"):
        assert getattr(a, name) == getattr(b, name)


@pytest.mark.parametrize(
    ("block", "layer1_projects", "expansion"), [(BasicBlock, False, 1), (Bottleneck, True, 4), (PlainBlock, False, 1)]
)
def test_stages_shapes_and_projections(block, layer1_projects, expansion):
    net, shapes = ResNet(block, [2, 1, 1, 1], num_classes=7), []
    stages = [net.maxpool, net.layer1, net.layer2, net.layer3, net.layer4]
    for stage in stages:
        stage.register_forward_hook(lambda module, args, out: shapes.append(tuple(out.shape)))
    assert net(torch.zeros(2, 3, 96, 64)).shape == (2, 7)
    assert shapes == [
        (2, 64, 24, 16),
        (2, 64 * expansion, 24, 16),
        (2, 128 * expansion, 12, 8),
        (2, 256 * expansion, 6, 4),
        (2, 512 * expansion, 3, 2),
    ]
    if block is not PlainBlock:
        firsts = [stage[0].downsample is not None for stage in stages[1:]]
        assert firsts == [layer1_projects, True, True, True]
        assert net.layer1[1].downsample is None


def test_dilation_keeps_the_size_and_starts_behind_the_first_block():
    net = ResNet(Bottleneck, [1, 2, 2, 2], replace_stride_with_dilation=[False, True, True])
    spacing = [[block.conv2.dilation[0] for block in stage] for stage in (net.layer2, net.layer3, net.layer4)]
    assert spacing == [[1, 1], [1, 2], [2, 4]]
    sizes = create_feature_extractor(net.eval(), ["layer2", "layer4"])(torch.zeros(1, 3, 64, 64))
    assert [tuple(out.shape) for out in sizes.values()] == [(1, 512, 8, 8), (1, 2048, 8, 8)]


def test_plain_34():
    with torch.device("meta"):
        net = ResNet(PlainBlock, [3, 4, 6, 3])
    assert count(net) == 21_623_848
    assert [name for name in net.state_dict() if "downsample" in name] == []


def test_zero_init_residual_starts_every_block_as_the_relu_of_its_shortcut():
    for block in (BasicBlock, Bottleneck):
        net = ResNet(block, [2, 1, 1, 1], zero_init_residual=True).eval()
        x = torch.randn(2, 64 * block.expansion, 6, 6)
        assert torch.equal(net.layer1[1](x), torch.relu(x))
        projected = net.layer2[0].downsample(x)
        assert projected.abs().max() > 0  # the projection's own norm is left at 1
        assert torch.equal(net.layer2[0](x), torch.relu(projected))
    with pytest.raises(ValueError, match="zero_init_residual needs a shortcut, and PlainBlock has none"):
        ResNet(PlainBlock, [1, 1, 1, 1], zero_init_residual=True)


def test_norms_without_weights_are_left_alone():
    norm_layer = partial(nn.BatchNorm2d, affine=False)
    net = ResNet(BasicBlock, [1, 1, 1, 1], norm_layer=norm_layer, zero_init_residual=True)
    assert {name.split(".")[-1] for name, _ in net.named_parameters() if "fc" not in name} == {"weight"}


class NoExpansion(nn.Module):
    """What a learner forgets: a block without `expansion`."""


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "words"),
    [
        ((BasicBlock, [2, 2, 2]), {}, ValueError, r"layers must be four .* got \[2, 2, 2\]"),
        ((BasicBlock, [2, 2, 2, 2, 2]), {}, ValueError, "layers must be four"),
        ((BasicBlock, [2, 0, 2, 2]), {}, ValueError, "four positive numbers"),
        ((NoExpansion, [1, 1, 1, 1]), {}, ValueError, "NoExpansion has no `expansion`"),
        (
            (Bottleneck, [1, 1, 1, 1]),
            {"replace_stride_with_dilation": [True]},
            ValueError,
            r"replace_stride_with_dilation should be None or a 3-element tuple.* got \[True\]",
        ),
        (
            (Bottleneck, [1, 1, 1, 1]),
            {"replace_stride_with_dilation": []},
            ValueError,
            r"replace_stride_with_dilation should be None or a 3-element tuple.* got \[\]",
        ),
        ((BasicBlock, [1, 1, 1, 1]), {"groups": 2}, ValueError, "BasicBlock only supports groups=1 and base_width=64"),
        ((PlainBlock, [1, 1, 1, 1]), {"width_per_group": 4}, ValueError, "PlainBlock only supports groups=1"),
        (
            (BasicBlock, [1, 1, 1, 2]),
            {"replace_stride_with_dilation": (False, False, True)},
            NotImplementedError,
            "Dilation > 1 not supported in BasicBlock",
        ),
    ],
)
def test_wrong_arguments_say_what_was_met(args, kwargs, error, words):
    with torch.device("meta"), pytest.raises(error, match=words):
        ResNet(*args, **kwargs)


def test_a_block_that_loses_its_downsample_shows_at_the_addition():
    class Forgetful(Bottleneck):
        def __init__(self, inplanes, planes, stride=1, downsample=None, *args):
            super().__init__(inplanes, planes, stride, None, *args)

    with pytest.raises(ValueError, match="Channels differ, 256 and 64: `downsample` is missing"):
        ResNet(Forgetful, [1, 1, 1, 1])(torch.zeros(2, 3, 64, 64))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_it_can_be_scripted_traced_compiled_and_exported(block):
    net, x = ResNet(block, [1, 1, 1, 1], num_classes=5).eval(), torch.randn(2, 3, 32, 32)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        expected = net(x)
        assert torch.equal(torch.jit.script(net)(x), expected)
        traced = torch.jit.trace(net, x)
        assert torch.equal(traced(x), expected)
        assert torch.equal(traced(x[:1]), net(x[:1]))  # a trace fixes no size
        assert torch.equal(torch.compile(net, backend="eager", fullgraph=True)(x), expected)
        batch = {0: torch.export.Dim("batch", min=2, max=64)}
        exported = torch.export.export(net, (x,), dynamic_shapes=(batch,)).module()
        assert torch.equal(exported(x), expected)
        assert exported(torch.cat([x, x, x])).shape == (6, 5)
