"""Make the mutants of a module: each is the module with one small change. Pure.

Not changed are what only people read (docstrings, f-strings, and other texts: a string that has
white space or is not ASCII), annotations, decorators, what is for type checkers alone, and
``__repr__``. Of regular expressions, the numbers are changed.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
_MEMBERS = {"State": ("UNKNOWN", "REJECTED"), "Category": ("GATEWAY", "CONTENT")}
"""For enumerations: every member becomes the first one here, and the first one the second."""
_NUMBER = re.compile(r"(?<=[{,])\d+(?=[,}])")
"""A number of repetitions in a regular expression."""
_Path = tuple[tuple[str, int | None], ...]
"""The way to a node from the module: names of fields, and places in those that are lists."""
_WORDS = re.compile(r"\s|[^\x00-\x7f]")


@dataclass(frozen=True)
class Mutant:
    """A module with one change."""

    line: int
    function: str
    """The function that is changed, with its class; ``<module>`` outside of functions."""
    change: str
    """The change, as ``before -> after``; a number at its end tells equal ones apart."""
    source: str
    """The module's, without the change."""
    path: _Path
    after: ast.AST

    def tree(self) -> ast.Module:
        """Return the module with the change."""
        tree: Any = ast.parse(self.source)
        *way, (name, at) = self.path
        parent = tree
        for step, place in way:
            parent = getattr(parent, step) if place is None else getattr(parent, step)[place]
        old = getattr(parent, name) if at is None else getattr(parent, name)[at]
        new = ast.copy_location(copy.deepcopy(self.after), old)
        if at is None:
            setattr(parent, name, new)
        else:
            getattr(parent, name)[at] = new
        fixed: ast.Module = ast.fix_missing_locations(tree)
        return fixed


@dataclass(frozen=True)
class _Place:
    """A node that may be changed."""

    node: ast.AST
    path: _Path
    function: str


def mutants(source: str) -> list[Mutant]:
    """Return all mutants of a module's source, in the order of its lines."""
    module = ast.parse(source)
    made: list[Mutant] = []
    seen: Counter[tuple[str, str]] = Counter()
    for place in _places(module, (), "<module>"):
        for after in _changes(place.node):
            change = f"{_shown(place.node)} -> {_shown(after)}"
            seen[place.function, change] += 1
            if (number := seen[place.function, change]) > 1:
                change = f"{change} ({number})"
            line: int = place.node.lineno  # type: ignore[attr-defined]
            made.append(Mutant(line, place.function, change, source, place.path, after))
    return made


def _places(node: ast.AST, path: _Path, function: str) -> Iterator[_Place]:
    """Yield every node that may be changed."""
    if _is_for_people_or_types(node):
        return
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        function = node.name if function == "<module>" else f"{function}.{node.name}"
    if isinstance(node, (ast.expr, ast.stmt)):
        yield _Place(node, path, function)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases"):
            continue
        if isinstance(value, list):
            for at, each in enumerate(value):
                if isinstance(each, ast.AST):
                    yield from _places(each, (*path, (name, at)), function)
        elif isinstance(value, ast.AST):
            yield from _places(value, (*path, (name, None)), function)


def _is_for_people_or_types(node: ast.AST) -> bool:
    match node:
        case ast.Expr(ast.Constant()) | ast.JoinedStr() | ast.FunctionDef(name="__repr__"):
            return True
        case ast.If(ast.Name("TYPE_CHECKING")) | ast.Import() | ast.ImportFrom():
            return True
        case ast.Assign(targets=[ast.Name("__slots__")]):
            return True
    return False


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a node may become."""
    if isinstance(node, ast.Constant):
        for other in _other_constants(node.value):
            yield ast.Constant(other)
    elif isinstance(node, ast.stmt):
        yield from _other_statements(node)
    else:
        yield from _other_expressions(node)
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _OPERATORS:
        yield _with(node, op=_OPERATORS[type(node.op)]())
    if isinstance(node, (ast.If, ast.IfExp, ast.While)) and not isinstance(
        node.test, (ast.Compare, ast.BoolOp, ast.UnaryOp)
    ):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def _other_statements(node: ast.stmt) -> Iterator[ast.AST]:
    match node:
        case ast.Return(value) if value is not None and not _is_none(value):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call()) | ast.Raise() | ast.Break() | ast.Continue() | ast.Delete():
            yield ast.Pass()


def _other_expressions(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[operator]):
            for other in _COMPARISONS[type(operator)]:
                yield _with(node, ops=[other()])
        case ast.BoolOp(op):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.Name(name) if name in _NAMES:
            yield ast.Name(_NAMES[name], ast.Load())
        case ast.Attribute(ast.Name(name), member) if name in _MEMBERS and member.isupper():
            usual, other_member = _MEMBERS[name]
            yield _with(node, attr=usual if member != usual else other_member)


def _other_constants(value: object) -> Iterator[Any]:
    match value:
        case bool():
            yield not value
        case int() | float():
            yield value + 1
        case str() if _NUMBER.search(value):
            for found in _NUMBER.finditer(value):
                yield f"{value[: found.start()]}{int(found[0]) + 1}{value[found.end() :]}"
        case str() if value and not _WORDS.search(value):
            yield f"{value}X"
        case bytes() if value:
            yield value + b"X"


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _shown(node: ast.AST) -> str:
    """Return the first line of a node's source, for people and for `explained`."""
    lines = ast.unparse(node).splitlines()
    return lines[0] if len(lines[0]) <= 90 else f"{lines[0][:89]}…"
