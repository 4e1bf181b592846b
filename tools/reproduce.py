"""Write appendix C from the provenance of the recorded runs: ``python tools/reproduce.py``.

Nothing on that page is typed by hand; a test keeps it up to date.
"""

import ast
import json
import os
from collections.abc import Callable
from pathlib import Path

import setup_cell

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "book" / "results"
SUITE = ROOT / "experiments" / "paper.py"  # it fills a folder of RESULTS for each of its scales
PAGE = ROOT / "book" / "appendix" / "c_reproduce.md"
HEAD = """\
---
myst:
  html_meta:
    description: >-
      How each recorded number and figure of the book was made, by which command, from which seeds, on what hardware.
---

# C · Reproduce

A chapter trains live what a laptop trains in seconds. What takes longer was recorded once, as raw numbers in a CSV,
with a JSON beside it that says how: the command, the seeds, the checksum of the data, the commit, the versions and the
hardware. Chapters draw from these files, and check first that CSV and JSON belong together. This page is written from
the JSON files by `python tools/reproduce.py`.

To make a run again, install the book (`make book`) and give its command in the top folder, with `.venv/bin/python` for
`python` and with another `--out`. The same versions, thread count and kind of processor give the same numbers to the
last bit, times and speeds excepted. Another machine gives other numbers: orderings with a wide margin should stay;
which one of five seeds fails to learn (chapter 9) need not.
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


def words_of(command: str) -> list[str]:
    """What a recorded command says to Python, ``SCRIPT ...`` or ``-m PACKAGE ...``, also where torchrun started it."""
    return [word for word in command.split()[1:] if not word.startswith("--nproc")]


def source_of(command: str) -> Path:
    """The file that a recorded command runs."""
    words = words_of(command)
    if words[0] != "-m":
        return ROOT / words[0]
    module = ROOT.joinpath(*words[1].split("."))
    return module / "__main__.py" if module.is_dir() else module.with_suffix(".py")


def first_line(source: Path, part: str = "") -> str:
    """The first line of a file's docstring, and that of the function which does the named part, if there is one."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    parts = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == part]
    first = [ast.get_docstring(node).splitlines()[0] for node in (tree, *parts)]
    return " ".join([first[0], *(f"`{part}`: {line.removeprefix('Return ')}" for line in first[1:])])


def where(run: dict) -> str:
    hardware = run["hardware"]
    threads = f"{hardware['threads']} thread{'s' * (hardware['threads'] > 1)}"
    return f"{hardware['gpu'] or hardware['cpu']}, {threads} ({hardware['instructions']})"


def versions(run: dict) -> str:
    return ", ".join(f"{name} {version}" for name, version in run["versions"].items())


def commit(run: dict) -> str:
    code = run["code"]
    if code["commit"] is None:
        return "unknown: recorded outside git"
    return f"`{code['commit'][:12]}`" + (f", changed: {', '.join(code['changed_files'])}" * code["dirty"])


def data(run: dict) -> str:
    return ", ".join(f"{name}, SHA-256 `{digest[:16]}…`" for name, digest in run["data"].items())


def table(rows: dict[str, str]) -> str:
    return "| what | value |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows.items())


def entry(path: Path) -> str:
    """One recorded run, as a section."""
    run = json.loads(path.read_text(encoding="utf-8"))
    seeds = f"{min(run['seeds'])} to {max(run['seeds'])}" if len(run["seeds"]) > 1 else str(run["seeds"][0])
    rows = {
        "Command": f"`{run['command']}`",
        "Shown in": ", ".join(used_by(path.with_suffix(".csv").name)) or "no chapter: a control of the claims",
        "Seeds": seeds,
        "Took": f"{run['seconds'] / 60:.0f} minutes on a shared machine: {where(run)}",
        "Versions": versions(run),
        "Commit": commit(run),
        "Date": run["date"][:10],
        "Data": data(run),
        "File": f"{run['rows']:,} rows of {', '.join(run['columns'])}; SHA-256 `{run['sha256'][:16]}…`",
    }
    about = first_line(source_of(run["command"]), *words_of(run["command"])[1:2])
    return f"## `{run['file']}`\n\n{about}\n\n{table(rows)}"


def suite(folder: Path) -> str:
    """All runs of one suite, a folder of its own, as a section: what they share, and a row for each."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]

    def shared(say: Callable[[dict], str]) -> str:
        return "; ".join(dict.fromkeys(say(run) for run in runs))  # one value where all agree

    rows = {
        "Suite": f"`python {SUITE.relative_to(ROOT).as_posix()} --scale {folder.name}`",
        "Shown in": ", ".join(used_by(folder.relative_to(RESULTS.parent).as_posix())) or "no chapter",
        "Networks": shared(lambda run: run["notes"]["plan"]["model"]).replace(";", ","),
        "Scale": shared(
            lambda run: "{0}x{0} pixels, {1} epochs".format(
                run["notes"]["plan"]["size"] or 32, run["notes"]["plan"]["epochs"]
            )
        ),
        "Where": shared(where),
        "Versions": shared(versions),
        "Commit": shared(commit),
        "Data": shared(data),
        "Minutes": "of training; evaluation is not counted",
        "Files": shared(lambda run: f"{run['rows']:,} rows of {', '.join(run['columns'])}"),
    }
    lines = [
        f"| {run['file']} | {run['date'][:10]} | {run['seconds'] / 60:.0f} | {len(run.get('resumed', []))} | "
        f"`{run['sha256'][:16]}…` |\n"
        for run in runs
    ]
    head = "| file | date | minutes | resumed | SHA-256 |\n|---|---|---|---|---|\n"
    commands = "\n".join(run["command"] for run in runs)
    files = f"{head}{''.join(lines)}\n```bash\n{commands}\n```\n"
    return f"## `{folder.name}/`\n\n{first_line(SUITE)}\n\n{table(rows)}\n{files}"


def page() -> str:
    """The whole page: the single runs, then the suites."""
    singles = [entry(path) for path in sorted(RESULTS.glob("*.json"))]
    folders = [folder for folder in sorted(RESULTS.iterdir()) if any(folder.glob("*.json"))]
    return "\n".join([HEAD, *singles, *(suite(folder) for folder in folders)])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
