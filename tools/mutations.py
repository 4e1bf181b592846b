"""Wrong answers from a right one: its code with one thing changed (``tools/mutants.py`` judges them).

A statement or an operation is dropped, doubled or swapped with its neighbour, a number, an operator, a condition or an
argument replaced.
"""

import ast
import contextlib
import copy
from collections.abc import Iterator

OPERATORS = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.FloorDiv),
    ast.FloorDiv: (ast.Mult,),
    ast.Div: (ast.Mult,),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt,),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
OTHER_NAMES = {"relu": ("gelu", "relu_"), "ReLU": ("GELU",), "BatchNorm2d": ("InstanceNorm2d",), "cat": ("stack",)}


def mutants(statements: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """Yield each different mutant once."""
    tree = module(statements)
    seen = {ast.unparse(tree)}
    for place, node in enumerate(ast.walk(tree)):
        for change in range(1000):
            copied = copy.deepcopy(tree)
            twin = next(n for i, n in enumerate(ast.walk(copied)) if i == place)
            changes = list(_changes(twin, node, tree))
            if change >= len(changes):
                break
            replacement = changes[change]()
            if replacement is not None:
                copied = _Replace(twin, replacement).visit(copied)
            with contextlib.suppress(Exception):  # what cannot be written down is no answer
                text = ast.unparse(ast.fix_missing_locations(copied))
                if text not in seen:
                    seen.add(text)
                    yield ast.parse(text).body


def module(statements: list[ast.stmt]) -> ast.Module:
    """Return statements as something that can be unparsed and compiled."""
    return ast.Module(body=list(statements), type_ignores=[])


def _changes(node: ast.AST, original: ast.AST, tree: ast.Module) -> Iterator:
    """Yield functions that change the node in place and return None, or return what replaces it."""
    for name, value in ast.iter_fields(node):
        if isinstance(value, list) and name in ("args", "elts", "keywords", "body", "orelse"):
            yield from _list_changes(value, name)
    yield from _operator_changes(node)
    yield from _branch_changes(node)
    yield from _call_changes(node)
    if isinstance(node, ast.Constant):
        yield from _constant_changes(node)
    if isinstance(node, ast.Attribute):
        for other in OTHER_NAMES.get(node.attr, ()) + tuple(_siblings(original, tree)):
            yield lambda other=other: setattr(node, "attr", other)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        for other in _parameters_beside(original, tree):
            yield lambda other=other: setattr(node, "id", other)


def _operator_changes(node: ast.AST) -> Iterator:
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        for kind in OPERATORS.get(type(node.op), ()):
            yield lambda kind=kind: setattr(node, "op", kind())
    if isinstance(node, ast.Compare):
        for kind in OPERATORS.get(type(node.ops[0]), ()):
            yield lambda kind=kind: node.ops.__setitem__(0, kind())
    if isinstance(node, ast.BinOp):
        yield from (lambda: node.left, lambda: node.right, lambda: ast.BinOp(node.right, node.op, node.left))
    if isinstance(node, ast.BoolOp):
        yield from (lambda value=value: value for value in node.values)
    if isinstance(node, ast.UnaryOp):
        yield lambda: node.operand


def _branch_changes(node: ast.AST) -> Iterator:
    if isinstance(node, ast.IfExp):
        yield from (lambda: node.body, lambda: node.orelse, lambda: ast.IfExp(node.test, node.orelse, node.body))
    if isinstance(node, ast.If):
        for test in (ast.UnaryOp(ast.Not(), node.test), ast.Constant(True), ast.Constant(False)):
            yield lambda test=test: setattr(node, "test", test)


def _call_changes(node: ast.AST) -> Iterator:
    if not isinstance(node, ast.Call):
        return
    if len(node.args) == 1 and not node.keywords:
        yield lambda: node.args[0]  # the operation dropped
        yield lambda: ast.Call(node.func, [copy.deepcopy(node)], [])  # and done twice
    if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
        yield lambda: node.func.value  # a method call dropped


def _list_changes(values: list, name: str) -> Iterator:
    for i, value in enumerate(values):
        if isinstance(value, ast.Starred | ast.Import | ast.ImportFrom | ast.arg):
            continue
        if name == "body" and len(values) == 1:
            yield lambda: values.__setitem__(0, ast.Pass())
        else:
            yield lambda i=i: values.pop(i)
        if i + 1 < len(values) and name != "keywords":
            yield lambda i=i, value=value: values.__setitem__(slice(i, i + 2), [values[i + 1], value])
        if name != "keywords":
            yield lambda i=i, value=value: values.insert(i, copy.deepcopy(value))


def _constant_changes(node: ast.Constant) -> Iterator:
    value = node.value
    if isinstance(value, bool):
        others: list = [not value]
    elif isinstance(value, int):
        others = [value + 1, value - 1, 2 * value] if value else [1]
    elif isinstance(value, float):
        others = [10 * value, value / 10, -value]
    else:
        others = []
    for other in others:
        yield lambda other=other: setattr(node, "value", other)


def _siblings(node: ast.Attribute, tree: ast.Module) -> list[str]:
    """Other attributes of ``self`` with the same name but for its digits: conv1 for conv2."""
    if not (isinstance(node.value, ast.Name) and node.value.id == "self" and isinstance(node.ctx, ast.Load)):
        return []
    stem = node.attr.rstrip("0123456789")
    attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    return sorted(a for a in attributes if node.attr not in (a, stem) and a.rstrip("0123456789") == stem)


def _parameters_beside(node: ast.Name, tree: ast.Module) -> list[str]:
    """The other parameters of the function in which a parameter is read."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and any(inner is node for inner in ast.walk(function)):
            names = [argument.arg for argument in function.args.args if argument.arg != "self"]
            if node.id in names:
                return [name for name in names if name != node.id]
    return []


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)
