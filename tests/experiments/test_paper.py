"""The suite of the paper's experiment: it stops in time, resumes, skips what is recorded, and says what failed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import paper
import pytest

from resnet_edu.train import record
from resnet_edu.train.folder import claimed

FILE = Path(__file__).parents[2] / "experiments" / "paper.py"
NETS = ("cifar_plain8", "cifar_resnet8")
TINY = ["--data", "digits", "--size", "8", "--widths", "4", "8", "16", "--epochs", "2"]


def test_all_networks_come_with_seed_0_first():
    full = list(paper.commands("full", None, None, []))
    assert full[:5] == [f"cifar_{net}-s0" for net in ("plain20", "resnet20", "plain56", "resnet56", "resnet110")]
    assert [name[-1] for name in full] == ["0"] * 9 + ["1"] * 9 + ["2"] * 9
    small = paper.commands("small", None, None, ["--no-compile"])
    assert len(small) == 8
    expected = "--model cifar_plain56 --data cifar10 --size 16 --epochs 20 --seed 1 --no-compile"
    assert small["cifar_plain56-s1"] == expected.split()


def test_the_suite_can_be_restricted():
    assert list(paper.commands("full", ["cifar_plain56"], 2, [])) == ["cifar_plain56-s0", "cifar_plain56-s1"]


def test_the_chapter_asks_for_the_runs_of_the_suite():
    cells = json.loads((FILE.parents[1] / "book" / "09_papers_experiment.ipynb").read_text(encoding="utf-8"))["cells"]
    (source,) = [text for cell in cells if (text := "".join(cell["source"])).startswith("NETS =")]
    scope = {"runs": {"full": [], "small": []}}
    exec(source, scope)
    for scale, wanted in scope["wanted"].items():
        names = [f"cifar_{kind.replace('residual', 'resnet')}{depth}-s{seed}" for kind, depth, seed in wanted]
        assert sorted(names) == sorted(paper.commands(scale, None, None, []))


def test_it_stops_resumes_copies_and_skips(tmp_path, capsys, monkeypatch):
    results = tmp_path / "results" / "small"
    folders = ["--runs", str(tmp_path / "runs"), "--results", str(results.parent)]
    command = ["--scale", "small", "--nets", *NETS, "--seeds", "1", *folders, *TINY]

    # no time: the first run stops after its first epoch, the second is not begun, and nothing counts as recorded
    assert paper.main([*command, "--minutes", "0.005"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == ["cifar_plain8-s0: unfinished", "cifar_resnet8-s0: not reached"]
    begun = tmp_path / "runs" / "small" / "cifar_plain8-s0"
    assert record.read(begun / "cifar_plain8-s0.csv")["epoch"].tolist() == [1]
    assert not results.exists() and not (begun.parent / "cifar_resnet8-s0").exists()

    # the same command goes on
    assert paper.main(command) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [f"{net}-s0: complete" for net in NETS]
    assert sorted(path.name for path in results.iterdir()) == sorted(
        f"{net}-s0{suffix}" for net in NETS for suffix in (".csv", ".json")
    )
    for net in NETS:
        path = results / f"{net}-s0.csv"
        about = record.read_provenance(path)
        assert record.read(path)["epoch"].tolist() == [1, 2]  # read() also compares the checksum
        assert (about["notes"]["plan"]["model"], about["notes"]["plan"]["data"]) == (net, "digits")
        assert [part["after_epoch"] for part in about.get("resumed", [])] == ([1] if net == NETS[0] else [])
        assert about["summary"]["last_epoch"]["epoch"] == 2

    # and a third time there is nothing left to do
    def never(*arguments, **settings):
        raise AssertionError(f"nothing should be run, and {arguments} is")

    monkeypatch.setattr(subprocess, "Popen", never)
    assert paper.main(command) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [f"{net}-s0: recorded already" for net in NETS]
    # how it is computed makes no other experiment, what is computed does
    assert paper.main([*command, "--channels-last", "--precision", "bf16"]) == 0
    assert paper.main([*command, "--epochs", "3"]) == 1
    assert "is a run with epochs 2 (now 3)" in capsys.readouterr().out.splitlines()[-1]

    # nor is anything run over what is there and cannot be read
    first, second = (results / f"{net}-s0.csv" for net in NETS)
    whole = first.with_suffix(".json").read_text()
    first.with_suffix(".json").write_text(json.dumps({k: v for k, v in json.loads(whole).items() if k != "summary"}))
    assert not paper.is_recorded(first, paper.plan_of(paper.commands("small", NETS, 1, TINY)["cifar_plain8-s0"]))
    first.with_suffix(".json").write_text(whole)
    first.with_suffix(".json").write_bytes(first.with_suffix(".json").read_bytes()[:500])
    second.unlink()
    assert paper.main(command) == 1
    damaged, missing = capsys.readouterr().out.splitlines()[-2:]
    assert "cifar_plain8-s0.json is truncated or damaged" in damaged and "cifar_resnet8-s0.csv" in missing


def test_what_cannot_be_copied_is_said_and_copied_the_next_time(tmp_path, capsys, monkeypatch):
    folders = ["--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    command = ["--scale", "small", "--nets", *NETS, "--seeds", "1", *folders, *TINY]

    def full(path, raw):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(paper, "replace_file", full)
        assert paper.main(command) == 1
    assert capsys.readouterr().out.count("not recorded, for [Errno 28] No space left on device") == 2
    assert paper.main(command) == 0
    assert sorted(path.stem for path in (tmp_path / "results").rglob("*.json")) == [f"{net}-s0" for net in NETS]


def test_nothing_is_started_after_the_end():
    children = paper.Children()
    assert children.run([sys.executable, "-c", "raise SystemExit(3)"]) == 3
    children.end()
    assert children.run([sys.executable, "-c", ""]) == -signal.SIGTERM


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_the_suite_ends_its_runs(tmp_path, ends):
    more = ["--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results"), *TINY, "--epochs", "1000"]
    command = [sys.executable, str(FILE), "--scale", "small", "--nets", *NETS, "--seeds", "1", *more]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs with & ignores it
    suite = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    signal.signal(signal.SIGINT, before)
    out = tmp_path / "runs" / "small" / f"{NETS[0]}-s0"
    while not (out / f"{out.name}.csv").exists():
        assert suite.poll() is None
        time.sleep(0.05)
    suite.send_signal(ends)
    _, said = suite.communicate(timeout=60)  # the pipes are closed when the runs have ended too
    assert suite.returncode == 130 and said == "interrupted: the same command goes on\n"
    with claimed(out):
        assert not (out.parent / f"{NETS[1]}-s0").exists()


def test_the_recorded_runs_are_those_of_the_suite():
    folder = FILE.parents[1] / "book" / "results"
    for scale in paper.SCALES:
        for name, command in paper.commands(scale, None, None, []).items():
            path = folder / scale / f"{name}.csv"
            assert paper.is_recorded(path, paper.plan_of(command)) == path.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--epochs", "2"], "the scale 'small' has epochs 20 (now 2): give other folders"),
        (["--epochs", "2", "--results", "elsewhere"], "with --runs and --results"),
        (["--nets", "cifar_resnet20", "cifar_resnet110", "--warmup", "0"], "has warmup 400 (now 0): give other"),
        (["--lr", "-1"], "lr should be positive"),
        (["--nets", "cifar_plain9"], "depth must be 6n+2"),
        (["--seed", "2"], "--seed: the suite sets this itself; see --nets and --seeds"),
        (["--out=here"], "--out=here: the suite sets this itself"),
        (["--seeds", "0"], "--seeds: invalid positive value: '0'"),
        (["--epoch", "2"], "unrecognized arguments: --epoch 2"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_before_any_run(more, said, capsys, monkeypatch):
    monkeypatch.setattr(paper, "run", lambda *arguments: pytest.fail("a run was begun"))
    with pytest.raises(SystemExit) as refused:
        paper.main(["--scale", "small", *more])
    assert refused.value.code == 2 and said in " ".join(capsys.readouterr().err.split())


def test_a_bare_machine_goes_on_with_the_files_of_another(tmp_path):
    """Copies of the code that share nothing but the folder of the runs, whose files come read-only."""
    tiny = ["--scale", "small", "--nets", NETS[1], "--seeds", "1", *TINY]

    def slice_on(machine, *more):
        for folder in ("resnet_edu", "experiments"):
            shutil.copytree(FILE.parents[1] / folder, tmp_path / machine / folder)
        folders = ["--runs", "runs", "--results", "book/results"]
        command = [sys.executable, "experiments/paper.py", *tiny, *folders, *more]
        alone = os.environ | {"PYTHONPATH": str(tmp_path / machine)}
        status = subprocess.run(command, cwd=tmp_path / machine, env=alone, check=False).returncode
        return (
            status,
            tmp_path / machine / "runs",
            tmp_path / machine / "book" / "results" / "small" / f"{NETS[1]}-s0.csv",
        )

    status, runs, results = slice_on("first", "--minutes", "0.005")
    assert status == 1 and not results.exists()
    shutil.copytree(runs, tmp_path / "second" / "runs")
    for file in (path for path in (tmp_path / "second" / "runs").rglob("*") if path.is_file()):
        file.chmod(0o444)
    status, _, results = slice_on("second")
    about = record.read_provenance(results)
    assert status == 0 and [part["after_epoch"] for part in about["resumed"]] == [1]
    assert about["code"]["commit"] is None
    whole = record.read(slice_on("third")[2])
    in_slices = record.read(results)
    for name in set(whole) - {"seconds", "images_per_second"}:
        assert in_slices[name].tolist() == whole[name].tolist()


def test_none_is_begun_in_the_last_quarter_of_the_time(tmp_path, monkeypatch):
    begun = []

    def begin(command, **settings):
        begun.append(float(command[command.index("--stop-after") + 1]))
        return SimpleNamespace(wait=lambda: 0)

    monkeypatch.setattr(subprocess, "Popen", begin)
    for spent, said in ((0, "unfinished"), (70, "unfinished"), (80, "not reached")):
        monkeypatch.setattr(paper.time, "monotonic", lambda now=1000 + spent: now)
        command = ["--model", "toy", "--data", "digits"]
        assert paper.run("toy-s0", command, tmp_path, tmp_path, 1000, 100, paper.Children()) == f"toy-s0: {said}"
    assert begun == [100, 30]


def test_a_run_that_fails_is_named_and_not_recorded(tmp_path, capsys):
    folders = ["--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    too_large = ["--batch-size", "5000"]
    assert paper.main(["--scale", "small", "--nets", NETS[0], "--seeds", "1", *folders, *TINY, *too_large]) == 1
    assert f"{NETS[0]}-s0: stopped with status 1" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()
