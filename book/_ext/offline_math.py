"""MathJax served from the site itself, so that formulas render without a network.

The PyPI package sphinx-mathjax-offline carries the files; as a Sphinx extension it
would copy all 24 MB of them into the site. A page needs one script and its fonts, 1.6
MB, and this copies only those.
"""

from importlib.util import find_spec
from pathlib import Path
from shutil import copy2, copytree

from sphinx.application import Sphinx
from sphinx.config import Config

SCRIPT = Path("tex-mml-chtml.js")
FONTS = Path("output/chtml/fonts/woff-v2")


def point_to_copy(app: Sphinx, config: Config) -> None:
    config.mathjax_path = f"mathjax/{SCRIPT}"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    package = (
        Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    )
    site = Path(app.outdir) / "_static" / "mathjax"
    site.mkdir(parents=True, exist_ok=True)
    copy2(package / SCRIPT, site / SCRIPT)
    copytree(package / FONTS, site / FONTS, dirs_exist_ok=True)


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", point_to_copy)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
