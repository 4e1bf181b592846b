"""The checks of chapter 2: counting on paper, five diagnoses, an identity, a measured gradient, a fair comparison."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu import probes
from resnet_edu.checks.compare import name_slip
from resnet_edu.checks.scalars import number, whole_number, whole_numbers
from resnet_edu.checks.verdict import NotAttempted, Wrong, exercise, expect_equal
from resnet_edu.cifar import cifar_plain

SIZES = {
    "n": 3,
    "convolutions": 19,
    "after stage 2": (128, 32, 16, 16),
    "after stage 3": (128, 64, 8, 8),
    "one block": 73_984,
    "32 layers": 194_432,
}
STAGE_SIZES = "Stage 1 keeps 32x32; the stages after it halve height and width and double the channels."


@exercise("2.1")
def ex_2_1(sizes):
    """Check the six predictions about the paper's plain net of 20 layers: a dict of integers and shapes."""
    if not isinstance(sizes, dict) or set(sizes) != set(SIZES):
        raise Wrong(f"The answer should be a dict with the keys {', '.join(SIZES)}. Fill in the stub, key by key.")
    for key, right in SIZES.items():
        met = (whole_numbers if isinstance(right, tuple) else whole_number)(f"`{key}`", sizes[key])
        if met != right:
            raise Wrong(f"`{key}` is not {met}. {_slip_in_size(key, met)}")


def _slip_in_size(key: str, met) -> str:
    """Name the mistake behind a wrong prediction, without the right number."""
    conv, norms = 9 * 64 * 64, 2 * 2 * 64
    known = {
        ("n", 18): "Each stage has n BLOCKS of two layers, and there are three stages: 6n of the 20 layers.",
        ("n", 6): "Each block has two layers: three stages of n blocks are 6n layers, not 3n.",
        ("convolutions", 20): "Of the 20 layers with weights, one is not a convolution.",
        ("convolutions", 18): "The stem is a convolution too.",
        ("one block", conv): "A block has two convolutions, and each has a BatchNorm.",
        ("one block", 2 * conv): "Each of its two BatchNorms has two numbers for each channel.",
        ("one block", conv + norms // 2): "A block has two layers.",
        ("one block", 2 * conv + norms // 2): "There are two BatchNorms, and each has a scale AND a shift.",
        ("one block", 2 * (conv + 64) + norms): "The convolutions have no bias: BatchNorm has one.",
        ("one block", 9 * 32 * 64 + conv + norms): "It is the last block: 64 channels come in as well.",
        ("32 layers", 97_216): "n grows by more than one: how many blocks does each stage gain?",
        ("32 layers", 2 * 73_984): "Every stage gains blocks, not only the last.",
        ("32 layers", 6 * 73_984): "A block of stage 1 or 2 is smaller: it has 16 or 32 channels.",
        ("32 layers", 464_154): "That is the whole net of 32 layers: how many MORE than 20 layers has it?",
        ("32 layers", 193_536): "Each BatchNorm has two numbers for each channel.",
    }
    if not isinstance(met, tuple):
        otherwise = {
            "n": "A depth of 6n + 2: three stages of n blocks of two layers, the stem and the linear layer.",
            "convolutions": "Count the layers with weights, and leave out the one that is no convolution.",
            "one block": "Two convolutions of 9 * channels * channels weights, two BatchNorms of 2 * channels numbers.",
            "32 layers": "Add up what one more block of each stage has, times the blocks that each stage gains.",
        }
        return known.get((key, met)) or otherwise[key]
    if len(met) != 4 or met[0] != 128:
        return "A batch of images has the shape (N, C, H, W), and no layer changes N."
    if met[1] != SIZES[key][1]:
        return "Look at the channels: the three stages have 16, 32 and 64."
    return f"Look at the size. {STAGE_SIZES}"


DIAGNOSES = {
    "A": "overfitting",
    "B": "vanishing gradients",
    "C": "learning rate",
    "D": "too few steps",
    "E": "degradation",
}
REFUTED = {
    "overfitting": "An overfitted net is good on its TRAINING images and bad on the test images; look at both errors.",
    "vanishing gradients": "If the gradient vanishes, the first layer gets a tiny part of what the last one gets.",
    "learning rate": "If the learning rate was to blame, another one would cure it: look at the best of five.",
    "too few steps": "If it was only slow, more steps would bring it to the shallow net: look at six times the steps.",
    "degradation": "Degradation is what is left when every simpler cause is ruled out: one column names a simpler one.",
}


@exercise("2.2")
def ex_2_2(causes):
    """Check the diagnoses of five made-up nets: a dict from letter to cause."""
    if not isinstance(causes, dict) or set(causes) != set(DIAGNOSES):
        raise Wrong("The answer should be a dict with the keys A, B, C, D and E. Fill in the stub, key by key.")
    for case, right in DIAGNOSES.items():
        met = causes[case]
        if not isinstance(met, str) or met not in REFUTED:
            raise Wrong(f"Case {case} should be one of {', '.join(map(repr, REFUTED))}, but it is {met!r}.")
        if met != right:
            raise Wrong(f"Case {case} is not {met!r}. {REFUTED[met]}")


def _expect_pair(call: str, pair) -> None:
    """Raise unless the answer is a convolution, a ReLU and a convolution, as the exercise says."""
    if not isinstance(pair, nn.Sequential):
        raise Wrong(f"{call} should be an nn.Sequential, but it is {type(pair).__name__}.")
    kinds = [type(layer).__name__ for layer in pair]
    if kinds != ["Conv2d", "ReLU", "Conv2d"]:
        raise Wrong(f"{call} should be Conv2d, ReLU, Conv2d, but it is {', '.join(kinds) or 'empty'}.")
    for layer, which in ((pair[0], "first"), (pair[2], "second")):
        expect_equal(f"In {call} the {which} kernel", layer.kernel_size, (3, 3), "Both convolutions are 3x3.")
        if layer.bias is not None:
            raise Wrong(f"In {call} the {which} convolution has a bias: pass bias=False.")
        if layer.groups != 1:
            raise Wrong(f"In {call} the {which} convolution has groups: it should be an ordinary one.")


@exercise("2.3")
def ex_2_3(answer):
    """Check ``signed_identity(channels)``: convolution, ReLU, convolution that give back any input."""
    for channels, height, width in ((1, 5, 5), (3, 6, 4), (4, 2, 2)):
        call = f"signed_identity({channels})"
        pair = answer(channels)
        if pair is ...:
            raise NotAttempted
        _expect_pair(call, pair)
        x = torch.randn(2, channels, height, width)
        with torch.no_grad():
            y = pair(x.clone())
        if y.shape != x.shape:
            hint = "Both keep the size (padding=1), and as many channels come out as go in."
            raise Wrong(f"For an input of shape {tuple(x.shape)} {call} gives {tuple(y.shape)}. {hint}")
        up, left = F.pad(x, (0, 0, 1, 0))[:, :, :-1], F.pad(x, (1, 0))[..., :-1]
        corner = F.pad(x, (1, 0, 1, 0))[:, :, :-1, :-1]
        every = x.sum(1, keepdim=True).expand_as(x)
        slips = [
            (x.relu(), "Positive numbers survive, negative ones are lost: the ReLU needs to see -x as well."),
            (-(-x).relu(), "Negative numbers survive, positive ones are lost: the ReLU needs to see both x and -x."),
            ((-x).relu(), "It is ReLU(-x): positive numbers are lost, and negative ones change their sign."),
            (x.abs(), "It is |x|: what came through the ReLU as -x has to be SUBTRACTED."),
            (-x, "It is -x: the two halves have changed places."),
            (2 * x, "It is 2x: every number is carried twice."),
            (torch.zeros_like(x), "Everything is 0. Do the two halves cancel, or is a kernel still empty?"),
            (every, "Each channel has become the sum of all: kernel [c, c] only, and 0 for all other pairs."),
            *((shifted, "The image has moved: a 3x3 kernel's middle is [1, 1].") for shifted in (up, left, corner)),
            (x.flip(1), "The channels have changed their order."),
        ]
        hint = name_slip(y, slips, "Send torch.randn(1, 1, 3, 3) through each of the three layers, and look.", 1e-5)
        difference = (y - x).abs().max().item()
        if not difference <= 1e-5:
            raise Wrong(f"{call} should give back its input, but the values are off by up to {difference:.3g}. {hint}")


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _gradients(model: nn.Module) -> list:
    return [None if p.grad is None else p.grad.clone() for p in model.parameters()]


def _norm_settings(model: nn.Module) -> list[tuple]:
    return [(m.track_running_stats, m.momentum) for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


def _equal(one: list, other: list) -> bool:
    return all(a is b is None or (a is not None and b is not None and torch.equal(a, b)) for a, b in zip(one, other))  # noqa: B905


@exercise("2.4")
def ex_2_4(answer):
    """Check ``gradient_ratio(model, images, labels)``: first convolution over last, and a net left as it was."""
    labels = torch.randint(0, 10, (32,))
    for depth, channels, training in ((8, 1, True), (14, 3, True), (8, 1, False)):
        model = cifar_plain(depth, widths=(4, 8, 16), in_channels=channels).train(training)
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)  # not what a batch has, so that the two modes differ
        images = torch.randn(32, channels, 8, 8)
        right = _ratio(probes.activation_gradient_norm(model, images, labels))
        if training:
            F.cross_entropy(model(images), labels).backward()
        before, stored, settings = _state(model), _gradients(model), _norm_settings(model)
        what = f"For a plain net of {depth} layers{'' if training else ' that comes in evaluation mode'} the ratio"
        met = answer(model, images.clone(), labels.clone())
        if met is ...:
            raise NotAttempted
        met = number("What gradient_ratio returns", met)
        _expect_untouched(model, training, before, stored, settings)
        if not abs(met / right - 1) < 1e-3:
            hint = _slip_in_ratio(met, model, images, labels, right)
            raise Wrong(f"{what} should be {right:.4g}, but it is {met:.4g}. {hint}")


def _ratio(measured: dict[str, float]) -> float:
    values = list(measured.values())
    return values[0] / values[-1]


def _slip_in_ratio(met: float, model: nn.Module, images: Tensor, labels: Tensor, right: float) -> str:
    """Say which other quantity was measured."""
    evaluation = probes.activation_gradient_norm(model, images, labels, training=False)
    behind = "These are the gradients behind a BatchNorm or a ReLU: look at the outputs of the nn.Conv2d layers."
    known = [
        (1 / right, "It is the last over the first: turn it around."),
        (right**2, "It is the square: a norm is the square ROOT of the sum of squares."),
        (_ratio(evaluation), "It was measured in evaluation mode: call model.train() before the forward pass."),
        (
            _ratio(probes.weight_gradient_norm(model, images, labels, nn.Conv2d)),
            "These are the gradients of the WEIGHTS, the trap of this chapter. Take those of the layers' outputs.",
        ),
        (_ratio(probes.activation_std(model, images)), "These are the activations themselves, not their gradients."),
        *(
            (_ratio(probes.activation_gradient_norm(model, images, labels, layers)), behind)
            for layers in (nn.BatchNorm2d, nn.ReLU)
        ),
    ]
    otherwise = (
        "Loss: the mean cross-entropy of the batch. Gradient: with respect to the OUTPUT of the very first convolution "
        "(the stem's) and of the very last. Norm: the root of the sum of the squares, over the whole batch."
    )
    return next((hint for value, hint in known if abs(met / value - 1) < 1e-3), otherwise)


def _expect_untouched(
    model: nn.Module, training: bool, before: dict[str, Tensor], stored: list, settings: list[tuple]
) -> None:
    for name, tensor in model.state_dict().items():
        if not torch.equal(tensor, before[name]):
            hint = "A forward pass in training mode moves the running statistics: measure a copy.deepcopy(model)."
            raise Wrong(f"After the measurement `{name}` of the net is not what it was. {hint}")
    if not _equal(_gradients(model), stored):
        hint = "backward() writes into every parameter's .grad: use torch.autograd.grad, or a copy of the net."
        raise Wrong(f"After the measurement the .grad of the parameters is not what it was. {hint}")
    if any(module.training is not training for module in model.modules()):
        raise Wrong(
            "After the measurement the net, or a part of it, is in another mode. "
            "Put it back, or measure a copy.deepcopy(model)."
        )
    if not all(parameter.requires_grad for parameter in model.parameters()):
        raise Wrong("After the measurement some parameters are frozen: requires_grad_(False) was not taken back.")
    if _norm_settings(model) != settings:
        raise Wrong("After the measurement a BatchNorm no longer updates its statistics as before: measure a copy.")
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    if any(getattr(module, kind) for module in model.modules() for kind in kinds):
        raise Wrong("After the measurement a hook is left on the net. Remove it: handle.remove().")


class _Rehearsal:
    """Stands in for networks, training and evaluation, and notes what it is asked to do."""

    def __init__(self, shallow: float, deep: float, test_shallow: float, test_deep: float) -> None:
        self.images, self.test_images = torch.randn(1437, 1, 1, 1), torch.randn(360, 1, 1, 1)
        self.labels, self.test_labels = torch.arange(1437) % 10, torch.arange(360) % 10
        self.errors = {("train", True): deep, ("train", False): shallow}
        self.errors |= {("test", True): test_deep, ("test", False): test_shallow}
        self.made: list[tuple[int, nn.Module]] = []
        self.fitted: list[tuple[nn.Module, Tensor, Tensor, dict]] = []
        self.seen: list[str] = []

    def make_net(self, depth: int) -> nn.Module:
        self.made.append((depth, nn.Linear(1, 1)))
        return self.made[-1][1]

    def fit(self, model: nn.Module, images: Tensor, labels: Tensor, **settings) -> Tensor:
        self.fitted.append((model, images, labels, settings))
        return torch.ones(settings.get("iterations", 300))

    def evaluate(self, model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 512) -> tuple[float, float]:
        images.split(batch_size)  # raises for what is no batch size, as the real one does
        parts = (("train", self.images), ("test", self.test_images))
        part = next((p for p, own in parts if images.shape == own.shape and torch.equal(images, own)), None)
        if part is None:
            raise Wrong("evaluate gets neither all training images nor all test images: pass one of the two as it is.")
        self.seen.append(part)
        if not any(model is fitted for fitted, *_ in self.fitted):
            raise Wrong("A net is evaluated before it was trained: first fit, then evaluate.")
        right = self.labels if part == "train" else self.test_labels
        if labels.shape != right.shape or not torch.equal(labels, right):
            which = "training" if part == "train" else "test"
            raise Wrong(f"evaluate gets labels that do not belong to the {which} images: pass the true ones.")
        depth = next(depth for depth, made in self.made if made is model)
        error = self.errors[part, depth > 8]
        return error / 20, error

    def run(self, answer: Callable):
        data = (self.images, self.labels, self.test_images, self.test_labels)
        return answer(self.make_net, self.fit, self.evaluate, *(tensor.clone() for tensor in data))


@exercise("2.5")
def ex_2_5(answer):
    """Check ``fair_demo(make_net, fit, evaluate, images, labels, test_images, test_labels)`` by rehearsing it."""
    cases = [  # training error of the shallow and the deep net, then test error; what the verdict should be, and why
        ((1.0, 60.0, 3.0, 65.0), True, "the deep net made more errors on the training images"),
        ((60.0, 40.0, 65.0, 45.0), False, "the deep net made FEWER errors on the training images"),
        ((1.0, 1.0, 3.0, 3.0), False, "both nets made equally many errors"),
        (
            (5.0, 0.0, 8.0, 30.0),
            False,
            "the deep net was better in training and worse in the test, which is overfitting",
        ),
        ((5.0, 30.0, 40.0, 35.0), True, "the deep net made more errors on the training images, whatever the test says"),
    ]
    for errors, degrades, because in cases:
        rehearsal = _Rehearsal(*errors)
        met = rehearsal.run(answer)
        if met is ...:
            raise NotAttempted
        _expect_fair(rehearsal)
        if isinstance(met, Tensor) and met.numel() == 1:
            met = met.item()
        if met not in (True, False):
            raise Wrong(f"fair_demo should return True or False, but it returns {met!r}.")
        if bool(met) is not degrades:
            where = "" if "train" in rehearsal.seen else " It never evaluates on the training images."
            raise Wrong(
                f"In a rehearsal {because}, and fair_demo returned {met}.{where} "
                "The conclusion should follow from the training errors, whatever they are."
            )


def _expect_fair(rehearsal: _Rehearsal) -> None:
    """Raise unless both nets were trained once, on the same true data, in the same way."""
    depths = sorted(depth for depth, _ in rehearsal.made)
    expect_equal("The depths of the nets made", depths, [8, 56], "One shallow net and one deep net.")
    if len(rehearsal.fitted) != 2 or rehearsal.fitted[0][0] is rehearsal.fitted[1][0]:
        raise Wrong("fit should be called once for each of the two nets.")
    for _, images, labels, _ in rehearsal.fitted:
        if images.shape == rehearsal.test_images.shape and torch.equal(images, rehearsal.test_images):
            raise Wrong("A net is trained on the test images.")
        if images.shape != rehearsal.images.shape or not torch.equal(images, rehearsal.images):
            raise Wrong("A net is not trained on the images that were passed in: both get all of them.")
        if labels.shape != rehearsal.labels.shape or not torch.equal(labels, rehearsal.labels):
            raise Wrong("A net is trained on labels that are not the images' own. What can be learned from noise?")
    one, other = (settings for *_, settings in rehearsal.fitted)
    for name in sorted(set(one) | set(other)):
        if one.get(name) != other.get(name):
            hint = {
                "iterations": "A net that trains for fewer steps is worse for that reason.",
                "seed": "With another seed it sees other batches; the seed is the order of the images.",
            }.get(name, "Two nets are compared in depth only if nothing else differs.")
            raise Wrong(
                f"The two nets are trained with different `{name}`: {one.get(name)} and {other.get(name)}. {hint}"
            )
