"""Prints a file of the archive: its exact lines, or chosen members of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from twittomatic.archive.base import Archive
from twittomatic.errors import ArchiveError
from twittomatic.job import FWS

_LINE_BREAKS = str.maketrans({"\n": "\\n", "\r": "\\r"})


def cat(
    archive: Archive, user: str, suffix: str, select: Sequence[str] | None = None, *, bare: bool = True
) -> Iterator[bytes]:
    """Lines without newlines. ``select``: paths into the JSON, dots descend (a number picks from a list), null where
    there is nothing. One path gives its value (where ``bare``, a string unquoted with its line breaks as ``\\n``),
    several give an object by path. An id of a follower file counts as ``{"id": ...}``. ArchiveError for a line
    that is not JSON."""
    paths = {path: path.split(".") for path in select or ()}
    for number, line in enumerate(archive.lines(user, suffix), 1):
        if not paths:
            yield line
            continue
        try:
            document = {"id": line.decode("ascii", "replace")} if suffix == FWS else _document(line)
        except (ValueError, RecursionError) as error:
            raise ArchiveError(f"line {number} of {user}.{suffix} is not JSON: {error}") from error
        values = {path: _pick(document, keys) for path, keys in paths.items()}
        if len(values) > 1:
            yield _encode(values)
        else:
            (value,) = values.values()
            yield _unquoted(value) if bare and isinstance(value, str) else _encode(value)


def _document(line: bytes) -> Any:
    return json.loads(line.decode("utf-8", "replace"), strict=False)


def _pick(value: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _unquoted(text: str) -> bytes:
    return text.translate(_LINE_BREAKS).encode("utf-8", "backslashreplace")


def _encode(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate: only its escape is valid
        return json.dumps(value, separators=(",", ":")).encode()
