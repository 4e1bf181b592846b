"""Holding back the solutions leaves a book that is whole, and nothing that leads to them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import withhold

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(withhold.withheld(ROOT), reason="this fork withholds the solutions")


def sources(path: Path) -> list[tuple[str, str]]:
    return [(c["cell_type"], "".join(c["source"])) for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fork")
    for name in ("book", "resnet_edu", "tools", "tests/checks", "tests/grading", "experiments", "benchmarks"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("_build", "__pycache__"))
    for name in ("_toc.yml", "_config.yml"):
        shutil.copy2(ROOT / name, root / name)
    withhold.withhold(root)
    return root


def test_the_solutions_are_gone_and_nothing_leads_to_them(copy: Path) -> None:
    assert withhold.withheld(copy) and not withhold.withheld(ROOT)
    assert not any((copy / name).exists() for name in withhold.ANSWERS)
    for path in [copy / "_toc.yml", *withhold.pages(copy)]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"solutions/\w|Solution: ", text), path.name


def test_the_contents_lose_one_part_and_keep_the_rest(copy: Path) -> None:
    before = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    after = (copy / "_toc.yml").read_text(encoding="utf-8")
    assert "Solutions" not in after
    listed = re.findall(r"(?:file|caption): .+", before)
    assert re.findall(r"(?:file|caption): .+", after) == [line for line in listed if "olutions" not in line]


def test_the_introduction_says_so(copy: Path) -> None:
    assert withhold.INSTEAD in (copy / "book" / "intro.md").read_text(encoding="utf-8")


def test_code_outputs_and_all_other_text_stay(copy: Path) -> None:
    for path in withhold.pages(ROOT):
        if path.suffix == ".ipynb":
            before, after = sources(path), sources(copy / path.relative_to(ROOT))
            assert len(before) == len(after)
            for (kind, old), (_, new) in zip(before, after, strict=True):
                assert new == (withhold.plain(old) if kind == "markdown" else old)
                assert len(new) > len(old) - 400


def test_what_git_has_not_stored_is_not_deleted(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing could be brought back"):
        withhold.unsaved(tmp_path)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert withhold.unsaved(tmp_path) == ""
    (tmp_path / "_toc.yml").touch()
    assert "_toc.yml" in withhold.unsaved(tmp_path)
