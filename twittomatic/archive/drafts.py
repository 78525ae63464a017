"""A part that one job writes: at the committed length, never in append mode, with a running CRC."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from twittomatic.archive.atomic import sync_folder
from twittomatic.archive.base import End, Head, Placed
from twittomatic.archive.deflate import crc32
from twittomatic.archive.members import build, build_end
from twittomatic.archive.reading import MemberFile, opened_if_there
from twittomatic.job import Extent

_NOBODY = Head(-1, None, None, 0, 0, "", "")


class GzipDraft:
    """A part file. ``start_at``: an extent whose bytes are in the file already; what lies behind them is cut off."""

    def __init__(
        self, descriptor: int, path: Path, final: Path, user: str, start_at: Extent, *, level: int, fsync: bool
    ) -> None:
        self.path = path
        self.user = user
        self.suffix = start_at.suffix
        self._seg = start_at.seg
        self._length, self._crc = start_at.length, start_at.crc
        self._final = final
        self._descriptor: int | None = descriptor
        self._level = level
        self._fsync = fsync
        self._listed = start_at.length > 0
        self._dirty = not self._listed
        self._last: Head | None = None
        # Whether bytes may lie behind the extent: those of another owner, or of a write that failed half way.
        self._torn = os.fstat(descriptor).st_size != start_at.length
        self._ended = self.file().tail_mark() is not None

    @property
    def extent(self) -> Extent:
        """What is written so far (not what is committed)."""
        return Extent(self.suffix, self._seg, self._length, self._crc)

    @property
    def ended(self) -> bool:
        """Whether the end mark is written."""
        return self._ended

    def file(self) -> MemberFile:
        """What is written so far, for reading."""
        return MemberFile(self._open(), self.path, self._length)

    def lines(self) -> Iterator[bytes]:
        """Every line written so far, read back from the part."""
        return self.file().lines()

    def append(self, head: Head, lines: Sequence[bytes]) -> Placed:
        """Write one member at the end; durable only after ``sync``. OSError leaves the extent as it was."""
        placed = self.put([build(head, lines, self._level)])
        self._last = head
        return placed

    def copy_final(self) -> int:
        """Append all members of the user's present final but its end marks, bytes as they are; items copied, 0
        without a final. OSError and CorruptMember leave the extent as it was."""
        with opened_if_there(self._final) as final:
            return self._copy(final) if final else 0

    def _copy(self, final: MemberFile) -> int:
        items = 0
        stretches: list[tuple[int, int]] = []
        for hop in final.hops():
            if hop.header and hop.header.end:
                continue
            items += hop.items
            start = stretches.pop()[0] if stretches and stretches[-1][1] == hop.offset else hop.offset
            stretches.append((start, hop.stop))
        self.put(block for start, stop in stretches for block in final.blocks(start, stop))
        return items

    def end(self, mark: End) -> None:
        """Write the end mark. Nothing can be appended after it."""
        last = self._last or self._last_on_disk()
        self.finish([build_end(Head(last.seq + 1, last.next, None, 0, mark.at, last.source, last.crawl), mark)])

    def finish(self, blocks: Iterable[bytes]) -> None:
        """Write an end mark that is already built."""
        self.put(blocks)
        self._ended = True

    def _last_on_disk(self) -> Head:
        last = _NOBODY
        for hop in self.file().hops():
            last = hop.header.head if hop.header else last
        return last

    def put(self, blocks: Iterable[bytes]) -> Placed:
        """Write members that are already built; ``blocks`` may cut them anywhere. All of it counts, or none."""
        if self._ended:
            raise ValueError(f"{self.path.name} has its end mark: nothing can follow")
        descriptor = self._open()
        self._cut()
        self._torn = self._dirty = True
        at, own, running = self._length, 0, self._crc
        for block in blocks:
            _write(descriptor, block, at)
            at += len(block)
            own, running = crc32(block, own), crc32(block, running)
        placed = Placed(self._length, at - self._length, own)
        self._length, self._crc, self._torn = at, running, False
        return placed

    def adopt(self, blocks: Iterable[bytes]) -> None:
        """Begin with the bytes of another file, its end mark too."""
        self.put(blocks)
        self._ended = self.file().tail_mark() is not None

    def _cut(self) -> None:
        if self._torn:
            os.ftruncate(self._open(), self._length)
            self._torn, self._dirty = False, True

    def sync(self) -> None:
        """fsync what was written since the last time, and the folder when the name is new there. OSError closes the
        draft: the kernel forgets what it could not write, so that a second fsync would succeed without the bytes."""
        descriptor = self._open()
        self._cut()
        if not self._fsync or not self._dirty:
            return
        try:
            os.fsync(descriptor)
            if not self._listed:
                sync_folder(self.path.parent)
                self._listed = True
        except OSError:
            self.close()
            raise
        self._dirty = False

    def close(self) -> None:
        """Close the file; the part stays. Twice does no harm."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            raise ValueError(f"{self.path.name} is closed")
        return self._descriptor


def _write(descriptor: int, block: bytes, at: int) -> None:
    left = memoryview(block)
    while left:
        written = os.pwrite(descriptor, left, at)
        if not written:
            raise OSError(errno.EIO, "the disk took no bytes")
        at += written
        left = left[written:]
