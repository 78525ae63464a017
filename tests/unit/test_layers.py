"""A layer imports only those below it, siblings do not import each other, and one module makes Redis clients."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "twittomatic"

LAYERS = (
    ("__main__",),
    ("cli",),
    ("local", "doctor"),
    ("wiring",),
    ("master", "worker", "watch", "streaming", "tracker", "web", "emulator"),
    ("loading",),
    ("kinds", "seeds", "names"),
    ("state", "sources", "archive", "bus", "embedded"),
    ("events", "policy", "children"),
    ("job",),
    ("config", "clock", "logs", "lifecycle"),
    ("settings_file",),
    ("errors",),
)
"""Top to bottom. A module that is not named here has no place yet: give it one."""

RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def top(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, full name of a module of ours), those inside functions and type checks too."""
    here = ["twittomatic", *path.relative_to(PACKAGE).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: -node.level]) if node.level else ""
            origin = ".".join(filter(None, [base, node.module or ""]))
            yield from ((node.lineno, f"{origin}.{name.name}") for name in node.names)


def is_only_typing(path: Path, line: int) -> bool:
    """errors and job name each other's types: that of errors is for the type checker alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    return any(block.lineno <= line <= (block.end_lineno or 0) for block in blocks)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    mine = top(path)
    assert mine in RANK, f"{mine} has no layer: name it in LAYERS"
    wrong = []
    for line, name in imported(path):
        parts = name.split(".")
        if parts[0] != "twittomatic" or len(parts) < 2 or parts[1] == "__version__" or parts[1] == mine:
            continue
        assert parts[1] in RANK, f"{path.name}:{line} imports {name}, which has no layer"
        if RANK[parts[1]] <= RANK[mine] and not is_only_typing(path, line):
            kind = "its sibling" if RANK[parts[1]] == RANK[mine] else "the layer above it,"
            wrong.append(f"line {line}: {mine} imports {kind} {name}")
    assert not wrong, "\n".join(wrong)


def test_only_wiring_creates_redis_clients() -> None:
    makers = ("redis.Redis(", "Redis.from_url(", "redis.from_url(", "StrictRedis(", "Sentinel(")
    found = [
        f"{path.relative_to(PACKAGE)}: {maker}"
        for path in modules()
        for maker in makers
        if top(path) != "wiring" and maker in path.read_text(encoding="utf-8")
    ]
    assert not found


def test_only_the_tracker_store_knows_the_postgres_driver() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in modules()
        for line, name in imported(path)
        if name.split(".")[0] in ("psycopg", "asyncpg") and path != PACKAGE / "tracker" / "store.py"
    ]
    assert not wrong


def test_nothing_has_a_name_that_says_nothing() -> None:
    forbidden = {"utils", "util", "common", "helpers", "helper", "core", "manager", "misc"}
    assert not [path for path in modules() if forbidden & set(path.relative_to(PACKAGE).with_suffix("").parts)]


def test_every_module_says_what_it_owns() -> None:
    silent = [
        str(path.relative_to(PACKAGE)) for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent
