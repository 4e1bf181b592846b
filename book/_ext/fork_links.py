"""Repository links and Colab buttons, from the environment of the build.

GitHub Actions sets GITHUB_REPOSITORY ("owner/name"); by hand:
``GITHUB_REPOSITORY=owner/name make book``. The links appear only where every notebook's
setup cell carries the same address (``make repository URL=...`` writes it there), so
that a Colab button never opens a notebook that would install somebody else's package.
"""

import json
import os
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

logger = logging.getLogger(__name__)


def _addresses(root: Path) -> set[str]:
    sys.path.insert(0, str(root / "tools"))
    try:
        import setup_cell  # noqa: PLC0415  # it lives beside the book, not in an installed package
    finally:
        sys.path.pop(0)
    found = set()
    for path in setup_cell.notebooks(root):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if setup_cell.TAG in cell["metadata"].get("tags", []):
                found.add(setup_cell.address_in("".join(cell["source"])))
    return found


def add_links(app: Sphinx, config: Config) -> None:
    repository = os.environ.get("GITHUB_REPOSITORY")
    if not repository:
        return
    url = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}"
    addresses = _addresses(Path(app.confdir))
    if {address.casefold() for address in addresses} != {url.casefold()}:
        carried = (
            ", ".join(sorted(address or "no address" for address in addresses))
            or "no address"
        )
        logger.info(
            "fork_links: no links, for this build is of %s and the setup cells carry %s. "
            "`make repository URL=%s` brings them together.",
            url,
            carried,
            url,
        )
        return
    config.html_theme_options |= {
        "repository_url": url,
        "repository_branch": os.environ.get("GITHUB_REF_NAME", "main"),
        "use_repository_button": True,
        "use_issues_button": True,
        "launch_buttons": {
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "classic",
        },
    }


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", add_links, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
