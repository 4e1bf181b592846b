"""The checks of exercises 8.3 and 8.4: a step in parts, and an evaluation that leaves the network as it was."""

import copy
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.scalars import number
from resnet_edu.checks.verdict import NotAttempted, Wrong, exercise
from resnet_edu.train.batches import Images


def _model(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Tanh(), nn.Linear(7, 5))


def _weighted_gradients(model: nn.Module, x: Tensor, y: Tensor, parts: int, weigh) -> list[Tensor]:
    chunks = list(zip(x.chunk(parts), y.chunk(parts), strict=True))
    loss = sum(weigh(len(a), len(chunks)) * F.cross_entropy(model(a), b) for a, b in chunks)
    return list(torch.autograd.grad(loss, list(model.parameters())))


def _same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(one, other, strict=True))


@exercise("8.3")
def ex_8_3(answer):
    """Check ``accumulated_step(model, optimizer, images, labels, parts)`` by the weights after each of three calls."""
    for seed, count, parts in ((0, 8, 4), (1, 10, 4), (2, 6, 1)):
        model, lr = _model(seed), 0.5
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        seen = _watch(model, optimizer)
        for call in range(3):
            x, y = torch.randn(count, 3, 2, 2), torch.randint(5, (count,))
            before = [p.detach().clone() for p in model.parameters()]
            twin = copy.deepcopy(model)
            twin.zero_grad()
            right = _weighted_gradients(twin, x, y, 1, lambda n, k: 1.0)
            loss = F.cross_entropy(twin(x), y).detach()
            seen.largest = seen.most_waiting = seen.steps = 0
            seen.waiting.clear()
            met = answer(model, optimizer, x.clone(), y.clone(), parts)
            if met is ...:
                raise NotAttempted
            if seen.largest > -(-count // parts):
                raise Wrong(
                    f"{seen.largest} images of {count} went through the model at once, in {parts} parts. Use chunk."
                )
            if seen.most_waiting > -(-count // parts):
                raise Wrong(
                    f"The activations of {seen.most_waiting} of {count} images are in memory at once in {parts} parts: "
                    "call backward for each part before the next one goes through the model."
                )
            if seen.steps > 1:
                raise Wrong(f"The optimiser takes {seen.steps} steps for one batch: step once, behind the last part.")
            moved = [(a - p.detach()) / lr for a, p in zip(before, model.parameters(), strict=True)]
            if not _same(moved, right):
                what = (
                    f"In call {call + 1}, with {count} images in {parts} parts, it is not the step of the whole batch."
                )
                raise Wrong(f"{what} {_slip_in_step(moved, twin, x, y, parts, call)}")
            if not seen.steps:
                raise Wrong("The weights move as they should, but not by optimizer.step(): momentum would be ignored.")
            _expect_loss(met, loss, count, parts)


def _watch(model: nn.Module, optimizer: torch.optim.Optimizer) -> SimpleNamespace:
    """Return what a step does to memory: the largest batch, and the images that wait for a backward pass."""
    seen = SimpleNamespace(largest=0, waiting=[], most_waiting=0, steps=0)

    def went_through(_, inputs, output) -> None:
        seen.largest = max(seen.largest, len(inputs[0]))
        if output.requires_grad:
            seen.waiting.append(inputs[0])
            seen.most_waiting = max(seen.most_waiting, len(torch.cat(seen.waiting).unique(dim=0)))
            output.register_hook(came_back)

    def came_back(_) -> None:
        seen.waiting.clear()

    def stepped(*_) -> None:
        seen.steps += 1

    model.register_forward_hook(went_through)
    optimizer.register_step_post_hook(stepped)
    return seen


def _slip_in_step(moved: list[Tensor], model: nn.Module, x: Tensor, y: Tensor, parts: int, call: int) -> str:
    count, last = len(x), x.chunk(parts)[-1]
    right = _weighted_gradients(model, x, y, 1, lambda n, k: 1.0)
    sum_of_means = _weighted_gradients(model, x, y, parts, lambda n, k: 1.0)
    mean_of_means = _weighted_gradients(model, x, y, parts, lambda n, k: 1 / k)
    of_last = _weighted_gradients(model, last, y.chunk(parts)[-1], 1, lambda n, k: 1.0)
    zeros = [torch.zeros_like(g) for g in right]
    slips = [
        (
            zeros,
            "The weights do not move: are the gradients set to zero between backward and step, or is step missing?",
        ),
        (sum_of_means, "The gradient is the SUM of the parts' means: weigh each part by its share of the images."),
        (mean_of_means, "It averages the parts alike, but a smaller part has a smaller share of the images."),
        (of_last, "Only the last part counts: zero_grad belongs before the loop over the parts, not into it."),
        ([g * len(last) / count for g in of_last], "Only the last part counts: zero_grad belongs before the loop."),
        ([-g for g in right], "The step goes uphill."),
        ([g * count for g in right], "It is the sum over the images, not their mean."),
    ]
    for gradient, hint in slips:
        if _same(moved, gradient):
            return hint
    if call:
        return "The first call was right: what is in .grad when the next one begins?"
    return "Compare the gradient with that of one backward pass through the whole batch."


def _expect_loss(met, loss: Tensor, count: int, parts: int) -> None:
    if isinstance(met, Tensor) and met.requires_grad:
        raise Wrong("The returned loss still carries its graph, and so the memory of all activations: detach it.")
    met = number("What accumulated_step returns", met)
    if not abs(met - loss.item()) < 1e-4:
        raise Wrong(
            f"The weights are right, but with {count} images in {parts} parts the returned loss should be "
            f"{loss.item():.4f}, the mean over the whole batch, but it is {met:.4f}. Add up the weighted losses."
        )


class _Watched(nn.Module):
    """A network with BatchNorm and dropout that notes in which state it is asked, and what."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.head = nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Linear(8, 3)
        self.norm.running_mean.fill_(0.3)
        self.norm.running_var.fill_(0.2)
        self.modes: list[bool] = []
        self.graphs: list[bool] = []
        self.largest = 0
        self.prepared = True

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.norm.training or self.drop.training)
        self.graphs.append(torch.is_grad_enabled())
        self.largest = max(self.largest, len(x))
        self.prepared &= x.is_floating_point() and bool(x.abs().max() < 0.51)  # bytes / 255 - 0.5
        return self.head(self.drop(self.norm(x)).flatten(1))


@exercise("8.4")
def ex_8_4(answer):
    """Check ``sound_error(model, data, batch_size)``: the exact number, and a network that is as it was."""
    for count, batch_size, training in ((7, 3, True), (7, 3, False), (4, 4, True), (5, 50, False)):
        torch.manual_seed(count)
        model = _Watched().train(training)
        pixels = torch.randint(256, (count, 2, 2, 2), dtype=torch.uint8)
        with torch.no_grad():
            read = copy.deepcopy(model).eval()(pixels / 255 - 0.5).argmax(1)
        wrong = torch.arange(count) >= count - 1 - (count > 4)  # the last ones, so that a small last batch shows
        data = Images(pixels, torch.where(wrong, (read + 1) % 3, read), torch.full((2, 2, 2), 0.5), "cpu")
        right = 100 * wrong.float().mean().item()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        met = answer(model, data, batch_size)
        if met is ...:
            raise NotAttempted
        if any(model.modes):
            raise Wrong(
                "The network gets test images in training mode: BatchNorm then uses the batch's statistics, and moves "
                "its running ones. Call model.eval() before the loop."
            )
        if not model.prepared:
            raise Wrong("The network gets images as they are stored: it was trained on data.prepare(images).")
        if model.largest > batch_size:
            raise Wrong(f"The network gets {model.largest} images at once with batch_size={batch_size}.")
        if frozen := [name for name, p in model.named_parameters() if not p.requires_grad]:
            raise Wrong(f"After the evaluation `{frozen[0]}` of the network cannot be trained any more: requires_grad.")
        if moved := [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]:
            raise Wrong(f"After the evaluation `{moved[0]}` of the network is not what it was.")
        if any(module.training is not training for module in model.modules()):
            came = "training" if training else "evaluation"
            raise Wrong(
                f"The network came in {came} mode and is left in another: note model.training, and put it back."
            )
        met = number("What sound_error returns", met)
        if not abs(met - right) < 1e-3:
            hint = _slip_in_error(met, wrong, batch_size)
            raise Wrong(
                f"With {count} images in batches of {batch_size} the error should be {right:.4f} %, "
                f"but it is {met:.4f}. {hint}"
            )
        if any(model.graphs):
            raise Wrong(
                "The number is right, but each forward pass keeps its activations for a backward pass: torch.no_grad()."
            )


def _slip_in_error(met: float, wrong: Tensor, batch_size: int) -> str:
    parts = wrong.float().split(batch_size)
    full = [part for part in parts if len(part) == batch_size] or parts
    slips = [
        (round(100 * wrong.float().mean().item(), 2), "It is rounded: return the number as it is."),
        (
            100 * torch.stack([part.mean() for part in parts]).mean(),
            "It is the mean of the batches' means, and the last batch is smaller: count errors, divide once.",
        ),
        (100 * torch.cat(full).mean(), "The last, smaller batch is left out."),
        (100 - 100 * wrong.float().mean(), "It is the accuracy: count what is NOT equal."),
        (wrong.float().mean(), "It is a share: times 100 for percent."),
        (wrong.sum(), "It is the number of errors: divide by the number of images, times 100."),
        (100 * parts[-1].mean(), "Only the last batch counts."),
        (100 * wrong.sum() / (len(parts) * batch_size), "The last batch is smaller: divide by the number of images."),
    ]
    return next(
        (hint for value, hint in slips if abs(met - float(value)) < 1e-3),
        "Count the images whose largest logit is not the label's.",
    )
