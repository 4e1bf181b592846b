"""Compare a reader's ResNet with the package's: names, shapes, settings, and what each place of it computes.

The names are torchvision's, so layers are matched by name, and the first block that computes something else is named.
"""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.compare import expect_module, name_slip, randomise
from resnet_edu.checks.stages import settings_of
from resnet_edu.checks.verdict import Wrong, expect_close, expect_equal

CHILDREN = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")
Slips = Callable[[], Iterable[tuple[Tensor, str]]]


def expect_network(what: str, met: nn.Module, expected: nn.Module) -> None:
    """Compare two networks: names, shapes, settings, and then what each place of them computes."""
    expect_module(what, met)
    _expect_names(what, met, expected)
    state = met.state_dict()
    for name, tensor in expected.state_dict().items():
        groups = getattr(met.get_submodule(name.rpartition(".")[0]), "groups", 1)
        _expect_shape(what, name, tuple(state[name].shape), tuple(tensor.shape), groups)
    convs, right = ({n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d)} for net in (met, expected))
    for name, conv in right.items():
        if name not in convs:
            raise Wrong(f"{what}: {name} should be an nn.Conv2d.")
        values = settings_of(convs[name])
        for setting, wanted in settings_of(conv).items():
            hint = _setting_hint(name, setting, wanted)
            expect_equal(f"{what}: {setting} of {name}", values[setting], wanted, hint)
    for name, norm in expected.named_modules():
        for setting in ("eps", "momentum") if isinstance(norm, nn.BatchNorm2d) else ():
            wanted = getattr(norm, setting)  # a BatchNorm of one's own need not have it: its values are compared below
            value = getattr(met.get_submodule(name), setting, wanted)
            expect_equal(f"{what}: {setting} of {name}", value, wanted, "Leave both as nn.BatchNorm2d has them.")
    randomise(expected)
    met.load_state_dict(expected.state_dict())
    for training in (False, True):
        _expect_same(what, met.train(training), expected.train(training), torch.randn(3, 3, 64, 96))
    met.eval(), expected.eval()
    # 8x8 maps at the end, of which a pooling made for 7x7 would leave some out
    _expect_same(what, met, expected, torch.randn(1, 3, 256, 256))


def _expect_names(what: str, met: nn.Module, expected: nn.Module) -> None:
    names, right = list(met.state_dict()), list(expected.state_dict())
    missing, surplus = [n for n in right if n not in names], [n for n in names if n not in right]
    children = [name for name in CHILDREN if not hasattr(met, name)]
    if children:
        known = "conv1, bn1, layer1 to layer4 and fc: weights are loaded by name"
        raise Wrong(f"{what} has no {children[0]}. The names are torchvision's, {known}.")
    for stage in CHILDREN[2:6]:
        counts = [len({n.split(".")[1] for n in those if n.startswith(stage)}) for those in (names, right)]
        hint = "Count with `layers`; a stage is an nn.Sequential, a list of blocks would not be registered."
        expect_equal(f"{what}: the number of blocks in {stage}", *counts, hint)
        blocks = list(getattr(met, stage)._modules.values())  # children() names each one once
        if len(set(map(id, blocks))) < len(blocks):
            raise Wrong(f"{what}: one block stands in {stage} several times. Make a new one in each round of the loop.")
    biases = [n for n in surplus if n.endswith("bias") and n.replace("bias", "running_mean") not in names]
    if biases:
        raise Wrong(f"{what}: {biases[0]} should not be there. A BatchNorm subtracts it again: bias=False.")
    if surplus or missing:
        raise Wrong(f"{what} {'has' if surplus else 'lacks'} {(surplus or missing)[0]}. {_name_hint(surplus, missing)}")


def _name_hint(surplus: list[str], missing: list[str]) -> str:
    name = (surplus or missing)[0]
    stage, index, *_ = [*name.split("."), "", ""]
    if "downsample" not in name:
        return "Print the names of a package's network beside yours: weights are loaded by name."
    if surplus and index != "0":
        return "Behind the first block of a stage x fits as it is: its shortcut is the identity."
    if surplus and stage == "layer1" and not missing:
        return "BasicBlock's layer1 meets 64 channels and puts out 64, at stride 1: all its shortcuts are identities."
    if f"{stage}.{index}.downsample.0.running_mean" in surplus:
        return "Its BatchNorm stands behind its 1x1 convolution, not in front of it."
    if "downsample.0" in name:
        return "A first block projects where the stride is not 1 or inplanes are not planes * expansion."
    return "A projection is nn.Sequential(1x1 convolution, BatchNorm)."


def _expect_shape(what: str, name: str, met: tuple, right: tuple, groups: int) -> None:
    hint = "The planes of the four stages are 64, 128, 256 and 512, layer1's as many as the stem's."
    if name.startswith(("conv1", "bn1")):
        hint = "The stem is a 7x7 convolution from 3 to 64 channels."
    elif name == "fc.weight" and met[1] > right[1]:
        hint = "fc takes one number a channel, 512 * expansion: flattened maps tie the head to one size."
    elif name.startswith("fc"):
        hint = "fc takes 512 * block.expansion numbers and makes num_classes."
    elif groups != 1:
        hint = "A ResNet has no groups in its convolutions: groups is 1."
    elif met[2:] != right[2:] and met[:2] == right[:2]:
        hint = "A projection is a 1x1 convolution." if "downsample" in name else "The branch's convolutions are 3x3."
    expect_equal(f"{what}: the shape of {name}", met, right, hint)


def _setting_hint(name: str, setting: str, wanted) -> str:
    if name == "conv1":
        return "The stem is a 7x7 convolution with stride 2 and padding 3."
    if setting != "stride":
        return "A 3x3 convolution has padding 1, a 1x1 none."
    if wanted == (2, 2):
        return "layer2, layer3 and layer4 halve the size, in the first 3x3 of their first block and its projection."
    if name.startswith("layer1"):
        return "layer1 keeps the size: the stem has divided it by 4 already."
    return "Only the first 3x3 of a stage's first block, and its projection, have a stride."


def _places(net: nn.Module, x: Tensor) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor | Exception]:
    """What enters and leaves each block, by its name, and the logits, or what stopped them."""
    seen, hooks = {}, []
    for name, module in net.named_modules():
        if name.startswith("layer") and name.count(".") == 1:
            hooks.append(module.register_forward_pre_hook(lambda m, i, n=name: seen.update({n: (i[0].clone(), None)})))
            hooks.append(
                module.register_forward_hook(lambda m, i, o, n=name: seen.update({n: (seen[n][0], o.clone())}))
            )
    try:
        return seen, net(x.clone())
    except (RuntimeError, ValueError) as error:
        return seen, error
    finally:
        for hook in hooks:
            hook.remove()


def _expect_same(what: str, met: nn.Module, expected: nn.Module, x: Tensor) -> None:
    """Name the first place where the two differ."""
    mode, size = "training" if met.training else "evaluation", f"images of {x.shape[2]}x{x.shape[3]}"
    what = f"In {mode} mode, for {size}, {what}"
    (places, logits), (right, right_logits) = _places(met, x), _places(expected, x)
    for name, (entered, left) in right.items():
        if name not in places:
            if isinstance(logits, NotImplementedError):  # the stub's
                raise logits
            said = f" PyTorch says: {logits}" if isinstance(logits, Exception) else ""
            raise Wrong(f"{what}: forward never comes to {name}.{said}")
        if name == "layer1.0":
            slips, otherwise = partial(_stem_slips, expected, x), "The stem is conv1, bn1, ReLU, max pooling."
            _expect_place(f"{what}: what enters layer1", places[name][0], entered, slips, otherwise)
        if places[name][1] is None:
            raise Wrong(f"{what}: {name} stops with an error. PyTorch says: {logits}")
        slips, otherwise = partial(_block_slips, expected.get_submodule(name), entered), "Look at the block's forward."
        _expect_place(f"{what}: what leaves {name}", places[name][1], left, slips, otherwise)
    if isinstance(logits, Exception):
        hint = "Use nn.AdaptiveAvgPool2d(1), which takes maps of any size."
        raise Wrong(f"{what}: the head stops with an error. {hint} PyTorch says: {logits}")
    slips, otherwise = partial(_head_slips, expected, left), "Average each map, flatten, fc, and nothing behind it."
    _expect_place(f"{what}: its output", logits, right_logits, slips, otherwise)
    if met.training:
        lost = [n for n, p in met.named_parameters() if p.grad is None] if _backward(logits) else ["any parameter"]
        if lost:
            raise Wrong(f"{what}: no gradient reaches {lost[0]}. Look for detach(), .data or torch.no_grad().")
        _backward(right_logits)
        found = dict(met.named_parameters())
        pairs = [(name, found[name].grad, p.grad) for name, p in expected.named_parameters() if name in found]
        off = [name for name, grad, wanted in pairs if not (grad - wanted).norm() <= 0.05 * wanted.norm()]
        if off:  # the cut is behind the last of them
            hint = "look for detach() on the shortcut of the block behind it."
            raise Wrong(f"{what}: the logits are right, and the gradient of {off[-1]} is not: {hint}")


def _expect_place(what: str, met, right: Tensor, slips: Slips, otherwise: str) -> None:
    """Raise with the hint of the slip that gives what was met; slips are computed only if something is wrong."""
    tolerance = 1e-4 * max(1.0, right.abs().max().item())  # signals grow through a deep network
    try:
        expect_close(what, met, right, "", tolerance)
    except Wrong:
        expect_close(what, met, right, name_slip(met, slips(), otherwise, tolerance), tolerance)


def _backward(logits: Tensor) -> bool:
    if logits.requires_grad:
        logits.square().sum().backward()
    return logits.requires_grad


def _stem_slips(net: nn.Module, x: Tensor) -> list[tuple[Tensor, str]]:
    conv = net.conv1(x)
    norm = net.bn1(conv)
    no_pool = "Between the stem's ReLU and layer1 stands a max pooling: 3x3, stride 2, padding 1."
    return [
        (norm.relu(), no_pool),
        (norm, no_pool),
        (F.max_pool2d(norm, 3, 2, 1), "There is a ReLU behind bn1."),
        (F.max_pool2d(conv.relu(), 3, 2, 1), "bn1 stands behind conv1: is it called?"),
        (F.max_pool2d(norm.relu(), 2, 2), "The pooling is 3x3, with stride 2 and padding 1."),
        (F.avg_pool2d(norm.relu(), 3, 2, 1), "The stem's pooling takes the largest value, not the mean."),
    ]


def _block_slips(block: nn.Module, x: Tensor) -> list[tuple[Tensor, str]]:
    """What a block gives with a plausible mistake in its forward."""
    norms = [getattr(block, name) for name in ("bn1", "bn2", "bn3") if hasattr(block, name)]
    convs = [getattr(block, name) for name in ("conv1", "conv2", "conv3") if hasattr(block, name)]
    branch, linear = x, x
    for number, (conv, norm) in enumerate(zip(convs, norms, strict=True), start=1):
        branch, linear = norm(conv(branch)), norm(conv(linear))
        branch = branch.relu() if number < len(convs) else branch
    identity = x if block.downsample is None else block.downsample(x)
    before = "A ReLU stands in front of the addition, where F(x) may be negative: it belongs behind."
    return [
        (branch + identity, "The last ReLU is missing: it stands behind the addition."),
        (branch.relu(), "The shortcut is not added."),
        (branch.relu() + identity, before),
        ((branch.relu() + identity).relu(), before),
        ((linear + identity).relu(), "The ReLU between the convolutions is missing."),
        ((branch - identity).relu(), "Look at the block's forward: F(x) and x are ADDED."),
        ((identity - branch).relu(), "Look at the block's forward: F(x) and x are ADDED."),
        ((branch * identity).relu(), "Look at the block's forward: F(x) and x are ADDED, not multiplied."),
    ]


def _head_slips(net: nn.Module, maps: Tensor) -> list[tuple[Tensor, str]]:
    mean, top = maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))
    logits = net.fc(mean)
    slips = [
        (net.fc(top), "The head takes the mean of each map, not its largest value."),
        (logits.softmax(dim=1), "The network returns logits: the softmax belongs to the loss."),
        (logits.relu(), "Nothing stands behind fc: logits may be negative."),
    ]
    if min(maps.shape[2:]) >= 7:
        tied = net.fc(maps[:, :, :7, :7].mean(dim=(2, 3)))
        slips.append((tied, "A pooling of 7x7 leaves out what is beyond: use nn.AdaptiveAvgPool2d(1)."))
    return slips
