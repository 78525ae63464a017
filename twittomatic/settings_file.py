"""Reading a settings file as data: UPPERCASE names and plain values, never executed, never imported."""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from twittomatic.errors import SettingsError


class Assigned(NamedTuple):
    """One line ``NAME = value`` of a settings file."""

    name: str
    value: object
    line: int


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.75)
    return close[0] if close else None


def read_settings(path: Path) -> list[Assigned]:
    """The assignments of a file in order. SettingsError names the file, the line and what was found there."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8-sig"), str(path))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", "name another file with --settings, or leave it out") from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise SettingsError(f"{path}:{line}: {getattr(error, 'msg', error)}", "lines read NAME = value") from None
    found: dict[str, Assigned] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring
        name, value = _assignment(path, statement)
        if name in found:
            raise SettingsError(
                f"{path}:{statement.lineno}: {name} is set a second time", f"first: line {found[name].line}"
            )
        known = {item.name: item.value for item in found.values()}
        found[name] = Assigned(name, _value(path, value, known), statement.lineno)
    return list(found.values())


def _assignment(path: Path, statement: ast.stmt) -> tuple[str, ast.expr]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target = statement.target
    else:
        raise _not_data(path, statement)
    if not isinstance(target, ast.Name) or not target.id.isupper():
        raise SettingsError(f"{path}:{statement.lineno}: `{ast.unparse(target)}` is not a name in UPPERCASE")
    return target.id, statement.value  # type: ignore[return-value]


def _not_data(path: Path, node: ast.stmt | ast.expr) -> SettingsError:
    text = ast.unparse(node).splitlines()[0][:60]
    return SettingsError(
        f"{path}:{node.lineno}: `{text}` is more than a value",
        "settings hold texts, numbers, lists and tables; what depends on the machine goes into TWITTOMATIC_* variables",
    )


_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def _value(path: Path, node: ast.expr, known: Mapping[str, object]) -> object:
    """A literal, arithmetic on numbers (``10 * 60``), or a name that was set further up."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() if node.id in known:
            return known[node.id]
        case ast.List() | ast.Tuple() | ast.Set():
            return [_value(path, item, known) for item in node.elts]
        case ast.Dict() if None not in node.keys:
            keys = [_value(path, key, known) for key in node.keys if key is not None]
            return dict(zip(keys, (_value(path, item, known) for item in node.values), strict=True))
        case ast.UnaryOp(op=ast.USub()):
            number = _value(path, node.operand, known)
            if isinstance(number, int | float):
                return -number
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            left, right = _value(path, node.left, known), _value(path, node.right, known)
            if isinstance(left, int | float) and isinstance(right, int | float):
                try:
                    return _ARITHMETIC[type(node.op)](left, right)
                except ZeroDivisionError:
                    raise _not_data(path, node) from None
    raise _not_data(path, node)
