"""The complete recorded runs of a folder, each with its curve and what was found at its end (chapter 9)."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet_edu.train import record
from resnet_edu.train.recipe import Recipe

_MODEL = re.compile(r"cifar_(plain|resnet)(\d+)")


@dataclass(frozen=True)
class RecordedRun:
    """One complete run of a CIFAR network, as the training command wrote it; errors are in percent.

    Args:
        kind: ``"plain"`` or ``"residual"``.
        depth: layers with weights, 6n+2.
        seed: of the run.
        curve: the columns of its CSV, a row an epoch: ``epoch``, ``iteration``, ``lr``, ``train_loss``, ``train_error``
            (over the augmented batches), ``test_loss``, ``test_error``, ``seconds``, ``images_per_second``.
        about: its JSON: where it came from, and a ``summary``.
    """

    kind: str
    depth: int
    seed: int
    curve: dict[str, np.ndarray]
    about: dict

    @property
    def plan(self) -> dict:
        """What determined the run: recipe, data, size, widths and so on, by name."""
        return self.about["notes"]["plan"]

    @property
    def drops(self) -> list[int]:
        """The iterations from which on the learning rate is a tenth and a hundredth."""
        recipe = Recipe(**{name: self.plan[name] for name in Recipe.__dataclass_fields__})
        return recipe.drops(int(self.curve["iteration"][-1]))

    @property
    def last(self) -> float:
        """The test error at the last epoch."""
        return self.about["summary"]["last_epoch"]["test_error"]

    @property
    def best(self) -> float:
        """The lowest test error of all epochs, which the test images themselves chose."""
        return self.about["summary"]["best_epoch_by_test_error"]["test_error"]

    @property
    def augmented(self) -> float:
        """The training error over the augmented batches of the last epoch."""
        return self.about["summary"]["last_epoch"]["train_error"]

    @property
    def clean(self) -> float:
        """The training error of the finished network: evaluation mode, the images as they are."""
        return self.about["summary"]["clean_train_error"]

    @property
    def responses(self) -> np.ndarray:
        """(layers,) standard deviations of the 3x3 layers' responses, as in He et al. 2015, Figure 7."""
        return np.array(list(self.about["summary"]["responses"].values()))

    @property
    def response(self) -> float:
        """The mean of :attr:`responses`."""
        return float(self.responses.mean())


def load_runs(folder: str | Path) -> list[RecordedRun]:
    """Return the complete runs of a folder, by kind, depth and seed; none where there is no such folder.

    Raises:
        ValueError: a CSV is not the one that its JSON describes, or is not of a CIFAR network.
        FileNotFoundError: a CSV has no JSON.

    Example:
        >>> load_runs("results/of/nobody")
        []
    """
    runs = []
    for path in Path(folder).glob("*.csv"):
        curve, about = record.read(path), record.read_provenance(path)
        if "summary" not in about:
            continue  # a run that is under way
        plan = about["notes"]["plan"]
        named = _MODEL.fullmatch(plan["model"])
        if named is None:
            raise ValueError(f"{path} is a run of {plan['model']!r}, and no CIFAR network's")
        kind = "residual" if named[1] == "resnet" else "plain"
        runs.append(RecordedRun(kind, int(named[2]), plan["seed"], curve, about))
    return sorted(runs, key=lambda run: (run.kind, run.depth, run.seed))
