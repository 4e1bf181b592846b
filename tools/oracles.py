"""What an answer does, observed without its check: for each exercise, the cases that ``tools/mutants.py`` compares.

An oracle uses the answers as the exercise says, and returns what can be seen from outside: outputs, gradients, states,
what became of the arguments. Modules get the same state by the names of their parameters, which mutants share with
the solution they are made from. Nothing here may import ``resnet_edu.checks``.
"""

import copy
import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.resnet import ResNet
from resnet_edu.train.batches import Images


def observation(observe: Callable, answers: list) -> list:
    """Everything that an exercise's oracle sees of these answers; what raises is seen as the error's name."""
    seen = []
    for case in observe(*answers):
        torch.manual_seed(0)
        try:
            seen.append(case())
        except Exception as error:
            seen.append(type(error).__name__)
    return seen


def same(one: object, other: object) -> bool:
    """Whether two observations are equal, numbers up to rounding."""
    try:
        one, other = (value.tolist() if isinstance(value, np.ndarray) else value for value in (one, other))
        match one, other:
            case dict(), dict():
                return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
            case ((list() | tuple()), (list() | tuple())):
                return len(one) == len(other) and all(map(same, one, other))
            case ((Tensor() | np.ndarray() | int() | float()), (Tensor() | np.ndarray() | int() | float())):
                one, other = (torch.as_tensor(value).detach().double() for value in (one, other))
                return one.shape == other.shape and torch.allclose(one, other, rtol=1e-5, atol=1e-7, equal_nan=True)
        return bool(one == other)
    except Exception:  # what cannot be compared is not the same
        return False


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """The state by names in which the layers without any, an nn.ReLU for one, take no number of a Sequential."""
    names = [tuple(name.split(".")) for name in module.state_dict()]
    numbers = {name[: i + 1] for name in names for i, part in enumerate(name) if part.isdigit()}

    def rank(number: tuple) -> str:
        return str(sum(other[:-1] == number[:-1] and int(other[-1]) < int(number[-1]) for other in numbers))

    plain = (".".join(rank(n[: i + 1]) if n[i].isdigit() else n[i] for i in range(len(n))) for n in names)
    return dict(sorted(zip(plain, module.state_dict(keep_vars=True).values(), strict=True)))


def fill(module: nn.Module) -> nn.Module:
    """Give every tensor of the state values that its name and its shape decide."""
    with torch.no_grad():
        for name, tensor in state_of(module).items():
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            values = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            if tensor.dim() > 1:
                values *= (2 / tensor[0].numel()) ** 0.5
            if name.endswith("running_var"):
                values = values.abs() + 0.5
            tensor.copy_(values)
    return module


def look(module: nn.Module, shape: tuple[int, ...]) -> list:
    """A module's state, and what it makes of a batch in both modes, forward and backward."""
    fill(module.double())
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    state = state_of(module)
    shapes = {name: (tuple(tensor.shape), tensor.requires_grad) for name, tensor in state.items()}
    module.eval()
    evaluated = module(x.clone()).detach()
    module.train()
    leaf = x.clone().requires_grad_()
    given = leaf * 1.0
    before = given.detach().clone()
    output = module(given)
    (output * torch.linspace(-1, 1, output.numel(), dtype=torch.float64).reshape(output.shape)).sum().backward()
    gradients = [tensor.grad if tensor.grad is not None else "none" for tensor in state.values()]
    values = [tensor.detach().clone() for tensor in state.values()]
    untouched = torch.equal(given.detach(), before)
    return [shapes, evaluated, output.detach(), leaf.grad, gradients, values, untouched]


def module_cases(*cases: tuple) -> Callable:
    """The oracle of an answer that makes modules: for each case, its arguments and the shape of a batch."""

    def observe(make: Callable) -> list[Callable]:
        def case(arguments: tuple, shape: tuple) -> list:
            return look(make(*arguments), shape)

        return [partial(case, arguments, shape) for arguments, shape in cases]

    return observe


def value_cases(*cases: tuple) -> Callable:
    """The oracle of a function that returns values: for each case, its arguments."""

    def observe(function: Callable) -> list[Callable]:
        def case(arguments: tuple) -> list:
            given = copy.deepcopy(arguments)
            return [function(*given), same(list(given), list(arguments))]

        return [partial(case, arguments) for arguments in cases]

    return observe


def data(answer: object) -> list[Callable]:
    """The oracle of an answer that is a value."""
    return [lambda: answer]


def two_decimals(answer: dict) -> list[Callable]:
    """The oracle of numbers that are asked for with two decimals."""
    return [lambda: {name: round(value, 2) for name, value in answer.items()}]


def batchnorm(kind: Callable) -> list[Callable]:
    def case(arguments: dict, shape: tuple) -> list:
        norm, seen = fill(kind(shape[1], **arguments).double()), []
        start = {name: tensor.clone() for name, tensor in kind(shape[1], **arguments).state_dict().items()}
        for _ in range(3):
            x = (3 + 2 * torch.randn(shape, dtype=torch.float64)).requires_grad_()
            y = norm.train()(x)
            (y**3).sum().backward()
            seen += [y.detach(), x.grad, norm.eval()(x).detach(), dict(norm.state_dict())]
        parameters = {name: p.grad for name, p in norm.named_parameters()}
        return copy.deepcopy([start, seen, parameters])

    cases = [({}, (4, 3, 5, 2)), ({"eps": 0.1, "momentum": 0.5}, (2, 4, 3, 3)), ({}, (3, 1, 2, 2))]
    return [partial(case, arguments, shape) for arguments, shape in cases]


def wide_view(layer: Callable, dilations: tuple) -> list[Callable]:
    cases = module_cases(
        *((arguments, (2, 2, 17, 16)) for arguments in ((2, 4), (2, 3, 2), (2, 5, 1, 3), (2, 4, 2, 4)))
    )(layer)

    def read() -> list[int]:
        reached = {0}
        for dilation in dilations:
            reached = {r + step * dilation for r in reached for step in (-1, 0, 1)}
        return [len(dilations), *sorted(reached)]

    return [*cases, read]


def signed_identity(make: Callable) -> list[Callable]:
    def case(channels: int) -> list:
        x = torch.randn(2, channels, 6, 5)
        return [make(channels)(x).detach(), x]

    return [partial(case, channels) for channels in (1, 3, 4)]


def small_convnet() -> nn.Module:
    convs = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)]
    return fill(nn.Sequential(*convs, nn.ReLU(), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(6 * 4 * 4, 10)))


def gradient_ratio(measure: Callable) -> list[Callable]:
    def case(training: bool, with_gradients: bool) -> list:
        model = small_convnet().train(training)
        images, labels = torch.randn(12, 1, 8, 8), torch.arange(12) % 10
        if with_gradients:
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
        found = measure(model, images, labels)
        gradients = [p.grad if p.grad is not None else "none" for p in model.parameters()]
        hooks = sum(len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules())
        return [
            found,
            [m.training for m in model.modules()],
            gradients,
            hooks,
            model.state_dict(),
        ]

    return [partial(case, *flags) for flags in ((True, False), (False, False), (True, True), (False, True))]


def fair_demo(demo: Callable) -> list[Callable]:
    def case(errors: dict, test_errors: dict) -> list:
        sets = {name: object() for name in ("images", "labels", "test_images", "test_labels")}
        name_of = {id(value): name for name, value in sets.items()}
        log: dict[int, list] = {}

        def make_net(depth: int) -> list:
            log.setdefault(depth, []).append("made")
            return [depth]

        def fit(net: list, images: object, labels: object, **options) -> None:
            log[net[0]].append(["fit", name_of.get(id(images)), name_of.get(id(labels)), sorted(options.items())])

        def evaluate(net: list, images: object, labels: object) -> tuple[float, float]:
            on = [name_of.get(id(images)), name_of.get(id(labels))]
            log[net[0]].append(["evaluate", *on])
            error = (test_errors if "test_images" in on else errors).get(net[0], 50.0)
            return error / 20, error

        found = demo(make_net, fit, evaluate, *sets.values())
        # to evaluate once more changes nothing
        events = {
            d: [e for i, e in enumerate(log[d]) if e[0] != "evaluate" or e not in log[d][:i]] for d in sorted(log)
        }
        return [bool(found), events]

    return [partial(case, {8: a, 56: b}, {8: b, 56: a}) for a, b in ((1.0, 60.0), (60.0, 1.0), (5.0, 5.0), (0.0, 0.1))]


def unit_backward(backward: Callable) -> list[Callable]:
    def case(size: int) -> list:
        x, g = torch.randn(2, size, dtype=torch.float64)
        w1, w2 = torch.randn(2, size, size, dtype=torch.float64)
        given = (x, w1, w2, g)
        before = [tensor.clone() for tensor in given]
        return [backward(*given), all(map(torch.equal, given, before))]

    return [partial(case, size) for size in range(2, 24)]


def fixed_block(make: Callable) -> list[Callable]:
    def case(inplanes: int, planes: int, stride: int, projects: bool) -> list:
        downsample = None
        if projects:
            downsample = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
        return look(make(inplanes, planes, stride, downsample), (2, inplanes, 8, 7))

    return [partial(case, *c) for c in ((4, 4, 1, False), (4, 4, 1, True), (3, 5, 2, True), (4, 4, 2, True))]


def set_to_swap(swap: Callable) -> list[Callable]:
    def case() -> list:
        conv1, conv2 = (nn.Conv2d(2, 2, 3, padding=1, bias=False) for _ in range(2))
        swap(conv1, conv2)
        x = torch.rand(3, 2, 5, 4)
        with torch.no_grad():
            y = F.relu(conv2(F.relu(conv1(x))) + x)
        return [y, conv1.weight.requires_grad, conv2.weight.requires_grad]

    return [case, case]


def builder(kind: Callable) -> list[Callable]:
    def case(block: type, options: dict, calls: list[tuple]) -> list:
        build, seen = kind(**options), []
        for planes, blocks, *others in calls:
            came_in = build.inplanes
            layer = build._make_layer(block, planes, blocks, *others)
            seen += [type(layer).__name__, look(layer, (2, came_in, 9, 8)), build.inplanes, build.dilation]
        return seen

    group_norm = partial(nn.GroupNorm, 2)
    return [
        partial(case, BasicBlock, {"inplanes": 8}, [(8, 2), (16, 2, 2), (16, 1)]),
        partial(case, Bottleneck, {"inplanes": 8}, [(2, 2), (4, 3, 2), (4, 3, 2, True), (2, 2, 2, True)]),
        partial(case, Bottleneck, {"inplanes": 16, "groups": 2, "base_width": 32}, [(4, 2, 2), (4, 1)]),
        partial(case, BasicBlock, {"inplanes": 4, "norm_layer": group_norm}, [(8, 1, 2), (8, 2, 1)]),
        partial(case, Bottleneck, {}, [(16, 1)]),
    ]


def dilate(change: Callable) -> list[Callable]:
    def case(blocks: int) -> list:
        net = fill(ResNet(Bottleneck, [1, 1, 1, blocks], num_classes=3)).eval()
        before, x = copy.deepcopy(net.state_dict()), torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            logits = net(x)
            changed = change(net)
            kept = same(net.state_dict(), before) and same(net(x), logits)
            features = nn.Sequential(*list(changed.children())[:-2])(x)
        return [kept, features, changed.state_dict(), changed.training, type(changed).__name__]

    return [partial(case, blocks) for blocks in (1, 3)]


def load_body(load: Callable) -> list[Callable]:
    def small(classes: int, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return ResNet(BasicBlock, [1, 1, 1, 1], num_classes=classes)

    def case(change: Callable, classes: int) -> list:
        net, state = small(5, 1), dict(small(classes, 2).state_dict())
        change(state)
        before = copy.deepcopy(state)
        try:
            load(net, state)
            raised = False
        except Exception:
            raised = True
        return [
            raised,
            same(state, before),
            [] if raised else net.state_dict(),
            [p.requires_grad for p in net.parameters()],
        ]

    def leave(state: dict) -> None:
        pass

    def missing(state: dict) -> None:
        del state["layer3.0.conv1.weight"]

    def too_many(state: dict) -> None:
        state["layer9.weight"] = torch.ones(1)

    def narrow(state: dict) -> None:
        state["bn1.bias"] = torch.ones(3)

    def like_a_head(state: dict) -> None:
        state["fcx.weight"] = torch.ones(1)

    changes = (leave, missing, too_many, narrow, like_a_head)
    return [*(partial(case, change, 1000) for change in changes), partial(case, leave, 5)]


def small_network(shapes: tuple, *cases: tuple) -> Callable:
    """The oracle of a whole network: its state, and its logits in both modes."""

    def observe(make: Callable) -> list[Callable]:
        def case(arguments: tuple) -> list:
            net = fill(make(*arguments))
            sizes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
            images = [torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(3)) for shape in shapes]
            with torch.no_grad():
                trained = net.train()(images[0])
                logits = [trained, *(net.eval()(x) for x in images)]
            # rounding grows through random layers: compare directions, not digits
            return [sizes, [torch.round(F.normalize(out, dim=1), decimals=3) for out in logits]]

        return [partial(case, arguments) for arguments in cases]

    return observe


def schedule(make: Callable) -> list[Callable]:
    def case(warmup: int, total: int) -> list:
        def fresh() -> tuple:
            optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
            return optimizer, make(optimizer, warmup, total)

        optimizer, rates_of = fresh()
        rates, middle = [], None
        for step in range(total):
            if step == total // 2:
                middle = copy.deepcopy(rates_of.state_dict()), copy.deepcopy(optimizer.state_dict())
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            rates_of.step()
        again, resumed = fresh()
        resumed.load_state_dict(middle[0])
        again.load_state_dict(middle[1])
        later = []
        for _ in range(total // 2, total):
            later.append(again.param_groups[0]["lr"])
            again.step()
            resumed.step()
        return [rates, later]

    return [partial(case, *c) for c in ((3, 10), (1, 7), (5, 20))]


def accumulated(step: Callable) -> list[Callable]:
    def case(count: int, parts: int, stale: bool) -> list:
        model = fill(nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        images, labels = torch.randn(count, 1, 2, 3, dtype=torch.float64), torch.arange(count) % 3
        if stale:
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
        losses = [step(model, optimizer, images, labels, parts) for _ in range(2)]
        return [[float(loss) for loss in losses], [bool(loss.requires_grad) for loss in losses], model.state_dict()]

    return [partial(case, *c) for c in ((12, 3, False), (10, 4, False), (10, 4, True), (7, 1, False))]


def sound_error(measure: Callable) -> list[Callable]:
    def case(training: bool, batch: tuple) -> list:
        pixels = torch.randint(256, (37, 1, 8, 8), dtype=torch.uint8)
        images = Images(pixels, torch.arange(37) % 10, torch.full((1, 8, 8), 0.5), "cpu")
        model = small_convnet().train(training)
        found = measure(model, images, *batch)
        return [float(found), isinstance(found, float), [m.training for m in model.modules()], model.state_dict()]

    return [partial(case, training, batch) for training in (True, False) for batch in ((), (10,), (37,), (1,))]


def punch_holes(punch: Callable) -> list[Callable]:
    def case(size: int, height: int, width: int) -> list:
        images = torch.rand(3000, 2, height, width) + 1
        before, state = images.clone(), torch.get_rng_state()
        holed = punch(images, size, torch.Generator().manual_seed(0))
        again = punch(images, size, torch.Generator().manual_seed(0))
        gone = holed == 0
        rows, columns = gone[:, 0].any(2), gone[:, 0].any(1)
        places = torch.stack([rows.int().argmax(1), columns.int().argmax(1)], 1)
        counts = torch.bincount(places[:, 0] * width + places[:, 1], minlength=height * width).double() / len(images)
        return [
            torch.equal(images, before),
            torch.equal(holed, again),
            torch.equal(torch.get_rng_state(), state),
            torch.equal(holed[~gone], images[~gone]),
            bool((gone.flatten(2).sum(2) == size * size).all()),
            bool((rows.sum(1) == size).all() and (columns.sum(1) == size).all()),
            torch.equal(gone[:, 0], gone[:, 1]),
            (counts > 0).tolist(),
            bool(counts.max() < 1.6 * counts[counts > 0].mean()),
        ]

    return [partial(case, *c) for c in ((2, 6, 5), (1, 4, 4), (3, 3, 7))]


def curve(test_error: list[float], start: int = 1) -> dict:
    epochs = np.arange(start, start + len(test_error))
    return {"epoch": epochs, "iteration": 390 * epochs, "test_error": np.array(test_error)}


CURVES = (curve([9.0, 7.0, 8.0, 7.5]), curve([5.0]), curve([9.0, 4.0, 4.0, 6.0], 3), curve([9.0, 8.0, 7.0]))
BLOCKS = (((4, 4), (2, 4, 8, 7)), ((3, 5, 2), (2, 3, 9, 8)), ((4, 4, 2), (2, 4, 8, 8)), ((3, 6, 1), (2, 3, 5, 5)))
BOTTLENECKS = (((8, 2), (2, 8, 8, 7)), ((6, 3, 2), (2, 6, 9, 8)), ((8, 2, 2), (2, 8, 8, 8)), ((4, 2), (2, 4, 5, 5)))
WIDER = (
    *BOTTLENECKS,
    ((8, 4, 1, 2, 32), (2, 8, 6, 6)),
    ((8, 4, 2, 4, 16), (2, 8, 6, 6)),
    ((8, 4, 1, 1, 96), (2, 8, 5, 5)),
)
POOLED = (((3, 5, 2), (2, 3, 8, 8)), ((3, 5, 2), (2, 3, 7, 9)), ((4, 4, 1), (2, 4, 5, 5)), ((2, 3, 3), (2, 2, 9, 7)))
SIZES = [(9, 8, 3, 5, 3), (9, 8, 3, 5, 3, 2, 1), (11, 7, 2, 4, 5, 1, 2, 1, False), (16, 12, 1, 2, 3, 2, 2, 2, True)]

ORACLES: dict[str, Callable] = {
    "ex_1_2": value_cases(*SIZES, (20, 20, 4, 4, 1, 3, 0, 1, True), (7, 9, 2, 3, 2, 2, 1, 3, False)),
    "ex_1_3": batchnorm,
    "ex_1_4": module_cases(((), (4, 1, 8, 8)), ((4, 2), (4, 1, 6, 7)), ((5, 1, 3), (4, 1, 5, 5))),
    "ex_1_5": wide_view,
    "ex_2_3": signed_identity,
    "ex_2_4": gradient_ratio,
    "ex_2_5": fair_demo,
    "ex_3_2": module_cases(((3, 1), (2, 3, 6, 5)), ((4, 2), (2, 4, 6, 6)), ((2, 3), (3, 2, 5, 5))),
    "ex_3_3": unit_backward,
    "ex_3_4": fixed_block,
    "ex_3_5": set_to_swap,
    "ex_4_2": module_cases(*BLOCKS),
    "ex_4_3": module_cases(*POOLED),
    "ex_4_4": module_cases(*BLOCKS),
    "ex_5_2": data,
    "ex_5_3": module_cases(*WIDER),
    "ex_5_4": module_cases(*BOTTLENECKS),
    "ex_6_2": builder,
    "ex_6_3": module_cases(((4, (1, 2, 3, 2)), (2, 4, 16, 16)), ((2, (2, 1, 1, 1)), (2, 2, 17, 16))),
    "ex_6_4": dilate,
    "ex_7_2": small_network(((64, 64), (50, 70)), (BasicBlock, [2, 1, 2, 1], 5), (Bottleneck, [1, 1, 2, 1], 4)),
    "ex_7_3": load_body,
    "ex_7_4": small_network(((64, 64), (100, 70)), (7,)),
    "ex_8_2": schedule,
    "ex_8_3": accumulated,
    "ex_8_4": sound_error,
    "ex_8_5": punch_holes,
    "ex_9_1": value_cases(*((run,) for run in CURVES)),
    "ex_9_2": value_cases(*((np.sin(np.arange(n) ** 2.0), w) for n in (1, 2, 5, 12) for w in (1, 3, 5, 9))),
    "ex_9_3": value_cases(*((list(CURVES[:k]), 7.25, i) for k in (0, 1, 3, 4) for i in (390, 1170, 1560, 9999))),
    "ex_9_4": two_decimals,
}
