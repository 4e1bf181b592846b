"""The checks of chapter 7: ResNet on paper, the class from memory, weights for other classes, a ResNet-34 with bugs."""

from collections.abc import Callable

import torch
import torchvision
from torch import Tensor

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks.compare import randomise
from resnet_edu.checks.networks import expect_network
from resnet_edu.checks.scalars import whole_number, whole_numbers
from resnet_edu.checks.verdict import Wrong, exercise
from resnet_edu.resnet import ResNet, resnet34

# What is right, and for each entry the plausible wrong answers with the hint that belongs to them
PREDICTED = {
    "resnet34 layer3": ((256, 10, 6), {(256, 6, 10): "Rows come first.", (256, 14, 14): "14x14 belongs to 224x224.",
                                       (256, 20, 12): "The stem divides by 4, layer2 and layer3 by 2 each.",
                                       (1024, 10, 6): "BasicBlock's expansion is 1."}),
    "resnet50 layer4": ((2048, 5, 3), {(512, 5, 3): "A Bottleneck puts out 4 * planes.",
                                       (2048, 3, 5): "Rows come first.", (2048, 7, 7): "7x7 belongs to 224x224."}),
    "resnet50 logits": ((4, 10), {(4, 1000): "num_classes is 10.", (10,): "The batch has 4 images.",
                                  (4, 2048): "Behind the pooling comes fc.", (1, 10): "The batch has 4 images."}),
    "stem": (9_536, {9_408: "bn1 has a scale and a shift for each channel.", 9_600: "conv1 has no bias; bn1 has two "
                     "parameters a channel.", 9_472: "bn1 has a scale AND a shift for each channel; conv1 has no bias.",
                     9_664: "Running statistics are buffers, not parameters."}),
    "fc": (20_490, {20_480: "fc has a bias.", 5_130: "ResNet-50 ends in 4 * 512 channels.",
                    5_120: "ResNet-50 ends in 4 * 512 channels, and fc has a bias.",
                    2_049_000: "That is for 1000 classes."}),
    "depth": (26, {24: "The stem's convolution and fc count too.", 25: "The stem's convolution and fc count both.",
                   18: "A Bottleneck has three convolutions.", 10: "Count the layers with weights, not the blocks.",
                   30: "Projections do not count."}),
    "101 minus 50": (18_992_128, {18_939_904: "Each block has three BatchNorms, with two parameters a channel.",
                                  18_966_016: "A BatchNorm has a scale and a shift.",
                                  17: "Parameters, not blocks.",
                                  1_117_184: "That is one block: how many more has layer3?",
                                  26_810_880: "None of the added blocks has a projection."}),
    "work": (4, {2: "Twice as high AND twice as wide.", 8: "Kernels do not grow with the image.",
                 1: "Parameters stay; the work is done at each pixel.", 16: "Kernels do not grow with the image."}),
}  # fmt: skip


@exercise("7.1")
def ex_7_1(answer):
    """Check the predictions: a dict of integers and tuples."""
    if not isinstance(answer, dict) or set(answer) != set(PREDICTED):
        raise Wrong(f"The answer should be a dict with the keys {', '.join(PREDICTED)}. Fill in the stub, key by key.")
    for key, (right, slips) in PREDICTED.items():
        met = (whole_numbers if isinstance(right, tuple) else whole_number)(f"`{key}`", answer[key])
        if isinstance(right, tuple) and len(met) != len(right) and met not in slips:
            raise Wrong(f"`{key}` should have {len(right)} numbers, but it has {len(met)}.")
        if met != right:
            raise Wrong(f"`{key}` is not {met}. {slips.get(met, 'Write the formula down and go layer by layer.')}")


@exercise("7.2")
def ex_7_2(answer):
    """Check the class: ``answer(block, layers, num_classes)``."""
    if not isinstance(answer, type):
        raise Wrong("Hand in the class itself, without parentheses: the check makes networks of its own.")
    if issubclass(answer, torchvision.models.ResNet):
        raise Wrong("MyResNet is torchvision's ResNet. Write it yourself; blocks may be the package's.")
    if issubclass(answer, ResNet) or getattr(answer, "_make_layer", None) is ResNet._make_layer:
        raise Wrong("MyResNet uses the package's ResNet. Write it yourself; blocks may be the package's.")
    for block, layers, classes in ((BasicBlock, [2, 1, 1, 2], 7), (Bottleneck, [1, 2, 1, 1], 5)):
        call, right = f"MyResNet({block.__name__}, {layers}, {classes})", ResNet(block, layers, num_classes=classes)
        expect_network(call, answer(block, layers, classes), right)


@exercise("7.3")
def ex_7_3(answer):
    """Check a function ``load_body(net, state)``."""

    def nets(classes: int) -> tuple[ResNet, dict[str, Tensor]]:
        net, other = (ResNet(BasicBlock, [1, 1, 1, 1], num_classes=n) for n in (5, classes))
        randomise(other)
        other.bn1.num_batches_tracked.fill_(3)
        return net, {name: tensor.clone() for name, tensor in other.state_dict().items()}

    for classes in (9, 5):
        net, state = nets(classes)
        before = {name: tensor.clone() for name, tensor in state.items()}
        head = [tensor.clone() for tensor in (net.fc.weight, net.fc.bias)]
        given = f"load_body(net, state) with 5 classes in the net and {classes} in the state"
        try:
            answer(net, state)
        except RuntimeError as error:
            if "size mismatch" in str(error) or "Missing key" in str(error):
                hint = "Leave fc out of what is loaded, and let the net's own fc stand in for it."
                raise Wrong(f"{given}: load_state_dict complains. {hint}") from error
            raise
        if list(state) != list(before) or any(not torch.equal(state[name], before[name]) for name in before):
            raise Wrong("load_body changes the state that it is given. Make a new dict: del and pop change it.")
        if not (torch.equal(net.fc.weight, head[0]) and torch.equal(net.fc.bias, head[1])):
            raise Wrong(f"{given}: the net's own fc is not what it was. Leave fc out by its name, whatever its shape.")
        loaded = net.state_dict()
        wrong = [name for name in before if not name.startswith("fc.") and not torch.equal(loaded[name], before[name])]
        if wrong:
            hint = "parameters() knows no buffers: copy the state_dict." if "running" in wrong[0] else ""
            raise Wrong(f"{given}: {len(wrong)} tensors are not the state's, the first is {wrong[0]}. {hint}")
        if any(loaded[name].data_ptr() == tensor.data_ptr() for name, tensor in state.items()):
            hint = "Training would change the state. Copy the values: load_state_dict does, without assign=True."
            raise Wrong(f"{given}: the net holds the state's own tensors. {hint}")
    _expect_refusals(answer, nets)


def _expect_refusals(answer: Callable, nets: Callable) -> None:
    """A state that does not fit must be refused."""
    silent = "strict=False is silent about it, and so is a filter on names or shapes: only fc may be left out."
    spread = "copy_ spreads one number over a whole tensor: compare the shapes, or leave it to load_state_dict."

    for what, change in {
        "without layer3.0.bn1.running_var": lambda s: s.pop("layer3.0.bn1.running_var"),
        "without conv1.weight": lambda s: s.pop("conv1.weight"),
        "without layer2.0.bn2.bias": lambda s: s.pop("layer2.0.bn2.bias"),
        "with an fc2.weight": lambda s: s.update({"fc2.weight": torch.zeros(5, 5)}),
        "whose names begin with `module.`": lambda s: [s.update({f"module.{name}": s.pop(name)}) for name in list(s)],
        "with layer4 of another width": lambda s: s.update({"layer4.0.conv2.weight": torch.zeros(8, 8, 3, 3)}),
        "with a single number for layer4.0.bn1.weight": lambda s: s.update({"layer4.0.bn1.weight": torch.ones(1)}),
        "with a block too many": lambda s: s.update({"layer4.1.conv1.weight": torch.zeros(512, 512, 3, 3)}),
    }.items():
        net, state = nets(9)
        change(state)
        try:
            answer(net, state)
        except Exception:  # the answer is free to choose which
            continue
        hint = spread if "single" in what else silent
        raise Wrong(f"A state {what} should raise an error, and load_body takes it. {hint}")


@exercise("7.4")
def ex_7_4(answer):
    """Check ResNet-34: a class called as ``answer(num_classes)``."""
    if not isinstance(answer, type):
        raise Wrong("Hand in the class itself, without parentheses: the check makes networks of its own.")
    if issubclass(answer, ResNet | torchvision.models.ResNet):
        whose = "the package's" if issubclass(answer, ResNet) else "torchvision's"
        raise Wrong(f"FixedResNet34 is {whose} ResNet. Mend the broken one.")
    expect_network("FixedResNet34(7)", answer(7), resnet34(num_classes=7))
