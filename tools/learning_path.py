"""Draw the learning path: ``python tools/learning_path.py`` writes book/_static/learning_path.svg.

A chapter that stands in _toc.yml is drawn solid, one that is still to come dashed; a test keeps the picture up to date.
"""

from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "book" / "_static" / "learning_path.svg"
PARTS = {
    "Why residual learning": [
        ("01_plain_stack", "1 Plain stack", ["What does a stack of", "convolutions compute?"]),
        ("02_degradation", "2 Degradation", ["Why not just", "go deeper?"]),
        ("03_residual_unit", "3 Residual unit", ["What if a layer only", "learned a correction?"]),
    ],
    "Build the network": [
        ("04_basic_block", "4 BasicBlock", ["When the", "shape changes"]),
        ("05_bottleneck", "5 Bottleneck", ["Deeper at the", "same cost"]),
        ("06_make_layer", "6 _make_layer", ["One function", "for every stage"]),
        ("07_resnet34_50", "7 ResNet-34, 50", ["Equal to", "torchvision's"]),
    ],
    "Train it": [
        ("08_training_on_a_gpu", "8 Training on a GPU", ["Well, fast, and nothing lost"]),
        ("09_papers_experiment", "9 The paper's experiment", ["Does it hold on real images?"]),
    ],
    "Understand and go on": [
        ("10_why_it_works", "10 Why it works", ["Which explanation", "survives a test?"]),
        ("11_preactivation", "11 Pre-activation", ["A clean", "identity path"]),
        ("12_relatives", "12 Relatives", ["Wider, grouped,", "dilated"]),
        ("13_distillation", "13 Distillation", ["A small net learns", "from a deep one"]),
    ],
}
WIDTH, LEFT, BOX, GAP, ROW = 760, 28, 74, 14, 132
BLUE, ORANGE, INK, QUIET = "#0072B2", "#D55E00", "#222222", "#5f6b76"


def _box(x: float, y: float, width: float, title: str, lines: list[str], there: bool) -> str:
    dash = "" if there else ' stroke-dasharray="5 4"'
    shown = INK if there else QUIET
    question = "".join(
        f'<text x="{x + width / 2:g}" y="{y + 43 + 16 * i:g}" font-size="13" fill="{QUIET}">{escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{BOX}" rx="8" fill="#ffffff" stroke="{BLUE}"'
        f' stroke-width="2"{dash}/><text x="{x + width / 2:g}" y="{y + 22:g}" font-size="15" font-weight="600"'
        f' fill="{shown}">{escape(title)}</text>{question}'
    )


def draw(toc: str) -> str:
    """Return the SVG for a table of contents, the text of _toc.yml."""
    shapes, y = [], 44
    for row, (part, chapters) in enumerate(PARTS.items()):
        shapes.append(
            f'<text x="{LEFT + 24 * bool(row)}" y="{y - 12}" font-size="14" font-weight="600" fill="{ORANGE}"'
            f' text-anchor="start">{escape(part)}</text>'
        )
        width = (WIDTH - 2 * LEFT - GAP * (len(chapters) - 1)) / len(chapters)
        for i, (file, title, lines) in enumerate(chapters):
            x = LEFT + i * (width + GAP)
            shapes.append(_box(x, y, width, title, lines, f"book/{file}" in toc))
            if i:
                shapes.append(f'<path d="M{x - GAP + 1:g} {y + BOX / 2:g} h{GAP - 3}" stroke="{BLUE}"/>')
        if row + 1 < len(PARTS):  # from the end of a row back to the start of the next, as a shortcut is drawn
            right, below = WIDTH - LEFT, y + BOX + 17
            shapes.append(
                f'<path d="M{right - 30} {y + BOX} V{below - 6} q0 6 -6 6 H{LEFT + 18} q-6 0 -6 6 V{y + ROW - 2}"'
                f' stroke="{ORANGE}"/>'
            )
        y += ROW
    height = y - ROW + BOX + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif"'
        f' text-anchor="middle" fill="none" stroke-width="2">\n' + "\n".join(shapes) + "\n</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(draw((ROOT / "_toc.yml").read_text(encoding="utf-8")), encoding="utf-8")
