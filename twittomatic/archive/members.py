"""The format of one member: a gzip member that names its own length and says in its header what it holds.

::

    1f 8b 08 04  mtime 0  xfl 0  os ff  XLEN
    "TM" length  uint32 total length of the member  {"seq":..,"prev":..,"next":..,"n":..,"at":..,"source":..,"crawl":..}
    deflate stream  CRC-32  size

An end mark has {"end":..,"reason":..,"holes":..} in the same JSON, an empty body, and a second subfield "TZ" that
repeats the total length: an empty body is always the same ten bytes, so the length stands at a fixed distance from the
end of the file and the mark is found without reading what is before it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from twittomatic.archive.base import End, Head
from twittomatic.archive.deflate import crc32, deflate, inflate
from twittomatic.errors import ArchiveError

FIXED_LENGTH = 12
"""Bytes before the extra field."""
MAX_EXTRA = 0xFFFF
_MAX_UINT32 = 0xFFFFFFFF

_FIXED = struct.Struct("<3sBIBBH")  # magic and method, flags, mtime, extra flags, system, length of the extra field
_FIELD = struct.Struct("<2sH")
_TOTAL = struct.Struct("<I")
_TRAILER = struct.Struct("<II")
_GZIP_DEFLATE = b"\x1f\x8b\x08"
_ONLY_EXTRA, _EXTRA = 4, 4
_UNKNOWN_SYSTEM = 255
_EMPTY_STREAM = b"\x03\x00"
_MARK_TAIL = struct.Struct("<2sHI2sII")
MARK_TAIL_LENGTH = _MARK_TAIL.size


class _Wire(msgspec.Struct, omit_defaults=True):
    """The JSON of a header, in this order."""

    seq: int
    prev: str | None
    next: str | None
    n: int
    at: int
    source: str
    crawl: str
    end: str | None = None
    reason: str | None = None
    holes: tuple[tuple[str, str], ...] = ()
    hole: tuple[str, str] | None = None  # the only one of a mark that an earlier version wrote


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Wire).decode


class Header(NamedTuple):
    """A header as read. total: length of the whole member; body: where in it the deflate stream begins."""

    head: Head
    end: End | None
    total: int
    body: int


def build(head: Head, lines: Sequence[bytes], level: int) -> bytes:
    """The member of a page. ArchiveError when the head does not fit a gzip header; ValueError for lines that hold
    newlines or are not ``head.n``."""
    if head.n != len(lines):
        raise ValueError(f"the head of page {head.seq} says {head.n} items, there are {len(lines)} lines")
    wire = _Wire(head.seq, head.prev, head.next, head.n, head.at, head.source, head.crawl)
    if not lines:
        return _frame(wire, _EMPTY_STREAM, b"", marked=False)
    if b"\n" in b"".join(lines):  # five times faster than counting them in the body
        raise ValueError(f"a line of page {head.seq} holds a newline: an item is one line")
    body = b"\n".join((*lines, b""))
    return _frame(wire, deflate(body, level), body, marked=False)


def build_end(head: Head, mark: End) -> bytes:
    """The member of an end mark; ``head.n`` must be 0."""
    if head.n:
        raise ValueError(f"an end mark holds no items, its head says {head.n}")
    wire = _Wire(head.seq, head.prev, head.next, 0, mark.at, head.source, head.crawl, mark.end, mark.reason, mark.holes)
    return _frame(wire, _EMPTY_STREAM, b"", marked=True)


def _frame(wire: _Wire, packed: bytes, body: bytes, *, marked: bool) -> bytes:
    told = _encode(wire)
    extra = _FIELD.size + _TOTAL.size + len(told) + (_FIELD.size + _TOTAL.size if marked else 0)
    if extra > MAX_EXTRA:
        raise ArchiveError(
            f"the head of page {wire.seq} needs {extra} bytes and a gzip header holds {MAX_EXTRA}: "
            f"the cursor of {wire.source or 'the source'} is too long to be kept"
        )
    total = FIXED_LENGTH + extra + len(packed) + _TRAILER.size
    if max(total, len(body)) > _MAX_UINT32:
        raise ArchiveError(f"page {wire.seq} has {len(body)} bytes and a gzip member counts to {_MAX_UINT32}")
    return b"".join((
        _FIXED.pack(_GZIP_DEFLATE, _ONLY_EXTRA, 0, 0, _UNKNOWN_SYSTEM, extra),
        _FIELD.pack(b"TM", _TOTAL.size + len(told)),
        _TOTAL.pack(total),
        told,
        _FIELD.pack(b"TZ", _TOTAL.size) + _TOTAL.pack(total) if marked else b"",
        packed,
        _TRAILER.pack(crc32(body), len(body)),
    ))  # fmt: skip


def header_length(start: bytes) -> int:
    """Bytes up to the end of the extra field, from the first 12 of them. ValueError when they are fewer or not gzip."""
    if not _GZIP_DEFLATE.startswith(start[:3]):
        raise ValueError("not a gzip member")
    if len(start) < FIXED_LENGTH:
        raise ValueError(f"torn: {len(start)} bytes of a header")
    flags, extra = start[3], int.from_bytes(start[10:12], "little")
    return FIXED_LENGTH + extra if flags & _EXTRA else FIXED_LENGTH


def parse(start: bytes) -> Header | None:
    """The header that begins ``start``; None for a gzip member that another program wrote. ValueError when ``start``
    ends too early or is damaged."""
    length = header_length(start)
    if len(start) < length:
        raise ValueError(f"torn: {len(start)} bytes of a header of {length}")
    if start[3] != _ONLY_EXTRA:
        return None
    field = _field(start[FIXED_LENGTH:length], b"TM")
    if field is None:
        return None
    try:
        (total,) = _TOTAL.unpack_from(field)
        wire = _decode(field[_TOTAL.size :])
    except (struct.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"bad header ({error})") from error
    if total < length + len(_EMPTY_STREAM) + _TRAILER.size or wire.n < 0:
        raise ValueError(f"bad header (total length {total}, items {wire.n})")
    head = Head(wire.seq, wire.prev, wire.next, wire.n, wire.at, wire.source, wire.crawl)
    holes = (*wire.holes, *([wire.hole] if wire.hole else []))
    end = None if wire.end is None else End(wire.end, wire.reason, holes, wire.at)
    return Header(head, end, total, length)


def _field(extra: bytes, name: bytes) -> bytes | None:
    at = 0
    while at + _FIELD.size <= len(extra):
        found, length = _FIELD.unpack_from(extra, at)
        at += _FIELD.size
        if found == name:
            return extra[at : at + length]
        at += length
    return None


def lines_of(member: bytes, header: Header) -> list[bytes]:
    """The lines of a whole member, checked against its trailer and its head. ValueError when they do not fit."""
    crc, size = _TRAILER.unpack_from(member, header.total - _TRAILER.size)
    body = inflate(memoryview(member)[header.body : header.total - _TRAILER.size], size)
    if crc32(body) != crc:
        raise ValueError("the CRC of the lines differs from the trailer")
    lines = body.split(b"\n")
    if lines.pop() or len(lines) != header.head.n:
        raise ValueError(f"the head says {header.head.n} items, the body has {len(lines)} lines")
    return lines


def marked_length(tail: bytes) -> int | None:
    """Total length of the end mark that a file ends with, from its last bytes; None when they are not a mark's."""
    if len(tail) < MARK_TAIL_LENGTH:
        return None
    name, length, total, stream, crc, size = _MARK_TAIL.unpack(tail[-MARK_TAIL_LENGTH:])
    fits = (name, length, stream, crc, size) == (b"TZ", _TOTAL.size, _EMPTY_STREAM, 0, 0)
    return int(total) if fits else None
