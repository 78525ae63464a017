"""The deflate codec and the CRC: isal where its wheel is installed, zlib elsewhere; readers cannot tell them apart."""

from __future__ import annotations

import types
import zlib
from collections.abc import Iterator

isal_zlib: types.ModuleType | None
try:
    from isal import isal_zlib
except ImportError:  # no wheel for this platform: the same bytes on disk, about ten times slower
    isal_zlib = None

ISAL_LEVELS = range(1, 4)
"""Levels that isal writes; zlib writes the others, up to 9."""


def check_level(level: int) -> int:
    """The level itself; ValueError outside 1 to 9."""
    if not 1 <= level <= 9:
        raise ValueError(f"compression level {level}: give 1 to 9 (1 to 3 are the fast ones)")
    return level


def _codec(level: int) -> types.ModuleType:
    return isal_zlib if isal_zlib is not None and level in ISAL_LEVELS else zlib


def deflate(body: bytes, level: int) -> bytes:
    """A raw deflate stream."""
    stream = _codec(level).compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return bytes(stream.compress(body) + stream.flush())


def inflate(packed: bytes | memoryview, size: int) -> bytes:
    """The ``size`` bytes of one raw deflate stream. ValueError when it is not exactly one stream of that size."""
    codec = isal_zlib or zlib
    stream = codec.decompressobj(-zlib.MAX_WBITS)
    try:
        body = bytes(stream.decompress(packed, size + 1))  # one more than due: 0 would mean no limit
    except codec.error as error:
        raise ValueError(f"bad deflate stream ({error})") from error
    if not stream.eof or stream.unused_data or len(body) != size:
        raise ValueError("the deflate stream and the length in the trailer differ")
    return body


class GzipInflater:
    """One gzip member of any writer, or only its deflate stream (``raw``), inflated a block at a time. length: its
    bytes so far, all of them when done."""

    def __init__(self, *, raw: bool = False) -> None:
        self.length = 0
        self._codec = isal_zlib or zlib
        self._stream = self._codec.decompressobj(-zlib.MAX_WBITS if raw else 16 + zlib.MAX_WBITS)

    @property
    def done(self) -> bool:
        """Whether the member has ended."""
        return bool(self._stream.eof)

    def feed(self, block: bytes, at_most: int) -> Iterator[bytes]:
        """What the block inflates to, in pieces of ``at_most`` bytes. ValueError on bad bytes."""
        try:
            piece = self._stream.decompress(block, at_most)
            while piece:
                yield bytes(piece)
                if self.done:
                    break
                piece = self._stream.decompress(self._stream.unconsumed_tail, at_most)
        except self._codec.error as error:
            raise ValueError(f"bad gzip member ({error})") from error
        self.length += len(block) - len(self._stream.unused_data)


class GzipDeflater:
    """One gzip member, written a block at a time."""

    def __init__(self, level: int) -> None:
        self._stream = _codec(level).compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def feed(self, block: bytes) -> bytes:
        """Compressed bytes that are due."""
        return bytes(self._stream.compress(block))

    def finish(self) -> bytes:
        """The rest."""
        return bytes(self._stream.flush())


def crc32(data: bytes | memoryview, crc: int = 0) -> int:
    """CRC-32 of the bytes, going on from an earlier one."""
    return int((isal_zlib or zlib).crc32(data, crc))
