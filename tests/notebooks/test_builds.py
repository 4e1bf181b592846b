"""The code that a chapter builds is the code that the package holds, syntax tree for syntax tree.

A cell tagged ``builds:blocks.BasicBlock`` or ``builds:resnet.ResNet._make_layer`` is compared with that function, class
or method of ``resnet_edu``. Docstrings and annotations are set aside: a chapter explains in its text.
"""

import ast
import json
from pathlib import Path

import pytest
import setup_cell

ROOT = Path(__file__).parents[2]
PREFIX = "builds:"


def bare(tree: ast.AST) -> ast.AST:
    """Remove docstrings and annotations; an annotated assignment becomes a plain one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            arguments = node.args
            for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
                argument.annotation = None
            for argument in (arguments.vararg, arguments.kwarg):
                if argument is not None:
                    argument.annotation = None
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                setattr(node, field, [s for s in map(_plain_assignment, statements) if s is not None])
    return tree


def _plain_assignment(statement: ast.stmt) -> ast.stmt | None:
    if not isinstance(statement, ast.AnnAssign):
        return statement
    if statement.value is None:
        return None
    return ast.Assign(targets=[statement.target], value=statement.value)


def find(tree: ast.Module, qualified: str) -> ast.AST:
    """The definition with a dotted name such as ``ResNet._make_layer``."""
    node: ast.AST = tree
    for name in qualified.split("."):
        inside = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == name]
        assert inside, f"there is no {qualified} (looked for {name})"
        node = inside[-1]
    return node


def built(source: str, qualified: str) -> ast.AST:
    """What a cell defines: the class or function itself, or a method written as a function or in a class to extend."""
    tree = ast.parse(source)
    name = qualified.rsplit(".", maxsplit=1)[-1]
    inside = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == name]
    assert inside, f"the cell is tagged {PREFIX}... but defines no {name}"
    return inside[-1]


def same(one: ast.AST, other: ast.AST) -> bool:
    return ast.dump(bare(one)) == ast.dump(bare(other))


def tagged_cells() -> list:
    cases = []
    for path in setup_cell.notebooks(ROOT):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for tag in cell["metadata"].get("tags", []):
                if tag.startswith(PREFIX):
                    cases.append(
                        pytest.param(tag.removeprefix(PREFIX), "".join(cell["source"]), id=f"{path.stem}-{tag}")
                    )
    return cases


def module_and_name(target: str) -> tuple[Path, str]:
    """Split ``train.step.train_step`` into the module's file and the name inside it."""
    parts = target.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        path = ROOT / "resnet_edu" / Path(*parts[:cut]).with_suffix(".py")
        if path.is_file():
            return path, ".".join(parts[cut:])
    raise AssertionError(f"{target}: no such module in resnet_edu")


@pytest.mark.parametrize(("target", "source"), tagged_cells())
def test_the_cell_is_the_packages_code(target: str, source: str) -> None:
    path, name = module_and_name(target)
    packaged = find(ast.parse(path.read_text(encoding="utf-8")), name)
    in_chapter = built(source, name)
    assert same(in_chapter, packaged), f"\n{ast.unparse(in_chapter)}\n\n--- resnet_edu:\n{ast.unparse(packaged)}"


def test_chapters_build_something() -> None:
    assert tagged_cells(), "no cell is tagged builds:..., so nothing was compared"


PACKAGED = '''
def double(x: float, times: int = 2) -> float:
    """Twice."""
    y: float = x * times
    return y
'''


@pytest.mark.parametrize(
    ("cell", "equal"),
    [
        ("def double(x, times=2):\n    y = x * times\n    return y", True),
        ("def double(x, times=2):\n    # a comment\n    y = x * times\n\n    return y", True),
        ("def double(x, times=3):\n    y = x * times\n    return y", False),
        ("def double(x, times=2):\n    y = times * x\n    return y", False),
        ("def double(x, times=2):\n    return x * times", False),
    ],
)
def test_the_comparison_sees_differences_and_only_those(cell: str, equal: bool) -> None:
    assert same(built(cell, "double"), find(ast.parse(PACKAGED), "double")) is equal
