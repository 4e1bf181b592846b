"""README's "Publish your own copy", step by step in a scratch clone, and the workflows that the push starts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import setup_cell
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PUBLISH = (ROOT / "README.md").read_text(encoding="utf-8").split("## Publish your own copy")[1].split("\n## ")[0]
ADDRESS = "https://github.com/you/your-fork"


def run(command: str, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=cwd,
        env=os.environ | {"PYTHON": sys.executable} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def commands(workflow: dict) -> list[str]:
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this copy is no git repository")
def test_the_steps_of_the_readme_lead_to_an_addressed_repository(tmp_path: Path) -> None:
    """The commands as they stand there; git is told that the fork's address means a repository on this disk."""
    fork = tmp_path / "fork.git"
    run(f"git clone --quiet --bare {ROOT} {fork} && git -C {fork} branch --force main HEAD", tmp_path)
    run("git symbolic-ref HEAD refs/heads/main", fork)
    settings = {f"url.{fork.as_uri()}.insteadOf": ADDRESS, "user.name": "you", "user.email": "you@example.org"}
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    (steps,) = re.findall(r"```\n(.*?)```", PUBLISH, re.DOTALL)
    run(steps, tmp_path, **variables)

    published = tmp_path / "published"
    run(f"git clone --quiet {fork} {published}", tmp_path)
    for path in setup_cell.notebooks(published):
        assert f'REPOSITORY = \\"{ADDRESS}\\"' in path.read_text(encoding="utf-8"), path.name
    citation = yaml.safe_load((published / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == ADDRESS
    assert ".venv" not in {path.name for path in (tmp_path / "your-fork").iterdir()}, "nothing had to be installed"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_a_workflow_is_valid_and_runs_targets_that_are_there(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert f"`{workflow['name']}`" in PUBLISH, "README names the workflow"
    assert {"push", "schedule"} & set(workflow[True]), "yaml reads the key `on` as True"
    assert all(step.keys() & {"uses", "run"} for job in workflow["jobs"].values() for step in job["steps"])
    targets = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE).group(1)
    for command in commands(workflow):
        program, target = command.split()
        assert program == "make", "a workflow runs what README names"
        assert target in targets.split()


def test_the_published_folder_is_the_one_that_the_build_fills() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    used = {step["uses"].split("@")[0]: step for step in job["steps"] if "uses" in step}
    folder = used["actions/upload-pages-artifact"]["with"]["path"]
    assert "actions/deploy-pages" in used
    assert f"{folder}/index.html" in run("make --dry-run book", ROOT)
    assert workflow[True]["push"]["branches"] == ["main"], "the branch that README asks for"
