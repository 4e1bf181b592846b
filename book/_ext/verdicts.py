"""Mark what the exercise checks print, so that the style sheet can wrap it on a phone.

A verdict is one long sentence. Other outputs are tables in columns, which have to scroll.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

VERDICT = re.compile(r"Exercise \w+\.\d+: ")


def mark(app: Sphinx, doctree: nodes.document) -> None:
    for output in doctree.findall(nodes.literal_block):
        if VERDICT.match(output.astext()):
            output["classes"].append("verdict")


def setup(app: Sphinx) -> dict:
    app.connect("doctree-read", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
