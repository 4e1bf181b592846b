"""Each probe against a case computed by hand, and against its promise to leave no trace."""

import math

import pytest
import torch
from torch import nn

from resnet_edu import probes
from resnet_edu.blocks import BasicBlock, PlainBlock
from resnet_edu.cifar import cifar_plain, cifar_resnet

SMALL = {"widths": (4, 8, 16), "in_channels": 1}
IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(6)

PROBES = {
    "activation_std": lambda model: probes.activation_std(model, IMAGES),
    "activation_gradient_norm": lambda model: probes.activation_gradient_norm(model, IMAGES, LABELS),
    "weight_gradient_norm": lambda model: probes.weight_gradient_norm(model, IMAGES, LABELS),
    "layer_responses": lambda model: probes.layer_responses(model, IMAGES, training=True),
    "distance_from_identity": lambda model: probes.distance_from_identity(model, IMAGES, training=True),
}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return cifar_resnet(14, **SMALL)


def everything(model):
    """All that a probe could leave changed, copied, with the identity of each tensor."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "values": {name: (id(tensor), tensor.detach().clone()) for name, tensor in tensors.items()},
        "grads": {
            name: None if p.grad is None else (id(p.grad), p.grad.clone()) for name, p in model.named_parameters()
        },
        "frozen": [p.requires_grad for p in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "hooks": [
            (len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks))
            for module in model.modules()
        ],
        "random": torch.get_rng_state(),
    }


def assert_same(before, after):
    for key in ("frozen", "modes", "hooks"):
        assert before[key] == after[key], key
    assert torch.equal(before["random"], after["random"])
    for key in ("values", "grads"):
        for name, old in before[key].items():
            new = after[key][name]
            if old is None:
                assert new is None, name
            else:
                assert old[0] == new[0] and torch.equal(old[1], new[1]), name


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
@pytest.mark.parametrize("grads", ["none", "old"])
def test_a_probe_leaves_no_trace(model, probe, grads):
    model.layer1.append(nn.Dropout(0.5))  # draws random numbers in training mode
    model.eval()
    model.layer2.train()  # a mixture of modes
    if grads == "old":
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
    before = everything(model)
    first = probe(model)
    assert_same(before, everything(model))
    if grads == "none":  # and so a second look sees the same; dropout draws the same numbers again
        assert probe(model) == first


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_a_probe_that_fails_leaves_no_trace(model, probe):
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken on purpose")

    model.fc = Broken()
    model.layer1.eval()
    before = everything(model)
    with pytest.raises(RuntimeError, match="on purpose"):
        probe(model)
    assert_same(before, everything(model))


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
@pytest.mark.parametrize("training", [True, False])
def test_a_loss_that_waits_for_its_backward_can_have_it(model, probe, training):
    model.train(training)
    loss = nn.functional.cross_entropy(model(IMAGES), LABELS)
    probe(model)
    loss.backward()
    assert model.conv1.weight.grad.norm() > 0


def test_buffers_that_the_run_makes_are_taken_away_and_shared_ones_stay_shared():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", None)
            self.register_buffer("total", torch.zeros(()))

        def forward(self, x):
            self.seen = torch.ones(())
            self.register_buffer("late", torch.ones(()))
            self.total += 1
            return x + 0 * self.total

    one, other = Counts(), Counts()
    other.total, other.conv = one.total, nn.Conv2d(1, 1, 1)
    totals = []
    other.register_forward_hook(lambda module, *_: totals.append(module.total.item()))
    model = nn.Sequential(one, other, nn.Conv2d(1, 1, 1))
    probes.activation_std(model, IMAGES)
    assert totals == [2]  # one counter for both, in the run too
    assert one.total is other.total and one.total == 0
    assert one.seen is other.seen is None and not hasattr(one, "late")


@pytest.mark.parametrize(
    "probe",
    [
        probes.activation_std,
        lambda net, x: probes.activation_gradient_norm(net, x, LABELS),
        lambda net, x: probes.weight_gradient_norm(net, x, LABELS),
        probes.layer_responses,
        probes.distance_from_identity,
    ],
)
def test_images_stay_as_they_are_behind_a_first_relu_in_place(model, probe):
    images = IMAGES.clone()
    probe(nn.Sequential(nn.ReLU(inplace=True), model), images)
    assert torch.equal(images, IMAGES)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_hooks_of_others_are_left_alone(model, probe):
    calls = []
    model.layer1[0].conv1.register_forward_hook(lambda *_: calls.append(1))
    probe(model)
    assert len(calls) == 1 and len(model.layer1[0].conv1._forward_hooks) == 1


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_a_probe_works_where_gradients_are_off(model, probe):
    expected = probe(model)
    with torch.no_grad():
        assert probe(model) == expected
        assert not torch.is_grad_enabled()
    images = IMAGES.clone()
    assert images.grad is None and not images.requires_grad


def test_names_come_in_the_order_of_the_forward_pass(model):
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    for probe in (probes.activation_std(model, IMAGES), probes.activation_gradient_norm(model, IMAGES, LABELS)):
        assert list(probe) == convolutions
    assert list(probes.weight_gradient_norm(model, IMAGES, LABELS)) == [*convolutions, "fc"]

    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.second, self.first = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return self.second(self.first(x))

    assert list(probes.activation_std(Backwards(), IMAGES)) == ["first", "second"]


def test_activation_std_by_hand():
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1))
    images = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1)
    # outputs -1, -3, 1, 3: mean 0, mean square 5; after the ReLU 0, 0, 1, 3: mean 1, mean square 2.5
    assert probes.activation_std(model, images, (nn.Conv2d, nn.ReLU)) == pytest.approx({"0": 5**0.5, "1": 1.5**0.5})


def test_activation_std_takes_units_and_counts_repeats(model):
    assert list(probes.activation_std(model, IMAGES, BasicBlock)) == [
        f"layer{s}.{u}" for s in (1, 2, 3) for u in (0, 1)
    ]
    relus = list(probes.activation_std(model, IMAGES, nn.ReLU))
    assert relus[:3] == ["relu", "layer1.0.relu", "layer1.0.relu:2"]


MODES = {
    "activation_std": lambda net, **mode: probes.activation_std(net, IMAGES, nn.BatchNorm2d, **mode),
    "activation_gradient_norm": lambda net, **mode: probes.activation_gradient_norm(net, IMAGES, LABELS, **mode),
    "weight_gradient_norm": lambda net, **mode: probes.weight_gradient_norm(net, IMAGES, LABELS, **mode),
    "layer_responses": lambda net, **mode: probes.layer_responses(net, IMAGES, **mode),
    "distance_from_identity": lambda net, **mode: probes.distance_from_identity(net, IMAGES, **mode)[0],
}


@pytest.mark.parametrize("name", MODES)
def test_the_mode_decides_what_bn_uses(model, name):
    """Running statistics count in evaluation mode alone; each probe's own default is one of the two modes."""
    look = MODES[name]
    training, evaluation = look(model, training=True), look(model, training=False)
    default = evaluation if name in ("layer_responses", "distance_from_identity") else training
    assert look(model) == default
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(100.0)
    assert look(model, training=True) == training
    now = look(model, training=False)
    assert list(now) == list(evaluation)
    assert all(now[layer] != pytest.approx(evaluation[layer], rel=0.01) for layer in now)


def test_bn_gives_deviation_1_in_training_and_divides_by_the_running_one_in_evaluation(model):
    model.bn1.running_var.fill_(100.0)
    shifted = 10 * IMAGES
    training = probes.activation_std(model, shifted, nn.BatchNorm2d)["bn1"]
    evaluation = probes.activation_std(model, shifted, nn.BatchNorm2d, training=False)["bn1"]
    raw = probes.activation_std(model, shifted)["conv1"]
    assert training == pytest.approx(1, rel=1e-3) and evaluation == pytest.approx(raw / 10, rel=1e-3)
    assert probes.layer_responses(model, shifted)["bn1"] == pytest.approx(raw / 10, rel=1e-3)


def test_gradients_by_hand():
    # logits (w x, 0) with w = 2 and x = ln 2: softmax (4/5, 1/5), label 0, so dloss/dlogits = (-1/5, 1/5)
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1, bias=False)
            nn.init.constant_(self.conv.weight, 2)

        def forward(self, x):
            logit = self.conv(x).flatten(1)
            return torch.cat([logit, torch.zeros_like(logit)], dim=1)

    x = torch.full((1, 1, 1, 1), math.log(2))
    label = torch.tensor([0])
    assert probes.activation_gradient_norm(Two(), x, label) == pytest.approx({"conv": 0.2})
    assert probes.weight_gradient_norm(Two(), x, label) == pytest.approx({"conv": 0.2 * math.log(2)})
    # twice the image in a batch of mean loss: half the gradient at each, so the norm over both is 1/sqrt(2) of one
    two = x.repeat(2, 1, 1, 1)
    assert probes.activation_gradient_norm(Two(), two, label.repeat(2)) == pytest.approx({"conv": 0.2 / 2**0.5})
    assert probes.weight_gradient_norm(Two(), two, label.repeat(2)) == pytest.approx({"conv": 0.2 * math.log(2)})


def test_weight_gradients_are_those_of_backward(model):
    norms = probes.weight_gradient_norm(model, IMAGES, LABELS)
    nn.functional.cross_entropy(model.train()(IMAGES), LABELS).backward()
    expected = {name: module.weight.grad.norm().item() for name, module in model.named_modules() if name in norms}
    assert norms == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("inplace", [False, True])
def test_the_gradient_is_that_of_the_layers_own_output(inplace):
    """An in-place ReLU overwrites the convolution's output; its gradient must still be the one before the ReLU."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(inplace=inplace), nn.Flatten())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
    # logits (ReLU(1), ReLU(-1)) = (1, 0): only the first is let through, with gradient softmax - 1
    x = torch.ones(1, 1, 1, 1)
    expected = 1 - math.e / (math.e + 1)
    assert probes.activation_gradient_norm(model, x, torch.tensor([0])) == pytest.approx({"0": expected})


def test_frozen_weights():
    model = cifar_plain(8, **SMALL).requires_grad_(False)
    assert min(probes.activation_gradient_norm(model, IMAGES, LABELS).values()) > 0
    with pytest.raises(ValueError, match=r"conv1 is frozen"):
        probes.weight_gradient_norm(model, IMAGES, LABELS)


def test_a_layer_without_influence_has_norm_zero():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Conv2d(1, 2, 8), nn.Conv2d(1, 2, 8)

        def forward(self, x):
            self.unused(x)
            return self.used(x).flatten(1)

    for probe in (probes.activation_gradient_norm, probes.weight_gradient_norm):
        norms = probe(Aside(), IMAGES, LABELS % 2)
        assert norms["unused"] == 0 and norms["used"] > 0


def test_layer_responses_leave_out_projections():
    model = cifar_resnet(14, "B", **SMALL)
    names = list(probes.layer_responses(model, IMAGES))
    assert len(names) == 13 and not any("downsample" in name for name in names)
    with torch.no_grad():
        model.layer2[0].bn2.weight.fill_(0.25)
    assert probes.layer_responses(model, IMAGES, training=True)["layer2.0.bn2"] == pytest.approx(0.25, rel=1e-2)


def test_layer_responses_count_only_a_bn_right_behind_its_convolution():
    class After(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn1, self.bn2 = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.BatchNorm2d(1)

        def forward(self, x):
            return self.bn2(x + self.bn1(self.conv(x)))  # bn2 sees a sum, as in a pre-activation unit

    assert list(probes.layer_responses(After(), IMAGES)) == ["bn1"]


def test_a_shared_layer_is_one_weight_and_two_outputs():
    shared = nn.Conv2d(1, 1, 3, padding=1)
    model = nn.Sequential(shared, nn.Tanh(), shared, nn.Flatten())
    assert list(probes.activation_std(model, IMAGES)) == ["0", "0:2"]
    assert list(probes.weight_gradient_norm(model, IMAGES, LABELS)) == ["0"]


def test_a_unit_whose_last_bn_is_zero_is_the_identity(model):
    nn.init.zeros_(model.layer1[1].bn2.weight)
    corrections, changes = probes.distance_from_identity(model, IMAGES)
    assert corrections["layer1.1"] == 0 and changes["layer1.1"] == 0
    assert corrections["layer2.1"] > 0 and changes["layer2.1"] > 0


def test_units_that_change_the_shape_do_not_count(model):
    corrections, changes = probes.distance_from_identity(model, IMAGES)
    assert list(corrections) == list(changes) == ["layer1.0", "layer1.1", "layer2.1", "layer3.1"]


def test_distance_by_hand():
    unit = BasicBlock(1, 1, norm_layer=nn.Identity).requires_grad_(False)
    for conv, weight in ((unit.conv1, 1.0), (unit.conv2, -0.5)):
        conv.weight.zero_()[0, 0, 1, 1] = weight
    x = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1)  # F(x) = -x/2, y = x/2
    assert probes.distance_from_identity(nn.Sequential(unit), x) == ({"0": 0.5}, {"0": 0.5})
    unit.conv2.weight.mul_(6)  # F(x) = -3x, and the ReLU stops y at 0
    assert probes.distance_from_identity(nn.Sequential(unit), x) == ({"0": 3.0}, {"0": 1.0})


def test_distance_is_the_mean_over_images_and_safe_from_addition_in_place():
    class InPlace(nn.Module):  # as torchvision writes it
        downsample = None

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)
            nn.init.zeros_(self.conv.weight)
            nn.init.constant_(self.conv.bias, 6)

        def forward(self, x):
            out = self.conv(x)
            out += x
            return out

    x = torch.tensor([2.0, 3.0]).reshape(2, 1, 1, 1)  # F(x) = 6 for both: ratios 3 and 2
    assert probes.distance_from_identity(nn.Sequential(InPlace()), x) == ({"0": 2.5}, {"0": 2.5})


def test_units_that_do_not_add_do_not_count():
    class Half(BasicBlock):
        def forward(self, x):
            return super().forward(x) / 2

    with pytest.raises(ValueError, match="identity shortcut"):
        probes.distance_from_identity(nn.Sequential(Half(1, 1)), IMAGES)


def test_nothing_to_measure_is_an_error():
    plain = cifar_plain(8, **SMALL)
    with pytest.raises(ValueError, match="identity shortcut"):
        probes.distance_from_identity(plain, IMAGES)
    with pytest.raises(ValueError, match="no Conv3d or BasicBlock ran"):
        probes.activation_std(plain, IMAGES, (nn.Conv3d, BasicBlock))
    with pytest.raises(ValueError, match="BatchNorm2d"):
        probes.layer_responses(cifar_plain(8, norm_layer=nn.Identity, **SMALL), IMAGES)
    with pytest.raises(ValueError, match="no BatchNorm2d right behind a 3x3 convolution"):
        probes.layer_responses(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)), IMAGES)
    with pytest.raises(ValueError, match="no Conv3d or BasicBlock ran"):
        probes.activation_std(plain, IMAGES, nn.Conv3d | BasicBlock)
    assert len(probes.activation_std(plain, IMAGES, PlainBlock)) == 3
    assert len(probes.activation_std(plain, IMAGES, PlainBlock | nn.Linear)) == 4


@pytest.mark.parametrize(
    ("layers", "named"), [(nn.ReLU, r"relu \(ReLU\) has no weight"), (nn.BatchNorm2d, r"bn1 \(BatchNorm2d\) has no")]
)
def test_a_layer_without_a_weight_is_named(layers, named):
    plain = cifar_plain(8, norm_layer=lambda planes: nn.BatchNorm2d(planes, affine=False), **SMALL)
    with pytest.raises(ValueError, match=named):
        probes.weight_gradient_norm(plain, IMAGES, LABELS, layers)


def test_a_nan_in_the_network_is_shown(model):
    nn.init.constant_(model.layer1[0].conv1.weight, math.nan)
    for ratios in probes.distance_from_identity(model, IMAGES):
        assert len(ratios) == 4 and all(math.isnan(ratio) for ratio in ratios.values())


def test_circular_padding_is_a_copy_that_wraps_around():
    model = cifar_plain(8, **SMALL)
    before = everything(model)
    wrapped = probes.circular_padding(model)
    assert_same(before, everything(model))
    assert {m.padding_mode for m in model.modules() if isinstance(m, nn.Conv2d)} == {"zeros"}
    conv, own = wrapped.layer1[0].conv1, model.layer1[0].conv1
    assert conv.weight is not own.weight and torch.equal(conv.weight, own.weight)
    x = torch.randn(2, 4, 8, 8)
    by_hand = nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), own.weight)
    assert torch.allclose(conv(x), by_hand, atol=1e-6)
    assert wrapped(IMAGES).shape == (6, 10)
