"""Appendix C says what the provenance files say, and every recorded file is whole."""

import pytest
import reproduce

from resnet_edu.train import record

RECORDED = sorted(reproduce.RESULTS.rglob("*.csv"))


def test_the_page_is_up_to_date() -> None:
    assert reproduce.PAGE.read_text(encoding="utf-8") == reproduce.page(), "run `python tools/reproduce.py`"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_a_recorded_run_is_whole_and_its_command_exists(path) -> None:
    columns = record.read(path)  # raises where CSV and JSON do not belong together
    run = record.read_provenance(path)
    assert len(next(iter(columns.values()))) == run["rows"]
    assert reproduce.source_of(run["command"]).is_file()
    assert not run["code"]["dirty"]


def test_no_provenance_is_left_without_its_numbers() -> None:
    assert RECORDED
    assert [path.with_suffix(".csv") for path in sorted(reproduce.RESULTS.rglob("*.json"))] == RECORDED


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("python experiments/paper.py --scale small", "experiments/paper.py"),
        ("python -m resnet_edu.train --model cifar_resnet20", "resnet_edu/train/__main__.py"),
        ("python -m resnet_edu.train.record", "resnet_edu/train/record.py"),
        ("torchrun --nproc-per-node=4 -m resnet_edu.train --out x", "resnet_edu/train/__main__.py"),
        ("torchrun --nproc-per-node=4 experiments/paper.py", "experiments/paper.py"),
    ],
)
def test_a_command_is_traced_to_its_file(command: str, file: str) -> None:
    assert reproduce.source_of(command) == reproduce.ROOT / file


def test_a_suite_is_one_section_with_a_row_for_each_run(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "book" / "results" / "toy"
    monkeypatch.setattr(reproduce, "RESULTS", folder.parent)
    for seed in (0, 1):
        plan = {"plan": {"model": "cifar_plain8", "size": None, "epochs": 1}}
        recording = record.Recording(folder / f"net-s{seed}.csv", seeds=[seed], data={"digits": "0" * 64}, notes=plan)
        recording.provenance["command"] = f"python -m resnet_edu.train --seed {seed}"
        recording.write([{"epoch": 1, "test_error": 5.0}], seconds=60 * (seed + 1))
    said = reproduce.page().removeprefix(reproduce.HEAD)
    assert said.count("## ") == 1 and "## `toy/`" in said
    assert "--scale toy`" in said and said.count("| Versions |") == 1 and said.count("torchvision") == 1
    assert "| Networks | cifar_plain8 |\n| Scale | 32x32 pixels, 1 epochs |" in said
    for seed in (0, 1):
        (row,) = [line for line in said.splitlines() if line.startswith(f"| net-s{seed}.csv |")]
        assert f"| {seed + 1} | 0 |" in row
    commands = [f"python -m resnet_edu.train --seed {seed}\n" for seed in (0, 1)]
    assert f"```bash\n{''.join(commands)}```\n" in said


def test_a_part_of_a_script_is_named_and_said() -> None:
    script = reproduce.ROOT / "experiments" / "degradation_controls.py"
    about = reproduce.first_line(script)
    assert reproduce.first_line(script, "rates").startswith(f"{about} `rates`: the curves")
    assert reproduce.first_line(script, "--seeds") == about


def test_a_run_outside_git_says_so() -> None:
    assert reproduce.commit({"code": {"commit": None, "dirty": None, "changed_files": []}}).startswith("unknown")
