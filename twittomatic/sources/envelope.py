"""A v2 page taken apart: raw slices of its items and of what it includes, and what each of them refers to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from twittomatic.sources import exact
from twittomatic.sources.exact import Malformed
from twittomatic.sources.references import Thing, things


class Listed(NamedTuple):
    """The elements of an array: their bytes, and what they refer to."""

    pieces: list[bytes]
    things: list[Thing]


class Envelope(NamedTuple):
    """data: None where the page has none (or null); includes: by the network's name; meta: bytes of the object."""

    data: Listed | None
    includes: Mapping[str, Listed]
    errors: list[bytes]
    meta: bytes


class _Slices(msgspec.Struct, gc=False):
    data: list[msgspec.Raw] | None = None
    includes: dict[str, list[msgspec.Raw]] = {}
    errors: list[msgspec.Raw] = []
    meta: msgspec.Raw = msgspec.Raw(b"null")


class _Things(msgspec.Struct, gc=False):
    data: list[Thing] | None = None
    includes: dict[str, list[Thing]] = {}


_SLICES = msgspec.json.Decoder(_Slices)
_THINGS = msgspec.json.Decoder(_Things)


def take_apart(body: bytes) -> Envelope:
    """The parts of a page. Two scans of the body where it has the form that we know; else array by array, with the
    slicer that survives half surrogate pairs and members of an unknown form. Malformed when it is no JSON object."""
    try:
        slices, known = _SLICES.decode(body), _THINGS.decode(body)
    except (ValueError, RecursionError):
        return _take_apart_slowly(body)
    includes = {
        name: Listed(exact.copies(body, pieces), known.includes[name]) for name, pieces in slices.includes.items()
    }
    data = None if slices.data is None else Listed(exact.copies(body, slices.data), known.data or [])
    return Envelope(data, includes, exact.copies(body, slices.errors), bytes(slices.meta))


def _take_apart_slowly(body: bytes) -> Envelope:
    document = exact.fields(body)
    data = document.get("data", b"null")
    included = exact.fields(document["includes"]) if _is(document.get("includes"), b"{") else {}
    errors = exact.elements(document["errors"]) if _is(document.get("errors"), b"[") else []
    return Envelope(
        None if data == b"null" else _listed(data),
        {name: _listed(array) for name, array in included.items() if _is(array, b"[")},
        # one error that stands without a list around it
        errors or ([document["errors"]] if "errors" in document and not _is(document["errors"], b"[") else []),
        document.get("meta", b"null"),
    )


def _listed(array: bytes) -> Listed:
    if not _is(array, b"["):
        raise Malformed("data is no list")
    pieces = exact.elements(array)
    return Listed(pieces, things(array, pieces))


def _is(piece: bytes | None, opening: bytes) -> bool:
    return piece is not None and piece.startswith(opening)
