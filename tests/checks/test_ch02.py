"""Chapter 2's checks accept right answers, however written, and say to each wrong one what belongs to it."""

import numpy as np
import pytest
import torch

from resnet_edu import checks, probes
from resnet_edu.cifar import cifar_plain

# ---------------------------------------------------------------- 2.1 depth on paper

SIZES = {
    "n": 3,
    "convolutions": 19,
    "after stage 2": (128, 32, 16, 16),
    "after stage 3": (128, 64, 8, 8),
    "one block": 73_984,
    "32 layers": 194_432,
}


def test_2_1_accepts_right_answers(verdict, earns) -> None:
    written_differently = SIZES | {"after stage 2": [128, 32, 16, 16], "after stage 3": torch.Size((128, 64, 8, 8))}
    as_arrays = {key: np.array(size) for key, size in SIZES.items()}
    as_tensors = {key: torch.tensor(size, dtype=torch.float64) for key, size in SIZES.items()}
    for answer in (
        SIZES,
        written_differently,
        as_arrays,
        as_tensors,
        SIZES | {"n": 3.0, "one block": np.int64(73_984)},
    ):
        assert verdict(checks.ex_2_1, answer) == "Exercise 2.1: right."
        assert earns(checks.ex_2_1, answer)


def test_2_1_agrees_with_the_network() -> None:
    nets = {depth: cifar_plain(depth) for depth in (20, 32)}
    count = {depth: sum(p.numel() for p in net.parameters()) for depth, net in nets.items()}
    assert count[32] - count[20] == SIZES["32 layers"]
    assert count[32] == 464_154  # a mistake that the check names
    assert sum(p.numel() for p in nets[20].layer3[-1].parameters()) == SIZES["one block"]
    assert sum(isinstance(m, torch.nn.Conv2d) for m in nets[20].modules()) == SIZES["convolutions"]
    x = nets[20].layer2(nets[20].layer1(nets[20].conv1(torch.zeros(128, 3, 32, 32))))
    assert x.shape == SIZES["after stage 2"] and nets[20].layer3(x).shape == SIZES["after stage 3"]


def test_2_1_knows_the_stub(verdict, earns) -> None:
    assert verdict(checks.ex_2_1, SIZES | {"n": ...}) == "Exercise 2.1: not attempted yet."
    assert not earns(checks.ex_2_1, SIZES | {"n": ...})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("n", 6, "two layers"),
        ("n", 4, "6n + 2"),
        ("n", 3.5, "whole number"),
        ("convolutions", 18, "stem is a convolution"),
        ("convolutions", 20, "one is not a convolution"),
        ("convolutions", 9, "no convolution"),
        ("after stage 2", (32, 16, 16), "(N, C, H, W)"),
        ("after stage 2", (20, 32, 16, 16), "no layer changes N"),
        ("after stage 2", (128, 16, 16, 16), "16, 32 and 64"),
        ("after stage 2", (128, 32, 8, 8), "Stage 1 keeps 32x32"),
        ("after stage 3", (128, 64, 4, 4), "Stage 1 keeps 32x32"),
        ("after stage 3", 64, "tuple of whole numbers"),
        ("one block", 73_728, "two BatchNorms has two numbers"),
        ("one block", 36_992, "two layers"),
        ("one block", 73_856, "scale AND a shift"),
        ("one block", 55_552, "64 channels come in"),
        ("one block", 74_112, "have no bias"),
        ("after stage 3", "x" * 100, "tuple of whole numbers"),
        ("after stage 3", torch.tensor([128, 64, 4, 4]), "not (128, 64, 4, 4)"),
        ("one block", 36_864, "A block has two convolutions, and each has a BatchNorm"),
        ("one block", 1, "Two convolutions of"),
        ("32 layers", 97_216, "more than one"),
        ("32 layers", 147_968, "not only the last"),
        ("32 layers", 443_904, "16 or 32 channels"),
        ("32 layers", 464_154, "how many MORE"),
        ("32 layers", 193_536, "Each BatchNorm has two numbers"),
        ("32 layers", 1, "Add up"),
    ],
)
def test_2_1_names_the_mistake(verdict, earns, key, value, words) -> None:
    said = verdict(checks.ex_2_1, SIZES | {key: value})
    assert words in said and f"`{key}`" in said
    assert key == "n" or str(SIZES[key]) not in said  # a prediction: the check does not give it away
    assert not earns(checks.ex_2_1, SIZES | {key: value})


@pytest.mark.parametrize("answer", [None, {}, list(SIZES.values())])
def test_2_1_asks_for_the_keys(verdict, answer) -> None:
    assert "dict with the keys n, convolutions" in verdict(checks.ex_2_1, answer)


# ---------------------------------------------------------------- 2.2 five patients

CAUSES = dict(
    zip("ABCDE", ["overfitting", "vanishing gradients", "learning rate", "too few steps", "degradation"], strict=True)
)


def test_2_2_accepts_the_answer_and_knows_the_stub(verdict, earns) -> None:
    assert verdict(checks.ex_2_2, CAUSES) == "Exercise 2.2: right."
    assert earns(checks.ex_2_2, dict(reversed(CAUSES.items())))
    assert verdict(checks.ex_2_2, CAUSES | {"C": ...}) == "Exercise 2.2: not attempted yet."


@pytest.mark.parametrize(
    ("case", "cause", "words"),
    [
        ("E", "vanishing gradients", "tiny part of what the last one gets"),
        ("E", "too few steps", "six times the steps"),
        ("E", "overfitting", "TRAINING images"),
        ("D", "degradation", "simpler one"),
        ("D", "learning rate", "best of five"),
        ("A", "degradation", "simpler one"),
        ("B", "Vanishing", "should be one of 'overfitting'"),
        ("B", ["overfitting"], "should be one of 'overfitting'"),
    ],
)
def test_2_2_names_the_mistake(verdict, earns, case, cause, words) -> None:
    said = verdict(checks.ex_2_2, CAUSES | {case: cause})
    assert words in said and f"Case {case}" in said
    assert not earns(checks.ex_2_2, CAUSES | {case: cause})


def test_2_2_asks_for_the_keys(verdict) -> None:
    assert "keys A, B, C, D and E" in verdict(checks.ex_2_2, list(CAUSES.values()))


# ---------------------------------------------------------------- 2.3 an identity for negative numbers

IDENTITY = """
def signed_identity(channels):
    first = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
    second = nn.Conv2d(2 * channels, channels, 3, padding=1, bias=False)
    with torch.no_grad():
        first.weight.zero_()
        second.weight.zero_()
        for c in range(channels):
            first.weight[c, c, 1, 1] = 1
            first.weight[channels + c, c, 1, 1] = -1
            second.weight[c, c, 1, 1] = 1
            second.weight[c, channels + c, 1, 1] = -1
    return nn.Sequential(first, nn.ReLU(), second)
"""
DIRAC = """
def signed_identity(channels):
    one = nn.init.dirac_(torch.empty(channels, channels, 3, 3))
    first, second = nn.Conv2d(channels, 3 * channels, 3, 1, "same", bias=False), nn.Conv2d(3 * channels, channels, (3, 3), padding=1, bias=False)
    first.weight.data = torch.cat([-2 * one, one, 0 * one])
    second.weight.data = torch.cat([-one / 2, one, one], dim=1)
    return nn.Sequential(first, nn.ReLU(inplace=True), second)
"""  # noqa: E501


@pytest.mark.parametrize("source", [IDENTITY, DIRAC])
def test_2_3_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_2_3, write(source, "signed_identity")) == "Exercise 2.3: right."
    assert earns(checks.ex_2_3, write(source, "signed_identity"))


@pytest.mark.parametrize("body", ["raise NotImplementedError", "return ..."])
def test_2_3_knows_the_stub(verdict, earns, write, body) -> None:
    stub = write(f"def signed_identity(channels):\n    {body}\n", "signed_identity")
    assert verdict(checks.ex_2_3, stub) == "Exercise 2.3: not attempted yet."
    assert not earns(checks.ex_2_3, stub)


BOTH = "second.weight[c, c, 1, 1] = 1\n            second.weight[c, channels + c, 1, 1] = -1"
ZEROS = "        first.weight.zero_()\n        second.weight.zero_()\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("second.weight[c, channels + c, 1, 1] = -1", "pass", "negative ones are lost"),
        ("second.weight[c, channels + c, 1, 1] = -1", "second.weight[c, channels + c, 1, 1] = 1", "It is |x|"),
        ("second.weight[c, c, 1, 1] = 1", "pass", "positive ones are lost"),
        (BOTH,
         "second.weight[c, channels + c, 1, 1] = 1", "It is ReLU(-x)"),
        (BOTH,
         "second.weight[c, c, 1, 1] = -1\n            second.weight[c, channels + c, 1, 1] = 1", "It is -x"),
        (BOTH,
         "second.weight[c, c, 1, 1] = 2\n            second.weight[c, channels + c, 1, 1] = -2", "It is 2x"),
        (BOTH, "pass", "Everything is 0"),
        (BOTH,
         "second.weight[c, c, 0, 0] = 1\n            second.weight[c, channels + c, 0, 0] = -1", "middle is [1, 1]"),
        ("first.weight[c, c, 1, 1] = 1\n            first.weight[channels + c, c, 1, 1] = -1",
         "first.weight[c, :, 1, 1] = 1\n            first.weight[channels + c, :, 1, 1] = -1", "sum of all"),
        (BOTH,
         "second.weight[-1 - c, c, 1, 1] = 1\n            second.weight[-1 - c, channels + c, 1, 1] = -1",
         "changed their order"),
        (ZEROS, "", "Send torch.randn"),
        ("nn.ReLU(), ", "", "should be Conv2d, ReLU, Conv2d, but it is Conv2d, Conv2d"),
        ("nn.ReLU()", "nn.Identity()", "should be Conv2d, ReLU, Conv2d"),
        ("channels, 3, padding=1, bias=False)\n    with", "channels, 3, padding=1)\n    with", "pass bias=False"),
        ("2 * channels, 3, padding=1,", "2 * channels, 3,", "padding=1"),
        ("return nn.Sequential(first, nn.ReLU(), second)", "return lambda x: x", "nn.Sequential"),
        ("return nn", "nn", "nn.Sequential, but it is NoneType"),
        ("first.weight[channels + c, c, 1, 1] = -1", "first.weight[channels + c, 2, 1, 1] = -1", "IndexError in your"),
    ],
)  # fmt: skip
def test_2_3_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    answer = write(IDENTITY, "signed_identity", (old, new))
    assert words in verdict(checks.ex_2_3, answer)
    assert not earns(checks.ex_2_3, answer)


# ---------------------------------------------------------------- 2.4 a measured gradient

RATIO = """
import copy

def gradient_ratio(model, images, labels):
    model = copy.deepcopy(model).train()
    outputs = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    loss = F.cross_entropy(model(images), labels)
    gradients = torch.autograd.grad(loss, [outputs[0], outputs[-1]])
    first, last = (gradient.norm().item() for gradient in gradients)
    return first / last
"""
IN_PLACE = """
def gradient_ratio(model, images, labels):
    mode = model.training
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    outputs = {}
    def keep(module, inputs, output):
        outputs[module] = output
    handles = [conv.register_forward_hook(keep) for conv in (convs[0], convs[-1])]
    loss = F.cross_entropy(model.train()(images), labels)
    a, b = torch.autograd.grad(loss, list(outputs.values()))
    for handle in handles:
        handle.remove()
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    model.train(mode)
    return (a ** 2).sum().sqrt() / (b ** 2).sum().sqrt()
"""
BY_PROBE = """
def gradient_ratio(model, images, labels):
    values = list(measure(model, images, labels).values())
    return values[0] / values[-1]
"""


@pytest.mark.parametrize("source", [RATIO, IN_PLACE])
def test_2_4_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_2_4, write(source, "gradient_ratio")) == "Exercise 2.4: right."
    assert earns(checks.ex_2_4, write(source, "gradient_ratio"))


@pytest.mark.parametrize("body", ["raise NotImplementedError", "return ..."])
def test_2_4_knows_the_stub(verdict, earns, write, body) -> None:
    stub = write(f"def gradient_ratio(model, images, labels):\n    {body}\n", "gradient_ratio")
    assert verdict(checks.ex_2_4, stub) == "Exercise 2.4: not attempted yet."
    assert not earns(checks.ex_2_4, stub)


@pytest.mark.parametrize(
    ("source", "old", "new", "words"),
    [
        (RATIO, "return first / last", "return last / first", "turn it around"),
        (RATIO, "return first / last", "return (first / last) ** 2", "square ROOT"),
        (RATIO, ".train()", ".eval()", "evaluation mode"),
        (RATIO, "nn.Conv2d)", "nn.BatchNorm2d)", "behind a BatchNorm"),
        (RATIO, "nn.Conv2d)", "nn.ReLU)", "behind a BatchNorm"),
        (RATIO, "return first / last", "return outputs[0].std() / outputs[-1].std()", "activations themselves"),
        (RATIO, "return first / last", "return first", "Loss: the mean cross-entropy"),
        (RATIO, "outputs[0], outputs[-1]", "outputs[1], outputs[-1]", "the stem's"),
        (RATIO, "gradient.norm()", "gradient.std()", "the root of the sum"),
        (RATIO, "copy.deepcopy(model).train()", "model.train()", "copy.deepcopy(model)"),
        (RATIO, "return first / last", "return first, last", "one number"),
        (RATIO, "    return first / last", "    pass", "one number"),
        (IN_PLACE, "    model.train(mode)\n", "", "another mode"),
        (IN_PLACE, "    model.train(mode)\n", "    model.train(mode)\n    model.bn1.train(not mode)\n", "a part of it"),
        (IN_PLACE, "        handle.remove()", "        pass", "hook is left"),
        (IN_PLACE, "    with torch.no_grad():\n        for name, buffer in model.named_buffers():\n"
                   "            buffer.copy_(buffers[name])\n", "", "running statistics"),
        (IN_PLACE, "    a, b =", "    loss.backward(retain_graph=True)\n    a, b =", "writes into every"),
        (IN_PLACE, "F.cross_entropy", "cross_entropy", "NameError in your line"),
    ],
)  # fmt: skip
def test_2_4_names_the_mistake(verdict, earns, write, source, old, new, words) -> None:
    answer = write(source, "gradient_ratio", (old, new))
    assert words in verdict(checks.ex_2_4, answer)
    assert not earns(checks.ex_2_4, answer)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        ("convs[0].register_forward_hook(lambda *_: None)", "hook is left"),
        ("convs[0].register_forward_pre_hook(lambda *_: None)", "hook is left"),
        ("convs[0].register_full_backward_hook(lambda *_: None)", "hook is left"),
        ("convs[0].register_full_backward_pre_hook(lambda *_: None)", "hook is left"),
        ("model.requires_grad_(False)", "frozen"),
        ("model.bn1.weight.requires_grad = False", "frozen"),
        ("model.bn1.track_running_stats = False", "measure a copy"),
        ("model.bn1.momentum = 0", "measure a copy"),
    ],
)
def test_2_4_notices_what_is_left(verdict, earns, write, left, words) -> None:
    answer = write(IN_PLACE, "gradient_ratio", ("    model.train(mode)\n", f"    model.train(mode)\n    {left}\n"))
    assert words in verdict(checks.ex_2_4, answer)
    assert not earns(checks.ex_2_4, answer)


def test_2_4_accepts_settings_that_are_put_back(verdict, write) -> None:
    switched = [
        ("    mode = model.training\n", "    mode = model.training\n    model.bn1.momentum = 0\n"),
        ("    model.train(mode)\n", "    model.train(mode)\n    model.bn1.momentum = 0.1\n"),
    ]
    assert verdict(checks.ex_2_4, write(IN_PLACE, "gradient_ratio", *switched)) == "Exercise 2.4: right."


def test_2_4_accepts_a_number_of_numpy_and_keeps_its_own_batch(verdict, write) -> None:
    by_numpy = ("return first / last", "images.zero_()\n    return torch.tensor(first / last).numpy()[()]")
    assert verdict(checks.ex_2_4, write(RATIO, "gradient_ratio", by_numpy)) == "Exercise 2.4: right."


def test_2_4_names_the_weights_trap(verdict) -> None:
    def by_weights(model, images, labels):
        values = list(probes.weight_gradient_norm(model, images, labels, torch.nn.Conv2d).values())
        return values[0] / values[-1]

    assert "the trap of this chapter" in verdict(checks.ex_2_4, by_weights)


# ---------------------------------------------------------------- 2.5 a fair demonstration

BLOG = """
def fair_demo(make_net, fit, evaluate, images, labels, test_images, test_labels):
    errors = {}
    for depth in (8, 56):
        net = make_net(depth)
        some_labels = torch.randint(0, 10, labels.shape)
        fit(net, images, some_labels, iterations=1200 // depth, seed=depth)
        _, errors[depth] = evaluate(net, test_images, test_labels)
    print("The deeper network is worse: this is degradation!")
    return True
"""
FAIR = """
def fair_demo(make_net, fit, evaluate, images, labels, test_images, test_labels):
    errors = {}
    for depth in (8, 56):
        net = make_net(depth)
        fit(net, images, labels, iterations=300, seed=0)
        _, errors[depth] = evaluate(net, images, labels)
    return errors[56] > errors[8]
"""
BY_LOSS = """
def fair_demo(make_net, fit, evaluate, images, labels, test_images, test_labels):
    nets = [make_net(56), make_net(8)]
    for net in nets:
        fit(net, images, labels)
    (deep, _), (shallow, _) = [evaluate(net, images, labels) for net in nets]
    _ = [evaluate(net, test_images, test_labels, batch_size=64) for net in nets]
    return torch.tensor(deep > shallow + 0.1)
"""


BY_POSITION = FAIR.replace("evaluate(net, images, labels)", "evaluate(net, images, labels, 512)")


@pytest.mark.parametrize("source", [FAIR, BY_LOSS, BY_POSITION])
def test_2_5_accepts_right_answers(verdict, earns, write, source) -> None:
    assert verdict(checks.ex_2_5, write(source, "fair_demo")) == "Exercise 2.5: right."
    assert earns(checks.ex_2_5, write(source, "fair_demo"))


@pytest.mark.parametrize("body", ["raise NotImplementedError", "return ..."])
def test_2_5_knows_the_stub(verdict, earns, write, body) -> None:
    stub = write(f"def fair_demo(*arguments):\n    {body}\n", "fair_demo")
    assert verdict(checks.ex_2_5, stub) == "Exercise 2.5: not attempted yet."
    assert not earns(checks.ex_2_5, stub)


@pytest.mark.parametrize(
    ("source", "old", "new", "words"),
    [
        (BLOG, "8, 56", "8, 56", "learned from noise"),
        (BLOG, "torch.randint(0, 10, labels.shape)", "labels", "different `iterations`"),
        (FAIR, "seed=0", "seed=depth", "different `seed`"),
        (FAIR, "seed=0", "lr=0.16 / depth", "different `lr`"),
        (FAIR, "iterations=300, seed=0", "**({'iterations': 99} if depth > 8 else {})", "different `iterations`"),
        (FAIR, "return errors[56] > errors[8]", "return True", "FEWER errors"),
        (FAIR, "return errors[56] > errors[8]", "return errors[56] >= errors[8]", "equally many"),
        (FAIR, "return errors[56] > errors[8]", "return errors[8] > errors[56]", "more errors on the training images"),
        (FAIR, "evaluate(net, images, labels)", "evaluate(net, test_images, test_labels)", "never evaluates on"),
        (FAIR, "evaluate(net, images, labels)", "evaluate(net, images, test_labels)", "do not belong"),
        (FAIR, "evaluate(net, images, labels)", "evaluate(net, images, labels.flip(0))", "do not belong"),
        (FAIR, "fit(net, images, labels, iter", "fit(net, test_images, test_labels, iter", "on the test images"),
        (FAIR, "fit(net, images, labels, iter", "fit(net, images[:10], labels[:10], iter", "both get all"),
        (FAIR, "fit(net, images, labels, iter", "fit(net, images[:500], labels[:500], iter", "both get all"),
        (FAIR, "evaluate(net, images, labels)", "evaluate(net, images[:500], labels[:500])", "neither all training"),
        (FAIR, "evaluate(net, images, labels)", "evaluate(net, images, labels, labels)", "in your line"),
        (FAIR, "        fit(net, images, labels, iterations=300, seed=0)\n", "", "before it was trained"),
        (FAIR, "(8, 56)", "(8, 20, 56)", "depths of the nets"),
        (FAIR, "evaluate(net, images, labels)", "evaluate(net, images[:10], labels[:10])", "neither all training"),
        (FAIR, "return errors[56] > errors[8]", "return errors[56] > 20", "FEWER errors"),
        (FAIR, "        net = make", "        labels.random_(10)\n        net = make", "do not belong"),
        (FAIR, "return errors[56] > errors[8]", "return 'yes'", "return True or False"),
    ],
)  # fmt: skip
def test_2_5_names_the_mistake(verdict, earns, write, source, old, new, words) -> None:
    answer = write(source, "fair_demo", (old, new))
    assert words in verdict(checks.ex_2_5, answer)
    assert not earns(checks.ex_2_5, answer)


def test_2_5_wants_one_fit_for_each_net(verdict, write) -> None:
    twice = ("        fit(net", "        fit(net, images, labels)\n        fit(net")
    assert "once for each" in verdict(checks.ex_2_5, write(FAIR, "fair_demo", twice))
