"""Byte-exact slices of JSON documents: what a network sent is kept as it came, never parsed and printed again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import msgspec

Found = TypeVar("Found", dict[str, bytes], list[bytes])

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
_CUT_MARGIN = 12
"""A document whose fault is this near to its end was cut: the longest token that a cut leaves half (\\uXXXX twice)."""


class Malformed(ValueError):
    """Bytes that are not the JSON that was expected. ``cut``: they end too early, so a repeat may bring the rest."""

    def __init__(self, why: str, *, cut: bool = False) -> None:
        super().__init__(why)
        self.cut = cut


def check(body: bytes) -> None:
    """Malformed when a body is not UTF-8. Slicing alone would not notice it."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError:
        _text(body)


def fields(document: bytes) -> dict[str, bytes]:
    """Key to exact bytes of the value, for a JSON object; of a doubled key the last value.

    Line ends between tokens become spaces, so that a value fits one line; no other byte changes.
    """
    try:
        found = _FIELDS.decode(document)
    except (ValueError, RecursionError) as fault:
        if isinstance(fault, RecursionError):
            _too_deep()
        return _slow(document, "{", _pairs)
    return dict(zip(found, copies(document, list(found.values())), strict=True))


def elements(document: bytes) -> list[bytes]:
    """Exact bytes of the elements of a JSON array, each on one line (see ``fields``)."""
    try:
        found = _ELEMENTS.decode(document)
    except (ValueError, RecursionError) as fault:
        if isinstance(fault, RecursionError):
            _too_deep()
        return _slow(document, "[", _values)
    return copies(document, found)


def load(document: bytes) -> Any:
    """The value of a JSON document, for a look into it; half surrogate pairs become U+FFFD."""
    try:
        return msgspec.json.decode(document)
    except RecursionError:
        _too_deep()
    except ValueError:  # DecodeError, and UnicodeDecodeError of bytes that are no text
        text = _text(document)
    try:
        return _whole(json.loads(text, parse_constant=_refuse))
    except RecursionError:
        _too_deep()
    except json.JSONDecodeError as error:
        raise _malformed(text, error) from None
    except ValueError as error:
        raise Malformed(str(error)) from None


def copies(document: bytes, found: list[msgspec.Raw]) -> list[bytes]:
    """Own bytes, on one line, for every slice of a document: a view would keep the whole page alive with one item."""
    if b"\n" in document or b"\r" in document:
        return [bytes(piece).translate(_ONE_LINE) for piece in found]
    return list(map(bytes, found))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(each) for key, each in value.items()}
    return value


def _refuse(constant: str) -> NoReturn:
    raise Malformed(f"{constant} is not JSON")


def _number(text: str) -> str:
    return text


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_number, parse_float=_number)
_space = json.decoder.WHITESPACE.match  # type: ignore[attr-defined]


def _slow(document: bytes, opening: str, slices: Callable[[str, int], tuple[Found, int]]) -> Found:
    """The slicer that survives half surrogate pairs, for what the fast one refuses."""
    text = _text(document)
    try:
        start = _space(text, 0).end()
        if text[start : start + 1] != opening:
            raise json.JSONDecodeError(f"Expecting '{opening}'", text, start)
        found, end = slices(text, start + 1)
        end = _space(text, end).end()
        if end != len(text):
            raise Malformed(f"something follows the document at character {end}")
    except RecursionError:
        _too_deep()
    except json.JSONDecodeError as error:
        raise _malformed(text, error) from None
    return found


def _pairs(text: str, at: int) -> tuple[dict[str, bytes], int]:
    found: dict[str, bytes] = {}
    at = _space(text, at).end()
    if text[at : at + 1] == "}":
        return found, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting a key", text, at)
        key, at = json.decoder.scanstring(text, at + 1, True)  # type: ignore[attr-defined]
        at = _expect(text, at, ":")
        found[key], at = _value(text, at)
        at = _space(text, at).end()
        if text[at : at + 1] == "}":
            return found, at + 1
        at = _expect(text, at, ",")


def _values(text: str, at: int) -> tuple[list[bytes], int]:
    found: list[bytes] = []
    at = _space(text, at).end()
    if text[at : at + 1] == "]":
        return found, at + 1
    while True:
        piece, at = _value(text, at)
        found.append(piece)
        at = _space(text, at).end()
        if text[at : at + 1] == "]":
            return found, at + 1
        at = _expect(text, at, ",")


def _value(text: str, at: int) -> tuple[bytes, int]:
    _, end = _DECODER.raw_decode(text, at)
    return text[at:end].encode("utf-8", "surrogatepass").translate(_ONE_LINE), end


def _expect(text: str, at: int, mark: str) -> int:
    """Where the next token after the mark begins."""
    at = _space(text, at).end()
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"Expecting '{mark}'", text, at)
    return int(_space(text, at + 1).end())


def _text(document: bytes) -> str:
    try:
        return document.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        is_half_character = min(document[error.start :]) >= 0x80
        raise Malformed(f"not UTF-8 at byte {error.start}", cut=is_half_character) from None


def _malformed(text: str, error: json.JSONDecodeError) -> Malformed:
    end = len(text.rstrip())
    half_token = error.pos >= end - _CUT_MARGIN and text[end - 1 : end] not in ("}", "]")
    cut = error.msg.startswith("Unterminated") or error.pos >= end or half_token
    return Malformed(f"{error.msg} at character {error.pos} of {len(text)}", cut=cut)


def _too_deep() -> NoReturn:
    raise Malformed("nested too deep")
