"""Write appendix C from the provenance of the recorded runs: ``python tools/reproduce.py``.

Nothing on that page is typed by hand; a test keeps it up to date.
"""

import ast
import json
import os
from pathlib import Path

import setup_cell

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "book" / "results"
PAGE = ROOT / "book" / "appendix" / "c_reproduce.md"
HEAD = """\
---
myst:
  html_meta:
    description: >-
      How each recorded number and figure of the book was made, by which command, from which seeds, on what hardware.
---

# Reproduce

A chapter trains live what a laptop trains in seconds. What takes longer was recorded once, as raw numbers in a CSV,
with a JSON beside it that says how: the command, the seeds, the checksum of the data, the commit, the versions and the
hardware. Chapters draw from these files, and check first that CSV and JSON belong together. This page is written from
the JSON files by `python tools/reproduce.py`.

To make a run again, install the book (`make book`) and give its command in the top folder, with another `--out`. The
same versions, thread count and kind of processor give the same numbers to the last bit; another machine gives other
numbers, and the orderings that the chapters assert should stay.
"""


def used_by(name: str) -> list[str]:
    """The chapters that read a recorded run, as links from the appendix's folder."""
    links = []
    for path in setup_cell.notebooks(ROOT):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        if any(name in "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
            title = "".join(cells[0]["source"]).splitlines()[0].lstrip("# ")
            links.append(f"[{title}]({Path(os.path.relpath(path, PAGE.parent)).as_posix()})")
    return links


def entry(path: Path) -> str:
    """One recorded run, as a section."""
    run = json.loads(path.read_text(encoding="utf-8"))
    script = ROOT / run["command"].split()[1]
    about = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))).splitlines()[0]
    hardware, code = run["hardware"], run["code"]
    seeds = f"{min(run['seeds'])} to {max(run['seeds'])}" if len(run["seeds"]) > 1 else str(run["seeds"][0])
    where = f"{hardware['gpu'] or hardware['cpu']}, {hardware['threads']} thread{'s' * (hardware['threads'] > 1)}"
    rows = {
        "Command": f"`{run['command']}`",
        "Shown in": ", ".join(used_by(path.with_suffix(".csv").name)) or "no chapter: a control of the claims",
        "Seeds": seeds,
        "Took": f"{run['seconds'] / 60:.0f} minutes on a shared machine: {where} ({hardware['instructions']})",
        "Versions": ", ".join(f"{name} {version}" for name, version in run["versions"].items()),
        "Commit": f"`{code['commit'][:12]}`" + (f", changed: {', '.join(code['changed_files'])}" * code["dirty"]),
        "Date": run["date"][:10],
        "Data": ", ".join(f"{name}, SHA-256 `{digest[:16]}…`" for name, digest in run["data"].items()),
        "File": f"{run['rows']:,} rows of {', '.join(run['columns'])}; SHA-256 `{run['sha256'][:16]}…`",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"## `{run['file']}`\n\n{about}\n\n| what | value |\n|---|---|\n{table}\n"


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(entry(path) for path in sorted(RESULTS.glob("*.json")))])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
