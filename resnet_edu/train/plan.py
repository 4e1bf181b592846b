"""What determines the result of a training run, in one value that can be compared and written down (chapter 8)."""

from dataclasses import asdict, dataclass, field

from resnet_edu.train.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """What determines the result of a run, but for the machine.

    Args:
        model: a name that :func:`resnet_edu.train.networks.make` knows.
        data: a name that :func:`resnet_edu.data.load` knows.
        recipe: the numbers of the training.
        seed: of the initial weights, the order and the views.
        size: pixels of the images' side after averaging; None leaves them.
        widths, shortcut, norm: see :func:`resnet_edu.train.networks.make`.
        pad: pixels of padding before a crop; None is an eighth of the side, 4 for CIFAR-10 as in the paper.
        mirror: flip half of the images; None is for every data set but digits.
        precision: "fp32", "bf16" or "fp16".
        channels_last, compile: how the same is computed faster; results differ in rounding.
        graphs: compiled for one GPU, launch each pass as a whole, as a CUDA graph.
    """

    model: str
    data: str
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    size: int | None = None
    widths: tuple[int, int, int] = (16, 32, 64)
    shortcut: str = "A"
    norm: str = "batch"
    pad: int | None = None
    mirror: bool | None = None
    precision: str = "fp32"
    channels_last: bool = True
    compile: bool = False
    graphs: bool = True

    def flat(self) -> dict:
        """Return the plan as a dictionary of plain values, which a checkpoint and JSON give back unchanged."""
        flat = asdict(self)
        return {**flat.pop("recipe"), **flat, "widths": list(self.widths)}

    def differences(self, flat: dict, but_for: tuple[str, ...] = ()) -> str:
        """Return in words what another plan, as :meth:`flat` gives it, has otherwise, or nothing.

        Example:
            >>> Plan("cifar_resnet20", "cifar10", size=16).differences(Plan("cifar_resnet20", "cifar10").flat())
            'size None (now 16)'
        """
        ours = {name: value for name, value in self.flat().items() if name not in but_for}
        flat = Plan("", "").flat() | flat  # an older run does not name what came later: it had the default
        return ", ".join(f"{name} {flat[name]} (now {ours[name]})" for name in ours if flat[name] != ours[name])

    def expect(self, flat: dict) -> None:
        """Raise ValueError, naming the differences, unless ``flat`` is this plan's own."""
        if said := self.differences(flat):
            raise ValueError(f"the run to resume was started with {said}: give the same settings or another folder")
