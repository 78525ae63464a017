"""The id of a line, read without decoding the rest of it."""

from __future__ import annotations

import json

import msgspec

from twittomatic.job import FWS


class _Ids(msgspec.Struct):
    id: object = None
    id_str: object = None


_decode = msgspec.json.Decoder(_Ids).decode


def id_of(line: bytes, suffix: str) -> str | None:
    """The id of a line; None where it has none. ``id_str`` wins over ``id``, whose number may be rounded."""
    if suffix == FWS:
        return line.decode("ascii", "replace") or None
    try:
        found: tuple[object, object] = (ids := _decode(line)).id_str, ids.id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _tolerant(line)
    for value in found:
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value)
    return None


def _tolerant(line: bytes) -> tuple[object, object]:
    """Lines that a strict parser refuses: lone surrogates, NaN, bytes that are not UTF-8."""
    try:
        document = json.loads(line.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None, None
    return (document.get("id_str"), document.get("id")) if isinstance(document, dict) else (None, None)
