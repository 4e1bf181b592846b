"""Chapter 8's checks accept right answers, however written, and say to each wrong one what belongs to it."""

import numpy as np
import pytest
import torch

from resnet_edu import checks
from resnet_edu.data.published import PUBLISHED
from resnet_edu.train.recipe import Recipe

# ---------------------------------------------------------------- 8.1 a run on paper

ON_PAPER = {
    "iterations an epoch": 468,
    "images left out": 96,
    "megabytes": 47,
    "views": 98,
    "first drop": 4_680,
    "waits": 936,
}


def test_8_1_accepts_right_answers(verdict, earns) -> None:
    assert verdict(checks.ex_8_1, dict(reversed(ON_PAPER.items()))) == "Exercise 8.1: right."
    assert earns(checks.ex_8_1, ON_PAPER)
    assert earns(checks.ex_8_1, ON_PAPER | {"megabytes": 47.0})  # computed with a slash
    assert earns(checks.ex_8_1, ON_PAPER | {"views": np.int64(98), "waits": torch.tensor(936)})


def test_8_1_agrees_with_the_package() -> None:
    published = PUBLISHED["fashion_mnist"]
    iterations, left_out = divmod(published.train, Recipe().batch_size)
    assert (iterations, left_out) == (ON_PAPER["iterations an epoch"], ON_PAPER["images left out"])
    assert Recipe(epochs=20).drops(total=20 * iterations)[0] == ON_PAPER["first drop"]
    channels, height, width = published.shape
    assert round(published.train * channels * height * width / 1e6) == ON_PAPER["megabytes"]
    assert (2 * (width // 8) + 1) ** 2 * 2 == ON_PAPER["views"]


def test_8_1_knows_the_stub(verdict, earns) -> None:
    assert verdict(checks.ex_8_1, ON_PAPER | {"views": ...}) == "Exercise 8.1: not attempted yet."
    assert not earns(checks.ex_8_1, ON_PAPER | {"views": ...})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("iterations an epoch", 469, "sit out"),
        ("iterations an epoch", 468.75, "whole number"),
        ("iterations an epoch", 390, "whole batches of 128"),
        ("images left out", 32, "missing from another"),
        ("images left out", 0, "no multiple"),
        ("images left out", 1, "last whole batch"),
        ("megabytes", 188, "float32"),
        ("megabytes", 141, "grey"),
        ("megabytes", 1, "One byte for each"),
        ("views", 162, "padding of 4"),
        ("views", 49, "mirrored"),
        ("views", 72, "not 2p"),
        ("views", 32, "at 0 as well"),
        ("views", 14, "Rows AND columns"),
        ("views", 3, "times two"),
        ("first drop", 32_000, "keeps the proportion"),
        ("first drop", 10, "count iterations"),
        ("first drop", 7_020, "second drop"),
        ("first drop", 4_681, "Which part"),
        ("waits", 468, "two calls"),
        ("waits", 2, "this chapter's loop"),
        ("waits", 18_720, "one epoch"),
        ("waits", True, "should be one number"),
        ("waits", b"936", "should be one number"),
        ("waits", 10**400, "should be one number"),
        ("waits", 7, "Two for each"),
    ],
)
def test_8_1_names_the_mistake(verdict, earns, key, value, words) -> None:
    said = verdict(checks.ex_8_1, ON_PAPER | {key: value})
    assert words in said and f"`{key}`" in said
    assert str(ON_PAPER[key]) not in said.replace(str(value), "")  # a prediction: the check does not give it away
    assert not earns(checks.ex_8_1, ON_PAPER | {key: value})


@pytest.mark.parametrize("answer", [None, {}, list(ON_PAPER.values())])
def test_8_1_asks_for_the_keys(verdict, answer) -> None:
    assert "dict with the keys iterations" in verdict(checks.ex_8_1, answer)


# ---------------------------------------------------------------- 8.2 warm up, then glide

SCHEDULE = """\
import math
def warmup_cosine(optimizer, warmup, total):
    def factor(i):
        if i < warmup:
            return (i + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (i - warmup) / (total - warmup)))
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
"""
COSINE = "0.5 * (1 + math.cos(math.pi * (i - warmup) / (total - warmup)))"
SCHEDULE_AS_CLASS = """\
import math
class Warmup(torch.optim.lr_scheduler.LRScheduler):
    def __init__(self, optimizer, warmup, total):
        self.w, self.t = warmup, total
        super().__init__(optimizer)
    def get_lr(self):
        i, w, t = self.last_epoch, self.w, self.t
        share = (i + 1) / w if i < w else math.cos(math.pi * min(i - w, t - w) / (t - w) / 2) ** 2
        return [lr * share for lr in self.base_lrs]
def warmup_cosine(optimizer, warmup, total):
    return Warmup(optimizer, warmup, total)
"""
SCHEDULE_WITH_TENSORS = SCHEDULE.replace(COSINE, COSINE.replace("math.cos(math", "torch.cos(torch.tensor(1.0) * math"))


def test_8_2_accepts_right_answers(verdict, earns, write) -> None:
    for source in (SCHEDULE, SCHEDULE_AS_CLASS, SCHEDULE_WITH_TENSORS):
        answer = write(source, "warmup_cosine")
        assert verdict(checks.ex_8_2, answer) == "Exercise 8.2: right."
        assert earns(checks.ex_8_2, answer)


STUB = "def answer(*arguments):\n    raise NotImplementedError\n"


@pytest.mark.parametrize("check", [checks.ex_8_2, checks.ex_8_3, checks.ex_8_4, checks.ex_8_5])
def test_8_2_to_8_5_know_the_stub(verdict, earns, write, check) -> None:
    for source in (STUB, STUB.replace("raise NotImplementedError", "return ...")):
        assert verdict(check, write(source, "answer")).endswith(": not attempted yet.")
        assert not earns(check, write(source, "answer"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("(i + 1) / warmup", "i / warmup")], "a rate of 0 wastes a step"),
        ([("(i - warmup) / (total - warmup)", "i / total")], "starts when the warm-up ends"),
        ([("/ (total - warmup)", "/ total")], "only the T - w iterations"),
        ([("(i + 1) / warmup", "1.0")], "no warm-up"),
        ([(COSINE, "1.0")], "no cosine"),
        ([("i < warmup", "i <= warmup"), ("return (i + 1) / warmup", "return (i + 1) / max(warmup, 1)")], "belongs to"),
        ([(COSINE, "math.cos(math.pi * (i - warmup) / (total - warmup) / 2)")], "a quarter of a cosine"),
        ([(COSINE, "math.cos(math.pi * (i - warmup) / (total - warmup))")], "falls to -1"),
        ([(COSINE, "1 - (i - warmup) / (total - warmup)")], "in a line"),
        ([("math.pi * ", "")], "where is pi"),
        (
            [("return (i + 1)", "return ETA * (i + 1)"), ("0.5 *", "0.5 * ETA *"), ("ETA", "optimizer.defaults['lr']")],
            "came in twice",
        ),
        ([("def factor(i):", "def factor(i):\n        i = max(i - 1, 0)")], "iteration late"),
        ([("def factor(i):", "def factor(i):\n        i = min(i + 1, total - 1)")], "iteration early"),
        ([("def factor(i):", "def factor(i):\n        i = i // 2")], "Print the rates"),
        ([("return torch", "return factor or torch")], "scheduler of PyTorch"),
        (
            [("if i < warmup:\n            return", "warm ="), ("return 0.5", "return warm if i < warmup else 0.5")],
            "by zero",
        ),
        (
            [("def factor(i):", "count = [-1]\n    def factor(i):\n        count[0] += 1\n        i = count[0]")],
            "depend on anything but the iteration",
        ),
    ],
)  # fmt: skip
def test_8_2_names_the_mistake(verdict, earns, write, changes, words) -> None:
    answer = write(SCHEDULE, "warmup_cosine", *changes)
    assert words in verdict(checks.ex_8_2, answer)
    assert not earns(checks.ex_8_2, answer)


# ---------------------------------------------------------------- 8.3 a large batch in small parts

STEP = """\
def accumulated_step(model, optimizer, images, labels, parts):
    optimizer.zero_grad()
    total = 0
    for x, y in zip(images.chunk(parts), labels.chunk(parts)):
        loss = F.cross_entropy(model(x), y) * len(x) / len(images)
        loss.backward()
        total = total + loss.detach()
    optimizer.step()
    return total
"""
STEP_OTHERWISE = """\
def accumulated_step(model, optimizer, images, labels, parts):
    total, size = 0.0, -(-len(images) // parts)
    for x, y in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(x), y, reduction="sum") / len(labels)
        loss.backward()
        total += loss.item()
    optimizer.step()
    for p in model.parameters():
        p.grad = None
    return total
"""


def test_8_3_accepts_right_answers(verdict, earns, write) -> None:
    for source in (STEP, STEP_OTHERWISE, STEP.replace("return total", "return total.numpy()")):
        answer = write(source, "accumulated_step")
        assert verdict(checks.ex_8_3, answer) == "Exercise 8.3: right."
        assert earns(checks.ex_8_3, answer)


ZERO = "    optimizer.zero_grad()\n"
BY_HAND = """\
    with torch.no_grad():
        for p in model.parameters():
            p -= optimizer.param_groups[0]["lr"] * p.grad"""
ALL_AT_ONCE = """\
def accumulated_step(model, optimizer, images, labels, parts):
    optimizer.zero_grad()
    loss = F.cross_entropy(torch.cat([model(x) for x in images.chunk(parts)]), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()
"""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([(ZERO, "")], "what is in .grad when the next one begins"),
        ([(" * len(x) / len(images)", "")], "the SUM of the parts' means"),
        ([(" * len(x) / len(images)", " / parts")], "a smaller part has a smaller share"),
        ([(ZERO, ""), ("        loss.back", "        optimizer.zero_grad()\n        loss.back")], "Only the last part"),
        ([(ZERO, ""), ("    optimizer.step", ZERO + "    optimizer.step")], "do not move"),
        ([("    optimizer.step()\n", "")], "do not move"),
        ([("loss.backward()", "(-loss).backward()")], "uphill"),
        ([(" * len(x) / len(images)", " * len(x)")], "the sum over the images"),
        ([("total = total + loss.detach()", "total = loss.detach()")], "Add up the weighted losses"),
        ([("loss.detach()", "loss")], "detach it"),
        ([("return total", "return None")], "should be one number, but it is None"),
        ([("chunk(parts)", "chunk(1)")], "at once"),
        ([("    optimizer.step()", "        optimizer.step()")], "steps for one batch"),
        ([("    optimizer.step()", BY_HAND)], "not by optimizer.step()"),
        ([("    optimizer.step()", "    model[1].weight.grad *= 1.1\n    optimizer.step()")], "one backward pass"),
    ],
)  # fmt: skip
def test_8_3_names_the_mistake(verdict, earns, write, changes, words) -> None:
    answer = write(STEP, "accumulated_step", *changes)
    assert words in verdict(checks.ex_8_3, answer)
    assert not earns(checks.ex_8_3, answer)


def test_8_3_wants_one_part_in_memory_at_a_time(verdict, earns, write) -> None:
    answer = write(ALL_AT_ONCE, "accumulated_step")
    assert "8 of 8 images are in memory at once" in verdict(checks.ex_8_3, answer)
    assert not earns(checks.ex_8_3, answer)


def test_8_3_refuses_the_chapters_broken_step(earns, write) -> None:
    changes = [(ZERO, ""), (" * len(x) / len(images)", ""), ("total + loss", "loss")]
    assert not earns(checks.ex_8_3, write(STEP, "accumulated_step", *changes))


# ---------------------------------------------------------------- 8.4 a test error that harms

ERROR = """\
def sound_error(model, data, batch_size=100):
    was_training = model.training
    model.eval()
    wrong = 0
    with torch.no_grad():
        for images, labels in data.in_order(batch_size):
            logits = model(data.prepare(images))
            wrong += (logits.argmax(dim=1) != labels).sum().item()
    model.train(was_training)
    return 100 * wrong / len(data.labels)
"""
BATCHES = "/ len(data.labels.split(batch_size))"
ERROR_OTHERWISE = """\
@torch.inference_mode()
def sound_error(model, data, batch_size=100):
    modes = {m: m.training for m in model.modules()}
    model.train(False)
    read = torch.cat([model(data.prepare(x)).argmax(1) for x in data.images.split(batch_size)])
    for m, mode in modes.items():
        m.training = mode
    return 100 - 100 * (read == data.labels).double().mean()
"""


def test_8_4_accepts_right_answers(verdict, earns, write) -> None:
    in_numpy = ERROR.replace("return 100 * wrong", "import numpy as np\n    return np.float32(100 * wrong)")
    for source in (ERROR, ERROR_OTHERWISE, in_numpy):
        answer = write(source, "sound_error")
        assert verdict(checks.ex_8_4, answer) == "Exercise 8.4: right."
        assert earns(checks.ex_8_4, answer)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("    model.eval()\n", "")], "in training mode"),
        ([("model.train(was_training)", "model.train()")], "came in evaluation mode"),
        ([("    model.train(was_training)\n", "")], "came in training mode"),
        ([("with torch.no_grad()", "if True")], "torch.no_grad()"),
        (
            [("!= labels).sum()", "!= labels).float().mean()"), ("/ len(data.labels)", BATCHES)],
            "the last batch is smaller: count errors",
        ),
        ([("/ len(data.labels)", BATCHES + " / batch_size")], "divide by the number of images"),
        (
            [
                ("            logits", "            if len(labels) < batch_size: continue\n            logits"),
                ("/ len(data.labels)", "/ max(len(data.labels) // batch_size * batch_size, 1)"),
            ],
            "is left out",
        ),
        ([("!= labels", "== labels")], "the accuracy"),
        ([("100 * wrong", "wrong")], "times 100 for percent"),
        ([("100 * wrong / len(data.labels)", "wrong")], "the number of errors"),
        ([("wrong +=", "wrong ="), ("len(data.labels)", "len(labels)")], "Only the last batch"),
        ([("100 * wrong", "90 * wrong")], "largest logit"),
        ([("return 100", "return str"), ("* wrong / len(data.labels)", "(wrong)")], "should be one number"),
        ([("data.prepare(images)", "images / 255")], "images as they are stored"),
        ([("in_order(batch_size)", "in_order(1000)")], "7 images at once with batch_size=3"),
        ([("return 100 * wrong / len(data.labels)", "return round(100 * wrong / len(data.labels), 2)")], "rounded"),
        ([("    model.eval()\n", "    model.eval()\n    model.requires_grad_(False)\n")], "`norm.weight`"),
        ([("    model.eval()\n", "    model.eval()\n    model.norm.running_mean += 1\n")], "`norm.running_mean`"),
    ],
)  # fmt: skip
def test_8_4_names_the_mistake(verdict, earns, write, changes, words) -> None:
    answer = write(ERROR, "sound_error", *changes)
    assert words in verdict(checks.ex_8_4, answer)
    assert not earns(checks.ex_8_4, answer)


# ---------------------------------------------------------------- 8.5 a hole in every image

HOLES = """\
def punch_holes(images, size, generator):
    count, _, height, width = images.shape
    top = torch.randint(height - size + 1, (count, 1), generator=generator)
    left = torch.randint(width - size + 1, (count, 1), generator=generator)
    rows, columns = torch.arange(height) - top, torch.arange(width) - left
    rows, columns = (rows >= 0) & (rows < size), (columns >= 0) & (columns < size)
    hole = rows[:, None, :, None] & columns[:, None, None, :]
    return images.masked_fill(hole, 0)
"""
LEFT = "left = torch.randint(width - size + 1, (count, 1), generator=generator)"
HOLES_ONE_BY_ONE = """\
def punch_holes(images, size, generator):
    images = images.clone()
    places = torch.rand(len(images), 2, generator=generator)
    for image, (a, b) in zip(images, places):
        top, left = int(a * (image.shape[1] - size + 1)), int(b * (image.shape[2] - size + 1))
        image[:, top:top + size, left:left + size] = 0
    return images
"""


def test_8_5_accepts_right_answers(verdict, earns, write) -> None:
    for source in (HOLES, HOLES_ONE_BY_ONE):
        answer = write(source, "punch_holes")
        assert verdict(checks.ex_8_5, answer) == "Exercise 8.5: right."
        assert earns(checks.ex_8_5, answer)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("(count, 1)", "(1, 1)")], "All images have the same hole"),
        ([("height - size + 1", "height - size")], "the lower edge"),
        ([("width - size + 1", "width - size")], "the right edge"),
        ([("images.masked_fill(", "images.masked_fill_(")], "have changed: the data set"),
        ([("] & columns", "] | columns")], "combine their masks with &"),
        ([("rows < size", "rows <= size")], "look at its limits"),
        ([("height - size + 1", "height"), ("width - size + 1", "width")], "wholly inside the image"),
        ([("hole, 0)", "hole, 0)[:, :1]")], "a tensor of that shape"),
        ([("hole, 0)", "~hole, 0)")], "turn the mask round"),
        ([("hole, 0)", "hole, 0).double()")], "it should return the same, but it returns torch.float64"),
        ([("images.masked_fill(hole, 0)", "images * 2 * ~hole")], "stay as they are"),
        (
            [("hole = rows", "hole = torch.rand(count, images.shape[1], 1, 1).round().bool() & rows")],
            "the channels differ",
        ),
        ([(", (count, 1), generator=generator)\n    left", ", (count, 1))\n    left")], "pass generator=generator"),
        (
            [("    top", "    generator = torch.Generator().manual_seed(0)\n    top")],
            "draw from the one that is passed in",
        ),
        ([(LEFT, "left = top * (width - size) // max(height - size, 1)")], "drawn apart"),
        ([(LEFT, "left = 0 * top")], "same column"),
        (
            [(LEFT, "left = (torch.rand(count, 1, generator=generator) * (width - size)).round().long()")],
            "equally likely",
        ),
        (
            [("(count, 1), generator=generator)", "(count, 1), generator=generator)[torch.arange(count) // 8]")],
            "mostly share their hole",
        ),
    ],
)  # fmt: skip
def test_8_5_names_the_mistake(verdict, earns, write, changes, words) -> None:
    answer = write(HOLES, "punch_holes", *changes)
    assert words in verdict(checks.ex_8_5, answer)
    assert not earns(checks.ex_8_5, answer)


def test_8_5_finds_all_three_bugs_of_the_chapters_function(verdict, write) -> None:
    source = """\
def broken_holes(images, size, generator):
    height, width = images.shape[-2:]
    top = torch.randint(max(height - size, 1), (1,), generator=generator).item()
    left = torch.randint(max(width - size, 1), (1,), generator=generator).item()
    images[:, :, top : top + size, left : left + size] = 0
    return images
"""
    repairs = [("images[:,", "images = images.clone()\n    images[:,")]
    assert "have changed: the data set" in verdict(checks.ex_8_5, write(source, "broken_holes"))
    assert "All images have the same hole" in verdict(checks.ex_8_5, write(source, "broken_holes", *repairs))
    one_each = HOLES.replace("- size + 1", "- size")
    assert "no hole touches" in verdict(checks.ex_8_5, write(one_each, "punch_holes"))


def test_the_checks_leave_the_random_generator_alone(write) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    checks.ex_8_3(write(STEP, "accumulated_step"))
    checks.ex_8_5(write(HOLES, "punch_holes"))
    assert torch.equal(torch.get_rng_state(), before)
