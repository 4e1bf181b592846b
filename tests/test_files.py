"""Every file of the repository is small, and what the texts at the top point to is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_BYTES = 1_000_000
TEXTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("*/README.md"))]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this copy is no git repository")


def test_no_file_is_large() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    sizes = {str(file.relative_to(ROOT)): file.stat().st_size for file in files if file.is_file()}
    assert sizes
    assert not {name: size for name, size in sizes.items() if size > MAX_BYTES}, "data stays out of the repository"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_to_a_file(text: Path) -> None:
    read = re.sub(r"```.*?```|`[^`]*`", "", text.read_text(encoding="utf-8"), flags=re.DOTALL)  # code is no link
    gone = [link for link in LINK.findall(read) if not (text.parent / link).exists()]
    assert not gone
