"""Prepared bodies: a JSON document with slots, cut once, so that filling it in is one formatting of bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

_OPEN, _CLOSE = "\ue000", "\ue001"
_SLOT = re.compile(f'"{_OPEN}#(\\w+){_CLOSE}"|{_OPEN}(\\w+){_CLOSE}')


def slot(name: str) -> str:
    """A text value, or a part of one, that is filled in later."""
    return f"{_OPEN}{name}{_CLOSE}"


def raw_slot(name: str) -> str:
    """A whole value that is filled in later as JSON: a number or an object."""
    return f"{_OPEN}#{name}{_CLOSE}"


def dump(document: object, *, escape: bool = False) -> str:
    """Compact JSON. ``escape``: beyond ASCII as \\u escapes; slots stay as they are."""
    if not escape:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("\\ue000", _OPEN).replace("\\ue001", _CLOSE)


class Template:
    """A JSON text with slots. ``fill`` takes the values of all slots in the order given here."""

    __slots__ = ("_format", "_pick", "slots")

    def __init__(self, text: str, names: Sequence[str]) -> None:
        parts = _SLOT.split(text)
        literals = [part.encode("utf-8", "surrogatepass").replace(b"%", b"%%") for part in parts[0::3]]
        self.slots = [one or other for one, other in zip(parts[1::3], parts[2::3], strict=True)]
        self._format = b"%b".join(literals)
        self._pick = _picker([names.index(name) for name in self.slots])

    def fill(self, values: Sequence[bytes]) -> bytes:
        filled: bytes = self._format % self._pick(values)
        return filled


def _picker(places: Sequence[int]) -> Callable[[Sequence[bytes]], Any]:
    """Values at these places as the tuple that formatting takes."""
    if not places:
        return lambda values: ()
    if len(places) == 1:
        place = places[0]
        return lambda values: (values[place],)
    return itemgetter(*places)
