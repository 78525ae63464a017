"""Prints a file of the archive: its exact lines, or chosen members of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from twittomatic.archive.base import Archive
from twittomatic.job import FWS

_LINE_BREAKS = str.maketrans({"\n": "\\n", "\r": "\\r"})


def cat(archive: Archive, user: str, suffix: str, select: Sequence[str] | None = None) -> Iterator[bytes]:
    """Lines without newlines. ``select``: paths into the JSON, dots descend (a number picks from a list), null where
    there is nothing. One path gives the bare value (a string unquoted, its line breaks as ``\\n``), several give an
    object by path. An id of a follower file counts as ``{"id": ...}``."""
    paths = {path: path.split(".") for path in select or ()}
    for line in archive.lines(user, suffix):
        if not paths:
            yield line
            continue
        document = {"id": line.decode("ascii", "replace")} if suffix == FWS else _document(line)
        values = {path: _pick(document, keys) for path, keys in paths.items()}
        yield _bare(*values.values()) if len(values) == 1 else _encode(values)


def _document(line: bytes) -> Any:
    return json.loads(line.decode("utf-8", "surrogatepass"), strict=False)


def _pick(value: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _bare(value: Any) -> bytes:
    if isinstance(value, str):
        return value.translate(_LINE_BREAKS).encode("utf-8", "backslashreplace")
    return _encode(value)


def _encode(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate: only its escape is valid
        return json.dumps(value, separators=(",", ":")).encode()
