"""Leave sphinx-thebe's scripts out of every page.

Jupyter Book always loads sphinx-thebe, and its theme a second time, so that each page
declares the same constant twice (an error in the browser's console) and names a script
on a foreign server that this book never asks for.
"""

from sphinx.application import Sphinx


def drop_scripts(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object
) -> None:
    scripts = context.get("script_files", [])
    scripts[:] = [
        script
        for script in scripts
        if "thebe" not in f"{script}{getattr(script, 'attributes', '')}".lower()
    ]


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", drop_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
