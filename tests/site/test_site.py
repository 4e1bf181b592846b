"""The book builds without a warning, its links lead somewhere, and no page asks the network for anything."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import repository
import setup_cell

ROOT = Path(__file__).parents[2]
# What a browser fetches by itself, as opposed to a link that a reader may follow.
FETCHED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "object": "data"}
FETCHED_LINKS = {"stylesheet", "preload", "icon", "shortcut icon", "prefetch", "preconnect", "dns-prefetch"}

BUTTONS = ("dropdown-launch-buttons", "btn-source-repository-button", "btn-source-issues-button")


class Page(HTMLParser):
    """What a page links to, fetches and names; images without alternative text; tables left raw; its description."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.without_alt: list[str] = []
        self.raw_tables: list[str] = []
        self.description = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.ids.update(found[name] for name in ("id", "name") if name in found)
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in FETCHED and FETCHED[tag] in found:
            self.fetched.append(found[FETCHED[tag]])
        if tag == "link" and found.get("rel") in FETCHED_LINKS:
            self.fetched.append(found["href"])
        if tag == "img" and "logo" not in found.get("class", ""):
            alt = found.get("alt", "")
            if len(alt) < 15 or alt.endswith(".png"):  # without an alt, myst-nb writes the file's name
                self.without_alt.append(found.get("src", "?"))
        if tag == "meta" and found.get("name") == "description":
            self.description = found.get("content", "")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "p" and re.match(r"\|.+\|\s*\n\|\s*(—|-{3,})", data):  # the dashes become one
            self.raw_tables.append(data.splitlines()[0])


def copy_sources(work: Path) -> None:
    for name in ("_config.yml", "_toc.yml", "CITATION.cff"):
        shutil.copy2(ROOT / name, work / name)
    for folder in ("book", "tools"):
        shutil.copytree(ROOT / folder, work / folder, ignore=shutil.ignore_patterns("_build", ".ipynb_checkpoints"))


def build(work: Path, **variables: str) -> Path:
    """Build strictly, in an environment that knows of GitHub only what ``variables`` say."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")} | variables
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "--keep-going", "-n"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return work / "_build" / "html"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book, built from a copy, so that what was built before cannot help."""
    work = tmp_path_factory.mktemp("book")
    copy_sources(work)
    return build(work)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    own = [p for p in site.rglob("*.html") if "_static" not in p.relative_to(site).parts]
    return {path: Page(path) for path in own}


def content_pages(site: Path, pages: dict[Path, Page]) -> dict[Path, Page]:
    return {path: page for path, page in pages.items() if path.is_relative_to(site / "book")}


def test_every_chapter_of_the_toc_is_a_page(site: Path) -> None:
    listed = re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert listed
    missing = [name for name in listed if not (site / f"{name}.html").is_file()]
    assert not missing


def test_every_notebook_stands_in_the_toc() -> None:
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    notebooks = [p.relative_to(ROOT).with_suffix("") for p in (ROOT / "book").rglob("*.ipynb")]
    left_out = [str(name) for name in notebooks if f"file: {name.as_posix()}\n" not in toc + "\n"]
    assert not left_out


def test_internal_links_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                broken.append(f"{path.relative_to(site)} -> {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                broken.append(f"{path.relative_to(site)} -> {link} (no such place on that page)")
    assert not broken, "\n".join(broken)


def test_no_page_fetches_anything_from_outside(site: Path, pages: dict[Path, Page]) -> None:
    outside = [
        f"{path.relative_to(site)}: {address}"
        for path, page in pages.items()
        for address in page.fetched
        if urlsplit(address).netloc
    ]
    for sheet in (site / "_static").rglob("*.css"):
        text = sheet.read_text(encoding="utf-8", errors="replace")
        outside += [
            f"{sheet.name}: {url}" for url in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", text)
        ]
    assert not outside, "\n".join(outside)


def test_what_a_page_fetches_is_there(site: Path, pages: dict[Path, Page]) -> None:
    missing = []
    for path, page in pages.items():
        for address in page.fetched:
            parts = urlsplit(address)
            if not parts.scheme and not parts.netloc and not (path.parent / unquote(parts.path)).is_file():
                missing.append(f"{path.relative_to(site)}: {address}")
    assert not missing, "\n".join(missing)


def test_mathematics_is_served_from_the_site(site: Path, pages: dict[Path, Page]) -> None:
    with_formulas = [p for p in content_pages(site, pages) if 'class="math' in p.read_text(encoding="utf-8")]
    assert with_formulas
    for path in with_formulas:
        scripts = [a for a in pages[path].fetched if "mathjax" in a]
        assert scripts, f"{path.name} has formulas and no MathJax"
    assert list((site / "_static" / "mathjax" / "output" / "chtml" / "fonts" / "woff-v2").glob("*.woff"))


def test_every_page_has_a_description_of_its_own(site: Path, pages: dict[Path, Page]) -> None:
    described = {path.stem + path.parent.name: page.description for path, page in content_pages(site, pages).items()}
    short = [name for name, text in described.items() if len(text) < 40]
    assert not short, f"without description (myst: html_meta: description): {short}"
    assert len(set(described.values())) == len(described)


def test_every_image_has_alternative_text(site: Path, pages: dict[Path, Page]) -> None:
    bare = [
        f"{p.relative_to(site)}: {src}" for p, page in content_pages(site, pages).items() for src in page.without_alt
    ]
    assert not bare, "\n".join(bare)


def test_every_table_is_a_table(site: Path, pages: dict[Path, Page]) -> None:
    """A code cell that returns Markdown with a table needs ``mystnb: {markdown_format: gfm}`` in its metadata."""
    raw = {path.name: page.raw_tables for path, page in content_pages(site, pages).items() if page.raw_tables}
    assert not raw


def test_what_a_check_prints_is_marked_so_that_it_wraps(site: Path) -> None:
    text = (site / "book" / "solutions" / "04_basic_block.html").read_text(encoding="utf-8")
    outputs = re.findall(r'<div class="(output [^"]*)"><div class="highlight"><pre><span></span>([^\n]*)', text)
    verdicts = [classes for classes, line in outputs if line.startswith("Exercise 4.")]
    assert len(verdicts) >= 4 and all("verdict" in classes.split() for classes in verdicts)
    assert any("verdict" not in classes.split() for classes, _ in outputs)


def test_the_learning_path_is_up_to_date() -> None:
    import learning_path  # noqa: PLC0415

    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    drawn = learning_path.PICTURE.read_text(encoding="utf-8")
    assert drawn == learning_path.draw(toc), "run `python tools/learning_path.py`"


# GitHub takes capitals and small letters in a name for the same.
@pytest.mark.parametrize("carried", ["https://github.com/Reader/their-book", "https://github.com/someone/else", ""])
def test_links_and_colab_buttons_only_where_the_addresses_agree(tmp_path: Path, carried: str) -> None:
    copy_sources(tmp_path)
    repository.write(carried, tmp_path)
    agree = carried == "https://github.com/Reader/their-book"
    site = build(tmp_path, GITHUB_REPOSITORY="reader/their-book")
    for path in setup_cell.notebooks(tmp_path):
        name = path.relative_to(tmp_path)
        html = (site / name).with_suffix(".html").read_text(encoding="utf-8")
        colab = f"https://colab.research.google.com/github/reader/their-book/blob/main/{name.as_posix()}"
        issue = "https://github.com/reader/their-book/issues/new"
        links = Page((site / name).with_suffix(".html")).links
        assert (colab in links) is agree, name
        assert ("https://github.com/reader/their-book" in links) is agree, name
        assert any(link.startswith(issue) for link in links) is agree, name
        assert all(button in html for button in BUTTONS) is agree, name
        assert "executablebooks/jupyter-book" not in html


def test_no_buttons_without_an_address(site: Path, pages: dict[Path, Page]) -> None:
    for path in content_pages(site, pages):
        html = path.read_text(encoding="utf-8")
        assert not [button for button in BUTTONS if button in html]
        assert "executablebooks/jupyter-book" not in html
