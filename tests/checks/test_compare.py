"""The comparisons accept a right module however it is written, and name what is wrong with a wrong one."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, conv1x1
from resnet_edu.checks.compare import expect_module, expect_same_function, expect_same_parameters
from resnet_edu.checks.networks import expect_network
from resnet_edu.checks.verdict import Wrong
from resnet_edu.resnet import ResNet


class OtherNames(nn.Module):
    """A right BasicBlock(4, 4) with other names, registered in reverse, the sum the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.first = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())

    def forward(self, x):
        return F.relu(x + self.second(self.first(x)))


class Functional(nn.Module):
    """A right one from bare parameters and buffers: it calls no layer, so only the order of registration is known."""

    def __init__(self) -> None:
        super().__init__()
        for i in (1, 2):
            self.register_parameter(f"w{i}", nn.Parameter(torch.randn(4, 4, 3, 3)))
            self.register_parameter(f"g{i}", nn.Parameter(torch.ones(4)))
            self.register_parameter(f"b{i}", nn.Parameter(torch.zeros(4)))
            self.register_buffer(f"m{i}", torch.zeros(4))
            self.register_buffer(f"v{i}", torch.ones(4))

    def part(self, x, i):
        get = lambda letter: getattr(self, f"{letter}{i}")  # noqa: E731
        x = F.conv2d(x, get("w"), padding=1)
        return F.batch_norm(x, get("m"), get("v"), get("g"), get("b"), training=self.training)

    def forward(self, x):
        return F.relu(self.part(F.relu(self.part(x, 1)), 2) + x)


class ShortcutFirst(nn.Module):
    """A right BasicBlock(4, 8, stride=2) that makes and calls its projection before its branch."""

    def __init__(self) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(nn.Conv2d(4, 8, 1, 2, bias=False), nn.BatchNorm2d(8))
        self.first = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))

    def forward(self, x):
        x = self.shortcut(x) + self.second(self.first(x))
        return F.relu(x)


class InPlace(OtherNames):
    def forward(self, x):
        x += self.second(self.first(x))
        return F.relu(x)


class NoLastReLU(OtherNames):
    def forward(self, x):
        return x + self.second(self.first(x))


class Detached(OtherNames):
    def forward(self, x):
        return F.relu(x.detach() + self.second(self.first(x.detach())))


class HalfDetached(OtherNames):
    def forward(self, x):
        return F.relu(x + self.second(self.first(x.detach())))


class FrozenNorm(OtherNames):
    def train(self, mode: bool = True):
        super().train(mode)
        self.first[1].eval()
        return self


class Capped(OtherNames):
    """As right as ReLU is for small inputs; its first BatchNorm is followed by a limit that these never reach."""

    def forward(self, x):
        return F.relu(x + self.second(self.first(x).clamp(max=12)))


def compare(answer: nn.Module) -> None:
    torch.manual_seed(0)
    reference = BasicBlock(4, 4)
    slips = [(lambda r, x: r.bn2(r.conv2(r.relu(r.bn1(r.conv1(x))))) + x, "No ReLU follows the addition.")]
    expect_same_parameters("the block", answer, reference, {})
    expect_same_function("the block", answer, reference, torch.randn(2, 4, 5, 5), slips=slips, otherwise="Look again.")


@pytest.mark.parametrize("right", [lambda: BasicBlock(4, 4), OtherNames, Functional])
def test_right_modules_pass(right) -> None:
    compare(right())


def test_a_block_that_calls_its_shortcut_first_passes() -> None:
    reference = BasicBlock(4, 8, 2, nn.Sequential(conv1x1(4, 8, 2), nn.BatchNorm2d(8)))
    expect_same_function("the block", ShortcutFirst(), reference, torch.randn(2, 4, 5, 5), otherwise="Look again.")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (NoLastReLU, "No ReLU follows the addition"),
        (InPlace, "writes into its input|in-place"),
        (Detached, "detach"),
        (HalfDetached, "gradient of the block at its input.*detach"),
        (Capped, "input ten times as large.*caps the values"),
        (FrozenNorm, "In training mode the output.*Look again"),
    ],
)
def test_wrong_modules_are_named(wrong, said: str) -> None:
    with pytest.raises((Wrong, RuntimeError), match=said):
        compare(wrong())


def test_missing_and_surplus_parameters_are_named() -> None:
    reference = BasicBlock(4, 4)
    biased = BasicBlock(4, 4)
    biased.conv1.bias = nn.Parameter(torch.zeros(4))
    with pytest.raises(Wrong, match=r"too many, of shape \[\(4,\)\].*No bias"):
        expect_same_parameters("the block", biased, reference, {4: "No bias."})
    without = BasicBlock(4, 4)
    without.bn2 = nn.Identity()
    with pytest.raises(Wrong, match=r"lacks parameters of shape \[\(4,\), \(4,\)\]"):
        expect_same_parameters("the block", without, reference, {})


def test_statistics_that_move_twice_are_seen_however_many_slips_there_are() -> None:
    """Each slip is a batch in training mode for the reference, and brings its statistics nearer to the batch's."""

    class Twice(OtherNames):
        def forward(self, x):
            self.first(x)
            return super().forward(x)

    slips = 200 * [(lambda reference, x: reference(x) + 1, "Another mistake.")]
    with pytest.raises(Wrong, match="after a batch in training mode"):
        expect_same_function("It", Twice(), BasicBlock(4, 4), torch.randn(2, 4, 5, 5), slips=slips, otherwise="?")


def test_a_hint_for_a_difference_is_not_given_where_there_is_none() -> None:
    """A hint whose key is a difference of channels has the key 0 where the channels are equal."""
    wide = BasicBlock(4, 4)
    wide.conv2 = nn.Conv2d(4, 4, (1, 9), padding=(0, 4), bias=False)
    with pytest.raises(Wrong, match=r"\(4, 4, 1, 9\).*Print the names and shapes"):
        expect_same_parameters("the block", wide, BasicBlock(4, 4), {0: "The channels differ."})


@pytest.mark.parametrize(("met", "said"), [(BasicBlock, "is the class BasicBlock"), (3, "but it is int")])
def test_what_is_no_module_is_refused(met, said: str) -> None:
    with pytest.raises(Wrong, match=said):
        expect_module("The answer", met)


def test_a_batchnorm_of_another_momentum_is_seen() -> None:
    def net(momentum: float) -> nn.Module:
        return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, momentum=momentum))

    x = torch.randn(4, 2, 6, 6)
    expect_same_function("It", net(0.1), net(0.1), x, otherwise="?")
    with pytest.raises(Wrong, match=r"after a batch in training mode.*momentum"):
        expect_same_function("It", net(0.4), net(0.1), x, otherwise="?")


class Joined(BasicBlock):
    """A block in whose place of the addition a test puts something else."""

    def forward(self, x):
        branch = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(self.join(branch, x if self.downsample is None else self.downsample(x)))


def small_network(block: type = BasicBlock, **options) -> nn.Module:
    torch.manual_seed(0)
    return ResNet(block, [1, 1, 1, 1], 5, **options)


@pytest.mark.parametrize(
    ("setting", "said"),
    [({"momentum": 0.01}, r"momentum of bn1 should be 0\.1"), ({"eps": 1e-3}, r"eps of bn1 should be 1e-05")],
)
def test_a_batchnorm_with_other_settings_is_named_in_a_network(setting, said: str) -> None:
    expect_network("Net", small_network(), small_network())
    with pytest.raises(Wrong, match=said):
        expect_network("Net", small_network(norm_layer=partial(nn.BatchNorm2d, **setting)), small_network())


@pytest.mark.parametrize(
    ("join", "said"),
    [
        (torch.sub, "F.x. and x are ADDED"),
        (lambda branch, identity: identity - branch, "F.x. and x are ADDED"),
        (torch.mul, "not multiplied"),
    ],
)
def test_a_network_whose_blocks_join_otherwise_is_named(join, said: str) -> None:
    block = type("Otherwise", (Joined,), {"join": staticmethod(join)})
    with pytest.raises(Wrong, match=f"what leaves layer1.0.*{said}"):
        expect_network("Net", small_network(block), small_network())
